package consumer

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// fetchThin is why a platform event that holds ids and times only cannot be applied.
const fetchThin = "thin"

// place is where a change belongs: whose it is, and when.
type place struct {
	recordID string // 18 characters; empty where the event names none
	deleted  bool
	thin     bool // a platform event that holds ids and times only
	version  order.Version
	only     []string // the fields that its publisher filled; nil: those that it has
}

// judged is what a consumer makes of a change before the guard is asked.
type judged struct {
	place
	seen    change
	fields  []string // codes of those it carries; Record only
	subject string   // empty: it cannot be told
	end
}

// end is what becomes of a change for which the guard is not asked. Its verdict is empty
// where the guard has to be asked.
type end struct {
	verdict verdict.Verdict
	class   verdict.Class // why
	err     error
	missing bool // it lacks content: whether it was done already is still to be asked
}

func (e *end) park(class verdict.Class, err error) {
	e.verdict, e.class, e.err = verdict.Parked, class, err
}

// body is what a consumer reads of an event, the same for each of its records. It is read
// once, however many they are.
type body struct {
	read    bool
	content reflect.Value
	fields  []string // codes of those that the change carries; Record only
	changed func(field string) bool
	names   func() []string
	partial bool
	fetch   error // why the record has to be read from Salesforce
	err     error // why the change is refused

	strange      error // why a record is: its id is that of another object
	strangeClass verdict.Class
}

// readBody fills in what is not read yet. A panic in the consumer's own code is a refusal.
func (d *definition) readBody(b *binding, ch *salesforce.Change, at place, source Source, out *body) {
	if out.read {
		return
	}
	out.content = b.fresh()
	out.read, out.changed, out.names = true, changedIn(ch.Said), sync.OnceValue(func() []string { return namesIn(ch.Said) })
	defer func() {
		if p := recover(); p != nil {
			out.err = panicked(p)
		}
	}()
	paths := b.paths(ch.Kind)
	reason := ch.FetchReason(paths)
	out.partial = reason != "" && ch.Kind == salesforce.CDC
	if d.any && ch.Kind == salesforce.CDC {
		reason, paths = "", []string{}
	}
	switch fields := ch.FetchFields(paths); {
	case at.thin:
		reason = fetchThin
	case len(fields) > 0:
		reason += " (" + strings.Join(fields[:min(len(fields), 5)], ", ") + ")"
	}
	if reason != "" || at.deleted {
		if out.fetch = toFetch(reason); d.policy == guard.FieldMerge && ch.Type == salesforce.Update && ch.NeedsFetch == "" {
			out.fields = b.carried(out.content, d.reading(ch, at, source))
		}
		return
	}
	out.fields, out.err = b.read(out.content, d.reading(ch, at, source))
	if e, ok := errors.AsType[*fieldError](out.err); ok && e.fetch {
		out.fetch, out.err, out.partial = toFetch(out.err.Error()), nil, ch.Kind == salesforce.CDC
		if d.policy == guard.FieldMerge && ch.Type == salesforce.Update {
			out.fields = b.carried(out.content, d.reading(ch, at, source))
		}
	} else if out.err == nil && d.policy == guard.FieldMerge && len(out.fields) == 0 {
		out.fetch = toFetch("no field of it is carried") // something was saved, and the event does not say what
	}
}

// saved is when the record was saved, as the change tells; zero where it does not. Only what
// is read, or acted on, needs it.
func (in *invocation) saved(w *work) time.Time {
	ch, source := w.ch, in.bySources[w.event.DetailType]
	field := "LastModifiedDate"
	if ch.Kind == salesforce.Platform {
		field = source.Event.ModifiedAt
	}
	if v, saying := ch.Says(field); field != "" && saying == salesforce.SaysValue {
		if t, err := v.DateTime(); err == nil {
			return t
		}
	}
	return time.Time{}
}

// toFetch is nil without a reason.
func toFetch(reason string) error {
	if reason == "" {
		return nil
	}
	return errors.New(reason + ": the record has to be read from Salesforce")
}

// panicked refuses a change because of a panic in the consumer's own code. It names the
// type only: a panic's text can hold field values.
func panicked(p any) error {
	return &fieldError{name: "consumer-panicked", whole: true,
		err: fmt.Errorf("the consumer's code panicked with a %T before it acted; fix it, deploy, then redrive", p)}
}

