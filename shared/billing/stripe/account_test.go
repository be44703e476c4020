package stripe_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/decimal"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// The sandbox behaves, in what the connector relies on, as this suite demands of a
// Stripe test account (see live_test.go).
func TestSandboxIsAnAccount(t *testing.T) {
	for _, context := range []string{"", "acct_1"} {
		server := httptest.NewServer(stripesandbox.New(stripesandbox.Options{Key: "test-key"}))
		defer server.Close()
		runAccount(t, server.URL, "test-key", context)
	}
}

// account is a Stripe account seen without the connector.
type account struct {
	t                  *testing.T
	base, key, context string // context is for a key of an organisation only
}

// connector is one to this account, or to url, with those choices of the environment.
func (a account) connector(t *testing.T, url string, env map[string]string) *stripe.Client {
	t.Helper()
	all := map[string]string{"STRIPE_CONTEXT": a.context}
	maps.Copy(all, env)
	return choosing(t, url, a.key, all)
}

func (a account) call(method, path string, form url.Values, idempotencyKey string) (map[string]any, *http.Response) {
	a.t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if len(form) > 0 {
		path += "?" + form.Encode()
	}
	// Also while a test cleans up.
	r, err := http.NewRequestWithContext(context.WithoutCancel(a.t.Context()), method, a.base+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.context != "" {
		r.Header.Set("Stripe-Context", a.context)
	}
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		a.t.Fatal(err)
	}
	return v, res
}

func (a account) get(path string) map[string]any {
	a.t.Helper()
	v, res := a.call(http.MethodGet, path, nil, "")
	if res.StatusCode != http.StatusOK {
		a.t.Fatalf("GET %s = %d", path, res.StatusCode)
	}
	return v
}

// refusesWithoutEmail makes an invoice by hand that is to be sent to nobody.
func (a account) refusesWithoutEmail(customer string) {
	a.t.Helper()
	call := "POST /v1/invoices"
	v, res := a.call(http.MethodPost, "/v1/invoices", url.Values{"customer": {customer}, "currency": {"eur"}, "auto_advance": {"false"},
		"collection_method": {"send_invoice"}, "days_until_due": {"1"}}, "")
	if id, _ := v["id"].(string); res.StatusCode == http.StatusOK {
		call = "POST /v1/invoices/{invoice}/finalize"
		a.call(http.MethodPost, "/v1/invoices/"+id+"/add_lines", url.Values{"lines[0][amount]": {"1"}}, "")
		v, res = a.call(http.MethodPost, "/v1/invoices/"+id+"/finalize", nil, "")
		a.call(http.MethodDelete, "/v1/invoices/"+id, nil, "")
	}
	e, _ := v["error"].(map[string]any)
	message, _ := e["message"].(string)
	if res.StatusCode != http.StatusBadRequest || e["type"] != "invalid_request_error" || e["code"] != nil || !strings.HasPrefix(message, "Missing email") {
		a.t.Errorf("%s for a customer without e-mail = %d %v", call, res.StatusCode, v)
	}
	a.t.Logf("a customer without e-mail is refused at %s", call)
}

// runAccount checks what the connector takes for granted. It leaves voided and paid
// invoices and deleted customers behind.
func runAccount(t *testing.T, base, key, context string) {
	if base == "" {
		base = "https://api.stripe.com"
	}
	a := account{t, base, key, context}
	t.Run("life", a.life)
	for _, c := range accountCases {
		t.Run(c.name, func(t *testing.T) {
			a := a
			a.t = t
			c.run(t, a)
		})
	}
}

