package stripe_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

const (
	org         = "00D000000000001EAA"
	accountID   = "001000000000001AAA"
	opportunity = "006000000000001AAA"
	v1          = "019aa0000000000000000000000000010000aaaa"
	v2          = "019aa0000000000000000000000000020000aaaa"
)

// world is a sandbox with a clock that only the test moves, and a connector.
type world struct {
	*stripesandbox.Sandbox
	url       string
	client    *stripe.Client
	customers billing.Customers
	invoices  billing.Invoices

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T, o stripesandbox.Options) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	o.Now = w.clock
	w.Sandbox = stripesandbox.New(o)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	c, err := stripe.New(sinkhttp.Static("test-key"), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.client, w.customers, w.invoices = c, c.Customers(), c.Invoices()
	return w
}

func (w *world) fail(t *testing.T, f ...faults.Fault) {
	t.Helper()
	if err := w.Faults.Add(f...); err != nil {
		t.Fatal(err)
	}
}

func customerRef(epoch int64) sink.Ref {
	return sink.Ref{Consumer: "customer-billing", Org: org, Subject: "Account/" + accountID, Version: v1, Epoch: epoch}
}

func invoiceRef(epoch int64) sink.Ref {
	return sink.Ref{Consumer: "opportunity-billing", Org: org, Subject: "Opportunity/" + opportunity + "/invoice", Epoch: epoch}
}

// doubted is the ref of the attempt after one that got no answer.
func doubted(r sink.Ref, since time.Time) sink.Ref {
	r.Epoch++
	r.InDoubt, r.DoubtSince = true, since
	return r
}

func acme() billing.Customer {
	return billing.Customer{
		Name:   sink.Set("Acme"),
		Number: sink.Set("A-1"),
		Email:  sink.Set("books@acme.example"),
		Billing: billing.Address{Street: sink.Set("1 High St\nFloor 2"), City: sink.Set("York"), State: sink.Clear[string](),
			PostalCode: sink.Set("YO1 1AA"), Country: sink.Set("GB")},
	}
}

func wantError(t *testing.T, err error, class verdict.Class, applied sink.Applied) *sink.Error {
	t.Helper()
	var e *sink.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want a *sink.Error of class %s", err, class)
	}
	if e.Class != class || e.Applied != applied {
		t.Fatalf("error = %s, applied %s (%v), want %s, applied %s", e.Class, e.Applied, e, class, applied)
	}
	return e
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func deref(s *string) string {
	if s == nil {
		return "<null>"
	}
	return *s
}

func TestSaveCreatesThenUpdates(t *testing.T) {
	for _, merge := range []bool{false, true} {
		w := newWorld(t, stripesandbox.Options{MergeAddresses: merge})
		ctx := t.Context()
		r := must[sink.Receipt](t)(w.customers.Save(ctx, customerRef(1), accountID, acme()))
		if r.Outcome != sink.Created || !strings.HasPrefix(r.Link, "cus_") {
			t.Fatalf("receipt = %+v", r)
		}
		c := w.State().Customers[0]
		if got := deref(c.Name) + "|" + deref(c.Email) + "|" + deref(c.Address.Line1) + "|" + deref(c.Address.Line2) + "|" + deref(c.Address.City) + "|" + deref(c.Address.State); got !=
			"Acme|books@acme.example|1 High St|Floor 2|York|<null>" {
			t.Errorf("created %s", got)
		}
		for k, want := range map[string]string{"sf_org": org, "sf_id": accountID, "sf_object": "Account", "sf_version": v1, "sf_number": "A-1"} {
			if c.Metadata[k] != want {
				t.Errorf("metadata %s = %q, want %q", k, c.Metadata[k], want)
			}
		}

		// A partial change: one part of an address, one field cleared, a shipping
		// address for the first time. Everything else stays.
		ref := customerRef(2)
		ref.Link, ref.Version = r.Link, v2
		r2 := must[sink.Receipt](t)(w.customers.Save(ctx, ref, accountID, billing.Customer{
			Email:    sink.Clear[string](),
			Number:   sink.Clear[string](),
			Billing:  billing.Address{City: sink.Set("Leeds")},
			Shipping: billing.Address{City: sink.Set("Hull")},
		}))
		if r2.Outcome != sink.Updated || r2.Link != r.Link {
			t.Fatalf("receipt = %+v", r2)
		}
		c = w.State().Customers[0]
		if got := deref(c.Name) + "|" + deref(c.Email) + "|" + deref(c.Address.Line1) + "|" + deref(c.Address.Line2) + "|" + deref(c.Address.City) + "|" + deref(c.Address.PostalCode); got !=
			"Acme|<null>|1 High St|Floor 2|Leeds|YO1 1AA" {
			t.Errorf("updated %s (merging addresses: %v)", got, merge)
		}
		if got := c.Shipping.Name + "|" + deref(c.Shipping.Address.City); got != "Acme|Hull" {
			t.Errorf("shipping %s", got)
		}
		if _, there := c.Metadata["sf_number"]; there || c.Metadata["sf_version"] != v2 {
			t.Errorf("metadata = %v", c.Metadata)
		}

		// Only a part of the billing address.
		ref.Epoch = 20
		must[sink.Receipt](t)(w.customers.Save(ctx, ref, accountID, billing.Customer{Billing: billing.Address{Country: sink.Clear[string]()}}))
		if c = w.State().Customers[0]; deref(c.Address.City) != "Leeds" || deref(c.Address.Country) != "<null>" {
			t.Errorf("address = %+v (merging addresses: %v)", c.Address, merge)
		}

		// A new name also names the shipping address; clearing all of it removes it.
		ref.Epoch = 30
		must[sink.Receipt](t)(w.customers.Save(ctx, ref, accountID, billing.Customer{Name: sink.Set("Acme Ltd")}))
		if c = w.State().Customers[0]; c.Shipping.Name != "Acme Ltd" || deref(c.Shipping.Address.City) != "Hull" {
			t.Errorf("shipping = %+v", c.Shipping)
		}
		ref.Epoch = 40
		must[sink.Receipt](t)(w.customers.Save(ctx, ref, accountID, billing.Customer{Shipping: billing.Address{City: sink.Clear[string]()}}))
		if c = w.State().Customers[0]; c.Shipping != nil {
			t.Errorf("shipping = %+v, want none", c.Shipping)
		}
	}
}

