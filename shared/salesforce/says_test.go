package salesforce_test

import (
	"errors"
	"strings"
	"testing"

	"sfrelay/shared/salesforce"
)

func TestARecordIDIsThatOfItsObject(t *testing.T) {
	for _, tc := range []struct{ object, id, want, says string }{
		{"Account", "0015f00002J9YYE", "0015f00002J9YYEAA3", ""},
		{"Account", "0035f00002J9YYE", "", "begins with 003, so it is the id of a Contact; an id of an Account begins with 001"},
		{"Opportunity", "00Q5f00002J9YYE", "", "the id of a Lead; an id of an Opportunity begins with 006"},
		{"Account", "a0X5f00002J9YYE", "", "the id of another object"},
		{"Stock__c", "a0X5f00002J9YYE", "a0X5f00002J9YYEEA3", ""}, // of custom objects nobody knows it
		{"", "0015f00002J9YYE", "0015f00002J9YYEAA3", ""},
		{"Account", "001", "", "no record id of 15 or 18 characters"},
		{"Account", "0015f00002J9YYEAAA", "", "no record id"}, // some system changed the case
	} {
		got, err := salesforce.RecordID(tc.object, tc.id)
		e, refused := errors.AsType[*salesforce.DecodeError](err)
		if got != tc.want || refused != (tc.says != "") || refused && (e.Name != "invalid-record-id" || !strings.Contains(e.What, tc.says)) {
			t.Errorf("%s %s = %q, %v; want %q, %q", tc.object, tc.id, got, err, tc.want, tc.says)
		}
	}
}

