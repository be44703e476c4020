package functions_test

import (
	"regexp"
	"testing"

	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/sink/sinkhttp"
)

// A credential goes to no address that the template or the code would not take: a
// deployment is refused first, and what somebody sets on the function later at its start.
func TestTemplateAndCodeTakeTheSameAddresses(t *testing.T) {
	tmpl := load(t)
	pattern := func(parameter string) *regexp.Regexp {
		text, _ := at(tmpl.Parameters[parameter], "AllowedPattern").(string)
		return regexp.MustCompile(`^(?:` + text + `)$`) // CloudFormation compares the whole value
	}
	stripeBase, erpURL := pattern("StripeApiBase"), pattern("ErpUrl")
	for _, c := range []struct {
		address     string
		stripe, erp bool
	}{
		{"https://api.stripe.com", true, true},
		{"https://api.stripe.com/", true, true},
		{"http://127.0.0.1:12111", true, true},
		{"http://127.0.0.1:12111/", true, true},
		{"http://127.0.0.1", true, true},
		{"http://127.8.9.10:1", true, true},
		{"http://localhost:9000", true, true},
		{"https://localhost:9000", true, true},
		{"http://[::1]:9000", true, true},
		{"https://erp.example.com/sfrelay", false, true},
		{"http://127.0.0.1:9000/sfrelay/", false, true},
		{"https://api.stripe.com.example.com", false, true},
		{"https://example.com/api.stripe.com", false, true},
		{"https://apiXstripe.com", false, true},
		{"https://api.stripe.com:8443", false, true},
		{"https://127.0.0.1.example.com", false, true},
		{"https://169.254.169.254", false, true},
		{"http://api.stripe.com", false, false},
		{"http://erp.example.com", false, false},
		{"http://127.0.0.1.example.com", false, false},
		{"http://localhost.example.com", false, false},
		{"http://169.254.169.254/latest", false, false},
		{"http://10.0.0.1", false, false},
		{"ftp://127.0.0.1", false, false},
		{"erp.example.com", false, false},
	} {
		_, err := stripe.New(sinkhttp.Static("test-key"), c.address)
		if byCode, byTemplate := err == nil, stripeBase.MatchString(c.address); byCode != c.stripe || byTemplate != c.stripe {
			t.Errorf("Stripe at %s: the code takes it: %t, the template: %t, want %t", c.address, byCode, byTemplate, c.stripe)
		}
		_, err = httpsink.New(sinkhttp.Static("test-key"), c.address)
		if byCode, byTemplate := err == nil, erpURL.MatchString(c.address); byCode != c.erp || byTemplate != c.erp {
			t.Errorf("the ERP at %s: the code takes it: %t, the template: %t, want %t", c.address, byCode, byTemplate, c.erp)
		}
	}
	if !stripeBase.MatchString("") || erpURL.MatchString("") {
		t.Error("an empty StripeApiBase is Stripe itself; an ERP has to be named")
	}
}
