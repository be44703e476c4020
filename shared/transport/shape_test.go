package transport

import (
	"os"
	"testing"
)

// Telling the shape reads the whole event. It is done once: twice would cost twice the
// allocations of a decoder.
func TestADirectEventIsLookedThroughOnce(t *testing.T) {
	raw, err := os.ReadFile("../../events/01-account-create.json")
	if err != nil {
		t.Fatal(err)
	}
	once := testing.AllocsPerRun(100, func() { shape(raw) })
	open := testing.AllocsPerRun(100, func() {
		if b, err := Open(raw); err != nil || len(b.Messages) != 1 {
			t.Fatal(b, err)
		}
	})
	const message = 1
	if once == 0 || open > once+message {
		t.Errorf("Open allocates %v times, telling the shape %v", open, once)
	}
}
