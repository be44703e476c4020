package explain

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/salesforce"
)

const events = "../../../../events"

func toJSON(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return fromJSON(t, b)
}

func fromJSON(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// withoutReasons takes out what is for people; it has to be there where a consumer does
// not simply take the change.
func withoutReasons(t *testing.T, explanation any) any {
	t.Helper()
	changes, _ := explanation.(map[string]any)["changes"].([]any)
	for _, c := range changes {
		readings, _ := c.(map[string]any)["readings"].([]any)
		for _, r := range readings {
			r := r.(map[string]any)
			if (r["reason"] == "") != (r["does"] == "takes") {
				t.Errorf("reason of %v", r)
			}
			delete(r, "reason")
		}
	}
	return explanation
}

// Every event has its explanation in events/explain, written by hand from the documents.
func TestEvents(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(events, "[0-9]*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 30 {
		t.Fatalf("%d events in %s, want at least 30", len(files), events)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(events, "explain", filepath.Base(file)))
			if err != nil {
				t.Fatalf("%v: write down what sfrelay explain --json shall say of it", err)
			}
			all := Explain(raw, nil)
			if len(all) != 1 {
				t.Fatalf("%d explanations, want 1", len(all))
			}
			got, want := withoutReasons(t, toJSON(t, all[0])), fromJSON(t, b)
			if !reflect.DeepEqual(got, want) {
				shown, _ := json.MarshalIndent(got, "", "  ")
				t.Errorf("explained as\n%s\nwant\n%s", shown, b)
			}
			if e, ok := all[0].(*Explanation); ok {
				e.Print(terminal.To(&bytes.Buffer{}))
			}
		})
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(events, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTransports(t *testing.T) {
	event := read(t, "04-account-update-phone")
	quoted, _ := json.Marshal(event)
	inSQS := `{"Records":[{"messageId":"m","body":` + string(quoted) + `,"eventSource":"aws:sqs"}]}`
	failed := `{"version":"1.0","requestContext":{"functionArn":"arn","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":` + event + `}`
	parked := `{"event":` + event + `,"records":null,"consumer":"customer-erp","class":"unknown","error":"","attempts":3,"firstAt":null,"lastAt":null}`
	for want, raw := range map[string]string{"event": event, "sqs-batch": inSQS, "on-failure": failed, "parked": parked} {
		e, ok := Explain([]byte(raw), nil)[0].(*Explanation)
		if !ok || e.Transport != want || e.Changes[0].Subject != "Account/0015f0000200001AAA" {
			t.Errorf("%s: %+v", want, e)
		}
	}
	two := Explain([]byte(strings.Replace(inSQS, `[`, `[{"messageId":"n","body":"{"},`, 1)), nil)
	if r, ok := two[0].(*Refusal); len(two) != 2 || !ok || r.Name != "invalid-json" {
		t.Errorf("a batch with a broken event: %+v", two)
	}
}

// Of a parked message only the records that it is about.
func TestRecordsOfAParkedMessage(t *testing.T) {
	parked := `{"event":` + read(t, "09-accounts-merged-update") + `,"records":["0015f0000200002AAA"],"consumer":"customer-erp","class":"unknown","error":"","attempts":3,"firstAt":null,"lastAt":null}`
	e, ok := Explain([]byte(parked), nil)[0].(*Explanation)
	if !ok || len(e.Changes) != 1 || e.Changes[0].RecordID != "0015f0000200002AAA" {
		t.Errorf("%+v", e)
	}
}

func TestForeignOrg(t *testing.T) {
	own, err := salesforce.ParseOrgList("00D5f000005KcCn")
	if err != nil {
		t.Fatal(err)
	}
	r, ok := Explain([]byte(read(t, "43-customer-sync-foreign-org")), own)[0].(*Refusal)
	if !ok || r.Name != "foreign-org" || r.Class != "permanent" || r.OK {
		t.Errorf("%+v", r)
	}
	if _, ok := Explain([]byte(read(t, "21-customer-sync")), own)[0].(*Explanation); !ok {
		t.Error("the own org is refused")
	}
}

func TestRefusals(t *testing.T) {
	sync := read(t, "21-customer-sync")
	stock := read(t, "34-inventory-first")
	for want, raw := range map[string]string{
		"missing-field":     strings.Replace(sync, `"Record_Id__c"`, `"Record__c"`, 1),
		"invalid-record-id": strings.Replace(sync, `"Record_Id__c": "0015f0000200001AAA"`, `"Record_Id__c": "0015f0000200001AAB"`, 1),
		"missing-time":      strings.Replace(sync, `"Record_Modified_At__c"`, `"Modified__c"`, 1),
		"invalid-field":     strings.Replace(stock, `"Warehouse__c": "BER"`, `"Warehouse__c": ["BER"]`, 1),
		"invalid-batch":     `{"Records":7}`,
		"no-event":          `{"Records":[]}`,
	} {
		r, ok := Explain([]byte(raw), nil)[0].(*Refusal)
		if !ok || r.Name != want {
			t.Errorf("%s: %+v", want, Explain([]byte(raw), nil)[0])
		}
	}
}

// What no consumer takes is explained all the same.
func TestUnknownEvents(t *testing.T) {
	e, ok := Explain([]byte(strings.ReplaceAll(read(t, "34-inventory-first"), "Inventory_Update__e", "Something__e")), nil)[0].(*Explanation)
	if !ok || e.Changes[0].Subject != "" || len(e.Changes[0].Consumers) != 0 || e.Changes[0].Consumers == nil {
		t.Errorf("%+v", e)
	}
	raw := strings.ReplaceAll(strings.ReplaceAll(read(t, "04-account-update-phone"), `"AccountChangeEvent"`, `"Thing__ChangeEvent"`), `"entityName": "Account"`, `"entityName": "Thing__c"`)
	e, ok = Explain([]byte(raw), nil)[0].(*Explanation)
	if !ok || e.Changes[0].Subject != "Thing__c/0015f0000200001AAA" || len(e.Changes[0].Consumers) != 0 {
		t.Errorf("%+v", e)
	}
	var out bytes.Buffer
	e.Print(terminal.To(&out))
	if !strings.Contains(out.String(), "none of this collection takes Thing__ChangeEvent") {
		t.Error(out.String())
	}
}

func TestPrint(t *testing.T) {
	e := Explain([]byte(read(t, "10-account-clear-website")), nil)[0].(*Explanation)
	var out bytes.Buffer
	e.Print(terminal.To(&out))
	const want = `event             AccountChangeEvent, as EventBridge delivers it
org               00D5f000005KcCnEAK
channel           0YL000000000002GAA
EventBridge       id c0000000-0000-4000-8000-000000000010, time 2026-11-21T09:21:01Z
rule              detail-type AccountChangeEvent on the bus aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL000000000002GAA

change            UPDATE
subject           Account/0015f0000200002AAA
identity          00D5f000005KcCnEAK:0000be70-a756-e601-9202-000000000010:1:Account:UPDATE:0015f0000200002AAA, from cdc
version           01a1fd68b46018ea04f7130d02f200011ae53b56
                  2026-11-21T09:21:00Z, commit 1795252860683617010, sequence 1
changed           LastModifiedDate, Website
emptied           Website
customer-billing  takes it
customer-erp      takes it
`
	var got strings.Builder
	for line := range strings.Lines(out.String()) {
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
