package scenario

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestExpectations(t *testing.T) {
	applied, stale, parked := seen{"applied", ""}, seen{"stale", ""}, seen{"parked", "needs-fetch"}
	for _, c := range []struct {
		text string
		got  []seen
		met  bool
	}{
		{"applied", []seen{applied}, true},
		{"applied", nil, false},
		{"applied", []seen{stale}, false},
		{"applied", []seen{applied, applied}, false},
		{"3 applied", []seen{applied, applied, applied}, true},
		{"3 applied", []seen{applied, applied, stale}, false},
		{"2 applied, stale", []seen{stale, applied, applied}, true},
		{"applied | stale", []seen{stale}, true},
		{"applied | stale, stale", []seen{stale, applied}, true},
		{"applied | stale, stale", []seen{applied, stale}, true},
		{"applied | stale, stale", []seen{applied, applied}, false},
		{"parked", []seen{parked}, true},
		{"parked (needs-fetch)", []seen{parked}, true},
		{"parked (throttled)", []seen{parked}, false},
		{"parked, parked (needs-fetch)", []seen{parked, {"parked", "throttled"}}, true},
		{"parked (needs-fetch), applied", []seen{parked, applied}, true},
		{"parked (permanent/missing-field)", []seen{{"parked", "permanent/missing-field"}}, true},
	} {
		e, err := parseExpectation(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if e.met(c.got) != c.met {
			t.Errorf("%q met by %v: want %v", c.text, c.got, c.met)
		}
		if want := strings.Contains(c.text, "|"); e.open() != want {
			t.Errorf("%q open: want %v", c.text, want)
		}
	}
	for _, text := range []string{"", "Applied", "applied,", "x applied", "applied (", "applied ()", "1000 applied", "applied || stale"} {
		if _, err := parseExpectation(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestDifferences(t *testing.T) {
	decode := func(text string) any {
		var v any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		want, got string
		differ    []string
	}{
		{`{"a":1}`, `{"a":1,"b":2}`, nil},
		{`{"a":1}`, `{"a":2}`, []string{`/a: want 1, is 2`}},
		{`{"a":1}`, `{"a":1.0}`, []string{`/a: want 1, is 1.0`}}, // as written
		{`{"a":null}`, `{}`, nil},
		{`{"a":null}`, `{"a":null}`, nil},
		{`{"a":null}`, `{"a":""}`, []string{`/a: want null, is ""`}},
		{`{"a":"x"}`, `{}`, []string{`/a: want "x", is null`}},
		{`{"a":{"b":1}}`, `{"a":[]}`, []string{`/a: want an object, is []`}},
		{`[1,2]`, `[2,1]`, nil},
		{`[1,2]`, `[1]`, []string{`: want 2 elements, are [1]`}},
		{`[{"n":"a","v":1},{"n":"b","v":2}]`, `[{"n":"b","v":3},{"n":"a","v":1}]`, []string{`/1/v: want 2, is 3`}},
		{`[1,1]`, `[1,2]`, []string{`/1: want 1, is 2`}},
		{`{"a":[]}`, `{}`, []string{`/a: want 0 elements, are null`}},
	} {
		if got := differences("", decode(c.want), decode(c.got)); !slices.Equal(got, c.differ) {
			t.Errorf("%s against %s: %q, want %q", c.want, c.got, got, c.differ)
		}
	}
}
