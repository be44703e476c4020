package stripesandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
)

// api is a plain client of the sandbox: nothing of the connector is involved.
type api struct {
	t   *testing.T
	s   *stripesandbox.Sandbox
	url string
	now time.Time
}

func newAPI(t *testing.T, o stripesandbox.Options) *api {
	t.Helper()
	a := &api{t: t, now: time.Unix(1_800_000_000, 0)}
	o.Now = func() time.Time { return a.now }
	a.s = stripesandbox.New(o)
	server := httptest.NewServer(a.s)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

type result struct {
	status   int
	replayed bool
	raw      string

	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Total    int64             `json:"total"`
	Deleted  bool              `json:"deleted"`
	Name     *string           `json:"name"`
	Metadata map[string]string `json:"metadata"`
	HasMore  bool              `json:"has_more"`
	Data     []struct{ ID string }
	Error    struct{ Type, Code, Param string }
}

// call sends method, path and parameters; key is the idempotency key, if any.
func (a *api) call(method, path, params, key string) (result, error) {
	var body io.Reader
	if method == "POST" {
		body = strings.NewReader(params)
	} else if params != "" {
		path += "?" + params
	}
	r, err := http.NewRequest(method, a.url+path, body)
	if err != nil {
		return result{}, err
	}
	r.Header.Set("Authorization", "Bearer test-key")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return result{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return result{}, err
	}
	v := result{status: res.StatusCode, replayed: res.Header.Get("Idempotent-Replayed") == "true", raw: string(b)}
	return v, json.Unmarshal(b, &v)
}

func (a *api) do(method, path, params, key string) result {
	a.t.Helper()
	v, err := a.call(method, path, params, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return v
}

func (a *api) ok(method, path, params, key string) result {
	a.t.Helper()
	v := a.do(method, path, params, key)
	if v.status != 200 {
		a.t.Fatalf("%s %s %s = %d %s", method, path, params, v.status, v.raw)
	}
	return v
}

func (a *api) refused(method, path, params, key string, status int, code string) {
	a.t.Helper()
	if v := a.do(method, path, params, key); v.status != status || v.Error.Code != code {
		a.t.Errorf("%s %s %s = %d %s, want %d with code %q", method, path, params, v.status, v.raw, status, code)
	}
}

const draft = "currency=eur&auto_advance=false&collection_method=send_invoice&days_until_due=14&customer="

// What Stripe's OpenAPI description forbids never reaches the state.
func TestRequestsAreValidated(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	for _, p := range []string{
		"nmae=Acme", "balance=many", "address=York", "metadata[a][b]=c", "tax_exempt=maybe",
		"name=" + strings.Repeat("x", 257), "phone=" + strings.Repeat("1", 21), "address[line1]=" + strings.Repeat("x", 5001), "shipping[name]=A",
	} {
		if v := a.do("POST", "/v1/customers", p, ""); v.status != 400 {
			t.Errorf("%.40s = %d", p, v.status)
		}
	}
	for _, p := range []string{
		"name=", "email=a", "email=a%20b@c", "metadata[" + strings.Repeat("k", 41) + "]=v", "metadata[k]=" + strings.Repeat("v", 501), "shipping[name]=&shipping[address][city]=York",
	} {
		if v := a.do("POST", "/v1/customers", p, ""); v.status != 400 {
			t.Errorf("%.40s = %d", p, v.status)
		}
	}
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf("metadata[k%d]=v", i))
	}
	if v := a.do("POST", "/v1/customers", strings.Join(many, "&"), ""); v.status != 400 {
		t.Errorf("51 metadata keys = %d", v.status)
	}
	if n := len(a.s.State().Customers); n != 0 {
		t.Errorf("%d customers came into being", n)
	}
	a.refused("GET", "/v1/customers/search", "query=x", "", 400, "")
	for _, path := range []string{"/v1/charges", "/v2/core/events", "/", "/v1/customers/a/b/c"} {
		a.refused("GET", path, "", "", 404, "")
	}
}

