package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

const opportunity = "0065f00000ABCDEAA5"

// book is a billing system that issues whatever it is asked.
type book struct{ issued []billing.Invoice }

func (b *book) Contract() sink.Contract { return sink.Contract{KeyWindow: 72e12, Lookup: true} }

func (b *book) Issue(_ context.Context, _ sink.Ref, inv billing.Invoice) (sink.Receipt, error) {
	b.issued = append(b.issued, inv)
	return sink.Receipt{Link: "in_1"}, nil
}

// links answers for customer-billing.
type links map[string]string

func (l links) Link(_ context.Context, consumer, org, subject string) (string, error) {
	return l[consumer+"#"+org+"#"+subject], nil
}

var known = links{"customer-billing#00D5f000005KcCnEAK#Account/0015f00002J9YYEAA3": "cus_1"}

func envelope(detailType, payload string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":%q,
		"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012",
		"time":"2026-11-22T11:00:59Z","region":"eu-west-1","resources":[],"detail":{"payload":%s}}`, detailType, payload)
}

func won(event, amount, lines string) []byte {
	return envelope("Opportunity_Won__e", fmt.Sprintf(`{"CreatedDate":"2026-11-22T11:00:01.000Z",
		"Event_Id__c":"e981b488-81f3-4fcc-bd6f-f7033c9d7a%s","Record_Id__c":%q,"Account_Id__c":"0015f00002J9YYEAA3",
		"Record_Modified_At__c":"2026-11-22T11:00:00.000Z","Name__c":"Pilot","Amount__c":%s,"Currency__c":"EUR",
		"Close_Date__c":"2026-11-22","Payment_Terms_Days__c":30.0,"Lines__c":%q}`, event, opportunity, amount, lines))
}

func stage(kind, changed, body string) []byte {
	return envelope("OpportunityChangeEvent", fmt.Sprintf(`{"ChangeEventHeader":{"entityName":"Opportunity","recordIds":[%q],
		"changeType":%q,"changedFields":%s,"changeOrigin":"","transactionKey":"0001ade9-3f74-0b99-dbc4-42e73424b774",
		"sequenceNumber":1,"commitTimestamp":1795345200000,"commitNumber":1745500706683617281,"commitUser":"0055f000005mc66AAA"}%s}`,
		opportunity, kind, changed, body))
}

const oneLine = `[{"sku":"A-1","description":"Licence","quantity":3,"unitPrice":19.99}]`

func TestAWonOpportunityIsBilledOnce(t *testing.T) {
	b := &book{}
	kit := consumertest.New(t, invoice(b, known, []string{"Closed Won"}))
	kit.Duplicate(2).Send(won("01", "59.97", oneLine)).Send(won("02", "59.97", oneLine), won("03", "60", oneLine))
	kit.Want("applied", "duplicate", "duplicate", "duplicate")
	if len(b.issued) != 1 {
		t.Fatalf("%d invoices", len(b.issued))
	}
	inv := b.issued[0]
	if inv.OpportunityID != "0065f00000ABCDEAA5" || inv.CustomerLink != "cus_1" || inv.Total.Amount.String() != "59.97" ||
		inv.Total.Currency != "EUR" || inv.DueDays != 30 || inv.CloseDate.Format("2006-01-02") != "2026-11-22" ||
		len(inv.Lines) != 1 || inv.Lines[0].UnitPrice.String() != "19.99" || inv.Lines[0].Quantity.String() != "3" {
		t.Fatalf("%+v", inv)
	}
	// The same fact with another amount is not billed, and not hidden either.
	if p := kit.Parked(); len(p) != 1 || p[0].Class != "changed-after-done" {
		t.Fatalf("parked %+v", p)
	}
}

func TestWithoutACustomerItWaits(t *testing.T) {
	b, none := &book{}, links{}
	kit := consumertest.New(t, invoice(b, none, []string{"Closed Won"}))
	kit.Send(won("01", "59.97", oneLine))
	kit.Want("failed", "failed", "failed")
	if l := kit.Lines()[2]; l.Class != "dependency-missing" || kit.Failed() != 1 || len(kit.Parked()) != 0 {
		t.Fatalf("line %+v", l)
	}
	for k, v := range known {
		none[k] = v
	}
	kit.Redrive()
	if len(b.issued) != 1 || kit.Failed() != 0 {
		t.Fatalf("%d invoices after the customer came", len(b.issued))
	}
}

// broken cannot be read, e.g. for want of a permission.
type broken struct{}

func (broken) Link(context.Context, string, string, string) (string, error) {
	return "", errors.New("access denied")
}

func TestALinkThatCannotBeReadIsNotAMissingCustomer(t *testing.T) {
	b := &book{}
	kit := consumertest.New(t, invoice(b, broken{}, []string{"Closed Won"}))
	kit.Send(won("01", "59.97", oneLine))
	kit.Want("failed", "failed", "failed")
	if l := kit.Lines()[2]; l.Class != "unfinished" || len(b.issued) != 0 {
		t.Fatalf("line %+v", l)
	}
}

func TestAChangeEventThatTurnsWonLacksTheLines(t *testing.T) {
	b := &book{}
	kit := consumertest.New(t, invoice(b, known, []string{"Closed Won"}))
	kit.Send(
		stage("UPDATE", `["Amount"]`, `,"Amount":5`),
		stage("UPDATE", `["StageName"]`, `,"StageName":"Negotiation"`),
		stage("UPDATE", `["Amount"]`, `,"Amount":5,"StageName":"Closed Won"`), // enriched: the stage did not change now
		stage("UPDATE", `["StageName"]`, `,"StageName":"Closed Won"`),
		stage("CREATE", `[]`, `,"StageName":"Closed Won"`),
		stage("DELETE", `[]`, ""),
	)
	kit.Want("ignored", "ignored", "ignored", "parked", "parked", "ignored")
	if p := kit.Parked()[0]; p.Class != "needs-snapshot" || p.Records[0] != opportunity {
		t.Fatalf("parked %+v", p)
	}
	// The item was not touched: the event with the lines goes through, and then a change
	// event that turns won again is a duplicate.
	kit.Send(won("01", "59.97", oneLine), stage("UPDATE", `["StageName"]`, `,"StageName":"Closed Won"`))
	if l := kit.Lines(); l[6].Verdict != "applied" || l[6].Attempt != 1 || l[7].Verdict != "duplicate" {
		t.Fatalf("lines %+v", l[6:])
	}
}

func TestWhatCannotBeBilledIsNamed(t *testing.T) {
	for want, event := range map[verdict.Class][]byte{
		"permanent/invalid-field":    won("01", "59.97", "not JSON"),
		"permanent/missing-field":    won("01", "null", oneLine),
		"permanent/invalid-event-id": won("not-hexadecimal", "59.97", oneLine),
	} {
		b := &book{}
		kit := consumertest.New(t, invoice(b, known, nil))
		kit.Send(event)
		if p := kit.Parked(); len(p) != 1 || p[0].Class != want || len(b.issued) != 0 {
			t.Errorf("parked %d, issued %d, want one parked as %s", len(p), len(b.issued), want)
		}
	}
}