func TestRetireMarksAndSaveBringsBack(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	ctx := t.Context()
	ref := customerRef(1)
	if r := must[sink.Receipt](t)(w.customers.Retire(ctx, ref, accountID)); r.Outcome != sink.Unchanged || r.Link != "" {
		t.Fatalf("retire of nothing = %+v", r)
	}
	if n := len(w.State().Requests); n != 0 {
		t.Fatalf("retire of nothing took %d requests", n)
	}
	ref.Link = must[sink.Receipt](t)(w.customers.Save(ctx, ref, accountID, acme())).Link
	ref.Epoch = 2
	must[sink.Receipt](t)(w.customers.Retire(ctx, ref, accountID))
	if c := w.State().Customers[0]; c.Metadata["sf_retired"] != "true" || deref(c.Name) != "Acme" {
		t.Errorf("retired customer = %+v", c)
	}
	ref.Epoch = 3
	must[sink.Receipt](t)(w.customers.Save(ctx, ref, accountID, acme()))
	if c := w.State().Customers[0]; c.Metadata["sf_retired"] != "" {
		t.Errorf("still retired: %v", c.Metadata)
	}
}

// A response that is lost after the customer was made: whatever the next attempt
// knows, there is one customer.
func TestLostResponseMakesOneCustomer(t *testing.T) {
	for name, c := range map[string]struct {
		wait    time.Duration
		content func(*billing.Customer)
	}{
		"same content, key remembered":   {time.Minute, func(*billing.Customer) {}},
		"same content, key forgotten":    {25 * time.Hour, func(*billing.Customer) {}},
		"other content, key remembered":  {time.Minute, func(c *billing.Customer) { c.Name = sink.Set("Acme Ltd") }},
		"other content, key forgotten":   {25 * time.Hour, func(c *billing.Customer) { c.Name = sink.Set("Acme Ltd") }},
		"other content, long in a queue": {13 * 24 * time.Hour, func(c *billing.Customer) { c.Name = sink.Set("Acme Ltd") }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, stripesandbox.Options{})
			w.fail(t, faults.Fault{Kind: faults.LostResponse, Method: "POST", Path: "/v1/customers"})
			claimed := w.clock()
			_, err := w.customers.Save(t.Context(), customerRef(1), accountID, acme())
			wantError(t, err, verdict.Unknown, sink.Maybe)

			w.pass(c.wait)
			again := acme()
			c.content(&again)
			r := must[sink.Receipt](t)(w.customers.Save(t.Context(), doubted(customerRef(1), claimed), accountID, again))
			st := w.State()
			if len(st.Customers) != 1 || st.Customers[0].ID != r.Link || deref(st.Customers[0].Name) != again.Name.Value {
				t.Fatalf("customers = %+v, receipt %+v", st.Customers, r)
			}
		})
	}
}

// Where the guard lost its memory nothing is in doubt and no link is known, but
// Stripe still remembers the key: with other content it says so, and that is taken
// as proof of an earlier attempt.
func TestMappingChangeUnderAnOpenKeyAdopts(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	first := must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(1), accountID, acme()))
	changed := acme()
	changed.Name = sink.Set("Acme Ltd")
	second := must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(2), accountID, changed))
	if c := w.State().Customers; len(c) != 1 || first.Link != second.Link || deref(c[0].Name) != "Acme Ltd" {
		t.Fatalf("customers = %+v", c)
	}
	// The same content is replayed from the key.
	third := must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(3), accountID, acme()))
	if c := w.State().Customers; len(c) != 1 || third.Link != first.Link || deref(c[0].Name) != "Acme" {
		t.Fatalf("customers = %+v", c)
	}
}

