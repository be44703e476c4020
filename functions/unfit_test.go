package functions_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/billing"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// narrow is a billing system that takes phones of 20 characters, and says so of a field
// of another name where it is told to.
type narrow struct {
	register
	called *string
}

func (n narrow) Save(ctx context.Context, ref sink.Ref, id string, c billing.Customer) (sink.Receipt, error) {
	if len(c.Phone.Value) > 20 {
		return sink.Receipt{}, &sink.UnfitError{Fields: []sink.Unfit{{Field: *n.called, Name: "field-too-long", Reason: "has more than 20 characters"}}}
	}
	return n.register.Save(ctx, ref, id, c)
}

func newNarrow() narrow {
	called := "Phone"
	return narrow{newRegister(), &called}
}

func created(number string) []byte {
	return consumertest.Create("Account", account, 1, map[string]any{"Name": "Example Ltd", "Phone": number, "BillingAddress.City": "Bern"})
}

const longPhone = "+49 (30) 123456-789 ext 12"

// Salesforce holds phones of 40 characters. The name and the city do not wait for the
// phone; its message is redriven after it was mended, and changes nothing any more.
func TestAPhoneThatIsTooLongHoldsBackItselfOnly(t *testing.T) {
	n, l := newNarrow(), newLedger()
	kit, other := consumertest.New(t, functions.CustomerBilling(n)), consumertest.New(t, functions.CustomerERP(l))
	kit.Send(created(longPhone), created(longPhone))
	kit.Want("parked", "parked")
	if s := n.State(); !strings.Contains(s, `Name="Example Ltd"`) || !strings.Contains(s, `City="Bern"`) || strings.Contains(s, "+49") {
		t.Fatalf("billing has %s", s)
	}
	p := kit.Parked()
	if len(p) != 1 || p[0].Class != "permanent/field-too-long" || !strings.Contains(p[0].Error, "Phone") || strings.Contains(p[0].Error, "+49") {
		t.Fatalf("parked %+v", p)
	}
	kit.Send(phone(2, "+4930123456789"))
	kit.Redrive()
	kit.Want("parked", "parked", "applied", "stale")
	if len(kit.Parked()) != 0 {
		t.Fatalf("left %+v", kit.Parked())
	}
	other.Send(created(longPhone), phone(2, "+4930123456789"))
	for _, field := range []string{`Name="Example Ltd"`, `Phone="+4930123456789"`, `City="Bern"`} {
		if !strings.Contains(n.State(), field) || !strings.Contains(l.State(), field) {
			t.Errorf("%s: billing has %s, the ERP %s", field, n.State(), l.State())
		}
	}
}

// Nothing fits: nothing is sent. A field that the consumer does not have cannot be left out.
func TestWhatCannotBeLeftOutIsRefusedWhole(t *testing.T) {
	n := newNarrow()
	kit := consumertest.New(t, functions.CustomerBilling(n))
	kit.Send(phone(1, longPhone))
	*n.called = "Telephone"
	kit.Send(created(longPhone))
	kit.Want("parked", "parked")
	for _, p := range kit.Parked() {
		if p.Class != "permanent/field-too-long" {
			t.Errorf("parked %+v", p)
		}
	}
	if s := n.State(); s != "" {
		t.Errorf("billing has %s", s)
	}
}

// An event of two records in a buffer, one refused for good, one throttled 17 times: one
// message.
func TestARefusedRecordIsParkedOnceHoweverOftenItsNeighbourFails(t *testing.T) {
	r := newRegister()
	tries := 0
	kit := consumertest.New(t, functions.CustomerBilling(picky{r, func(id string) error {
		if id == account {
			return sink.Refuse("unprocessable", "not this one")
		}
		if tries++; tries <= 17 {
			return sink.NotYet(verdict.Throttled, "later")
		}
		return nil
	}}))
	kit.SendBatch(consumertest.Change{Object: "Account", Kind: "UPDATE", IDs: []string{account, another}, Second: 1,
		Changed: []string{"Phone"}, Fields: map[string]any{"Phone": "1"}}.Event())
	if p := kit.Parked(); len(p) != 1 || p[0].Class != "permanent/unprocessable" || tries != 18 {
		t.Fatalf("%d messages after %d tries", len(p), tries)
	}
}

type picky struct {
	register
	say func(id string) error
}

func (p picky) Save(ctx context.Context, ref sink.Ref, id string, c billing.Customer) (sink.Receipt, error) {
	if err := p.say(id); err != nil {
		return sink.Receipt{}, err
	}
	return p.register.Save(ctx, ref, id, c)
}

// Two levels of one instant: all orders end alike, and one message says that nobody can
// tell which is right.
func TestTwoLevelsOfOneInstantSaySo(t *testing.T) {
	for i := range 200 {
		first, second := onHand(2, "A-1", "WH", 1000+i), onHand(2, "A-1", "WH", 10+i)
		ends := map[string]bool{}
		for _, order := range [][][]byte{{first, second}, {second, first}, {first, second, first}} {
			for _, batch := range []bool{false, true} {
				stock := newShelf()
				kit := consumertest.New(t, functions.InventoryERP(stock))
				if batch {
					kit.SendBatch(order...)
				} else {
					kit.Send(order...)
				}
				ends[stock.State()] = true
				if p := kit.Parked(); len(p) != 1 || p[0].Class != "permanent/same-instant" || kit.Failed() != 0 {
					t.Fatalf("pair %d: %d messages: %+v", i, len(p), p)
				}
			}
		}
		if len(ends) != 1 {
			t.Fatalf("pair %d ends as %v", i, ends)
		}
	}
}

// The reason is the sink's own, also where it asks to be left alone for an hour; and when
// it is up again nothing waits.
func TestASinkThatWantsToBeLeftAloneIsThrottledAndNotBusy(t *testing.T) {
	down := true
	kit := consumertest.New(t, functions.CustomerERP(resting{newLedger(), &down}))
	kit.Send(created("1"))
	for _, l := range kit.Lines() {
		if l.Verdict == "busy" || l.Class != "throttled" {
			t.Errorf("line %s", fmt.Sprint(l.Verdict, " ", l.Class))
		}
	}
	down = false
	kit.Redrive()
	if lines := kit.Lines(); lines[len(lines)-1].Verdict != "applied" {
		t.Errorf("after the sink is up again: %+v", lines[len(lines)-1])
	}
}

type resting struct {
	ledger
	down *bool
}

func (r resting) Put(ctx context.Context, ref sink.Ref, id string, c erp.Customer) (sink.Receipt, error) {
	if *r.down {
		return sink.Receipt{}, &sink.Error{Class: verdict.Throttled, Applied: sink.No, RetryAfter: 3600e9, Reason: "PUT customer: the ERP answered 503"}
	}
	return r.ledger.Put(ctx, ref, id, c)
}
