package functions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
)

// What an author can get wrong, and what tells him. Each mistake was once possible
// without a word, and lost or misplaced values.
func TestNoMistakeOfAnAuthorIsSilent(t *testing.T) {
	for _, tc := range []struct {
		mistake string
		told    func(t *testing.T) string // the message
		says    string
	}{
		{"one key for different things", func(t *testing.T) string {
			def := state()
			def.Key = func(u functions.InventoryUpdate) consumer.Key { return consumer.KeyOf("stock", u.SKU) }
			return caught(t, func(tb testing.TB) {
				consumertest.New(tb, def).Holds(onHand(1, "A-1", "WH", 1), onHand(2, "A-1", "EAST", 2))
			})
		}, "one thing at the sink has one key, and one key one thing"},
		{"a key without a value", func(t *testing.T) string {
			type update struct {
				SKU string `event:"Sku__c"`
			}
			kit := consumertest.New(t, consumer.State[update]{
				Name: "levels", Events: []consumer.PlatformEvent{{Name: "Inventory_Update__e"}}, To: newShelf(),
				Key: func(u update) consumer.Key { return consumer.KeyOf("stock", u.SKU) },
				Put: func(context.Context, sink.Ref, update) (sink.Receipt, error) { return sink.Receipt{}, nil },
			})
			kit.Send(onHand(1, "", "WH", 1))
			return fmt.Sprint(kit.Parked()[0].Class, " ", kit.Parked()[0].Error)
		}, `permanent/missing-field field of the key: is empty: tag every field that Key uses with ",required"`},

		{"a record without its object", func(t *testing.T) string {
			r := record()
			r.Object, r.Changes = "", false
			return refused(r)
		}, "Object is missing"},
		{"a record whose event names none", func(t *testing.T) string {
			r := record()
			r.Events[0].Record = ""
			return refused(r)
		}, "Cloud_Customer_Sync__e speaks of a record of Account: name the field with its id (Record)"},

		{"a record ordered by its content", func(*testing.T) string {
			// Cannot be written: nothing of a Record names a key.
			for _, name := range []string{"Subject", "Key", "Once"} {
				if _, ok := reflect.TypeFor[consumer.Record[functions.Account]]().FieldByName(name); ok {
					return "a Record has " + name
				}
			}
			return "none"
		}, "none"},

		{"values that are not escaped", func(*testing.T) string {
			one, two := consumer.KeyOf("stock", "A@", "B"), consumer.KeyOf("stock", "A", "@B")
			return fmt.Sprint(one, " ", two)
		}, "stock/A%40@B stock/A@%40B"},

		{"a mistyped tag", func(*testing.T) string {
			return refused(reading[struct {
				Name sink.Field[string] `guard:"n" cdc:"Name" evnt:"Name__c"`
			}]())
		}, `field Name has the tag "evnt", which nobody reads: write event, cdc, rest, guard or ref`},
		{"a guard code alone", func(*testing.T) string {
			return refused(reading[struct {
				Name sink.Field[string] `guard:"n"`
			}]())
		}, "field Name has a guard code and reads nothing"},
		{"a field without a tag", func(*testing.T) string {
			return refused(reading[struct {
				Name  sink.Field[string] `guard:"n" cdc:"Name" event:"Name__c"`
				Phone sink.Field[string]
			}]())
		}, "field Phone has no tag"},
		{"one tag for two fields", func(*testing.T) string {
			return refused(reading[struct {
				City  sink.Field[string] `guard:"c" cdc:"BillingAddress.City" event:"City__c"`
				State sink.Field[string] `guard:"s" cdc:"BillingAddress.City" event:"State__c"`
			}]())
		}, `field State uses "BillingAddress.City" a second time`},

		{"a mistyped option", func(*testing.T) string {
			type update struct {
				SKU  string `event:"Sku__c, required"`
				Unit string `event:"Unit__c,requird"`
			}
			return refused(consumer.State[update]{
				Name: "levels", Events: []consumer.PlatformEvent{{Name: "Inventory_Update__e"}}, To: newShelf(),
				Key: func(u update) consumer.Key { return consumer.KeyOf("stock", u.SKU) },
				Put: func(context.Context, sink.Ref, update) (sink.Receipt, error) { return sink.Receipt{}, nil },
			})
		}, `field SKU has the tag "Sku__c, required", which is no field name: the only option is ",required", without a space` + "\n" + `field Unit has the tag "Unit__c,requird"`},

		{"a mistyped field", func(t *testing.T) string {
			d := state().Describe()
			d.Fields[3].Event = "Units__c"
			return list(sampleMistakes([]consumer.Description{d}, samples(t)))
		}, "inventory-erp reads Units__c of Inventory_Update__e, and no such event in events/ has it"},
		{"a mistyped ModifiedAt", func(t *testing.T) string {
			def := state()
			def.Events[0].ModifiedAt = "Record_Modified__c"
			return list(sampleMistakes([]consumer.Description{def.Describe()}, samples(t)))
		}, "inventory-erp reads Record_Modified__c of Inventory_Update__e"},
		{"a mistyped Operation", func(t *testing.T) string {
			r := record()
			r.Events[0].Operation = "Operations__c"
			return list(sampleMistakes([]consumer.Description{r.Describe()}, samples(t)))
		}, "accounts reads Operations__c of Cloud_Customer_Sync__e"},
		{"a mistyped Style", func(t *testing.T) string {
			r := record()
			r.Events[0].Style = "Payload_Stile__c"
			return list(sampleMistakes([]consumer.Description{r.Describe()}, samples(t)))
		}, "accounts reads Payload_Stile__c of Cloud_Customer_Sync__e"},
		{"an event without a sample", func(t *testing.T) string {
			def := state()
			def.Events[0].Name = "Inventory_Updates__e"
			return list(sampleMistakes([]consumer.Description{def.Describe()}, samples(t)))
		}, "inventory-erp takes Inventory_Updates__e, and no file of events/ is one"},

		{"no delete", func(*testing.T) string {
			r := record()
			r.Delete = nil
			return refused(r)
		}, "Delete is missing: say what becomes of the record"},
		{"a delete that does nothing", func(t *testing.T) string {
			r := record()
			r.Delete = func(context.Context, sink.Ref, string) (sink.Receipt, error) { return sink.Receipt{}, nil }
			return caught(t, func(tb testing.TB) { consumertest.New(tb, r).Holds(life()...) })
		}, "requests reached the sink behind To"},

		{"no port", func(*testing.T) string {
			def := state()
			def.To = nil
			return refused(def)
		}, "To is missing: the port whose contract decides"},
		{"the contract of another port", func(t *testing.T) string {
			def := state() // writes to a shelf of its own
			def.To = newShelf()
			return caught(t, func(tb testing.TB) {
				consumertest.New(tb, def).Holds(onHand(1, "A-1", "WH", 1), onHand(2, "A-1", "WH", 2))
			})
		}, "0 requests reached the sink behind To: call that port"},
		{"nothing said of a doubt that the sink cannot settle", func(*testing.T) string {
			return refused(action(sink.Contract{}, 0))
		}, "InDoubt is missing: the sink cannot tell whether it took an attempt; choose consumer.ParkInDoubt (at most once) or consumer.RepeatInDoubt (at least once)"},
		{"something said of a doubt that the sink settles", func(*testing.T) string {
			return refused(action(sink.Contract{UniqueKey: true}, consumer.ParkInDoubt))
		}, "InDoubt has no effect"},

		{"an error without a class", func(t *testing.T) string {
			def := state()
			def.Put = func(context.Context, sink.Ref, functions.InventoryUpdate) (sink.Receipt, error) {
				return sink.Receipt{}, errors.New("bad currency")
			}
			kit := consumertest.New(t, def)
			kit.Send(onHand(1, "A-1", "WH", 1))
			return kit.Parked()[0].Error
		}, "the consumer's code does not say whether the sink took it (sink.Refuse, sink.NotYet or sink.InDoubt would): bad currency"},

		{"an embedded struct", func(*testing.T) string {
			type Address struct {
				City sink.Field[string] `guard:"c" cdc:"BillingAddress.City" event:"City__c"`
			}
			return refused(reading[struct {
				Address
				Name sink.Field[string] `guard:"n" cdc:"Name" event:"Name__c"`
			}]())
		}, "field Address is embedded, and tags inside of it are not read: write its fields out"},

		{"a field that every change event must have", func(*testing.T) string {
			return refused(reading[struct {
				Name sink.Field[string] `guard:"n" cdc:"Name,required" event:"Name__c"`
			}]())
		}, "field Name is required of change events, which hold only what changed"},

		{"the name of the consumer that was copied", func(*testing.T) string {
			return list(folderMistakes([]consumer.Description{{Name: "inventory-erp"}, {Name: "inventory-erp"}}, []string{"inventory-erp", "returns-erp"}))
		}, `two consumers are named "inventory-erp"`},
		{"a folder that is no consumer", func(*testing.T) string {
			return list(folderMistakes(nil, []string{"returns-erp"}))
		}, "functions/returns-erp is no consumer of functions.All"},

		{"a code that was renamed", func(*testing.T) string {
			d := record().Describe()
			return list(nameMistakes([]consumer.Description{d}, map[string]map[string]string{"accounts": {"nm": "Name"}}))
		}, `accounts: code "nm" stood for Name and stands for ""`},
		{"a consumer that was renamed", func(*testing.T) string {
			return list(nameMistakes(nil, map[string]map[string]string{"accounts": {"n": "Name"}}))
		}, `consumer "accounts" is gone or renamed`},

		{"ACCOUNT_FIELDS with a mistyped name", func(*testing.T) string {
			return refusedIn(record(), map[string]map[string]string{"Account": {"Tax_Nmber__c": "VAT__c"}})
		}, "Tax_Nmber__c of Account is renamed, and no cdc tag of functions.Account names it: correct ACCOUNT_FIELDS"},
		{"ACCOUNT_FIELDS at a consumer of another object", func(*testing.T) string {
			r := record()
			r.Object = "Contact"
			return refusedIn(r, map[string]map[string]string{"Account": {"Tax_Nmber__c": "VAT__c"}}) + "taken"
		}, "taken"},
	} {
		t.Run(tc.mistake, func(t *testing.T) {
			if got := tc.told(t); !strings.Contains(got, tc.says) {
				t.Errorf("told %q, want %q", got, tc.says)
			}
		})
	}
}

