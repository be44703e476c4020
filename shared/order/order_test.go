package order_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/order"
)

const (
	text = "01a1fd9a95e8" + "183943a509120001" + "0205" + "a619c6f3"
	// The time of text is 2026-11-21T10:15:29Z.
	textMS = 1795256129000
)

var textParts = order.Parts{TimeMS: textMS, CommitNumber: 1745500706683617281, Sequence: 517}

func TestText(t *testing.T) {
	v, err := order.Parse(text)
	if err != nil || v.String() != text || v.IsZero() {
		t.Fatalf("%s, zero %v, %v", v, v.IsZero(), err)
	}
	if want := time.Date(2026, 11, 21, 10, 15, 29, 0, time.UTC); v.Time() != want {
		t.Errorf("time %v, want %v", v.Time(), want)
	}
	if v.Parts() != textParts {
		t.Errorf("parts %+v, want %+v", v.Parts(), textParts)
	}
	if w := order.New(textParts, [4]byte{0xa6, 0x19, 0xc6, 0xf3}); w != v {
		t.Errorf("joined %s, want %s", w, v)
	}
	if !(order.Version{}).IsZero() {
		t.Error("the zero version is one")
	}
	for _, bad := range []string{"", text[1:], text + "0", "x" + text[1:]} {
		if v, err := order.Parse(bad); err == nil || !v.IsZero() {
			t.Errorf("%q passes for the version %s, %v", bad, v, err)
		}
	}
}

func TestVersionsCompareUnsigned(t *testing.T) {
	inOrder := []string{
		"000000000000" + "0000000000000000" + "0000" + "00000000",
		"000000000000" + "0000000000000000" + "0000" + "00000001",
		"01a1fd9a95e8" + "0000000000000000" + "ffff" + "ffffffff",
		"01a1fd9a95e8" + "0000000000000001" + "0000" + "00000000",
		"01a1fd9a95e8" + "7fffffffffffffff" + "0000" + "00000000",
		"01a1fd9a95e8" + "8000000000000000" + "0000" + "00000000",
		"01a1fd9a95e9" + "0000000000000000" + "0000" + "00000000",
	}
	var all []order.Version
	for _, s := range inOrder {
		v, err := order.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	for i, v := range all {
		for j, w := range all {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if v.Compare(w) != want || v.After(w) != (want > 0) {
				t.Errorf("%s to %s: %d, after %v; want %d", v, w, v.Compare(w), v.After(w), want)
			}
		}
		if got := order.Newest(all[:i+1]...); got != v {
			t.Errorf("the newest up to %s is %s", v, got)
		}
	}
	last := all[len(all)-1]
	slices.Reverse(all)
	if order.Newest(all...) != last || !order.Newest().IsZero() {
		t.Errorf("newest %s, want %s; of none %s", order.Newest(all...), last, order.Newest())
	}
}

func FuzzParse(f *testing.F) {
	f.Add("019667f314d0183943a50912000100017db07dd2")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := order.Parse(s)
		if err == nil && v.String() != strings.ToLower(s) {
			t.Fatalf("%q becomes %q", s, v)
		}
	})
}
