package salesforce_test

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
)

// The envelope of the samples, with a payload that the test chooses.
func envelope(detailType, detail string) string {
	return `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":"` + detailType + `",` +
		`"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012",` +
		`"time":"2026-11-21T10:15:30Z","region":"eu-west-2","resources":[],"detail":` + detail + `}`
}

// change is a change event of Account: what follows entityName in the header, and
// what follows the header in the payload.
func change(header, body string) string {
	return envelope("AccountChangeEvent", `{"payload":{"ChangeEventHeader":{"entityName":"Account",`+header+`}`+body+`}}`)
}

// The header of an ordinary change, without type and changed fields.
const rest = `"recordIds":["0015f00002J9YYEAA3"],"transactionKey":"0001ade9-3f74-0b99-dbc4-42e73424b774","sequenceNumber":1,"commitTimestamp":1712693965000,"commitNumber":1712693965683617281`

func decode(t *testing.T, raw string) *salesforce.Event {
	t.Helper()
	e, err := salesforce.Decode([]byte(raw), salesforce.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func decodeOne(t *testing.T, raw string) *salesforce.Change {
	t.Helper()
	e := decode(t, raw)
	if len(e.Changes) != 1 {
		t.Fatalf("%d changes, want 1", len(e.Changes))
	}
	return &e.Changes[0]
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// Contact, captured from a relay.
const updateContact = `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":"ContactChangeEvent",
 "source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","time":"2025-04-24T13:18:27Z","detail":{"payload":
{"LastModifiedDate":"2025-04-24T13:18:26.000Z",
 "Name":{"LastName":"Youngest"},
 "ChangeEventHeader":{"commitNumber":1745500706683617281,"commitUser":"005ak00000EpjsfAAB","sequenceNumber":1,
  "entityName":"Contact","changeType":"UPDATE","changedFields":["LastModifiedDate","Name.LastName"],
  "changeOrigin":"com/salesforce/api/soap/63.0;client=SfdcInternalAPI/",
  "transactionKey":"0000be70-a756-e601-9202-32967602a6be","commitTimestamp":1745500706000,
  "recordIds":["003ak00000IiFInAAN"]}}}}`

func TestUpdate(t *testing.T) {
	e := decode(t, updateContact)
	equal(t, "org", e.Org, "00D5f000005KcCnEAK")
	equal(t, "channel", e.Channel, "0YL5f000000CabWGAS")
	equal(t, "detail type", e.DetailType, "ContactChangeEvent")
	equal(t, "kind", e.Kind, salesforce.CDC)
	equal(t, "id", e.ID, "5c42b99e-c214-4a9c-8fbd-1a41e5faa44a")
	equal(t, "time", e.Time, time.Date(2025, 4, 24, 13, 18, 27, 0, time.UTC))
	c := e.Changes[0]
	equal(t, "entity", c.Entity, "Contact")
	equal(t, "record", c.RecordID, "003ak00000IiFInAAN")
	equal(t, "type", c.Type, salesforce.Update)
	equal(t, "changed", c.Changed, []string{"LastModifiedDate", "Name.LastName"})
	equal(t, "origin", c.Origin, "com/salesforce/api/soap/63.0;client=SfdcInternalAPI/")
	equal(t, "fetch", c.NeedsFetch, "")
	equal(t, "missing", c.Missing, []string(nil))
	equal(t, "identity", c.Identity(), "00D5f000005KcCnEAK:0000be70-a756-e601-9202-32967602a6be:1:Contact:UPDATE:003ak00000IiFInAAN")
	equal(t, "identity from", c.IdentityFrom, "cdc")
	// 1745500706000 ms · 1745500706683617281 · 1 · the start of SHA-256 over
	// length and text of: LastModifiedDate, "", number 1745500706e3; Name, LastName,
	// string Youngest.
	equal(t, "version", c.Version.String(), "019667f314d0"+"183943a509120001"+"0001"+"7db07dd2")
	equal(t, "parts", c.Version.Parts(), order.Parts{TimeMS: 1745500706000, CommitNumber: 1745500706683617281, Sequence: 1})
	equal(t, "names", c.Fields.Names(), []string{"LastModifiedDate", "Name.LastName"})
	v, ok := c.Fields.Lookup("Name.LastName")
	text, err := v.Text()
	if !ok || err != nil || text != "Youngest" {
		t.Errorf("Name.LastName is %q, %v, %v", text, ok, err)
	}
}

func TestCompoundFieldWithoutAllItNames(t *testing.T) {
	c := decodeOne(t, change(`"changeType":"UPDATE",`+rest+`,"changedFields":["LastModifiedDate","MailingAddress.Street","MailingAddress.City","OtherAddress.PostalCode"]`,
		`,"LastModifiedDate":"2024-04-09T20:19:25.000Z","MailingAddress":{"Street":"1235 wildwood St"}`))
	equal(t, "missing", c.Missing, []string{"MailingAddress.City", "OtherAddress.PostalCode"})
	equal(t, "reason for all", c.FetchReason(nil), "named-field-absent")
	equal(t, "reason for a reader of the street", c.FetchReason([]string{"MailingAddress.Street"}), "")
	equal(t, "reason for a reader of the address", c.FetchReason([]string{"MailingAddress"}), "named-field-absent")
	equal(t, "reason for a reader of one absent", c.FetchReason([]string{"OtherAddress.PostalCode"}), "named-field-absent")
	equal(t, "reason that holds for every consumer", c.NeedsFetch, "")
}

// Two records in one event, of an org that sends no commit number.
func TestMergedRecords(t *testing.T) {
	e := decode(t, change(`"recordIds":["0015f00002J9YYEAA3","0015f00002J9YYF","0015f00002J9YYEAA3"],"changeType":"CREATE","changeOrigin":"",`+
		`"transactionKey":"0001ade9-3f74-0b99-dbc4-42e73424b774","sequenceNumber":1,"commitTimestamp":1712693965000,"commitUser":"0055f000005mc66AAA"`,
		`,"Name":"Acme","OwnerId":"0055f000005mc66AAA"`))
	if len(e.Changes) != 2 {
		t.Fatalf("%d changes, want one for each of two records", len(e.Changes))
	}
	equal(t, "first record", e.Changes[0].RecordID, "0015f00002J9YYEAA3")
	equal(t, "second record, with its suffix", e.Changes[1].RecordID, "0015f00002J9YYFAA3")
	equal(t, "first identity", e.Changes[0].Identity(), "00D5f000005KcCnEAK:0001ade9-3f74-0b99-dbc4-42e73424b774:1:Account:CREATE:0015f00002J9YYEAA3")
	equal(t, "second identity", e.Changes[1].Identity(), "00D5f000005KcCnEAK:0001ade9-3f74-0b99-dbc4-42e73424b774:1:Account:CREATE:0015f00002J9YYFAA3")
	for _, c := range e.Changes {
		equal(t, "fetch", c.NeedsFetch, "no-commit-number")
		equal(t, "version but for its tie", c.Version.String()[:32], "018ec483f0c8"+"ffffffffffffffff"+"ffff")
		equal(t, "changed", c.Changed, []string(nil))
	}
}

func TestGap(t *testing.T) {
	const header = `"recordIds":["001ZM000001n4n5YAA"],"changeType":"GAP_CREATE","changeOrigin":"","transactionKey":"0Mcxx000000000B","sequenceNumber":19,"commitTimestamp":1714417112000,"commitNumber":72784468115,"commitUser":"005ZM000000Q6ipYAC"`
	c := decodeOne(t, change(header, ``))
	equal(t, "fetch", c.NeedsFetch, "gap")
	equal(t, "type", c.Type, salesforce.GapCreate)
	equal(t, "identity", c.Identity(), "00D5f000005KcCnEAK:0Mcxx000000000B:19:Account:GAP_CREATE:001ZM000001n4n5YAA")
	equal(t, "version but for its tie", c.Version.String()[:32], "018f2b3913c0"+"00000010f24ad893"+"0013")
	if enriched := decodeOne(t, change(header, `,"Name":"Acme"`)); enriched.Version != c.Version {
		t.Error("an enriched value of a gap event changes its version")
	}
	without := decodeOne(t, change(strings.Replace(header, `"commitNumber":72784468115,`, ``, 1), ``))
	equal(t, "fetch without commit number", without.NeedsFetch, "gap")
	equal(t, "version without commit number", without.Version.String()[:32], "018f2b3913c0"+"ffffffffffffffff"+"ffff")
}

func TestResync(t *testing.T) {
	for name, want := range map[string]struct{ ids, kind, reason string }{
		"overflow":           {`"000000000000000AAA"`, "GAP_OVERFLOW", "overflow"},
		"wildcard":           {`"001*"`, "UPDATE", "wildcard"},
		"wildcard and a gap": {`"0015f00002J9YYEAA3","001*"`, "GAP_UPDATE", "wildcard"},
	} {
		e := decode(t, change(`"recordIds":[`+want.ids+`],"changeType":"`+want.kind+`","transactionKey":"k","sequenceNumber":6,"commitTimestamp":1712693965000`, ``))
		if e.Resync != want.reason || len(e.Changes) != 0 {
			t.Errorf("%s: resync %q with %d changes, want %q with none", name, e.Resync, len(e.Changes), want.reason)
		}
		equal(t, name+": identity", e.Cause.Identity(), "00D5f000005KcCnEAK:k:6:Account:"+want.kind+":")
		equal(t, name+": fetch", e.Cause.NeedsFetch, want.reason)
		equal(t, name+": version", e.Cause.Version.String()[:32], "018ec483f0c8"+"ffffffffffffffff"+"ffff")
	}
}

func TestChangeTypes(t *testing.T) {
	for kind, want := range map[string]struct {
		fetch string
		names []string
	}{
		"CREATE":       {"", []string{"Name"}},
		"UNDELETE":     {"", []string{"Name"}},
		"DELETE":       {"", nil}, // what a delete carries was added at delivery
		"GAP_UPDATE":   {"gap", nil},
		"GAP_DELETE":   {"gap", nil},
		"GAP_UNDELETE": {"gap", nil},
		"SNAPSHOT":     {"unknown-change-type", nil},
		"UPDATE":       {"no-changed-fields", nil},
	} {
		c := decodeOne(t, change(`"changeType":"`+kind+`",`+rest, `,"Name":"Acme"`))
		equal(t, kind+": fetch", c.NeedsFetch, want.fetch)
		equal(t, kind+": own fields", c.Fields.Names(), want.names)
		equal(t, kind+": changed", c.Changed, []string(nil))
	}
	c := decodeOne(t, change(`"changeType":"CREATE",`+rest+`,"changedFields":[]`, `,"Name":"Acme"`))
	equal(t, "create with an empty changedFields", c.Fields.Names(), []string{"Name"})
	c = decodeOne(t, change(`"changeType":"UPDATE",`+rest+`,"changedFields":[]`, `,"Name":"Acme"`))
	equal(t, "update with an empty changedFields", c.NeedsFetch, "no-changed-fields")
}

func TestEnrichedValuesAreNoPartOfTheChange(t *testing.T) {
	const header = `"changeType":"UPDATE",` + rest + `,"changedFields":["Phone","BillingAddress.City"]`
	c := decodeOne(t, change(header, `,"Phone":null,"External_Id__c":"x-1","BillingAddress":{"City":"Leeds","Country":"GB"}`))
	equal(t, "own fields", c.Fields.Names(), []string{"BillingAddress.City", "Phone"})
	v, ok := c.Fields.Lookup("External_Id__c")
	if ok || !v.Enriched() || v.Raw() != `"x-1"` {
		t.Errorf("enriched value: %s, %v, enriched %v", v.Raw(), ok, v.Enriched())
	}
	if v, ok = c.Fields.Lookup("Phone"); !ok || !v.Null() {
		t.Errorf("cleared field: %s, %v", v.Raw(), ok)
	}
	if v, ok = c.Fields.Lookup("Website"); ok || v.Enriched() {
		t.Errorf("absent field: %s, %v, enriched %v", v.Raw(), ok, v.Enriched())
	}
	newer := decodeOne(t, change(header, `,"Phone":null,"External_Id__c":"x-2","BillingAddress":{"City":"Leeds","Country":"FR"}`))
	if newer.Version != c.Version || newer.Identity() != c.Identity() {
		t.Error("a copy with newer enriched values is another change")
	}
}

func TestCompoundFieldAsAWhole(t *testing.T) {
	c := decodeOne(t, change(`"changeType":"UPDATE",`+rest+`,"changedFields":["BillingAddress","BillingAddress","ShippingAddress.City","Phone"]`,
		`,"Phone":"1","BillingAddress":{"City":"Leeds","Street":null},"ShippingAddress":null,"Name":"Acme"`))
	equal(t, "own fields", c.Fields.Names(), []string{"BillingAddress.City", "BillingAddress.Street", "Phone", "ShippingAddress"})
	equal(t, "missing", c.Missing, []string(nil))
	if v, ok := c.Fields.Lookup("Phone.Extension"); ok || !v.Null() {
		t.Errorf("component of a text: %s, %v", v.Raw(), ok)
	}
	if v, ok := c.Fields.Lookup("ShippingAddress.City"); !ok || !v.Null() {
		t.Errorf("component of a null: %s, %v", v.Raw(), ok)
	}
	if _, ok := c.Fields.Lookup("Name"); ok {
		t.Error("Name counts as changed")
	}
}

func TestDiffs(t *testing.T) {
	c := decodeOne(t, change(`"changeType":"UPDATE",`+rest+`,"changedFields":["Description","Notes__c","Name"]`,
		`,"Description":"--- \n+++ 0f343b0931126a20f133d67c2b018a3b\n@@ -1 +1 @@\n-a\n+b\n","Notes__c":{"diff":"--- \n+++ 0f34\n@@"},"Name":"Acme","Terms__c":{"diff":"--- \n+++ 0f34\n@@"}`))
	equal(t, "diffs", c.Diffs, []string{"Description", "Notes__c"})
	equal(t, "reason for a reader of the description", c.FetchReason([]string{"Description"}), "text-diff")
	equal(t, "reason for a reader of the name", c.FetchReason([]string{"Name"}), "")
	v, _ := c.Fields.Lookup("Notes__c")
	if _, err := v.Text(); !v.Diff() || err == nil {
		t.Error("a diff passes for a text")
	}
	// A compound field is no diff, whatever its components are called.
	compound := decodeOne(t, change(`"changeType":"CREATE",`+rest, `,"X__c":{"diff":"a","other":1}`))
	equal(t, "components", compound.Fields.Names(), []string{"X__c.diff", "X__c.other"})
	equal(t, "its diffs", compound.Diffs, []string(nil))
	// A platform event may hold any text.
	p := decodeOne(t, envelope("Note__e", `{"payload":{"Text__c":"--- \n+++ "}}`))
	equal(t, "reason for a platform event", p.FetchReason(nil), "")
}

func TestNumbersOfTheHeader(t *testing.T) {
	for spelling, want := range map[string]string{ // the commit slot
		`1745500706683617281`:                   "183943a509120001",
		`"1745500706683617281"`:                 "183943a509120001",
		`{"$numberLong":"1773696751765225473"}`: "189d6fcc5c3b0001",
		`18446744073709551614`:                  "fffffffffffffffe",
		`0`:                                     "ffffffffffffffff",
		`null`:                                  "ffffffffffffffff",
	} {
		c := decodeOne(t, change(`"changeType":"DELETE","recordId":"0015f00002J9YYE","transactionKey":"k","sequenceNumber":1,"commitTimestamp":1712693965000,"commitNumber":`+spelling, ``))
		equal(t, spelling, c.Version.String()[12:28], want)
		equal(t, "the record of recordId", c.RecordID, "0015f00002J9YYEAA3")
	}
	c := decodeOne(t, change(`"changeType":"CREATE","recordIds":["0015f00002J9YYE"],"transactionKey":"k","sequenceNumber":70000,"commitTimestamp":1712693965000,"commitNumber":7`, ``))
	equal(t, "sequence above 65,535", c.NeedsFetch, "sequence-saturated")
	equal(t, "its place", c.Version.String()[28:32], "ffff")
	equal(t, "as sent", c.Sequence, int64(70000))
	c = decodeOne(t, change(`"changeType":"CREATE","recordIds":["0015f00002J9YYE"],"transactionKey":"k","sequenceNumber":65535,"commitTimestamp":1712693965000,"commitNumber":7`, ``))
	equal(t, "sequence 65,535", c.NeedsFetch, "")
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct{ detail, identity, from string }{
		{`{"id":"a","event":{"EventUuid":"b","replayId":617},"EventUuid":"c","payload":{"EventUuid":"d","Event_Id__c":"e"}}`, "a", "detail.id"},
		{`{"event":{"EventUuid":"b","replayId":617},"EventUuid":"c","payload":{"EventUuid":"d","Event_Id__c":"e"}}`, "b", "detail.event.EventUuid"},
		{`{"id":"","event":{"replayId":617},"EventUuid":"c","payload":{"EventUuid":"d","Event_Id__c":"e"}}`, "c", "detail.EventUuid"},
		{`{"id":null,"event":null,"EventUuid":null,"payload":{"EventUuid":"d","Event_Id__c":"e"}}`, "d", "detail.payload.EventUuid"},
		{`{"payload":{"EventUuid":null,"Event_Id__c":"e"}}`, "e", "detail.payload.Event_Id__c"},
		{`{"payload":{"Event_Id__c":null}}`, "5c42b99e-c214-4a9c-8fbd-1a41e5faa44a", "envelope.id"},
	} {
		got := decodeOne(t, envelope("Note__e", c.detail))
		equal(t, "identity", got.Identity(), c.identity)
		equal(t, "identity from", got.IdentityFrom, c.from)
	}
	e, err := salesforce.Decode([]byte(envelope("Note__e", `{"payload":{"Correlation_Id__c":"f","Event_Id__c":"e"}}`)), salesforce.Options{EventIDField: "Correlation_Id__c"})
	if err != nil || e.Changes[0].Identity() != "f" || e.Changes[0].IdentityFrom != "detail.payload.Correlation_Id__c" {
		t.Errorf("configured field: %v, %+v", err, e)
	}
	// A change event without a transaction key has only the ids of its deliveries.
	c := decodeOne(t, change(`"changeType":"DELETE","recordIds":["0015f00002J9YYE"],"commitTimestamp":1712693965000`, ``))
	equal(t, "identity", c.Identity(), "5c42b99e-c214-4a9c-8fbd-1a41e5faa44a:0015f00002J9YYEAA3")
	equal(t, "identity from", c.IdentityFrom, "envelope.id")
}

func TestReplayAndBadEnvelopeTime(t *testing.T) {
	raw := envelope("Note__e", `{"payload":{}}`)
	e := decode(t, strings.Replace(raw, `"region"`, `"replay-name":"again","region"`, 1))
	equal(t, "replay", e.ReplayName, "again")
	for _, bad := range []string{`"yesterday"`, `1795256130`, `null`, `{"x":1}`, `""`} {
		e := decode(t, strings.Replace(raw, `"2026-11-21T10:15:30Z"`, bad, 1))
		equal(t, "time of "+bad, e.Time, time.Time{})
	}
	// Nor does a numeric account harm.
	decode(t, strings.Replace(raw, `"123456789012"`, `123456789012`, 1))
}

func TestOrgs(t *testing.T) {
	raw := []byte(envelope("Note__e", `{"payload":{}}`))
	list, err := salesforce.ParseOrgList(" 00D5f000005KcCn, 00DRM000000Fxts2AC,")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "list", list, salesforce.OrgList{"00D5f000005KcCnEAK", "00DRM000000Fxts2AC"})
	if _, err := salesforce.Decode(raw, salesforce.Options{Orgs: list}); err != nil {
		t.Error(err)
	}
	refused(t, raw, salesforce.Options{Orgs: list[1:]}, "foreign-org", "/source")
	refused(t, raw, salesforce.Options{Orgs: salesforce.OrgList{}}, "foreign-org", "/source")
	for _, bad := range []string{"", " , ", "00D5f000005KcCnEAA", "0015f00002J9YYEAA3", "x"} {
		if _, err := salesforce.ParseOrgList(bad); err == nil {
			t.Errorf("%q passes for a list of orgs", bad)
		}
	}
	// The 15-character form in source is the same org.
	e := decode(t, strings.Replace(string(raw), "00D5f000005KcCnEAK", "00D5f000005KcCn", 1))
	equal(t, "org", e.Org, "00D5f000005KcCnEAK")
}

func refused(t *testing.T, raw []byte, opts salesforce.Options, name, where string) {
	t.Helper()
	_, err := salesforce.Decode(raw, opts)
	e, ok := errors.AsType[*salesforce.DecodeError](err)
	if !ok {
		t.Errorf("%.80q: error %v, want a refusal", raw, err)
		return
	}
	if e.Name != name || e.Where != where {
		t.Errorf("%.80q: refused as %q at %q (%s), want %q at %q", raw, e.Name, e.Where, e.What, name, where)
	}
	if e.What == "" {
		t.Errorf("%.80q: refused without a reason", raw)
	}
}

func TestRefusals(t *testing.T) {
	const header = "/detail/payload/ChangeEventHeader"
	plain := envelope("Note__e", `{"payload":{"Text__c":"x"}}`)
	create := change(`"changeType":"CREATE",`+rest, ``)
	with := func(raw, old, new string) string {
		if !strings.Contains(raw, old) {
			t.Fatalf("%q is not in the event", old)
		}
		return strings.Replace(raw, old, new, 1)
	}
	for _, c := range []struct{ what, raw, name, where string }{
		{"nothing", ``, "invalid-json", ""},
		{"blanks", `  `, "invalid-json", ""},
		{"cut off", plain[:len(plain)-9], "invalid-json", "/detail/payload"},
		{"cut off after a value", plain[:len(plain)-1], "invalid-json", ""},
		{"two events", plain + plain, "invalid-json", ""},
		{"JavaScript", with(plain, `"x"`, `undefined`), "invalid-json", "/detail/payload/Text__c"},
		{"number with a leading zero", with(plain, `"x"`, `01`), "invalid-json", "/detail/payload"},
		{"not a number", with(plain, `"x"`, `NaN`), "invalid-json", "/detail/payload/Text__c"},
		{"byte order mark", "\xef\xbb\xbf" + plain, "invalid-json", ""},
		{"bad UTF-8 in a value", with(plain, `"x"`, "\"\xff\""), "invalid-utf8", "/detail/payload/Text__c"},
		{"half a surrogate pair", with(plain, `"x"`, `"\ud800"`), "invalid-json", "/detail/payload/Text__c"},
		{"10,000 levels", with(plain, `"x"`, strings.Repeat("[", 10000)+strings.Repeat("]", 10000)), "too-deep", ""},
		{"10,000 levels around the envelope", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), "too-deep", ""},
		{"100 levels", with(plain, `"x"`, strings.Repeat("[", 100)+strings.Repeat("]", 100)), "too-deep", ""},
		{"10,000 levels, not closed", with(plain, `"x"`, strings.Repeat("[", 10000)), "too-deep", ""},
		{"duplicate key in the envelope", with(plain, `"region"`, `"source":"x","region"`), "duplicate-key", "/source"},
		{"duplicate key, escaped", with(plain, `"region"`, `"\u0073ource":"x","region"`), "duplicate-key", "/source"},
		{"duplicate key in the payload", with(plain, `"x"`, `"x","Text__c":"y"`), "duplicate-key", "/detail/payload/Text__c"},
		{"duplicate key in the payload, first an object", with(plain, `"x"`, `{"a":1},"B":2,"Text__c":"y"`), "duplicate-key", "/detail/payload/Text__c"},
		{"duplicate key in the payload, two objects", with(plain, `"x"`, `{"a":1},"Text__c":{"b":1}`), "duplicate-key", "/detail/payload/Text__c"},
		{"duplicate key in the payload, empty objects", with(plain, `"x"`, `{},"Text__c":{}`), "duplicate-key", "/detail/payload/Text__c"},
		{"duplicate component", with(plain, `"x"`, `{"a":1,"b":2,"a":3}`), "duplicate-key", "/detail/payload/Text__c/a"},
		{"two headers", with(create, `"payload":{`, `"payload":{"ChangeEventHeader":null,`), "duplicate-key", "/detail/payload/ChangeEventHeader"},
		{"duplicate key among many in the envelope", with(plain, `"region"`, manyFields(100)+`,"F10":2,"region"`), "duplicate-key", "/F10"},
		{"duplicate key in the header", with(create, `"changeType":"CREATE"`, `"changeType":"CREATE","changeType":"DELETE"`), "duplicate-key", header + "/changeType"},
		{"duplicate key among many fields", with(plain, `"Text__c":"x"`, manyFields(100)+`,"F40":2`), "duplicate-key", "/detail/payload/F40"},
		{"duplicate key in a value", with(plain, `"x"`, `[{"a":1,"a":2}]`), "duplicate-key", "/detail/payload/Text__c"},
		{"list", `[]`, "wrong-type", ""},
		{"text", `"x"`, "wrong-type", ""},
		{"nothing of an event", `{}`, "missing-field", "/source"},
		{"key in another case", with(plain, `"source"`, `"Source"`), "missing-field", "/source"},
		{"source of another type", with(plain, `"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS"`, `"source":1`), "wrong-type", "/source"},
		{"another source", with(plain, `aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS`, `aws.s3`), "foreign-source", "/source"},
		{"source without a channel", with(plain, `/0YL5f000000CabWGAS`, ``), "foreign-source", "/source"},
		{"source with more", with(plain, `/0YL5f000000CabWGAS`, `/0YL5f000000CabWGAS/x`), "foreign-source", "/source"},
		{"source without an org", with(plain, `00D5f000005KcCnEAK`, `example`), "foreign-source", "/source"},
		{"source with a record for an org", with(plain, `00D5f000005KcCnEAK`, `0015f00002J9YYEAA3`), "foreign-source", "/source"},
		{"org in another case", with(plain, `00D5f000005KcCnEAK`, `00d5f000005KcCnEAK`), "foreign-source", "/source"},
		{"org with a wrong suffix", with(plain, `00D5f000005KcCnEAK`, `00D5f000005kccnEAK`), "invalid-id", "/source"},
		{"no detail type", with(plain, `"Note__e"`, `null`), "missing-field", "/detail-type"},
		{"no detail", envelope("Note__e", `null`), "missing-field", "/detail"},
		{"detail of another type", envelope("Note__e", `"x"`), "wrong-type", "/detail"},
		{"no payload", envelope("Note__e", `{"id":"a"}`), "missing-payload", "/detail/payload"},
		{"payload in a string", envelope("Note__e", `{"payload":"{}"}`), "wrong-type", "/detail/payload"},
		{"id of another type", with(plain, `"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a"`, `7`), "wrong-type", "/id"},
		{"event id of another type", envelope("Note__e", `{"id":7,"payload":{}}`), "wrong-type", "/detail/id"},
		{"event id in the payload of another type", envelope("Note__e", `{"payload":{"Event_Id__c":["a"]}}`), "wrong-type", "/detail/payload/Event_Id__c"},
		{"no id at all", with(plain, `"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a"`, `""`), "missing-id", "/id"},
		{"endless id", with(plain, `5c42b99e-c214-4a9c-8fbd-1a41e5faa44a`, strings.Repeat("7", 600)), "too-long", "/id"},
		{"field with a dot", with(plain, `Text__c`, `Billing.Street`), "invalid-field-name", "/detail/payload/Billing.Street"},
		{"field without a name", with(plain, `Text__c`, ``), "invalid-field-name", "/detail/payload/"},
		{"component with a strange name", with(plain, `"x"`, `{"a/~b":1}`), "invalid-field-name", "/detail/payload/Text__c/a~1~0b"},
		{"10,001 fields", with(plain, `"Text__c":"x"`, manyFields(10001)), "too-many-fields", "/detail/payload"},
		{"CreatedDate that is none", with(plain, `Text__c`, `CreatedDate`), "invalid-time", "/detail/payload/CreatedDate"},
		{"CreatedDate before 1970", with(plain, `"Text__c":"x"`, `"CreatedDate":-1`), "negative-time", "/detail/payload/CreatedDate"},
		{"AppFlow", `{"version":"0","id":"a","detail-type":"AccountChangeEvent","source":"aws.partner/appflow.test/salesforce.com/364228160620/CustomSF-Source-Final","detail":{"ChangeEventHeader":{"changeType":"UPDATE"},"Name":"x"}}`, "appflow-event", ""},
		{"AppFlow's shape in a relay's source", envelope("AccountChangeEvent", `{"ChangeEventHeader":{"changeType":"UPDATE"},"Name":"x"}`), "appflow-event", ""},
		{"no header", envelope("AccountChangeEvent", `{"payload":{"Name":"x"}}`), "missing-header", header},
		{"header null", envelope("AccountChangeEvent", `{"payload":{"ChangeEventHeader":null}}`), "missing-header", header},
		{"header of another type", envelope("AccountChangeEvent", `{"payload":{"ChangeEventHeader":[]}}`), "wrong-type", header},
		{"header in another case", with(create, `"ChangeEventHeader"`, `"changeEventHeader"`), "missing-header", header},
		{"no entity", with(create, `"Account",`, `null,`), "missing-field", header + "/entityName"},
		{"entity that is none", with(create, `"Account",`, `"Account#1",`), "invalid-name", header + "/entityName"},
		{"another entity", with(create, `"Account",`, `"Contact",`), "entity-mismatch", header + "/entityName"},
		{"no change type", with(create, `"CREATE"`, `""`), "missing-field", header + "/changeType"},
		{"change type in another case of the key", with(create, `"changeType"`, `"CHANGETYPE"`), "missing-field", header + "/changeType"},
		{"change type that is none", with(create, `"CREATE"`, `"CREATE:1"`), "invalid-name", header + "/changeType"},
		{"no records", with(create, `["0015f00002J9YYEAA3"]`, `[]`), "missing-field", header + "/recordIds"},
		{"records of another type", with(create, `["0015f00002J9YYEAA3"]`, `[1]`), "wrong-type", header + "/recordIds/0"},
		{"null among the records", with(create, `["0015f00002J9YYEAA3"]`, `["0015f00002J9YYEAA3",null]`), "wrong-type", header + "/recordIds/1"},
		{"record id of 17 characters", with(create, `"0015f00002J9YYEAA3"`, `"0015f00002J9YYEAA"`), "invalid-id", header + "/recordIds/0"},
		{"record id in another case", with(create, `"0015f00002J9YYEAA3"`, `"0015f00002J9YYEAA3","0015F00002J9YYEAA3"`), "invalid-id", header + "/recordIds/1"},
		{"record id with a sign", with(create, `"0015f00002J9YYEAA3"`, `"0015f00002J9YY/"`), "invalid-id", header + "/recordIds/0"},
		{"no commit time", with(create, `1712693965000`, `null`), "missing-field", header + "/commitTimestamp"},
		{"commit time as ISO 8601", with(create, `1712693965000`, `"2024-04-09T20:19:25Z"`), "invalid-number", header + "/commitTimestamp"},
		{"commit time before 1970", with(create, `1712693965000`, `-1`), "negative-time", header + "/commitTimestamp"},
		{"commit time beyond 48 bits", with(with(create, `1712693965000`, `281474976710656`), `"2026-11-21T10:15:30Z"`, `null`), "time-out-of-range", header + "/commitTimestamp"},
		{"commit time beyond 64 bits", with(create, `1712693965000`, `99999999999999999999`), "invalid-number", header + "/commitTimestamp"},
		{"commit time 5 minutes and 1 ms after the event", with(create, `1712693965000`, `1795256430001`), "version-in-future", header + "/commitTimestamp"},
		{"commit number rounded", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":1.7126939656836173e18`), "invalid-commit-number", header + "/commitNumber"},
		{"commit number with a fraction", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":1712693965683617281.0`), "invalid-commit-number", header + "/commitNumber"},
		{"commit number negative", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":-1`), "invalid-commit-number", header + "/commitNumber"},
		{"commit number beyond 64 bits", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":18446744073709551616`), "invalid-commit-number", header + "/commitNumber"},
		{"commit number in words", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":"many"`), "invalid-commit-number", header + "/commitNumber"},
		{"commit number empty", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":""`), "wrong-type", header + "/commitNumber"},
		{"commit number true", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":true`), "wrong-type", header + "/commitNumber"},
		{"commit number in another wrapping", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":{"$numberInt":"7"}`), "wrong-type", header + "/commitNumber/$numberInt"},
		{"commit number in an empty wrapping", with(create, `"commitNumber":1712693965683617281`, `"commitNumber":{}`), "wrong-type", header + "/commitNumber"},
		{"sequence number negative", with(create, `"sequenceNumber":1`, `"sequenceNumber":-1`), "invalid-number", header + "/sequenceNumber"},
		{"bitmap", with(create, `"changeType":"CREATE"`, `"changeType":"UPDATE","changedFields":["Name","0x400080"]`), "bitmap-changed-fields", header + "/changedFields/1"},
		{"bitmap of a compound field", with(create, `"changeType":"CREATE"`, `"changeType":"UPDATE","changedFields":["4-0x01"]`), "bitmap-changed-fields", header + "/changedFields/0"},
		{"no transaction and no ids", with(with(create, `"0001ade9-3f74-0b99-dbc4-42e73424b774"`, `null`), `"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a"`, `null`), "missing-id", header + "/transactionKey"},
	} {
		t.Run(c.what, func(t *testing.T) { refused(t, []byte(c.raw), salesforce.Options{}, c.name, c.where) })
	}
	// The last moment that is not too late.
	decode(t, with(create, `1712693965000`, `1795256430000`))
}

func manyFields(n int) string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = `"F` + strconv.Itoa(i) + `":1`
	}
	return strings.Join(fields, ",")
}

// A log can name the event that was refused, as far as it can be read.
func TestRefusalsNameTheEvent(t *testing.T) {
	for raw, want := range map[string][2]string{
		envelope("AccountChangeEvent", `{"payload":{}}`):          {"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a", "AccountChangeEvent"},
		envelope("Note__e", `{"payload":[]}`):                     {"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a", "Note__e"},
		envelope("Note__e", `{"payload":{"CreatedDate":"soon"}}`): {"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a", "Note__e"},
		`{"id":"a","detail-type":7}`:                              {"a", ""},
		envelope("Note__e", `{"payload":{`):                       {"", ""},
	} {
		_, err := salesforce.Decode([]byte(raw), salesforce.Options{})
		e, ok := errors.AsType[*salesforce.DecodeError](err)
		if !ok || e.EventID != want[0] || e.DetailType != want[1] {
			t.Errorf("%.80q: %+v, want %v", raw, e, want)
		}
	}
}

// Nothing a person typed may stand in an error: it ends in logs.
func TestRefusalsKeepValuesToThemselves(t *testing.T) {
	for _, raw := range []string{
		envelope("Note__e", `{"payload":{"Text__c":"CANARY`),
		envelope("Note__e", `{"payload":{"CreatedDate":"CANARY"}}`),
		envelope("Note__e", `{"id":["CANARY"],"payload":{}}`),
		change(`"changeType":"CREATE",`+rest+`,"commitUser":["CANARY"]`, ``),
		change(`"changeType":"CREATE","recordIds":["CANARY"],"commitTimestamp":1712693965000`, ``),
		change(`"changeType":"CREATE","recordIds":["0015f00002J9YYEAA3"],"commitTimestamp":1712693965000,"commitNumber":"CANARY"`, ``),
		change(`"changeType":"CREATE",`+rest+`,"changedFields":["0xCANARY"]`, ``),
		envelope("Note__e", `{"payload":{"Text__c":CANARY}}`),
	} {
		_, err := salesforce.Decode([]byte(raw), salesforce.Options{})
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: error %v", raw, err)
		}
	}
}

func TestPointerStaysShort(t *testing.T) {
	name := strings.Repeat("a", 500_000)
	for _, raw := range []string{
		envelope("Note__e", `{"payload":{"`+name+`":1}}`),
		envelope("Note__e", `{"payload":{"`+name+`":x}}`),
	} {
		_, err := salesforce.Decode([]byte(raw), salesforce.Options{})
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
}

// An event names as many records and changed fields as one transaction can change, and no
// more.
func TestListsEnd(t *testing.T) {
	list := func(n int, text string) string {
		return `[` + strings.TrimSuffix(strings.Repeat(`"`+text+`",`, n), ",") + `]`
	}
	for _, tc := range []struct {
		records, changed int
		name, where      string
	}{
		{10_000, 10_000, "", ""},
		{10_001, 1, "too-many-records", "/detail/payload/ChangeEventHeader/recordIds/10000"},
		{1, 10_001, "too-many-changed-fields", "/detail/payload/ChangeEventHeader/changedFields/10000"},
	} {
		raw := change(`"changeType":"UPDATE",`+strings.Replace(rest, `["0015f00002J9YYEAA3"]`, list(tc.records, "0015f00002J9YYEAA3"), 1)+
			`,"changedFields":`+list(tc.changed, "Phone"), `,"Phone":"1"`)
		_, err := salesforce.Decode([]byte(raw), salesforce.Options{})
		d, _ := errors.AsType[*salesforce.DecodeError](err)
		if tc.name == "" && err != nil || tc.name != "" && (d == nil || d.Name != tc.name || d.Where != tc.where) {
			t.Errorf("%d records, %d changed fields: %v", tc.records, tc.changed, err)
		}
	}
}

// An object that has a handful of members has no thousand.
func TestKeysEnd(t *testing.T) {
	var keys strings.Builder
	for i := range 1_001 {
		fmt.Fprintf(&keys, `"k%d":1,`, i)
	}
	raw := envelope("Note__e", `{`+keys.String()+`"payload":{"Text__c":"x"}}`)
	_, err := salesforce.Decode([]byte(raw), salesforce.Options{})
	if d, ok := errors.AsType[*salesforce.DecodeError](err); !ok || d.Name != "too-many-fields" || !strings.HasPrefix(d.Where, "/detail/") {
		t.Errorf("%v", err)
	}
}

// A probe says nothing at all: with a single field, header or record it could be a real
// event that somebody calls a probe, and would be lost.
func TestProbe(t *testing.T) {
	for _, detail := range []string{`{"probe":true,"payload":{}}`, `{"payload":{},"schemaId":"s","id":"x","probe":true}`} {
		for _, name := range []string{"Note__e", "AccountChangeEvent"} {
			e := decode(t, envelope(name, detail))
			if !e.Probe || len(e.Changes) != 0 || e.Resync != "" || e.DetailType != name || e.ID == "" || e.Org == "" {
				t.Errorf("%s %s: %+v", name, detail, e)
			}
		}
	}
	for detail, want := range map[string]string{
		`{"probe":true,"payload":{"Sku__c":null}}`:                                "full-probe at /detail/payload",
		`{"probe":true,"payload":{"CreatedDate":"2026-11-21T10:15:29Z"}}`:         "full-probe at /detail/payload",
		`{"probe":true,"payload":{"ChangeEventHeader":null}}`:                     "full-probe at /detail/payload",
		`{"payload":{"ChangeEventHeader":{"entityName":"Account"}},"probe":true}`: "full-probe at /detail/payload",
		`{"probe":true}`:                         "missing-payload at /detail/payload",
		`{"probe":true,"payload":null}`:          "missing-payload at /detail/payload",
		`{"probe":false,"payload":{}}`:           "wrong-type at /detail/probe",
		`{"probe":"true","payload":{}}`:          "wrong-type at /detail/probe",
		`{"probe":null,"payload":{}}`:            "wrong-type at /detail/probe",
		`{"probe":1,"payload":{"Sku__c":"A-1"}}`: "wrong-type at /detail/probe",
	} {
		_, err := salesforce.Decode([]byte(envelope("Note__e", detail)), salesforce.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", detail, err, want)
		}
	}
	const id = `"Event_Id__c":"sfrelay-probe-0123456789abcdef0123"` // as an org publishes it
	for _, fields := range []string{"", `,"Sku__c":"-","Sequence__c":0,"Quantity_On_Hand__c":0.0,"Unit__c":null,"Open__c":false`, `,"Record_Modified_At__c":"1970-01-01T00:00:00.000Z","Close_Date__c":"1970-01-01","EventUuid":"u"`} {
		e := decode(t, envelope("Note__e", `{"id":"x","payload":{"CreatedDate":"2026-11-21T10:15:29Z","CreatedById":"005RM00000231cZYAQ",`+id+fields+`}}`))
		if !e.Probe || len(e.Changes) != 0 || e.ProbeID != "sfrelay-probe-0123456789abcdef0123" || e.Cause == nil || e.Cause.Identity() != "x" {
			t.Errorf("%s: %+v", fields, e)
		}
	}
	for field, path := range map[string]string{`"Sku__c":"A-1"`: "Sku__c", `"Sku__c":""`: "Sku__c", `"Sequence__c":1`: "Sequence__c", `"Open__c":true`: "Open__c",
		`"Close_Date__c":"2026-11-21"`: "Close_Date__c", `"Lines__c":"[]"`: "Lines__c", `"Amount__c":0.5`: "Amount__c", `"Place__c":{}`: "Place__c"} {
		_, err := salesforce.Decode([]byte(envelope("Note__e", `{"id":"x","payload":{`+id+`,`+field+`}}`)), salesforce.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "full-probe at /detail/payload/"+path) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if e := decode(t, envelope("Note__e", `{"id":"x","payload":{"Event_Id__c":"x-sfrelay-probe-1","Name__c":"sfrelay-probe-1"}}`)); e.Probe || len(e.Changes) != 1 {
		t.Errorf("%+v", e)
	}
	// A field of that name is one of the event's own.
	if e := decode(t, envelope("Note__e", `{"id":"x","payload":{"probe":true}}`)); e.Probe || len(e.Changes) != 1 {
		t.Errorf("%+v", e)
	}
}
