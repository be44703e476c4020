// Package dynamo is a guard's store in an Amazon DynamoDB table with the string key
// "pk": one UpdateItem a write, one consistent GetItem a read.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// Write implements guard.Store. An error that is not a refusal means that nobody
// knows whether the write happened.
func (s *Store) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	out, err := s.api.UpdateItem(ctx, s.input(w))
	if err != nil {
		if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
			rec, err := record(w.Key, refused.Item)
			return rec, false, err
		}
		return nil, false, err
	}
	rec, err := record(w.Key, out.Attributes)
	return rec, true, err
}

// input prints a write. What belongs to one write lies in one piece of memory.
func (s *Store) input(w guard.Write) *dynamodb.UpdateItemInput {
	one := &struct {
		in                dynamodb.UpdateItemInput
		key               types.AttributeValueMemberS
		condition, update string
		text              [512]byte
		used              [10]guard.Value
		numbers           [5]types.AttributeValueMemberN
		binaries          [3]types.AttributeValueMemberB
	}{}
	p := printer{buf: one.text[:0], used: one.used[:0], numbers: one.numbers[:], binaries: one.binaries[:]}
	one.key.Value = w.Key
	one.condition = p.condition(w.If)
	one.update = p.update(w)
	one.in = dynamodb.UpdateItemInput{
		TableName:                           s.table,
		Key:                                 map[string]types.AttributeValue{KeyAttribute: &one.key},
		UpdateExpression:                    &one.update,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		ExpressionAttributeValues:           p.values,
		ExpressionAttributeNames:            p.names,
	}
	if one.condition != "" {
		one.in.ConditionExpression = &one.condition
	}
	if w.ReturnOld {
		one.in.ReturnValues = types.ReturnValueAllOld
	}
	return &one.in
}

// Read implements guard.Store.
func (s *Store) Read(ctx context.Context, k string) (guard.Record, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: s.table, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{KeyAttribute: &types.AttributeValueMemberS{Value: k}},
	})
	if err != nil {
		return nil, err
	}
	return record(k, out.Item)
}

func record(key string, item map[string]types.AttributeValue) (guard.Record, error) {
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
				return nil, fmt.Errorf("dynamo: item %q: attribute %q: not an integer of 64 bits", key, name)
			}
			v = guard.Value{Kind: guard.Number, Num: n}
		default:
			continue // not ours
		}
		rec = append(rec, guard.Attr{Name: name, Value: v})
	}
	return rec, nil
}
