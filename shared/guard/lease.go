package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"sfrelay/shared/verdict"
)

// parkForgotten parks an event that is older than the memory and unknown: its item may
// have expired, so nobody can say whether it was applied. An operator who
// redrives it decides that it was not.
func (r *run) parkForgotten() bool {
	if !r.call.EventSubject || r.call.Redrive && !r.call.Unattended || r.call.Published.IsZero() ||
		r.cfg.Now().Sub(r.call.Published) < memory {
		return false
	}
	rec, err := r.store.Read(r.ctx, r.key)
	r.report.Requests++
	if err == nil && rec != nil {
		return false
	}
	for i := range r.call.Changes {
		if err != nil {
			r.report.Results[i] = Result{Verdict: verdict.Failed, Class: verdict.Unfinished, Err: err}
			continue
		}
		r.park(i, verdict.TooOld, fmt.Errorf("published more than %d days ago, longer than events are remembered", int(memory.Hours()/24)))
	}
	return true
}

// claimTries bounds the waiting for somebody else's lease, whatever the clock does.
const claimTries = 100

// claim makes this run the one who may act. It reports false when there is nothing
// to do, or nothing to do now; the results say which.
func (r *run) claim() bool {
	giveUp, ok := r.patience()
	if !ok {
		r.each(func(*Change) Result {
			return Result{Verdict: verdict.Failed, Class: verdict.Unfinished, NotBefore: r.cfg.Now(),
				Err: errors.New("too little of the invocation's time is left to begin")}
		})
		return false
	}
	pause := scaleBy(100*time.Millisecond, r.cfg.scale())
	for range claimTries {
		now := r.now()
		c := claim{
			policy: r.cfg.Policy, key: r.key, changes: r.call.Changes, redrive: r.call.Redrive,
			token: newToken(r.cfg.Now(), r.cfg.Random()),
			now:   now, until: now + r.times.lease().Milliseconds(),
			expires: r.expires(now),
		}
		c.doubt = c.token
		if !r.cfg.RestoredAt.IsZero() {
			c.doubt = c.token.timeless()
		}
		old, ok, err := r.store.Write(r.ctx, c.write())
		r.report.Requests++
		if err != nil {
			r.each(func(*Change) Result {
				return Result{Verdict: verdict.Failed, Class: verdict.Unfinished, Err: fmt.Errorf("claim: %w", err)}
			})
			return false
		}
		it := ReadItem(old)
		if ok || c.read(&it) == mine {
			r.begin(&c, it, ok)
			return true
		}
		if c.read(&it) == decided {
			r.answerDecided(&it)
			return false
		}
		if !r.wait(&it, now, giveUp, pause) {
			r.refused(&it, now)
			return false
		}
		pause = min(2*pause, scaleBy(time.Second, r.cfg.scale()))
	}
	r.refused(&Item{}, r.now())
	return false
}

// patience is until when a claim waits for somebody else, in ms: as long as it is told
// to, as far as the whole effect has room before the invocation ends. It reports false
// when there is no room to begin with.
func (r *run) patience() (giveUp int64, ok bool) {
	now := r.cfg.Now()
	giveUp = now.Add(scaleBy(r.call.BusyWait, r.cfg.scale())).UnixMilli()
	if d, limited := r.ctx.Deadline(); limited {
		last := d.Add(-r.Room())
		return min(giveUp, last.UnixMilli()), !last.Before(now)
	}
	return giveUp, true
}

// wait waits a little for the one who holds the item. It reports false when the waiting
// is over. The end of a protection is known, that of a lease may come any time.
func (r *run) wait(it *Item, now, giveUp int64, pause time.Duration) bool {
	d := time.Duration(max(it.Until-now, 1)) * time.Millisecond
	if !it.protected(now) {
		d = min(d, pause)
		d += time.Duration(r.cfg.Jitter() * float64(d))
	}
	return now+d.Milliseconds() < giveUp && r.cfg.Sleep(r.ctx.Done(), d) && r.now() <= giveUp
}

// refused says of every change who, or what, holds the item. A protection is not
// "busy": nobody works there, and what the last attempt ended with is the reason.
func (r *run) refused(it *Item, now int64) {
	res := Result{Verdict: verdict.Busy, Class: verdict.SubjectBusy, Epoch: it.Epoch, NotBefore: time.UnixMilli(max(it.Until, now+1))}
	if it.protected(now) {
		res.Verdict, res.Class = verdict.Failed, cmp.Or(it.Class, verdict.Unknown)
		res.Err = fmt.Errorf("not before %s: the attempt before this one ended as %s, and its request may still be on its way",
			res.NotBefore.UTC().Format(time.RFC3339), res.Class)
	}
	r.each(func(*Change) Result { return res })
}

// begin notes what the claim found. fresh is false when the item is my own claim
// already, because a lost response was sent again.
func (r *run) begin(c *claim, it Item, fresh bool) {
	r.token, r.until, r.item = c.token, c.until, it
	r.readMarks(&it)
	if fresh {
		r.epoch, r.attempt = it.Epoch+1, it.Attempts+1
		if !it.Exists {
			r.epoch = c.now + 1
		}
		if c.redrive {
			r.attempt = 1
		}
		r.inDoubt = it.InDoubt
	} else {
		r.epoch, r.attempt = it.Epoch, it.Attempts
		r.inDoubt = !it.Doubt.sameAttempt(c.token)
	}
	r.since = time.Time{}
	if r.inDoubt && it.Doubt.millis() > 0 {
		r.since = time.UnixMilli(it.Doubt.millis())
	}
	if restored := r.cfg.RestoredAt; !restored.IsZero() {
		// After a lost response the owner before me cannot be seen: careful.
		if !fresh || !it.Exists || it.Owner.millis() < restored.UnixMilli() {
			r.inDoubt, r.since = true, time.Time{}
		}
	}
}