func TestCredentials(t *testing.T) {
	s := httptest.NewServer(stripesandbox.New(stripesandbox.Options{Key: "other-key"}))
	defer s.Close()
	a := &api{t: t, url: s.URL}
	a.refused("GET", "/v1/customers", "", "", 401, "")
	r, err := http.NewRequest("GET", s.URL+"/v1/customers", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer other-key")
	r.Header.Set("Stripe-Version", "2020-01-01")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("an old API version = %d", res.StatusCode)
	}
}

func TestCustomerLife(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	c := a.ok("POST", "/v1/customers", "name=Acme&metadata[a]=1&metadata[b]=2", "")
	v := a.ok("POST", "/v1/customers/"+c.ID, "metadata[a]=&metadata[c]=3", "")
	if *v.Name != "Acme" || v.Metadata["a"] != "" || v.Metadata["b"] != "2" || v.Metadata["c"] != "3" || len(v.Metadata) != 2 {
		t.Errorf("customer = %s", v.raw)
	}
	if v = a.ok("POST", "/v1/customers/"+c.ID, "metadata=&name=", ""); len(v.Metadata) != 0 || v.Name != nil {
		t.Errorf("customer = %s", v.raw)
	}
	if v = a.ok("DELETE", "/v1/customers/"+c.ID, "", ""); !v.Deleted {
		t.Errorf("delete = %s", v.raw)
	}
	if v = a.ok("GET", "/v1/customers/"+c.ID, "", ""); !v.Deleted {
		t.Errorf("get = %s", v.raw)
	}
	a.refused("POST", "/v1/customers/"+c.ID, "name=B", "", 404, "resource_missing")
	a.refused("GET", "/v1/customers/cus_none", "", "", 404, "resource_missing")
	a.refused("POST", "/v1/invoices", draft+c.ID, "", 400, "resource_missing")
	if v = a.ok("GET", "/v1/customers", "", ""); len(v.Data) != 0 {
		t.Errorf("a deleted customer is listed: %s", v.raw)
	}
}

func TestListsPageAndFilter(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	var ids []string
	for i := range 25 {
		ids = append(ids, a.ok("POST", "/v1/customers", fmt.Sprintf("email=c%d@acme.example", i%2), "").ID)
		a.now = a.now.Add(time.Second)
	}
	start := a.now.Add(-25 * time.Second).Unix()
	if v := a.ok("GET", "/v1/customers", "", ""); len(v.Data) != 10 || !v.HasMore || v.Data[0].ID != ids[24] {
		t.Errorf("default page = %d, more %v", len(v.Data), v.HasMore)
	}
	if v := a.ok("GET", "/v1/customers", "limit=100&starting_after="+ids[10], ""); len(v.Data) != 10 || v.HasMore || v.Data[0].ID != ids[9] {
		t.Errorf("after = %s", v.raw)
	}
	for filter, want := range map[string]int{
		fmt.Sprintf("created[gte]=%d", start+20): 5, fmt.Sprintf("created[gt]=%d", start+20): 4,
		fmt.Sprintf("created[lte]=%d", start+2): 3, fmt.Sprintf("created[lt]=%d", start+2): 2,
		fmt.Sprintf("created[gte]=%d&created[lt]=%d", start+5, start+8): 3, fmt.Sprintf("created=%d", start+5): 1,
		"email=c1@acme.example": 12,
	} {
		if v := a.ok("GET", "/v1/customers", "limit=100&"+filter, ""); len(v.Data) != want {
			t.Errorf("%s = %d, want %d", filter, len(v.Data), want)
		}
	}
	a.refused("GET", "/v1/customers", "limit=101", "", 400, "parameter_invalid_integer")
	a.refused("GET", "/v1/customers", "limit=0", "", 400, "parameter_invalid_integer")
	a.refused("GET", "/v1/customers", "starting_after=cus_none", "", 400, "resource_missing")
}

