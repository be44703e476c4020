// Package billing is what the consumers ask of a billing system: keep a customer
// equal to its Salesforce account, and issue one invoice for a won opportunity.
// Connectors live in folders named after the system, e.g. billing/stripe.
//
// Errors of every method: *sink.Error, with its class and whether the call took
// effect, and no field value in it.
package billing

import (
	"context"
	"errors"
	"time"

	"sfrelay/shared/decimal"
	"sfrelay/shared/sink"
)

// Customers keeps customers of the billing system equal to Salesforce accounts.
// It owns every customer that it created.
type Customers interface {
	// Contract is what the system promises for Save and Retire.
	Contract() sink.Contract

	// Save writes the fields of c that are present to the customer of the account
	// and leaves the others alone; a Null field is cleared. It creates the customer
	// where ref.Link is empty, finds it again where ref.InDoubt, and brings a
	// retired one back. accountID is the 18-character id of the account.
	Save(ctx context.Context, ref sink.Ref, accountID string, c Customer) (sink.Receipt, error)

	// Retire marks the customer of a deleted account. It destroys nothing; where
	// there is no customer, or it was deleted, the outcome is Unchanged.
	Retire(ctx context.Context, ref sink.Ref, accountID string) (sink.Receipt, error)
}

// Customer is what billing knows of an account. A field that is not present is
// left alone, one that is Null is cleared.
type Customer struct {
	Name      sink.Field[string]
	Number    sink.Field[string] // AccountNumber
	Status    sink.Field[string]
	Phone     sink.Field[string]
	Website   sink.Field[string]
	Email     sink.Field[string]
	TaxNumber sink.Field[string] // e.g. a VAT id, as the account holds it
	Currency  sink.Field[string] // ISO 4217; of the account, not of an invoice
	Billing   Address
	Shipping  Address

	// Extra holds custom fields of the account by API name, those that are present.
	Extra map[string]sink.Field[string]
}

// Address is a postal address, each part written or cleared by itself.
type Address struct {
	Street, City, State, PostalCode sink.Field[string]
	Country                         sink.Field[string] // ISO 3166-1 alpha-2 where the org uses country codes
}

// IsZero reports whether no part is present.
func (a Address) IsZero() bool { return a == Address{} }

// Invoices issues invoices, each once for ever.
type Invoices interface {
	// Contract is what the system promises for Issue.
	Contract() sink.Contract

	// Issue makes and finalizes the invoice of one opportunity, or finds the one
	// that was made before: it always looks first. An invoice whose total at the
	// billing system is not inv.Total is never finalized
	// (permanent/total-mismatch). A customer that was retired is never billed
	// (permanent/customer-retired).
	Issue(ctx context.Context, ref sink.Ref, inv Invoice) (sink.Receipt, error)
}

// Invoice is what a won opportunity bills.
type Invoice struct {
	OpportunityID string    // 18 characters
	AccountID     string    // 18 characters
	CustomerLink  string    // the billing system's id of the customer
	Total         Money     // what Salesforce says it comes to; its currency is the invoice's
	Lines         []Line    // none: one line over the total
	Description   string    // for people, on the invoice; may be empty
	DueDays       int       // days until due; 0: due when issued
	CloseDate     time.Time // date the opportunity was won; zero: unknown
	RecordTime    time.Time // when the opportunity was last changed; zero: unknown. Only for looking
}

// Line is one line of an invoice. It bills Quantity x UnitPrice, rounded to the
// minor unit of the currency, half away from zero.
type Line struct {
	SKU         string
	Description string
	Quantity    decimal.Decimal
	UnitPrice   decimal.Decimal // in the currency of the invoice
}

// Amount is what the line bills, in money of the currency. The error is
// decimal.ErrRange.
func (l Line) Amount(c Currency) (Money, error) {
	a, err := l.Quantity.Mul(l.UnitPrice)
	if err != nil {
		return Money{}, err
	}
	return Money{Amount: a.Round(c.Digits()), Currency: c}, nil
}

// Money is an exact amount of one currency.
type Money struct {
	Amount   decimal.Decimal
	Currency Currency
}

// ErrFraction says that an amount has more decimal places than its currency.
var ErrFraction = errors.New("the amount is not a whole number of minor units of its currency")

// Minor is the amount in ISO 4217 minor units: 12.50 EUR is 1250, 500 JPY is 500,
// 1.234 KWD is 1234. It never rounds: ErrFraction where the amount is finer than
// the currency or does not fit.
func (m Money) Minor() (int64, error) {
	n, ok := m.Amount.Minor(m.Currency.Digits())
	if !ok {
		return 0, ErrFraction
	}
	return n, nil
}
