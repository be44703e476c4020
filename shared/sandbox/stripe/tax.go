package stripesandbox

import "regexp"

// AutomaticTax is what an invoice says of Stripe Tax.
type AutomaticTax struct {
	Enabled bool    `json:"enabled"`
	Status  *string `json:"status"` // of the last calculation
}

// TaxRate is the one rate, in percent, that the sandbox knows for every place.
const TaxRate = 20

// Outcomes of a calculation, as the OpenAPI file names them (automatic_tax.status).
const (
	taxComplete      = "complete"
	requiresLocation = "requires_location_inputs"
)

var usPostalCode = regexp.MustCompile(`^[0-9]{5}(-[0-9]{4})?$`)

// located: by the shipping address if there is one, else by the address. A country is
// enough, but for the US (a postal code of five digits) and Canada (a province or a postal
// code) (docs.stripe.com/tax/customer-locations, docs.stripe.com/tax/invoicing).
func (c *Customer) located() bool {
	a := c.Address
	if c.Shipping != nil && c.Shipping.Address != (Address{}) {
		a = &c.Shipping.Address
	}
	if a == nil || a.Country == nil {
		return false
	}
	switch *a.Country {
	case "US":
		return a.PostalCode != nil && usPostalCode.MatchString(*a.PostalCode)
	case "CA":
		return a.PostalCode != nil || a.State != nil
	}
	return true
}

// unlocated is what Stripe answers where it cannot tax. Documented is that it does so of
// finalizing; of a new invoice others quote it. The sandbox does at the first chance.
func unlocated() answer {
	return badParam("customer_tax_location_invalid", "", "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.")
}

// total adds an invoice up, with its tax: on top of the lines, or within them where the
// account's default tax behavior is inclusive. Stripe does so of a draft, and anew when it is finalized.
func (s *Sandbox) total(i *Invoice) {
	i.Subtotal = 0
	for _, l := range i.Lines.Data {
		i.Subtotal += l.Amount
	}
	i.NetTotal, i.Total = i.Subtotal, i.Subtotal
	if c := s.customer(i.Customer); i.AutomaticTax.Enabled {
		status := taxComplete
		switch {
		case !c.located():
			status = requiresLocation
		case c.TaxExempt != "none":
		case s.options.TaxInclusive:
			i.NetTotal = (i.Subtotal*100 + (100+TaxRate)/2) / (100 + TaxRate)
		default:
			i.Total += (i.Subtotal*TaxRate + 50) / 100
		}
		i.AutomaticTax.Status = &status
	}
	i.AmountDue = max(i.Total, 0)
}
