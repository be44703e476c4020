package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

const opportunity = "0065f00000ABCDEAA5"

// book is a billing system that issues an invoice for each opportunity.
type book struct{ *consumertest.Sink }

func newBook() book {
	return book{consumertest.NewSink(sink.Contract{KeyWindow: 20 * time.Hour, Lookup: true})}
}

func (b book) Issue(_ context.Context, ref sink.Ref, inv billing.Invoice) (sink.Receipt, error) {
	return b.Do(ref, inv.OpportunityID, inv)
}

// links answers for customer-billing.
type links map[string]string

func (l links) Link(_ context.Context, owner, org string, k consumer.Key) (string, error) {
	return l[owner+"#"+org+"#"+k.String()], nil
}

var known = links{"customer-billing#00D5f000005KcCnEAK#Account/0015f00002J9YYEAA3": "cus_1"}

// merges are accounts that were merged into another one, or deleted (empty).
type merges map[string]string

func (m merges) MergedInto(_ context.Context, _, id string) (into string, gone bool, err error) {
	into, gone = m[id]
	return into, gone && into == "", nil
}

// bill is the consumer under test.
func bill(b book, l consumer.LinkReader) consumer.Definition {
	return functions.OpportunityBilling(b, l, merges{}, functions.Deals{WonStages: []string{"Closed Won"}})
}

func won(event, amount, lines string) []byte {
	return consumertest.PlatformEvent("Opportunity_Won__e", 1, map[string]any{
		"Event_Id__c": "e981b488-81f3-4fcc-bd6f-f7033c9d7a" + event, "Record_Id__c": opportunity, "Account_Id__c": account,
		"Record_Modified_At__c": consumertest.At(0), "Name__c": "Pilot", "Amount__c": json.RawMessage(amount), "Currency__c": "EUR",
		"Close_Date__c": "2026-11-22", "Payment_Terms_Days__c": json.RawMessage("30.0"), "Lines__c": lines,
	})
}

func stage(kind string, changed []string, fields map[string]any) []byte {
	return consumertest.Change{Object: "Opportunity", Kind: kind, IDs: []string{opportunity}, Second: 2, Fields: fields, Changed: changed}.Event()
}

const oneLine = `[{"sku":"A-1","description":"Licence","quantity":3,"unitPrice":19.99}]`

// otherWon is another opportunity that was won.
func otherWon() []byte {
	return consumertest.PlatformEvent("Opportunity_Won__e", 3, map[string]any{
		"Record_Id__c": "0065f00000ABCDFAA5", "Account_Id__c": account, "Record_Modified_At__c": consumertest.At(3),
		"Amount__c": 10, "Currency__c": "EUR",
	})
}

func TestAWonOpportunityIsBilledOnce(t *testing.T) {
	b := newBook()
	kit := consumertest.New(t, bill(b, known))
	kit.Duplicate(2).Send(won("01", "59.97", oneLine)).Send(won("02", "59.97", oneLine), won("03", "60", oneLine))
	kit.Want("applied", "duplicate", "duplicate", "duplicate")
	if len(b.Took()) != 1 {
		t.Fatalf("%d invoices", len(b.Took()))
	}
	inv := b.Took()[0].Body.(billing.Invoice)
	if inv.OpportunityID != "0065f00000ABCDEAA5" || inv.CustomerLink != "cus_1" || inv.Total.Amount.String() != "59.97" ||
		inv.Total.Currency != "EUR" || inv.DueDays != 30 || inv.CloseDate.Format("2006-01-02") != "2026-11-22" ||
		len(inv.Lines) != 1 || inv.Lines[0].UnitPrice.String() != "19.99" || inv.Lines[0].Quantity.String() != "3" || !inv.RecordTime.Equal(consumertest.Start) {
		t.Fatalf("%+v", inv)
	}
	// The same fact with another amount is not billed, and not hidden either.
	if p := kit.Parked(); len(p) != 1 || p[0].Class != "changed-after-done" {
		t.Fatalf("parked %+v", p)
	}
}

func TestWithoutACustomerItWaits(t *testing.T) {
	b, none := newBook(), links{}
	kit := consumertest.New(t, bill(b, none))
	kit.Send(won("01", "59.97", oneLine))
	// It waits in the buffer for as long as that keeps it, and then in the failure queue.
	if p := kit.Parked(); len(p) != 1 || p[0].Class != "dependency-missing" || len(kit.Lines()) < 5*24*3 {
		t.Fatalf("parked %+v after %d tries", p, len(kit.Lines()))
	}
	for k, v := range known {
		none[k] = v
	}
	kit.Redrive()
	if len(b.Took()) != 1 || len(kit.Parked()) != 0 {
		t.Fatalf("%d invoices after the customer came", len(b.Took()))
	}
}

// broken cannot be read, e.g. for want of a permission.
type broken struct{}

func (broken) Link(context.Context, string, string, consumer.Key) (string, error) {
	return "", errors.New("access denied")
}

func TestALinkThatCannotBeReadIsNotAMissingCustomer(t *testing.T) {
	b := newBook()
	kit := consumertest.New(t, bill(b, broken{}))
	kit.Send(won("01", "59.97", oneLine))
	if l := kit.Lines()[0]; l.Verdict != "failed" || l.Class != "unfinished" || len(b.Took()) != 0 {
		t.Fatalf("line %+v", l)
	}
}

