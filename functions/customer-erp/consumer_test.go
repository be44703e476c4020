package main

import (
	"context"
	"fmt"
	"testing"

	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

const account = "0015f00002J9YYEAA3"

// ledger is an ERP that merges as RFC 7396 says and notes what it was asked.
type ledger struct {
	asked []string
	last  erp.Customer
}

func (l *ledger) Contract() sink.Contract { return sink.Contract{Fenced: true, Versioned: true} }

func (l *ledger) Put(_ context.Context, _ sink.Ref, _ string, c erp.Customer) (sink.Receipt, error) {
	l.asked, l.last = append(l.asked, "PUT"), c
	return sink.Receipt{}, nil
}

func (l *ledger) Patch(_ context.Context, _ sink.Ref, _ string, c erp.Customer) (sink.Receipt, error) {
	l.asked = append(l.asked, "PATCH")
	if c.Phone.Present {
		l.last.Phone = c.Phone
	}
	if c.BillingAddress.City.Present {
		l.last.BillingAddress.City = c.BillingAddress.City
	}
	return sink.Receipt{}, nil
}

func (l *ledger) Delete(context.Context, sink.Ref, string) (sink.Receipt, error) {
	l.asked = append(l.asked, "DELETE")
	return sink.Receipt{}, nil
}

func accountChange(kind string, second int, changed, body string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":"AccountChangeEvent",
		"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012",
		"time":"2026-11-22T11:00:59Z","region":"eu-west-1","resources":[],"detail":{"payload":{"ChangeEventHeader":{
		"entityName":"Account","recordIds":[%q],"changeType":%q,"changedFields":%s,"changeOrigin":"",
		"transactionKey":"0001ade9-3f74-0b99-dbc4-42e73424b77%d","sequenceNumber":1,"commitTimestamp":17953452%02d000,
		"commitNumber":1745500706683617%03d,"commitUser":"0055f000005mc66AAA"}%s}}}`, account, kind, changed, second, second, second, body)
}

func TestEveryFieldIsAsNewAsTheNewestChangeOfIt(t *testing.T) {
	for seed := range uint64(50) {
		erp := &ledger{}
		consumertest.New(t, customer(erp)).Duplicate(2).Shuffle(seed).Send(
			accountChange("CREATE", 1, "[]", `,"Name":"Example Ltd","Phone":"1","BillingAddress":{"City":"Bern","Country":"CH"}`),
			accountChange("UPDATE", 2, `["Phone","BillingAddress.City"]`, `,"Phone":"2","BillingAddress":{"City":null}`),
			accountChange("UPDATE", 3, `["Phone"]`, `,"Phone":"3"`),
			accountChange("UPDATE", 4, `["Description"]`, `,"Description":"not read here"`),
		)
		if erp.last.Phone != sink.Set("3") || erp.last.BillingAddress.City != sink.Clear[string]() {
			t.Fatalf("seed %d: the ERP ends with %+v after %v", seed, erp.last, erp.asked)
		}
	}
}

func TestADeletedAccountIsDeletedOnce(t *testing.T) {
	erp := &ledger{}
	kit := consumertest.New(t, customer(erp))
	kit.Send(accountChange("CREATE", 1, "[]", `,"Name":"Example Ltd"`))
	kit.Duplicate(3).Send(accountChange("DELETE", 2, "[]", ""))
	kit.Want("applied", "applied", "duplicate", "duplicate")
	if fmt.Sprint(erp.asked) != "[PUT DELETE]" {
		t.Fatalf("asked %v", erp.asked)
	}
}
