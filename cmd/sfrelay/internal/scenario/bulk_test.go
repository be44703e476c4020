package scenario

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/salesforce"
)

// Every record of a load is named once, by an event that the decoder takes as one change
// for each.
func TestBulkEvents(t *testing.T) {
	b := Bulk{Events: 3, Records: 4}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	events, err := b.events(at)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	names := map[string]string{}
	for _, e := range events {
		event, err := salesforce.Decode(e.JSON, salesforce.Options{Now: at})
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind != salesforce.CDC || len(event.Changes) != 4 {
			t.Errorf("the event is of kind %v and has %d changes", event.Kind, len(event.Changes))
		}
		var envelope struct {
			Detail struct {
				Payload struct {
					Name   string
					Header struct{ RecordIDs []string } `json:"ChangeEventHeader"`
				}
			}
		}
		if err := json.Unmarshal(e.JSON, &envelope); err != nil {
			t.Fatal(err)
		}
		for _, id := range envelope.Detail.Payload.Header.RecordIDs {
			if names[id] != "" {
				t.Errorf("%s is named twice", id)
			}
			names[id] = envelope.Detail.Payload.Name
		}
	}
	if len(names) != 12 || names["0015f0000300000AAA"] != "Bulk 000 Example Ltd" || names["0015f0000300011AAA"] != "Bulk 002 Example Ltd" {
		t.Errorf("%d records: %v", len(names), names)
	}
}

// A record that is missing, that a sink took twice, that has another name or that nobody
// sent is a mistake, and so is a message in a queue.
func TestBulkComparesEveryRecord(t *testing.T) {
	b := Bulk{Events: 2, Records: 1, AtMost: time.Minute}
	const first, second = "0015f0000300000AAA", "0015f0000300001AAA"
	right := func() map[string][]string {
		return map[string][]string{first: {"Bulk 000 Example Ltd"}, second: {"Bulk 001 Example Ltd"}}
	}
	if m := b.compare(holdings{right(), right()}); len(m) > 0 {
		t.Errorf("what is right differs: %q", m)
	}
	for says, wrong := range map[string]func(map[string][]string){
		first + `: want "Bulk 000 Example Ltd" once, is []`:  func(m map[string][]string) { delete(m, first) },
		`is ["Bulk 001 Example Ltd" "Bulk 001 Example Ltd"]`: func(m map[string][]string) { m[second] = append(m[second], m[second]...) },
		`is ["Bulk 000 Example Ltd"]`:                        func(m map[string][]string) { m[second] = m[first] },
		"1 records that nobody sent":                         func(m map[string][]string) { m["0015f0000300002AAA"] = m[first] },
	} {
		for sink, h := range map[string]holdings{"erp": {right(), right()}, "billing": {right(), right()}} {
			held := h.erp
			if sink == "billing" {
				held = h.billing
			}
			wrong(held)
			if m := b.compare(h); len(m) != 1 || !strings.HasPrefix(m[0], sink+": ") || !strings.Contains(m[0], says) {
				t.Errorf("%s: %q, want %q", sink, m, says)
			}
		}
	}
	for says, s := range map[string]BulkState{
		"":                              {ERP: 2, Billing: 2},
		"1 messages":                    {ERP: 2, Billing: 2, Waiting: 1},
		"not done":                      {ERP: 2, Billing: 1},
		"after 1m0s":                    {ERP: 1, Billing: 2},
		"3 messages are in the buffers": {ERP: 2, Billing: 2, Buffered: 3},
	} {
		if m := strings.Join(s.mistakes(b), "\n"); (says == "") != (m == "") || !strings.Contains(m, says) {
			t.Errorf("%+v: %q, want %q", s, m, says)
		}
	}
}
