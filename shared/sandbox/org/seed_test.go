package orgsandbox_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// What an event calls a field that the org's rows have under another name.
var restNames = map[string]string{
	"Name__c": "Name", "Account_Number__c": "AccountNumber", "Status__c": "Status__c", "Phone__c": "Phone", "Website__c": "Website", "Email__c": "Email__c",
	"Tax_Number__c": "Tax_Number__c", "Currency__c": "CurrencyIsoCode", "Billing_Street__c": "BillingStreet", "Billing_City__c": "BillingCity",
	"Billing_State__c": "BillingState", "Billing_Postal_Code__c": "BillingPostalCode", "Billing_Country__c": "BillingCountry",
	"Shipping_Street__c": "ShippingStreet", "Shipping_City__c": "ShippingCity", "Shipping_State__c": "ShippingState",
	"Shipping_Postal_Code__c": "ShippingPostalCode", "Shipping_Country__c": "ShippingCountry",
	"Account_Id__c": "AccountId", "Amount__c": "Amount", "Close_Date__c": "CloseDate", "Payment_Terms_Days__c": "Payment_Terms_Days__c",
	"Name": "Name", "AccountNumber": "AccountNumber", "Phone": "Phone", "Website": "Website", "CurrencyIsoCode": "CurrencyIsoCode",
	"StageName": "StageName", "Probability": "Probability", "IsClosed": "IsClosed", "IsWon": "IsWon", "Amount": "Amount",
}

// told is what an event says of one record.
type told struct {
	at     time.Time
	values map[string]any
	lines  string
}

// The rows that the events of events/ speak of are as the newest of them leaves them, with
// its time: what is read of a record is neither older nor newer than its events.
func TestTheRowsAreAsTheEventsLeaveThem(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	byRecord := map[string][]told{}
	files, err := filepath.Glob("../../../events/[0-9]*.json")
	if err != nil || len(files) < 60 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		for id, of := range readEvent(t, file) {
			byRecord[id] = append(byRecord[id], of)
		}
	}
	compared := 0
	for id, events := range byRecord {
		slices.SortStableFunc(events, func(a, b told) int { return a.at.Compare(b.at) })
		want, last, lines := map[string]any{}, events[len(events)-1], ""
		for _, e := range events {
			for name, v := range e.values {
				want[name] = v
			}
			if e.lines != "" {
				lines = e.lines
			}
		}
		object := map[string]string{"001": "Account", "006": "Opportunity"}[id[:3]]
		status, text := tr.get("/sobjects/" + object + "/" + id)
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 {
			t.Errorf("%s %s: %d %s", object, id, status, text)
			continue
		}
		for name, v := range want {
			if compared++; got[name] != v {
				t.Errorf("%s: %s is %v, the events leave %v", id, name, got[name], v)
			}
		}
		if at := last.at.Format("2006-01-02T15:04:05.000+0000"); got["LastModifiedDate"] != at || got["SystemModstamp"] != at {
			t.Errorf("%s: changed %v, the last event is of %v", id, got["LastModifiedDate"], at)
		}
		if lines != "" {
			sameLines(t, tr, id, lines)
		}
	}
	if compared < 90 || len(byRecord) != 11 {
		t.Errorf("%d fields of %d records were compared", compared, len(byRecord))
	}
	status, text := tr.get(strings.Replace(q("SELECT IsDeleted, LastModifiedDate FROM Account WHERE Id = '0015f0000200004AAA'"), "/query", "/queryAll", 1))
	if status != 200 || !strings.Contains(text, `"IsDeleted":true,"LastModifiedDate":"2026-11-21T09:54:00.000+0000"`) {
		t.Errorf("the account that 25 deletes: %s", text)
	}
}

// readEvent is what a file says of accounts and opportunities of our org that stay.
func readEvent(t *testing.T, file string) map[string]told {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		DetailType string `json:"detail-type"`
		Source     string
		Detail     struct{ Payload map[string]any }
	}
	if json.Unmarshal(text, &e) != nil || !strings.Contains(e.Source, orgsandbox.OrgID) {
		return nil // cut off, or of another org
	}
	p := e.Detail.Payload
	header, _ := p["ChangeEventHeader"].(map[string]any)
	ids, _ := header["recordIds"].([]any)
	modified, _ := p["LastModifiedDate"].(string)
	if header == nil {
		ids = []any{p["Record_Id__c"]}
		modified, _ = p["Record_Modified_At__c"].(string)
	}
	if kind, _ := header["changeType"].(string); strings.HasPrefix(kind, "GAP_") { // its commit is all that it says
		ms, _ := header["commitTimestamp"].(float64)
		modified = time.UnixMilli(int64(ms)).UTC().Format(time.RFC3339)
	}
	at, err := time.Parse(time.RFC3339, modified)
	if err != nil || p["Operation__c"] == "DELETE" {
		return nil
	}
	of := told{at: at, values: map[string]any{}}
	of.lines, _ = p["Lines__c"].(string)
	for name, v := range p {
		if parts, compound := v.(map[string]any); compound && strings.HasSuffix(name, "Address") {
			for part, v := range parts {
				of.values[strings.TrimSuffix(name, "Address")+part] = v
			}
		} else if as := restNames[name]; as != "" { // also what an event was only enriched with: it was read from the row
			of.values[as] = v
		}
	}
	found := map[string]told{}
	for _, id := range ids {
		if id, _ := id.(string); strings.HasPrefix(id, "001") || strings.HasPrefix(id, "006") {
			found[id] = of
		}
	}
	return found
}

// sameLines compares the line items of an opportunity.
func sameLines(t *testing.T, tr *trial, id, lines string) {
	t.Helper()
	var want []struct {
		SKU, Description    string
		Quantity, UnitPrice float64
	}
	if err := json.Unmarshal([]byte(lines), &want); err != nil {
		t.Fatal(err)
	}
	_, text := tr.get(q("SELECT ProductCode, Description, Quantity, UnitPrice FROM OpportunityLineItem WHERE OpportunityId = '" + id + "'"))
	rows := member[[]any](t, text, "records")
	if len(rows) != len(want) {
		t.Errorf("%s has %d lines, the events leave %d", id, len(rows), len(want))
		return
	}
	for i, w := range want {
		row, _ := rows[i].(map[string]any)
		if row["ProductCode"] != w.SKU || row["Description"] != w.Description || row["Quantity"] != w.Quantity || row["UnitPrice"] != w.UnitPrice {
			t.Errorf("line %d of %s is %v, the events leave %v", i, id, row, w)
		}
	}
}
