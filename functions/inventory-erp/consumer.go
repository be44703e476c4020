package main

import (
	"context"
	"net/url"

	"sfrelay/shared/consumer"
	"sfrelay/shared/decimal"
	"sfrelay/shared/erp"
	"sfrelay/shared/guard"
	"sfrelay/shared/sink"
)

// Update is what Inventory_Update__e says of one SKU at one warehouse: a full state.
type Update struct {
	SKU       string          `event:"Sku__c,required"`
	Warehouse string          `event:"Warehouse__c,required"`
	OnHand    decimal.Decimal `event:"Quantity_On_Hand__c,required"`
	Unit      string          `event:"Unit__c"`
}

// inventory keeps the ERP's quantity on hand equal to Salesforce's: the newest change
// of a SKU at a warehouse wins.
func inventory(stock erp.Stock) consumer.Consumer[Update] {
	return consumer.Consumer[Update]{
		Name:    "inventory-erp", // part of every guard key: never rename
		Takes:   []consumer.Source{{Event: "Inventory_Update__e", ModifiedAt: "Record_Modified_At__c"}},
		Policy:  guard.NewestWins,
		Subject: func(c consumer.Change[Update]) string { return "stock/" + c.Content.level() },
		Sink:    stock.Contract(), // what the ERP promises decides what an attempt in doubt may do
		Apply: func(ctx context.Context, a consumer.Attempt[Update]) (sink.Receipt, error) {
			u := a.Content
			return stock.Set(ctx, a.Ref, erp.Level{SKU: u.SKU, Warehouse: u.Warehouse, Quantity: u.OnHand, Unit: u.Unit})
		},
	}
}

// level names a SKU at a warehouse; an "@" inside of either is escaped, so that no two
// of them share a name.
func (u Update) level() string { return url.QueryEscape(u.SKU) + "@" + url.QueryEscape(u.Warehouse) }
