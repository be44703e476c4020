// Package explain tells what an event is: where it comes from, what it says of which
// records, at which version, and which consumers would take it. It works offline, on
// every form in which an event may lie about.
package explain

import (
	"errors"
	"net/url"
	"slices"
	"strconv"

	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
)

// Explanation is what is said of one event. Its JSON is a contract with other tools.
type Explanation struct {
	OK         bool     `json:"ok"`
	Org        string   `json:"org"`
	Source     string   `json:"source"`
	DetailType string   `json:"detailType"`
	Transport  string   `json:"transport"` // a transport.Form, or sqs-batch for an event in one
	Changes    []Change `json:"changes"`

	event *salesforce.Event
}

// Change is what the event says of one record. An overflow or a wildcard says of
// none: its one entry has no record, and as NeedsFetch the reason for a resync.
type Change struct {
	Kind         string       `json:"kind"`
	Entity       string       `json:"entity"`
	RecordID     string       `json:"recordId"`
	ChangeType   string       `json:"changeType"` // empty for platform events
	Subject      string       `json:"subject"`    // what its order matters to; empty: unknown
	Identity     string       `json:"identity"`
	IdentityFrom string       `json:"identityFrom"`
	Version      string       `json:"version"`
	VersionParts VersionParts `json:"versionParts"`
	Changed      []string     `json:"changed"` // of an update
	Nulls        []string     `json:"nulls"`   // fields that it empties
	NeedsFetch   string       `json:"needsFetch"`
	Consumers    []string     `json:"consumers"`
}

// VersionParts are the readable parts of a version.
type VersionParts struct {
	TimeMS       int64  `json:"timeMs"`
	CommitNumber number `json:"commitNumber"`
	Sequence     uint16 `json:"sequence"`
}

// number is a JSON number as long as floating point holds it exactly, else a string.
type number uint64

func (n number) MarshalJSON() ([]byte, error) {
	text := strconv.FormatUint(uint64(n), 10)
	if n > 1<<53 {
		text = `"` + text + `"`
	}
	return []byte(text), nil
}

// Refusal says why an event would be refused.
type Refusal struct {
	OK      bool   `json:"ok"`    // false
	Class   string `json:"class"` // permanent, transient
	Name    string `json:"error"` // stable
	Message string `json:"message"`
}

func (r *Refusal) Error() string { return r.Message }

// Explain says of every event in raw what it is. An event that consumers would
// refuse has a *Refusal in its place.
func Explain(raw []byte, orgs salesforce.OrgList) []any {
	batch, err := transport.Open(raw)
	if err != nil {
		return []any{refusal(err)}
	}
	if len(batch.Messages) == 0 {
		return []any{&Refusal{Class: "permanent", Name: "no-event", Message: "no-event: there is no message in this batch"}}
	}
	all := make([]any, len(batch.Messages))
	for i, m := range batch.Messages {
		e, err := one(m, orgs)
		if err != nil {
			all[i] = refusal(err)
			continue
		}
		if batch.SQS && (m.Form == transport.Event || m.Form == transport.Replay) {
			e.Transport = "sqs-batch"
		}
		all[i] = e
	}
	return all
}

func refusal(err error) *Refusal {
	r := &Refusal{Class: "permanent", Name: "unknown", Message: err.Error()}
	if e, ok := errors.AsType[*salesforce.DecodeError](err); ok {
		r.Name = e.Name
	} else if e, ok := errors.AsType[*transport.Error](err); ok {
		r.Name = e.Name
	}
	return r
}

func one(m transport.Message, orgs salesforce.OrgList) (*Explanation, error) {
	if m.Err != nil {
		return nil, m.Err
	}
	event, err := salesforce.Decode(m.Event, salesforce.Options{Orgs: orgs})
	if err != nil {
		return nil, err
	}
	e := &Explanation{
		OK: true, Org: event.Org, Source: event.Source, DetailType: event.DetailType,
		Transport: string(m.Form), Changes: []Change{}, event: event,
	}
	if event.Resync != "" {
		e.Changes = append(e.Changes, describe(event.Cause))
	}
	for i := range event.Changes {
		c := &event.Changes[i]
		if m.Records != nil && !slices.Contains(m.Records, c.RecordID) {
			continue
		}
		d := describe(c)
		if t, ok := catalogue[event.DetailType]; ok {
			d.Consumers = t.consumers
			if d.RecordID, d.Subject, err = t.subject(c); err != nil {
				return nil, err
			}
			if thin(c, t) {
				d.NeedsFetch = "thin"
			}
		} else if c.RecordID != "" {
			d.Subject = c.Entity + "/" + c.RecordID
		}
		if c.Kind == salesforce.Platform {
			v, err := c.EventVersion(catalogue[event.DetailType].version)
			if err != nil {
				return nil, err
			}
			d.version(v)
		}
		e.Changes = append(e.Changes, d)
	}
	return e, nil
}

