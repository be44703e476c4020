package salesforce_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
)

// The sample of a platform event: modified at 10:15:29, published 517 ms later.
const customerSync = `{"version":"0","id":"b6b4a3f2-0c1e-7a5d-9a51-4c1f0f7f2b11","detail-type":"Cloud_Customer_Sync__e",
 "source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012","time":"2026-11-21T10:15:30Z","region":"eu-west-2","resources":[],
 "detail":{"schemaId":"UIovjRagY-xEDIJ1Ehzafg","id":"e981b488-81f3-4fcc-bd6f-f7033c9d7ac3","payload":{
  "CreatedDate":"2026-11-21T10:15:29.517Z","CreatedById":"005RM00000231cZYAQ","Record_Id__c":"0015f00002J9YYEAA3","Operation__c":"UPDATE","Record_Modified_At__c":"2026-11-21T10:15:29.000Z"}}}`

func TestEventVersion(t *testing.T) {
	const (
		modified = "01a1fd9a95e8"     // 2026-11-21T10:15:29.000Z
		created  = "000001a1fd9a97ed" // 2026-11-21T10:15:29.517Z in the commit slot
		tie      = "a619c6f3"         // Operation__c "UPDATE", Record_Id__c, Record_Modified_At__c 1795256129e3
	)
	at := salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c"}
	numbered := salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c", Sequence: "Sequence__c"}
	alsoCDC := salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c", AlsoCDC: true}
	with := func(old, new string) string { return strings.Replace(customerSync, old, new, 1) }
	for _, c := range []struct {
		what   string
		raw    string
		fields salesforce.VersionFields
		want   string // but for the tie
	}{
		{"on its own", customerSync, at, modified + created + "0205"},
		{"beside change events", customerSync, alsoCDC, modified + "0000000000000000" + "0205"},
		{"without a record time", customerSync, salesforce.VersionFields{}, modified + created + "0205"},
		{"record time with milliseconds is cut", with(`15:29.000Z`, `15:29.400Z`), at, modified + created + "0205"},
		{"record time in milliseconds", with(`"2026-11-21T10:15:29.000Z"`, `1795256129000`), at, modified + created + "0205"},
		{"record time as in REST", with(`15:29.000Z`, `15:29.000+0000`), at, modified + created + "0205"},
		{"record time null", with(`"2026-11-21T10:15:29.000Z"`, `null`), at, modified + created + "0205"},
		{"published before the record's time", with(`"2026-11-21T10:15:29.517Z"`, `"2026-11-21T10:15:28.000Z"`), at, modified + "000001a1fd9a9200" + "0000"},
		{"published long after", with(`"2026-11-21T10:15:29.517Z"`, `"2026-11-21T10:17:00.000Z"`), at, modified + "000001a1fd9bf960" + "fffe"},
		{"no CreatedDate", with(`"CreatedDate":"2026-11-21T10:15:29.517Z",`, ``), at, modified + "0000000000000000" + "0000"},
		{"own sequence", with(`"Operation__c"`, `"Sequence__c":7,"Operation__c"`), numbered, modified + created + "0007"},
		{"own sequence above the limit", with(`"Operation__c"`, `"Sequence__c":70000,"Operation__c"`), numbered, modified + created + "fffe"},
		{"own sequence missing", customerSync, numbered, modified + created + "0205"},
		{"5 minutes after the event", with(`"2026-11-21T10:15:29.000Z"`, `"2026-11-21T10:20:30.000Z"`), at, "01a1fd9f2db0" + created + "0000"},
	} {
		v, err := decodeOne(t, c.raw).EventVersion(c.fields)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		equal(t, c.what, v.String()[:32], c.want)
	}
	v, _ := decodeOne(t, customerSync).EventVersion(at)
	equal(t, "tie", v.String()[32:], tie)
	equal(t, "version before the consumer's fields are known", decodeOne(t, customerSync).Version, order.Version{})

	for _, c := range []struct {
		what   string
		raw    string
		fields salesforce.VersionFields
		name   string
	}{
		{"no time at all", with(`"CreatedDate":"2026-11-21T10:15:29.517Z",`, ``), salesforce.VersionFields{}, "missing-time"},
		{"no record time beside change events", customerSync, salesforce.VersionFields{AlsoCDC: true}, "missing-time"},
		{"null beside change events", with(`"2026-11-21T10:15:29.000Z"`, `null`), alsoCDC, "missing-time"},
		{"more than 5 minutes after the event", with(`"2026-11-21T10:15:29.000Z"`, `"2026-11-21T10:20:31.000Z"`), at, "version-in-future"},
		{"before 1970", with(`"2026-11-21T10:15:29.000Z"`, `-1`), at, "negative-time"},
		{"no date", with(`"2026-11-21T10:15:29.000Z"`, `"soon"`), at, "invalid-time"},
		{"sequence that is none", with(`"Operation__c"`, `"Sequence__c":"7","Operation__c"`), numbered, "invalid-number"},
		{"negative sequence", with(`"Operation__c"`, `"Sequence__c":-7,"Operation__c"`), numbered, "invalid-number"},
		{"a change event", updateContact, at, "not-a-platform-event"},
	} {
		_, err := decodeOne(t, c.raw).EventVersion(c.fields)
		e, ok := errors.AsType[*salesforce.DecodeError](err)
		if !ok || e.Name != c.name {
			t.Errorf("%s: error %v, want %s", c.what, err, c.name)
		}
	}
}

