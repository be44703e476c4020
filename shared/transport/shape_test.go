package transport

import (
	"bytes"
	"os"
	"testing"
)

// Telling the shape of what is no plain event reads all of it. It is done once: twice would
// cost twice the allocations of a decoder. A plain event costs none.
func TestADirectEventIsLookedThroughOnce(t *testing.T) {
	raw, err := os.ReadFile("../../events/01-account-create.json")
	if err != nil {
		t.Fatal(err)
	}
	const message = 1
	for name, event := range map[string][]byte{
		"plain": raw, "replayed": append(append([]byte{}, bytes.TrimRight(raw, "} \n")...), []byte(`}},"replay-name":"again"}`)...),
	} {
		once := testing.AllocsPerRun(100, func() { shape(event) })
		open := testing.AllocsPerRun(100, func() {
			if b, err := Open(event); err != nil || len(b.Messages) != 1 {
				t.Fatal(b, err)
			}
		})
		if (once == 0) != (name == "plain") || open > once+message {
			t.Errorf("%s: Open allocates %v times, telling the shape %v", name, open, once)
		}
	}
}

// A plain event is known by the names at its top level, wherever they stand.
func TestAnEventIsToldByItsNames(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"detail-type":"x"}`: true,
		" {\"a\":[{}], \"source\" : \"s\",\n\"detail\":{\"b\":[1,\"]}\"]}} x": true,
		`{"detail-type":"a \"quoted\" \\","detail":{}}`:                       true,
		`{"detail":{"replay-name":"x"},"source":"s"}`:                         true,
		`{"detail-type":"x","replay-name":"r"}`:                               false,
		`{"detail-type":"ends in a backslash \\","replay-name":"r"}`:          false,
		`{"detail-type":"\",\"replay-name\":","replay-name":"r"}`:             false,
		`{"a":"\\\",\"detail-type\":1"}`:                                      false,
		`{"event":{"detail-type":"x"},"consumer":"c","class":"p"}`:            false,
		`{"event":"detail-type"}`:                                             false,
		`{"source":"s"}`:                                                      false,
		`["detail-type"]`:                                                     false,
		`"detail-type":1`:                                                     false,
		`x{"detail-type":1}`:                                                  false,
		`{"detail-type":"x"`:                                                  false,
		`{"detail-type":"x`:                                                   false,
		``:                                                                    false,
	} {
		if got := plain([]byte(raw)); got != want {
			t.Errorf("%s: %t, want %t", raw, got, want)
		}
	}
}

// FuzzPlain: what is told by its names alone is told so by every token, too.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{
		`{"detail-type":"x","a":"\\\"","detail":{"b":[{}]}}`, `{"source":"s","detail":{}} {"Records":[]}`, `{"detail-type":"x","replay-name":1}`,
		`{"Records":[{"detail-type":1}]}`, `{"detail-type":]}`, `{{"detail-type":1}}`, `}{"detail-type":1}`, `{"a":[}],"detail-type":1}`, "{\"detail-type\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got := read(raw); plain(raw) && got != bareShape {
			t.Errorf("%q is of the shape %d by its tokens", raw, got)
		}
	})
}
