package stripe_test

import (
	"strings"
	"testing"

	"sfrelay/shared/billing"
	"sfrelay/shared/decimal"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Who cannot be billed is known before a draft is made, and the reason says what to do.
func TestWhoCannotBeBilled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world, ref sink.Ref)
		class  string
		todo   string
	}{
		"no e-mail": {func(t *testing.T, w *world, ref sink.Ref) {
			must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, billing.Customer{Email: sink.Clear[string]()}))
		}, "customer-without-email", "give the account one"},
		"retired": {func(t *testing.T, w *world, ref sink.Ref) {
			must[sink.Receipt](t)(w.customers.Retire(t.Context(), ref, accountID))
		}, "customer-retired", "deleted or merged"},
		"deleted at Stripe": {func(t *testing.T, w *world, ref sink.Ref) {
			w.do(t, "DELETE", "/v1/customers/"+ref.Link)
		}, "customer-deleted", "decide"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, stripesandbox.Options{})
			ref := customerRef(2)
			ref.Link = w.customer(t)
			c.change(t, w, ref)
			before := len(w.State().Requests)
			_, err := w.invoices.Issue(t.Context(), invoiceRef(1), invoice(ref.Link))
			e := wantError(t, err, verdict.Permanent(c.class), sink.No)
			if !strings.Contains(e.Reason, c.todo) || !strings.Contains(e.Reason, ref.Link) {
				t.Errorf("the reason does not tell what to do: %s", e.Reason)
			}
			if got := log(w.State().Requests[before:]); got != "GET 200, GET 200" {
				t.Errorf("requests = %s, want the look-up and the customer", got)
			}
		})
	}
}

// What was billed before its customer was retired stays billed.
func TestAnInvoiceOfBeforeIsFound(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	ref := customerRef(2)
	ref.Link = w.customer(t)
	first := must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), invoice(ref.Link)))
	must[sink.Receipt](t)(w.customers.Retire(t.Context(), ref, accountID))
	if again := must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(2), invoice(ref.Link))); again.Link != first.Link {
		t.Errorf("found %+v, want %+v", again, first)
	}
}

// One customer has deals in several currencies.
func TestSeveralCurrencies(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	for i, c := range []billing.Currency{"EUR", "USD", "JPY"} {
		inv.OpportunityID = opportunity[:17] + string(rune('A'+i))
		inv.Lines, inv.Total = nil, billing.Money{Amount: decimal.Must("15000.0"), Currency: c}
		ref := invoiceRef(1)
		ref.Subject = "Opportunity/" + inv.OpportunityID + "/invoice"
		must[sink.Receipt](t)(w.invoices.Issue(t.Context(), ref, inv))
	}
	for i, want := range []string{"eur 1500000", "usd 1500000", "jpy 15000"} {
		got := w.State().Invoices[i]
		if currency, total, _ := strings.Cut(want, " "); got.Currency != currency || decimal.FromMinor(got.Total, 0).String() != total {
			t.Errorf("invoice %d is of %s %d, want %s", i, got.Currency, got.Total, want)
		}
	}
}
