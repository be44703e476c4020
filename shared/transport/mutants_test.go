package transport_test

import (
	"testing"
	"time"

	"sfrelay/shared/transport"
)

// A parked message that is sent into the queue once more is as old as its change: the
// queue's own time is that of the last sending.
func TestTheFirstFailureOutlivesTheQueue(t *testing.T) {
	first := time.Date(2026, 11, 9, 7, 0, 0, 0, time.UTC)
	p := transport.Parked{Event: []byte(event), Consumer: "customer-erp", Class: "unknown", Attempts: 2, FirstAt: first, LastAt: first}
	m := transport.OpenSQS(transport.SQSMessage{ID: "m1", Body: string(p.Encode()), Attributes: map[string]string{"SentTimestamp": "1795256130000"}})
	if len(m) != 1 || !m[0].FirstAt.Equal(first) {
		t.Fatalf("%+v", m)
	}
}
