package stripe

import (
	"strings"

	"github.com/stripe/stripe-go/v85"

	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// withoutTaxLocation is said of a customer before anything is made (tax.automatic_tax is
// unrecognized_location), of a draft (automatic_tax.status is requires_location_inputs),
// and where Stripe answers customer_tax_location_invalid (OpenAPI file, customer_tax and
// automatic_tax; docs.stripe.com/tax/customer-locations).
func withoutTaxLocation(customer string) *failure {
	return refused("customer-without-tax-location", "customer %s has no address that Stripe can tax, and with AutomaticTax=on Stripe finalizes no invoice without one; give the account an address in Salesforce, at least with its country, in the US with its postal code, in Canada with its province, and when it has reached Stripe, redrive", customer)
}

// negativeLine is what Stripe takes on no invoice with automatic tax (OpenAPI file,
// automatic_tax.enabled: "negative amounts … cannot be added to automatic tax invoices").
func negativeLine(n int) *failure {
	return refused("negative-line", "line %d is negative, and Stripe calculates no tax on such a line; put the discount into the prices of the other lines in Salesforce and redrive", n)
}

// differs says in what a draft is not what the opportunity says, nil for nothing. It is
// deleted then.
func (d document) differs(draft *stripe.Invoice) *failure {
	switch {
	case d.taxed && taxStatus(draft) == stripe.InvoiceAutomaticTaxStatusRequiresLocationInputs:
		return withoutTaxLocation(d.customer)
	case d.net(draft) == d.total && strings.EqualFold(string(draft.Currency), d.currency) && (!d.taxed || taxStatus(draft) != untaxed):
		return nil
	case d.taxed:
		return refused("total-mismatch", "the draft at Stripe came to another amount before tax or another currency than the opportunity says, or without automatic tax; it was deleted, nothing was billed; set the default tax behavior in Stripe's tax settings to exclusive, look for edits by hand, then redrive")
	}
	return refused("total-mismatch", "the draft at Stripe came to another total or currency than the opportunity says; it was deleted, nothing was billed; look for taxes or edits by hand")
}

// billed says in what a finalized invoice is not what the opportunity says, nil for
// nothing. That is for a person: it cannot be undone.
func (d document) billed(i *stripe.Invoice) *failure {
	switch {
	case d.net(i) != d.total:
		return &failure{Error: sink.Error{Class: verdict.Permanent("total-mismatch"), Applied: sink.Yes,
			Reason: "invoice " + i.ID + " was finalized with another amount than the opportunity's; check it and issue a credit note"}}
	case d.taxed && taxStatus(i) != stripe.InvoiceAutomaticTaxStatusComplete && taxStatus(i) != "":
		return &failure{Error: sink.Error{Class: verdict.Permanent("invoice-without-tax"), Applied: sink.Yes,
			Reason: "invoice " + i.ID + " was finalized, and Stripe calculated no tax on it; void it and bill the deal by hand, with its tax"}}
	}
	return nil
}

// net is what the opportunity's amount is compared with.
func (d document) net(i *stripe.Invoice) int64 {
	if d.taxed {
		return i.TotalExcludingTax
	}
	return i.Total
}

// untaxed is the status of an invoice without automatic tax: never switched on, or
// switched off by Stripe or a person.
const untaxed stripe.InvoiceAutomaticTaxStatus = "off"

// taxStatus is the outcome of Stripe's last calculation, empty before the first.
func taxStatus(i *stripe.Invoice) stripe.InvoiceAutomaticTaxStatus {
	if i.AutomaticTax == nil || !i.AutomaticTax.Enabled {
		return untaxed
	}
	return i.AutomaticTax.Status
}
