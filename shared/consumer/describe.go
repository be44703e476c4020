package consumer

import (
	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Description is what a definition says of itself.
type Description struct {
	Name    string
	Policy  guard.Policy  // what order means to it
	Object  string        // whose records it is about; empty: none
	Subject string        // the form of its keys, e.g. "Opportunity/<id>/invoice"
	Sources []Source      // in the order of the definition, change events last
	Fields  []Field       // what it reads, in the order of the struct
	Sink    sink.Contract // of its port; the zero Contract without one
	InDoubt Doubt         // Action only
}

// Source is a kind of event that a consumer takes.
type Source struct {
	DetailType string          // by which EventBridge's rules choose: "AccountChangeEvent", "Inventory_Update__e"
	Kind       salesforce.Kind // salesforce.CDC or salesforce.Platform

	// Event holds the fields that the adapter itself reads; the zero PlatformEvent for
	// change events.
	Event PlatformEvent
}

// Paths are the fields of the source that the consumer reads, its own and those that
// the adapter reads for it, without Event_Id__c.
func (d Description) Paths(s Source) []string {
	var paths []string
	for _, f := range d.Fields {
		paths = append(paths, f.paths(s.Kind)...)
	}
	for _, p := range []string{s.Event.Record, s.Event.ModifiedAt, s.Event.Sequence, s.Event.Operation, s.Event.Style, s.Event.Fields} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

// Field is one field that a consumer reads.
type Field struct {
	Name     string   // of the struct
	Code     string   // guard code; Record only
	CDC      []string // paths in change events, before ACCOUNT_FIELDS renames them: the first with a value counts
	Event    string   // field of the platform events; empty: not read
	Ref      string   // object whose record ids it holds; empty: no ids
	Required bool     // a platform event without a value is refused
}

func (f Field) paths(k salesforce.Kind) []string {
	switch {
	case k == salesforce.CDC:
		return f.CDC
	case f.Event != "":
		return []string{f.Event}
	default:
		return nil
	}
}

// Look is what a consumer makes of one change before the guard is asked.
type Look struct {
	Takes    bool   // the event is one of its sources; everything else is empty if not
	RecordID string // 18 characters; empty where the event names no record
	Subject  string // the key of the thing whose order matters; empty: it cannot be told
	Version  order.Version
	Fields   []string // codes of those that it carries; Record only
	Thin     bool     // a platform event that holds ids and times only

	// Verdict is verdict.Ignored or verdict.Parked, with a class and a reason; empty where
	// the change goes to the guard. What the guard, the consumer's settings (orgs, field
	// names, stages) and the sink make of it nobody can say without them.
	Verdict verdict.Verdict
	Class   verdict.Class
	Err     error
}

// Describe implements Definition.
func (s State[T]) Describe() Description { return s.definition().describe() }

// Describe implements Definition.
func (r Record[T]) Describe() Description { return r.definition().describe() }

// Describe implements Definition.
func (a Action[T]) Describe() Description { return a.definition().describe() }

// Port implements Definition.
func (s State[T]) Port() sink.Port { return s.To }

// Port implements Definition.
func (r Record[T]) Port() sink.Port { return r.To }

// Port implements Definition.
func (a Action[T]) Port() sink.Port { return a.To }

// Look implements Definition.
func (s State[T]) Look(e *salesforce.Event, ch *salesforce.Change) Look {
	return s.definition().look(e, ch)
}

// Look implements Definition.
func (r Record[T]) Look(e *salesforce.Event, ch *salesforce.Change) Look {
	return r.definition().look(e, ch)
}

// Look implements Definition.
func (a Action[T]) Look(e *salesforce.Event, ch *salesforce.Change) Look {
	return a.definition().look(e, ch)
}

func (d definition) describe() Description {
	out := Description{
		Name: d.name, Policy: d.policy, Object: d.object, Subject: d.form(), Sources: d.sources(), Sink: d.contract(), InDoubt: d.inDoubt,
	}
	b, _ := bind(d.reads, &d.shape, nil) // its mistakes are for New
	for _, f := range b.fields {
		out.Fields = append(out.Fields, Field{Name: f.name, Code: f.code, CDC: f.cdc, Event: f.event, Ref: f.object, Required: f.required})
	}
	return out
}

// form is the form of a definition's keys, for people.
func (s *shape) form() string {
	switch {
	case s.keyed:
		return "<key>"
	case s.perEvent:
		return "event/<event id>"
	case s.action != "":
		return s.object + "/<id>/" + s.action
	default:
		return s.object + "/<id>"
	}
}

func (d definition) look(e *salesforce.Event, ch *salesforce.Change) (out Look) {
	source, ok := d.source(e.DetailType)
	if !ok {
		return out
	}
	b, err := bind(d.reads, &d.shape, nil)
	if err != nil { // New says it
		return Look{Takes: true, Verdict: verdict.Parked, Class: permanentOf(err), Err: err}
	}
	var j judged
	if b.ignores(ch.Said) {
		j.recordID, j.verdict = ch.RecordID, verdict.Ignored
	} else {
		j = d.judge(b, e.Org, ch, source, &body{})
	}
	out = Look{
		Takes: true, RecordID: j.recordID, Subject: j.subject, Version: j.version, Fields: j.fields, Thin: j.thin,
		Verdict: j.verdict, Class: j.class, Err: j.err,
	}
	if out.Version.IsZero() { // told all the same, though it does not matter
		if at, err := d.place(ch, source); err == nil {
			out.Version = at.version
		}
	}
	if out.Subject == "" { // as far as the fields of the key can be read, whatever the others hold
		c := change{Org: e.Org, RecordID: j.recordID, Content: b.fresh()}
		for i := range b.fields {
			_, _ = b.fields[i].read(c.Content, d.reading(ch, j.place, source))
		}
		if k := d.key(ch, c); k.whole {
			out.Subject = k.String()
		}
	}
	return out
}