// life is that of a customer and its invoices, from the first save to the end.
func (a account) life(t *testing.T) {
	a.t = t
	client := a.connector(t, a.base, nil)
	customers, invoices := client.Customers(), client.Invoices()
	id := "001" + rand.Text()[:15]
	ref := sink.Ref{Consumer: "customer-billing", Org: org, Subject: "Account/" + id, Version: v1, Epoch: 1}
	began := time.Now()

	full := acme()
	full.Phone = sink.Set("+44 1904 000000")
	full.Shipping = billing.Address{Street: sink.Set("2 Low St"), City: sink.Set("Hull"), Country: sink.Set("GB")}
	created := must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, full))
	if created.Outcome != sink.Created {
		t.Fatalf("first save = %+v", created)
	}

	// The key replays, and says so; in doubt the list finds it at once.
	again := must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, full))
	ref.InDoubt, ref.DoubtSince, ref.Epoch = true, began, 2
	found := must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, full))
	if again.Link != created.Link || found.Link != created.Link {
		t.Errorf("links %s, %s, %s, want one", created.Link, again.Link, found.Link)
	}

	// Empty texts clear, parts of addresses stay.
	ref = sink.Ref{Consumer: ref.Consumer, Org: org, Subject: ref.Subject, Version: v2, Epoch: 3, Link: created.Link}
	must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, billing.Customer{
		Phone: sink.Clear[string](), Email: sink.Clear[string](), Number: sink.Clear[string](),
		Billing: billing.Address{City: sink.Set("Leeds"), PostalCode: sink.Clear[string]()},
	}))
	c := a.get("/v1/customers/" + created.Link)
	address, _ := c["address"].(map[string]any)
	metadata, _ := c["metadata"].(map[string]any)
	for what, v := range map[string]struct{ got, want any }{
		"name": {c["name"], "Acme"}, "phone": {c["phone"], nil}, "email": {c["email"], nil}, "city": {address["city"], "Leeds"},
		"line1": {address["line1"], "1 High St"}, "postal code": {address["postal_code"], nil}, "sf_number": {metadata["sf_number"], nil}, "sf_id": {metadata["sf_id"], id},
	} {
		if v.got != v.want {
			t.Errorf("%s = %v, want %v", what, v.got, v.want)
		}
	}

	// A VAT number as a tax id, which follows it.
	for _, number := range []string{"DE123456789", "ATU12345678"} {
		ref.Epoch++
		must[sink.Receipt](t)(a.connector(t, a.base, map[string]string{"TAX_NUMBERS": "tax-ids"}).Customers().Save(t.Context(), ref, id, billing.Customer{TaxNumber: sink.Set(number)}))
		ids, _ := a.get("/v1/customers/" + created.Link + "?expand[]=tax_ids")["tax_ids"].(map[string]any)
		data, _ := ids["data"].([]any)
		if len(data) != 1 || data[0].(map[string]any)["type"] != "eu_vat" || data[0].(map[string]any)["value"] != number {
			t.Errorf("tax ids = %v, want %s", data, number)
		}
	}

	// Who has no e-mail gets no invoice: Stripe says so of the draft or of finalizing it.
	opportunityID := "006" + rand.Text()[:15]
	inv := invoice(created.Link)
	a.refusesWithoutEmail(created.Link)
	_, err := invoices.Issue(t.Context(), sink.Ref{Consumer: "opportunity-billing", Org: org, Subject: "Opportunity/" + opportunityID + "/invoice", Epoch: 1}, inv)
	wantError(t, err, verdict.Permanent("customer-without-email"), sink.No)
	ref.Epoch++
	must[sink.Receipt](t)(customers.Save(t.Context(), ref, id, billing.Customer{Email: sink.Set("books@acme.example")}))

	// One invoice.
	inv.OpportunityID, inv.AccountID = opportunityID, id
	iref := sink.Ref{Consumer: "opportunity-billing", Org: org, Subject: "Opportunity/" + opportunityID + "/invoice", Epoch: 1}
	issued := must[sink.Receipt](t)(invoices.Issue(t.Context(), iref, inv))
	iref.Epoch = 2
	second := must[sink.Receipt](t)(invoices.Issue(t.Context(), iref, inv))
	if issued.Outcome != sink.Created || second.Outcome != sink.Unchanged || issued.Link != second.Link {
		t.Errorf("issued %+v, then %+v", issued, second)
	}
	i := a.get("/v1/invoices/" + issued.Link)
	if i["status"] != "open" || i["total"] != 12505.0 || i["currency"] != "eur" || i["auto_advance"] != false {
		t.Errorf("invoice = %v", i)
	}

	// Many lines in one call, and amounts that Stripe counts in its own way.
	var lines []billing.Line
	for range 250 {
		lines = append(lines, billing.Line{SKU: "W-1", Quantity: decimal.Must("1"), UnitPrice: decimal.Must("0.01")})
	}
	many := inv
	many.OpportunityID, many.Lines, many.Total.Amount = "006"+rand.Text()[:15], lines, decimal.Must("2.50")
	big := must[sink.Receipt](t)(invoices.Issue(t.Context(), sink.Ref{Consumer: iref.Consumer, Org: org, Subject: "Opportunity/" + many.OpportunityID, Epoch: 1}, many))

	// A key belongs to its parameters, and a replay is marked.
	k := rand.Text()
	first, _ := a.call(http.MethodPost, "/v1/customers/"+created.Link, url.Values{"metadata[sf_test]": {"1"}}, k)
	if _, res := a.call(http.MethodPost, "/v1/customers/"+created.Link, url.Values{"metadata[sf_test]": {"1"}}, k); first["id"] != created.Link || res.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a replay is not marked: %v", res.Header)
	}
	if v, res := a.call(http.MethodPost, "/v1/customers/"+created.Link, url.Values{"metadata[sf_test]": {"2"}}, k); res.StatusCode != http.StatusBadRequest || v["error"].(map[string]any)["type"] != "idempotency_error" {
		t.Errorf("other parameters under a key = %d %v", res.StatusCode, v)
	}

	// Another currency for the same customer.
	yen := inv
	yen.OpportunityID, yen.Lines, yen.Total = "006"+rand.Text()[:15], nil, billing.Money{Amount: decimal.Must("15000"), Currency: "JPY"}
	inYen := must[sink.Receipt](t)(invoices.Issue(t.Context(), sink.Ref{Consumer: iref.Consumer, Org: org, Subject: "Opportunity/" + yen.OpportunityID, Epoch: 1}, yen))
	if i := a.get("/v1/invoices/" + inYen.Link); i["total"] != 15000.0 || i["currency"] != "jpy" {
		t.Errorf("invoice in yen = %v", i)
	}

	// Who is told: Stripe sends an open invoice and lets it be marked afterwards, or goes on by itself.
	told := map[string]string{}
	for _, how := range []string{"send", "advance"} {
		o := inv
		o.OpportunityID = "006" + rand.Text()[:15]
		told[how] = must[sink.Receipt](t)(a.connector(t, a.base, map[string]string{"INVOICE_DELIVERY": how}).Invoices().Issue(t.Context(), sink.Ref{Consumer: iref.Consumer, Org: org, Subject: "Opportunity/" + o.OpportunityID, Epoch: 1}, o)).Link
		i := a.get("/v1/invoices/" + told[how])
		metadata, _ := i["metadata"].(map[string]any)
		if i["auto_advance"] != (how == "advance") || how == "send" && metadata["sf_delivery"] != "sent" {
			t.Errorf("%s: invoice = %v", how, i)
		}
	}

	for _, link := range []string{issued.Link, big.Link, inYen.Link, told["send"], told["advance"]} {
		if _, res := a.call(http.MethodPost, "/v1/invoices/"+link+"/void", nil, ""); res.StatusCode != http.StatusOK {
			t.Errorf("void = %d", res.StatusCode)
		}
	}
	// Voided is issued all the same: nothing is billed again.
	iref.Epoch = 3
	if r := must[sink.Receipt](t)(invoices.Issue(t.Context(), iref, inv)); r.Link != issued.Link {
		t.Errorf("after voiding: %+v", r)
	}
	if _, res := a.call(http.MethodDelete, "/v1/customers/"+created.Link, nil, ""); res.StatusCode != http.StatusOK {
		t.Errorf("delete = %d", res.StatusCode)
	}
	ref.Epoch++
	_, err = customers.Save(t.Context(), ref, id, full)
	wantError(t, err, verdict.Permanent("customer-deleted"), sink.No)
}