// A 500 that Stripe remembers is given again for a day. If it hid a success the
// customer is adopted, if not the next key is used.
func TestReplayedErrorIsLookedBehind(t *testing.T) {
	for kind, requests := range map[faults.Kind]string{
		faults.ErrorBefore: "POST 500, GET 200, POST 500 replayed, GET 200, POST 200",
		faults.ErrorAfter:  "POST 500, GET 200, GET 200, POST 200",
	} {
		w := newWorld(t, stripesandbox.Options{})
		w.fail(t, faults.Fault{Kind: kind, Method: "POST", Path: "/v1/customers"})
		claimed := w.clock()
		_, err := w.customers.Save(t.Context(), customerRef(1), accountID, acme())
		wantError(t, err, verdict.Unknown, sink.Maybe)
		w.pass(time.Minute)
		r := must[sink.Receipt](t)(w.customers.Save(t.Context(), doubted(customerRef(1), claimed), accountID, acme()))
		st := w.State()
		if len(st.Customers) != 1 || st.Customers[0].ID != r.Link {
			t.Errorf("%s: customers = %+v", kind, st.Customers)
		}
		if got := log(st.Requests); got != requests {
			t.Errorf("%s: requests = %s, want %s", kind, got, requests)
		}
	}
}

func log(requests []stripesandbox.Request) string {
	var b []string
	for _, r := range requests {
		s := r.Method + " " + map[int]string{0: "broken", 200: "200", 400: "400", 401: "401", 404: "404", 409: "409", 429: "429", 500: "500", 503: "503"}[r.Status]
		if r.Replayed {
			s += " replayed"
		}
		b = append(b, s)
	}
	return strings.Join(b, ", ")
}

func TestFailedLookupIsNeverAbsent(t *testing.T) {
	for kind, class := range map[faults.Kind]verdict.Class{
		faults.Down: verdict.Unfinished, faults.Unavailable: verdict.Unknown, faults.Throttled: verdict.Throttled, faults.ErrorBefore: verdict.Unknown,
	} {
		w := newWorld(t, stripesandbox.Options{})
		w.fail(t, faults.Fault{Kind: kind, Method: "GET", Path: "/v1/customers"}, faults.Fault{Kind: kind, Method: "GET", Path: "/v1/invoices"})
		_, err := w.customers.Save(t.Context(), doubted(customerRef(1), w.clock()), accountID, acme())
		wantError(t, err, class, sink.No)
		_, err = w.invoices.Issue(t.Context(), invoiceRef(1), billing.Invoice{OpportunityID: opportunity, CustomerLink: "cus_x"})
		wantError(t, err, class, sink.No)
		if n := len(w.State().Customers); n != 0 {
			t.Errorf("%s: %d customers were created behind a failed look-up", kind, n)
		}
	}
}

func TestSeveralCustomersKeepTheOldest(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	claimed := w.clock()
	var links []string
	for i := range 2 {
		ref := customerRef(int64(i))
		ref.Consumer = []string{"one", "two"}[i] // other keys, as after a rename
		links = append(links, must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, acme())).Link)
		w.pass(time.Minute)
	}
	changed := acme()
	changed.Name = sink.Set("Acme Ltd")
	r, err := w.customers.Save(t.Context(), doubted(customerRef(5), claimed), accountID, changed)
	e := wantError(t, err, verdict.DuplicateRemote, sink.Yes)
	if r.Link != links[0] || !strings.Contains(e.Reason, links[1]) {
		t.Errorf("receipt %+v, error %v; links %v", r, e, links)
	}
	if c := w.State().Customers; deref(c[0].Name) != "Acme Ltd" || deref(c[1].Name) != "Acme" {
		t.Errorf("customers = %+v", c)
	}
}

func TestLookupGoesThroughPages(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	wanted := must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(1), accountID, acme())).Link
	for i := range 250 {
		ref := customerRef(1)
		ref.Subject += strings.Repeat("x", i+1)
		other := "001" + strings.Repeat("0", 12) + "ZZZ"
		must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, other, acme()))
	}
	w.pass(30 * 24 * time.Hour)
	ref := doubted(customerRef(2), time.Time{})
	if r := must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, acme())); r.Link != wanted {
		t.Errorf("adopted %s, want %s", r.Link, wanted)
	}
	if n := len(w.State().Customers); n != 251 {
		t.Errorf("%d customers, want 251", n)
	}
}

func TestDeletedCustomerIsForAPerson(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	ref := customerRef(1)
	ref.Link = must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, acme())).Link
	w.do(t, "DELETE", "/v1/customers/"+ref.Link)
	ref.Epoch = 2
	for _, c := range []billing.Customer{acme(), {Billing: billing.Address{City: sink.Set("Hull")}}} {
		_, err := w.customers.Save(t.Context(), ref, accountID, c)
		wantError(t, err, verdict.Permanent("customer-deleted"), sink.No)
	}
	ref.Link = "cus_unknown"
	for _, c := range []billing.Customer{acme(), {Phone: sink.Set("1")}} {
		_, err := w.customers.Save(t.Context(), ref, accountID, c)
		wantError(t, err, verdict.Permanent("customer-deleted"), sink.No)
	}
	_, err := w.invoices.Issue(t.Context(), invoiceRef(1), invoice(ref.Link))
	wantError(t, err, verdict.Permanent("customer-deleted"), sink.No)
	if r := must[sink.Receipt](t)(w.customers.Retire(t.Context(), ref, accountID)); r.Outcome != sink.Unchanged {
		t.Errorf("retiring a deleted customer = %+v", r)
	}
}

