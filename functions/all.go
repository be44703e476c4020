// Package functions holds the definitions of the consumers: what each of them takes
// and reads, and what it does about it. Every folder here is one Lambda function, whose
// main joins a definition with its connector.
package functions

import (
	"slices"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp"
	"sfrelay/shared/notify"
	"sfrelay/shared/salesforce"
)

// Ports are the ways to the sinks of all consumers. Those that are nil leave a
// definition that can be asked what it is, and cannot run.
type Ports struct {
	BillingCustomers billing.Customers
	Invoices         billing.Invoices
	Links            consumer.LinkReader
	Merges           consumer.Merges
	ERPCustomers     erp.Customers
	Stock            erp.Stock
	Receiver         notify.Receiver
}

// All are the definitions of all consumers, by name. Whatever has to agree with them
// asks them: the command line, the tests of template.yaml, the documents.
//
// It is a function, because a variable would link every consumer into every binary.
func All(p Ports) []consumer.Definition {
	return []consumer.Definition{
		ContactNotify(p.Receiver, nil),
		CustomerBilling(p.BillingCustomers),
		CustomerERP(p.ERPCustomers),
		InventoryERP(p.Stock),
		OpportunityBilling(p.Invoices, p.Links, p.Merges, Deals{WonStages: []string{"Closed Won"}}),
	}
}

// DetailTypes are the names of the events of a kind that the consumers take, in the order in
// which All names them.
func DetailTypes(kind salesforce.Kind) (names []string) {
	for _, def := range All(Ports{}) {
		for _, s := range def.Describe().Sources {
			if s.Kind == kind && !slices.Contains(names, s.DetailType) {
				names = append(names, s.DetailType)
			}
		}
	}
	return names
}
