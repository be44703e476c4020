// Command opportunity-billing issues one invoice for every opportunity that is won.
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
		return consumer.New(invoice(client.Invoices(), f, f.Config.WonStages), f.Surroundings())
	})
}