// All mistakes of one definition are told together, before the first event.
func TestMistakesAreToldTogether(t *testing.T) {
	got := refused(consumer.Record[struct {
		Name  string             `cdc:"Name"`
		Phone sink.Field[string] `guard:"p" cdc:"Phone" event:"Phone__c"`
		Fax   sink.Field[string] `guard:"p" cdc:"Fax" event:"Fax__c"`
	}]{
		Name: "Accounts", Object: "Account", Changes: true,
		Events: []consumer.PlatformEvent{{Name: "Account"}, {Name: "Sync__e", Record: "Id__c"}, {Name: "Sync__e", Record: "Id__c"}},
	})
	for _, want := range []string{
		`Name "Accounts": use lower-case letters`, `"Account" is not the API name of a platform event`, "Sync__e is taken twice", "Sync__e has no ModifiedAt",
		"Patch is missing", "Delete is missing", "To is missing", "the Env lacks a Store, Park or Log",
		"field Name has the type string: a Record needs sink.Field[string]", "has no guard code", "is not read from every source", `field Fax uses "p" a second time`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not told in:\n%s", want, got)
		}
	}
}

// The key of an announced pause begins like those of a consumer of that name would.
func TestAConsumerIsNotCalledRelay(t *testing.T) {
	for name, told := range map[string]bool{"relay": true, "relay-erp": false, "relays": false} {
		s := state()
		s.Name = name
		if got := refused(s); strings.Contains(got, "is taken") != told {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// state is a definition like the product's, to be broken.
func state() consumer.State[functions.InventoryUpdate] {
	stock := newShelf()
	return consumer.State[functions.InventoryUpdate]{
		Name:   "inventory-erp",
		Events: []consumer.PlatformEvent{{Name: "Inventory_Update__e", ModifiedAt: "Record_Modified_At__c"}},
		Key:    func(u functions.InventoryUpdate) consumer.Key { return consumer.KeyOf("stock", u.SKU, u.Warehouse) },
		To:     stock,
		Put: func(ctx context.Context, ref sink.Ref, u functions.InventoryUpdate) (sink.Receipt, error) {
			return stock.Set(ctx, ref, erp.Level{SKU: u.SKU, Warehouse: u.Warehouse, Quantity: u.OnHand, Unit: u.Unit})
		},
	}
}

func record() consumer.Record[functions.Account] { return reading[functions.Account]() }

// reading is a record of accounts that reads T.
func reading[T any]() consumer.Record[T] {
	s := consumertest.NewSink(sink.Contract{Fenced: true})
	return consumer.Record[T]{
		Name: "accounts", Object: "Account", Changes: true,
		Events: []consumer.PlatformEvent{{
			Name: "Cloud_Customer_Sync__e", Record: "Record_Id__c", Operation: "Operation__c", ModifiedAt: "Record_Modified_At__c", Style: "Payload_Style__c",
		}},
		To: s,
		Patch: func(_ context.Context, ref sink.Ref, id string, some T) (sink.Receipt, error) {
			return s.Patch(ref, id, some)
		},
		Delete: func(_ context.Context, ref sink.Ref, id string) (sink.Receipt, error) { return s.Delete(ref, id) },
	}
}

func action(c sink.Contract, d consumer.Doubt) consumer.Definition {
	type notice struct {
		Text string `event:"Text__c"`
	}
	return consumer.Action[notice]{
		Name: "notices", Events: []consumer.PlatformEvent{{Name: "Notice__e"}}, Once: consumer.PerEvent(), To: consumertest.NewSink(c), InDoubt: d,
		Do: func(context.Context, sink.Ref, consumer.Change[notice]) (sink.Receipt, error) {
			return sink.Receipt{}, nil
		},
	}
}

// refused is what New says of a definition; empty where it takes it.
func refused(def consumer.Definition) string { return refusedIn(def, nil) }

func refusedIn(def consumer.Definition, rename map[string]map[string]string) string {
	env := consumer.Env{
		Store: &memory.Store{}, Park: func(context.Context, []byte) error { return nil },
		Log: telemetry.New(&bytes.Buffer{}, "test", 0), Rename: rename,
	}
	if strings.Contains(def.Describe().Name, "Accounts") {
		env = consumer.Env{}
	}
	if _, err := consumer.New(def, env); err != nil {
		return err.Error()
	}
	return ""
}

// caught runs a test that has to fail, and is what it says.
func caught(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	spy := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(spy)
	}()
	<-done
	if spy.said == "" {
		return "the test passed"
	}
	return spy.said
}

// failing is a testing.TB whose failure is wanted.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *failing) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func list(mistakes []string) string { return strings.Join(mistakes, "\n") }
