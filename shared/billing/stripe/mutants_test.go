package stripe_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

const copyOrg = "00D000000000002EAA" // a sandbox org, which has the ids of its original

// Stripe's clock is behind ours: what an attempt made is dated before its claim, and the
// next one finds it all the same.
func TestTheLookupAllowsForOtherClocks(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	w.fail(t, faults.Fault{Kind: faults.LostResponse, Method: "POST", Path: "/v1/customers"})
	claimed := w.clock().Add(4 * time.Minute)
	_, err := w.customers.Save(t.Context(), customerRef(1), accountID, acme())
	wantError(t, err, verdict.Unknown, sink.Maybe)
	w.pass(25 * time.Hour) // the key is forgotten
	r := must[sink.Receipt](t)(w.customers.Save(t.Context(), doubted(customerRef(1), claimed), accountID, acme()))
	if c := w.State().Customers; len(c) != 1 || c[0].ID != r.Link {
		t.Fatalf("receipt %+v, customers %+v", r, c)
	}
}

// Two orgs on one Stripe account: a copy of an org has the same ids, and customers and
// invoices of its own.
func TestTheSameIDsOfAnotherOrgAreNotOurs(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	began := w.clock()
	theirs := customerRef(1)
	theirs.Org = copyOrg
	their := must[sink.Receipt](t)(w.customers.Save(t.Context(), theirs, accountID, acme()))
	our := must[sink.Receipt](t)(w.customers.Save(t.Context(), doubted(customerRef(1), began), accountID, acme()))
	if c := w.State().Customers; len(c) != 2 || our.Link == their.Link || c[0].Metadata["sf_org"] != copyOrg || c[1].Metadata["sf_org"] != org {
		t.Fatalf("ours %+v, theirs %+v, customers %+v", our, their, c)
	}
	inv := invoice(our.Link)
	theirs = invoiceRef(1)
	theirs.Org = copyOrg
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), theirs, inv))
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), inv))
	if i := w.State().Invoices; len(i) != 2 || i[0].Metadata["sf_org"] != copyOrg || i[1].Metadata["sf_org"] != org {
		t.Fatalf("invoices %+v", i)
	}
}

// between is a connector whose requests pass through a function, which may change their
// form.
func (w *world) between(t *testing.T, change func(r *http.Request, form url.Values)) *stripe.Client {
	t.Helper()
	return must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), w.through(t, change)))
}

// through is the address of a server in between.
func (w *world) through(t *testing.T, change func(r *http.Request, form url.Values)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method == http.MethodPost {
			form, err := url.ParseQuery(string(b))
			if err != nil {
				t.Error(err)
			}
			change(r, form)
			b = []byte(form.Encode())
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// The same number in another currency is another amount.
func TestADraftInAnotherCurrencyIsNotFinalized(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	c := w.between(t, func(r *http.Request, form url.Values) {
		if r.URL.Path == "/v1/invoices" {
			form.Set("currency", "usd")
		}
	})
	_, err := c.Invoices().Issue(t.Context(), invoiceRef(1), invoice(w.customer(t)))
	wantError(t, err, verdict.Permanent("total-mismatch"), sink.No)
	if n := len(w.State().Invoices); n != 0 {
		t.Fatalf("%d invoices left", n)
	}
}

// Of several issued invoices the oldest is the one: the first that the customer got.
func TestTheOldestOfSeveralInvoicesIsTheOne(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	first := must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), inv))
	w.pass(time.Minute)
	w.post(t, "/v1/invoices", "customer="+inv.CustomerLink+"&currency=eur&auto_advance=false&collection_method=send_invoice&days_until_due=1"+
		"&metadata[sf_org]="+org+"&metadata[sf_id]="+opportunity+"&metadata[sf_object]=Opportunity")
	second := w.State().Invoices[1].ID
	w.addLine(t, second, "5")
	w.post(t, "/v1/invoices/"+second+"/finalize", "auto_advance=false")
	r, err := w.invoices.Issue(t.Context(), invoiceRef(2), inv)
	e := wantError(t, err, verdict.DuplicateRemote, sink.Yes)
	if r.Link != first.Link || !strings.Contains(e.Reason, first.Link) {
		t.Fatalf("the one is %s, the first was %s; %v", r.Link, first.Link, e)
	}
}

// A draft takes over nothing that the opportunity does not say: no discount of the
// customer, no pending items, no tax, no finalization by Stripe.
func TestADraftInheritsNothing(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	var draft url.Values
	c := w.between(t, func(r *http.Request, form url.Values) {
		if r.URL.Path == "/v1/invoices" {
			draft = form
		}
	})
	must[sink.Receipt](t)(c.Invoices().Issue(t.Context(), invoiceRef(1), invoice(w.customer(t))))
	for name, want := range map[string]string{
		"discounts": "", "pending_invoice_items_behavior": "exclude", "automatic_tax[enabled]": "false", "auto_advance": "false",
	} {
		if got, sent := draft[name]; !sent || len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q: %v", name, got, want, draft)
		}
	}
}

