// Command opportunity-billing issues one invoice for every opportunity that is won.
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
		return functions.OpportunityBilling(client.Invoices(), f, f.Config.WonStages), nil
	})
}
