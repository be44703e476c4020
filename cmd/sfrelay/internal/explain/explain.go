// Package explain tells what an event is: where it comes from, what it says of which
// records, at which version, and which consumers would take it. It works offline, on
// an event as it is, in a batch of SQS records, or in a message of one of the queues.
package explain

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Explanation is what is said of one event. Its JSON is a contract with other tools.
type Explanation struct {
	OK         bool     `json:"ok"`
	Org        string   `json:"org"`
	Source     string   `json:"source"`
	DetailType string   `json:"detailType"`
	Transport  string   `json:"transport"`       // a transport.Form, or sqs-batch for an event in one
	Probe      bool     `json:"probe,omitempty"` // it says nothing, and every consumer that takes it answers so
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
	Consumers    []string     `json:"consumers"` // that take events of its name
	Readings     []Reading    `json:"readings"`  // what each of them does about it; empty for a resync, which all of them park
}

// Reading is what one consumer does about a change before its guard is asked: by its own
// reading, with the default settings.
type Reading struct {
	Consumer string `json:"consumer"`
	Does     string `json:"does"`   // takes, ignores, parks
	Class    string `json:"class"`  // of parks
	Reason   string `json:"reason"` // of ignores and parks, for people
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
		return []any{refusal(err, raw)}
	}
	if len(batch.Messages) == 0 {
		return []any{&Refusal{Class: "permanent", Name: "no-event", Message: "no-event: there is no message in this batch"}}
	}
	all := make([]any, len(batch.Messages))
	for i, m := range batch.Messages {
		e, err := one(m, orgs)
		if err != nil {
			all[i] = refusal(err, m.Event)
			continue
		}
		if batch.SQS && (m.Form == transport.Event || m.Form == transport.Replay) {
			e.Transport = "sqs-batch"
		}
		all[i] = e
	}
	return all
}

func refusal(err error, raw []byte) *Refusal {
	r := &Refusal{Class: "permanent", Name: "unknown", Message: err.Error()}
	if e, ok := errors.AsType[*salesforce.DecodeError](err); ok {
		r.Name = e.Name
	} else if e, ok := errors.AsType[*transport.Error](err); ok {
		r.Name = e.Name
	} else if e, ok := errors.AsType[*refused](err); ok {
		r.Name = e.Class.Name()
	}
	if hint := transport.Wrapping(raw); hint != "" {
		r.Message += "; " + hint
	}
	return r
}

func one(m transport.Message, orgs salesforce.OrgList) (*Explanation, error) {
	if m.Err != nil {
		return nil, m.Err
	}
	event, err := salesforce.Decode(m.Event, salesforce.Options{Orgs: orgs, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	e := &Explanation{
		OK: true, Org: event.Org, Source: event.Source, DetailType: event.DetailType,
		Transport: string(m.Form), Probe: event.Probe, Changes: []Change{}, event: event,
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
		if err := d.asTheyDo(event, c); err != nil {
			return nil, err
		}
		e.Changes = append(e.Changes, d)
	}
	return e, nil
}

// asTheyDo adds what the consumers make of the change. They agree on whose it is and
// when: a consumer that orders an event by something else takes another event.
func (d *Change) asTheyDo(event *salesforce.Event, c *salesforce.Change) error {
	defs := takers(event.DetailType)
	for i, def := range defs {
		look := def.Look(event, c)
		d.Readings = append(d.Readings, reading(def.Describe().Name, look))
		if i > 0 {
			continue
		}
		if look.Verdict == verdict.Parked && (look.Subject == "" || look.Version.IsZero()) {
			return &refused{look}
		}
		d.RecordID, d.Subject = look.RecordID, look.Subject
		if look.Thin {
			d.NeedsFetch = "thin"
		}
		d.version(look.Version)
	}
	if len(defs) > 0 {
		return nil
	}
	if c.RecordID != "" {
		d.Subject = c.Entity + "/" + c.RecordID
	}
	if c.Kind == salesforce.Platform {
		v, err := c.EventVersion(salesforce.VersionFields{})
		if err != nil {
			return err
		}
		d.version(v)
	}
	return nil
}

// reading says what a consumer does about a change.
func reading(name string, look consumer.Look) Reading {
	r := Reading{Consumer: name, Does: "takes"}
	switch look.Verdict {
	case verdict.Ignored:
		r.Does, r.Reason = "ignores", "the change touches nothing that it reads, or nothing that it acts on"
	case verdict.Parked:
		r.Does, r.Class, r.Reason = "parks", string(look.Class), look.Err.Error()
		if look.Class == verdict.NeedsSnapshot {
			r.Reason += "; a duplicate where it was done already"
		}
	}
	return r
}

// refused is a change that consumers would park without knowing whose or when it is.
type refused struct{ consumer.Look }

func (r *refused) Error() string { return r.Err.Error() }

// takers are the definitions that take events of the name.
func takers(detailType string) []consumer.Definition {
	return slices.DeleteFunc(functions.All(functions.Ports{}), func(def consumer.Definition) bool {
		return !slices.ContainsFunc(def.Describe().Sources, func(s consumer.Source) bool { return s.DetailType == detailType })
	})
}

func names(defs []consumer.Definition) []string {
	all := []string{}
	for _, def := range defs {
		all = append(all, def.Describe().Name)
	}
	return all
}

func describe(c *salesforce.Change) Change {
	d := Change{
		Kind: string(c.Kind), Entity: c.Entity, RecordID: c.RecordID, ChangeType: string(c.Type),
		Identity: c.Identity(), IdentityFrom: c.IdentityFrom,
		Changed: append([]string{}, c.Changed...), Nulls: []string{},
		NeedsFetch: c.FetchReason(nil), Consumers: names(takers(detailType(c))), Readings: []Reading{},
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

// detailType is the name under which EventBridge delivers the change.
func detailType(c *salesforce.Change) string {
	if c.Kind == salesforce.Platform {
		return c.Entity
	}
	return salesforce.ChangeEventName(c.Entity)
}
