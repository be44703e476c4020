package functions_test

import (
	"context"
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

// deal is the won opportunity as the org knows it, with two lines, one of them discounted.
func deal(amount string) map[string]any {
	return map[string]any{
		"StageName": "Closed Won", "IsWon": true, "IsClosed": true, "LastStageChangeDate": consumertest.At(2),
		"AccountId": account, "Name": "Pilot", "Amount": figure(amount), "CurrencyIsoCode": "EUR", "CloseDate": "2026-11-22", "Payment_Terms_Days__c": figure("30.0"),
		"OpportunityLineItems": []map[string]any{
			{"ProductCode": "A-1", "Product2.Name": "Licence", "Quantity": figure("3.0"), "UnitPrice": figure("20.0"), "TotalPrice": figure("60.0")},
			{"ProductCode": nil, "Product2.Name": "Set-up", "Quantity": figure("1.0"), "UnitPrice": figure("50.0"), "TotalPrice": figure("40.0")},
		},
	}
}

type figure string

func (n figure) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func wonChange(second int) []byte {
	return consumertest.Change{Object: "Opportunity", Kind: "UPDATE", IDs: []string{opportunity}, Second: second,
		Fields: map[string]any{"StageName": "Closed Won", "LastModifiedDate": consumertest.At(second)}}.Event()
}

func wonEvent(second int, amount string) []byte {
	return consumertest.PlatformEvent("Opportunity_Won__e", second, map[string]any{
		"Record_Id__c": opportunity, "Account_Id__c": account, "Record_Modified_At__c": consumertest.At(second), "Amount__c": figure(amount), "Currency__c": "EUR"})
}

func dealt(t *testing.T, m consumer.Merges, l links) (*consumertest.Kit, book, *consumertest.Records) {
	t.Helper()
	b, org := newBook(), &consumertest.Records{}
	def := functions.OpportunityBilling(b, l, m, functions.Deals{WonStages: []string{"Closed Won"}})
	return consumertest.New(t, def, consumertest.In(org.Asked)), b, org
}

// A change event tells that a deal was won; what is billed the org says, in one statement.
func TestAWonDealIsReadAndBilled(t *testing.T) {
	k, b, org := dealt(t, merges{}, known)
	org.Put(opportunity, 2, deal("100.0"))
	k.Send(wonChange(2))
	if got := org.Statements(); len(got) != 1 || len(b.Took()) != 1 {
		t.Fatalf("asked %q, took %d, parked %+v", got, len(b.Took()), k.Parked())
	}
	inv := b.Took()[0].Body.(billing.Invoice)
	if inv.AccountID != account || inv.CustomerLink != "cus_1" || inv.Total.Amount.String() != "100" || inv.Total.Currency != "EUR" || inv.DueDays != 30 ||
		inv.Description != "Pilot" || inv.CloseDate.Format("2006-01-02") != "2026-11-22" || len(inv.Lines) != 2 {
		t.Fatalf("%+v", inv)
	}
	if l := inv.Lines[0]; l.SKU != "A-1" || l.Description != "Licence" || l.Quantity.String() != "3" || l.UnitPrice.String() != "20" {
		t.Errorf("%+v", l)
	}
	if l := inv.Lines[1]; l.SKU != "" || l.Description != "Set-up (1 x 50, discounted)" || l.Quantity.String() != "1" || l.UnitPrice.String() != "40" {
		t.Errorf("%+v", l)
	}
}

// One invoice for ever, whichever event is first, edited in between or not; nothing is left
// for a person, and what was billed is not read again.
func TestBothEventsOfAWinAreOneInvoice(t *testing.T) {
	for _, first := range []string{"change", "event"} {
		for _, edited := range []string{"100.0", "120.0"} {
			k, b, org := dealt(t, merges{}, known)
			org.Put(opportunity, 2, deal("100.0"))
			if first == "change" {
				k.Send(wonChange(2))
				org.Put(opportunity, 50, deal(edited))
				k.Send(wonEvent(2, "100"), wonChange(2))
				k.Want("applied", "duplicate", "duplicate")
			} else {
				k.Send(wonEvent(2, "100"))
				org.Put(opportunity, 50, deal(edited))
				k.Send(wonChange(2), wonEvent(2, "100"))
				k.Want("applied", "duplicate", "duplicate")
				if got := org.Statements(); len(got) != 0 {
					t.Errorf("asked %q for what was billed", got)
				}
			}
			if len(b.Took()) != 1 || len(k.Parked()) != 0 {
				t.Errorf("%s first, then %s: %d invoices, parked %+v", first, edited, len(b.Took()), k.Parked())
			}
		}
	}
}

// The commit of a long transaction comes minutes after its save, which is what platform
// events tell: it is the same win.
func TestALongTransactionIsOneWin(t *testing.T) {
	k, b, org := dealt(t, merges{}, known)
	org.Put(opportunity, 2, deal("100.0"))
	k.Pass(10 * time.Minute)
	late := consumertest.Change{Object: "Opportunity", Kind: "UPDATE", IDs: []string{opportunity}, Second: 362,
		Fields: map[string]any{"StageName": "Closed Won", "LastModifiedDate": consumertest.At(2)}}.Event()
	k.Send(wonEvent(2, "100"), late)
	k.Want("applied", "duplicate")
	if len(b.Took()) != 1 || len(k.Parked()) != 0 {
		t.Errorf("%d invoices, parked %+v", len(b.Took()), k.Parked())
	}
}

// A deal that was opened again and won again bills nothing, and leaves one message that says
// what is different.
func TestWonAgain(t *testing.T) {
	for _, c := range []struct {
		name, again string
		first       []byte
		message     string // a part; empty: none
	}{
		{"the same", "100.0", wonChange(2), ""},
		{"another amount", "120.0", wonChange(2), "other content after it was done: Amount (done: of 2026-11-22T11:59:02Z; this one: of 2026-11-22T12:00:40Z, newer)"},
		{"first by a platform event", "120.0", wonEvent(2, "100"), "look whether it differs (done: of 2026-11-22T11:59:02Z; this one: of 2026-11-22T12:00:40Z, newer)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, b, org := dealt(t, merges{}, known)
			org.Put(opportunity, 2, deal("100.0"))
			k.Pass(5 * time.Minute)
			k.Send(c.first)
			org.Put(opportunity, 100, deal(c.again))
			k.Send(wonChange(100))
			k.Want("applied", "duplicate")
			p := k.Parked()
			if len(b.Took()) != 1 || len(p) != min(len(c.message), 1) {
				t.Fatalf("%d invoices, parked %+v", len(b.Took()), p)
			}
			if c.message != "" && (p[0].Class != verdict.ChangedAfterDone || !strings.Contains(p[0].Error, c.message)) {
				t.Errorf("%s: %s", p[0].Class, p[0].Error)
			}
		})
	}
}

