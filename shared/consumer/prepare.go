package consumer

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
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
type judged[T any] struct {
	place
	seen    Change[T]
	fields  []string // codes of those it carries; Record only
	subject string   // empty: it cannot be told

	// verdict is empty where the guard has to be asked. Else class and err say why not.
	verdict verdict.Verdict
	class   verdict.Class
	err     error
	missing bool // it lacks content: whether it was done already is still to be asked
}

func (j *judged[T]) park(class verdict.Class, err error) {
	j.verdict, j.class, j.err = verdict.Parked, class, err
}

// judge runs the consumer's own reading of a change that it does not ignore. It needs no
// surroundings.
func (d *definition[T]) judge(b *binding, org string, ch *salesforce.Change, source Source) (j judged[T]) {
	paths := b.paths(ch.Kind)
	var err error
	if j.place, err = d.place(ch, source); err != nil {
		j.park(permanentOf(err), err)
		return j
	}
	j.seen = Change[T]{Org: org, RecordID: j.recordID, Deleted: j.deleted, CDC: ch.Kind == salesforce.CDC, At: j.version.Time(), Changed: changedIn(ch)}
	reason := ch.FetchReason(paths)
	switch fields := ch.FetchFields(paths); {
	case j.thin:
		reason = fetchThin
	case len(fields) > 0:
		reason += " (" + strings.Join(fields[:min(len(fields), 5)], ", ") + ")"
	}
	if reason == "" && !j.deleted {
		j.fields, err = b.read(reflect.ValueOf(&j.seen.Content).Elem(), d.reading(ch, j.place, source))
		if e, ok := errors.AsType[*fieldError](err); ok && e.fetch {
			reason = err.Error()
		} else if err != nil {
			j.park(permanentOf(err), err)
			return j
		} else if d.policy == guard.FieldMerge && len(j.fields) == 0 {
			reason = "no field of it is carried" // something was saved, and the event does not say what
		}
	}
	key := d.key(ch, j.seen)
	if key.whole {
		j.subject = key.String()
	}
	switch {
	case reason != "":
		j.missing = true
		j.park(verdict.NeedsFetch, fmt.Errorf("%s: the record has to be read from Salesforce", reason))
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

// prepare decides what needs no guard, and readies the rest for it.
func (in *invocation[T]) prepare(w *work[T], ch *salesforce.Change, source Source) {
	j := in.def.judge(in.binding, w.event.Org, ch, source)
	if j.recordID != "" {
		w.recordID = j.recordID
		w.line.Subject = RecordKey(in.def.object, j.recordID).String()
	}
	if !j.version.IsZero() {
		w.line.RecordVersion = j.version.String()
		w.line.Lag = w.line.At.Sub(j.version.Time())
		// The decoder holds versions against the event's own time. Where that is missing, our
		// clock has to do: a version in the future would win for ever.
		if w.event.Time.IsZero() && j.version.Time().After(w.line.At.Add(5*time.Minute)) {
			in.park(w, verdict.Permanent("version-in-future"), errors.New("the change is dated after now, and the event has no time to hold it against"), w.records())
			return
		}
	}
	w.change.Version, w.change.Fields, w.seen = j.version, j.fields, j.seen
	if j.subject != "" {
		w.subject, w.line.Subject = j.subject, j.subject
	}
	switch {
	case j.missing:
		in.parkWithoutContent(w, j.class, j.err)
	case j.verdict == verdict.Parked:
		in.park(w, j.class, j.err, w.records())
	case j.verdict != "":
		w.conclude(j.verdict, "", nil)
	default:
		w.change.Kind = in.kindOf(w, ch)
		w.ready = true
	}
}

// parkWithoutContent parks a change that lacks what is needed. It never claims: the item
// must stay free for another source of the same fact.
func (in *invocation[T]) parkWithoutContent(w *work[T], class verdict.Class, cause error) {
	if in.def.policy == guard.EachOnce && w.subject != "" {
		done, err := in.guard.Done(in.ctx, w.event.Org, w.subject)
		w.line.GuardRequests++
		switch {
		case err != nil:
			w.conclude(verdict.Failed, verdict.Unfinished, err)
			return
		case done:
			w.conclude(verdict.Duplicate, "", nil)
			return
		}
		if until := in.patience(w, class); in.env.Now().Before(until) {
			w.conclude(verdict.Failed, class, fmt.Errorf("%w; another event with the rest is on its way", cause))
			w.notBefore = until
			return
		}
	}
	in.park(w, class, cause, w.records())
}

// patience is how long a change that lacks content waits for another event of the same
// fact: the platform event of a change event comes over another relay, a moment before or
// after. The time counts from when EventBridge took the event. No attempt is counted.
func (in *invocation[T]) patience(w *work[T], class verdict.Class) time.Time {
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
func (w *work[T]) published() time.Time {
	if w.event.CreatedDate.IsZero() {
		return w.event.Time
	}
	return w.event.CreatedDate
}

// records is the part of the message that a parked copy of the change speaks of.
func (w *work[T]) records() []string {
	if w.event.Kind == salesforce.CDC && w.recordID != "" {
		return []string{w.recordID}
	}
	return nil
}

func changedIn(ch *salesforce.Change) func(string) bool {
	return func(field string) bool {
		if ch.Type == salesforce.Update {
			return names(ch.Changed, field)
		}
		v, ok := ch.Fields.Lookup(field)
		return ok && !v.Enriched() && !v.Null()
	}
}

// place reads where a change belongs. With an error it holds what could be read.
func (s *shape) place(ch *salesforce.Change, source Source) (at place, err error) {
	if ch.Kind == salesforce.CDC {
		at = place{recordID: ch.RecordID, version: ch.Version, deleted: ch.Type == salesforce.Delete || ch.Type == salesforce.GapDelete}
		if _, err := salesforce.RecordID(s.object, ch.RecordID); err != nil {
			return at, invalid("recordIds", err)
		}
		return at, nil
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
		if _, err := uuid.Parse(ch.Identity); err != nil {
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

func (in *invocation[T]) kindOf(w *work[T], ch *salesforce.Change) guard.ChangeKind {
	if in.def.policy != guard.FieldMerge {
		if in.def.policy == guard.EachOnce {
			w.change.Hash = contentHash(w.seen.Content)
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
