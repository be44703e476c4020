package functions_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/billing"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

const (
	account = "0015f00002J9YYEAA3"
	another = "0015f00002J9YYFAA3"
)

// register is a billing system without versions: the guard alone keeps order.
type register struct{ *consumertest.Sink }

func newRegister() register {
	return register{consumertest.NewSink(sink.Contract{KeyWindow: 20 * time.Hour, Lookup: true})}
}

func (r register) Save(_ context.Context, ref sink.Ref, id string, c billing.Customer) (sink.Receipt, error) {
	return r.Patch(ref, id, c)
}

func (r register) Retire(_ context.Context, ref sink.Ref, id string) (sink.Receipt, error) {
	return r.Delete(ref, id)
}

// ledger is an ERP that refuses what is older.
type ledger struct{ *consumertest.Sink }

func newLedger() ledger {
	return ledger{consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true})}
}

func (l ledger) Put(_ context.Context, ref sink.Ref, id string, c erp.Customer) (sink.Receipt, error) {
	return l.Sink.Put(ref, id, c)
}

func (l ledger) Patch(_ context.Context, ref sink.Ref, id string, c erp.Customer) (sink.Receipt, error) {
	return l.Sink.Patch(ref, id, c)
}

func (l ledger) Delete(_ context.Context, ref sink.Ref, id string) (sink.Receipt, error) {
	return l.Sink.Delete(ref, id)
}

// phone is a change event of the phone number in the given second.
func phone(second int, number string) []byte {
	return consumertest.Update("Account", account, second, map[string]any{"Phone": number})
}

// customerSync is a platform event with the name and phone of the given second.
func customerSync(second int, name, number string) []byte {
	return consumertest.PlatformEvent("Cloud_Customer_Sync__e", second, map[string]any{
		"Record_Id__c": account, "Operation__c": "UPSERT", "Record_Modified_At__c": consumertest.At(second), "Name__c": name, "Phone__c": number,
	})
}

// life is what happens to two accounts, in the order of the commits.
func life() [][]byte {
	return [][]byte{
		consumertest.Create("Account", account, 1, map[string]any{
			"Name": "Example Ltd", "Phone": "1", "BillingAddress.City": "Bern", "BillingAddress.Country": "CH",
		}),
		consumertest.Create("Account", another, 2, map[string]any{"Name": "Other Ltd"}),
		consumertest.Update("Account", account, 3, map[string]any{"Phone": "2", "BillingAddress.City": nil}),
		customerSync(4, "Example AG", "4"),
		consumertest.Delete("Account", another, 5),
		consumertest.Update("Account", account, 6, map[string]any{"Phone": "6"}),
		consumertest.Undelete("Account", another, 7, map[string]any{"Name": "Other AG", "Phone": "7"}),
		consumertest.Delete("Account", another, 8),
	}
}

func TestEveryFieldOfACustomerIsAsNewAsTheNewestChangeOfIt(t *testing.T) {
	r, l := newRegister(), newLedger()
	consumertest.New(t, functions.CustomerBilling(r)).Shuffle(1).Send(life()...)
	consumertest.New(t, functions.CustomerERP(l)).Shuffle(1).Send(life()...)
	for system, state := range map[string]string{"billing": r.State(), "the ERP": l.State()} {
		lines := strings.Split(state, "\n")
		for _, want := range []string{`Name="Example AG"`, `Phone="6"`, `Country="CH"`, "City=null"} {
			if !strings.HasPrefix(lines[0], account) || !strings.Contains(lines[0], want) {
				t.Errorf("%s ends without %s:\n%s", system, want, state)
			}
		}
		if lines[1] != another+": gone" {
			t.Errorf("%s ends with the deleted account:\n%s", system, state)
		}
	}
}

// Within a second the change event wins: it says what was committed.
func TestWithinASecondTheChangeEventWins(t *testing.T) {
	for seed := range uint64(20) {
		r := newRegister()
		consumertest.New(t, functions.CustomerBilling(r)).Duplicate(2).Shuffle(seed).Send(phone(5, "five"), customerSync(5, "Example AG", "5"))
		if s := r.State(); !strings.Contains(s, `Phone="five"`) || !strings.Contains(s, `Name="Example AG"`) {
			t.Fatalf("seed %d: billing ends with %s", seed, s)
		}
	}
}

