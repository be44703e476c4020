package consumer_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"sfrelay/shared/consumer"
	"sfrelay/shared/guard"
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
func ExampleConsumer() {
	levels := consumer.Consumer[Level]{
		Name:    "levels",
		Takes:   []consumer.Source{{Event: "Stock_Level__e", ModifiedAt: "Modified_At__c"}},
		Policy:  guard.NewestWins,
		Subject: func(c consumer.Change[Level]) string { return "stock/" + c.Content.SKU },
		Sink:    sink.Contract{Fenced: true},
		Apply: func(_ context.Context, a consumer.Attempt[Level]) (sink.Receipt, error) {
			fmt.Println("the sink is told:", a.Content.SKU, a.Content.OnHand)
			return sink.Receipt{Link: "item-1"}, nil
		},
	}
	function, err := consumer.New(levels, consumer.Surroundings{
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
	_, err := consumer.New(consumer.Consumer[Level]{
		Name:   "levels",
		Takes:  []consumer.Source{consumer.ChangeEvents("Stock__c")},
		Policy: guard.NewestWins,
	}, consumer.Surroundings{})
	fmt.Println(err)
	// Output:
	// consumer "levels" cannot be built:
	// Subject is missing: the order of what matters to this consumer?
	// NewestWins takes full states only, and change events are partial: use FieldMerge
	// Apply is missing
	// Store, Park and Log are needed
}
