package consumer_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"sfrelay/shared/consumer"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
)

// Level is what the made-up Stock_Level__e says of one SKU: a full state.
type Level struct {
	SKU    string `event:"Sku__c,required"`
	OnHand int    `event:"On_Hand__c,required"`
}

// A definition says what it takes, what order means to it, and what to do.
func ExampleState() {
	stock := &shelves{}
	levels := consumer.State[Level]{
		Name:   "levels",
		Events: []consumer.PlatformEvent{{Name: "Stock_Level__e", ModifiedAt: "Modified_At__c"}},
		Key:    func(l Level) consumer.Key { return consumer.KeyOf("stock", l.SKU) },
		To:     stock,
		Put: func(_ context.Context, _ sink.Ref, l Level) (sink.Receipt, error) {
			return stock.set(l.SKU, l.OnHand)
		},
	}
	function, err := consumer.New(levels, consumer.Env{
		Store: &memory.Store{},
		Park:  func(_ context.Context, message []byte) error { return nil },
		Log:   telemetry.New(&verdicts{}, "example", 0),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	event := func(id string, second, onHand int) []byte {
		return fmt.Appendf(nil, `{"id":%q,"detail-type":"Stock_Level__e","time":"2026-11-22T12:00:00Z",
			"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS",
			"detail":{"payload":{"Sku__c":"A-1","On_Hand__c":%d,"Modified_At__c":"2026-11-22T11:59:%02dZ"}}}`, id, onHand, second)
	}
	for _, e := range [][]byte{
		event("e1", 2, 30),
		event("e2", 2, 30),      // a relay that sends again makes a new id
		event("e3", 1, 40),      // older than what the sink has
		[]byte(`{"id":"e4",`),   // broken
		event("e5", 3, 20)[:80], // broken as well
	} {
		if _, err := function.Handle(context.Background(), e); err != nil {
			fmt.Println(err) // Lambda would try again
		}
	}
	// Output:
	// the sink is told: A-1 30
	// applied
	// duplicate
	// stale
	// parked: permanent/invalid-json
	// parked: permanent/invalid-json
}

// shelves is the way to a sink: what it promises, and what it does.
type shelves struct{}

func (*shelves) Contract() sink.Contract { return sink.Contract{Fenced: true} }

func (*shelves) set(sku string, onHand int) (sink.Receipt, error) {
	fmt.Println("the sink is told:", sku, onHand)
	return sink.Receipt{Link: "item-1"}, nil
}

// verdicts prints of every line what became of the change.
type verdicts struct{}

func (*verdicts) Write(line []byte) (int, error) {
	field := func(name string) string {
		_, rest, _ := strings.Cut(string(line), `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	if class := field("class"); class != "" {
		return fmt.Fprintf(os.Stdout, "%s: %s\n", field("verdict"), class)
	}
	return fmt.Fprintln(os.Stdout, field("verdict"))
}

// A definition that cannot be right is refused before the first event, with every
// mistake in one message.
func ExampleNew() {
	_, err := consumer.New(consumer.State[Level]{
		Name:   "levels",
		Events: []consumer.PlatformEvent{{Name: "Stock_Level", Operation: "Operation__c"}},
	}, consumer.Env{})
	fmt.Println(err)
	// Output:
	// consumer "levels" cannot be built:
	// Key is missing: name the thing whose states have an order, e.g. consumer.KeyOf("stock", u.SKU, u.Warehouse)
	// Put is missing: it writes one state to the sink
	// Stock_Level may be a DELETE (Operation), and a State has only states to put: use a Record
	// "Stock_Level" is not the API name of a platform event, e.g. Inventory_Update__e
	// To is missing: the port whose contract decides what an attempt in doubt may do
	// the Env lacks a Store, Park or Log
}
