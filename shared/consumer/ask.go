package consumer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/verdict"
)

// What an event leaves out is read from the org: once for all changes of a batch that need
// it, and not at all where none does. What is read is the state of the change that caused
// the reading: it holds that change and all before it, and every later one has an event of
// its own.

const (
	askingTakes  = 10 * time.Second // at most, of an invocation
	mostBehind   = 5 * time.Minute  // how long a read that is behind its change is repeated, from when EventBridge took the event
	commitSlack  = 2 * time.Second  // how far the time of a save may be before that of its commit
	longestAwait = 5 * time.Second
	secondOver   = 3 * time.Second // how late a row may be seen, from the end of its second on
)

// asks reports whether what an event leaves out can be read.
func (a *adapter) asks() bool { return a.env.Org != nil && a.binding.asks }

// absentFields are fields that this org turned out not to have.
type absentFields struct {
	mu     sync.Mutex
	fields map[string]bool
}

func (w *absentFields) copy() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := make(map[string]bool, len(w.fields))
	for f := range w.fields {
		c[f] = true
	}
	return c
}

func (w *absentFields) add(field string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fields == nil {
		w.fields = make(map[string]bool)
	}
	w.fields[field] = true
}

// answer is what the org said of records.
type answer struct {
	records map[string]*api.Record // by id
	fates   map[string]api.Fate    // of those that are not there
	without map[string]bool        // fields that the org does not have
	asked   int                    // statements
	err     error
}

// askFor reads records, and of those that are not there what became of them.
func (a *adapter) askFor(ctx context.Context, ids []string) (out answer) {
	ctx, cancel := context.WithTimeout(ctx, askingTakes)
	defer cancel()
	for tried := range a.binding.dependent() + 1 {
		out.records = make(map[string]*api.Record, len(ids))
		out.asked++
		out.without = a.without.copy()
		out.err = a.env.Org.Query(ctx, a.binding.statement(a.def.object, ids, out.without), func(rec *api.Record) error {
			id, err := salesforce.ValueOf(rec.Fields["Id"]).Text()
			out.records[id] = rec
			return err
		})
		e, ok := errors.AsType[*api.Error](out.err)
		if !ok || !salesforce.DependsOnOrg(e.Field) || tried == a.binding.dependent() {
			break
		}
		a.without.add(e.Field)
	}
	var missing []string
	for _, id := range ids {
		if out.records[id] == nil {
			missing = append(missing, id)
		}
	}
	if out.err == nil && len(missing) > 0 {
		out.asked++
		out.fates, out.err = a.env.Org.Fates(ctx, a.def.object, missing)
	}
	return out
}

// dependent is how many fields are read that not every org has.
func (b *binding) dependent() (n int) {
	for i := range b.fields {
		for _, path := range b.fields[i].rest {
			if salesforce.DependsOnOrg(path) {
				n++
			}
		}
	}
	return n
}

// ask reads what the works need that are not done with, and readies them for the guard, or
// ends them.
func (in *invocation) ask(works []*work) {
	var asking []*work
	var ids []string
	for _, w := range works {
		if w.over || w.needs == nil {
			continue
		}
		if !in.worthAsking(w, len(works)) {
			in.finish(w)
			continue
		}
		asking = append(asking, w)
		ids = append(ids, w.recordID)
	}
	if len(asking) == 0 {
		return
	}
	if !in.awaited(asking) {
		return
	}
	slices.Sort(ids)
	a := in.askFor(in.beforeClosing(), slices.Compact(ids))
	asking[0].line.OrgRequests += a.asked
	slices.SortStableFunc(asking, func(v, w *work) int {
		if c := strings.Compare(v.recordID, w.recordID); c != 0 {
			return c
		}
		return v.change.Version.Compare(w.change.Version)
	})
	partial := overlay{content: in.binding.fresh()}
	for _, w := range asking {
		in.answered(w, a, &partial)
	}
	in.endAsked(asking)
}