func TestAChangeEventThatTurnsWonLacksTheLines(t *testing.T) {
	b := newBook()
	kit := consumertest.New(t, bill(b, known))
	kit.Pass(3 * time.Minute) // nobody waits for another event of a fact so old
	kit.Send(
		stage("UPDATE", []string{"Amount"}, map[string]any{"Amount": 5}),
		stage("UPDATE", []string{"StageName"}, map[string]any{"StageName": "Negotiation"}),
		stage("UPDATE", []string{"Amount"}, map[string]any{"Amount": 5, "StageName": "Closed Won"}), // enriched: the stage did not change now
		stage("UPDATE", []string{"StageName"}, map[string]any{"StageName": "Closed Won"}),
		stage("CREATE", nil, map[string]any{"StageName": "Closed Won"}),
		stage("DELETE", nil, nil),
	)
	kit.Want("ignored", "ignored", "ignored", "parked", "parked", "ignored")
	if p := kit.Parked()[0]; p.Class != "needs-snapshot" || p.Records[0] != opportunity {
		t.Fatalf("parked %+v", p)
	}
	// The item was not touched: the event with the lines goes through, and then a change
	// event that turns won again is a duplicate.
	kit.Send(won("01", "59.97", oneLine), stage("UPDATE", []string{"StageName"}, map[string]any{"StageName": "Closed Won"}))
	if l := kit.Lines(); l[6].Verdict != "applied" || l[6].Attempt != 1 || l[7].Verdict != "duplicate" {
		t.Fatalf("lines %+v", l[6:])
	}
}

// The platform event of a won deal comes over another relay: a moment before its change
// event, or after it.
func TestAChangeEventWaitsForItsPlatformEvent(t *testing.T) {
	turned := stage("UPDATE", []string{"StageName"}, map[string]any{"StageName": "Closed Won"})
	b := newBook()
	kit := consumertest.New(t, bill(b, known))
	kit.SendBatch(turned, won("01", "59.97", oneLine)) // one batch of a buffer, the change event first
	kit.Want("failed", "applied", "duplicate")
	if n := len(kit.Parked()); n != 0 || len(b.Took()) != 1 {
		t.Errorf("%d parked, %d invoices", n, len(b.Took()))
	}
	if l := kit.Lines()[0]; l.Class != "needs-snapshot" || l.Attempt != 0 {
		t.Errorf("while it waits: %+v", l)
	}
	// Alone it is parked, after two minutes.
	kit = consumertest.New(t, bill(newBook(), known))
	kit.Send(turned)
	kit.Want("failed", "parked")
}

// A deal is won when Salesforce says so, whatever the stage is called; a stage that
// closes a deal and is on no list leaves a trace.
func TestWonByIsWon(t *testing.T) {
	for _, tc := range []struct {
		fields  map[string]any
		verdict verdict.Verdict
	}{
		{map[string]any{"StageName": "Gewonnen", "IsWon": true, "IsClosed": true}, verdict.Parked},
		{map[string]any{"StageName": "Verloren", "IsWon": false, "IsClosed": true}, verdict.Ignored},
		{map[string]any{"StageName": "Abgeschlossen", "IsClosed": true}, verdict.Parked},
		{map[string]any{"StageName": "Verhandlung", "IsWon": false, "IsClosed": false}, verdict.Ignored},
	} {
		kit := consumertest.New(t, bill(newBook(), known))
		kit.Pass(3 * time.Minute)
		kit.Send(stage("UPDATE", slices.Sorted(maps.Keys(tc.fields)), tc.fields), stage("CREATE", nil, tc.fields))
		kit.Want(tc.verdict, tc.verdict)
	}
}

// A line that cannot be read is refused with the name of what is wrong in it.
func TestLinesAreReadStrictly(t *testing.T) {
	for lines, says := range map[string]string{
		`[{"quantity":1,"unit_price":10}]`:                 `in line 1 the member "unit_price", which nobody reads`,
		`[{"quantity":1,"unitPrice":1},{"quantity":2}]`:    "no unitPrice in line 2",
		`[{"unitPrice":1}]`:                                "no quantity in line 1",
		`[{"quantity":1,"unitPrice":59.97,"discount":10}]`: `the member "discount"`,
		`[{"quantity":1,"quantity":2,"unitPrice":59.97}]`:  "is not a list of lines",
		`[{"quantity":1,"UnitPrice":59.97}]`:               `the member "UnitPrice"`,
		`{"quantity":1,"unitPrice":59.97}`:                 "is not a list of lines",
	} {
		kit := consumertest.New(t, bill(newBook(), known))
		kit.Send(won("01", "59.97", lines))
		kit.Want("parked")
		if p := kit.Parked()[0]; p.Class != "permanent/invalid-field" || !strings.Contains(p.Error, says) {
			t.Errorf("%s: %s %s", lines, p.Class, p.Error)
		}
	}
}

func TestWhatCannotBeBilledIsNamed(t *testing.T) {
	for want, event := range map[string][]byte{
		"permanent/invalid-field":    won("01", "59.97", "not JSON"),
		"permanent/missing-field":    won("01", "null", oneLine),
		"permanent/invalid-event-id": won("not-hexadecimal", "59.97", oneLine),
	} {
		b := newBook()
		kit := consumertest.New(t, bill(b, known))
		kit.Send(event)
		if p := kit.Parked(); len(p) != 1 || string(p[0].Class) != want || len(b.Took()) != 0 {
			t.Errorf("parked %d, issued %d, want one parked as %s", len(p), len(b.Took()), want)
		}
	}
}