// judge runs the consumer's own reading of a change that it does not ignore. It needs no
// surroundings. read is that of the change's event.
func (d *definition) judge(b *binding, org string, ch *salesforce.Change, source Source, read *body) (j judged) {
	var err error
	if j.place, err = d.place(ch, source); err != nil {
		j.park(permanentOf(err), err)
		return j
	}
	if ch.Kind == salesforce.CDC && !salesforce.IsRecordID(d.object, ch.RecordID) {
		if read.strange == nil { // an event may name thousands of them: the first says enough
			_, err = salesforce.RecordID(d.object, ch.RecordID)
			read.strange = invalid("recordIds", err)
			read.strangeClass = permanentOf(read.strange)
		}
		j.park(read.strangeClass, read.strange)
		return j
	}
	d.readBody(b, ch, j.place, source, read)
	j.fields = read.fields
	j.seen = change{
		Org: org, RecordID: j.recordID, Content: read.content, Deleted: j.deleted, CDC: ch.Kind == salesforce.CDC,
		At: j.version.Time(), Changed: read.changed, Type: ch.Type, Partial: read.partial, Names: read.names,
	}
	if d.policy == guard.EachOnce { // nobody else's code sees a Change, and an event may be about thousands of records
		j.seen.Value = valueIn(ch.Said)
		if !j.version.IsZero() {
			j.seen.Version = j.version.String()
		}
	}
	if read.err != nil {
		j.park(permanentOf(read.err), read.err)
		return j
	}
	if read.fetch != nil && d.policy == guard.FieldMerge { // its subject is the record, which the log names anyway
		j.missing = true
		j.park(verdict.NeedsFetch, read.fetch)
		return j
	}
	key := d.key(ch, j.seen)
	if key.whole {
		j.subject = key.String()
	}
	switch {
	case read.fetch != nil:
		j.missing = true
		j.park(verdict.NeedsFetch, read.fetch)
	case !key.whole:
		j.park(permanentOf(errKey), errKey)
	case d.when != nil:
		switch d.when(j.seen) {
		case Ignore:
			j.verdict = verdict.Ignored
		case NeedsSnapshot:
			j.missing = true
			j.park(verdict.NeedsSnapshot, errors.New("the change says that it happened, but not all that is needed to act on it"))
		}
	}
	return j
}

// judgeSafely is judge; a panic in the consumer's own code costs it this change only.
func (in *invocation) judgeSafely(event *salesforce.Event, ch *salesforce.Change, source Source, read *body) (j judged) {
	defer func() {
		if p := recover(); p != nil {
			err := panicked(p)
			j.park(permanentOf(err), err)
		}
	}()
	return in.def.judge(in.binding, event.Org, ch, source, read)
}

// prepare decides what needs no guard, and readies the rest for it.
func (in *invocation) prepare(msg *transport.Message, event *salesforce.Event, changes []*salesforce.Change, source Source) {
	var read body
	var out outcomes
	for _, ch := range changes {
		j := in.judgeSafely(event, ch, source, &read)
		asks := j.missing && in.asks() && j.recordID != ""
		if j.verdict != "" && !asks {
			out.add(ch, j.end, settled{j.recordID, j.subject, j.version})
			continue
		}
		w := in.work(msg, event, ch, settled{j.recordID, j.subject, j.version})
		w.ch = ch
		w.change.Version, w.change.Fields, w.seen = in.factOf(w, j.version), j.fields, j.seen
		if asks {
			w.thin, w.needs = j.thin, j.err
			if in.def.policy == guard.FieldMerge {
				w.subject = RecordKey(in.def.object, j.recordID).String()
			}
			continue
		}
		w.change.Kind = in.kindOf(w, ch)
		w.saysAll = w.change.Kind == guard.Partial
		w.ready = true
	}
	in.conclude(msg, event, out)
}

