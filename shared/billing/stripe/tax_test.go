package stripe_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sfrelay/shared/billing"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

func taxing(t *testing.T, url, how string) billing.Invoices {
	t.Helper()
	return choosing(t, url, "test-key", map[string]string{"AUTOMATIC_TAX": how}).Invoices()
}

// at is a customer at an address.
func (w *world) at(t *testing.T, country, state, postalCode string) string {
	t.Helper()
	c := acme()
	c.Billing = billing.Address{Country: sink.Set(country), State: sink.Set(state), PostalCode: sink.Set(postalCode)}
	return must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(1), accountID, c)).Link
}

// The opportunity's amount is before tax: 125.05 with the sandbox's 20 % is 150.06.
func TestAutomaticTax(t *testing.T) {
	for how, total := range map[string]int64{"": 12505, "off": 12505, "on": 15006} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		invoices := taxing(t, w.url, how)
		before := len(w.State().Requests)
		first := must[sink.Receipt](t)(invoices.Issue(t.Context(), invoiceRef(1), inv))
		if got := log(w.State().Requests[before:]); got != "GET 200, GET 200, POST 200, POST 200, GET 200, POST 200" {
			t.Errorf("%q: requests = %s", how, got)
		}
		second := must[sink.Receipt](t)(invoices.Issue(t.Context(), invoiceRef(2), inv))
		i := w.State().Invoices
		if len(i) != 1 || i[0].Status != "open" || i[0].Total != total || i[0].NetTotal != 12505 || i[0].AutomaticTax.Enabled != (how == "on") {
			t.Errorf("%q: invoices %+v", how, i)
		}
		if first.Outcome != sink.Created || second.Outcome != sink.Unchanged {
			t.Errorf("%q: %+v, then %+v", how, first, second)
		}
	}
}

// Whom Stripe cannot tax is known before a draft is made (docs.stripe.com/tax/invoicing:
// a country, in the US a postal code, in Canada a province or a postal code).
func TestWhoCannotBeTaxed(t *testing.T) {
	for _, c := range []struct {
		country, state, postalCode string
		taxable                    bool
	}{
		{"", "", "", false}, {"", "Yorkshire", "YO1 1AA", false}, {"US", "OR", "", false}, {"US", "", "977", false}, {"CA", "", "", false},
		{"GB", "", "", true}, {"US", "", "97712", true}, {"CA", "ON", "", true},
	} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.at(t, c.country, c.state, c.postalCode))
		before := len(w.State().Requests)
		_, err := taxing(t, w.url, "on").Issue(t.Context(), invoiceRef(1), inv)
		if c.taxable {
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		e := wantError(t, err, verdict.Permanent("customer-without-tax-location"), sink.No)
		if !strings.Contains(e.Reason, inv.CustomerLink) || !strings.Contains(e.Reason, "give the account an address in Salesforce") {
			t.Errorf("%+v: the reason does not tell what to do: %s", c, e.Reason)
		}
		if got := log(w.State().Requests[before:]); got != "GET 200, GET 200" {
			t.Errorf("%+v: requests = %s, want the look-up and the customer", c, got)
		}
		must[sink.Receipt](t)(taxing(t, w.url, "off").Issue(t.Context(), invoiceRef(2), inv))
	}
}

// A customer that loses its address on the way is not billed without tax, whatever Stripe
// says so of; when it has one again it is billed once.
func TestTheAddressIsLostOnTheWay(t *testing.T) {
	for _, step := range []string{"/v1/invoices", "/add_lines", "/finalize"} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		once := true
		meddling := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, step) && once {
				once = false
				w.post(t, "/v1/customers/"+inv.CustomerLink, "address=")
			}
			w.ServeHTTP(rw, r)
		}))
		defer meddling.Close()
		_, err := taxing(t, meddling.URL, "on").Issue(t.Context(), invoiceRef(1), inv)
		e := wantError(t, err, verdict.Permanent("customer-without-tax-location"), sink.No)
		if !strings.Contains(e.Reason, inv.CustomerLink) || !strings.Contains(e.Reason, "give the account an address in Salesforce") {
			t.Errorf("%s: the reason does not tell what to do: %s", step, e.Reason)
		}
		st := w.State()
		if last := st.Requests[len(st.Requests)-1]; step == "/add_lines" && (last.Method != http.MethodDelete || len(st.Invoices) != 0) {
			t.Errorf("a draft that cannot be taxed is not deleted before it is finalized: the last request was %+v, left are %+v", last, st.Invoices)
		}
		w.post(t, "/v1/customers/"+inv.CustomerLink, "address[country]=GB")
		must[sink.Receipt](t)(taxing(t, w.url, "on").Issue(t.Context(), invoiceRef(2), inv))
		if i := w.State().Invoices; len(i) != 1 || i[0].Status != "open" || i[0].Total != 15006 {
			t.Errorf("%s: invoices %+v", step, i)
		}
	}
}

