package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// repairs reports whether the message stands for a record whose state at the sink is in
// question, whatever its change says: to take the change again would answer "duplicate".
func (in *invocation) repairs(msg *transport.Message) bool {
	return in.asks() && in.def.policy == guard.FieldMerge &&
		(msg.Class == verdict.OverwroteNewer || msg.Class == verdict.RecordUnreadable && msg.Redrive)
}

// repair readies changes whose records are read after the claim, when nobody else writes,
// and sent whole.
func (in *invocation) repair(msg *transport.Message, event *salesforce.Event, changes []*salesforce.Change, source Source) {
	for _, ch := range changes {
		at, err := in.def.place(ch, source)
		if ch.Kind == salesforce.CDC && err == nil && !salesforce.IsRecordID(in.def.object, ch.RecordID) {
			_, err = salesforce.RecordID(in.def.object, ch.RecordID)
			err = invalid("recordIds", err)
		}
		w := in.work(msg, event, ch, settled{at.recordID, "", at.version})
		if err != nil {
			in.park(w, permanentOf(err), err, w.records())
			continue
		}
		w.subject = RecordKey(in.def.object, at.recordID).String()
		w.seen = change{Org: event.Org, RecordID: at.recordID, CDC: ch.Kind == salesforce.CDC, At: at.version.Time(), Type: ch.Type, Deleted: at.deleted}
		w.ch, w.change = ch, guard.Change{Kind: guard.Resync, Version: at.version}
		w.ready = true
	}
}

// reread reads the record under the claim. It returns the call that sends it whole, or why
// there is none to make.
func (in *invocation) reread(ctx context.Context, w *work, at guard.Attempt) (send func() guard.Outcome, refused guard.Outcome) {
	a := in.askFor(ctx, []string{w.recordID})
	w.line.OrgRequests += a.asked
	rec, fate := a.records[w.recordID], a.fates[w.recordID]
	read := in.binding.fresh()
	refused = guard.Outcome{Effect: guard.NotApplied, Permanent: true}
	switch {
	case a.err != nil:
		refused.Class, refused.Permanent = classOf(a.err)
		refused.Err = fmt.Errorf("the record has to be read again: %w", a.err)
		return nil, refused
	case rec == nil && !fate.Deleted && (!w.seen.Deleted || at.Version != w.change.Version): // no newer change brought it back
		refused.Class, refused.Err = verdict.RecordUnreadable, errNowhere
		return nil, refused
	case rec != nil && stamp(rec, "SystemModstamp").Before(at.Version.Time().Add(-commitSlack)) && in.env.Now().Before(at.Version.Time().Add(in.scaled(mostBehind))):
		return nil, guard.Outcome{Effect: guard.NotApplied, Uncounted: true, Class: verdict.NeedsFetch, RetryAfter: in.scaled(time.Second),
			Err: errors.New("the org does not show yet what the sink has: the record was read as it was before")}
	case rec != nil:
		if err := in.binding.fill(read, rec, a.without); err != nil {
			refused.Class, refused.Err = unreadable(err), err
			return nil, refused
		}
	}
	w.line.Read, w.seen.Content = "current", read
	for _, code := range in.binding.codes {
		at.Wins = append(at.Wins, guard.Win{Field: code, Version: at.Version})
	}
	return func() guard.Outcome {
		out := in.applied(ctx, at, func(part guard.Attempt) attempt {
			next := in.attempt([]*work{w}, part)
			next.whole = len(part.Wins) == len(in.binding.codes)
			next.change.Deleted = rec == nil
			return next
		})
		out.Deleted = rec == nil
		return out
	}, guard.Outcome{}
}

// unreadable is the class of a record that cannot be taken as it was read.
func unreadable(err error) verdict.Class {
	if _, ok := errors.AsType[*maskedError](err); ok {
		return verdict.RecordUnreadable
	}
	return permanentOf(err)
}

