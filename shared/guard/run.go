package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// run is one Do: the state between its steps.
type run struct {
	*Guard
	ctx    context.Context // that of Do: a run ends with it and is never kept
	call   Call
	handle Handler
	key    string
	sorted []int // of the changes, by version
	report Report

	token   Token
	until   int64 // ms, end of my lease
	epoch   int64
	attempt int64
	item    Item  // as it was before my claim, apart from what a lost response hides
	merge   merge // what the changes make of item (FieldMerge)
	inDoubt bool
	since   time.Time
	zombie  bool
	marks   marks
	decided []bool // changes whose result stands; nil: none
}

func (r *run) run() {
	if r.parkForgotten() || !r.claim() {
		return
	}
	for lifts := 0; ; lifts++ {
		out, over := r.act()
		if over {
			return
		}
		if out.Effect != Fenced {
			r.finish(out)
			return
		}
		if !r.lift(out, lifts) || !r.claim() {
			return
		}
	}
}

func (r *run) check() error {
	if r.cfg.Policy == EachOnce {
		if len(r.call.Changes) != 1 {
			return fmt.Errorf("guard: EachOnce takes one change a call, got %d", len(r.call.Changes))
		}
		return nil
	}
	for i := range r.call.Changes {
		ch := &r.call.Changes[i]
		switch {
		case ch.Version.IsZero() && ch.Kind != Resync:
			return errors.New("guard: a change without a version has no place in the order")
		case r.cfg.Policy == NewestWins && (ch.Kind == Partial || ch.Kind == Delete):
			return errors.New("guard: NewestWins takes full states only; use FieldMerge")
		case ch.Kind == Resync && len(r.call.Changes) > 1:
			return errors.New("guard: a resync stands alone")
		case ch.Kind == Partial && len(ch.Fields) == 0:
			return errors.New("guard: a partial change names its fields")
		}
		for _, f := range ch.Fields {
			if !slices.Contains(r.cfg.Fields, f) {
				return fmt.Errorf("guard: field code %q is not in the consumer's dictionary", f)
			}
		}
	}
	return nil
}

func (r *run) each(f func(*Change) Result) {
	for i := range r.call.Changes {
		r.report.Results[i] = f(&r.call.Changes[i])
	}
}

func (r *run) now() int64 { return r.cfg.Now().UnixMilli() }

func (r *run) expires(now int64) int64 {
	if !r.call.EventSubject {
		return 0
	}
	return now/1000 + int64(memory/time.Second)
}

// act runs the handler once for what the claim won. It reports over when there was
// nothing to ask the sink, or when it dealt with the outcomes itself.
func (r *run) act() (out Outcome, over bool) {
	if r.inDoubt && r.cfg.Policy == EachOnce && r.cfg.Sink.ParkInDoubt {
		return Outcome{Effect: NotApplied, Permanent: true, Class: verdict.InDoubt,
			Err: errors.New("an earlier attempt may have reached the sink, which cannot tell; resolve it by hand")}, false
	}
	switch {
	case r.call.Changes[0].Kind == Resync && r.cfg.Policy != EachOnce:
		return r.resync(), true
	case r.cfg.Policy == EachOnce:
		return r.try(Attempt{}), false
	case r.cfg.Policy == NewestWins:
		i := r.firstEqual(r.sorted[len(r.sorted)-1])
		out = r.try(Attempt{Change: i, Version: r.call.Changes[i].Version})
		return out, r.splitGroup(out)
	}
	m := mergeInto(&r.item, r.cfg.Fields, r.call.Changes, r.sorted)
	r.merge = m
	if r.call.WholeFirst && m.unseen(&r.item, r.call.Changes) {
		r.giveBackUnseen()
		return Outcome{}, true
	}
	if len(m.wins) == 0 && !m.deleted {
		r.complete(m, Outcome{Effect: Superseded}, false)
		return Outcome{}, true
	}
	out = r.try(m.attempt())
	return out, r.splitGroup(out)
}

// splitGroup takes a group apart that was refused for good as a whole.
func (r *run) splitGroup(out Outcome) bool {
	if out.Effect != NotApplied || !out.Permanent || len(r.call.Changes) == 1 {
		return false
	}
	r.oneByOne()
	return true
}