// A deal that is not won any more when it is read bills nothing; its next win has an event.
func TestAWinThatWasTakenBack(t *testing.T) {
	k, b, org := dealt(t, merges{}, known)
	open := deal("100.0")
	open["StageName"], open["IsWon"], open["IsClosed"] = "Negotiation", false, false
	org.Put(opportunity, 50, open)
	k.Send(wonChange(2))
	k.Want("ignored")
	if len(b.Took()) != 0 || len(k.Parked()) != 0 {
		t.Errorf("%d invoices, parked %+v", len(b.Took()), k.Parked())
	}
}

// A gap does not say what it changed. Of a won deal the time of its stage tells whether it
// was won with it: a deal that was won before, e.g. before there was a relay, is not billed.
func TestAGapOfADeal(t *testing.T) {
	gap := func(kind string) []byte {
		return consumertest.Change{Object: "Opportunity", Kind: kind, IDs: []string{opportunity}, Second: 20}.Event()
	}
	for _, c := range []struct {
		name, kind string
		set        any
		hidden     bool
		invoices   int
		class      verdict.Class
	}{
		{"won with it", "GAP_UPDATE", consumertest.At(20), false, 1, ""},
		{"won in a long transaction", "GAP_UPDATE", consumertest.At(20 - 600), false, 1, ""},
		{"won long before", "GAP_UPDATE", consumertest.At(-3600), false, 0, ""},
		{"made as won", "GAP_CREATE", nil, false, 1, ""},
		{"nobody knows", "GAP_UPDATE", nil, false, 0, "needs-snapshot"},
		{"not told by this org", "GAP_UPDATE", consumertest.At(20), true, 0, "needs-snapshot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, b, org := dealt(t, merges{}, known)
			d := deal("100.0")
			d["LastStageChangeDate"] = c.set
			org.Put(opportunity, 20, d)
			if c.hidden {
				org.Hide("LastStageChangeDate")
			}
			k.Pass(5 * time.Minute)
			k.Send(gap(c.kind))
			p := k.Parked()
			if len(b.Took()) != c.invoices || c.class == "" && len(p) != 0 || c.class != "" && (len(p) != 1 || p[0].Class != c.class) {
				t.Errorf("%d invoices, parked %+v", len(b.Took()), p)
			}
		})
	}
}