var errNowhere = errors.New("the record is neither there nor in the recycle bin for the integration user: it may not see it, or it was deleted for good")

// An event that names no records (GAP_OVERFLOW, wildcard ids) stands for all that its
// transaction changed of the object. The org tells which they were.
const (
	longestTransaction = 15 * time.Minute // from a save to its commit, with room
	overflowSettles    = 2 * time.Minute  // from the commit to where the org's list is asked for
	overflowPortion    = 200              // records of a message
	overflowAtOnce     = 50               // messages
)

// overflowed takes the records that the message names; of one that names none it puts
// those into the lane that the transaction may have changed.
func (in *invocation) overflowed(msg *transport.Message, event *salesforce.Event, source Source) {
	if msg.Records != nil {
		changes := make([]*salesforce.Change, len(msg.Records))
		for i, id := range msg.Records {
			changes[i] = &salesforce.Change{Said: event.Cause.Said, RecordID: id, Version: event.Cause.Version}
		}
		if msg.ReceiveCount > 1 && !msg.Redrive {
			changes = in.finished.without(msg.ID, event, changes)
		}
		in.prepare(msg, event, changes, source)
		return
	}
	w := in.add(&work{msg: msg, event: event})
	w.describe(event.Cause)
	committed := event.Cause.Version.Time()
	if from := committed.Add(in.scaled(overflowSettles)); in.env.Now().Before(from) {
		w.conclude(verdict.Failed, verdict.NeedsFetch, fmt.Errorf("%s: the org is asked for the records when its transaction is surely over", event.Resync))
		w.asked, w.notBefore = true, from
		return
	}
	ids, err := in.changedAround(committed, w)
	if err != nil {
		w.needs = fmt.Errorf("%s: the records have to be listed by the org", event.Resync)
		in.unanswered(w, err)
		if w.needs = nil; w.end.verdict == verdict.Parked {
			in.park(w, w.end.class, w.end.err, nil)
		}
		return
	}
	if len(ids) == 0 {
		w.conclude(verdict.Ignored, "", nil)
		return
	}
	if err := in.spread(msg, ids); err != nil {
		w.line.Records = len(ids)
		w.conclude(verdict.Failed, verdict.Unfinished, err)
		return
	}
	// Each of them leaves a line of its own; this is none of a change.
	in.env.Log.Logger().Info("records of an event that names none are read out of the buffer", "consumer", in.def.name,
		"eventId", event.ID, "detailType", event.DetailType, "reason", event.Resync, "records", len(ids), "orgRequests", w.line.OrgRequests)
	w.line.Verdict = verdict.Applied // what a redrive is answered
	w.putOff, w.over = true, true
}

// changedAround lists the records that a transaction may have changed.
func (in *invocation) changedAround(committed time.Time, w *work) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(in.beforeClosing(), askingTakes)
	defer cancel()
	w.line.OrgRequests++
	ids, covered, err := in.env.Org.Changed(ctx, in.def.object, committed.Add(-longestTransaction), committed.Add(time.Minute))
	if err == nil && covered.Before(committed) {
		err = &api.Error{What: "list " + in.def.object, Code: "NOT_COVERED", Status: 503, Err: errors.New("a transaction is still open in the org")}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// spread puts records of an event that names none into the lane.
func (in *invocation) spread(msg *transport.Message, ids []string) error {
	var bodies [][]byte
	quoted := transport.Quote(msg.Event)
	for portion := range slices.Chunk(ids, overflowPortion) {
		m := transport.Waiting{Consumer: in.def.name, Class: verdict.NeedsFetch, Records: portion}
		bodies = append(bodies, m.EncodeAround(quoted))
	}
	for some := range slices.Chunk(bodies, overflowAtOnce) {
		if err := in.env.Lane(in.ctx, some, 0); err != nil {
			return fmt.Errorf("the buffer did not take all of them: %w", err)
		}
	}
	return nil
}
