package bench_test

import (
	"context"
	"fmt"
	"math/big"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// itemSize is what DynamoDB bills an item as: names and text in UTF-8, binary as it is,
// numbers a byte for two significant digits and one more (Amazon DynamoDB Developer
// Guide, "DynamoDB item sizes and formats").
func itemSize(tb testing.TB, item map[string]types.AttributeValue) int {
	tb.Helper()
	n := 0
	for name, v := range item {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			i, ok := new(big.Int).SetString(v.Value, 10)
			if !ok {
				tb.Fatalf("%s: %q", name, v.Value)
			}
			digits := 0
			ten, rest := big.NewInt(10), new(big.Int)
			for i.Sign() != 0 && rest.Sign() == 0 {
				if i.QuoRem(i, ten, rest); rest.Sign() != 0 {
					digits++ // trailing zeros are not significant
				}
			}
			for ; i.Sign() != 0; digits++ {
				i.Quo(i, ten)
			}
			n += (digits+1)/2 + 1
		default:
			tb.Fatalf("%s: a %T", name, v)
		}
	}
	return n
}

// tracked makes a consumer of n fields over the table and takes one change of all of
// them through; each field then has a version of its own on the item.
func tracked(t *testing.T, store guard.Store, n int) (subject string, changed func(version byte, fields ...string) verdict.Verdict) {
	t.Helper()
	g, err := guard.New(store, guard.Config{Consumer: "customer-erp", Policy: guard.FieldMerge, Fields: codes(n), Random: random, Sink: guard.Sink{Fenced: true}})
	if err != nil {
		t.Fatal(err)
	}
	subject = fmt.Sprintf("Account/001%015d", n)
	return subject, func(version byte, fields ...string) verdict.Verdict {
		rep := g.Do(t.Context(), guard.Call{Org: org, Subject: subject,
			Changes: []guard.Change{{Kind: guard.Partial, Version: order.Version{0: 1, 5: version}, Fields: fields}},
			Park:    func(context.Context, guard.Parking) error { return nil }},
			func(context.Context, guard.Attempt) guard.Outcome {
				return guard.Outcome{Effect: guard.Took, Link: "cus_0123456789abcd"}
			})
		if rep.Results[0].Err != nil {
			t.Errorf("%d fields: %v", n, rep.Results[0].Err)
		}
		return rep.Results[0].Verdict
	}
}

// TestTheItemGrowsWithItsFields computes the size of an item from its attributes and
// holds it against the write units that DynamoDB Local takes for it.
func TestTheItemGrowsWithItsFields(t *testing.T) {
	p := start(t)
	name := table(t, p.url)
	api := dynamo.NewClient(config(p.url))
	for _, n := range []int{1, 3, 18, 30, 33, 34, 35, 36, 37, 38, 39, 40, 60, 80, 120, 200} {
		subject, changed := tracked(t, dynamo.New(api, name), n)
		if v := changed(1, codes(n)...); v != verdict.Applied {
			t.Fatalf("%d fields: %s", n, v)
		}
		key := map[string]types.AttributeValue{dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: guard.Key("customer-erp", org, subject)}}
		got, err := api.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		size := itemSize(t, got.Item)
		// The same item once more as a plain put: what DynamoDB counts for it.
		put, err := api.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: got.Item, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
		if err != nil {
			t.Fatal(err)
		}
		units := *put.ConsumedCapacity.CapacityUnits
		p.set(settings{Units: true})
		if v := changed(2, "f0"); v != verdict.Applied {
			t.Errorf("%d fields: a later change: %s", n, v)
		}
		later := p.take()
		p.set(settings{})
		t.Logf("%3d fields: %4d bytes, %v write units for a put, %v for a fresh change", n, size, units, later.Units)
		if want := float64((size + 1023) / 1024); units != want || later.Units < 2*want || later.Units > 2*(want+1) {
			t.Errorf("%d fields: %d bytes are %v units, a change %v; DynamoDB took %v", n, size, want, later.Units, units)
		}
	}
}

// TestAnItemOfEachPolicyIsOneUnit measures what most items are: one change, done.
func TestAnItemOfEachPolicyIsOneUnit(t *testing.T) {
	p := start(t)
	name := table(t, p.url)
	api := dynamo.NewClient(config(p.url))
	for which, c := range contenders[:3] {
		do, err := c.open(config(p.url), name)
		if err != nil {
			t.Fatal(err)
		}
		subject := record(which, 1)
		if got, err := do(t.Context(), subject, yes); got != applied {
			t.Fatal(got, err)
		}
		key := map[string]types.AttributeValue{dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: guard.Key("customer-erp", org, subject)}}
		got, err := api.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		size := itemSize(t, got.Item)
		t.Logf("%s: %d bytes", c.name, size)
		if size == 0 || size > 1024 {
			t.Errorf("%s: an item of %d bytes", c.name, size)
		}
	}
}

// TestManyFieldsAtOnce: DynamoDB takes 300 operators and 4 KB an expression (Developer
// Guide, "Service quotas"). Changes beyond that go without the field term in the claim
// and are decided from the returned item; fresh, duplicate, stale and partly stale ones
// come out the same.
func TestManyFieldsAtOnce(t *testing.T) {
	p := start(t)
	store := dynamo.New(dynamo.NewClient(config(p.url)), table(t, p.url))
	for _, n := range []int{69, 70, 71, 80, 85, 120, 200} {
		_, changed := tracked(t, store, n)
		all := codes(n)
		for _, step := range []struct {
			what     string
			version  byte
			fields   []string
			want     verdict.Verdict
			requests []int // fewest, most
		}{
			{"fresh", 5, all, verdict.Applied, []int{2, 2}},
			{"the same again", 5, all, verdict.Duplicate, []int{1, 2}},
			{"older", 4, all, verdict.Stale, []int{1, 2}},
			{"newer, one field", 7, all[:1], verdict.Applied, []int{2, 2}},
			{"between the two", 6, all, verdict.PartlyStale, []int{2, 2}},
			{"newer, all", 8, all, verdict.Applied, []int{2, 2}},
		} {
			p.take()
			got := changed(step.version, step.fields...)
			c := p.take()
			if got != step.want || c.total() < step.requests[0] || c.total() > step.requests[1] {
				t.Errorf("%d fields, %s: %s with %v, want %s with %v requests", n, step.what, got, c.Requests, step.want, step.requests)
			}
			if step.want == verdict.Duplicate {
				t.Logf("%d fields: %d requests for a duplicate", n, c.total())
			}
		}
	}
}
