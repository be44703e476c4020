package bus_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/bus"
)

func TestRead(t *testing.T) {
	one := `{"id":"1","source":"s","detail-type":"T","detail":{"n":1795251600683617001}}`
	for _, c := range []struct {
		name, in string
		ids      string
		fails    string
	}{
		{name: "one", in: one, ids: "1"},
		{name: "two, one after the other", in: one + "\n" + strings.Replace(one, `"1"`, `"2"`, 1), ids: "1 2"},
		{name: "an array", in: "[" + one + "," + strings.Replace(one, `"1"`, `"2"`, 1) + "]", ids: "1 2"},
		{name: "nothing", in: " \n", fails: "no event"},
		{name: "cut off", in: one[:20], fails: "event 1 is not JSON"},
		{name: "the second one cut off", in: one + one[:20], fails: "event 2 is not JSON"},
		{name: "no object", in: "42", fails: "not an event of EventBridge"},
		{name: "an id that is no text", in: `{"id":1}`, fails: "not an event of EventBridge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := bus.Read(strings.NewReader(c.in))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("error %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range events {
				ids = append(ids, e.ID)
			}
			if got := strings.Join(ids, " "); got != c.ids {
				t.Errorf("events %s, want %s", got, c.ids)
			}
		})
	}
}

func TestWithIDTouchesNothingElse(t *testing.T) {
	events, err := bus.Read(strings.NewReader(`{"id":"1","source":"s","detail-type":"T","detail":{"commitNumber":1795251600683617001,"Amount__c":9.90}}`))
	if err != nil {
		t.Fatal(err)
	}
	again, err := events[0].WithID("2")
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"detail":{"commitNumber":1795251600683617001,"Amount__c":9.90},"detail-type":"T","id":"2","source":"s"}`; string(again.JSON) != want {
		t.Errorf("got  %s\nwant %s", again.JSON, want)
	}
	if again.ID != "2" || events[0].ID != "1" || again.Source != "s" {
		t.Errorf("%+v from %+v", again, events[0])
	}
}

// A filled event has the size that was asked for, all that it had before, and a text that
// gzip hardly makes smaller.
func TestFilled(t *testing.T) {
	read := func(text string) bus.Event {
		events, err := bus.Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return events[0]
	}
	const size = 1_000_000
	e, err := read(`{"id":"1", "source":"s","detail-type":"T","detail":{"id":"x", "payload":{"Amount__c": 99.90}}}`).Filled(size)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID     string
		Detail struct {
			ID      string
			Payload struct {
				Amount json.Number `json:"Amount__c"`
				Filler string      `json:"Filler__c"`
			}
		}
	}
	if err := json.Unmarshal(e.JSON, &got); err != nil || len(e.JSON) != size || e.ID != "1" || got.ID != "1" || got.Detail.ID != "x" || got.Detail.Payload.Amount != "99.90" {
		t.Fatalf("%v, %d bytes, %q %+v", err, len(e.JSON), got.ID, got.Detail.Payload.Amount)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(got.Detail.Payload.Filler))
	_ = z.Close()
	if n := len(got.Detail.Payload.Filler); b.Len()*4 < n*3 || strings.ContainsAny(got.Detail.Payload.Filler, `"\<>&`) {
		t.Errorf("%d bytes shrink to %d", n, b.Len())
	}
	for _, text := range []string{`{"id":"1","detail":{}}`, `{"id":"1","detail":{"payload":{}}}`} {
		if _, err := read(text).Filled(size); err == nil {
			t.Errorf("%s can be filled", text)
		}
	}
	if _, err := read(`{"id":"1","detail":{"payload":{"a":1}}}`).Filled(30); err == nil {
		t.Error("an event is filled to less than it has")
	}
}