func (w *world) do(t *testing.T, method, path string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer test-key")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s = %d", method, path, res.StatusCode)
	}
}

// A later repetition of an update is carried out, not answered from memory: the
// request of a zombie may have written in between.
func TestRepeatedUpdateIsCarriedOut(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	ref := customerRef(1)
	ref.Link = must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, acme())).Link
	newest := acme()
	newest.Name = sink.Set("Acme Ltd")
	ref.Epoch, ref.Version = 3, v2
	must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, newest))
	zombie := ref
	zombie.Epoch, zombie.Version = 2, v1
	must[sink.Receipt](t)(w.customers.Save(t.Context(), zombie, accountID, acme()))
	ref.Epoch = 4
	must[sink.Receipt](t)(w.customers.Save(t.Context(), ref, accountID, newest))
	if c := w.State().Customers[0]; deref(c.Name) != "Acme Ltd" {
		t.Errorf("name = %s: the repair was not carried out", deref(c.Name))
	}
}

// The figures of docs/reference/connectors.md.
func TestRequestsPerCall(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	count := func(want string, do func() (sink.Receipt, error)) sink.Receipt {
		t.Helper()
		before := len(w.State().Requests)
		r := must[sink.Receipt](t)(do())
		if got := log(w.State().Requests[before:]); got != want {
			t.Errorf("requests = %s, want %s", got, want)
		}
		return r
	}
	ref := customerRef(1)
	save := func(c billing.Customer) func() (sink.Receipt, error) {
		return func() (sink.Receipt, error) {
			ref.Epoch++
			return w.customers.Save(t.Context(), ref, accountID, c)
		}
	}
	full := acme()
	full.Shipping = full.Billing
	ref.Link = count("POST 200", save(full)).Link
	count("POST 200", save(full))
	count("POST 200", save(billing.Customer{Phone: sink.Set("1")}))
	count("GET 200, POST 200", save(billing.Customer{Name: sink.Set("Acme Ltd")}))
	count("GET 200, POST 200", save(billing.Customer{Billing: billing.Address{City: sink.Set("Hull")}}))
	inv := invoice(ref.Link)
	count("GET 200, GET 200, POST 200, POST 200, GET 200, POST 200", func() (sink.Receipt, error) { return w.invoices.Issue(t.Context(), invoiceRef(1), inv) })
	count("GET 200", func() (sink.Receipt, error) { return w.invoices.Issue(t.Context(), invoiceRef(2), inv) })
	ref.Epoch++
	count("POST 200", func() (sink.Receipt, error) { return w.customers.Retire(t.Context(), ref, accountID) })
}

func invoice(customer string) billing.Invoice {
	return billing.Invoice{
		OpportunityID: opportunity, AccountID: accountID, CustomerLink: customer,
		Total: billing.Money{Amount: decimal.Must("125.05"), Currency: "EUR"},
		Lines: []billing.Line{
			{SKU: "W-1", Description: "Widget", Quantity: decimal.Must("10"), UnitPrice: decimal.Must("12.5")},
			{SKU: "S-1", Description: "Stamp", Quantity: decimal.Must("1"), UnitPrice: decimal.Must("0.05")},
		},
		Description: "Acme, 10 widgets", DueDays: 30, CloseDate: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
}

func (w *world) customer(t *testing.T) string {
	t.Helper()
	return must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(1), accountID, acme())).Link
}

func TestIssueMakesOneInvoice(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	r := must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), inv))
	if r.Outcome != sink.Created || !strings.HasPrefix(r.Link, "in_") {
		t.Fatalf("receipt = %+v", r)
	}
	got := w.State().Invoices[0]
	if got.Status != "open" || got.Total != 12505 || got.Currency != "eur" || got.AutoAdvance || *got.DueDate-got.Created != 30*86400 {
		t.Errorf("invoice = %+v", got)
	}
	if l := got.Lines.Data; len(l) != 2 || l[0].Amount != 12500 || deref(l[0].Description) != "Widget (10 × 12.5)" || l[1].Amount != 5 || deref(l[1].Description) != "Stamp" || l[0].Metadata["sf_sku"] != "W-1" {
		t.Errorf("lines = %+v", l)
	}
	for k, want := range map[string]string{"sf_org": org, "sf_id": opportunity, "sf_object": "Opportunity", "sf_account": accountID, "sf_close_date": "2026-11-01"} {
		if got.Metadata[k] != want {
			t.Errorf("metadata %s = %q, want %q", k, got.Metadata[k], want)
		}
	}

	// Again: by the same attempt, after all keys are forgotten, by a consumer with
	// another name, with other content. Never a second one, and one request each.
	for i, again := range []struct {
		ref  sink.Ref
		wait time.Duration
		inv  billing.Invoice
	}{
		{invoiceRef(2), 0, inv},
		{invoiceRef(3), 48 * time.Hour, inv},
		{sink.Ref{Consumer: "renamed", Org: org, Subject: "Opportunity/" + opportunity + "/invoice", Epoch: 1}, 0, inv},
		{invoiceRef(4), 0, func() billing.Invoice {
			o := inv
			o.Total.Amount, o.Lines = decimal.Must("7"), nil
			return o
		}()},
	} {
		w.pass(again.wait)
		before := len(w.State().Requests)
		r2, err := w.invoices.Issue(t.Context(), again.ref, again.inv)
		if i == 3 {
			wantError(t, err, verdict.ChangedAfterDone, sink.Yes)
		} else if err != nil {
			t.Error(err)
		}
		if r2.Link != r.Link || r2.Outcome != sink.Unchanged || len(w.State().Invoices) != 1 {
			t.Errorf("%d: receipt %+v, %d invoices", i, r2, len(w.State().Invoices))
		}
		if n := len(w.State().Requests) - before; n != 1 {
			t.Errorf("%d: %d requests, want 1", i, n)
		}
	}
}