func (m *merge) attempt() Attempt {
	a := Attempt{Version: m.version, Wins: m.wins, Whole: m.whole, Deleted: m.deleted}
	if len(m.wins) > 0 {
		a.Change = m.wins[0].Change
	}
	return a
}

// try hands one attempt to the handler, inside the lease.
func (r *run) try(a Attempt) (out Outcome) {
	a.Epoch, a.Number, a.Link = r.epoch, r.attempt, r.item.Link
	a.InDoubt, a.DoubtSince = r.inDoubt, r.since
	left := time.Duration(r.until-r.now())*time.Millisecond - r.times.settle - r.times.margin
	if left <= 0 {
		return Outcome{Effect: NotApplied, Uncounted: true, Class: verdict.Unfinished,
			Err: errors.New("the lease is nearly over; nothing was sent")}
	}
	ctx, cancel := context.WithTimeout(r.ctx, left)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			// Type only: a panic's text can hold field values.
			out = Outcome{Effect: Unsure, Class: verdict.Unknown, Err: fmt.Errorf("handler panicked with a %T", p)}
		}
		out = r.plausible(out)
		if len(out.Unfit) > 0 {
			out = fitted(out, a.Wins)
		}
		late := r.now() > r.until-r.times.margin.Milliseconds()
		answered := out.Effect == Took || out.Effect == Superseded
		// Versions guard full states only: a late patch can overwrite a newer one.
		state := (a.Whole && len(out.Unfit) == 0) || a.Deleted || a.Resync || r.cfg.Policy == NewestWins
		covered := r.cfg.Sink.Fenced || r.cfg.Sink.Versioned && state
		if late && answered && r.cfg.Policy != EachOnce && !covered {
			r.zombie = true
		}
	}()
	return r.handle(ctx, a)
}

const (
	aheadOfUs = 5 * time.Minute // how far a sink's versions may be ahead of this clock
	farEpoch  = 10              // years from now; an epoch begins as a time in ms and grows by one with every claim
)

// plausible takes an answer for a broken contract that cannot be true. Written down it
// would win, or fence everybody off, for ever.
func (r *run) plausible(out Outcome) Outcome {
	now := r.cfg.Now()
	var what string
	switch {
	case out.Effect == Superseded && out.Newer.Time().After(now.Add(aheadOfUs)):
		what = "holds a version of the future"
	case out.Effect == Fenced && out.Epoch > now.AddDate(farEpoch, 0, 0).UnixMilli():
		what = "has seen an epoch that nobody gave out"
	default:
		return out
	}
	return Outcome{Effect: NotApplied, Permanent: true, Class: verdict.Permanent("contract-broken"),
		Err: errors.New("the sink says that it " + what + ": nothing of it is taken over; correct the sink")}
}

// covers is the newest version that a state covers of which only the sink's refusal
// tells: nothing older may be sent any more. That state itself may come again. Where its
// own attempt never heard an answer, an older patch may have gone over it since.
func (r *run) covers(held order.Version) order.Version {
	if r.cfg.Policy == NewestWins || held.IsZero() {
		return held // the sink compares all that it is sent
	}
	for i := len(held) - 1; i >= 0; i-- {
		if held[i]--; held[i] != 0xff {
			break
		}
	}
	return held
}

// finish writes down what became of the whole group.
func (r *run) finish(out Outcome) {
	switch out.Effect {
	case Took, Superseded:
		if r.cfg.Policy == NewestWins {
			r.merge = merge{full: r.call.Changes[r.sorted[len(r.sorted)-1]].Version}
		}
		if out.Effect == Superseded {
			r.merge.full = order.Newest(r.merge.full, r.covers(out.Newer))
		}
		r.losers(r.merge.full)
		if out.Effect == Took && !r.aside(&out) {
			return
		}
		if len(out.Unfit) > 0 {
			r.layAside(&r.merge, out.Unfit)
		}
		r.complete(r.merge, out, true)
	default:
		r.giveBack(out)
	}
}

