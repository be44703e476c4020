package transport_test

import (
	"strings"
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

// An event is an event whatever else it holds: taken for a batch it would be none, and lost.
func TestAnEventWithRecordsIsNoBatch(t *testing.T) {
	for _, more := range []string{`"Records":[]`, `"Messages":[]`, `"event":{},"consumer":"x","class":"y"`, `"requestContext":{},"requestPayload":{}`} {
		for replay, form := range map[string]transport.Form{"": transport.Event, `"replay-name":"again",`: transport.Replay} {
			raw := strings.Replace(event, "{", "{"+more+","+replay, 1)
			b, err := transport.Open([]byte(raw))
			if err != nil || b.SQS || len(b.Messages) != 1 || b.Messages[0].Form != form || string(b.Messages[0].Event) != raw {
				t.Errorf("%s: %+v, %v", more, b, err)
			}
		}
	}
}

// Blanks that JSON does not know are part of the event, which is refused for them: it comes
// back as it was.
func TestOtherBlanksStay(t *testing.T) {
	for _, blank := range []string{"\u00a0", "\u0085", "\u2028", "\v", "\f"} {
		raw := event + blank
		p, err := transport.DecodeParked(transport.Parked{Event: []byte(raw), Consumer: "customer-erp"}.Encode())
		if err != nil || string(p.Event) != raw {
			t.Errorf("%q came back as %q, %v", raw, p.Event, err)
		}
	}
}

// A number that cannot be is unknown.
func TestANegativeCountIsUnknown(t *testing.T) {
	m := transport.OpenSQS(transport.SQSMessage{ID: "m1", Body: event, Attributes: map[string]string{"ApproximateReceiveCount": "-3", "SentTimestamp": "-5"}})
	if len(m) != 1 || m[0].ReceiveCount != 0 || !m[0].FirstAt.IsZero() {
		t.Fatalf("%+v", m)
	}
}
