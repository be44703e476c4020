package relay

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Pause is one that somebody announced in the guard's table: while it lasts, a relay that is
// paused raises no alarm.
type Pause struct {
	Until  time.Time `json:"until"`
	By     string    `json:"by"` // ARN
	Reason string    `json:"reason,omitempty"`
}

// LongestPause is how long Salesforce keeps events.
const LongestPause = kept

// PauseKey is that of an org's announcement; org has 18 characters. The key of a consumer's
// item has two of these signs, and no consumer is called relay.
func PauseKey(org string) string { return "relay#" + org }

// Table is the part of *dynamodb.Client that announcements need.
type Table interface {
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// The attributes of an announcement; pk and x are those of every item of the table.
const (
	untilAttribute  = "t" // ms
	byAttribute     = "by"
	reasonAttribute = "why"
	expiryAttribute = "x" // s
)

// remembered is how long an announcement stays after its end.
const remembered = 24 * time.Hour

func pauseKey(org string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: PauseKey(org)}}
}

// Announce writes the announcement of an org, in place of an earlier one.
func Announce(ctx context.Context, api Table, table, org string, p Pause) error {
	item := pauseKey(org)
	item[untilAttribute] = &types.AttributeValueMemberN{Value: strconv.FormatInt(p.Until.UnixMilli(), 10)}
	item[byAttribute] = &types.AttributeValueMemberS{Value: p.By}
	item[expiryAttribute] = &types.AttributeValueMemberN{Value: strconv.FormatInt(p.Until.Add(remembered).Unix(), 10)}
	if p.Reason != "" {
		item[reasonAttribute] = &types.AttributeValueMemberS{Value: p.Reason}
	}
	_, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item})
	return err
}

// Withdraw deletes the announcement of an org. That there is none is no error.
func Withdraw(ctx context.Context, api Table, table, org string) error {
	_, err := api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: pauseKey(org)})
	return err
}

// Announced reads the announcement of an org, nil where there is none. It may be over:
// DynamoDB deletes items late.
func Announced(ctx context.Context, api Table, table, org string) (*Pause, error) {
	out, err := api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: pauseKey(org), ConsistentRead: aws.Bool(true)})
	if err != nil || len(out.Item) == 0 {
		return nil, err
	}
	until, ok := out.Item[untilAttribute].(*types.AttributeValueMemberN)
	if !ok {
		return nil, fmt.Errorf("the item %s has no end", PauseKey(org))
	}
	ms, err := strconv.ParseInt(until.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the item %s has no end: %w", PauseKey(org), err)
	}
	p := &Pause{Until: time.UnixMilli(ms).UTC()}
	if by, ok := out.Item[byAttribute].(*types.AttributeValueMemberS); ok {
		p.By = by.Value
	}
	if reason, ok := out.Item[reasonAttribute].(*types.AttributeValueMemberS); ok {
		p.Reason = reason.Value
	}
	return p, nil
}

// Running reports whether the pause lasts; a nil one does not.
func (p *Pause) Running(now time.Time) bool { return p != nil && now.Before(p.Until) }