func (r *run) answerDecided(it *Item) {
	r.readMarks(it)
	for i := range r.call.Changes {
		ch := &r.call.Changes[i]
		res := Result{Verdict: ch.againstItem(it, r.cfg.Policy), Epoch: it.Epoch}
		res.Settled = r.cfg.Policy == FieldMerge && instantOf(ch.Version) == instantOf(it.Full)
		if r.cfg.Policy == EachOnce {
			res.Changed = it.changed(ch)
		}
		r.report.Results[i] = res
		if again := r.happenedAgain(it, ch, res.Changed); again != nil {
			r.parkAnyway(i, verdict.ChangedAfterDone, again)
		}
		if r.rivals(ch.Version, it.Full) {
			r.parkRival(i)
		}
	}
	if text := r.marks.toWrite(); text != "" { // best effort: without it another delivery leaves a second message
		_, _, _ = r.store.Write(context.WithoutCancel(r.ctx), note(r.key, it.Parked, text))
		r.report.Requests++
	}
}

// giveBack ends an attempt that did not get through: parked, or left for another
// delivery.
func (r *run) giveBack(out Outcome) {
	now := r.now()
	rel := r.releaseFor(out, now)
	rel.reset = true
	for i := range r.call.Changes {
		if !out.Permanent && !r.givesUp(i, out) {
			rel.reset = false
			r.report.Results[i] = r.result(verdict.Failed, out.Class, out.Err)
			r.report.Results[i].NotBefore = again(out, &rel, now)
			continue
		}
		rel.uncounted = false
		r.parkOnce(i, out.Class, out.Err)
		if r.report.Results[i].Verdict != verdict.Parked {
			rel.reset = false // still unacknowledged: the attempt counts
		}
	}
	r.release(&rel)
}

// giveBackUnseen gives the item back untouched: who called reads the record first.
func (r *run) giveBackUnseen() {
	r.each(func(*Change) Result {
		return Result{Verdict: verdict.Failed, Class: verdict.NeedsFetch, Epoch: r.epoch, Unseen: true,
			Err: errors.New("the record was never seen whole: it has to be read from Salesforce")}
	})
	rel := r.releaseFor(Outcome{Effect: NotApplied, Uncounted: true, Class: verdict.NeedsFetch}, r.now())
	r.release(&rel)
}

func (r *run) givesUp(i int, out Outcome) bool {
	return r.call.GiveUp != nil && !out.Uncounted && r.call.GiveUp(i, out.Class, r.attempt)
}

// releaseFor protects the item for as long as a request may still take effect, and no
// longer: what the sink would like to wait for is no reason to hold anybody off.
func (r *run) releaseFor(out Outcome, now int64) release {
	rel := release{key: r.key, token: r.token, class: out.Class, uncounted: out.Uncounted}
	if out.Effect == Unsure {
		rel.status = StatusUnknown
		rel.notBefore = now + (r.times.settle + r.times.margin).Milliseconds()
		return rel
	}
	rel.status = Retry
	rel.notBefore = now
	rel.noEffect = !r.inDoubt
	return rel
}

// longestRetryAfter is how long a sink may keep a message away.
const longestRetryAfter = 15 * time.Minute

// again is when another delivery is not in vain any more.
func again(out Outcome, rel *release, now int64) time.Time {
	return time.UnixMilli(max(rel.notBefore, now+min(out.RetryAfter, longestRetryAfter).Milliseconds()))
}

// release is best effort: if it fails, the lease ends by itself.
func (r *run) release(rel *release) {
	rel.parked = r.marks.toWrite()
	_, _, _ = r.store.Write(context.WithoutCancel(r.ctx), rel.write())
	r.report.Requests++
}

// lift answers a fence: the item's epoch is raised above what the sink has seen. It
// reports whether to claim once more in this delivery.
func (r *run) lift(out Outcome, lifts int) bool {
	now := r.now()
	epoch := max(out.Epoch, now)
	old, ok, err := r.store.Write(context.WithoutCancel(r.ctx), lift(r.key, r.token, now, epoch, !r.inDoubt))
	r.report.Requests++
	if err == nil && !ok {
		it := ReadItem(old)
		ok = it.Owner == r.token && it.Epoch >= epoch // my own write, sent twice
	}
	if err != nil || !ok {
		if err == nil {
			err = errors.New("fenced off: somebody else claimed")
		}
		r.each(func(*Change) Result { return r.result(verdict.Failed, verdict.Conflict, fmt.Errorf("lift: %w", err)) })
		return false
	}
	r.report.EpochRaised = true
	if lifts == 0 {
		return true
	}
	for i := range r.call.Changes {
		r.park(i, verdict.EpochConflict, fmt.Errorf("the sink refused epoch %d twice: somebody else writes to it", r.epoch))
	}
	return false
}
