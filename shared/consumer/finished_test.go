package consumer

import (
	"fmt"
	"testing"

	"sfrelay/shared/salesforce"
)

// What is remembered for messages that come again has a bound: the oldest are forgotten,
// and asked for again.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	event := &salesforce.Event{ID: "e"}
	left := func(f *finished, message string) int {
		return len(f.without(message, event, []*salesforce.Change{{RecordID: "0"}, {RecordID: "1"}}))
	}
	var f finished
	for m := range 4 {
		records := make([]recordOf, 9_000)
		for i := range records {
			records[i] = recordOf{"e", fmt.Sprint(i)}
		}
		f.note(fmt.Sprint("m", m), records)
		f.note(fmt.Sprint("m", m), records) // the same ones count once
	}
	for m, want := range []int{2, 2, 0, 0} {
		if n := left(&f, fmt.Sprint("m", m)); n != want {
			t.Errorf("of message %d, %d records are left, want %d", m, n, want)
		}
	}
	f.note("greatest", []recordOf{{"e", "0"}, {"another", "1"}})
	if n := left(&f, "greatest"); n != 1 {
		t.Errorf("%d records left, want 1: the other was done for another event", n)
	}
	if len(f.messages) != 3 || len(f.order) != 3 || f.records != 18_002 {
		t.Errorf("%d messages, %d in order, %d records", len(f.messages), len(f.order), f.records)
	}
}
