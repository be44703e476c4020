// Command customer-billing keeps the billing system's customers equal to accounts.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) consumer.Definition {
		f.AskOrg()
		return functions.CustomerBilling(stripe.FromEnv(f.Reader, f.Secret).Customers(), f.List("ACCOUNT_EXTRA_FIELDS", "")...)
	})
}
