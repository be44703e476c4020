package functions_test

import (
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/consumer/consumertest"
)

// holds has a line for each consumer: events in the order of their commits, which are
// then delivered in twenty other orders, twice each and with every fault of a sink.
var holds = map[string]func(*testing.T){
	"contact-notify":   func(t *testing.T) { consumertest.New(t, functions.ContactNotify(newMailbox(), nil)).Holds(story()...) },
	"customer-billing": func(t *testing.T) { consumertest.New(t, functions.CustomerBilling(newRegister())).Holds(life()...) },
	"customer-erp":     func(t *testing.T) { consumertest.New(t, functions.CustomerERP(newLedger())).Holds(life()...) },
	"inventory-erp":    func(t *testing.T) { consumertest.New(t, functions.InventoryERP(newShelf())).Holds(levels()...) },
	"opportunity-billing": func(t *testing.T) {
		consumertest.New(t, bill(newBook(), known)).Holds(won("01", "59.97", oneLine), won("02", "59.97", oneLine), otherWon())
	},
}

func TestEveryConsumerHolds(t *testing.T) {
	for _, d := range all() {
		t.Run(d.Name, func(t *testing.T) {
			test, ok := holds[d.Name]
			if !ok {
				t.Fatalf("no line of holds_test.go plays %s: add one", d.Name)
			}
			test(t)
		})
	}
}
