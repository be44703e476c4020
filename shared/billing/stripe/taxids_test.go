package stripe_test

import (
	"errors"
	"strings"
	"testing"

	"sfrelay/shared/billing"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// withTaxIDs is a connector that keeps tax numbers as Stripe's tax ids.
func withTaxIDs(t *testing.T, url, key string) billing.Customers {
	t.Helper()
	return choosing(t, url, key, map[string]string{"TAX_NUMBERS": "tax-ids"}).Customers()
}

func taxIDs(c stripesandbox.Customer) string {
	var all []string
	for _, id := range c.TaxIDs {
		all = append(all, id.Type+" "+id.Value)
	}
	return strings.Join(all, ", ")
}

// A number whose form says of which register it is becomes a tax id, which Stripe prints
// on invoices; it follows the number, and leaves those of others alone.
func TestTaxNumbersAsTaxIDs(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	customers := withTaxIDs(t, w.url, "test-key")
	ref := customerRef(0)
	for _, step := range []struct {
		number sink.Field[string]
		want   string
	}{
		{sink.Set("DE 123 456 789"), "eu_vat DE123456789"},
		{sink.Set("DE123456789"), "eu_vat DE123456789"},
		{sink.Field[string]{}, "eu_vat DE123456789"},
		{sink.Set("atu12345678"), "eu_vat ATU12345678"},
		{sink.Set("GB 123 4567 89"), "gb_vat GB123456789"},
		{sink.Set("12/345/67890"), ""}, // of no register that its form would name
		{sink.Set("DE12345678"), ""},   // a digit is missing
		{sink.Set("NL123456789B12"), "eu_vat NL123456789B12"},
		{sink.Clear[string](), ""},
	} {
		ref.Epoch++
		c := acme()
		c.TaxNumber = step.number
		ref.Link = must[sink.Receipt](t)(customers.Save(t.Context(), ref, accountID, c)).Link
		got := w.State().Customers[0]
		if taxIDs(got) != step.want {
			t.Errorf("%+v: tax ids %s, want %s", step.number, taxIDs(got), step.want)
		}
		if step.number.Present && got.Metadata["sf_tax_number"] != step.number.Value {
			t.Errorf("%+v: metadata %v", step.number, got.Metadata)
		}
	}
	w.post(t, "/v1/customers/"+ref.Link+"/tax_ids", "type=ch_uid&value=CHE-123.456.789")
	ref.Epoch++
	must[sink.Receipt](t)(customers.Save(t.Context(), ref, accountID, billing.Customer{TaxNumber: sink.Set("FR12345678901")}))
	if got := taxIDs(w.State().Customers[0]); got != "ch_uid CHE-123.456.789, eu_vat FR12345678901" {
		t.Errorf("tax ids %s", got)
	}
}

// What Stripe takes for no tax id holds back itself only. A new customer is there without
// it; of a known one nothing was sent, and the field is named.
func TestATaxIDThatStripeRefuses(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	customers := withTaxIDs(t, w.url, "test-key")
	c := acme()
	c.TaxNumber = sink.Set("DE000000000")
	ref := customerRef(1)
	r, err := customers.Save(t.Context(), ref, accountID, c)
	e := wantError(t, err, verdict.Permanent("tax-id-invalid"), sink.Yes)
	if r.Link == "" || !strings.Contains(e.Reason, "TaxNumber") || strings.Contains(err.Error(), "DE0") {
		t.Errorf("receipt %+v, %v", r, err)
	}
	ref.Epoch, ref.Link = 2, r.Link
	w.post(t, "/v1/customers/"+r.Link, "metadata[sf_tax_number]=DE123456789")
	c.TaxNumber = sink.Set("EE000000000")
	_, err = customers.Save(t.Context(), ref, accountID, c)
	if u, ok := errors.AsType[*sink.UnfitError](err); !ok || len(u.Fields) != 1 || u.Fields[0].Field != "TaxNumber" || u.Fields[0].Name != "tax-id-invalid" {
		t.Fatalf("%v", err)
	}
	if all := w.State().Customers; len(all) != 1 || all[0].Metadata["sf_tax_number"] != "DE123456789" {
		t.Errorf("customers = %+v", all)
	}
}

// The tax id of a new customer fails in every way: there is one customer, with one.
func TestANewCustomersTaxIDFailsInEveryWay(t *testing.T) {
	for _, kind := range chaosKinds {
		w := newWorld(t, stripesandbox.Options{})
		customers := withTaxIDs(t, w.url, "test-key")
		c := acme()
		c.TaxNumber = sink.Set("DE123456789")
		w.fail(t, faults.Fault{Kind: kind, Method: "POST", Path: "/v1/customers/*/tax_ids"})
		claimed := w.clock()
		_, err := customers.Save(t.Context(), customerRef(1), accountID, c)
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Applied != sink.Maybe {
			t.Errorf("%s: %v", kind, err)
		}
		must[sink.Receipt](t)(customers.Save(t.Context(), doubted(customerRef(1), claimed), accountID, c))
		if all := w.State().Customers; len(all) != 1 || taxIDs(all[0]) != "eu_vat DE123456789" {
			t.Errorf("%s: customers %+v", kind, all)
		}
	}
}

// Whatever fails on the way, there is one tax id in the end.
func TestTaxIDsFailInEveryWay(t *testing.T) {
	for _, f := range []faults.Fault{{Method: "POST", Path: "/v1/customers/*/tax_ids"}, {Method: "DELETE", Path: "/v1/customers/*/tax_ids/*"}, {Method: "POST", Path: "/v1/customers/*"}} {
		for _, kind := range chaosKinds {
			w := newWorld(t, stripesandbox.Options{})
			customers := withTaxIDs(t, w.url, "test-key")
			c := acme()
			c.TaxNumber = sink.Set("DE123456789")
			ref := customerRef(1)
			ref.Link = must[sink.Receipt](t)(customers.Save(t.Context(), ref, accountID, c)).Link
			f.Kind = kind
			w.fail(t, f)
			c.TaxNumber = sink.Set("DE987654321")
			ref.Epoch++
			if _, err := customers.Save(t.Context(), ref, accountID, c); err == nil {
				t.Errorf("%s %s: no error", f.Path, kind)
			}
			must[sink.Receipt](t)(customers.Save(t.Context(), doubted(ref, w.clock()), accountID, c))
			if got := taxIDs(w.State().Customers[0]); got != "eu_vat DE987654321" {
				t.Errorf("%s %s: tax ids %s", f.Path, kind, got)
			}
		}
	}
}
