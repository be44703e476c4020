package salesforce_test

import (
	"testing"
	"time"

	"sfrelay/shared/salesforce"
)

func TestTouches(t *testing.T) {
	for _, c := range []struct {
		changed, read []string
		want          bool
	}{
		{[]string{"Phone"}, []string{"Phone"}, true},
		{[]string{"Fax", "Phone"}, []string{"Name", "Phone"}, true},
		{[]string{"Fax"}, []string{"Phone"}, false},
		{[]string{"BillingAddress.Street"}, []string{"BillingAddress.Street"}, true},
		{[]string{"BillingAddress.Street"}, []string{"BillingAddress.City"}, false},
		{[]string{"BillingAddress.Street"}, []string{"BillingAddress"}, true},
		{[]string{"BillingAddress"}, []string{"BillingAddress.City"}, true},
		{[]string{"Name"}, []string{"NameSuffix"}, false},
		{[]string{"NameSuffix"}, []string{"Name"}, false},
		{[]string{"Name.FirstName"}, []string{"Name"}, true},
		{[]string{"LastModifiedDate", "LastModifiedById"}, []string{"LastModifiedDate", "LastModifiedById"}, false},
		{[]string{"Phone"}, nil, true},
		{[]string{"LastModifiedDate", "LastModifiedById"}, nil, false},
		{[]string{"Phone"}, []string{}, false},
		{nil, []string{"Phone"}, true}, // it does not say what it changed
	} {
		change := salesforce.Said{Type: salesforce.Update, Changed: c.changed}
		if got := change.Touches(c.read); got != c.want {
			t.Errorf("an update of %v touches a reader of %v: %v, want %v", c.changed, c.read, got, c.want)
		}
	}
	for _, kind := range []salesforce.ChangeType{salesforce.Create, salesforce.Delete, salesforce.Undelete, salesforce.GapUpdate, "SNAPSHOT", salesforce.Published} {
		change := salesforce.Said{Type: kind, Changed: []string{"Fax"}}
		if !change.Touches([]string{"Phone"}) {
			t.Errorf("%s is ignored", kind)
		}
	}
}

func TestEcho(t *testing.T) {
	const ours = "com/salesforce/api/rest/66.0;client=sfrelay"
	writeBack, read := []string{"Stripe_Id__c", "Erp"}, []string{"Name", "BillingAddress.City", "LastModifiedById"}
	for _, c := range []struct {
		what, origin string
		kind         salesforce.ChangeType
		changed      []string
		want         bool
	}{
		{"our write", ours, salesforce.Update, []string{"Stripe_Id__c", "LastModifiedDate"}, true},
		{"our write by way of SOAP", "com/salesforce/api/soap/63.0;client=sfrelay/", salesforce.Update, []string{"Stripe_Id__c"}, true},
		{"component of what we write", ours, salesforce.Update, []string{"Erp.Number"}, true},
		{"compound field of which we write nothing", ours, salesforce.Update, []string{"Stripe_Id__c.X", "Other"}, false},
		{"somebody else's write", "com/salesforce/api/rest/66.0;client=crm", salesforce.Update, []string{"Stripe_Id__c"}, false},
		{"a client whose name begins as ours", ours + "2", salesforce.Update, []string{"Stripe_Id__c"}, false},
		{"a write by hand", "", salesforce.Update, []string{"Stripe_Id__c"}, false},
		{"a flow changed more", ours, salesforce.Update, []string{"Stripe_Id__c", "Fax"}, false},
		{"a flow changed what is read", ours, salesforce.Update, []string{"Stripe_Id__c", "Name"}, false},
		{"a system field that is read", ours, salesforce.Update, []string{"Stripe_Id__c", "LastModifiedById"}, false},
		{"no changed fields", ours, salesforce.Update, nil, false},
		{"create", ours, salesforce.Create, []string{"Stripe_Id__c"}, false},
		{"gap", ours, salesforce.GapUpdate, []string{"Stripe_Id__c"}, false},
	} {
		change := salesforce.Said{Type: c.kind, Origin: c.origin, Changed: c.changed}
		if got := change.EchoOf("sfrelay", writeBack, read); got != c.want {
			t.Errorf("%s: echo %v, want %v", c.what, got, c.want)
		}
	}
	nameless := salesforce.Said{Type: salesforce.Update, Changed: []string{"Stripe_Id__c"}}
	if nameless.EchoOf("", writeBack, read) {
		t.Error("without a name of our own every write by hand is an echo")
	}
	written := salesforce.Said{Type: salesforce.Update, Origin: ours, Changed: []string{"Name"}}
	if written.EchoOf("sfrelay", []string{"Name"}, read) {
		t.Error("a field that is written back and read hides what a flow made of it")
	}
}

