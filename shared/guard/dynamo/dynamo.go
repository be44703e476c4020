// Package dynamo is a guard's store in an Amazon DynamoDB table with the string key
// "pk": one UpdateItem a write, one consistent GetItem a read.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
)

// KeyAttribute is the partition key of the table.
const KeyAttribute = "pk"

// API is the part of *dynamodb.Client that the store uses.
type API interface {
	UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
}

// Store is one table.
type Store struct {
	api   API
	table *string
}

var _ guard.Store = (*Store)(nil)

// New is the store in that table.
func New(api API, table string) *Store { return &Store{api: api, table: aws.String(table)} }

// NewClient is a client made for the guard: a lost response costs tens of
// milliseconds and not the SDK's second.
func NewClient(cfg aws.Config, opts ...func(*dynamodb.Options)) *dynamodb.Client {
	base := func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
			so.MaxAttempts = 4
			so.Backoff = backoff{}
		})
		if o.BaseEndpoint != nil {
			// DynamoDB Local sends a wrong checksum with every refused condition.
			o.DisableValidateResponseChecksum = true
		}
	}
	return dynamodb.NewFromConfig(cfg, append([]func(*dynamodb.Options){base}, opts...)...)
}

// HTTPClient is the SDK's client with a time-out for one try, four of which fit into
// a lease's margin and effect, and enough idle connections for a whole batch. Hand
// it to config.LoadDefaultConfig, which adds AWS_CA_BUNDLE.
func HTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithTimeout(2 * time.Second).
		WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 128 })
}

// backoff starts at 25 ms, as the SDKs of other languages do for DynamoDB, and
// spreads the tries of concurrent changes.
type backoff struct{}

func (backoff) BackoffDelay(attempt int, _ error) (time.Duration, error) {
	d := 25 * time.Millisecond << min(max(attempt-1, 0), 3)
	return d/2 + rand.N(d/2), nil
}

// Write implements guard.Store. An error that is not a refusal means that nobody
// knows whether the write happened.
func (s *Store) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	p := printer{}
	condition := p.condition(w.If)
	update := p.update(w)
	in := &dynamodb.UpdateItemInput{
		TableName:                           s.table,
		Key:                                 key(w.Key),
		UpdateExpression:                    &update,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		ExpressionAttributeValues:           p.values,
		ExpressionAttributeNames:            p.names,
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	if w.ReturnOld {
		in.ReturnValues = types.ReturnValueAllOld
	}
	out, err := s.api.UpdateItem(ctx, in)
	if err != nil {
		if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
			rec, err := record(refused.Item)
			return rec, false, err
		}
		return nil, false, err
	}
	rec, err := record(out.Attributes)
	return rec, true, err
}

// Read implements guard.Store.
func (s *Store) Read(ctx context.Context, k string) (guard.Record, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: s.table, Key: key(k), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return record(out.Item)
}

func key(k string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{KeyAttribute: &types.AttributeValueMemberS{Value: k}}
}

func record(item map[string]types.AttributeValue) (guard.Record, error) {
	if len(item) == 0 {
		return nil, nil
	}
	rec := make(guard.Record, 0, len(item))
	for name, av := range item {
		if name == KeyAttribute {
			continue
		}
		var v guard.Value
		switch av := av.(type) {
		case *types.AttributeValueMemberS:
			v = guard.Value{Kind: guard.String, Str: av.Value}
		case *types.AttributeValueMemberB:
			v = guard.Value{Kind: guard.Binary, Str: string(av.Value)}
		case *types.AttributeValueMemberN:
			n, err := strconv.ParseInt(av.Value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("dynamo: attribute %q: not an integer", name)
			}
			v = guard.Value{Kind: guard.Number, Num: n}
		default:
			continue // not ours
		}
		rec = append(rec, guard.Attr{Name: name, Value: v})
	}
	return rec, nil
}
