package erp_test

import (
	"encoding/json"
	"fmt"

	"sfrelay/shared/decimal"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

// A customer marshals as a JSON merge patch: what it says nothing of is not there,
// what is cleared is null.
func ExampleCustomer() {
	b, err := json.Marshal(erp.Customer{
		Name:           sink.Set("Acme"),
		Phone:          sink.Clear[string](),
		BillingAddress: erp.Address{City: sink.Set("York")},
	})
	fmt.Println(string(b), err)
	b, err = json.Marshal(erp.Customer{})
	fmt.Println(string(b), err)
	// Output:
	// {"name":"Acme","phone":null,"billingAddress":{"city":"York"}} <nil>
	// {} <nil>
}

func ExampleLevel() {
	b, err := json.Marshal(erp.Level{SKU: "W-1", Warehouse: "North", Quantity: decimal.Must("12.50")})
	fmt.Println(string(b), err)
	// Output: {"sku":"W-1","warehouse":"North","quantity":"12.5"} <nil>
}