// Every step fails in every way, then the next attempt comes: at once, after the
// keys are forgotten, with other content. There is one invoice, open, with the
// content of the attempt that finished.
func TestInvoiceStepsFailInEveryWay(t *testing.T) {
	steps := map[string]string{"draft": "/v1/invoices", "lines": "/v1/invoices/*/add_lines", "finalize": "/v1/invoices/*/finalize"}
	kinds := []faults.Kind{faults.Down, faults.Unavailable, faults.Throttled, faults.ErrorBefore, faults.ErrorAfter, faults.LostResponse}
	for step, path := range steps {
		for _, kind := range kinds {
			for _, wait := range []time.Duration{time.Minute, 25 * time.Hour} {
				for _, changed := range []bool{false, true} {
					name := step + " " + string(kind) + " " + wait.String()
					if changed {
						name += " changed"
					}
					t.Run(name, func(t *testing.T) {
						w := newWorld(t, stripesandbox.Options{})
						inv := invoice(w.customer(t))
						w.fail(t, faults.Fault{Kind: kind, Method: "POST", Path: path})
						claimed := w.clock()
						_, err := w.invoices.Issue(t.Context(), invoiceRef(1), inv)
						if kind == faults.Throttled {
							wantError(t, err, verdict.Throttled, sink.No)
						} else {
							wantError(t, err, verdict.Unknown, sink.Maybe)
						}
						w.pass(wait)
						want := int64(12505)
						billed := step == "finalize" && (kind == faults.ErrorAfter || kind == faults.LostResponse)
						if changed {
							inv.Total.Amount, inv.Lines = decimal.Must("7"), nil
							if !billed {
								want = 700
							}
						}
						_, err = w.invoices.Issue(t.Context(), doubted(invoiceRef(1), claimed), inv)
						if changed && billed { // one invoice, and one message
							wantError(t, err, verdict.ChangedAfterDone, sink.Yes)
						} else if err != nil {
							t.Fatal(err)
						}
						st := w.State().Invoices
						if len(st) != 1 || st[0].Status != "open" || st[0].Total != want {
							t.Fatalf("invoices = %+v, want one, open, %d", st, want)
						}
					})
				}
			}
		}
	}
}

func TestInvoiceRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*billing.Invoice)
		class  verdict.Class
	}{
		"no customer": {func(i *billing.Invoice) { i.CustomerLink = "" }, verdict.DependencyMissing},
		"sum":         {func(i *billing.Invoice) { i.Total.Amount = decimal.Must("125.06") }, verdict.Permanent("total-mismatch")},
		"negative":    {func(i *billing.Invoice) { i.Total.Amount = decimal.Must("-1"); i.Lines = nil }, verdict.Permanent("negative-total")},
		"too fine":    {func(i *billing.Invoice) { i.Total.Amount = decimal.Must("1.001"); i.Lines = nil }, verdict.Permanent("amount-too-fine")},
		"yen with fraction": {func(i *billing.Invoice) {
			i.Total = billing.Money{Amount: decimal.Must("1.5"), Currency: "JPY"}
			i.Lines = nil
		}, verdict.Permanent("amount-too-fine")},
		"ugx":              {func(i *billing.Invoice) { i.Total.Currency = "UGX"; i.Total.Amount = decimal.Must("5"); i.Lines = nil }, verdict.Permanent("unsupported-currency")},
		"unknown currency": {func(i *billing.Invoice) { i.Total.Currency = "ZZZ" }, verdict.Permanent("invalid-currency")},
		"due days":         {func(i *billing.Invoice) { i.DueDays = -1 }, verdict.Permanent("invalid-due-days")},
		"more than counts": {func(i *billing.Invoice) {
			i.Lines, i.Total.Amount = nil, decimal.Must("90071992547409.93") // 2^53 + 1 cents
		}, verdict.Permanent("amount-too-large")},
		"many lines": {func(i *billing.Invoice) { i.Lines = make([]billing.Line, 251) }, verdict.Permanent("too-many-lines")},
		"long text":  {func(i *billing.Invoice) { i.Description = strings.Repeat("x", 1501) }, verdict.Permanent("field-too-long")},
		"long line":  {func(i *billing.Invoice) { i.Lines[0].Description = strings.Repeat("x", 500) }, verdict.Permanent("field-too-long")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, stripesandbox.Options{})
			inv := invoice(w.customer(t))
			c.change(&inv)
			_, err := w.invoices.Issue(t.Context(), invoiceRef(1), inv)
			wantError(t, err, c.class, sink.No)
			if n := len(w.State().Invoices); n != 0 {
				t.Errorf("%d invoices were left behind", n)
			}
			for _, r := range w.State().Requests {
				// Only a currency is for Stripe to judge.
				if r.Method == "POST" && r.Path == "/v1/invoices" && name != "unknown currency" {
					t.Error("a draft was made of content that cannot be billed")
				}
			}
		})
	}
}

