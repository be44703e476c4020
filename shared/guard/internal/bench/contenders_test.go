package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

const (
	region = "eu-west-1"
	org    = "00D5f000005KcCnEAK"
)

var credentials = aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}

// config is what a function's clients are made of, but for the endpoint and the patience: a try
// that a busy machine is too slow for would be counted twice.
func config(endpoint string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: &endpoint,
		HTTPClient:  awsclient.HTTPClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = time.Minute }),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
	}
}

// table makes a table for one test.
func table(tb testing.TB, endpoint string) string {
	tb.Helper()
	name := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	_, err := dynamo.NewClient(config(endpoint)).CreateTable(tb.Context(), &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(dynamo.KeyAttribute), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(dynamo.KeyAttribute), KeyType: types.KeyTypeHash}},
	})
	if _, again := errors.AsType[*types.ResourceInUseException](err); err != nil && !again { // a second try of a lost first one
		tb.Fatal(err)
	}
	return name
}

// What became of an event, whatever the protocol.
const (
	applied = "applied"
	known   = "known" // duplicate or stale
	failed  = "failed"
)

// protocol takes one event through and calls the effect if it may.
type protocol func(ctx context.Context, subject string, effect func() bool) (string, error)

// contender is a protocol over a table.
type contender struct {
	name string
	open func(cfg aws.Config, table string) (protocol, error)
	// fetches marks what neither decides nor remembers anything.
	floor bool
}

var contenders = []contender{
	{name: "guard, EachOnce", open: guarded(guard.EachOnce)},
	{name: "guard, NewestWins", open: guarded(guard.NewestWins)},
	{name: "guard, FieldMerge", open: guarded(guard.FieldMerge)},
	{name: "four calls", open: fourCallsFor(30 * time.Second)},
	{name: "floor", open: bare, floor: true},
}

// fields is how many fields the FieldMerge consumer reads; its events change three.
const fields = 18

func codes(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "f" + strconv.Itoa(i)
	}
	return all
}

func random() (b [10]byte) {
	_, _ = rand.Read(b[:])
	return b
}

func guarded(p guard.Policy) func(aws.Config, string) (protocol, error) {
	return func(cfg aws.Config, table string) (protocol, error) {
		gc := guard.Config{Consumer: "customer-erp", Policy: p, Random: random, Sink: guard.Sink{Fenced: true}}
		change := guard.Change{Kind: guard.Full, Version: order.Version{0: 1, 5: 5, 19: 1}, Hash: [8]byte{1}}
		if p == guard.FieldMerge {
			gc.Fields = codes(fields)
			change.Kind, change.Fields = guard.Partial, []string{"f1", "f7", "f12"}
		}
		g, err := guard.New(dynamo.New(dynamo.NewClient(cfg), table), gc)
		if err != nil {
			return nil, err
		}
		changes := []guard.Change{change}
		park := func(context.Context, guard.Parking) error { return nil }
		return func(ctx context.Context, subject string, effect func() bool) (string, error) {
			rep := g.Do(ctx, guard.Call{Org: org, Subject: subject, Changes: changes, Park: park},
				func(context.Context, guard.Attempt) guard.Outcome {
					if effect() {
						return guard.Outcome{Effect: guard.Took}
					}
					return guard.Outcome{Effect: guard.NotApplied, Class: "throttled"}
				})
			switch r := rep.Results[0]; r.Verdict {
			case verdict.Applied:
				return applied, nil
			case verdict.Duplicate, verdict.Stale:
				return known, nil
			default:
				return failed, r.Err
			}
		}, nil
	}
}

// fourCallsFor is the well-known idempotency protocol as AWS Powertools describes it, over
// the same client: put if absent, expired or past its lease, which is the function's time-out; on success an
// unconditional update, on failure an unconditional delete.
func fourCallsFor(lease time.Duration) func(aws.Config, string) (protocol, error) {
	return func(cfg aws.Config, table string) (protocol, error) { return fourCalls(cfg, table, lease), nil }
}

