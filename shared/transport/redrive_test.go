package transport_test

import (
	"strings"
	"testing"
	"time"

	"sfrelay/shared/transport"
)

// The form is written out: a command line of one version and functions of another meet.
func TestARedriveOfTodayIsRead(t *testing.T) {
	order := transport.Redrive{By: "arn:aws:iam::123456789012:user/ada", At: time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)}
	const want = `{"redrive":{"by":"arn:aws:iam::123456789012:user/ada","at":"2026-11-27T09:30:00Z"},"message":` + event + `}`
	if got := string(order.Around([]byte(event))); got != want {
		t.Errorf("written as\n%s", got)
	}
	b, err := transport.Open([]byte(want))
	if err != nil || b.Redrive == nil || *b.Redrive != order || b.SQS || len(b.Messages) != 1 || string(b.Messages[0].Event) != event ||
		!b.Messages[0].Redrive || b.Messages[0].Form != transport.Event {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestWhatIsRedriven(t *testing.T) {
	order := transport.Redrive{By: "a\xff\"b", At: time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)}
	for what, c := range map[string]struct {
		body string
		form transport.Form
		n    int
	}{
		"a parked message":     {parked(event), transport.ParkedMessage, 1},
		"Lambda's record":      {onFailure(event), transport.OnFailure, 1},
		"a record of a batch":  {onFailure(batch(record("m1", event, ""), record("m2", event, ""))), transport.OnFailure, 2},
		"a message of a lane":  {`{"lane":1,"event":` + event + `,"records":null,"consumer":"c","class":"busy","firstAt":null}`, transport.Lane, 1},
		"no JSON":              {"by hand \xff", transport.Event, 1},
		"a redrive of it":      {string(order.Around([]byte(parked(event)))), transport.ParkedMessage, 1},
		"parked by an old one": {parked(string(order.Around([]byte(event)))), transport.ParkedMessage, 1},
	} {
		b, err := transport.Open(order.Around([]byte(c.body)))
		if err != nil || b.Redrive == nil || b.Redrive.By != "a\uFFFD\"b" || len(b.Messages) != c.n {
			t.Errorf("%s: %+v, %v", what, b, err)
			continue
		}
		for _, m := range b.Messages {
			if m.Err != nil || m.Form != c.form || !m.Redrive || m.Consumer != "" && m.Consumer != "customer-erp" && m.Consumer != "c" {
				t.Errorf("%s: %+v", what, m)
			}
		}
	}
}

// Only what is outermost is answered.
func TestARedriveInSomethingElseIsNoOrder(t *testing.T) {
	body := string(transport.Redrive{By: "x"}.Around([]byte(event)))
	for what, raw := range map[string]string{"a batch": batch(record("m1", body, "")), "a parked message": parked(body)} {
		b, err := transport.Open([]byte(raw))
		if err != nil || b.Redrive != nil || len(b.Messages) != 1 || string(b.Messages[0].Event) != event || !b.Messages[0].Redrive {
			t.Errorf("in %s: %+v, %v", what, b, err)
		}
	}
	for _, raw := range []string{`{"redrive":1,"message":{}}`, `{"redrive":{"by":1},"message":{}}`, `{"redrive":{"at":"x"},"message":"data:application/octet-stream;base64,!"}`} {
		b, err := transport.Open([]byte(raw))
		if err != nil || b.Redrive != nil || len(b.Messages) != 1 || b.Messages[0].Err == nil || !strings.Contains(b.Messages[0].Err.Error(), "invalid-redrive") {
			t.Errorf("%s: %+v, %v", raw, b, err)
		}
	}
}
