package guard_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
)

type attribute struct {
	N *int64
	S *string
	B *string
}

// recordOf is a fixture as a store would return it.
func recordOf(t *testing.T, attributes map[string]attribute) (rec guard.Record) {
	t.Helper()
	for name, a := range attributes {
		var v guard.Value
		switch {
		case a.N != nil:
			v = guard.Value{Kind: guard.Number, Num: *a.N}
		case a.S != nil:
			v = guard.Value{Kind: guard.String, Str: *a.S}
		default:
			b, err := hex.DecodeString(*a.B)
			if err != nil {
				t.Fatal(err)
			}
			v = guard.Value{Kind: guard.Binary, Str: string(b)}
		}
		rec = append(rec, guard.Attr{Name: name, Value: v})
	}
	return rec
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestItemsOfLayout2AreRead(t *testing.T) {
	var fixture struct{ Record, Action map[string]attribute }
	read(t, "testdata/item-layout-2.json", &fixture)
	created, err := order.Parse("019a0000000018393caf5d8e2c01000100000001")
	if err != nil {
		t.Fatal(err)
	}
	it := guard.ReadItem(recordOf(t, fixture.Record))
	if it.Seen != created || it.Fields["n"] != created || !it.Full.IsZero() || len(it.Parked) != 40 || it.Parked[20:] != string(created[:]) || it.Layout != 1 {
		t.Errorf("%+v", it)
	}
	it = guard.ReadItem(recordOf(t, fixture.Action))
	if it.Status != guard.Done || it.Layout != 2 || it.Hash != "\x01\x02\x03\x04\x05\x06\x07\x08" || it.Parked != "\x01\x02\x03\x04\x05\x06\x07\x09" {
		t.Errorf("%+v", it)
	}
}

// TestItemsOfLayout1AreRead holds the layout of items that lie in tables already.
func TestItemsOfLayout1AreRead(t *testing.T) {
	var fixture struct{ Attributes map[string]attribute }
	read(t, "testdata/item-layout-1.json", &fixture)
	it := guard.ReadItem(recordOf(t, fixture.Attributes))
	version := func(s string) order.Version {
		v, err := order.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	token := guard.Token{0x01, 0x9a, 0xb3, 0xc4, 0xd5, 0xe6, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99}
	if !it.Exists || it.Status != guard.StatusUnknown || it.Owner != token || it.Epoch != 1763800000007 || it.Attempts != 2 ||
		it.Until != 1763800012345 || !it.InDoubt || it.Doubt[15] != 0x66 ||
		it.Full != version("019a0000000018393caf5d8e2c01000100000001") || it.Tombstone != version("01990000000018393caf5d8e2c01000100000001") ||
		len(it.Fields) != 1 || it.Fields["p"] != version("019b0000000018393caf5d8e2c01000100000001") ||
		it.Hash != "\x01\x02\x03\x04\x05\x06\x07\x08" || it.Link != "cus_1" || it.Class != "unknown" || it.Layout != 1 {
		t.Fatalf("%+v", it)
	}
}