// complete records versions and verdicts. With Superseded the sink holds something
// newer: for the item that is as good as applied. asked is false when there was
// nothing to send.
func (r *run) complete(m merge, out Outcome, asked bool) {
	c := completion{
		key: r.key, token: r.token, full: m.full, tombstone: m.tombstone, seen: m.seen, wins: m.wins,
		link: out.Link, expires: r.expires(r.now()),
		// Without a request nothing of an older doubt is settled.
		keepDoubt: !asked && r.inDoubt,
	}
	if r.cfg.Policy == EachOnce {
		ch := &r.call.Changes[0]
		c.status, c.full = Done, ch.Version
		if ch.Hash != [8]byte{} && !r.inDoubt {
			c.hash, c.parts = string(ch.Hash[:]), ch.Parts
		}
	}
	if !r.record(&c) {
		return
	}
	for i := range r.call.Changes {
		if r.isDecided(i) {
			continue
		}
		v := r.verdictOf(i, m, out)
		r.report.Results[i] = r.result(v, "", nil)
		if out.Effect == Took && out.Park != "" && sent(v) {
			r.report.Results[i] = r.result(v, out.Park, out.Err)
		}
		r.report.Results[i].Lost = r.lost(i, v, m)
	}
	r.resyncZombies()
}

// lost are the fields of change i that did not win.
func (r *run) lost(i int, v verdict.Verdict, m merge) (codes []string) {
	if v != verdict.PartlyStale {
		return nil
	}
	carried := r.call.Changes[i].Fields
	if r.call.Changes[i].Kind == Full {
		carried = r.cfg.Fields
	}
	for _, code := range carried {
		if !slices.ContainsFunc(m.wins, func(w Win) bool { return w.Change == i && w.Field == code }) {
			codes = append(codes, code)
		}
	}
	return codes
}

func sent(v verdict.Verdict) bool { return v == verdict.Applied || v == verdict.PartlyStale }

// record writes a completion. It reports false, with the results set, when the
// effect could not be recorded.
func (r *run) record(c *completion) bool {
	c.parked = r.marks.toWrite()
	if !c.seen.After(r.item.Seen) {
		c.seen = order.Version{}
	}
	old, ok, err := r.store.Write(context.WithoutCancel(r.ctx), c.write())
	r.report.Requests++
	if err == nil && !ok {
		it := ReadItem(old)
		if !c.landed(&it) {
			err = errors.New("fenced off: somebody else claimed before the effect was recorded")
		}
	}
	if err == nil {
		return true
	}
	class := verdict.Unfinished
	if !ok && old != nil {
		class = verdict.Conflict
	}
	for i := range r.call.Changes {
		if !r.isDecided(i) || r.report.Results[i].Verdict != verdict.Parked { // what lies in the queue stays there
			r.report.Results[i] = r.result(verdict.Failed, class, fmt.Errorf("completion: %w", err))
		}
	}
	r.resyncZombies()
	return false
}

// resyncZombies sends what a zombie wrote to be synchronised again, whatever the
// completion said: its request may have overwritten a newer one.
func (r *run) resyncZombies() {
	if !r.zombie {
		return
	}
	i := r.sorted[len(r.sorted)-1] // one message is enough: a resync fetches the record
	r.parkDecided(i, verdict.OverwroteNewer, errors.New("the sink answered after the lease; it may have overwritten a newer state"))
	if res := &r.report.Results[i]; res.Verdict == verdict.Parked {
		res.Verdict = verdict.Zombie
	}
}

// verdictOf is the verdict of one change of a completed group.
func (r *run) verdictOf(i int, m merge, out Outcome) verdict.Verdict {
	ch := &r.call.Changes[i]
	if r.cfg.Policy == EachOnce {
		return verdict.Applied
	}
	if first := r.firstEqual(i); first != i {
		return verdict.Duplicate
	}
	if !ch.isNewTo(&r.item, r.cfg.Policy) {
		return ch.againstItem(&r.item, r.cfg.Policy)
	}
	if out.Effect == Superseded {
		return verdict.Stale
	}
	if r.cfg.Policy == NewestWins {
		if ch.Version == m.full {
			return verdict.Applied
		}
		return verdict.Stale
	}
	if ch.Kind == Delete {
		if m.deleted && ch.Version == m.tombstone {
			return verdict.Applied
		}
		return verdict.Stale
	}
	want, won := len(ch.Fields), 0
	if ch.Kind == Full {
		want = len(r.cfg.Fields)
	}
	for _, w := range m.wins {
		if w.Change == i {
			won++
		}
	}
	switch won {
	case 0:
		return verdict.Stale
	case want:
		return verdict.Applied
	default:
		return verdict.PartlyStale
	}
}