func TestInvoiceLife(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	c := a.ok("POST", "/v1/customers", "name=Acme&email=books@acme.example", "").ID
	i := a.ok("POST", "/v1/invoices", draft+c, "")
	path := "/v1/invoices/" + i.ID
	if i.Status != "draft" || i.Total != 0 {
		t.Errorf("draft = %s", i.raw)
	}
	a.refused("POST", path+"/finalize", "", "", 400, "invoice_no_customer_line_items")
	// One bad line: none is added.
	a.refused("POST", path+"/add_lines", "lines[0][amount]=5&lines[1][description]=x", "", 400, "parameter_missing")
	if v := a.ok("POST", path+"/add_lines", "lines[0][amount]=500&lines[0][description]=x&lines[1][amount]=-100", ""); v.Total != 400 {
		t.Errorf("lines = %s", v.raw)
	}
	if v := a.ok("GET", path+"/lines", "", ""); len(v.Data) != 2 {
		t.Errorf("lines = %s", v.raw)
	}
	if v := a.ok("POST", path+"/finalize", "", ""); v.Status != "open" {
		t.Errorf("finalized = %s", v.raw)
	}
	for _, p := range []string{"/finalize", "/add_lines"} {
		a.refused("POST", path+p, map[string]string{"/add_lines": "lines[0][amount]=1"}[p], "", 400, "invoice_not_editable")
	}
	a.refused("DELETE", path, "", "", 400, "invoice_not_editable")
	if v := a.ok("POST", path+"/void", "", ""); v.Status != "void" {
		t.Errorf("voided = %s", v.raw)
	}
	a.refused("POST", path+"/pay", "", "", 400, "invoice_not_editable")

	d := a.ok("POST", "/v1/invoices", draft+c, "").ID
	a.ok("DELETE", "/v1/invoices/"+d, "", "")
	a.refused("GET", "/v1/invoices/"+d, "", "", 404, "resource_missing")
	if v := a.ok("GET", "/v1/invoices", "customer="+c, ""); len(v.Data) != 1 || v.Data[0].ID != i.ID {
		t.Errorf("list = %s", v.raw)
	}
	if v := a.ok("GET", "/v1/invoices", "status=draft", ""); len(v.Data) != 0 {
		t.Errorf("list of drafts = %s", v.raw)
	}
	// A customer may have invoices in several currencies, and none without an e-mail.
	a.ok("POST", "/v1/invoices", strings.Replace(draft, "eur", "usd", 1)+c, "")
	silent := a.ok("POST", "/v1/customers", "name=Silent", "").ID
	if v := a.do("POST", "/v1/invoices", draft+silent, ""); v.status != 400 || v.Error.Type != "invalid_request_error" || v.Error.Code != "" {
		t.Errorf("a customer without e-mail = %d %s", v.status, v.raw)
	}
	for _, p := range []string{
		strings.Replace(draft, "currency=eur&", "", 1) + c, strings.Replace(draft, "auto_advance=false&", "", 1) + c, strings.Replace(draft, "&days_until_due=14", "", 1) + c,
		strings.Replace(draft, "send_invoice", "charge_automatically", 1) + c, draft, strings.Replace(draft, "eur", "zzz", 1) + c, strings.Replace(draft, "14", "-1", 1) + c,
		draft + c + "&automatic_tax[enabled]=true", draft + c + "&footer=x",
	} {
		if v := a.do("POST", "/v1/invoices", p, ""); v.status != 400 {
			t.Errorf("%s = %d", p, v.status)
		}
	}
}