// What a change says of a field, in every form in which it can speak of it.
func TestSays(t *testing.T) {
	event := func(kind, changed, body string) *salesforce.Change {
		raw := `{"id":"c0000000-0000-4000-8000-000000000001","detail-type":"AccountChangeEvent","time":"2026-11-22T12:00:00Z",` +
			`"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","detail":{"payload":{"ChangeEventHeader":{"entityName":"Account",` +
			`"recordIds":["0015f00002J9YYEAA3"],"changeType":"` + kind + `","changedFields":[` + changed + `],"transactionKey":"k","sequenceNumber":1,` +
			`"commitTimestamp":1795348741000,"commitNumber":1745500706683600001}` + body + `}}}`
		e, err := salesforce.Decode([]byte(raw), salesforce.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return &e.Changes[0]
	}
	for _, tc := range []struct {
		what, kind, changed, body, path string
		want                            salesforce.Saying
	}{
		{"a value", "CREATE", "", `,"Name":"x"`, "Name", salesforce.SaysValue},
		{"null", "CREATE", "", `,"Name":null`, "Name", salesforce.SaysValue},
		{"absent", "CREATE", "", `,"Phone":"x"`, "Name", salesforce.SaysNothing},
		{"in parts", "CREATE", "", `,"Name":{"LastName":"x"}`, "Name", salesforce.SaysMore},
		{"as a whole, a part is read", "CREATE", "", `,"BillingAddress":"1 Street"`, "BillingAddress.City", salesforce.SaysMore},
		{"another part", "CREATE", "", `,"BillingAddress":{"City":"x"}`, "BillingAddress.Street", salesforce.SaysNothing},
		{"the whole is null", "CREATE", "", `,"BillingAddress":null`, "BillingAddress.Street", salesforce.SaysValue},
		{"a part is named", "UPDATE", `"Name.LastName"`, `,"Name":{"LastName":"x"}`, "Name", salesforce.SaysMore},
		{"the whole is named, the part is there", "UPDATE", `"BillingAddress"`, `,"BillingAddress":{"City":"x"}`, "BillingAddress.City", salesforce.SaysValue},
		{"the whole is named, the part is not there", "UPDATE", `"BillingAddress"`, `,"BillingAddress":{"City":"x"}`, "BillingAddress.Street", salesforce.SaysMore},
		{"named and absent", "UPDATE", `"Name"`, ``, "Name", salesforce.SaysMore},
		{"enriched", "UPDATE", `"Phone"`, `,"Phone":"1","Name":"x"`, "Name", salesforce.SaysNothing},
		{"enriched in parts", "UPDATE", `"Phone"`, `,"Phone":"1","Name":{"LastName":"x"}`, "Name", salesforce.SaysNothing},
		{"a longer name", "UPDATE", `"NameLocal"`, `,"NameLocal":"x"`, "Name", salesforce.SaysNothing},
		{"a geolocation", "CREATE", "", `,"Place__c":{"Latitude":52.5,"Longitude":13.4}`, "Place__c", salesforce.SaysMore},
	} {
		if _, got := event(tc.kind, tc.changed, tc.body).Says(tc.path); got != tc.want {
			t.Errorf("%s: says %d of %s, want %d", tc.what, got, tc.path, tc.want)
		}
	}
	for _, tc := range []struct {
		kind, changed, body, want string
		ok                        bool
	}{
		{"CREATE", "", `,"Name":{"Salutation":"Dr.","FirstName":"Ada","LastName":"Sample"}`, "Ada Sample", true},
		{"UNDELETE", "", `,"Name":{"FirstName":"Ada","MiddleName":"M.","LastName":"Sample","Suffix":"Jr."}`, "Ada M. Sample Jr.", true},
		{"CREATE", "", `,"Name":{"LastName":"Sample"}`, "Sample", true},
		{"CREATE", "", `,"Name":{"FirstName":"Ada"}`, "", false},
		{"UPDATE", `"Name.LastName"`, `,"Name":{"LastName":"Sample"}`, "", false},
		{"UPDATE", `"Name"`, `,"Name":{"FirstName":"Ada","LastName":"Sample"}`, "", false},
		{"UPDATE", `"Name"`, `,"Name":{"FirstName":"Ada","MiddleName":null,"LastName":"Sample","Suffix":null}`, "Ada Sample", true},
	} {
		if got, ok := event(tc.kind, tc.changed, tc.body).PersonName("Name"); got != tc.want || ok != tc.ok {
			t.Errorf("%s %s: name %q, %v; want %q, %v", tc.kind, tc.body, got, ok, tc.want, tc.ok)
		}
	}
}

// Salesforce began in 1999: what is dated before it is a time in seconds.
func TestTimesThatCannotBe(t *testing.T) {
	stock := func(created, modified string) error {
		e, err := salesforce.Decode([]byte(`{"id":"c0000000-0000-4000-8000-000000000001","detail-type":"Stock__e","time":"2026-11-22T12:00:00Z",`+
			`"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","detail":{"payload":{"CreatedDate":`+created+`,"Modified__c":`+modified+`}}}`), salesforce.Options{})
		if err != nil {
			return err
		}
		_, err = e.Changes[0].EventVersion(salesforce.VersionFields{ModifiedAt: "Modified__c"})
		return err
	}
	const good = `"2026-11-22T11:59:00.000Z"`
	for _, tc := range []struct{ created, modified, want string }{
		{good, good, ""},
		{good, `"1999-01-01T00:00:00.000Z"`, ""},
		{good, `"1998-12-31T23:59:59.999Z"`, "time-out-of-range"},
		{good, `1795348741`, "time-out-of-range"}, // seconds
		{good, `1795348741000`, ""},
		{good, `1.795348741E12`, ""},
		{good, `0`, "time-out-of-range"},
		{`1795348741`, good, "time-out-of-range"},
		{`"1970-01-21T00:00:00.000Z"`, good, "time-out-of-range"},
		{good, `{"Modified__c":1}`, "wrong-type"},
	} {
		err := stock(tc.created, tc.modified)
		e, refused := errors.AsType[*salesforce.DecodeError](err)
		if refused != (tc.want != "") || refused && e.Name != tc.want && tc.want != "wrong-type" {
			t.Errorf("created %s, modified %s: %v, want %q", tc.created, tc.modified, err, tc.want)
		}
	}
}
