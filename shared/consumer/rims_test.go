package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/verdict"
)

// manyIDs are the ids of n accounts.
func manyIDs(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	for i := range n {
		full, err := salesforce.ID18(fmt.Sprintf("0015f0000%06d", i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, full)
	}
	return ids
}

// Salesforce merges equal changes of a transaction into one event of up to 200 records:
// one that concerns nobody costs nothing, and neither does our own echo.
func TestAMassUpdateThatConcernsNobodyCostsNothing(t *testing.T) {
	ids := id(manyIDs(t, 200)...)
	k := consumertest.New(t, accounts(fenced()), consumertest.In(func(e *consumer.Env) { e.ClientName = "sfrelay" }))
	k.Send(change("UPDATE", 1, ids, `["OwnerId","LastModifiedDate"]`, `"OwnerId":"0055f000005mc66AAA"`))
	if n := len(k.Parked()); n != 0 {
		t.Errorf("%d messages for a change that nobody reads", n)
	}
	if l := k.Lines(); len(l) != 1 || l[0].Verdict != "ignored" || l[0].Records != 200 || l[0].GuardRequests != 0 {
		t.Errorf("lines %+v", l)
	}
}

// What was done has its line, even if the invocation dies at what comes next.
func TestALineIsWrittenWhenItsChangeIsDone(t *testing.T) {
	var log bytes.Buffer
	def := accounts(fenced())
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
		if !strings.Contains(log.String(), `"class":"permanent/unknown-operation"`) {
			t.Errorf("no line yet of the change before:\n%s", log.String())
		}
		return sink.Receipt{}, nil
	}
	a, err := consumer.New(def, consumer.Env{
		Store: &memory.Store{}, Log: telemetry.New(&log, "test", 0), Park: func(context.Context, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Handle(t.Context(), batchOf(sync1(1, `,"Operation__c":"MERGE"`), change("CREATE", 2, id(account), "[]", `"Name":"x"`))); err != nil {
		t.Fatal(err)
	}
}

// batchOf is an SQS batch.
func batchOf(events ...[]byte) []byte {
	var records []string
	for i, e := range events {
		records = append(records, fmt.Sprintf(`{"messageId":"m%d","receiptHandle":"r","body":%q,"eventSource":"aws:sqs",
			"eventSourceARN":"arn:aws:sqs:eu-west-1:123456789012:buffer","attributes":{"ApproximateReceiveCount":"1"}}`, i, e))
	}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

// What Lambda writes into the failure queue, when its retries are used up, is the text of
// this error.
func TestWhatLambdaIsToldNamesTheFirstChange(t *testing.T) {
	def := answering(sink.Contract{Fenced: true}, sink.NotYet(verdict.DependencyMissing, "the account has no customer yet"))
	a := build(t, def, &bytes.Buffer{})
	_, err := a.Handle(t.Context(), change("CREATE", 1, id(account), "[]", `"Name":"Confidential"`))
	e, ok := errors.AsType[*consumer.RetryError](err)
	if !ok || e.Class != verdict.DependencyMissing || e.Subject != "Account/"+account {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"dependency-missing: 1 changes of event", "first Account/" + account, "the account has no customer yet"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "Confidential") {
		t.Errorf("a field value is in %q", err)
	}
}

// The same fact in another spelling is the same content.
func TestRefsAreNormalisedWhenTheyAreRead(t *testing.T) {
	type order struct {
		Account string             `event:"Account_Id__c,required" ref:"Account"`
		Due     consumer.Date      `event:"Due__c"`
		Note    sink.Field[string] `event:"Note__c"`
	}
	s := consumertest.NewSink(sink.Contract{UniqueKey: true})
	k := consumertest.New(t, consumer.Action[order]{
		Name: "orders", Events: []consumer.PlatformEvent{{Name: "Order__e"}}, To: s,
		Once: consumer.PerKey(func(o order) consumer.Key { return consumer.KeyOf("order", o.Account) }),
		Do: func(_ context.Context, ref sink.Ref, c consumer.Change[order]) (sink.Receipt, error) {
			return s.Do(ref, c.Content.Account, c.Content)
		},
	})
	event := func(second int, account, due, note any) []byte {
		return consumertest.PlatformEvent("Order__e", second, map[string]any{"Account_Id__c": account, "Due__c": due, "Note__c": note})
	}
	midnight := int64(1795305600000) // 2026-11-22T00:00:00Z
	k.Send(
		event(1, "0015f00002J9YYE", "2026-11-22", 5),
		event(2, account, "2026-11-22T10:00:00.000Z", 5.0),
		event(3, account, midnight, "5"),
		event(4, "0035f00002J9YYE", nil, nil), event(5, account, 1795305600, nil), event(6, account, "tomorrow", nil),
	)
	k.Want("applied", "duplicate", "duplicate", "parked", "parked", "parked")
	for i, want := range []string{"permanent/invalid-record-id", "permanent/invalid-field", "permanent/invalid-field"} {
		if p := k.Parked()[i]; string(p.Class) != want {
			t.Errorf("%s (%s), want %s", p.Class, p.Error, want)
		}
	}
	if o := k.Took()[0].Body.(order); o.Account != account || o.Due.Format("2006-01-02") != "2026-11-22" || o.Note != sink.Set("5") {
		t.Errorf("read as %+v", o)
	}
}
