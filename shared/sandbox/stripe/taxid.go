package stripesandbox

import (
	"regexp"
	"slices"
)

// TaxID is one of a customer's tax ids. Stripe prints them on invoices; it has no way to
// change one.
type TaxID struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Type     string `json:"type"`
	Value    string `json:"value"`
	Customer string `json:"customer"`
}

// The sandbox knows the forms of a few types. Nine zeros are none at all: of some numbers
// Stripe checks the digits, too.
var (
	euVAT = regexp.MustCompile(`^(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI)[0-9A-Z]{2,12}$`)
	forms = map[string]*regexp.Regexp{"eu_vat": euVAT, "gb_vat": regexp.MustCompile(`^GB[0-9]{9}$`), "ch_uid": regexp.MustCompile(`^CHE-[0-9]{3}\.[0-9]{3}\.[0-9]{3}$`)}
	zeros = regexp.MustCompile(`^[A-Z]*0{9}$`)
)

func (s *Sandbox) createTaxID(customer string, p map[string]any) answer {
	c := s.customer(customer)
	if c == nil || c.Deleted {
		return missing("customer", customer, "id")
	}
	id := TaxID{ID: s.newID("txi"), Object: "tax_id", Type: text(p, "type"), Value: text(p, "value"), Customer: c.ID}
	if form := forms[id.Type]; form == nil || !form.MatchString(id.Value) || zeros.MatchString(id.Value) {
		return badParam("tax_id_invalid", "value", "Invalid value for "+id.Type+".")
	}
	c.TaxIDs = append(c.TaxIDs, id)
	return reply(id)
}

func (s *Sandbox) deleteTaxID(customer, id string) answer {
	c := s.customer(customer)
	if c == nil || !slices.ContainsFunc(c.TaxIDs, func(t TaxID) bool { return t.ID == id }) {
		return missing("tax_id", id, "id")
	}
	c.TaxIDs = slices.DeleteFunc(slices.Clone(c.TaxIDs), func(t TaxID) bool { return t.ID == id })
	return reply(map[string]any{"id": id, "object": "tax_id", "deleted": true})
}

// expanded is a customer with its tax ids and what Stripe Tax can do for it, which Stripe
// leaves out unless it is asked.
func expanded(c *Customer, p map[string]any) answer {
	type list struct {
		Object string  `json:"object"`
		Data   []TaxID `json:"data"`
	}
	type tax struct {
		AutomaticTax string `json:"automatic_tax"`
		Provider     string `json:"provider"`
	}
	v := struct {
		Customer
		TaxIDs *list `json:"tax_ids,omitempty"`
		Tax    *tax  `json:"tax,omitempty"`
	}{Customer: *c}
	all, _ := p["expand"].([]any)
	if slices.Contains(all, any("tax_ids")) {
		v.TaxIDs = &list{"list", append([]TaxID{}, c.TaxIDs...)}
	}
	if slices.Contains(all, any("tax")) {
		v.Tax = &tax{"unrecognized_location", "stripe"}
		if c.located() {
			v.Tax.AutomaticTax = "supported"
		}
	}
	return reply(v)
}
