package dynamo_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
)

// brokenItem answers with an item whose epoch is no number that a guard writes.
type brokenItem struct{ dynamo.API }

var broken = map[string]types.AttributeValue{"n": &types.AttributeValueMemberN{Value: "9223372036854775808"}}

func (brokenItem) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return nil, &types.ConditionalCheckFailedException{Item: broken}
}

func (brokenItem) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: broken}, nil
}

// Somebody has to find the item to mend it.
func TestANumberThatCannotBeReadNamesItsItem(t *testing.T) {
	s := dynamo.New(brokenItem{}, "table")
	_, _, written := s.Write(t.Context(), guard.Write{Key: "orders#00D#Account/001"})
	_, read := s.Read(t.Context(), "orders#00D#Account/001")
	for _, err := range []error{written, read} {
		if err == nil || !strings.Contains(err.Error(), `"orders#00D#Account/001"`) || !strings.Contains(err.Error(), `"n"`) {
			t.Errorf("%v", err)
		}
	}
}
