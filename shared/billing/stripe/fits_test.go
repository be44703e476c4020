package stripe_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Everything that Stripe cannot hold is named at once, by the names of the consumer's
// fields, and nothing is sent.
func TestWhatDoesNotFitIsNamed(t *testing.T) {
	w := newWorld(t, stripesandbox.Options{})
	c := acme()
	c.Name = sink.Set(strings.Repeat("x", 257))
	c.Phone = sink.Set(strings.Repeat("1", 21))
	c.Email = sink.Set("nobody at example")
	c.Billing.City = sink.Set(strings.Repeat("x", 5001))
	c.Billing.Country = sink.Set("Germany")
	c.Shipping.Country = sink.Set("UK")
	_, err := w.customers.Save(t.Context(), customerRef(1), accountID, c)
	e, ok := errors.AsType[*sink.UnfitError](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Field+" "+f.Name)
	}
	slices.Sort(got)
	want := []string{"BillingCity field-too-long", "BillingCountry invalid-country", "Email email-invalid", "Name field-too-long", "Phone field-too-long", "ShippingCountry invalid-country"}
	if !slices.Equal(got, want) {
		t.Errorf("named %q, want %q", got, want)
	}
	wantError(t, err, verdict.Permanent("field-too-long"), sink.No)
	for _, value := range []string{"Germany", "nobody"} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error repeats a value: %v", err)
		}
	}
	c = acme()
	c.Billing.Country = sink.Set("de")
	if _, err := w.customers.Save(t.Context(), customerRef(1), accountID, c); err != nil {
		t.Errorf("a country in small letters: %v", err)
	}
}