// factOf is the version of what an action acts on: platform events tell the time of the
// save, and so does this, where the change has it. For others it is that of the change.
func (in *invocation) factOf(w *work, v order.Version) order.Version {
	if in.def.policy != guard.EachOnce {
		return v
	}
	saved := in.saved(w)
	if saved.IsZero() || !saved.Before(v.Time()) || salesforce.TooOld(saved) {
		return v
	}
	parts := v.Parts()
	parts.TimeMS = saved.UnixMilli()
	return order.New(parts, [4]byte(v[16:]))
}

// work is a change of an event on its way.
func (in *invocation) work(msg *transport.Message, event *salesforce.Event, ch *salesforce.Change, s settled) *work {
	w := in.add(&work{msg: msg, event: event})
	w.describe(ch)
	if s.recordID != "" {
		w.recordID = s.recordID
		w.line.Subject = RecordKey(in.def.object, s.recordID).String()
	}
	if !s.version.IsZero() {
		w.line.RecordVersion = s.version.String()
		w.line.Lag = w.line.At.Sub(s.version.Time())
	}
	if s.subject != "" {
		w.subject, w.line.Subject = s.subject, s.subject
	}
	return w
}

// withoutContent answers for a change that lacks what is needed: nil where it has to be
// parked. It never claims: the item must stay free for another source of the same fact.
func (in *invocation) withoutContent(w *work, class verdict.Class, cause error) (settled bool) {
	if in.def.policy != guard.EachOnce || w.subject == "" {
		return false
	}
	done, _, err := in.guard.Done(in.ctx, w.event.Org, w.subject, w.change.Version)
	w.line.GuardRequests++
	w.asked = true
	switch {
	case err != nil:
		w.conclude(verdict.Failed, verdict.Unfinished, err)
		return true
	case done:
		w.conclude(verdict.Duplicate, "", nil)
		return true
	}
	if until := in.patience(w, class); in.env.Now().Before(until) {
		w.conclude(verdict.Failed, class, fmt.Errorf("%w; another event with the rest is on its way", cause))
		w.notBefore = until
		return true
	}
	return false
}

// patience is how long a change that lacks content waits for another event of the same
// fact: the platform event of a change event comes over another relay, a moment before or
// after. The time counts from when EventBridge took the event. No attempt is counted.
func (in *invocation) patience(w *work, class verdict.Class) time.Time {
	if class != verdict.NeedsSnapshot || w.event.Time.IsZero() || w.msg.Redrive || len(in.def.events) == 0 {
		return time.Time{}
	}
	wait := otherEvent
	if in.env.Scale > 0 {
		wait = time.Duration(float64(wait) * in.env.Scale)
	}
	return w.event.Time.Add(wait)
}

// published is when Salesforce published the event: the record's own time never counts, a
// backfill of old records is not old.
func (w *work) published() time.Time {
	if w.event.CreatedDate.IsZero() {
		return w.event.Time
	}
	return w.event.CreatedDate
}

// records is the part of the message that a parked copy of the change speaks of.
func (w *work) records() []string {
	switch {
	case w.several != nil:
		return w.several
	case w.event != nil && w.event.Kind == salesforce.CDC && w.recordID != "":
		return []string{w.recordID}
	}
	return nil
}

// changedIn answers whether the change changed a field. It is asked for every record of
// an event, so the names are sorted out once.
func changedIn(said *salesforce.Said) func(string) bool {
	if said.Type != salesforce.Update {
		return func(field string) bool {
			v, ok := said.Fields.Lookup(field)
			return ok && !v.Enriched() && !v.Null()
		}
	}
	changed := sync.OnceValue(func() map[string]bool {
		names := make(map[string]bool, len(said.Changed))
		for _, name := range said.Changed {
			names[name] = true
		}
		return names
	})
	return func(field string) bool {
		names := changed()
		for i := range len(field) { // the compound fields around it, too
			if field[i] == '.' && names[field[:i]] {
				return true
			}
		}
		return names[field]
	}
}

// namesIn are the fields that a change event says were changed.
func namesIn(said *salesforce.Said) []string {
	switch said.Type {
	case salesforce.Update:
		return said.Changed
	case salesforce.Create, salesforce.Undelete:
		var names []string
		for path, v := range said.Fields.All() {
			if !v.Enriched() && !v.Null() {
				names = append(names, path)
			}
		}
		return names
	default:
		return nil
	}
}

