package relay_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
	"sfrelay/shared/relay"
)

// table keeps items by their key pk.
type table map[string]map[string]types.AttributeValue

func pk(key map[string]types.AttributeValue) string {
	s, _ := key["pk"].(*types.AttributeValueMemberS)
	return s.Value
}

func (t table) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: t[pk(in.Key)]}, nil
}

func (t table) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	t[pk(in.Item)] = in.Item
	return &dynamodb.PutItemOutput{}, nil
}

func (t table) DeleteItem(_ context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	delete(t, pk(in.Key))
	return &dynamodb.DeleteItemOutput{}, nil
}

const org = "00D5f000005KcCnEAK"

func TestAnnouncement(t *testing.T) {
	items, ctx := table{}, t.Context()
	until := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	if p, err := relay.Announced(ctx, items, "guard", org); p != nil || err != nil || p.Running(until) {
		t.Errorf("before: %v, %v", p, err)
	}
	want := relay.Pause{Until: until, By: "arn:aws:iam::123456789012:user/ada", Reason: "migration"}
	if err := relay.Announce(ctx, items, "guard", org, want); err != nil {
		t.Fatal(err)
	}
	if p, err := relay.Announced(ctx, items, "guard", org); err != nil || *p != want || !p.Running(until.Add(-1)) || p.Running(until) {
		t.Errorf("%+v, %v", p, err)
	}
	// 2026-11-27T11:00:00Z is 1795777200 s; DynamoDB deletes an item from the second in x on, here a day later.
	item := items["relay#00D5f000005KcCnEAK"]
	for name, want := range map[string]string{"t": "1795777200000", "x": "1795863600"} {
		if n, _ := item[name].(*types.AttributeValueMemberN); n == nil || n.Value != want {
			t.Errorf("%s is %v, want %s", name, item[name], want)
		}
	}
	if err := relay.Withdraw(ctx, items, "guard", org); err != nil || len(items) != 0 {
		t.Errorf("%v, %v", items, err)
	}
}

// What cannot be read is no announcement.
func TestAnAnnouncementWithoutAnEnd(t *testing.T) {
	for name, end := range map[string]types.AttributeValue{"none": nil, "a text": &types.AttributeValueMemberS{Value: "1"}, "no number": &types.AttributeValueMemberN{Value: "1e9"}} {
		items := table{"relay#" + org: {"pk": &types.AttributeValueMemberS{Value: "relay#" + org}, "t": end}}
		if p, err := relay.Announced(t.Context(), items, "guard", org); p != nil || err == nil {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// A consumer's key has two signs that an announcement's has one of, however long it is.
func TestAnAnnouncementIsNoItemOfAConsumer(t *testing.T) {
	if key := relay.PauseKey(org); strings.Count(key, "#") != 1 || !strings.HasPrefix(key, "relay#") {
		t.Errorf("%q", key)
	}
	for _, subject := range []string{"", "Account/0015f00002J9YYEAA3", strings.Repeat("x", 5000)} {
		if key := guard.Key("relay", org, subject); strings.Count(key, "#") < 2 || key == relay.PauseKey(org) {
			t.Errorf("%q", key)
		}
	}
}