// A change event of the same second wins, whatever the milliseconds of the event.
func TestChangeEventsWinWithinASecond(t *testing.T) {
	v, err := decodeOne(t, customerSync).EventVersion(salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c", AlsoCDC: true})
	if err != nil {
		t.Fatal(err)
	}
	cdc := decodeOne(t, change(`"changeType":"CREATE","recordIds":["0015f00002J9YYEAA3"],"transactionKey":"k","sequenceNumber":0,"commitTimestamp":1795256129000,"commitNumber":1`, ``))
	if v.Compare(cdc.Version) >= 0 {
		t.Errorf("%s is not older than %s", v, cdc.Version)
	}
}

// tieOf decodes a change of one body and gives its tie.
func tieOf(t *testing.T, kind, changed, body string) string {
	t.Helper()
	header := `"changeType":"` + kind + `",` + rest
	if changed != "" {
		header += `,"changedFields":[` + changed + `]`
	}
	return decodeOne(t, change(header, body)).Version.String()[32:]
}

func TestEqualContentHasEqualTie(t *testing.T) {
	for _, c := range []struct{ what, kind, changed, one, other string }{
		{"order of the fields", "CREATE", ``, `,"Name":"Acme","Phone":"1"`, `,"Phone":"1","Name":"Acme"`},
		{"escapes", "CREATE", ``, `,"Name":"Acme"`, `,"Name":"\u0041cme"`},
		{"date with time in both dialects", "CREATE", ``, `,"X__c":"2025-04-24T13:18:26.000Z"`, `,"X__c":1745500706000`},
		{"date with time with an offset", "CREATE", ``, `,"X__c":"2025-04-24T13:18:26.000Z"`, `,"X__c":"2025-04-24T13:18:26.000+0000"`},
		{"date in both dialects", "CREATE", ``, `,"X__c":"2025-04-24"`, `,"X__c":1745452800000`},
		{"trailing zeros", "CREATE", ``, `,"X__c":1250.50`, `,"X__c":1250.5`},
		{"whole number as decimal", "CREATE", ``, `,"X__c":1000`, `,"X__c":1000.0`},
		{"exponent", "CREATE", ``, `,"X__c":1000`, `,"X__c":1E+3`},
		{"negative exponent", "CREATE", ``, `,"X__c":0.00125`, `,"X__c":1.25e-3`},
		{"zeros", "CREATE", ``, `,"X__c":0`, `,"X__c":-0.000e7`},
		{"more digits than floating point has", "CREATE", ``, `,"X__c":12345678901234567890.10`, `,"X__c":12345678901234567890.1`},
		{"null in a create", "CREATE", ``, `,"Name":"Acme"`, `,"Name":"Acme","Phone":null`},
		{"null in an undelete", "UNDELETE", ``, `,"Name":"Acme"`, `,"Name":"Acme","BillingAddress":{"City":null}`},
		{"time of publishing", "CREATE", ``, `,"Name":"Acme","CreatedDate":"2025-04-24T13:18:26.000Z"`, `,"Name":"Acme"`},
		{"enriched value", "UPDATE", `"Name"`, `,"Name":"Acme","Phone":"1"`, `,"Name":"Acme","Phone":"2"`},
		{"both forms of a diff", "UPDATE", `"X__c"`, `,"X__c":"--- \n+++ 0f"`, `,"X__c":{"diff":"--- \n+++ 0f"}`},
		{"numbers within a list", "CREATE", ``, `,"X__c":[1.0,{"a":1,"b":"2025-04-24T13:18:26Z"}]`, `,"X__c":[1,{"b":"2025-04-24T13:18:26.000Z","a":1e0}]`},
		{"what a delete carries", "DELETE", ``, `,"External_Id__c":"1"`, ``},
	} {
		equal(t, c.what, tieOf(t, c.kind, c.changed, c.one), tieOf(t, c.kind, c.changed, c.other))
	}
}

func TestOtherContentHasAnotherTie(t *testing.T) {
	for _, c := range []struct{ what, kind, changed, one, other string }{
		{"values", "CREATE", ``, `,"Name":"Acme"`, `,"Name":"Acne"`},
		{"null in an update", "UPDATE", `"Name","Phone"`, `,"Name":"Acme","Phone":null`, `,"Name":"Acme"`},
		{"number and text", "CREATE", ``, `,"X__c":1`, `,"X__c":"1"`},
		{"signs", "CREATE", ``, `,"X__c":1`, `,"X__c":-1`},
		{"magnitudes", "CREATE", ``, `,"X__c":1`, `,"X__c":10`},
		{"digits and exponents", "CREATE", ``, `,"X__c":1e2`, `,"X__c":12`},
		{"the 20th digit", "CREATE", ``, `,"X__c":12345678901234567890`, `,"X__c":12345678901234567891`},
		{"booleans", "CREATE", ``, `,"X__c":true`, `,"X__c":false`},
		{"boolean and text", "CREATE", ``, `,"X__c":true`, `,"X__c":"true"`},
		{"where a text ends", "CREATE", ``, `,"A":"b","C":"d"`, `,"A":"bC","d":""`},
		{"component and field", "CREATE", ``, `,"A":{"B":"c"}`, `,"AB":"c"`},
		{"order of a list", "CREATE", ``, `,"X__c":["a","b"]`, `,"X__c":["b","a"]`},
		{"nesting", "CREATE", ``, `,"X__c":[["a"],"b"]`, `,"X__c":[["a","b"]]`},
		{"numbers beyond all exponents", "CREATE", ``, `,"X__c":1e99999999999`, `,"X__c":2e99999999999`},
	} {
		if tie := tieOf(t, c.kind, c.changed, c.one); tie == tieOf(t, c.kind, c.changed, c.other) {
			t.Errorf("%s: both have the tie %s", c.what, tie)
		}
	}
}

// The tie of a platform event: what differs between two publications of one
// content does not count, a null does.
func TestTieOfPlatformEvents(t *testing.T) {
	tie := func(payload string) string {
		t.Helper()
		c := decodeOne(t, envelope("Note__e", `{"payload":{`+payload+`}}`))
		v, err := c.EventVersion(salesforce.VersionFields{})
		if err != nil {
			t.Fatal(err)
		}
		return v.String()[32:]
	}
	base := tie(`"CreatedDate":"2026-11-21T10:15:29.517Z","Text__c":"x"`)
	equal(t, "published again", tie(`"CreatedDate":"2026-11-21T10:15:30.000Z","CreatedById":"005RM00000231cZYAQ","EventUuid":"a","ReplayId":"1","Event_Id__c":"b","Text__c":"x"`), base)
	if tie(`"CreatedDate":"2026-11-21T10:15:29.517Z","Text__c":"x","More__c":null`) == base {
		t.Error("a field that is cleared does not count")
	}
}

// The tie of a gap comes from its header, where the ids of the deliveries and of
// the other records of a merged event do not stand.
func TestTieOfGaps(t *testing.T) {
	gap := func(header string) string {
		t.Helper()
		return decode(t, change(`"changeType":"GAP_UPDATE",`+header, ``)).Changes[0].Version.String()[32:]
	}
	base := gap(rest)
	equal(t, "merged", gap(strings.Replace(rest, `"0015f00002J9YYEAA3"`, `"0015f00002J9YYE","0015f00002J9YYFAA3"`, 1)), base)
	equal(t, "order of the header", gap(`"commitUser":"",`+rest), base)
	if gap(strings.Replace(rest, "b774", "b775", 1)) == base {
		t.Error("another transaction has the same tie")
	}
}

// Fields sort by path whatever their number and names.
func TestFieldsAreSorted(t *testing.T) {
	for _, n := range []int{0, 1, 2, 12, 13, 63, 64, 65, 1000, 10000} {
		var body strings.Builder
		want := make([]string, 0, n)
		for i := range n {
			// Scrambled: 48271 has no factor in common with any power of two.
			k := i * 48271 % 65536
			name := fmt.Sprintf("%sF%d", []string{"", "Custom_", "Cust"}[k%3], k)
			fmt.Fprintf(&body, `,"%s":%d`, name, k)
			want = append(want, name)
		}
		slices.Sort(want)
		c := decodeOne(t, change(`"changeType":"CREATE",`+rest, body.String()))
		if got := c.Fields.Names(); !slices.Equal(got, want) {
			t.Fatalf("%d fields are not sorted", n)
		}
		for _, name := range want {
			v, ok := c.Fields.Lookup(name)
			if _, number, _ := strings.Cut(name, "F"); !ok || v.Raw() != number {
				t.Fatalf("%s is %s, %v", name, v.Raw(), ok)
			}
		}
	}
}

// A time is held against the event's own and against our clock, whichever is earlier:
// either may be wrong, and a version of the future would win for ever.
func TestTheFutureIsHeldAgainstOurClock(t *testing.T) {
	taken := time.Date(2026, 11, 21, 10, 15, 30, 0, time.UTC) // by the sample's envelope
	event := func(commit time.Time, envelopeTime string) string {
		raw := change(`"changeType":"UPDATE","changedFields":["Phone"],`+strings.Replace(rest, "1712693965000", strconv.FormatInt(commit.UnixMilli(), 10), 1), `,"Phone":"1"`)
		return strings.Replace(raw, `"time":"2026-11-21T10:15:30Z",`, envelopeTime, 1)
	}
	const own, none, year2199 = `"time":"2026-11-21T10:15:30Z",`, ``, `"time":"2199-01-01T00:00:00Z",`
	y2199 := time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what, raw string
		now       time.Time
		where     string // empty: taken
	}{
		{"now", event(taken, own), taken, ""},
		{"five minutes after both", event(taken.Add(5*time.Minute), own), taken, ""},
		{"a millisecond more", event(taken.Add(5*time.Minute+time.Millisecond), own), taken, "/detail/payload/ChangeEventHeader/commitTimestamp"},
		{"ten minutes after the event, which is ten minutes old", event(taken.Add(10*time.Minute), own), taken.Add(10 * time.Minute), "/detail/payload/ChangeEventHeader/commitTimestamp"},
		{"ten minutes after the event, and no clock", event(taken.Add(10*time.Minute), own), time.Time{}, "/detail/payload/ChangeEventHeader/commitTimestamp"},
		{"our clock is four minutes slow", event(taken, own), taken.Add(-4 * time.Minute), ""},
		{"taken four minutes after now, committed eight", event(taken.Add(4*time.Minute), own), taken.Add(-4 * time.Minute), "/detail/payload/ChangeEventHeader/commitTimestamp"},
		{"taken six minutes after now", event(taken, own), taken.Add(-6 * time.Minute), "/time"},
		{"committed six minutes after now, and no time", event(taken, none), taken.Add(-6 * time.Minute), "/detail/payload/ChangeEventHeader/commitTimestamp"},
		{"of 2199, taken in 2199", event(y2199, year2199), taken, "/time"},
		{"of 2199, taken in 2199, and no clock", event(y2199, year2199), time.Time{}, ""},
		{"of 2199, and no time", event(y2199, none), taken, "/detail/payload/ChangeEventHeader/commitTimestamp"},
	} {
		_, err := salesforce.Decode([]byte(c.raw), salesforce.Options{Now: c.now})
		d, _ := errors.AsType[*salesforce.DecodeError](err)
		if c.where == "" && err != nil || c.where != "" && (d == nil || d.Name != "version-in-future" || d.Where != c.where) {
			t.Errorf("%s: %v, want a refusal at %q", c.what, err, c.where)
		}
	}
}