// Amounts by hand from docs.stripe.com/currencies.
func TestMinorUnits(t *testing.T) {
	for _, c := range []struct {
		amount   string
		currency billing.Currency
		want     int64
	}{
		{"10.50", "USD", 1050}, {"500", "JPY", 500}, {"5.12", "KWD", 5120}, {"7", "ISK", 700}, {"45", "HUF", 4500}, {"0", "EUR", 0},
	} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		inv.Lines, inv.Total = nil, billing.Money{Amount: decimal.Must(c.amount), Currency: c.currency}
		must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), inv))
		if got := w.State().Invoices[0].Total; got != c.want {
			t.Errorf("%s %s is %d at Stripe, want %d", c.amount, c.currency, got, c.want)
		}
	}
}

// Somebody adds a line to the draft by hand: what comes out is not what the
// opportunity says, so it is not finalized. After that it can be issued.
func TestTotalMismatchDeletesTheDraft(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	w.fail(t, faults.Fault{Kind: faults.Down, Method: "POST", Path: "/v1/invoices/*/finalize"})
	_, err := w.invoices.Issue(t.Context(), invoiceRef(1), inv)
	wantError(t, err, verdict.Unknown, sink.Maybe)
	w.addLine(t, w.State().Invoices[0].ID, "999")

	_, err = w.invoices.Issue(t.Context(), doubted(invoiceRef(1), w.clock()), inv)
	wantError(t, err, verdict.Permanent("total-mismatch"), sink.No)
	if n := len(w.State().Invoices); n != 0 {
		t.Fatalf("%d invoices left, want none", n)
	}
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(5), inv))
	if st := w.State().Invoices; len(st) != 1 || st[0].Total != 12505 || st[0].Status != "open" {
		t.Errorf("invoices = %+v", st)
	}
}

// Several invoices with the marks of one opportunity, as an operator or a rename
// of the consumer may leave behind: nothing is added to them, a person is told.
func TestSeveralInvoicesAreForAPerson(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	first := must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(1), inv))
	w.pass(time.Minute)
	form := "customer=" + inv.CustomerLink + "&currency=eur&auto_advance=false&collection_method=send_invoice&days_until_due=1" +
		"&metadata[sf_org]=" + org + "&metadata[sf_id]=" + opportunity + "&metadata[sf_object]=Opportunity"
	w.post(t, "/v1/invoices", form)
	r, err := w.invoices.Issue(t.Context(), invoiceRef(2), inv)
	wantError(t, err, verdict.DuplicateRemote, sink.Yes)
	if st := w.State().Invoices; r.Link != first.Link || len(st) != 2 || st[1].Status != "draft" {
		t.Errorf("receipt %+v, invoices %+v", r, st)
	}

	// Two drafts only: the older one is issued, its content being ours or not.
	w = newWorld(t, stripesandbox.Options{})
	inv = invoice(w.customer(t))
	for range 2 {
		w.post(t, "/v1/invoices", strings.Replace(form, "&currency", "&description=x&currency", 1))
		w.pass(time.Minute)
	}
	r, err = w.invoices.Issue(t.Context(), invoiceRef(1), inv)
	wantError(t, err, verdict.DuplicateRemote, sink.Yes)
	open := 0
	for _, i := range w.State().Invoices {
		if i.Status == "open" && i.ID == r.Link && i.Total == 12505 {
			open++
		}
	}
	if open != 1 {
		t.Errorf("receipt %+v, invoices %+v", r, w.State().Invoices)
	}
}

// Somebody deletes the draft while it is worked on: the next attempt starts anew.
func TestDraftDeletedMeanwhile(t *testing.T) {
	for _, step := range []string{"/add_lines", "/finalize"} {
		w := newWorld(t, stripesandbox.Options{})
		inv := invoice(w.customer(t))
		once := true
		meddling := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if id, ok := strings.CutSuffix(r.URL.Path, step); ok && once {
				once = false
				w.do(t, "DELETE", id)
			}
			w.ServeHTTP(rw, r)
		}))
		defer meddling.Close()
		c := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), meddling.URL))
		_, err := c.Invoices().Issue(t.Context(), invoiceRef(1), inv)
		wantError(t, err, verdict.Conflict, sink.No)
		must[sink.Receipt](t)(c.Invoices().Issue(t.Context(), invoiceRef(2), inv))
		if st := w.State().Invoices; len(st) != 1 || st[0].Status != "open" || st[0].Total != 12505 {
			t.Errorf("%s: invoices = %+v", step, st)
		}
	}
}

