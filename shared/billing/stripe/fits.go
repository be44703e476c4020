package stripe

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"sfrelay/shared/billing"
	"sfrelay/shared/sink"
)

// Limits of Stripe's fields, in characters (OpenAPI file, maxLength; metadata: API
// reference, "Metadata").
const (
	longestName     = 256
	longestPhone    = 20
	longestEmail    = 512
	longestMetadata = 500
	longestAddress  = 5000
	longestKey      = 40 // of metadata
)

// fits names every field of a customer that Stripe cannot hold as it is.
func fits(c billing.Customer) error {
	var e sink.UnfitError
	for _, f := range []struct {
		name  string
		field sink.Field[string]
		most  int
	}{
		{"Name", c.Name, longestName}, {"Phone", c.Phone, longestPhone}, {"Email", c.Email, longestEmail},
		{"Number", c.Number, longestMetadata}, {"Status", c.Status, longestMetadata}, {"Website", c.Website, longestMetadata},
		{"TaxNumber", c.TaxNumber, longestMetadata}, {"Currency", c.Currency, longestMetadata},
		{"BillingStreet", c.Billing.Street, longestAddress}, {"BillingCity", c.Billing.City, longestAddress},
		{"BillingState", c.Billing.State, longestAddress}, {"BillingPostalCode", c.Billing.PostalCode, longestAddress},
		{"ShippingStreet", c.Shipping.Street, longestAddress}, {"ShippingCity", c.Shipping.City, longestAddress},
		{"ShippingState", c.Shipping.State, longestAddress}, {"ShippingPostalCode", c.Shipping.PostalCode, longestAddress},
	} {
		if utf8.RuneCountInString(f.field.Value) > f.most {
			e.Fields = append(e.Fields, unfit("field-too-long", f.name, fmt.Sprintf("has more than the %d characters that Stripe takes; shorten it in Salesforce", f.most)))
		}
	}
	for name, f := range c.Extra {
		if utf8.RuneCountInString(f.Value) > longestMetadata || len(extraKey(name)) > longestKey {
			e.Fields = append(e.Fields, unfit("field-too-long", name, fmt.Sprintf("has more than %d characters, or a name of more than %d: Stripe's metadata takes no more", longestMetadata, longestKey-len(extraKey("")))))
		}
	}
	for _, country := range []struct{ name, code string }{{"BillingCountry", c.Billing.Country.Value}, {"ShippingCountry", c.Shipping.Country.Value}} {
		if country.code != "" && !billing.IsCountry(country.code) {
			e.Fields = append(e.Fields, unfit("invalid-country", country.name, "is no code of ISO 3166-1 alpha-2, such as DE; use Salesforce's state and country picklists, or map the code"))
		}
	}
	if email := c.Email.Value; email != "" && utf8.RuneCountInString(email) <= longestEmail && !isEmail(email) {
		e.Fields = append(e.Fields, unfit("email-invalid", "Email", "is no e-mail address of the form that Stripe takes; correct it in Salesforce"))
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return &e
}

func unfit(class, field, reason string) sink.Unfit {
	return sink.Unfit{Field: field, Name: class, Reason: reason}
}

// isEmail refuses only what Stripe surely refuses.
func isEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") && !strings.ContainsFunc(s, unicode.IsSpace)
}
