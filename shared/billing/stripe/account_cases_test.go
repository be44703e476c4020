package stripe_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	stripego "github.com/stripe/stripe-go/v85"

	"sfrelay/shared/billing"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// accountCases are further cases of the suite, each with a customer of its own. What the
// life of a customer goes through anyway is not among them: no e-mail address, another
// currency, who is told, tax ids.
var accountCases = []struct {
	name string
	run  func(*testing.T, account)
}{
	{"lookup", accountLookup},
	{"lookup-breaks-off", accountLookupBreaksOff},
	{"retired", accountRetired},
	{"automatic-tax", accountAutomaticTax},
	{"tax-exempt", accountTaxExempt},
	{"headers", accountHeaders},
	{"street", accountStreet},
	{"nothing-due", accountNothingDue},
}

// customer makes a customer and takes it away in the end, with its drafts and open invoices.
func (a account) customer(t *testing.T, c billing.Customer) (sink.Ref, billing.Invoice) {
	t.Helper()
	id := "001" + rand.Text()[:15]
	ref := sink.Ref{Consumer: "customer-billing", Org: org, Subject: "Account/" + id, Version: v1, Epoch: 1}
	ref.Link = must[sink.Receipt](t)(a.connector(t, a.base, nil).Customers().Save(t.Context(), ref, id, c)).Link
	ref.Epoch++
	t.Cleanup(func() {
		for _, i := range a.invoices(ref.Link) {
			switch path := fmt.Sprintf("/v1/invoices/%v", i["id"]); i["status"] {
			case "draft":
				a.call(http.MethodDelete, path, nil, "")
			case "open":
				a.call(http.MethodPost, path+"/void", nil, "")
			}
		}
		if _, res := a.call(http.MethodDelete, "/v1/customers/"+ref.Link, nil, ""); res.StatusCode != http.StatusOK {
			t.Errorf("delete = %d", res.StatusCode)
		}
	})
	inv := invoice(ref.Link)
	inv.AccountID, inv.OpportunityID = id, "006"+rand.Text()[:15]
	return ref, inv
}

// accountOf is the id of the account that a customer stands for.
func accountOf(ref sink.Ref) string { return strings.TrimPrefix(ref.Subject, "Account/") }

// refOf is the first attempt to issue an invoice.
func refOf(inv billing.Invoice) sink.Ref {
	return sink.Ref{Consumer: "opportunity-billing", Org: org, Subject: "Opportunity/" + inv.OpportunityID + "/invoice", Epoch: 1}
}

// invoices are all of a customer, in Stripe's order.
func (a account) invoices(customer string) (all []map[string]any) {
	a.t.Helper()
	form := url.Values{"customer": {customer}, "limit": {"100"}}
	for range 10 {
		v := a.get("/v1/invoices?" + form.Encode())
		data, _ := v["data"].([]any)
		for _, i := range data {
			i, _ := i.(map[string]any)
			all = append(all, i)
		}
		if v["has_more"] != true {
			return all
		}
		last, _ := all[len(all)-1]["id"].(string)
		form.Set("starting_after", last)
	}
	a.t.Fatal("too many invoices")
	return nil
}