// resync sends the fetched record at the highest version that is known. It is the
// only request for which "the sink holds something newer" is not the end.
func (r *run) resync() Outcome {
	send := order.Newest(r.item.highest(), r.call.Changes[0].Version)
	for lifts, refused := 0, false; ; {
		out := r.try(Attempt{Resync: true, Version: send})
		switch {
		case out.Effect == Superseded && !refused:
			refused = true
			send = order.Newest(send, out.Newer)
		case out.Effect == Superseded:
			r.giveBack(Outcome{Effect: NotApplied, Class: verdict.Conflict, Err: errors.New("the sink moved on twice during the resync")})
			return Outcome{}
		case out.Effect == Fenced:
			if !r.lift(out, lifts) || !r.claim() {
				return Outcome{}
			}
			lifts++
			send = order.Newest(send, r.item.highest())
		case out.Effect == Took:
			r.completeResync(send, out)
			return Outcome{}
		default:
			r.giveBack(out)
			return Outcome{}
		}
	}
}

func (r *run) completeResync(sent order.Version, out Outcome) {
	m := merge{full: sent}
	if out.Deleted {
		m = merge{tombstone: sent}
	}
	if len(out.Unfit) > 0 {
		for _, code := range r.cfg.Fields {
			m.wins = append(m.wins, Win{Field: code, Version: sent})
		}
		r.layAside(&m, out.Unfit)
	}
	c := completion{key: r.key, token: r.token, full: m.full, tombstone: m.tombstone, seen: m.seen, wins: m.wins, link: out.Link, expires: r.expires(r.now())}
	if !r.record(&c) {
		return
	}
	if !r.isDecided(0) {
		r.report.Results[0] = r.result(verdict.Applied, "", nil)
	}
	r.resyncZombies()
}

// park puts change i, which is not applied, into the failure queue and notes the verdict.
func (r *run) park(i int, class verdict.Class, cause error) { r.putAside(i, class, cause, false) }

// parkDecided is park for a change of which no other delivery says the same.
func (r *run) parkDecided(i int, class verdict.Class, cause error) { r.putAside(i, class, cause, true) }

func (r *run) putAside(i int, class verdict.Class, cause error, decided bool) {
	now := r.cfg.Now()
	p := Parking{Change: i, Class: class, Err: cause, Attempts: r.attempt, FirstAt: now, LastAt: now, Decided: decided}
	if !r.since.IsZero() {
		p.FirstAt = r.since
	}
	err := r.call.Park(context.WithoutCancel(r.ctx), p)
	if errors.Is(err, ErrStays) {
		r.report.Results[i] = r.result(verdict.Failed, class, orClass(cause, class))
		return
	}
	if err != nil {
		r.report.Results[i] = r.result(verdict.Failed, class, errors.Join(cause, fmt.Errorf("parking: %w", err)))
		return
	}
	r.report.Results[i] = r.result(verdict.Parked, class, cause)
}

// parkAnyway parks a change that was applied: its verdict stays, the class tells.
func (r *run) parkAnyway(i int, class verdict.Class, cause error) {
	before := r.report.Results[i]
	r.parkDecided(i, class, cause)
	if r.report.Results[i].Verdict == verdict.Parked {
		before.Class, before.Err = class, cause
		r.report.Results[i] = before
	}
}

func (r *run) result(v verdict.Verdict, class verdict.Class, err error) Result {
	return Result{Verdict: v, Class: class, Err: err, Attempt: r.attempt, Epoch: r.epoch, InDoubt: r.inDoubt}
}

// firstEqual is the first change, in version order, with the version of change i.
func (r *run) firstEqual(i int) int {
	for _, j := range r.sorted {
		if r.call.Changes[j].Version == r.call.Changes[i].Version {
			return j
		}
	}
	return i
}

// sortedByVersion is the order in which a group is folded.
func sortedByVersion(changes []Change) []int {
	sorted := make([]int, len(changes))
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortStableFunc(sorted, func(a, b int) int { return changes[a].Version.Compare(changes[b].Version) })
	return sorted
}
