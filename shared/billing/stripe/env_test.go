package stripe_test

import (
	"context"
	"strings"
	"testing"

	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/config"
)

func TestFromEnvNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		env   map[string]string
		wrong []string // the variables, in order
	}{
		{map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key"}, nil},
		{map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "STRIPE_API_BASE": "http://127.0.0.1:9000/"}, nil},
		{map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "INVOICE_DELIVERY": "send"}, nil},
		{map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "INVOICE_DELIVERY": "post", "TAX_NUMBERS": "all", "TAX_EXEMPT": "yes", "AUTOMATIC_TAX": "true"},
			[]string{"TAX_NUMBERS", "TAX_EXEMPT", "INVOICE_DELIVERY", "AUTOMATIC_TAX"}},
		{nil, []string{"BILLING", "STRIPE_SECRET"}},
		{map[string]string{"BILLING": "paper", "STRIPE_API_BASE": "ftp://127.0.0.1"}, []string{"BILLING", "STRIPE_SECRET", "STRIPE_API_BASE"}},
		{map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "STRIPE_API_BASE": "http://stripe.example"}, []string{"STRIPE_API_BASE"}},
		{map[string]string{"BILLING": "stripe", "STRIPE_SECRET": "key", "STRIPE_API_BASE": "https://stripe.example"}, []string{"STRIPE_API_BASE"}},
	} {
		r := config.NewReader(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		asked := ""
		client := stripe.FromEnv(r, func(name string) func(context.Context) (string, error) {
			asked = name
			return func(context.Context) (string, error) { return "", nil }
		})
		var wrong []string
		if err := r.Err(); err != nil {
			for _, line := range strings.Split(err.Error(), "\n")[1:] {
				name, _, _ := strings.Cut(line, " ")
				wrong = append(wrong, strings.TrimSuffix(name, ":"))
			}
		}
		if strings.Join(wrong, " ") != strings.Join(c.wrong, " ") || client == nil || asked != c.env["STRIPE_SECRET"] {
			t.Errorf("%v: wrong are %q, want %q; the secret is %q", c.env, wrong, c.wrong, asked)
		}
		client.Customers().Contract() // a definition can be made all the same
	}
}