// through is the address of a proxy to the account. see gets every request; where it
// says so, the connection breaks after the account has answered.
func (a account) through(t *testing.T, see func(*http.Request) (lost bool)) string {
	t.Helper()
	base := must[*url.URL](t)(url.Parse(a.base))
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if see(r) {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// readOnly is the address of a proxy to the account through which nothing is to be written.
func (a account) readOnly(t *testing.T) string {
	t.Helper()
	return a.through(t, func(r *http.Request) bool {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s, and nothing was to be written", r.Method, r.URL.Path)
		}
		return false
	})
}

// Lists are newest first and go on behind a page, so the invoice of a deal is found among
// those that its customer got since, and where the doubt or the deal is younger than it.
func accountLookup(t *testing.T, a account) {
	_, inv := a.customer(t, acme())
	invoices := a.connector(t, a.base, nil).Invoices()
	issued := must[sink.Receipt](t)(invoices.Issue(t.Context(), refOf(inv), inv))
	for range 101 { // one page and one
		a.draft(inv.CustomerLink, nil)
	}
	all := a.invoices(inv.CustomerLink)
	if len(all) != 102 || all[101]["id"] != issued.Link {
		t.Errorf("%d invoices, the first one is not the last", len(all))
	}
	for i := range all[1:] {
		if newer, _ := all[i]["created"].(float64); newer == 0 || newer < all[i+1]["created"].(float64) {
			t.Errorf("invoice %d was created at %v, before the next one at %v", i, all[i]["created"], all[i+1]["created"])
		}
	}
	inv.RecordTime = time.Now()
	invoices = a.connector(t, a.readOnly(t), nil).Invoices()
	for _, ref := range []sink.Ref{refOf(inv), doubted(refOf(inv), time.Now()), doubted(refOf(inv), time.Time{})} {
		ref.Epoch = 3
		if r := must[sink.Receipt](t)(invoices.Issue(t.Context(), ref, inv)); r.Link != issued.Link || r.Outcome != sink.Unchanged {
			t.Errorf("found %+v, want %s", r, issued.Link)
		}
	}
}

// draft makes a draft by hand.
func (a account) draft(customer string, more url.Values) (map[string]any, *http.Response) {
	a.t.Helper()
	form := url.Values{"customer": {customer}, "currency": {"eur"}, "auto_advance": {"false"}, "collection_method": {"send_invoice"}, "days_until_due": {"1"}}
	for name, v := range more {
		form[name] = v
	}
	return a.call(http.MethodPost, "/v1/invoices", form, "")
}

// A look-up without an answer has carried nothing out, and says so.
func accountLookupBreaksOff(t *testing.T, a account) {
	_, inv := a.customer(t, acme())
	broken := a.through(t, func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/v1/invoices" })
	_, err := a.connector(t, broken, nil).Invoices().Issue(t.Context(), refOf(inv), inv)
	wantError(t, err, verdict.Unfinished, sink.No)
	if all := a.invoices(inv.CustomerLink); len(all) != 0 {
		t.Errorf("invoices %v", all)
	}
}

// A retired customer gets no invoice, not even a draft, until it is saved again.
func accountRetired(t *testing.T, a account) {
	ref, inv := a.customer(t, acme())
	client := a.connector(t, a.base, nil)
	must[sink.Receipt](t)(client.Customers().Retire(t.Context(), ref, accountOf(ref)))
	_, err := a.connector(t, a.readOnly(t), nil).Invoices().Issue(t.Context(), refOf(inv), inv)
	wantError(t, err, verdict.Permanent("customer-retired"), sink.No)
	ref.Epoch++
	must[sink.Receipt](t)(client.Customers().Save(t.Context(), ref, accountOf(ref), acme()))
	must[sink.Receipt](t)(client.Invoices().Issue(t.Context(), refOf(inv), inv))
}

// Stripe says of the customer that it cannot be taxed, refuses to finalize its invoice,
// takes no negative line beside automatic tax, and says what an invoice comes to before tax.
func accountAutomaticTax(t *testing.T, a account) {
	nowhere := acme()
	nowhere.Billing = billing.Address{}
	ref, inv := a.customer(t, nowhere)
	taxed := map[string]string{"AUTOMATIC_TAX": "on"}
	client := a.connector(t, a.base, taxed)
	on := url.Values{"automatic_tax[enabled]": {"true"}}

	call := "POST /v1/invoices"
	v, res := a.draft(ref.Link, on)
	if id, _ := v["id"].(string); res.StatusCode == http.StatusOK {
		call = "POST /v1/invoices/{invoice}/finalize"
		a.call(http.MethodPost, "/v1/invoices/"+id+"/add_lines", url.Values{"lines[0][amount]": {"100"}}, "")
		if tax, _ := a.get("/v1/invoices/" + id)["automatic_tax"].(map[string]any); tax["status"] != "requires_location_inputs" {
			t.Errorf("the draft of a customer without an address says %v", tax)
		}
		v, res = a.call(http.MethodPost, "/v1/invoices/"+id+"/finalize", nil, "")
	}
	if e, _ := v["error"].(map[string]any); res.StatusCode != http.StatusBadRequest || e["code"] != "customer_tax_location_invalid" {
		t.Fatalf("%s for a customer without an address = %d %v; is Stripe Tax activated, in test mode?", call, res.StatusCode, v)
	}
	t.Logf("a customer without an address is refused at %s", call)
	_, err := a.connector(t, a.readOnly(t), taxed).Invoices().Issue(t.Context(), refOf(inv), inv)
	wantError(t, err, verdict.Permanent("customer-without-tax-location"), sink.No)

	must[sink.Receipt](t)(client.Customers().Save(t.Context(), ref, accountOf(ref), billing.Customer{
		Billing: billing.Address{City: sink.Set("Berlin"), PostalCode: sink.Set("10115"), Country: sink.Set("DE")}}))
	v, _ = a.draft(ref.Link, on)
	if v, res := a.call(http.MethodPost, fmt.Sprintf("/v1/invoices/%v/add_lines", v["id"]), url.Values{"lines[0][amount]": {"-100"}}, ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a negative line beside automatic tax = %d %v", res.StatusCode, v)
	}
	issued := must[sink.Receipt](t)(client.Invoices().Issue(t.Context(), refOf(inv), inv))
	i := a.get("/v1/invoices/" + issued.Link)
	tax, _ := i["automatic_tax"].(map[string]any)
	if total, _ := i["total"].(float64); i["status"] != "open" || tax["enabled"] != true || tax["status"] != "complete" || i["total_excluding_tax"] != 12505.0 || total < 12505 {
		t.Errorf("invoice = %v", i)
	}
}

// A customer is made with its tax status, and keeps what it was given since.
func accountTaxExempt(t *testing.T, a account) {
	for choice, made := range map[string]string{"keep": "none", "none": "none", "exempt": "exempt", "reverse": "reverse"} {
		id := "001" + rand.Text()[:15]
		ref := sink.Ref{Consumer: "customer-billing", Org: org, Subject: "Account/" + id, Version: v1, Epoch: 1}
		customers := a.connector(t, a.base, map[string]string{"TAX_EXEMPT": choice}).Customers()
		ref.Link = must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, acme())).Link
		if got := a.get("/v1/customers/" + ref.Link)["tax_exempt"]; got != made {
			t.Errorf("%s: made as %v", choice, got)
		}
		other := map[string]string{"none": "exempt", "exempt": "none", "reverse": "none"}[made]
		a.call(http.MethodPost, "/v1/customers/"+ref.Link, url.Values{"tax_exempt": {other}}, "")
		ref.Epoch++
		must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, acme()))
		if got := a.get("/v1/customers/" + ref.Link)["tax_exempt"]; got != other {
			t.Errorf("%s: a person made it %s, and it is %v", choice, other, got)
		}
		a.call(http.MethodDelete, "/v1/customers/"+ref.Link, nil, "")
	}
}

