package functions

import (
	"context"

	"sfrelay/shared/consumer"
	"sfrelay/shared/decimal"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

// InventoryUpdate is what Inventory_Update__e says of one SKU at one warehouse: a full
// state.
type InventoryUpdate struct {
	SKU       string          `event:"Sku__c,required"`
	Warehouse string          `event:"Warehouse__c,required"`
	OnHand    decimal.Decimal `event:"Quantity_On_Hand__c,required"`
	Unit      string          `event:"Unit__c"`
}

// InventoryERP keeps the ERP's quantity on hand equal to Salesforce's: the newest
// change of a SKU at a warehouse wins.
func InventoryERP(stock erp.Stock) consumer.Definition {
	return consumer.State[InventoryUpdate]{
		Name:   "inventory-erp",
		Events: []consumer.PlatformEvent{{Name: "Inventory_Update__e", ModifiedAt: "Record_Modified_At__c", Sequence: "Sequence__c", Fields: "Fields__c"}},
		Key:    func(u InventoryUpdate) consumer.Key { return consumer.KeyOf("stock", u.SKU, u.Warehouse) },
		To:     stock,
		Put: func(ctx context.Context, ref sink.Ref, u InventoryUpdate) (sink.Receipt, error) {
			return stock.Set(ctx, ref, erp.Level{SKU: u.SKU, Warehouse: u.Warehouse, Quantity: u.OnHand, Unit: u.Unit})
		},
	}
}
