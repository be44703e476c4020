package stripe_test

import (
	"context"
	"testing"
	"time"

	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/config"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
)

// delivering is a connector as the environment makes it.
func delivering(t *testing.T, url, key, how string) billing.Invoices {
	t.Helper()
	return choosing(t, url, key, map[string]string{"INVOICE_DELIVERY": how}).Invoices()
}

// choosing is a connector with what the environment says beyond the least.
func choosing(t *testing.T, url, key string, env map[string]string) *stripe.Client {
	t.Helper()
	least := map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "STRIPE_API_BASE": url}
	r := config.NewReader(func(name string) (string, bool) {
		if v, ok := env[name]; ok {
			return v, true
		}
		v, ok := least[name]
		return v, ok
	})
	c := stripe.FromEnv(r, func(string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return key, nil }
	})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Who hears of an invoice is a choice, and by default nobody does.
func TestDelivery(t *testing.T) {
	for how, want := range map[string]struct {
		advances bool
		sent     int
		requests string // after the lines
	}{
		"":        {false, 0, "GET 200, POST 200"},
		"open":    {false, 0, "GET 200, POST 200"},
		"send":    {false, 1, "GET 200, POST 200, POST 200, POST 200"},
		"advance": {true, 0, "GET 200, POST 200"},
	} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		before := len(w.State().Requests)
		invoices := delivering(t, w.url, "test-key", how)
		must[sink.Receipt](t)(invoices.Issue(t.Context(), invoiceRef(1), inv))
		if got := log(w.State().Requests[before:]); got != "GET 200, GET 200, POST 200, POST 200, "+want.requests {
			t.Errorf("%q: requests = %s", how, got)
		}
		// Again, also long after: it is told once.
		for range 2 {
			w.pass(25 * time.Hour)
			before = len(w.State().Requests)
			must[sink.Receipt](t)(invoices.Issue(t.Context(), invoiceRef(2), inv))
			if got := log(w.State().Requests[before:]); got != "GET 200" {
				t.Errorf("%q: requests = %s", how, got)
			}
		}
		if i := w.State().Invoices[0]; i.Status != "open" || i.AutoAdvance != want.advances || i.Sent != want.sent {
			t.Errorf("%q: %s, advances %v, sent %d times", how, i.Status, i.AutoAdvance, i.Sent)
		}
	}
}

// What nothing is due of is paid at once, and sent to nobody.
func TestNothingDueIsNotSent(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	inv.Lines, inv.Total.Amount = nil, decimal.Must("0")
	must[sink.Receipt](t)(delivering(t, w.url, "test-key", "send").Issue(t.Context(), invoiceRef(1), inv))
	if i := w.State().Invoices[0]; i.Status != "paid" || i.Sent != 0 {
		t.Errorf("%s, sent %d times", i.Status, i.Sent)
	}
}

// An invoice of before the choice was made is not sent because it comes again.
func TestWhatWasOpenStaysUnsent(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), inv))
	must[sink.Receipt](t)(delivering(t, w.url, "test-key", "send").Issue(t.Context(), invoiceRef(2), inv))
	if i := w.State().Invoices[0]; i.Sent != 0 {
		t.Errorf("sent %d times", i.Sent)
	}
}

// Whatever fails on the way, the customer gets the invoice; twice only where Stripe sent
// it and answered 500.
func TestDeliveryFailsInEveryWay(t *testing.T) {
	for _, path := range []string{"/v1/invoices/*/finalize", "/v1/invoices/*/send", "/v1/invoices/*"} {
		for _, kind := range []faults.Kind{faults.Down, faults.Unavailable, faults.Throttled, faults.ErrorBefore, faults.ErrorAfter, faults.LostResponse} {
			t.Run(path+" "+string(kind), func(t *testing.T) {
				w := newWorld(t, stripesandbox.Options{})
				inv := invoice(w.customer(t))
				w.fail(t, faults.Fault{Kind: kind, Method: "POST", Path: path})
				invoices := delivering(t, w.url, "test-key", "send")
				claimed := w.clock()
				if _, err := invoices.Issue(t.Context(), invoiceRef(1), inv); err == nil {
					t.Fatal("no error")
				}
				w.pass(time.Minute)
				must[sink.Receipt](t)(invoices.Issue(t.Context(), doubted(invoiceRef(1), claimed), inv))
				want := 1
				if kind == faults.ErrorAfter && path == "/v1/invoices/*/send" {
					want = 2
				}
				if all := w.State().Invoices; len(all) != 1 || all[0].Status != "open" || all[0].Sent != want || all[0].Metadata["sf_delivery"] != "sent" {
					t.Errorf("invoices %+v, want one, sent %d times", all, want)
				}
			})
		}
	}
}