// An org with a single currency does not name it.
func TestTheCurrencyOfAnOrgWithOne(t *testing.T) {
	for currency, invoices := range map[billing.Currency]int{"CHF": 1, "": 0} {
		b, org := newBook(), &consumertest.Records{}
		def := functions.OpportunityBilling(b, known, merges{}, functions.Deals{WonStages: []string{"Closed Won"}, Currency: currency})
		k := consumertest.New(t, def, consumertest.In(org.Asked))
		org.Put(opportunity, 2, deal("100.0"))
		org.Hide("CurrencyIsoCode")
		k.Send(wonChange(2))
		if len(b.Took()) != invoices || len(k.Parked()) != 1-invoices {
			t.Errorf("%q: %d invoices, parked %+v", currency, len(b.Took()), k.Parked())
		} else if invoices == 1 && b.Took()[0].Body.(billing.Invoice).Total.Currency != "CHF" {
			t.Errorf("%+v", b.Took()[0].Body)
		}
	}
}

const winner = "0015f00002J9YYFAA3"

// refusing is a book that bills no customer that was given up.
type refusing struct {
	book
	retired string
}

func (r refusing) Issue(ctx context.Context, ref sink.Ref, inv billing.Invoice) (sink.Receipt, error) {
	if inv.CustomerLink == r.retired {
		return sink.Receipt{}, sink.Refuse("customer-retired", "retired")
	}
	return r.book.Issue(ctx, ref, inv)
}

// The account that took over is billed; one that was deleted is nobody's customer.
func TestAnAccountThatIsGone(t *testing.T) {
	two := links{"customer-billing#00D5f000005KcCnEAK#Account/" + winner: "cus_2", "customer-billing#00D5f000005KcCnEAK#Account/" + account: "cus_1"}
	onlyWinner := links{"customer-billing#00D5f000005KcCnEAK#Account/" + winner: "cus_2"}
	for _, c := range []struct {
		name    string
		links   links
		merges  merges
		retired string
		billed  string
		class   verdict.Class
	}{
		{"merged, its customer retired", two, merges{account: winner}, "cus_1", "cus_2", ""},
		{"merged before it had a customer", onlyWinner, merges{account: winner}, "", "cus_2", ""},
		{"not merged", two, merges{account: winner}, "", "cus_1", ""},
		{"deleted", two, merges{account: ""}, "cus_1", "", "permanent/account-deleted"},
		{"retired for another reason", two, merges{}, "cus_1", "", "permanent/customer-retired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook()
			k := consumertest.New(t, functions.OpportunityBilling(refusing{b, c.retired}, c.links, c.merges, functions.Deals{WonStages: []string{"Closed Won"}}))
			k.Send(wonEvent(2, "100"))
			p := k.Parked()
			if c.class != "" {
				if len(b.Took()) != 0 || len(p) != 1 || p[0].Class != c.class {
					t.Errorf("took %+v, parked %+v", b.Took(), p)
				}
				return
			}
			if got := b.Took(); len(got) != 1 || got[0].Body.(billing.Invoice).CustomerLink != c.billed || len(p) != 0 {
				t.Errorf("took %+v, parked %+v", got, p)
			}
		})
	}
}