// Every request names the version of the API that the client was made for and, with a key
// of an organisation only, the account; Stripe minds the version.
func accountHeaders(t *testing.T, a account) {
	_, inv := a.customer(t, acme())
	var mu sync.Mutex
	n := 0
	proxy := a.through(t, func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		n++
		if got := r.Header.Get("Stripe-Version"); got != stripego.APIVersion {
			t.Errorf("%s %s: Stripe-Version %q, want %s", r.Method, r.URL.Path, got, stripego.APIVersion)
		}
		if got := r.Header.Values("X-Stripe-Client-Telemetry"); len(got) > 0 {
			t.Errorf("%s %s: telemetry %q", r.Method, r.URL.Path, got)
		}
		if got := r.Header.Values("Stripe-Context"); strings.Join(got, " ") != a.context {
			t.Errorf("%s %s: Stripe-Context %q, want %q", r.Method, r.URL.Path, got, a.context)
		}
		return false
	})
	must[sink.Receipt](t)(a.connector(t, proxy, map[string]string{"INVOICE_DELIVERY": "send"}).Invoices().Issue(t.Context(), refOf(inv), inv))
	if n != 8 {
		t.Errorf("%d requests, want 8", n)
	}

	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, a.base+"/v1/customers/"+inv.CustomerLink, nil))
	r.Header.Set("Authorization", "Bearer "+a.key)
	r.Header.Set("Stripe-Version", "2026-03-25.nowhere")
	if a.context != "" {
		r.Header.Set("Stripe-Context", a.context)
	}
	res := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a version that does not exist = %d", res.StatusCode)
	}
}

// Blank lines of a street take no room.
func accountStreet(t *testing.T, a account) {
	c := acme()
	c.Billing.Street = sink.Set("\r\n1 High St\r\n\r\n  \r\nFloor 2\r\nDoor 3\r\n")
	ref, _ := a.customer(t, c)
	address, _ := a.get("/v1/customers/" + ref.Link)["address"].(map[string]any)
	if address["line1"] != "1 High St" || address["line2"] != "Floor 2, Door 3" {
		t.Errorf("address %v", address)
	}
	c.Billing.Street = sink.Set("\n2 Low St\n ")
	must[sink.Receipt](t)(a.connector(t, a.base, nil).Customers().Save(t.Context(), ref, accountOf(ref), c))
	address, _ = a.get("/v1/customers/" + ref.Link)["address"].(map[string]any)
	if address["line1"] != "2 Low St" || address["line2"] != nil {
		t.Errorf("address %v", address)
	}
}

// A deal of 0 is paid when it is finalized, and sent to nobody.
func accountNothingDue(t *testing.T, a account) {
	for _, how := range []string{"open", "send", "advance"} {
		_, inv := a.customer(t, acme())
		inv.Lines, inv.Total.Amount = nil, decimal.Must("0")
		issued := must[sink.Receipt](t)(a.connector(t, a.base, map[string]string{"INVOICE_DELIVERY": how}).Invoices().Issue(t.Context(), refOf(inv), inv))
		i := a.get("/v1/invoices/" + issued.Link)
		metadata, _ := i["metadata"].(map[string]any)
		if i["status"] != "paid" || i["total"] != 0.0 || metadata["sf_delivery"] == "sent" {
			t.Errorf("%s: invoice = %v", how, i)
		}
	}
}