// valueIn answers what a change event says of a field.
func valueIn(said *salesforce.Said) func(string) (*string, bool) {
	return func(field string) (*string, bool) {
		v, ok := said.Fields.Lookup(field)
		switch {
		case !ok && !v.Enriched():
			return nil, false
		case v.Null():
			return nil, true
		}
		text, err := plainText(v) // a difference has none
		return &text, err == nil
	}
}

// place reads where a change belongs. With an error it holds what could be read.
func (s *shape) place(ch *salesforce.Change, source Source) (at place, err error) {
	if ch.Kind == salesforce.CDC {
		return place{recordID: ch.RecordID, version: ch.Version, deleted: ch.Type == salesforce.Delete || ch.Type == salesforce.GapDelete}, nil
	}
	e := source.Event
	text := func(field string) (string, error) {
		if field == "" {
			return "", nil
		}
		v, saying := ch.Says(field)
		if saying == salesforce.SaysNothing || saying == salesforce.SaysValue && v.Null() {
			return "", nil
		}
		return v.Text()
	}
	if e.Record != "" {
		id, err := text(e.Record)
		switch {
		case err != nil:
			return at, &fieldError{name: "invalid-record-id", field: e.Record, err: err}
		case id == "":
			return at, &fieldError{name: "missing-field", field: e.Record}
		}
		if at.recordID, err = salesforce.RecordID(s.object, id); err != nil {
			return at, invalid(e.Record, err)
		}
	}
	if ch.IdentityFrom == "detail.payload.Event_Id__c" {
		if _, err := uuid.Parse(ch.Identity()); err != nil {
			return at, &fieldError{name: "invalid-event-id", field: "Event_Id__c", err: errors.New("is not a UUID")}
		}
	}
	op, err := text(e.Operation)
	switch {
	case err != nil:
		return at, &fieldError{name: "invalid-field", field: e.Operation, err: err}
	case op == "DELETE":
		at.deleted = true
	case op != "" && op != "UPSERT":
		return at, &fieldError{name: "unknown-operation", field: e.Operation, err: errors.New("is neither UPSERT nor DELETE")}
	}
	style, err := text(e.Style)
	if err != nil {
		return at, &fieldError{name: "invalid-field", field: e.Style, err: err}
	}
	at.thin = strings.EqualFold(style, "THIN") && !at.deleted
	if at.only, err = filled(ch, e.Fields, text); err != nil {
		return at, err
	}
	at.version, err = ch.EventVersion(salesforce.VersionFields{ModifiedAt: e.ModifiedAt, Sequence: e.Sequence, AlsoCDC: s.changes})
	return at, err
}

// filled are the fields that the publisher says it filled; nil where it says nothing.
func filled(ch *salesforce.Change, field string, text func(string) (string, error)) (only []string, err error) {
	list, err := text(field)
	if err != nil {
		return nil, &fieldError{name: "invalid-field", field: field, err: err}
	}
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ';' || r <= ' ' }) {
		if _, saying := ch.Says(name); saying == salesforce.SaysNothing {
			return nil, &fieldError{name: "invalid-field", field: field, err: errors.New("lists a field that the event does not have: write the API names of fields of the event")}
		}
		only = append(only, name)
	}
	return only, nil
}

// reading is how a change is read: as a full state, or as a part of one.
func (s *shape) reading(ch *salesforce.Change, at place, source Source) reading {
	r := reading{Change: ch, policy: s.policy, only: at.only, listed: source.Event.Fields}
	if ch.Kind == salesforce.CDC {
		r.whole = ch.Type != salesforce.Update
	} else {
		r.whole = s.policy != guard.FieldMerge
	}
	return r
}

func (in *invocation) kindOf(w *work, ch *salesforce.Change) guard.ChangeKind {
	if in.def.policy != guard.FieldMerge {
		if in.def.policy == guard.EachOnce {
			w.change.Hash, w.change.Parts = in.binding.hashes(w.seen.Content)
		}
		return guard.Full
	}
	if w.seen.Deleted {
		return guard.Delete
	}
	if len(w.change.Fields) == len(in.binding.codes) && (ch.Kind == salesforce.Platform || ch.Type != salesforce.Update) {
		w.change.Fields = nil
		return guard.Full
	}
	return guard.Partial
}
