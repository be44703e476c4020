package stripe_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// attempts plays the guard: one attempt after the other, a subject in doubt from
// the first one whose fate is unknown, until one succeeds.
type attempts struct {
	ref     sink.Ref
	doubt   bool
	since   time.Time
	clock   func() time.Time
	forgets bool // the begin of the doubt is not known, as after a restore
}

func (a *attempts) next() sink.Ref {
	a.ref.Epoch++
	a.ref.InDoubt, a.ref.DoubtSince = a.doubt, time.Time{}
	if a.doubt && !a.forgets {
		a.ref.DoubtSince = a.since
	}
	return a.ref
}

func (a *attempts) failed(claimed time.Time, err error) {
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Applied != sink.No {
		if !a.doubt {
			a.doubt, a.since = true, claimed
		}
	}
}

var chaosKinds = []faults.Kind{faults.Down, faults.Unavailable, faults.Throttled, faults.ErrorBefore, faults.ErrorAfter, faults.LostResponse}

func drawFaults(t *rapid.T) []faults.Fault {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) faults.Fault {
		return faults.Fault{
			Kind:   rapid.SampledFrom(chaosKinds).Draw(t, "kind"),
			Method: rapid.SampledFrom([]string{"", "POST", "GET", "DELETE"}).Draw(t, "method"),
			Path:   rapid.SampledFrom([]string{"", "/v1/*", "/v1/*/*", "/v1/invoices/*/add_lines", "/v1/invoices/*/finalize"}).Draw(t, "path"),
			Skip:   rapid.IntRange(0, 1).Draw(t, "skip"),
			Times:  rapid.IntRange(1, 2).Draw(t, "times"),
		}
	}), 0, 3).Draw(t, "faults")
}

// order puts faults into the plan, perhaps none; quiet says that there are none.
func (c *chaos) order(t *rapid.T, may bool) (quiet bool) {
	if may {
		if err := c.Faults.Add(drawFaults(t)...); err != nil {
			t.Fatal(err)
		}
	}
	return len(c.Faults.List()) == 0
}

var waits = []time.Duration{time.Minute, time.Hour, 25 * time.Hour, 13 * 24 * time.Hour}

type chaos struct {
	*stripesandbox.Sandbox
	now    time.Time
	client *stripe.Client
}

func newChaos(t *testing.T) (*chaos, func()) {
	t.Helper()
	c := &chaos{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	c.Sandbox = stripesandbox.New(stripesandbox.Options{Now: func() time.Time { return c.now }})
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	client, err := stripe.New(sinkhttp.Static("test-key"), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.client = client
	return c, c.Reset
}

// Whatever fails, how often, and however long the queue holds the change: there is
// one customer, with the content of the last attempt.
func TestOneCustomerWhateverFails(t *testing.T) {
	c, reset := newChaos(t)
	rapid.Check(t, func(t *rapid.T) {
		reset()
		a := attempts{ref: customerRef(1), clock: func() time.Time { return c.now }, forgets: rapid.Bool().Draw(t, "forgets")}
		for n := range 6 {
			quiet := c.order(t, n < 5)
			content := acme()
			content.Name = sink.Set(fmt.Sprintf("Acme %d", rapid.IntRange(1, 3).Draw(t, "content")))
			claimed := c.now
			r, err := c.client.Customers().Save(context.Background(), a.next(), accountID, content)
			st := c.State().Customers
			if len(st) > 1 {
				t.Fatalf("attempt %d made a second customer: %v", n, err)
			}
			if err == nil {
				if len(st) != 1 || st[0].ID != r.Link || *st[0].Name != content.Name.Value {
					t.Fatalf("attempt %d: receipt %+v, customers %+v", n, r, st)
				}
				return
			}
			if quiet {
				t.Fatalf("attempt %d failed although nothing went wrong: %v", n, err)
			}
			a.failed(claimed, err)
			c.Faults.Clear()
			c.now = c.now.Add(rapid.SampledFrom(waits).Draw(t, "wait"))
		}
	})
}

// The same for invoices: never two that are finalized, in the end exactly one, and
// it bills the content of one of the attempts.
func TestOneInvoiceWhateverFails(t *testing.T) {
	c, reset := newChaos(t)
	rapid.Check(t, func(t *rapid.T) {
		reset()
		customer, err := c.client.Customers().Save(context.Background(), customerRef(1), accountID, acme())
		if err != nil {
			t.Fatal(err)
		}
		a := attempts{ref: invoiceRef(0), clock: func() time.Time { return c.now }}
		tried := map[int64]bool{}
		for n := range 8 {
			quiet := c.order(t, n < 7)
			amount := rapid.Int64Range(1, 3).Draw(t, "amount")
			tried[amount] = true
			inv := invoice(customer.Link)
			inv.Total.Amount = decimal.FromMinor(amount, 2)
			inv.Lines = []billing.Line{{SKU: "W-1", Quantity: decimal.Must("1"), UnitPrice: inv.Total.Amount}}
			claimed := c.now
			r, err := c.client.Invoices().Issue(context.Background(), a.next(), inv)
			var otherwise *sink.Error // it was issued with other content, which is told
			if errors.As(err, &otherwise) && otherwise.Class == verdict.ChangedAfterDone && otherwise.Applied == sink.Yes {
				err = nil
			} else {
				otherwise = nil
			}
			issued := 0
			for _, i := range c.State().Invoices {
				if i.Status != "draft" {
					issued++
					if err == nil && (i.Total == amount) != (otherwise == nil) {
						t.Fatalf("attempt %d for %d: %+v, told %v", n, amount, i, otherwise)
					}
					if !tried[i.Total] || (err == nil && i.ID != r.Link) {
						t.Fatalf("attempt %d: receipt %+v, invoice %+v", n, r, i)
					}
				}
			}
			if issued > 1 || (err == nil && issued != 1) {
				t.Fatalf("attempt %d: %d invoices are issued, error %v", n, issued, err)
			}
			if err == nil {
				if all := c.State().Invoices; len(all) != 1 {
					t.Fatalf("drafts were left behind: %+v", all)
				}
				return
			}
			if quiet {
				t.Fatalf("attempt %d failed although nothing went wrong: %v", n, err)
			}
			a.failed(claimed, err)
			c.Faults.Clear()
			c.now = c.now.Add(rapid.SampledFrom(waits).Draw(t, "wait"))
		}
	})
}
