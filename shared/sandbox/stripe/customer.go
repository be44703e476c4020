package stripesandbox

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"sfrelay/shared/billing"
)

// Address is a postal address; a part that is not there is null in JSON.
type Address struct {
	City       *string `json:"city"`
	Country    *string `json:"country"`
	Line1      *string `json:"line1"`
	Line2      *string `json:"line2"`
	PostalCode *string `json:"postal_code"`
	State      *string `json:"state"`
}

// Shipping is where the goods go.
type Shipping struct {
	Address Address `json:"address"`
	Name    string  `json:"name"`
	Phone   *string `json:"phone"`
}

// Customer is Stripe's customer as far as the sandbox knows it.
type Customer struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Created  int64             `json:"created"`
	Deleted  bool              `json:"deleted,omitempty"`
	Name     *string           `json:"name"`
	Email    *string           `json:"email"`
	Phone    *string           `json:"phone"`
	About    *string           `json:"description"`
	Address  *Address          `json:"address"`
	Shipping *Shipping         `json:"shipping"`
	Currency *string           `json:"currency"` // of the first invoice; later ones may have others
	Metadata map[string]string `json:"metadata"`
	Livemode bool              `json:"livemode"`
	Balance  int64             `json:"balance"`
	TaxIDs   []TaxID           `json:"-"`

	TaxExempt string `json:"tax_exempt"`
}

func (c *Customer) clone() Customer {
	k := *c
	k.Metadata, k.TaxIDs = maps.Clone(c.Metadata), slices.Clone(c.TaxIDs)
	return k
}

// customerParams are those that the sandbox carries out; others are valid at
// Stripe but refused here, so that no test passes by being ignored.
var customerParams = []string{"name", "email", "phone", "description", "address", "shipping", "metadata", "tax_exempt"}

func (s *Sandbox) createCustomer(p map[string]any) answer {
	for _, name := range []string{"name", "email", "phone", "description"} {
		if v, ok := p[name]; ok && v == "" {
			return badParam("parameter_invalid_empty", name, "You passed an empty string for '"+name+"' of a new customer.")
		}
	}
	c := &Customer{ID: s.newID("cus"), Object: "customer", Created: s.options.Now().Unix(), Metadata: map[string]string{}, TaxExempt: "none"}
	if a, ok := s.setCustomer(c, p); !ok {
		return a
	}
	s.customers = append(s.customers, c)
	return reply(c)
}

func (s *Sandbox) updateCustomer(id string, p map[string]any) answer {
	c := s.customer(id)
	if c == nil || c.Deleted {
		return missing("customer", id, "id")
	}
	changed := c.clone()
	if a, ok := s.setCustomer(&changed, p); !ok {
		return a
	}
	*c = changed
	return reply(c)
}

// setCustomer writes what p names and leaves the rest alone.
func (s *Sandbox) setCustomer(c *Customer, p map[string]any) (answer, bool) {
	for name := range p {
		if !slices.Contains(customerParams, name) && name != "expand" {
			return badParam("parameter_unknown", name, "The sandbox does not know this parameter of a customer."), false
		}
	}
	if email := text(p, "email"); email != "" && (strings.Count(email, "@") != 1 || strings.ContainsAny(email, " \t\r\n")) {
		return badParam("email_invalid", "email", "Invalid email address: "+email), false
	}
	if a, ok := countries(p); !ok {
		return a, false
	}
	for name, field := range map[string]**string{"name": &c.Name, "email": &c.Email, "phone": &c.Phone, "description": &c.About} {
		if v, ok := p[name]; ok {
			*field = filled(v)
		}
	}
	if v := text(p, "tax_exempt"); v != "" {
		c.TaxExempt = v
	} else if _, given := p["tax_exempt"]; given {
		c.TaxExempt = "none"
	}
	if v, ok := p["address"]; ok {
		c.Address = s.address(c.Address, v)
	}
	switch v := p["shipping"].(type) {
	case map[string]any:
		if text(v, "name") == "" {
			return badParam("parameter_missing", "shipping[name]", "Missing required param: shipping[name]."), false
		}
		if _, ok := v["address"].(map[string]any); !ok {
			return badParam("parameter_missing", "shipping[address]", "Missing required param: shipping[address]."), false
		}
		var old *Address
		if c.Shipping != nil {
			old = &c.Shipping.Address
		}
		c.Shipping = &Shipping{Address: *s.address(old, v["address"]), Name: text(v, "name"), Phone: filled(v["phone"])}
	case string:
		c.Shipping = nil
	}
	merged, a, ok := mergeMetadata(c.Metadata, p)
	if !ok {
		return a, false
	}
	c.Metadata = merged
	return answer{}, true
}

// countries refuses what is no country. Stripe documents codes of ISO 3166-1 alpha-2 and
// says this where it compares.
func countries(p map[string]any) (answer, bool) {
	address, _ := p["address"].(map[string]any)
	shipping, _ := p["shipping"].(map[string]any)
	to, _ := shipping["address"].(map[string]any)
	for _, of := range []struct {
		name    string
		address map[string]any
	}{{"address[country]", address}, {"shipping[address][country]", to}} {
		if c := text(of.address, "country"); c != "" && !billing.IsCountry(c) {
			return badParam("", of.name, "Country '"+c+"' is unknown. Try using a 2-character alphanumeric country code instead, such as 'US', 'EG', or 'GB'."), false
		}
	}
	return answer{}, true
}

func (s *Sandbox) address(old *Address, v any) *Address {
	p, isMap := v.(map[string]any)
	if !isMap {
		return nil
	}
	var a Address
	if s.options.MergeAddresses && old != nil {
		a = *old
	}
	for name, field := range map[string]**string{"city": &a.City, "country": &a.Country, "line1": &a.Line1,
		"line2": &a.Line2, "postal_code": &a.PostalCode, "state": &a.State} {
		if v, ok := p[name]; ok {
			*field = filled(v)
		}
	}
	return &a
}

// filled is nil for the empty text, which clears a field.
func filled(v any) *string {
	if t, _ := v.(string); t != "" {
		return &t
	}
	return nil
}

func (s *Sandbox) customer(id string) *Customer {
	for _, c := range s.customers {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (s *Sandbox) getCustomer(id string, p map[string]any) answer {
	c := s.customer(id)
	switch {
	case c == nil:
		return missing("customer", id, "id")
	case c.Deleted:
		return reply(map[string]any{"id": c.ID, "object": "customer", "deleted": true})
	default:
		return expanded(c, p)
	}
}

// deleteCustomer also deletes the drafts of the customer.
func (s *Sandbox) deleteCustomer(id string) answer {
	c := s.customer(id)
	if c == nil || c.Deleted {
		return missing("customer", id, "id")
	}
	c.Deleted = true
	s.invoices = slices.DeleteFunc(s.invoices, func(i *Invoice) bool { return i.Customer == id && i.Status == "draft" })
	return reply(map[string]any{"id": c.ID, "object": "customer", "deleted": true})
}

func (s *Sandbox) listCustomers(p map[string]any) answer {
	within, email := window(p), text(p, "email")
	var found []*Customer
	for _, c := range slices.Backward(s.customers) {
		if c.Deleted || !within(c.Created) || (email != "" && (c.Email == nil || *c.Email != email)) {
			continue
		}
		found = append(found, c)
	}
	return page(found, func(c *Customer) string { return c.ID }, p, "/v1/customers")
}

var _ http.Handler = (*Sandbox)(nil)
