package main

import (
	"context"
	"fmt"
	"testing"

	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// shelf is an ERP that takes everything and keeps the last level.
type shelf map[string]erp.Level

func (s shelf) Contract() sink.Contract { return sink.Contract{Fenced: true, Versioned: true} }

func (s shelf) Set(_ context.Context, _ sink.Ref, l erp.Level) (sink.Receipt, error) {
	s[l.SKU+"@"+l.Warehouse] = l
	return sink.Receipt{}, nil
}

// onHand is an Inventory_Update__e of the given second.
func onHand(second int, sku, warehouse, quantity string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"b6b4a3f2-0c1e-7a5d-9a51-4c1f0f7f2b%02d","detail-type":"Inventory_Update__e",
		"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012",
		"time":"2026-11-22T11:00:59Z","region":"eu-west-1","resources":[],"detail":{"payload":{
		"CreatedDate":"2026-11-22T11:00:%02d.250Z","Event_Id__c":"e981b488-81f3-4fcc-bd6f-f7033c9d7a%02d",
		"Sku__c":%q,"Warehouse__c":%q,"Quantity_On_Hand__c":%s,"Unit__c":"PCE","Record_Modified_At__c":"2026-11-22T11:00:%02d.000Z"}}}`,
		second, second, second, sku, warehouse, quantity, second)
}

func TestTheNewestQuantityWinsInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		stock := shelf{}
		kit := consumertest.New(t, inventory(stock))
		kit.Duplicate(2).Shuffle(seed).Send(
			onHand(1, "A-1", "WH", "100"), onHand(2, "A-1", "WH", "97.5"), onHand(3, "A-1", "WH", "0"),
			onHand(2, "A-1", "EAST", "5"),
		)
		if q := stock["A-1@WH"].Quantity.String(); q != "0" || stock["A-1@EAST"].Quantity.String() != "5" {
			t.Fatalf("seed %d: the ERP ends with %v", seed, stock)
		}
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	kit := consumertest.New(t, inventory(shelf{}))
	kit.Send(onHand(1, "", "WH", "1"), onHand(1, "A-1", "WH", `"many"`), onHand(1, "A-1", "WH", "null"))
	kit.Want("parked", "parked", "parked")
	for i, want := range []verdict.Class{"permanent/missing-field", "permanent/invalid-field", "permanent/missing-field"} {
		if p := kit.Parked()[i]; p.Class != want {
			t.Errorf("event %d: class %s (%s), want %s", i, p.Class, p.Error, want)
		}
	}
}