// Stripe takes dinars in tens of fils and kronur in whole ones (docs.stripe.com/currencies,
// "Three-decimal currencies", "Special cases"). What is finer is nobody's to round.
func TestAnAmountThatStripeWouldRoundIsRefused(t *testing.T) {
	for _, m := range []billing.Money{
		{Amount: decimal.Must("5.125"), Currency: "KWD"}, {Amount: decimal.Must("7.50"), Currency: "ISK"},
		{Amount: decimal.Must("500.5"), Currency: "JPY"}, {Amount: decimal.Must("10.505"), Currency: "USD"},
	} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		inv.Lines, inv.Total = nil, m
		_, err := w.invoices.Issue(t.Context(), invoiceRef(1), inv)
		wantError(t, err, verdict.Permanent("amount-too-fine"), sink.No)
	}
}

// The invoice is due when the deal says. A draft with other terms is made anew.
func TestTheTermsAreThoseOfTheDeal(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	inv.DueDays = 14
	w.fail(t, faults.Fault{Kind: faults.Down, Method: "POST", Path: "/v1/invoices/*/finalize"})
	_, err := w.invoices.Issue(t.Context(), invoiceRef(1), inv)
	wantError(t, err, verdict.Unknown, sink.Maybe)
	inv.DueDays = 60
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), doubted(invoiceRef(1), w.clock()), inv))
	want := w.clock().AddDate(0, 0, 60).Unix()
	if i := w.State().Invoices; len(i) != 1 || i[0].Status != "open" || i[0].DueDate == nil || *i[0].DueDate != want {
		t.Errorf("invoices %+v, want one that is due at %d", i, want)
	}
}

// A draft that another attempt made of other content between our look-up and our own
// draft is not ours to finish, even if it comes to the same total.
func TestADraftOfOtherContentMeanwhile(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	once := true
	c := w.between(t, func(r *http.Request, _ url.Values) {
		if r.URL.Path == "/v1/invoices" && once {
			once = false
			other := inv
			other.Description = "Acme, 10 widgets, second text"
			w.fail(t, faults.Fault{Kind: faults.Down, Method: "POST", Path: "/v1/invoices/*/finalize"})
			if _, err := w.invoices.Issue(t.Context(), invoiceRef(1), other); err == nil {
				t.Error("the other attempt got through")
			}
		}
	})
	_, err := c.Invoices().Issue(t.Context(), invoiceRef(2), inv)
	wantError(t, err, verdict.Conflict, sink.No)
	if i := w.State().Invoices; len(i) != 1 || i[0].Status != "draft" {
		t.Errorf("invoices %+v", i)
	}
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(3), inv))
	if i := w.State().Invoices; len(i) != 1 || i[0].Status != "open" || *i[0].About != "Acme, 10 widgets" {
		t.Errorf("invoices %+v", i)
	}
}

// Lines that Stripe refuses for good leave no draft behind.
func TestRefusedLinesLeaveNoDraft(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	c := w.between(t, func(r *http.Request, form url.Values) {
		if strings.HasSuffix(r.URL.Path, "/add_lines") {
			form.Set("lines[0][nonsense]", "1")
		}
	})
	_, err := c.Invoices().Issue(t.Context(), invoiceRef(1), invoice(w.customer(t)))
	wantError(t, err, verdict.Permanent("parameter-unknown"), sink.No)
	if i := w.State().Invoices; len(i) != 0 {
		t.Errorf("left: %+v", i)
	}
}

// A person who finalizes the draft a moment before us has issued the invoice.
func TestAPersonFinalizesTheDraft(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	once := true
	c := w.between(t, func(r *http.Request, _ url.Values) {
		if strings.HasSuffix(r.URL.Path, "/finalize") && once {
			once = false
			w.post(t, r.URL.Path, "auto_advance=false")
		}
	})
	r := must[sink.Receipt](t)(c.Invoices().Issue(t.Context(), invoiceRef(1), invoice(w.customer(t))))
	if i := w.State().Invoices; len(i) != 1 || i[0].Status != "open" || i[0].ID != r.Link {
		t.Errorf("receipt %+v, invoices %+v", r, i)
	}
}

// Stripe compares a country in capitals; Salesforce may have it otherwise.
func TestACountryIsInCapitals(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	c := acme()
	c.Billing.Country = sink.Set("gb")
	must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(1), accountID, c))
	if got := w.State().Customers[0].Address.Country; got == nil || *got != "GB" {
		t.Errorf("country %v", got)
	}
}

// A tax id that a person gave the customer stays when the account's number changes.
func TestATaxIDOfAPersonStays(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	customers := withTaxIDs(t, w.url, "test-key")
	ref := customerRef(1)
	c := acme()
	c.TaxNumber = sink.Set("DE123456789")
	ref.Link = must[sink.Receipt](t)(customers.Save(t.Context(), ref, accountID, c)).Link
	w.post(t, "/v1/customers/"+ref.Link+"/tax_ids", "type=eu_vat&value=FR12345678901")
	ref.Epoch++
	c.TaxNumber = sink.Set("ATU12345678")
	must[sink.Receipt](t)(customers.Save(t.Context(), ref, accountID, c))
	if got := taxIDs(w.State().Customers[0]); got != "eu_vat FR12345678901, eu_vat ATU12345678" {
		t.Errorf("tax ids %s", got)
	}
}