func TestTaxIDs(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	path := "/v1/customers/" + a.ok("POST", "/v1/customers", "name=Acme", "").ID
	id := a.ok("POST", path+"/tax_ids", "type=eu_vat&value=DE123456789", "").ID
	for _, wrong := range []string{"type=eu_vat&value=123456789", "type=eu_vat&value=DE000000000", "type=gb_vat&value=DE123456789"} {
		a.refused("POST", path+"/tax_ids", wrong, "", 400, "tax_id_invalid")
	}
	a.refused("POST", "/v1/customers/cus_none/tax_ids", "type=eu_vat&value=DE123456789", "", 404, "resource_missing")
	if v := a.ok("GET", path, "", ""); strings.Contains(v.raw, "tax_ids") {
		t.Errorf("tax ids that nobody asked for: %s", v.raw)
	}
	if v := a.ok("GET", path, "expand[]=tax_ids", ""); !strings.Contains(v.raw, id) {
		t.Errorf("no tax ids: %s", v.raw)
	}
	a.ok("DELETE", path+"/tax_ids/"+id, "", "")
	a.refused("DELETE", path+"/tax_ids/"+id, "", "", 404, "resource_missing")
}

// With automatic tax there is 20 % on top, or within the amounts; who is exempt pays none.
// Where the customer is Stripe has to know (docs.stripe.com/tax/invoicing), and no line is negative.
func TestAutomaticTax(t *testing.T) {
	const draft = "currency=eur&auto_advance=false&automatic_tax[enabled]=true&collection_method=send_invoice&days_until_due=1&customer="
	for _, c := range []struct {
		inclusive  bool
		customer   string
		net, total string // empty: refused
	}{
		{false, "address[country]=DE", "100", "120"},
		{true, "address[country]=DE", "83", "100"},
		{false, "address[country]=DE&tax_exempt=none", "100", "120"},
		{false, "address[country]=DE&tax_exempt=exempt", "100", "100"},
		{true, "address[country]=DE&tax_exempt=reverse", "100", "100"},
		{false, "address[country]=US&address[postal_code]=97712", "100", "120"},
		{false, "address[country]=US&address[postal_code]=97712-4918", "100", "120"},
		{false, "address[country]=CA&address[state]=ON", "100", "120"},
		{false, "address[country]=CA&address[postal_code]=K1A 0B1", "100", "120"},
		{false, "address[country]=US&address[state]=OR&shipping[name]=A&shipping[address][country]=DE", "100", "120"},
		{false, "name=A", "", ""},
		{false, "address[city]=York", "", ""},
		{false, "address[country]=US&address[state]=OR", "", ""},
		{false, "address[country]=US&address[postal_code]=9771", "", ""},
		{false, "address[country]=CA", "", ""},
		{false, "address[country]=DE&shipping[name]=A&shipping[address][country]=US", "", ""},
	} {
		a := newAPI(t, stripesandbox.Options{TaxInclusive: c.inclusive})
		customer := a.ok("POST", "/v1/customers", "email=a@b.example&"+c.customer, "").ID
		tax := a.ok("GET", "/v1/customers/"+customer, "expand[]=tax", "").raw
		if c.total == "" {
			a.refused("POST", "/v1/invoices", draft+customer, "", 400, "customer_tax_location_invalid")
			if !strings.Contains(tax, `"automatic_tax":"unrecognized_location"`) {
				t.Errorf("%s: %s", c.customer, tax)
			}
			continue
		}
		i := a.ok("POST", "/v1/invoices", draft+customer, "").ID
		a.refused("POST", "/v1/invoices/"+i+"/add_lines", "lines[0][amount]=-1", "", 400, "")
		for _, done := range []result{a.ok("POST", "/v1/invoices/"+i+"/add_lines", "lines[0][amount]=100", ""), a.ok("POST", "/v1/invoices/"+i+"/finalize", "", "")} {
			for _, want := range []string{`"total_excluding_tax":` + c.net + ",", `"total":` + c.total + ",", `"amount_due":` + c.total + ",", `"subtotal":100,`, `"automatic_tax":{"enabled":true,"status":"complete"}`} {
				if !strings.Contains(done.raw, want) {
					t.Errorf("%s: no %s in %s", c.customer, want, done.raw)
				}
			}
		}
		if !strings.Contains(tax, `"automatic_tax":"supported"`) || strings.Contains(a.ok("GET", "/v1/customers/"+customer, "", "").raw, "automatic_tax") {
			t.Errorf("%s: %s", c.customer, tax)
		}
	}

	// A customer that moves away takes its draft along.
	a := newAPI(t, stripesandbox.Options{})
	customer := a.ok("POST", "/v1/customers", "email=a@b.example&address[country]=DE", "").ID
	i := a.ok("POST", "/v1/invoices", draft+customer, "").ID
	a.ok("POST", "/v1/customers/"+customer, "address=", "")
	if got := a.ok("POST", "/v1/invoices/"+i+"/add_lines", "lines[0][amount]=100", "").raw; !strings.Contains(got, `"status":"requires_location_inputs"`) {
		t.Error(got)
	}
	a.refused("POST", "/v1/invoices/"+i+"/finalize", "", "", 400, "customer_tax_location_invalid")
}

