package template_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/salesforce/api"
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
	stripeBase, erpURL, orgURL := pattern("StripeApiBase"), pattern("ErpUrl"), pattern("SalesforceUrl")
	for _, c := range []struct {
		address          string
		stripe, erp, org bool
	}{
		{"https://api.stripe.com", true, true, true},
		{"https://api.stripe.com/", true, true, true},
		{"http://127.0.0.1:12111", true, true, true},
		{"http://127.0.0.1:12111/", true, true, true},
		{"http://127.0.0.1", true, true, true},
		{"http://127.8.9.10:1", true, true, true},
		{"http://localhost:9000", true, true, true},
		{"https://localhost:9000", true, true, true},
		{"http://[::1]:9000", true, true, true},
		{"https://erp.example.com/sfrelay", false, true, false},
		{"http://127.0.0.1:9000/sfrelay/", false, true, false},
		{"https://api.stripe.com.example.com", false, true, true},
		{"https://example.com/api.stripe.com", false, true, false},
		{"https://apiXstripe.com", false, true, true},
		{"https://api.stripe.com:8443", false, true, true},
		{"https://127.0.0.1.example.com", false, true, true},
		{"https://169.254.169.254", false, true, true},
		{"http://api.stripe.com", false, false, false},
		{"http://erp.example.com", false, false, false},
		{"http://127.0.0.1.example.com", false, false, false},
		{"http://localhost.example.com", false, false, false},
		{"http://169.254.169.254/latest", false, false, false},
		{"http://10.0.0.1", false, false, false},
		{"ftp://127.0.0.1", false, false, false},
		{"erp.example.com", false, false, false},
		{"https://example.my.salesforce.com", false, true, true},
		{"https://example--trial.sandbox.my.salesforce.com/", false, true, true},
		{"https://example.my.salesforce.com/services", false, true, false},
		{"http://example.my.salesforce.com", false, false, false},
	} {
		_, err := stripe.New(sinkhttp.Static("test-key"), c.address)
		if byCode, byTemplate := err == nil, stripeBase.MatchString(c.address); byCode != c.stripe || byTemplate != c.stripe {
			t.Errorf("Stripe at %s: the code takes it: %t, the template: %t, want %t", c.address, byCode, byTemplate, c.stripe)
		}
		_, err = httpsink.New(sinkhttp.Static("test-key"), c.address)
		if byCode, byTemplate := err == nil, erpURL.MatchString(c.address); byCode != c.erp || byTemplate != c.erp {
			t.Errorf("the ERP at %s: the code takes it: %t, the template: %t, want %t", c.address, byCode, byTemplate, c.erp)
		}
		_, err = api.New(sinkhttp.Static("test-key"), c.address)
		if byCode, byTemplate := err == nil, orgURL.MatchString(c.address); byCode != c.org || byTemplate != c.org {
			t.Errorf("the org at %s: the code takes it: %t, the template: %t, want %t", c.address, byCode, byTemplate, c.org)
		}
	}
	if !stripeBase.MatchString("") || erpURL.MatchString("") || !orgURL.MatchString("") {
		t.Error("an empty StripeApiBase is Stripe itself; an ERP has to be named; without SalesforceUrl no org is asked")
	}
}

// asserted evaluates a condition of a rule as CloudFormation does (User Guide, "Rule
// functions").
func asserted(t *testing.T, condition any, parameters map[string]string) bool {
	t.Helper()
	m, _ := condition.(map[string]any)
	for function, of := range m {
		args, _ := of.([]any)
		switch function {
		case "Fn::Not":
			return !asserted(t, args[0], parameters)
		case "Fn::And":
			return !slices.ContainsFunc(args, func(a any) bool { return !asserted(t, a, parameters) })
		case "Fn::Or":
			return slices.ContainsFunc(args, func(a any) bool { return asserted(t, a, parameters) })
		case "Fn::Equals":
			if other := ref(args[1]); other != "" {
				return parameters[ref(args[0])] == parameters[other]
			}
			return parameters[ref(args[0])] == args[1]
		}
	}
	t.Fatalf("%v is no condition of a rule that is known here", condition)
	return false
}

// What cannot work is refused before anything is deployed.
func TestRulesRefuseHalfAnOrg(t *testing.T) {
	rule := load(t).Rules["OrgWithCredentials"]
	const secret = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:org-AbCdEf"
	for _, c := range []struct {
		url, secret string
		taken       bool
	}{
		{"", "", true},
		{"https://example.my.salesforce.com", secret, true},
		{"https://example.my.salesforce.com", "", false},
		{"", secret, false},
		{"https://login.salesforce.com", secret, false},
		{"https://test.salesforce.com", secret, false},
	} {
		assertions, _ := at(rule, "Assertions").([]any)
		taken := len(assertions) > 0
		for _, a := range assertions {
			taken = taken && asserted(t, at(a, "Assert"), map[string]string{"SalesforceUrl": c.url, "SalesforceSecret": c.secret})
		}
		if taken != c.taken {
			t.Errorf("%q with %q: taken: %t, want %t", c.url, c.secret, taken, c.taken)
		}
	}
}

// Who may read the org's credentials asks it, and nobody else has the client.
func TestWhoMayAskTheOrgAsksIt(t *testing.T) {
	for id, r := range load(t).Mappings.Consumers {
		main, err := os.ReadFile(filepath.Join(root, "functions", r.Name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if asks := strings.Contains(string(main), "f.AskOrg()"); asks != (r.Org == 1) {
			t.Errorf("%s calls AskOrg: %t, its row in template.yaml has Org %d", id, asks, r.Org)
		}
	}
}
