package bus_test

import (
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