func TestThreeDecimalCurrencies(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	c := a.ok("POST", "/v1/customers", "name=Acme&email=books@acme.example", "").ID
	i := a.ok("POST", "/v1/invoices", strings.Replace(draft, "eur", "kwd", 1)+c, "").ID
	a.refused("POST", "/v1/invoices/"+i+"/add_lines", "lines[0][amount]=1234", "", 400, "parameter_invalid_integer")
	a.ok("POST", "/v1/invoices/"+i+"/add_lines", "lines[0][amount]=1230", "")
}

func TestIdempotency(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	first := a.ok("POST", "/v1/customers", "name=Acme", "k1")
	if v := a.ok("POST", "/v1/customers", "name=Acme", "k1"); v.ID != first.ID || !v.replayed || first.replayed {
		t.Errorf("replay = %s, replayed %v", v.raw, v.replayed)
	}
	if v := a.do("POST", "/v1/customers", "name=Other", "k1"); v.status != 400 || v.Error.Type != "idempotency_error" || v.replayed {
		t.Errorf("other parameters = %d %s", v.status, v.raw)
	}
	if v := a.do("POST", "/v1/customers/"+first.ID, "name=Acme", "k1"); v.status != 400 || v.Error.Type != "idempotency_error" {
		t.Errorf("other URL = %d %s", v.status, v.raw)
	}
	// A refusal of the content is remembered, one of the parameters is not.
	a.refused("POST", "/v1/customers", "email=x", "k2", 400, "email_invalid")
	a.refused("POST", "/v1/customers", "address[country]=Germany", "k4", 400, "")
	a.refused("POST", "/v1/customers", "shipping[name]=x&shipping[address][country]=UK", "k5", 400, "")
	if v := a.do("POST", "/v1/customers", "email=x", "k2"); v.status != 400 || !v.replayed {
		t.Errorf("a refusal = %d, replayed %v", v.status, v.replayed)
	}
	a.refused("POST", "/v1/customers", "nmae=x", "k3", 400, "parameter_unknown")
	a.ok("POST", "/v1/customers", "name=x", "k3")
	// Just before and at the end of its life.
	a.now = a.now.Add(stripesandbox.KeyLife - time.Second)
	if v := a.ok("POST", "/v1/customers", "name=Acme", "k1"); v.ID != first.ID {
		t.Error("the key was forgotten too early")
	}
	a.now = a.now.Add(time.Second)
	if v := a.ok("POST", "/v1/customers", "name=Acme", "k1"); v.ID == first.ID || v.replayed {
		t.Error("the key lives for ever")
	}
	if v := a.do("POST", "/v1/customers", "name=x", strings.Repeat("k", 256)); v.status != 400 {
		t.Errorf("a key of 256 characters = %d", v.status)
	}
}