func TestID18(t *testing.T) {
	for id, want := range map[string]string{
		"00D5f000005KcCn":    "00D5f000005KcCnEAK",
		"00D5f000005KcCnEAK": "00D5f000005KcCnEAK",
		"0015f00002J9YYE":    "0015f00002J9YYEAA3",
		"003ak00000IiFIn":    "003ak00000IiFInAAN",
		"001ZM000001n4n5":    "001ZM000001n4n5YAA",
		"000000000000000":    "000000000000000AAA",
		"aaaaaaaaaaaaaaa":    "aaaaaaaaaaaaaaaAAA",
		"AAAAAAAAAAAAAAA":    "AAAAAAAAAAAAAAA555",
	} {
		got, err := salesforce.ID18(id)
		if err != nil || got != want {
			t.Errorf("%s becomes %s, %v, want %s", id, got, err, want)
		}
	}
	for _, bad := range []string{"", "00D5f000005KcC", "00D5f000005KcCnEA", "00D5f000005KcCnEAA", "00D5f000005kccnEAK", "00D5f000005KcCnEAKA", "00D5f00000/KcCn", "00D5f00000é5Kc"} {
		if got, err := salesforce.ID18(bad); err == nil {
			t.Errorf("%q becomes %s", bad, got)
		}
	}
}

func value(t *testing.T, json string) salesforce.Value {
	t.Helper()
	v, ok := decodeOne(t, envelope("Note__e", `{"payload":{"X__c":`+json+`}}`)).Fields.Lookup("X__c")
	if !ok {
		t.Fatalf("%s is not there", json)
	}
	return v
}

func TestText(t *testing.T) {
	for json, want := range map[string]string{
		`"x"`:                      "x",
		`""`:                       "",
		`"a\u00e9\n\"\\"`:          "aé\n\"\\",
		`"ends in a slash \\"`:     `ends in a slash \`,
		`1.50`:                     "1.50",
		`-12345678901234567890.10`: "-12345678901234567890.10",
		`1E+3`:                     "1E+3",
		`true`:                     "true",
		`false`:                    "false",
	} {
		if got, err := value(t, json).Text(); err != nil || got != want {
			t.Errorf("text of %s is %q, %v, want %q", json, got, err, want)
		}
	}
	for _, json := range []string{`null`, `[]`, `["x"]`, `{}`} {
		if got, err := value(t, json).Text(); err == nil {
			t.Errorf("text of %s is %q", json, got)
		}
	}
	equal(t, "raw", value(t, ` [1 , "a]" , {"b":"\""}] `).Raw(), `[1 , "a]" , {"b":"\""}]`)
	equal(t, "raw of the zero value", salesforce.Value{}.Raw(), "null")
	equal(t, "null", salesforce.Value{}.Null() && value(t, `null`).Null() && !value(t, `"null"`).Null() && !value(t, `""`).Null(), true)
}

func TestDateTime(t *testing.T) {
	second := time.Date(2026, 11, 21, 10, 15, 29, 0, time.UTC)
	for json, want := range map[string]time.Time{
		`"2026-11-21T10:15:29.517Z"`:     second.Add(517 * time.Millisecond),
		`"2026-11-21T10:15:29.517+0000"`: second.Add(517 * time.Millisecond),
		`"2026-11-21T10:15:29Z"`:         second,
		`"2026-11-21T11:15:29+01:00"`:    second,
		`"2026-11-21T09:15:29-0100"`:     second,
		`"2026-11-21"`:                   time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
		`1795256129517`:                  second.Add(517 * time.Millisecond),
		`1.795256129517E12`:              second.Add(517 * time.Millisecond), // as Salesforce spells a Number field
		`0`:                              time.UnixMilli(0).UTC(),
		`-1`:                             time.UnixMilli(-1).UTC(),
	} {
		got, err := value(t, json).DateTime()
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s is %v, %v, want %v", json, got, err, want)
		}
	}
	for _, json := range []string{`null`, `true`, `""`, `"2026"`, `"2026-11-21 10:15:29"`, `"2026-13-01"`, `"2026-11-21T10:15:29"`, `"1795256129517"`, `1.5`, `1e400`, `99999999999999999999`, `[]`, `"0000-00-00"`} {
		if got, err := value(t, json).DateTime(); err == nil {
			t.Errorf("%s is %v", json, got)
		}
	}
}
