package salesforce_test

import (
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/salesforce"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		updateContact, customerSync, string(accountCreates[0]), ``, `{}`, `[]`, "\xff",
		change(`"changeType":"UPDATE",`+rest+`,"changedFields":["A","B.C","D"]`, `,"A":null,"B":{"C":1.50,"E":[{"a":"\""}]},"D":{"diff":"--- \n+++ "},"F":true`),
		change(`"changeType":"GAP_OVERFLOW","recordIds":["001*"],"commitTimestamp":1`, ``),
		change(`"changeType":"CREATE","recordId":"0015f00002J9YYE","commitTimestamp":1,"commitNumber":{"$numberLong":"9"}`, ``),
		envelope("Note__e", `{"probe":true,"payload":{}}`),
		envelope("Note__e", `{"event":{"EventUuid":"b","replayId":617},"payload":{"CreatedDate":1795256129517,"Text__c":"\\\"\u0041"}}`),
	} {
		f.Add([]byte(s))
	}
}

// FuzzDecode holds what is true of every input: an event or a typed refusal, and
// of an event: ids of 18 characters, an identity, and nothing that depends on
// anything but the bytes.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := salesforce.Decode(raw, salesforce.Options{})
		if err != nil {
			d, ok := errors.AsType[*salesforce.DecodeError](err)
			if !ok || d.Name == "" || d.What == "" || e != nil {
				t.Fatalf("error %#v with event %v", err, e)
			}
			return
		}
		if !jsontext.Value(raw).IsValid() {
			t.Fatal("accepted what the JSON package refuses")
		}
		if len(e.Org) != 18 || (e.Resync == "" && !e.Probe) == (len(e.Changes) == 0) {
			t.Fatalf("org %q, resync %q, %d changes", e.Org, e.Resync, len(e.Changes))
		}
		again, err := salesforce.Decode(raw, salesforce.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range e.Changes {
			c, d := &e.Changes[i], &again.Changes[i]
			if c.Identity() == "" || c.IdentityFrom == "" || c.Identity() != d.Identity() || c.Version != d.Version {
				t.Fatalf("identity %q from %q, version %s; again %q, %s", c.Identity(), c.IdentityFrom, c.Version, d.Identity(), d.Version)
			}
			if c.Kind == salesforce.CDC && len(c.RecordID) != 18 {
				t.Fatalf("record id %q", c.RecordID)
			}
			fields := salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c", Sequence: "Sequence__c"}
			v, err1 := c.EventVersion(fields)
			w, err2 := d.EventVersion(fields)
			if v != w || (err1 == nil) != (err2 == nil) {
				t.Fatalf("version %s (%v), again %s (%v)", v, err1, w, err2)
			}
			names := c.Fields.Names()
			if !slices.IsSortedFunc(names, func(a, b string) int {
				a1, a2, _ := strings.Cut(a, ".")
				b1, b2, _ := strings.Cut(b, ".")
				return slices.Compare([]string{a1, a2}, []string{b1, b2})
			}) {
				t.Fatalf("names are not sorted: %q", names)
			}
			for path, value := range c.Fields.All() {
				if !jsontext.Value(value.Raw()).IsValid() {
					t.Fatalf("value of %s is cut wrongly: %s", path, value.Raw())
				}
				found, ok := c.Fields.Lookup(path)
				if ok == value.Enriched() || found != value {
					t.Fatalf("looking up %s gives %v, %v", path, found, ok)
				}
				_, _ = value.Text()
				_, _ = value.DateTime()
			}
			_ = c.FetchReason(nil)
			_ = c.Touches([]string{"Name"})
		}
	})
}

// FuzzWhitespace: blanks between tokens change nothing that the decoder finds.
func FuzzWhitespace(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		wide := jsontext.Value(slices.Clone(raw))
		if wide.Indent(jsontext.WithIndent("\t"), jsontext.SpaceAfterComma(true), jsontext.PreserveRawStrings(true)) != nil {
			return
		}
		e, err := salesforce.Decode(raw, salesforce.Options{})
		w, errWide := salesforce.Decode(wide, salesforce.Options{})
		if (err == nil) != (errWide == nil) {
			t.Fatalf("error %v, with blanks %v", err, errWide)
		}
		if err != nil {
			return
		}
		for i := range e.Changes {
			c, d := &e.Changes[i], &w.Changes[i]
			if c.Identity() != d.Identity() || c.Version != d.Version || !slices.Equal(c.Fields.Names(), d.Fields.Names()) {
				t.Fatalf("%+v\nwith blanks\n%+v", c, d)
			}
		}
	})
}

func FuzzID18(f *testing.F) {
	for _, s := range []string{"00D5f000005KcCn", "00D5f000005KcCnEAK", "00D5f000005KcCnEAA", "", "00D5f00000é5Kc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		long, err := salesforce.ID18(id)
		if err != nil {
			if _, ok := errors.AsType[*salesforce.DecodeError](err); !ok {
				t.Fatalf("error %#v", err)
			}
			return
		}
		again, err := salesforce.ID18(long)
		if len(long) != 18 || err != nil || again != long || long[:15] != id[:15] {
			t.Fatalf("%q becomes %q, then %q, %v", id, long, again, err)
		}
	})
}

// A hostile event of a megabyte costs memory in proportion to its size.
func TestMemoryIsBounded(t *testing.T) {
	const megabyte = 1 << 20
	repeat := func(part string, n int) string { return strings.TrimSuffix(strings.Repeat(part, n), ",") }
	var fields strings.Builder
	for i := range 9_000 {
		fields.WriteString(`,"F` + strings.Repeat("x", 90) + strconv.Itoa(i) + `":1`)
	}
	for what, raw := range map[string]string{
		"one long text":       envelope("Note__e", `{"payload":{"Text__c":"`+strings.Repeat("x", megabyte)+`"}}`),
		"many fields":         change(`"changeType":"CREATE",`+rest, fields.String()),
		"many components":     change(`"changeType":"CREATE",`+rest, `,"`+strings.Repeat("A", 255)+`":{`+fields.String()[1:]+`}`),
		"many changed fields": change(`"changeType":"UPDATE",`+rest+`,"changedFields":[`+repeat(`"A.B",`, 9_999)+`]`, `,"A":{"B":1}`),
		"a compound field named many times": change(`"changeType":"UPDATE",`+rest+`,"changedFields":[`+repeat(`"A",`, 9_999)+`]`,
			`,"A":{`+fields.String()[1:]+`}`),
		"many records": change(`"changeType":"CREATE",`+strings.Replace(rest, `"0015f00002J9YYEAA3"`, repeat(`"0015f00002J9YYEAA3",`, 9_999), 1), ``),
		"a long list":  envelope("Note__e", `{"payload":{"Text__c":[`+repeat("1,", megabyte/2)+`]}}`),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := salesforce.Decode([]byte(raw), salesforce.Options{})
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > uint64(40*len(raw)) {
			t.Errorf("%s: %d KB taken for an event of %d KB", what, taken>>10, len(raw)>>10)
		}
	}
}
