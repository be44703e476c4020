package functions_test

import (
	"context"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

// shelf is an ERP that keeps the level of each SKU at each warehouse.
type shelf struct{ *consumertest.Sink }

func newShelf() shelf {
	return shelf{consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true})}
}

func (s shelf) Set(_ context.Context, ref sink.Ref, l erp.Level) (sink.Receipt, error) {
	return s.Put(ref, l.SKU+" at "+l.Warehouse, l)
}

// onHand is an Inventory_Update__e of the given second.
func onHand(second int, sku, warehouse string, quantity any) []byte {
	return consumertest.PlatformEvent("Inventory_Update__e", second, map[string]any{
		"Sku__c": sku, "Warehouse__c": warehouse, "Quantity_On_Hand__c": quantity, "Unit__c": "PCE",
		"Record_Modified_At__c": consumertest.At(second),
	})
}

// levels are states of two SKUs at warehouses, in the order of their commits.
func levels() [][]byte {
	return [][]byte{
		onHand(1, "A-1", "WH", 100), onHand(2, "A-1", "WH", 97.5), onHand(2, "A-1", "EAST", 5), onHand(3, "A-1", "WH", 0),
	}
}

func TestTheNewestQuantityWins(t *testing.T) {
	stock := newShelf()
	kit := consumertest.New(t, functions.InventoryERP(stock))
	e := levels()
	kit.Duplicate(2).Send(e[3]).Send(e[1], e[2], e[0])
	kit.Want("applied", "duplicate", "stale", "applied", "stale")
	const want = "A-1 at EAST: Quantity=5 SKU=A-1 Unit=PCE Warehouse=EAST\nA-1 at WH: Quantity=0 SKU=A-1 Unit=PCE Warehouse=WH\n"
	if got := stock.State(); got != want {
		t.Errorf("the ERP ends with\n%swant\n%s", got, want)
	}
}

func TestWhatIsMissingOfALevelIsNamed(t *testing.T) {
	kit := consumertest.New(t, functions.InventoryERP(newShelf()))
	kit.Send(onHand(1, "", "WH", 1), onHand(1, "A-1", "WH", "many"), onHand(1, "A-1", "WH", nil))
	kit.Want("parked", "parked", "parked")
	for i, want := range []string{"permanent/missing-field", "permanent/invalid-field", "permanent/missing-field"} {
		if p := kit.Parked()[i]; string(p.Class) != want {
			t.Errorf("event %d: class %s (%s), want %s", i, p.Class, p.Error, want)
		}
	}
}
