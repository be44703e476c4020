package consumer

import (
	"slices"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
)

// trace adds to the line of a change where it came through, how long that took, and the names
// of its fields: with the version of the change they tell which event set which field.
func (in *invocation) trace(w *work) {
	l := &w.line
	if in.order != nil {
		l.Redrive = in.order.By
	}
	if in.env.RequestID != nil {
		l.RequestID = in.env.RequestID(in.ctx)
	}
	if w.event == nil {
		return
	}
	l.Org = w.event.Org
	if taken := w.event.Time; !taken.IsZero() {
		if !w.change.Version.IsZero() {
			l.Publish = max(taken.Sub(w.change.Version.Time()), 0)
		}
		l.Queue = max(l.At.Sub(taken), 0)
	}
	if in.def.policy != guard.FieldMerge || w.several != nil || !w.ready {
		return
	}
	switch w.change.Kind {
	case guard.Partial:
		l.Fields = in.binding.namesOf(w.change.Fields, w.event.Kind)
	case guard.Full:
		l.Fields = in.binding.namesOf(in.binding.codes, w.event.Kind)
	}
}

// namesOf are the names of fields in the events of a kind, by their codes.
func (b *binding) namesOf(codes []string, kind salesforce.Kind) []string {
	names := make([]string, 0, len(codes))
	for _, code := range codes {
		i := slices.Index(b.codes, code)
		if i < 0 || i >= len(b.fields) {
			names = append(names, code)
			continue
		}
		names = append(names, b.fields[i].nameIn(kind))
	}
	return names
}

// nameIn is what a kind of event calls the field; that of the other kind where it has none.
func (f *boundField) nameIn(kind salesforce.Kind) string {
	switch {
	case kind == salesforce.Platform && f.event != "":
		return f.event
	case len(f.cdc) > 0:
		return f.cdc[0]
	case f.event != "":
		return f.event
	default:
		return f.name
	}
}
