package consumertest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Org is the org of the events that the builders make; Now is when a Kit begins. Times
// of events are seconds after Start, a minute before.
const Org = "00D5f000005KcCnEAK"

// The moments of a test.
var (
	Start = time.Date(2026, 11, 22, 11, 59, 0, 0, time.UTC)
	Now   = Start.Add(time.Minute)
)

// At is a Date/Time field at the given second after Start.
func At(second int) string {
	return Start.Add(time.Duration(second) * time.Second).Format("2006-01-02T15:04:05.000Z")
}

// PlatformEvent is a platform event as EventBridge delivers it, published half a second
// after the given second: the fields are those of its payload, null for nil. Two events
// of one name and second with the same fields are one event that was delivered twice.
// Fields may hold CreatedDate and Event_Id__c to have it otherwise.
func PlatformEvent(name string, second int, fields map[string]any) []byte {
	payload := map[string]any{
		"CreatedDate": Start.Add(time.Duration(second)*time.Second + 500*time.Millisecond).Format("2006-01-02T15:04:05.000Z"),
	}
	for k, v := range fields {
		payload[k] = v
	}
	if _, ok := payload["Event_Id__c"]; !ok {
		payload["Event_Id__c"] = uuidOf(name, payload)
	}
	return envelope(name, second, payload)
}

// Create, Update, Delete and Undelete are change events (Change Data Capture) of one
// record as EventBridge delivers them, committed at the given second. A field of a
// compound one is written with its path, "BillingAddress.City", and null is nil. An
// update changes just the fields it holds.

// Create is the change event of a new record.
func Create(object, id string, second int, fields map[string]any) []byte {
	return Change{Object: object, Kind: "CREATE", IDs: []string{id}, Second: second, Fields: fields}.Event()
}

// Update is the change event of a change of the fields.
func Update(object, id string, second int, fields map[string]any) []byte {
	return Change{Object: object, Kind: "UPDATE", IDs: []string{id}, Second: second, Fields: fields}.Event()
}

// Delete is the change event of a record that was deleted.
func Delete(object, id string, second int) []byte {
	return Change{Object: object, Kind: "DELETE", IDs: []string{id}, Second: second}.Event()
}

// Undelete is the change event of a record that came back, with all its fields.
func Undelete(object, id string, second int, fields map[string]any) []byte {
	return Change{Object: object, Kind: "UNDELETE", IDs: []string{id}, Second: second, Fields: fields}.Event()
}

// Change is a change event of any form.
type Change struct {
	Object  string
	Kind    string   // changeType
	IDs     []string // recordIds
	Second  int      // when it was committed, after Start
	Fields  map[string]any
	Changed []string // changedFields; nil on an UPDATE: the names of Fields
	Origin  string   // changeOrigin
}

// Event is the change as EventBridge delivers it.
func (c Change) Event() []byte {
	changed := append([]string{}, c.Changed...)
	payload := map[string]any{}
	for path, v := range c.Fields {
		if c.Kind == "UPDATE" && c.Changed == nil {
			changed = append(changed, path)
		}
		name, component, compound := strings.Cut(path, ".")
		if !compound {
			payload[name] = v
			continue
		}
		parts, _ := payload[name].(map[string]any)
		if parts == nil {
			parts = map[string]any{}
			payload[name] = parts
		}
		parts[component] = v
	}
	slices.Sort(changed)
	payload["ChangeEventHeader"] = map[string]any{
		"entityName": c.Object, "recordIds": c.IDs, "changeType": c.Kind, "changedFields": changed, "changeOrigin": c.Origin,
		"transactionKey": fmt.Sprintf("0001ade9-3f74-0b99-dbc4-%012d", c.Second), "sequenceNumber": 1,
		"commitTimestamp": Start.Add(time.Duration(c.Second) * time.Second).UnixMilli(),
		"commitNumber":    json.Number(fmt.Sprintf("17455007066836%05d", c.Second)), "commitUser": "0055f000005mc66AAA",
	}
	name := c.Object + "ChangeEvent"
	if custom, ok := strings.CutSuffix(c.Object, "__c"); ok {
		name = custom + "__ChangeEvent"
	}
	return envelope(name, c.Second, payload)
}

// envelope is EventBridge's around an event of the relay, which took it a second after
// it happened.
func envelope(detailType string, second int, payload map[string]any) []byte {
	b, err := json.Marshal(map[string]any{
		"version": "0", "id": uuidOf("envelope "+detailType, payload), "detail-type": detailType,
		"source":  "aws.partner/salesforce.com/" + Org + "/0YL5f000000CabWGAS",
		"account": "123456789012", "region": "eu-west-1", "resources": []string{},
		"time":   Start.Add(time.Duration(second+1) * time.Second).Format(time.RFC3339),
		"detail": map[string]any{"payload": payload},
	})
	if err != nil {
		panic(fmt.Sprintf("consumertest: the fields of %s are no JSON: %v", detailType, err))
	}
	return b
}

// uuidOf is a UUID (version 8, RFC 9562) made of the content, so that the same content
// is the same event.
func uuidOf(name string, payload map[string]any) string {
	b, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("consumertest: the fields of %s are no JSON: %v", name, err))
	}
	h := sha256.Sum256(append([]byte(name+"\x00"), b...))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
