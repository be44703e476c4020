// Command opportunity-billing issues one invoice for every opportunity that is won.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) consumer.Definition {
		f.AskOrg()
		invoices := stripe.FromEnv(f.Reader, f.Secret).Invoices()
		return functions.OpportunityBilling(invoices, f, f, functions.Deals{
			WonStages: f.List("OPPORTUNITY_WON_STAGES", "Closed Won"), Currency: billing.Currency(f.Optional("ORG_CURRENCY", "")),
		})
	})
}
