// Command customer-billing keeps the billing system's customers equal to accounts.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) (consumer.Definition, error) {
		env := f.Stripe()
		client, err := stripe.New(f.Secret(env.Secret), env.APIBase)
		if err != nil {
			return nil, err
		}
		return functions.CustomerBilling(client.Customers()), nil
	})
}