func TestFaults(t *testing.T) {
	for kind, want := range map[faults.Kind]struct {
		status    int  // of the first request; 0: the connection breaks
		applied   bool // by the first request
		replayed  bool // the second request with the key
		secondOK  bool
		customers int
	}{
		faults.Down:         {0, false, false, true, 1},
		faults.Unavailable:  {503, false, false, true, 1},
		faults.Throttled:    {429, false, false, true, 1},
		faults.ErrorBefore:  {500, false, true, false, 0},
		faults.ErrorAfter:   {500, true, true, false, 1},
		faults.LostResponse: {0, true, true, true, 1},
		faults.Latency:      {200, true, true, true, 1},
	} {
		a := newAPI(t, stripesandbox.Options{})
		if err := a.s.Faults.Add(faults.Fault{Kind: kind, Method: "POST", LatencyMS: 1, RetryAfter: 3}); err != nil {
			t.Fatal(err)
		}
		v, err := a.call("POST", "/v1/customers", "name=Acme", "k")
		if (err != nil) != (want.status == 0) || (err == nil && v.status != want.status) {
			t.Errorf("%s: first = %d, %v", kind, v.status, err)
		}
		if got := len(a.s.State().Customers) == 1; got != want.applied {
			t.Errorf("%s: applied %v", kind, got)
		}
		v = a.do("POST", "/v1/customers", "name=Acme", "k")
		if v.replayed != want.replayed || (v.status == 200) != want.secondOK || len(a.s.State().Customers) != want.customers {
			t.Errorf("%s: second = %d, replayed %v, %d customers", kind, v.status, v.replayed, len(a.s.State().Customers))
		}
	}
}

func TestTwoAtOnceWithOneKey(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	hold := faults.NewHold()
	if err := a.s.Faults.Add(faults.Fault{Kind: faults.Latency, Hold: hold}); err != nil {
		t.Fatal(err)
	}
	first := make(chan result)
	go func() {
		r, err := a.call("POST", "/v1/customers", "name=Acme", "k")
		if err != nil {
			t.Error(err)
		}
		first <- r
	}()
	<-hold.Reached
	a.refused("POST", "/v1/customers", "name=Acme", "k", 409, "idempotency_key_in_use")
	a.refused("POST", "/v1/customers", "name=Other", "k", 400, "")
	close(hold.Release)
	r := <-first
	if v := a.ok("POST", "/v1/customers", "name=Acme", "k"); v.ID != r.ID || !v.replayed || len(a.s.State().Customers) != 1 {
		t.Errorf("afterwards = %s, replayed %v", v.raw, v.replayed)
	}
}

func TestOwnEndpoints(t *testing.T) {
	a := newAPI(t, stripesandbox.Options{})
	a.ok("POST", "/v1/customers", "name=Acme", "")
	post := func(path, body string) int {
		res, err := http.Post(a.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if s := post("/_sandbox/faults", `{"kind":"throttled"}`); s != 204 {
		t.Errorf("POST faults = %d", s)
	}
	a.refused("GET", "/v1/customers", "", "", 429, "rate_limit")
	res, err := http.Get(a.url + "/_sandbox/state")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var st stripesandbox.State
	if err := json.NewDecoder(res.Body).Decode(&st); err != nil || len(st.Customers) != 1 || len(st.Requests) != 2 || st.Requests[1].Status != 429 {
		t.Errorf("state = %+v, %v", st, err)
	}
	if s := post("/_sandbox/reset", ""); s != 204 || len(a.s.State().Customers) != 0 {
		t.Errorf("reset = %d, %+v", s, a.s.State())
	}
	if s := post("/_sandbox/nothing", ""); s != 404 {
		t.Errorf("an unknown endpoint = %d", s)
	}
}

func ExampleSandbox() {
	s := stripesandbox.New(stripesandbox.Options{})
	server := httptest.NewServer(s)
	defer server.Close()
	s.Faults.Add(faults.Fault{Kind: faults.LostResponse, Path: "/v1/customers"})
	r, _ := http.NewRequest("POST", server.URL+"/v1/customers", strings.NewReader(url.Values{"name": {"Acme"}}.Encode()))
	r.Header.Set("Authorization", "Bearer test-key")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	fmt.Println(err, len(s.State().Customers))
	// Output: unexpected EOF 1
}
