// Package erp is what the consumers ask of an ERP system: keep a customer equal
// to its Salesforce account, and the quantity on hand equal to what Salesforce
// says. Connectors live in folders named after the protocol or system, e.g.
// erp/httpsink.
//
// Errors of every method: *sink.FencedError and *sink.RefusedVersionError where
// the system refuses the epoch or the version, else *sink.Error with its class
// and whether the call took effect, and no field value in it.
package erp

import (
	"context"

	"sfrelay/shared/decimal"
	"sfrelay/shared/sink"
)

// Customers keeps customers of the ERP equal to Salesforce accounts. accountID is
// the 18-character id of the account.
type Customers interface {
	// Contract is what the system promises for the three operations.
	Contract() sink.Contract

	// Put writes the full state at ref.Version: what c does not name is cleared.
	Put(ctx context.Context, ref sink.Ref, accountID string, c Customer) (sink.Receipt, error)

	// Patch writes the fields of c that are present; a Null field is cleared, the
	// others are left alone. It creates the customer where it is missing.
	Patch(ctx context.Context, ref sink.Ref, accountID string, c Customer) (sink.Receipt, error)

	// Delete says that the account is gone: the customer is retired, not destroyed.
	Delete(ctx context.Context, ref sink.Ref, accountID string) (sink.Receipt, error)
}

// Stock keeps the quantity on hand of a SKU at a warehouse.
type Stock interface {
	// Contract is what the system promises for Set.
	Contract() sink.Contract

	// Set writes the full state of one level at ref.Version.
	Set(ctx context.Context, ref sink.Ref, l Level) (sink.Receipt, error)
}

// Customer is what the ERP knows of an account. A field that is not present is
// not named in the request, one that is Null is sent as null.
type Customer struct {
	Name            sink.Field[string] `json:"name,omitzero"`
	Number          sink.Field[string] `json:"number,omitzero"`
	Status          sink.Field[string] `json:"status,omitzero"`
	Phone           sink.Field[string] `json:"phone,omitzero"`
	Website         sink.Field[string] `json:"website,omitzero"`
	Email           sink.Field[string] `json:"email,omitzero"`
	TaxNumber       sink.Field[string] `json:"taxNumber,omitzero"`
	Currency        sink.Field[string] `json:"currency,omitzero"`
	BillingAddress  Address            `json:"billingAddress,omitzero"`
	ShippingAddress Address            `json:"shippingAddress,omitzero"`

	// Extra holds custom fields of the account by API name, those that are present.
	Extra map[string]sink.Field[string] `json:"extra,omitzero"`
}

// Address is a postal address, each part written or cleared by itself.
type Address struct {
	Street     sink.Field[string] `json:"street,omitzero"`
	City       sink.Field[string] `json:"city,omitzero"`
	State      sink.Field[string] `json:"state,omitzero"`
	PostalCode sink.Field[string] `json:"postalCode,omitzero"`
	Country    sink.Field[string] `json:"country,omitzero"`
}

// Level is the quantity on hand of one SKU at one warehouse.
type Level struct {
	SKU       string          `json:"sku"`
	Warehouse string          `json:"warehouse"`
	Quantity  decimal.Decimal `json:"quantity"` // a string in JSON, e.g. "12.5"; may be negative
	Unit      string          `json:"unit,omitempty"`
}