// awaited waits until the seconds are over in which the changes were saved, and a little more:
// the stamp of a row tells seconds, and the row of another save of the same second may be
// seen first. A change that says all needs no such care. It reports false where there is no
// time for it; then they come again.
func (in *invocation) awaited(works []*work) bool {
	now := in.env.Now()
	var until time.Time
	for _, w := range works {
		if from := w.change.Version.Time().Truncate(time.Second).Add(time.Second + in.scaled(secondOver)); !w.saysAll && from.After(until) {
			until = from
		}
	}
	wait := until.Sub(now)
	end, limited := in.beforeClosing().Deadline()
	switch {
	case wait <= 0:
		return true
	case wait > longestAwait || limited && end.Sub(now) < wait+in.def.contract().Effect+closing:
	case in.sleep(wait):
		return true
	}
	for _, w := range works {
		w.conclude(verdict.Failed, verdict.NeedsFetch, fmt.Errorf("%w; the second of its change is not over", w.needs))
		w.asked, w.notBefore = true, until
		in.finish(w)
	}
	return false
}

func (in *invocation) sleep(d time.Duration) bool {
	if in.env.Sleep != nil {
		return in.env.Sleep(in.ctx.Done(), d)
	}
	select {
	case <-time.After(d):
		return true
	case <-in.ctx.Done():
		return false
	}
}

// worthAsking ends what is done already.
func (in *invocation) worthAsking(w *work, works int) bool {
	if in.def.policy != guard.EachOnce || w.subject == "" || works > manyRecords {
		return true // of many the guard is asked when they have their content
	}
	done, later, err := in.guard.Done(in.ctx, w.event.Org, w.subject, w.change.Version)
	w.line.GuardRequests++
	w.asked = true
	switch {
	case err != nil:
		w.conclude(verdict.Failed, verdict.Unfinished, err)
		return false
	case done && !later:
		w.conclude(verdict.Duplicate, "", nil)
		return false
	}
	return true
}

// answered readies one work with what the org said, or says why it cannot be.
func (in *invocation) answered(w *work, a answer, partial *overlay) {
	defer func() {
		if p := recover(); p != nil {
			err := panicked(p)
			w.end.park(permanentOf(err), err)
		}
	}()
	rec, fate := a.records[w.recordID], a.fates[w.recordID]
	early := in.env.Now().Before(w.event.Time.Add(in.scaled(mostBehind))) && !w.msg.Redrive
	switch {
	case a.err != nil:
		in.unanswered(w, a.err)
	case rec == nil && early && in.lives(w, fate), rec != nil && early && in.behind(w, rec):
		w.conclude(verdict.Failed, verdict.NeedsFetch, errors.New("the org does not show the change yet: the record was read as it was before"))
		w.asked, w.notBefore = true, in.env.Now().Add(in.scaled(time.Second))
	case rec == nil && (fate.Deleted || w.seen.Deleted):
		in.gone(w, fate)
	case rec == nil:
		in.nowhere(w)
	default:
		w.line.Read = "current"
		if in.behind(w, rec) {
			w.line.Read = "old"
		}
		in.whole(w, rec, a.without, partial)
	}
}

// unanswered ends a work for which the org was asked in vain.
func (in *invocation) unanswered(w *work, err error) {
	class, final := classOf(err)
	err = fmt.Errorf("%w: %w", w.needs, err)
	if final || in.giveUp(w, class) {
		w.end.park(class, err)
		return
	}
	w.conclude(verdict.Failed, class, err)
	w.asked, w.failed = true, true
}

// classOf is why the org did not answer. What is final no repetition mends.
func classOf(err error) (class verdict.Class, final bool) {
	e, ok := errors.AsType[*api.Error](err)
	switch {
	case !ok:
		return verdict.OrgDown, false
	case e.Code == "BRAKE" || e.Code == "REQUEST_LIMIT_EXCEEDED":
		return verdict.OrgLimit, false
	case e.Temporary():
		return verdict.OrgDown, false
	case e.Setting != "":
		return verdict.Auth, false
	default:
		return verdict.RecordUnreadable, true
	}
}

// gone takes the record for deleted: the change was its deletion, or the org knows it.
func (in *invocation) gone(w *work, fate api.Fate) {
	if in.def.policy == guard.EachOnce && !w.seen.Deleted {
		cause := errors.New("the record was deleted before it could be read; look whether it still has to be acted on")
		if fate.Master != "" {
			cause = errors.New("the record was merged into another one before it could be read; look whether it still has to be acted on")
		}
		w.end.park(verdict.RecordUnreadable, cause)
		return
	}
	w.seen.Content, w.seen.Deleted = in.binding.fresh(), true
	w.change.Kind, w.change.Fields, w.ready = guard.Delete, nil, true
}

