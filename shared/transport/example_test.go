package transport_test

import (
	"fmt"

	"sfrelay/shared/transport"
)

// However an event arrives, its bytes come out as they were.
func ExampleOpen() {
	parked := transport.Parked{
		Event:    []byte(`{"detail-type":"Note__e","detail":{"payload":{"Amount__c":1250.50}}}`),
		Consumer: "orders", Class: "permanent/invalid-currency", Attempts: 1,
	}
	batch, err := transport.Open(parked.Encode())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range batch.Messages {
		fmt.Println(m.Form, m.Consumer, m.Class, m.Redrive)
		fmt.Println(string(m.Event))
	}
	// Output:
	// parked orders permanent/invalid-currency true
	// {"detail-type":"Note__e","detail":{"payload":{"Amount__c":1250.50}}}
}