// An account whose prices include their tax would bill less than the opportunity's amount
// before tax: nothing is billed, and the reason names the setting.
func TestTaxWithinTheAmountIsNotFinalized(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{TaxInclusive: true})
	_, err := taxing(t, w.url, "on").Issue(t.Context(), invoiceRef(1), invoice(w.customer(t)))
	if e := wantError(t, err, verdict.Permanent("total-mismatch"), sink.No); !strings.Contains(e.Reason, "default tax behavior") {
		t.Errorf("the reason does not tell what to do: %s", e.Reason)
	}
	if i := w.State().Invoices; len(i) != 0 {
		t.Errorf("left: %+v", i)
	}
}

// A draft of before the choice was changed is not finished but made anew.
func TestTheChoiceChangesBetweenDraftAndFinalizing(t *testing.T) {
	for before, after := range map[string]string{"off": "on", "on": "off"} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		w.fail(t, faults.Fault{Kind: faults.Down, Method: "POST", Path: "/v1/invoices/*/finalize"})
		_, err := taxing(t, w.url, before).Issue(t.Context(), invoiceRef(1), inv)
		wantError(t, err, verdict.Unknown, sink.Maybe)
		must[sink.Receipt](t)(taxing(t, w.url, after).Issue(t.Context(), doubted(invoiceRef(1), w.clock()), inv))
		if i := w.State().Invoices; len(i) != 1 || i[0].Status != "open" || i[0].AutomaticTax.Enabled != (after == "on") {
			t.Errorf("%s, then %s: invoices %+v", before, after, i)
		}
	}
}

// A draft that somebody took the tax from has the right amount before tax, and is not
// finalized all the same.
func TestADraftWithoutItsTaxIsNotFinalized(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	server := w.through(t, func(r *http.Request, form url.Values) {
		if r.URL.Path == "/v1/invoices" {
			form.Set("automatic_tax[enabled]", "false")
		}
	})
	_, err := taxing(t, server, "on").Issue(t.Context(), invoiceRef(1), inv)
	wantError(t, err, verdict.Permanent("total-mismatch"), sink.No)
	if i := w.State().Invoices; len(i) != 0 {
		t.Errorf("left: %+v", i)
	}
}

// What Stripe made of the tax when it finalized is looked at, too. It has been billed:
// a person has to see it.
func TestFinalizedOtherwise(t *testing.T) {
	const complete = `"automatic_tax":{"enabled":true,"status":"complete"}`
	for _, c := range []struct{ says, instead, class string }{
		{complete, `"automatic_tax":{"enabled":false,"status":"requires_location_inputs","disabled_reason":"finalization_requires_location_inputs"}`, "invoice-without-tax"},
		{complete, `"automatic_tax":{"enabled":true,"status":"failed"}`, "invoice-without-tax"},
		{complete, `"automatic_tax":{"enabled":true,"status":null}`, ""},
		{`"total_excluding_tax":12505`, `"total_excluding_tax":10421`, "total-mismatch"},
	} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/finalize") {
				w.ServeHTTP(rw, r)
				return
			}
			answer := httptest.NewRecorder()
			w.ServeHTTP(answer, r)
			if !strings.Contains(answer.Body.String(), c.says) {
				t.Errorf("no %s in %s", c.says, answer.Body)
			}
			if _, err := rw.Write([]byte(strings.Replace(answer.Body.String(), c.says, c.instead, 1))); err != nil {
				t.Error(err)
			}
		}))
		defer server.Close()
		r, err := taxing(t, server.URL, "on").Issue(t.Context(), invoiceRef(1), inv)
		if c.class == "" {
			if err != nil {
				t.Errorf("%s: %v", c.instead, err)
			}
			continue
		}
		e := wantError(t, err, verdict.Permanent(c.class), sink.Yes)
		if id := w.State().Invoices[0].ID; r.Link != id || !strings.Contains(e.Reason, id) {
			t.Errorf("%s: receipt %+v, reason %s", c.instead, r, e.Reason)
		}
	}
}