// nowhere ends a work whose record is not there and was not deleted, as far as can be seen.
func (in *invocation) nowhere(w *work) {
	if in.env.Now().Before(w.event.Time.Add(in.scaled(mostBehind))) && !w.msg.Redrive {
		w.conclude(verdict.Failed, verdict.NeedsFetch, errNowhere)
		w.asked, w.notBefore = true, in.env.Now().Add(in.scaled(time.Second))
		return
	}
	w.end.park(verdict.RecordUnreadable, errNowhere)
}

// lives reports whether the record may have come back since it was deleted: what deletes it
// after the change has a later second.
func (in *invocation) lives(w *work, fate api.Fate) bool {
	return w.event.Resync == "" && !w.seen.Deleted && fate.Deleted && !fate.Stamp.IsZero() && !fate.Stamp.After(w.change.Version.Time())
}

// behind reports whether the record was read as it was before the change.
func (in *invocation) behind(w *work, rec *api.Record) bool {
	if w.event.Resync != "" {
		return false // the org listed it after the commit, and it may be of another transaction
	}
	if saved := in.saved(w); !saved.IsZero() {
		return stamp(rec, "LastModifiedDate").Before(saved.Truncate(time.Second))
	}
	return stamp(rec, "SystemModstamp").Before(w.change.Version.Time().Add(-commitSlack))
}

func stamp(rec *api.Record, field string) time.Time {
	t, _ := salesforce.ValueOf(rec.Fields[field]).DateTime()
	return t
}

// whole makes the change the full state that was read. Fields that the change itself has
// are taken from it, so that a read that is behind does not lose them.
func (in *invocation) whole(w *work, rec *api.Record, without map[string]bool, partial *overlay) {
	read := in.binding.fresh()
	if err := in.binding.fill(read, rec, without); err != nil {
		w.end.park(unreadable(err), err)
		return
	}
	w.seen.Deleted = false
	if in.def.policy == guard.FieldMerge {
		partial.onto(in.binding, read, w)
		w.seen.Content = read
		w.change.Kind, w.ready = guard.Full, true
		if w.saysAll && w.line.Read == "old" {
			// Changes between the two may still be on their way, and win over what was read.
			w.change.Base = order.New(order.Parts{TimeMS: stamp(rec, "SystemModstamp").Unix() * 1000}, [4]byte{})
			return
		}
		w.change.Fields = nil
		return
	}
	w.seen.Content, w.seen.Fetched = read, true
	key := in.def.key(w.ch, w.seen)
	if !key.whole {
		w.end.park(permanentOf(errKey), errKey)
		return
	}
	w.subject, w.line.Subject = key.String(), key.String()
	if in.def.when != nil {
		switch in.def.when(w.seen) {
		case Ignore:
			w.conclude(verdict.Ignored, "", nil)
			return
		case NeedsSnapshot:
			w.end.park(verdict.NeedsSnapshot, errors.New("the record says that it happened, but not all that is needed to act on it"))
			return
		}
	}
	w.change.Kind, w.change.Fetched, w.ready = guard.Full, true, true
	w.change.Hash, w.change.Parts = in.binding.hashes(w.seen.Content)
}

// overlay is what the changes of one record say themselves, the older ones first. A change
// that does not say all ends it: what came before may have been changed by it.
type overlay struct {
	recordID string
	content  reflect.Value
	codes    []string
}

func (o *overlay) onto(b *binding, dst reflect.Value, w *work) {
	if o.recordID != w.recordID || !w.saysAll {
		o.recordID, o.codes = w.recordID, nil
	}
	b.overlay(o.content, w.seen.Content, w.change.Fields)
	for _, code := range w.change.Fields {
		if !slices.Contains(o.codes, code) {
			o.codes = append(o.codes, code)
		}
	}
	b.overlay(dst, o.content, o.codes)
}

// endAsked writes the lines of what is done with, and parks what ended alike together.
func (in *invocation) endAsked(works []*work) {
	var out []*work
	for _, w := range works {
		if w.ready {
			w.needs = nil
		} else if w.end.verdict == verdict.Parked {
			out = append(out, w)
		} else {
			in.finish(w)
		}
	}
	for len(out) > 0 {
		first := out[0]
		like := func(w *work) bool {
			return w.msg == first.msg && w.end.class == first.end.class && w.end.err.Error() == first.end.err.Error()
		}
		var alike []*work
		for _, w := range out {
			if like(w) {
				alike = append(alike, w)
			}
		}
		out = slices.DeleteFunc(out, like)
		in.parkTogether(alike, first.end.class, first.end.err)
		for _, w := range alike {
			in.finish(w)
		}
	}
}