func (w *world) addLine(t *testing.T, id, amount string) {
	t.Helper()
	w.post(t, "/v1/invoices/"+id+"/add_lines", "lines[0][amount]="+amount)
}

// post is a request by somebody else.
func (w *world) post(t *testing.T, path, form string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.url+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer test-key")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("POST %s = %d", path, res.StatusCode)
	}
}

// Two attempts at once, as after a lease that ended too early: the keys let only
// one draft come into being.
func TestTwoAtOnce(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	inv := invoice(w.customer(t))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := w.invoices.Issue(context.Background(), invoiceRef(int64(i+1)), inv)
			if err != nil && sink.ClassOf(err) != verdict.Conflict {
				t.Errorf("attempt %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if st := w.State().Invoices; len(st) != 1 || st[0].Total != 12505 || len(st[0].Lines.Data) != 2 {
		t.Fatalf("invoices = %+v", st)
	}
	must[sink.Receipt](t)(w.invoices.Issue(t.Context(), invoiceRef(9), inv))
	if st := w.State().Invoices; len(st) != 1 || st[0].Status != "open" {
		t.Fatalf("invoices = %+v", st)
	}
}

// The caller gave up, its request is still at work: the next attempt is told so,
// and when the request is through the one after it finds what it made.
func TestKeyInUseIsAConflict(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	hold := faults.NewHold()
	w.fail(t, faults.Fault{Kind: faults.Latency, Hold: hold, Method: "POST", Path: "/v1/customers"})
	ctx, giveUp := context.WithCancel(t.Context())
	go func() { <-hold.Reached; giveUp() }()
	claimed := w.clock()
	_, err := w.customers.Save(ctx, customerRef(1), accountID, acme())
	if e := wantError(t, err, verdict.Unknown, sink.Maybe); !errors.Is(e, context.Canceled) {
		t.Errorf("cause = %v, want the end of the context", e.Err)
	}
	_, err = w.customers.Save(t.Context(), doubted(customerRef(1), claimed), accountID, acme())
	wantError(t, err, verdict.Conflict, sink.Maybe)
	close(hold.Release)
	for range 1000 { // ten seconds at most
		if len(w.State().Customers) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	must[sink.Receipt](t)(w.customers.Save(t.Context(), doubted(customerRef(2), claimed), accountID, acme()))
	if n := len(w.State().Customers); n != 1 {
		t.Errorf("%d customers, want 1", n)
	}
}

func TestThrottledSaysWhen(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	w.fail(t, faults.Fault{Kind: faults.Throttled, RetryAfter: 7, Times: -1})
	_, err := w.customers.Save(t.Context(), customerRef(1), accountID, acme())
	e := wantError(t, err, verdict.Throttled, sink.No)
	if e.RetryAfter != 7*time.Second {
		t.Errorf("retry after %s, want 7s", e.RetryAfter)
	}
	if !strings.Contains(e.Reason, "reason endpoint-rate") {
		t.Errorf("the error does not tell Stripe's own reason: %s", e.Reason)
	}
	if n := len(w.State().Requests); n != 1 {
		t.Errorf("%d requests: the connector must not retry", n)
	}
}

func TestNothingSentIsNotApplied(t *testing.T) {
	c := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), "http://127.0.0.1:1")) // nobody listens there
	_, err := c.Customers().Save(t.Context(), customerRef(1), accountID, acme())
	wantError(t, err, verdict.Unknown, sink.No)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Customers().Save(ended, customerRef(1), accountID, acme())
	wantError(t, err, verdict.Unknown, sink.No)
}

func TestKeyIsReadLateKeptAndRenewedOnce(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{Key: "new-key"})
	reads := 0
	keys := []string{"old-key", "new-key"}
	c := must[*stripe.Client](t)(stripe.New(func(context.Context) (string, error) {
		reads++
		return keys[min(reads, 2)-1], nil
	}, w.url))
	if reads != 0 {
		t.Fatal("the key was read before the first call")
	}
	ref := customerRef(1)
	ref.Link = must[sink.Receipt](t)(c.Customers().Save(t.Context(), ref, accountID, acme())).Link
	ref.Epoch = 2
	must[sink.Receipt](t)(c.Customers().Save(t.Context(), ref, accountID, billing.Customer{Phone: sink.Set("1")}))
	if reads != 2 {
		t.Errorf("the key was read %d times, want 2", reads)
	}

	wrong := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("wrong-key"), w.url))
	_, err := wrong.Customers().Save(t.Context(), ref, accountID, acme())
	wantError(t, err, verdict.Auth, sink.No)
	unreadable := must[*stripe.Client](t)(stripe.New(func(context.Context) (string, error) { return "", errors.New("no permission") }, w.url))
	_, err = unreadable.Customers().Save(t.Context(), ref, accountID, acme())
	wantError(t, err, verdict.Auth, sink.No)
}

