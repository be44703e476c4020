package sink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

type customer struct {
	Name  sink.Field[string] `json:"name,omitzero"`
	Phone sink.Field[string] `json:"phone,omitzero"`
	Terms sink.Field[int]    `json:"terms,omitzero"`
}

// A struct of fields is a JSON merge patch (RFC 7396): what is left alone is left
// out, what is cleared is null.
func ExampleField() {
	patch, _ := json.Marshal(customer{Name: sink.Set("Example Ltd"), Phone: sink.Clear[string]()})
	fmt.Println(string(patch))
	// Output: {"name":"Example Ltd","phone":null}
}

func TestFieldAsMergePatch(t *testing.T) {
	for text, want := range map[string]customer{
		`{}`:                         {},
		`{"name":""}`:                {Name: sink.Set("")}, // empty is a value
		`{"name":null,"terms":0}`:    {Name: sink.Clear[string](), Terms: sink.Set(0)},
		`{"phone":"1","terms":null}`: {Phone: sink.Set("1"), Terms: sink.Clear[int]()},
	} {
		b, err := json.Marshal(want)
		if err != nil || string(b) != text {
			t.Errorf("written %s, %v, want %s", b, err, text)
		}
		var got customer
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s read as %+v, %v", text, got, err)
		}
	}
	// A field that was set before is wholly overwritten.
	got := customer{Name: sink.Set("old"), Terms: sink.Clear[int]()}
	if err := json.Unmarshal([]byte(`{"name":null,"terms":30}`), &got); err != nil || got != (customer{Name: sink.Clear[string](), Terms: sink.Set(30)}) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"terms":"30"}`), &got); err == nil {
		t.Error("a text was taken for a number")
	}
	if b, err := json.Marshal(sink.Field[string]{}); err != nil || string(b) != "null" {
		t.Errorf("alone: %s, %v", b, err)
	}
}

var ref = sink.Ref{Consumer: "customer-erp", Org: "00D5f000005KcCnEAK", Subject: "Account/0015f00002J9YYEAA3",
	Version: "01a2031fbb88183943a50911bc8100012f878633", Epoch: 7}

// Every part of an effect's name makes another key; what may differ between two
// attempts at the same effect does not.
func TestKeys(t *testing.T) {
	change := func(f func(*sink.Ref)) sink.Ref { r := ref; f(&r); return r }
	retry := change(func(r *sink.Ref) {
		r.Epoch, r.Link, r.InDoubt, r.DoubtSince = 8, "remote-1", true, time.Unix(1, 0)
	})
	if ref.StateKey("PUT", []byte("{}")) != retry.StateKey("PUT", []byte("{}")) || ref.ActionKey("draft", 0) != retry.ActionKey("draft", 0) {
		t.Error("a second attempt has another key")
	}
	later := change(func(r *sink.Ref) { r.Version = "01a2031fbb88183943a50911bc8100022f878633" })
	if ref.ActionKey("draft", 0) != later.ActionKey("draft", 0) {
		t.Error("an action's key depends on the version")
	}
	refs := map[string]sink.Ref{
		"as it is":         ref,
		"another consumer": change(func(r *sink.Ref) { r.Consumer = "customer-billing" }),
		"another org":      change(func(r *sink.Ref) { r.Org = "00D000000000001EAA" }),
		"another subject":  change(func(r *sink.Ref) { r.Subject = "Account/0015f00002J9YYFAA3" }),
		"cut elsewhere":    change(func(r *sink.Ref) { r.Consumer, r.Org = "customer-erp0", "0D5f000005KcCnEAK" }),
	}
	seen := map[string]string{}
	add := func(key, what string) {
		t.Helper()
		if len(key) != 64 || seen[key] != "" {
			t.Errorf("the key of %s is %q, that of %s", what, key, seen[key])
		}
		seen[key] = what
	}
	for what, r := range refs {
		for _, step := range []string{"draft", "finalize"} {
			for generation := range 3 {
				add(r.ActionKey(step, generation), fmt.Sprint(what, " ", step, generation))
			}
		}
		for _, method := range []string{"PUT", "PATCH"} {
			for _, body := range []string{"", "{}", `{"name":null}`} {
				add(r.StateKey(method, []byte(body)), what+" "+method+" "+body)
			}
		}
	}
	add(later.StateKey("PUT", []byte("{}")), "another version")
}

func TestErrors(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("a step: %w", &sink.Error{Class: verdict.Throttled, Applied: sink.No, Reason: "PUT customer: the ERP answered 429", Err: cause})
	if got := err.Error(); got != "a step: throttled: PUT customer: the ERP answered 429: connection refused" {
		t.Error(got)
	}
	if sink.ClassOf(err) != verdict.Throttled || !errors.Is(err, cause) {
		t.Errorf("class %s", sink.ClassOf(err))
	}
	// What nobody has classified may have been applied: the careful values are the zero ones.
	if sink.ClassOf(cause) != verdict.Unknown || (&sink.Error{}).Applied != sink.Maybe {
		t.Error("an error without a class is not in doubt")
	}
	for applied, want := range map[sink.Applied]string{sink.Maybe: "maybe", sink.No: "no", sink.Yes: "yes"} {
		if applied.String() != want {
			t.Errorf("%d is %s", applied, applied)
		}
	}
}

// One promise is enough to know what an attempt in doubt may do.
func TestWhatSettlesADoubt(t *testing.T) {
	for c, want := range map[sink.Contract]bool{
		{}: false, {Effect: time.Second, Settle: time.Second}: false,
		{UniqueKey: true}: true, {Fenced: true}: true, {Versioned: true}: true, {KeyWindow: time.Hour}: true, {Lookup: true}: true,
	} {
		if c.Settles() != want {
			t.Errorf("%+v settles: %v", c, !want)
		}
	}
}

func TestValidLink(t *testing.T) {
	for id, want := range map[string]bool{
		"": true, "cus_example": true, "C 1/ü@日本": true, strings.Repeat("x", 255): true,
		strings.Repeat("x", 256): false, strings.Repeat("ü", 128): false, "a\nb": false, "a\x00": false, "\x1b[2J": false, "a\u202eb": false, "a\u0085": false, "a\u2028b": false, "a\xff": false,
	} {
		if got := sink.ValidLink(id); got != want {
			t.Errorf("ValidLink(%q) = %t", id, got)
		}
	}
}
