package transport_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/transport"
)

// lane is a message in a consumer's own buffer.
func lane(body, sent, received string) []transport.Message {
	return transport.OpenSQS(transport.SQSMessage{ID: "m1", Body: body, Attributes: map[string]string{
		"SentTimestamp": sent, "ApproximateFirstReceiveTimestamp": received, "ApproximateReceiveCount": "3",
	}})
}

// The form of messages that lie in buffers already is read for ever.
func TestLaneMessagesOfTodayAreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/lane-1.json")
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 11, 22, 12, 0, 0, 250_000_000, time.UTC)
	m := lane(string(text), "1795348805000", "1795348810000") // 12:00:05 and 12:00:10
	if len(m) != 1 || m[0].Err != nil || m[0].Form != transport.Lane || m[0].Redrive || m[0].Consumer != "customer-erp" || m[0].Class != "throttled" ||
		!slices.Equal(m[0].Records, []string{"0015f00002J9YYEAA3", "0015f00002J9YYFAA3"}) || !m[0].FailedAt.Equal(first) ||
		!m[0].SentAt.Equal(time.Date(2026, 11, 22, 12, 0, 5, 0, time.UTC)) || !m[0].ReceivedAt.Equal(time.Date(2026, 11, 22, 12, 0, 10, 0, time.UTC)) ||
		m[0].ReceiveCount != 3 || !strings.HasSuffix(string(m[0].Event), `"detail":{"payload":{}}}`) {
		t.Fatalf("%+v", m)
	}
	w := transport.Waiting{Event: m[0].Event, Records: m[0].Records, Consumer: "customer-erp", Class: "throttled", FirstAt: first}
	if got := string(w.EncodeAround(transport.Quote(w.Event))); got != strings.TrimSpace(string(text)) {
		t.Errorf("written as\n%s", got)
	}
}

func TestLane(t *testing.T) {
	for what, w := range map[string]transport.Waiting{
		"all records, not begun": {Event: []byte(event), Consumer: "c", Class: "unfinished"},
		"no JSON":                {Event: []byte("\xff{"), Consumer: "c", Class: "unknown", Records: []string{}},
	} {
		body := w.EncodeAround(transport.Quote(w.Event))
		if !json.Valid(body) {
			t.Fatalf("%s: %s", what, body)
		}
		m := lane(string(body), "1795348805000", "")
		if len(m) != 1 || m[0].Form != transport.Lane || string(m[0].Event) != string(w.Event) || !m[0].FailedAt.IsZero() || !m[0].ReceivedAt.IsZero() ||
			(m[0].Records == nil) != (w.Records == nil) || m[0].Class != w.Class {
			t.Errorf("%s: %+v", what, m)
		}
	}
	// A sender's clock does not make a failure younger than its message.
	late := transport.Waiting{Event: []byte(event), Consumer: "c", FirstAt: time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)}
	if m := lane(string(late.EncodeAround([]byte(event))), "1795348805000", ""); !m[0].FailedAt.Equal(time.UnixMilli(1795348805000)) {
		t.Errorf("%+v", m[0])
	}
	for what, body := range map[string]string{
		"of a later release":   `{"lane":2,"event":{},"consumer":"c"}`,
		"of no release":        `{"lane":0,"event":{},"consumer":"c"}`,
		"without a number":     `{"lane":"1","event":{},"consumer":"c"}`,
		"records of no texts":  `{"lane":1,"event":{},"consumer":"c","records":[1]}`,
		"a time that is none":  `{"lane":1,"event":{},"consumer":"c","firstAt":"yesterday"}`,
		"a data URL that ends": `{"lane":1,"event":"data:application/octet-stream;base64,%","consumer":"c"}`,
	} {
		m := lane(body, "", "")
		e, ok := errors.AsType[*transport.Error](m[0].Err)
		if len(m) != 1 || !ok || e.Name != "invalid-lane" || string(m[0].Event) != body {
			t.Errorf("%s: %+v", what, m)
		}
	}
	// A parked message that lies in a buffer stays a redrive, and an event that has such
	// members stays an event.
	if m := lane(parked(event), "", ""); m[0].Form != transport.ParkedMessage || !m[0].Redrive {
		t.Errorf("%+v", m[0])
	}
	if m := lane(`{"lane":1,"event":{},"consumer":"c","detail-type":"x"}`, "", ""); m[0].Form != transport.Event {
		t.Errorf("%+v", m[0])
	}
}