func TestErrorsHoldNoValues(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	c := acme()
	c.Email = sink.Set("secret value@example@example")
	_, err := w.customers.Save(t.Context(), customerRef(1), accountID, c)
	wantError(t, err, verdict.Permanent("email-invalid"), sink.No)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error repeats a value: %v", err)
	}
	c = acme()
	c.Phone = sink.Set("secret" + strings.Repeat("1", 15))
	_, err = w.customers.Save(t.Context(), customerRef(1), accountID, c)
	e := wantError(t, err, verdict.Permanent("field-too-long"), sink.No)
	if strings.Contains(err.Error(), "secret") || !strings.Contains(e.Reason, "Phone") {
		t.Errorf("error = %v, want the field's name and no value", err)
	}
}

// A refusal that Stripe remembers under the first key does not stop a corrected
// change.
func TestCorrectedChangeStepsOverARememberedRefusal(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	c := acme()
	c.Email = sink.Set("no address")
	_, err := w.customers.Save(t.Context(), customerRef(1), accountID, c)
	wantError(t, err, verdict.Permanent("email-invalid"), sink.No)
	must[sink.Receipt](t)(w.customers.Save(t.Context(), customerRef(2), accountID, acme()))
	if n := len(w.State().Customers); n != 1 {
		t.Errorf("%d customers, want 1", n)
	}
}

func TestAnswersThatAreNotStripes(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		body    string
		class   verdict.Class
		applied sink.Applied
	}{
		"proxy error":      {502, "<html>bad gateway</html>", verdict.Unknown, sink.Maybe},
		"proxy refuses":    {403, "<html>blocked</html>", verdict.Auth, sink.No},
		"proxy throttles":  {429, "slow down", verdict.Throttled, sink.No},
		"html with 200":    {200, "<html>", verdict.Unknown, sink.Maybe},
		"empty 200":        {200, "", verdict.Unknown, sink.Maybe},
		"redirect":         {302, "", verdict.Unknown, sink.Maybe},
		"too large":        {413, "", verdict.Permanent("refused"), sink.No},
		"request time-out": {408, "", verdict.Unknown, sink.Maybe},
		"body without end": {200, strings.Repeat(" ", sinkhttp.MaxBody+1), verdict.Unknown, sink.Maybe},
		"unknown code":     {400, `{"error":{"type":"invalid_request_error","code":"<b>x</b>","message":"m"}}`, verdict.Permanent("refused"), sink.No},
	} {
		t.Run(name, func(t *testing.T) {
			var hits int
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hits++
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				w.Write([]byte(c.body))
			}))
			defer server.Close()
			client := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), server.URL))
			_, err := client.Customers().Save(t.Context(), customerRef(1), accountID, acme())
			wantError(t, err, c.class, c.applied)
			if hits != 1 {
				t.Errorf("%d requests, want 1", hits)
			}
		})
	}
}

func TestBaseAddress(t *testing.T) {
	for base, ok := range map[string]bool{
		"": true, "https://api.stripe.com": true, "https://api.stripe.com/": true, "http://127.0.0.1:1": true, "http://localhost:1": true, "http://[::1]:1": true,
		"https://localhost:1": true, "http://127.9.9.9:1": true,
		"https://api.stripe.com.example": false, "https://stripe.example": false, "https://api.stripe.com:8443": false, "https://api.stripe.com@stripe.example": false,
		"https://127.0.0.1.stripe.example": false, "https://10.0.0.1": false, "http://169.254.169.254": false, "https://[fe80::1]": false, "http://0.0.0.0:1": false,
		"http://api.stripe.com": false, "api.stripe.com": false, "https://u:p@h": false, "https://h/path": false, "https://h?q": false, "ftp://h": false,
	} {
		if _, err := stripe.New(sinkhttp.Static("test-key"), base); (err == nil) != ok {
			t.Errorf("New(%q) = %v", base, err)
		}
	}
}

func TestContractsSettleDoubt(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	for _, c := range []sink.Contract{w.customers.Contract(), w.invoices.Contract()} {
		if !c.Settles() || !c.Lookup || c.KeyWindow != 20*time.Hour || c.Settle != 20*time.Second {
			t.Errorf("contract = %+v", c)
		}
		// Direct mode: effect + settle + 2 s fit into 50 s.
		if c.Effect+c.Settle+2*time.Second > 50*time.Second {
			t.Errorf("contract = %+v does not fit a lease of direct mode", c)
		}
	}
}

// The account of a won opportunity gets a customer and one invoice, however often
// the event comes.
func ExampleClient_Invoices() {
	s := stripesandbox.New(stripesandbox.Options{})
	server := httptest.NewServer(s)
	defer server.Close()
	client, err := stripe.New(sinkhttp.Static("test-key"), server.URL)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	customer, err := client.Customers().Save(ctx, customerRef(1), accountID, acme())
	fmt.Println(customer.Outcome, err)
	for attempt := range int64(3) {
		r, err := client.Invoices().Issue(ctx, invoiceRef(attempt+1), invoice(customer.Link))
		fmt.Println(r.Outcome, err)
	}
	fmt.Println(len(s.State().Invoices), "invoice of", s.State().Invoices[0].Total, "cents")
	// Output:
	// created <nil>
	// created <nil>
	// unchanged <nil>
	// unchanged <nil>
	// 1 invoice of 12505 cents
}
