package stripe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	connector "sfrelay/shared/billing/stripe"
	"sfrelay/shared/config"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
)

// A key of an organisation says with every request which account it is for, other keys
// say nothing.
func TestStripeContext(t *testing.T) {
	for value, want := range map[string][]string{"": nil, "acct_1": {"acct_1"}} {
		w := newWorld(t, stripesandbox.Options{})
		var got []string
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			got = append(got, r.Header.Values("Stripe-Context")...)
			w.ServeHTTP(rw, r)
		}))
		defer server.Close()
		env := map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "STRIPE_API_BASE": server.URL, "STRIPE_CONTEXT": value}
		r := config.NewReader(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		c := connector.FromEnv(r, func(string) func(context.Context) (string, error) {
			return func(context.Context) (string, error) { return "test-key", nil }
		})
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		must[sink.Receipt](t)(c.Customers().Save(t.Context(), customerRef(1), accountID, acme()))
		if !slices.Equal(got, want) {
			t.Errorf("%q: Stripe-Context %q, want %q", value, got, want)
		}
	}
}

// What the client speaks and what its requests are checked against are two versions of
// the API. Both stand in the documents; whoever raises one of them reads here what for.
func TestTheTwoVersionsOfTheAPI(t *testing.T) {
	speaks, checked := stripe.APIVersion, must[string](t)(stripesandbox.APIVersion())
	if speaks != "2026-03-25.dahlia" || checked != "2026-08-26.dahlia" {
		t.Errorf("stripe-go speaks %s, stripe-mock knows %s: write both into docs/reference/connectors.md and here, and read Stripe's changelog between them", speaks, checked)
	}
	if _, line, _ := strings.Cut(speaks, "."); !strings.HasSuffix(checked, "."+line) {
		t.Errorf("%s and %s differ in more than additions", speaks, checked)
	}
}