// Stripe calculates no tax on a negative amount; without tax it bills one.
func TestANegativeLineIsNotTaxed(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	one := decimal.Must("1")
	inv.Lines = []billing.Line{{SKU: "W-1", Quantity: one, UnitPrice: decimal.Must("130.05")}, {SKU: "Discount", Quantity: one, UnitPrice: decimal.Must("-5")}}
	before := len(w.State().Requests)
	_, err := taxing(t, w.url, "on").Issue(t.Context(), invoiceRef(1), inv)
	if e := wantError(t, err, verdict.Permanent("negative-line"), sink.No); !strings.Contains(e.Reason, "line 2") {
		t.Errorf("the reason names another line: %s", e.Reason)
	}
	if got := log(w.State().Requests[before:]); got != "GET 200" {
		t.Errorf("requests = %s", got)
	}
	must[sink.Receipt](t)(taxing(t, w.url, "off").Issue(t.Context(), invoiceRef(2), inv))
}

// A new customer has the tax status of the choice. From then on it is a person's: no
// change of the account writes it again.
func TestTaxExempt(t *testing.T) {
	for _, c := range []struct {
		choice, made string
		total        int64 // 125.05 with automatic tax
	}{
		{"", "none", 15006}, {"keep", "none", 15006}, {"none", "none", 15006}, {"exempt", "exempt", 12505}, {"reverse", "reverse", 12505},
	} {
		w := newWorld(t, stripesandbox.Options{})
		var sent []string
		server := w.through(t, func(_ *http.Request, form url.Values) { sent = append(sent, form.Get("tax_exempt")) })
		client := choosing(t, server, "test-key", map[string]string{"TAX_EXEMPT": c.choice, "AUTOMATIC_TAX": "on"})
		ref := customerRef(1)
		ref.Link = must[sink.Receipt](t)(client.Customers().Save(t.Context(), ref, accountID, acme())).Link
		if got := w.State().Customers[0].TaxExempt; got != c.made {
			t.Errorf("%q: made as %s", c.choice, got)
		}
		must[sink.Receipt](t)(client.Invoices().Issue(t.Context(), invoiceRef(1), invoice(ref.Link)))
		if got := w.State().Invoices[0].Total; got != c.total {
			t.Errorf("%q: total %d, want %d", c.choice, got, c.total)
		}

		other := map[string]string{"none": "exempt", "exempt": "none", "reverse": "none"}[c.made]
		w.post(t, "/v1/customers/"+ref.Link, "tax_exempt="+other)
		ref.Epoch++
		must[sink.Receipt](t)(client.Customers().Save(t.Context(), ref, accountID, acme()))
		if got := w.State().Customers[0].TaxExempt; got != other {
			t.Errorf("%q: a person made it %s, and it is %s", c.choice, other, got)
		}
		first, want := sent[0], c.choice
		if want == "keep" {
			want = ""
		}
		if rest := strings.Join(sent[1:], ""); first != want || rest != "" {
			t.Errorf("%q: sent %q, then %q", c.choice, first, rest)
		}
	}
}

// A customer that an earlier attempt made is adopted as it is.
func TestTaxExemptOfAnAdoptedCustomer(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	client := choosing(t, w.url, "test-key", map[string]string{"TAX_EXEMPT": "exempt"})
	w.fail(t, faults.Fault{Kind: faults.LostResponse, Method: "POST", Path: "/v1/customers"})
	claimed := w.clock()
	_, err := client.Customers().Save(t.Context(), customerRef(1), accountID, acme())
	wantError(t, err, verdict.Unknown, sink.Maybe)
	w.post(t, "/v1/customers/"+w.State().Customers[0].ID, "tax_exempt=none")
	must[sink.Receipt](t)(client.Customers().Save(t.Context(), doubted(customerRef(1), claimed), accountID, acme()))
	if got := w.State().Customers; len(got) != 1 || got[0].TaxExempt != "none" {
		t.Errorf("customers %+v", got)
	}
}