func describe(c *salesforce.Change) Change {
	d := Change{
		Kind: string(c.Kind), Entity: c.Entity, RecordID: c.RecordID, ChangeType: string(c.Type),
		Identity: c.Identity, IdentityFrom: c.IdentityFrom,
		Changed: append([]string{}, c.Changed...), Nulls: []string{},
		NeedsFetch: c.FetchReason(nil), Consumers: []string{},
	}
	if t, ok := catalogue[detailType(c)]; ok {
		d.Consumers = t.consumers
	}
	for path, v := range c.Fields.All() {
		if v.Null() && !v.Enriched() {
			d.Nulls = append(d.Nulls, path)
		}
	}
	d.version(c.Version)
	return d
}

func (d *Change) version(v order.Version) {
	p := v.Parts()
	d.Version = v.String()
	d.VersionParts = VersionParts{p.TimeMS, number(p.CommitNumber), p.Sequence}
}

// taker is who takes the events of one detail type, and what of them it orders by.
type taker struct {
	consumers []string
	object    string // of whose record the event speaks
	action    string // on the record, after its id; empty: its state
	record    string // payload field with the record's id; empty: a change event, or none
	version   salesforce.VersionFields
	style     string   // payload field that says THIN
	operation string   // payload field that says DELETE
	key       []string // without a record: payload fields that name the subject
}

// catalogue is the consumers of this collection. A test holds it to their definitions
// in functions/ and to the rules of template.yaml.
var catalogue = map[string]taker{
	"AccountChangeEvent": {consumers: []string{"customer-billing", "customer-erp"}, object: "Account"},
	"Cloud_Customer_Sync__e": {
		consumers: []string{"customer-billing", "customer-erp"}, object: "Account", record: "Record_Id__c",
		version: salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c", AlsoCDC: true},
		style:   "Payload_Style__c", operation: "Operation__c",
	},
	"Opportunity_Won__e": {
		consumers: []string{"opportunity-billing"}, object: "Opportunity", action: "/invoice", record: "Record_Id__c",
		version: salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c", AlsoCDC: true},
	},
	"OpportunityChangeEvent": {consumers: []string{"opportunity-billing"}, object: "Opportunity", action: "/invoice"},
	"Inventory_Update__e": {
		consumers: []string{"inventory-erp"}, object: "stock", key: []string{"Sku__c", "Warehouse__c"},
		version: salesforce.VersionFields{ModifiedAt: "Record_Modified_At__c"},
	},
}

// detailType is the name under which EventBridge delivers the change.
func detailType(c *salesforce.Change) string {
	if c.Kind == salesforce.Platform {
		return c.Entity
	}
	return salesforce.ChangeEventName(c.Entity)
}

// subject names what the consumers order the change by.
func (t taker) subject(c *salesforce.Change) (record, subject string, err error) {
	if c.Kind == salesforce.CDC {
		return c.RecordID, t.object + "/" + c.RecordID + t.action, nil
	}
	if t.record != "" {
		id, err := text(c, t.record)
		if err != nil {
			return "", "", err
		}
		if record, err = salesforce.ID18(id); err != nil {
			return "", "", &salesforce.DecodeError{Name: "invalid-record-id", Where: "/detail/payload/" + t.record, What: "want a record id of 15 or 18 characters"}
		}
		return record, t.object + "/" + record + t.action, nil
	}
	for i, field := range t.key {
		part, err := text(c, field)
		if err != nil {
			return "", "", err
		}
		subject += []string{"/", "@"}[min(i, 1)] + url.QueryEscape(part)
	}
	return "", t.object + subject, nil
}

// text is the content of a field that the consumer cannot do without.
func text(c *salesforce.Change, field string) (string, error) {
	where := "/detail/payload/" + field
	v, ok := c.Fields.Lookup(field)
	if !ok || v.Null() {
		return "", &salesforce.DecodeError{Name: "missing-field", Where: where, What: "the consumer cannot do without it"}
	}
	s, err := v.Text()
	if err != nil {
		return "", &salesforce.DecodeError{Name: "invalid-field", Where: where, What: "want a text"}
	}
	return s, nil
}

// thin reports whether a platform event only says that a record changed.
func thin(c *salesforce.Change, t taker) bool {
	is := func(field, want string) bool {
		v, ok := c.Fields.Lookup(field)
		if !ok || v.Null() {
			return false
		}
		s, err := v.Text()
		return err == nil && s == want
	}
	return t.style != "" && is(t.style, "THIN") && !is(t.operation, "DELETE")
}