// The ERP gets full states as PUT, parts as PATCH, and no delete twice.
func TestWhatTheERPIsAsked(t *testing.T) {
	l := newLedger()
	kit := consumertest.New(t, functions.CustomerERP(l))
	gone := consumertest.Delete("Account", account, 5)
	kit.Send(
		consumertest.Create("Account", account, 1, map[string]any{"Name": "Example Ltd"}), phone(2, "2"), gone, gone,
		phone(4, "too late"), consumertest.Update("Account", account, 6, map[string]any{"Description": "not read here"}),
	)
	kit.Want("applied", "applied", "applied", "duplicate", "stale", "ignored")
	var asked []string
	for _, r := range l.Took() {
		asked = append(asked, r.Method)
	}
	if got := strings.Join(asked, " "); got != "PUT PATCH DELETE" {
		t.Errorf("the ERP was asked %s", got)
	}
}

func TestTheLinkIsRememberedInTheItem(t *testing.T) {
	r := newRegister()
	consumertest.New(t, functions.CustomerBilling(r)).Send(customerSync(1, "Example Ltd", "1"), phone(2, "2"))
	var links []string
	for _, q := range r.Took() {
		links = append(links, q.Ref.Link)
	}
	if fmt.Sprint(links) != "[ link-"+account+"]" {
		t.Fatalf("links handed to the connector: %q", links)
	}
}

func TestAThinEventIsParkedForAFetch(t *testing.T) {
	kit := consumertest.New(t, functions.CustomerBilling(newRegister()))
	kit.Send(consumertest.PlatformEvent("Cloud_Customer_Sync__e", 1, map[string]any{
		"Record_Id__c": account, "Operation__c": "UPSERT", "Payload_Style__c": "THIN", "Record_Modified_At__c": consumertest.At(0),
	}))
	kit.Want("parked")
	if p := kit.Parked()[0]; p.Class != "needs-fetch" {
		t.Fatalf("parked %+v", p)
	}
}

func TestAPlatformEventPublishedTwoMinutesLate(t *testing.T) {
	// Saved at :10, published two minutes later; the phone changed at :30.
	late := consumertest.PlatformEvent("Cloud_Customer_Sync__e", 130, map[string]any{
		"Record_Id__c": account, "Record_Modified_At__c": consumertest.At(10), "Name__c": "Example Ltd", "Phone__c": "old",
	})
	for seed := range uint64(20) {
		r := newRegister()
		consumertest.New(t, functions.CustomerBilling(r)).Shuffle(seed).Send(late, phone(30, "new"))
		if s := r.State(); !strings.Contains(s, `Phone="new"`) || !strings.Contains(s, `Name="Example Ltd"`) {
			t.Fatalf("seed %d: billing ends with %s", seed, s)
		}
	}
}

func TestAGapInTheSecondOfAnotherChange(t *testing.T) {
	gap := consumertest.Change{Object: "Account", Kind: "GAP_UPDATE", IDs: []string{account}, Second: 5}.Event()
	for seed := range uint64(20) {
		r := newRegister()
		kit := consumertest.New(t, functions.CustomerBilling(r)).Shuffle(seed)
		kit.Send(customerSync(1, "Example Ltd", "1"), phone(5, "five"), gap)
		if s := r.State(); !strings.Contains(s, `Phone="five"`) {
			t.Fatalf("seed %d: billing ends with %s", seed, s)
		}
		if p := kit.Parked(); len(p) != 1 || p[0].Class != "needs-fetch" {
			t.Fatalf("seed %d: parked %+v", seed, p)
		}
	}
}

// A field value never gets into a line or a reason.
func TestNoValueOfACustomerIsLogged(t *testing.T) {
	kit := consumertest.New(t, functions.CustomerBilling(newRegister()))
	kit.Send(consumertest.Create("Account", account, 1, map[string]any{"Name": "Confidential", "Phone": []string{"Confidential"}}))
	kit.Want("parked")
	for _, l := range kit.Lines() {
		if bytes.Contains(fmt.Append(nil, l), []byte("Confidential")) {
			t.Errorf("line %+v", l)
		}
	}
}
