package dynamo

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
)

// Deleter is what it takes to delete an item; no worker has the right to.
type Deleter interface {
	DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Forget deletes an item if the condition holds. It reads nothing of it, so that one that
// cannot be read goes, too.
func Forget(ctx context.Context, api Deleter, table, key string, may guard.Cond) (ok bool, err error) {
	var p printer
	condition := p.condition(may)
	_, err = api.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &table, Key: map[string]types.AttributeValue{KeyAttribute: &types.AttributeValueMemberS{Value: key}},
		ConditionExpression: &condition, ExpressionAttributeValues: p.values, ExpressionAttributeNames: p.names,
	})
	if _, refused := errors.AsType[*types.ConditionalCheckFailedException](err); refused {
		return false, nil
	}
	return err == nil, err
}
