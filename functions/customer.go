package functions

import (
	"context"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

// customerBilling owns the billing system's customers: its name is part of the links that
// others read.
const customerBilling = "customer-billing"

// Account is what billing and the ERP read of an Account, from change events and from
// Cloud_Customer_Sync__e alike. Where the org has state and country picklists the code
// counts, which is what ISO 3166 and billing systems know. The guard codes are part of both consumers' items.
type Account struct {
	Name      sink.Field[string] `guard:"n" cdc:"Name" event:"Name__c,required"`
	Number    sink.Field[string] `guard:"no" cdc:"AccountNumber" event:"Account_Number__c"`
	Status    sink.Field[string] `guard:"st" cdc:"Status__c" event:"Status__c"`
	Phone     sink.Field[string] `guard:"p" cdc:"Phone" event:"Phone__c"`
	Website   sink.Field[string] `guard:"w" cdc:"Website" event:"Website__c"`
	Email     sink.Field[string] `guard:"e" cdc:"Email__c" event:"Email__c"`
	TaxNumber sink.Field[string] `guard:"t" cdc:"Tax_Number__c" event:"Tax_Number__c"`
	Currency  sink.Field[string] `guard:"c" cdc:"CurrencyIsoCode" event:"Currency__c"`

	BillingStreet     sink.Field[string] `guard:"bs" cdc:"BillingAddress.Street" event:"Billing_Street__c"`
	BillingCity       sink.Field[string] `guard:"bc" cdc:"BillingAddress.City" event:"Billing_City__c"`
	BillingState      sink.Field[string] `guard:"bt" cdc:"BillingAddress.StateCode|BillingAddress.State" event:"Billing_State__c"`
	BillingPostalCode sink.Field[string] `guard:"bp" cdc:"BillingAddress.PostalCode" event:"Billing_Postal_Code__c"`
	BillingCountry    sink.Field[string] `guard:"bn" cdc:"BillingAddress.CountryCode|BillingAddress.Country" event:"Billing_Country__c"`

	ShippingStreet     sink.Field[string] `guard:"ss" cdc:"ShippingAddress.Street" event:"Shipping_Street__c"`
	ShippingCity       sink.Field[string] `guard:"sc" cdc:"ShippingAddress.City" event:"Shipping_City__c"`
	ShippingState      sink.Field[string] `guard:"sa" cdc:"ShippingAddress.StateCode|ShippingAddress.State" event:"Shipping_State__c"`
	ShippingPostalCode sink.Field[string] `guard:"sp" cdc:"ShippingAddress.PostalCode" event:"Shipping_Postal_Code__c"`
	ShippingCountry    sink.Field[string] `guard:"sn" cdc:"ShippingAddress.CountryCode|ShippingAddress.Country" event:"Shipping_Country__c"`

	Extra consumer.Extra // custom fields that configuration names
}

// accountRecord is what both consumers of accounts take. Each is named on its own.
func accountRecord(name string, to sink.Port, extra []string) consumer.Record[Account] {
	return consumer.Record[Account]{
		Name: name, Object: "Account", Changes: true, Extra: extra,
		Events: []consumer.PlatformEvent{{
			Name: "Cloud_Customer_Sync__e", Record: "Record_Id__c",
			Operation: "Operation__c", ModifiedAt: "Record_Modified_At__c", Sequence: "Sequence__c", Style: "Payload_Style__c", Fields: "Fields__c",
		}},
		To: to,
	}
}

// CustomerBilling keeps the billing system's customer equal to the Salesforce account,
// field by field: of each field the newest change wins. This consumer owns the
// customers; others read their links. extra are custom fields that it keeps besides.
func CustomerBilling(customers billing.Customers, extra ...string) consumer.Definition {
	r := accountRecord(customerBilling, customers, extra)
	r.Patch = func(ctx context.Context, ref sink.Ref, id string, a Account) (sink.Receipt, error) {
		return customers.Save(ctx, ref, id, a.billing(extra))
	}
	r.Delete = func(ctx context.Context, ref sink.Ref, id string) (sink.Receipt, error) {
		return customers.Retire(ctx, ref, id)
	}
	return r
}

// CustomerERP keeps the ERP's customer equal to the Salesforce account, field by field:
// of each field the newest change wins. extra are custom fields that it keeps besides.
func CustomerERP(customers erp.Customers, extra ...string) consumer.Definition {
	r := accountRecord("customer-erp", customers, extra)
	r.Put = func(ctx context.Context, ref sink.Ref, id string, a Account) (sink.Receipt, error) {
		return customers.Put(ctx, ref, id, a.erp(extra))
	}
	r.Patch = func(ctx context.Context, ref sink.Ref, id string, a Account) (sink.Receipt, error) {
		return customers.Patch(ctx, ref, id, a.erp(extra))
	}
	r.Delete = func(ctx context.Context, ref sink.Ref, id string) (sink.Receipt, error) {
		return customers.Delete(ctx, ref, id)
	}
	return r
}

func (a Account) billing(extra []string) billing.Customer {
	return billing.Customer{
		Name: a.Name, Number: a.Number, Status: a.Status, Phone: a.Phone, Website: a.Website,
		Email: a.Email, TaxNumber: a.TaxNumber, Currency: a.Currency, Extra: a.Extra.Named(extra),
		Billing: billing.Address{
			Street: a.BillingStreet, City: a.BillingCity, State: a.BillingState,
			PostalCode: a.BillingPostalCode, Country: a.BillingCountry,
		},
		Shipping: billing.Address{
			Street: a.ShippingStreet, City: a.ShippingCity, State: a.ShippingState,
			PostalCode: a.ShippingPostalCode, Country: a.ShippingCountry,
		},
	}
}

func (a Account) erp(extra []string) erp.Customer {
	return erp.Customer{
		Name: a.Name, Number: a.Number, Status: a.Status, Phone: a.Phone, Website: a.Website,
		Email: a.Email, TaxNumber: a.TaxNumber, Currency: a.Currency, Extra: a.Extra.Named(extra),
		BillingAddress: erp.Address{
			Street: a.BillingStreet, City: a.BillingCity, State: a.BillingState,
			PostalCode: a.BillingPostalCode, Country: a.BillingCountry,
		},
		ShippingAddress: erp.Address{
			Street: a.ShippingStreet, City: a.ShippingCity, State: a.ShippingState,
			PostalCode: a.ShippingPostalCode, Country: a.ShippingCountry,
		},
	}
}
