// Command customer-billing keeps the billing system's customers equal to Salesforce's
// accounts.
package main

import (
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) (function.Handler, error) {
		env := f.Stripe()
		client, err := stripe.New(f.Secret(env.Secret), env.APIBase)
		if err != nil {
			return nil, err
		}
		return consumer.New(customer(client.Customers()), f.Surroundings())
	})
}
