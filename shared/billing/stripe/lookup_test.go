package stripe_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// A customer of a marketplace has more invoices than anybody looks through: those of
// before the deal are not among them.
func TestACustomerWithThousandsOfInvoices(t *testing.T) {
	if testing.Short() {
		t.Skip("makes thousands of invoices; without -short it runs")
	}
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	for range 5_100 {
		w.post(t, "/v1/invoices", "customer="+inv.CustomerLink+"&currency=eur&auto_advance=false&collection_method=send_invoice&days_until_due=1")
	}
	w.pass(48 * time.Hour)
	inv.RecordTime = w.clock()
	lists := func(before int) (n int) {
		for _, r := range w.State().Requests[before:] {
			if r.Method == http.MethodGet && r.Path == "/v1/invoices" {
				n++
			}
		}
		return n
	}

	// Nobody knows since when it is in doubt: then it is.
	before := len(w.State().Requests)
	_, err := w.invoices.Issue(t.Context(), doubted(invoiceRef(1), time.Time{}), inv)
	wantError(t, err, verdict.InDoubt, sink.No)
	if n := lists(before); n != 51 {
		t.Errorf("%d pages were read, want 51", n)
	}

	// The deal is younger than all that is looked at; so is the doubt about it.
	for i, ref := range []sink.Ref{invoiceRef(2), doubted(invoiceRef(2), w.clock())} {
		before = len(w.State().Requests)
		must[sink.Receipt](t)(w.invoices.Issue(t.Context(), ref, inv))
		if n := lists(before); n != 5 {
			t.Errorf("%d: %d pages were read, want 5", i, n)
		}
	}

	// Of a deal of which nobody knows how old it is nothing is in doubt: it was never carried
	// out. No delivery sees more than the first one, so it does not come again by itself.
	inv.RecordTime, inv.OpportunityID = time.Time{}, opportunity[:17]+"B"
	_, err = w.invoices.Issue(t.Context(), invoiceRef(3), inv)
	wantError(t, err, verdict.Permanent("too-many-invoices"), sink.No)
}

// A look-up that did not come to its end has carried nothing out.
func TestAReadThatDidNotFinish(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	w.fail(t, faults.Fault{Kind: faults.LostResponse, Method: "GET", Path: "/v1/customers/*"})
	_, err := w.invoices.Issue(t.Context(), invoiceRef(1), inv)
	if e := wantError(t, err, verdict.Unfinished, sink.No); strings.Contains(e.Reason, "may have been carried out") || !strings.Contains(e.Reason, "nothing was carried out") {
		t.Errorf("the reason is %s", e.Reason)
	}

	c := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), "http://127.0.0.1:1")) // nobody listens there
	_, err = c.Invoices().Issue(t.Context(), invoiceRef(1), inv)
	wantError(t, err, verdict.Unfinished, sink.No)
}
