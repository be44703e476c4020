package functions_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
)

// A custom field that configuration names comes by every road: change events, platform
// events, and what is read of the org.
func TestExtraFieldsByEveryRoad(t *testing.T) {
	for _, c := range []struct {
		name  string
		event []byte
		want  map[string]sink.Field[string] // what the ERP's first request holds
	}{
		{"created", consumertest.Create("Account", account, 1, map[string]any{"Name": "Alpha", "Region__c": "North"}),
			map[string]sink.Field[string]{"Region__c": sink.Set("North"), "Tier__c": sink.Clear[string]()}},
		{"platform event", consumertest.PlatformEvent("Cloud_Customer_Sync__e", 1, map[string]any{"Record_Id__c": account, "Record_Modified_At__c": consumertest.At(1), "Name__c": "Alpha",
			"Fields__c": "Name__c,Region__c", "Region__c": "North", "Tier__c": nil}),
			map[string]sink.Field[string]{"Region__c": sink.Set("North"), "Tier__c": sink.Set("Gold")}}, // the rest was read
		{"read", consumertest.Change{Object: "Account", Kind: "GAP_UPDATE", IDs: []string{account}, Second: 1}.Event(),
			map[string]sink.Field[string]{"Region__c": sink.Set("West"), "Tier__c": sink.Set("Gold")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			org := &consumertest.Records{}
			org.Put(account, 1, map[string]any{"Name": "Alpha", "Region__c": "West", "Tier__c": "Gold"})
			e, b := consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true}), consumertest.NewSink(sink.Contract{Fenced: true})
			toERP := consumertest.New(t, functions.CustomerERP(ledger{e}, "Region__c", "Tier__c"), consumertest.In(org.Asked))
			toERP.Send(c.event, consumertest.Update("Account", account, 9, map[string]any{"Tier__c": nil}))
			toBilling := consumertest.New(t, functions.CustomerBilling(register{b}, "Region__c", "Tier__c"), consumertest.In(org.Asked))
			toBilling.Send(c.event)
			if len(e.Took()) != 2 || len(b.Took()) != 1 {
				t.Fatalf("%d and %d requests, parked %+v", len(e.Took()), len(b.Took()), toERP.Parked())
			}
			if got := e.Took()[0].Body.(erp.Customer).Extra; !maps.Equal(got, c.want) {
				t.Errorf("the ERP got %v", got)
			}
			if got := e.Took()[1].Body.(erp.Customer); !maps.Equal(got.Extra, map[string]sink.Field[string]{"Tier__c": sink.Clear[string]()}) || got.Name.Present {
				t.Errorf("then %+v", got)
			}
			if got := b.Took()[0].Body.(billing.Customer).Extra; !maps.Equal(got, c.want) {
				t.Errorf("billing got %v", got)
			}
		})
	}
}

func TestExtraFieldsThatCannotBe(t *testing.T) {
	many := strings.Split(strings.Repeat("A__c ", 21), " ")[:21]
	for want, extra := range map[string][]string{
		`the extra field "Name" is no API name`: {"Name"}, "uses \"Region__c\" a second time": {"Region__c", "Region__c"}, "uses \"Status__c\" a second time": {"Status__c"},
		"21 extra fields": many,
	} {
		_, err := consumer.New(functions.CustomerERP(ledger{consumertest.NewSink(sink.Contract{Fenced: true})}, extra...), consumer.Env{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", slices.Compact(extra), err)
		}
	}
}

// A field that the org does not have is empty by every road, and nobody asks for it.
func TestAFieldThatTheOrgDoesNotHave(t *testing.T) {
	org := &consumertest.Records{}
	org.Put(account, 1, map[string]any{"Name": "Alpha"})
	org.Hide("Tax_Number__c")
	none := consumertest.In(func(e *consumer.Env) {
		e.Org, e.Rename = org, map[string]map[string]string{"Account": {"Tax_Number__c": "-"}}
	})
	for name, event := range map[string][]byte{
		"created": consumertest.Create("Account", account, 1, map[string]any{"Name": "Alpha"}),
		"read":    consumertest.Change{Object: "Account", Kind: "GAP_UPDATE", IDs: []string{account}, Second: 1}.Event(),
	} {
		s := consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true})
		k := consumertest.New(t, functions.CustomerERP(ledger{s}), none)
		k.Send(event)
		if got := s.Took(); len(got) != 1 || got[0].Method != "PUT" || !got[0].Body.(erp.Customer).TaxNumber.Null {
			t.Errorf("%s: %+v, parked %+v", name, got, k.Parked())
		}
	}
}