func fourCalls(cfg aws.Config, table string, lease time.Duration) protocol {
	db := dynamo.NewClient(cfg)
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	number := func(n int64) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
	}
	return func(ctx context.Context, subject string, effect func() bool) (string, error) {
		id := text("customer-erp.handle#" + subject)
		key := map[string]types.AttributeValue{dynamo.KeyAttribute: id}
		now := time.Now()
		expiry := number(now.Add(time.Hour).Unix())
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &table,
			Item: map[string]types.AttributeValue{dynamo.KeyAttribute: id, "expiration": expiry,
				"status": text("INPROGRESS"), "in_progress_expiration": number(now.Add(lease).UnixMilli())},
			ConditionExpression: aws.String("attribute_not_exists(#id) OR #expiry < :now OR " +
				"(#status = :inprogress AND attribute_exists(#in_progress_expiry) AND #in_progress_expiry < :now_in_millis)"),
			ExpressionAttributeNames: map[string]string{"#id": dynamo.KeyAttribute, "#expiry": "expiration",
				"#status": "status", "#in_progress_expiry": "in_progress_expiration"},
			ExpressionAttributeValues: map[string]types.AttributeValue{":now": number(now.Unix()),
				":now_in_millis": number(now.UnixMilli()), ":inprogress": text("INPROGRESS")},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
			if s, _ := refused.Item["status"].(*types.AttributeValueMemberS); s != nil && s.Value == "COMPLETED" {
				return known, nil
			}
			return failed, errors.New("already in progress")
		}
		if err != nil {
			return failed, err
		}
		if !effect() {
			_, err = db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: key})
			return failed, err
		}
		_, err = db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &table, Key: key,
			UpdateExpression: aws.String("SET #response_data = :response_data, #expiry = :expiry, #status = :status"),
			ExpressionAttributeNames: map[string]string{"#response_data": "data", "#expiry": "expiration",
				"#status": "status"},
			ExpressionAttributeValues: map[string]types.AttributeValue{":response_data": text("null"),
				":expiry": expiry, ":status": text("COMPLETED")},
		})
		return applied, err
	}
}

// bare is the floor: the two requests of a fresh event, printed and signed over bare
// net/http, the answers read but not decoded. The signer is the SDK's.
func bare(cfg aws.Config, table string) (protocol, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 128
	client := &http.Client{Transport: transport}
	signer := v4.NewSigner()
	send := func(ctx context.Context, body []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, *cfg.BaseEndpoint, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810.UpdateItem")
		sum := sha256.Sum256(body)
		if err := signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "dynamodb", region, time.Now()); err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		return err
	}
	return func(ctx context.Context, subject string, effect func() bool) (string, error) {
		now := time.Now().UnixMilli()
		if err := send(ctx, fmt.Appendf(nil, bareClaim, table, subject, now, now+20_000)); err != nil {
			return failed, err
		}
		effect()
		return applied, send(ctx, fmt.Appendf(nil, bareCompletion, table, subject))
	}, nil
}

const (
	bareClaim = `{"TableName":%q,"Key":{"pk":{"S":"customer-erp#` + org + `#%s"}},` +
		`"ConditionExpression":"attribute_not_exists(pk) OR s<>:0 AND u<=:1","UpdateExpression":` +
		`"SET s=:2,o=:3,u=:4,n=if_not_exists(n,:1)+:2,a=if_not_exists(a,:5)+:2,w=if_not_exists(w,:3)",` +
		`"ExpressionAttributeValues":{":0":{"N":"4"},":1":{"N":"%d"},":2":{"N":"1"},":3":{"B":"AAAAAAAAAAAAAAAAAAAAAA=="},":4":{"N":"%d"},":5":{"N":"0"}},` +
		`"ReturnValues":"ALL_OLD","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`
	bareCompletion = `{"TableName":%q,"Key":{"pk":{"S":"customer-erp#` + org + `#%s"}},` +
		`"ConditionExpression":"o=:0","UpdateExpression":"SET s=:1,u=:2,a=:2,h=:3 REMOVE w",` +
		`"ExpressionAttributeValues":{":0":{"B":"AAAAAAAAAAAAAAAAAAAAAA=="},":1":{"N":"4"},":2":{"N":"0"},":3":{"B":"AQAAAAAAAAA="}},` +
		`"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`
)
