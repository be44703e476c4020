package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// Guard decides for one consumer. It is safe for concurrent use.
type Guard struct {
	store Store
	cfg   Config
	times times
}

// New checks the configuration and names every mistake in it.
func New(store Store, cfg Config) (*Guard, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	return &Guard{store: store, cfg: cfg, times: cfg.scaled()}, nil
}

func sleep(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}

// Call is what one delivery brings for one subject.
type Call struct {
	Org     string // 18-character org id
	Subject string
	// Changes of this subject, in any order; EachOnce takes exactly one. Equal
	// versions are one change.
	Changes []Change

	EventSubject bool      // the subject is an event id: remembered for 35 days, refused when older
	Published    time.Time // when the event was published; only looked at with EventSubject

	Redrive     bool          // from a dead-letter queue: attempts count anew
	MaxAttempts int           // reached: the change is parked; 0: never
	BusyWait    time.Duration // how long to wait in process for somebody else's lease, scaled

	// Park puts one change, with its reason, into the failure queue. Its error keeps
	// the change unacknowledged.
	Park func(ctx context.Context, p Parking) error
}

// Parking is a change on its way into the failure queue.
type Parking struct {
	Change   int // index in Call.Changes
	Class    verdict.Class
	Err      error
	Attempts int64
	FirstAt  time.Time // of the oldest attempt that is remembered
	LastAt   time.Time
}

// Attempt is what a handler may do now, for as long as its context lives.
type Attempt struct {
	Epoch      int64 // fencing token
	Number     int64 // attempts since the last success, this one included
	Link       string
	InDoubt    bool      // an earlier attempt may have reached the sink
	DoubtSince time.Time // when that attempt claimed; zero: older than any key window

	Change  int           // the change whose content is sent; with FieldMerge see Wins
	Version order.Version // what to tell the sink; zero for EachOnce
	Wins    []Win         // FieldMerge: exactly the fields to write, nulls included
	Whole   bool          // FieldMerge: Wins are all fields read, at one version: a full state
	Deleted bool          // FieldMerge: the record is gone; no Wins
	Resync  bool          // fetch the record now and send it whole at Version
}

// Effect is what a handler knows of its effect.
type Effect int

// The effects. The zero value is the careful one.
const (
	Unsure     Effect = iota // nobody knows: time-out after send, reset, 5xx, panic
	Took                     // the sink took it
	NotApplied               // certainly no effect
	Superseded               // the sink holds a newer full state and said so
	Fenced                   // the sink has seen a higher epoch: certainly no effect, never a verdict
)

// Outcome is what became of an attempt at the sink.
type Outcome struct {
	Effect     Effect
	Permanent  bool          // with NotApplied: no retry mends it
	Uncounted  bool          // with NotApplied: does not use up an attempt (a missing dependency)
	Class      verdict.Class // unless Took
	Err        error
	RetryAfter time.Duration
	Link       string        // with Took: the sink's own id, empty: unchanged
	Park       verdict.Class // with Took: a class to park the change with all the same, e.g. "duplicate-remote"
	Epoch      int64         // with Fenced: the highest the sink took
	Newer      order.Version // with Superseded: what the sink holds
	Deleted    bool          // with Took on a resync: it was sent as a delete
}

// Handler carries one attempt out. It must return when ctx ends.
type Handler func(ctx context.Context, a Attempt) Outcome

// Result is what became of one change.
type Result struct {
	Verdict   verdict.Verdict
	Class     verdict.Class
	Err       error
	Attempt   int64
	Epoch     int64
	NotBefore time.Time // Busy, Failed: another delivery before it is in vain
	InDoubt   bool
	// Changed tells, for a duplicate of EachOnce, whether it had other content than
	// what was done: "true", "false" or "unknown".
	Changed string
}

// Report is what became of a Call.
type Report struct {
	Results     []Result // one per change
	Requests    int      // sent to the store
	EpochRaised bool     // the item was behind the sink's epoch (a restore) and was lifted
}

// Key is the key of a subject's item.
func (g *Guard) Key(org, subject string) string { return Key(g.cfg.Consumer, org, subject) }

// longestKey is what DynamoDB takes as a partition key (Developer Guide, "Quotas").
const longestKey = 2048

// Key is the key of the item of a consumer's subject: <consumer>#<org>#<subject>. One
// that DynamoDB would refuse is cut, and ends with a hash of the whole.
func Key(consumer, org, subject string) string {
	key := consumer + "#" + org + "#" + subject
	if len(key) <= longestKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	hash := "#" + hex.EncodeToString(sum[:])
	return strings.ToValidUTF8(key[:longestKey-len(hash)], "") + hash
}

// Done reports, with one consistent read, whether an EachOnce subject has
// happened. It is for changes without content, which never claim.
func (g *Guard) Done(ctx context.Context, org, subject string) (bool, error) {
	r, err := g.store.Read(ctx, g.Key(org, subject))
	if err != nil {
		return false, err
	}
	it := ReadItem(r)
	return it.Status == Done, nil
}

// Do takes the changes of one subject through the protocol. It never returns an
// error: every change has its own Result.
func (g *Guard) Do(ctx context.Context, call Call, handle Handler) Report {
	r := &run{
		Guard: g, ctx: ctx, call: call, handle: handle,
		key:    g.Key(call.Org, call.Subject),
		sorted: sortedByVersion(call.Changes),
	}
	r.report.Results = make([]Result, len(call.Changes))
	if len(call.Changes) == 0 {
		return r.report
	}
	if err := r.check(); err != nil {
		r.each(func(*Change) Result { return Result{Verdict: verdict.Failed, Class: verdict.Unfinished, Err: err} })
		return r.report
	}
	r.run()
	return r.report
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

// run is one Do: the state between its steps.
type run struct {
	*Guard
	ctx    context.Context
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

func (r *run) run() {
	if r.forgotten() || !r.claim() {
		return
	}
	for lifts := 0; ; lifts++ {
		out, over := r.act()
		if over {
			return
		}
		if out.Effect != Fenced {
			r.settle(out)
			return
		}
		if !r.lift(out, lifts) || !r.claim() {
			return
		}
	}
}

// forgotten parks an event that is older than the memory and unknown: its item may
// have expired, so nobody can say whether it was applied. An operator who
// redrives it decides that it was not.
func (r *run) forgotten() bool {
	if !r.call.EventSubject || r.call.Redrive || r.call.Published.IsZero() ||
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
	wait := scaleBy(r.call.BusyWait, r.cfg.scale())
	giveUp := r.now() + wait.Milliseconds()
	pause := 100 * time.Millisecond
	for range claimTries {
		now := r.now()
		if d, ok := r.ctx.Deadline(); ok && d.Sub(r.cfg.Now()) < r.times.effect+r.times.margin {
			r.each(func(*Change) Result {
				return Result{Verdict: verdict.Failed, Class: verdict.Unfinished, NotBefore: time.UnixMilli(now),
					Err: errors.New("too little of the invocation's time is left to begin")}
			})
			return false
		}
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
		if c.read(&it) == settled {
			r.alreadySettled(&it)
			return false
		}
		left := time.Duration(max(it.Until-now, 1)) * time.Millisecond
		d := min(left, scaleBy(pause, r.cfg.scale()))
		d += time.Duration(r.cfg.Jitter() * float64(d))
		if now+d.Milliseconds() >= giveUp || !r.cfg.Sleep(r.ctx.Done(), d) {
			notBefore := time.UnixMilli(max(it.Until, now+1))
			r.each(func(*Change) Result {
				return Result{Verdict: verdict.Busy, Class: verdict.SubjectBusy, NotBefore: notBefore, Epoch: it.Epoch}
			})
			return false
		}
		pause = min(2*pause, time.Second)
	}
	r.each(func(*Change) Result {
		return Result{Verdict: verdict.Busy, Class: verdict.SubjectBusy, NotBefore: r.cfg.Now().Add(time.Millisecond)}
	})
	return false
}

// begin notes what the claim found. fresh is false when the item is my own claim
// already, because a lost response was sent again.
func (r *run) begin(c *claim, it Item, fresh bool) {
	r.token, r.until, r.item = c.token, c.until, it
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

func (r *run) alreadySettled(it *Item) {
	for i := range r.call.Changes {
		ch := &r.call.Changes[i]
		res := Result{Verdict: ch.againstItem(it, r.cfg.Policy), Epoch: it.Epoch}
		if r.cfg.Policy == EachOnce {
			res.Changed = changed(it, ch)
		}
		r.report.Results[i] = res
		if res.Changed == "true" {
			r.parkAnyway(i, verdict.ChangedAfterDone, errors.New("the same fact came again with other content after it was done"))
		}
	}
}

func changed(it *Item, ch *Change) string {
	switch {
	case it.Hash == "" || ch.Hash == [8]byte{}:
		return "unknown"
	case it.Hash == string(ch.Hash[:]):
		return "false"
	default:
		return "true"
	}
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
		return out, r.apart(out)
	}
	m := mergeInto(&r.item, r.cfg.Fields, r.call.Changes, r.sorted)
	r.merge = m
	if len(m.wins) == 0 && !m.deleted {
		r.complete(m, Outcome{Effect: Superseded}, false)
		return Outcome{}, true
	}
	out = r.try(m.attempt())
	return out, r.apart(out)
}

// apart takes a group apart that was refused for good as a whole.
func (r *run) apart(out Outcome) bool {
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
		late := r.now() > r.until-r.times.margin.Milliseconds()
		answered := out.Effect == Took || out.Effect == Superseded
		// Versions guard full states only: a late patch can overwrite a newer one.
		state := a.Whole || a.Deleted || a.Resync || r.cfg.Policy == NewestWins
		covered := r.cfg.Sink.Fenced || r.cfg.Sink.Versioned && state
		if late && answered && r.cfg.Policy != EachOnce && !covered {
			r.zombie = true
		}
	}()
	return r.handle(ctx, a)
}

// settle writes down what became of the whole group.
func (r *run) settle(out Outcome) {
	switch out.Effect {
	case Took, Superseded:
		if r.cfg.Policy == NewestWins {
			r.merge = merge{full: r.call.Changes[r.sorted[len(r.sorted)-1]].Version}
		}
		if out.Effect == Took && out.Park != "" {
			// Before it is recorded: afterwards the next delivery is a duplicate, and what
			// somebody has to look at would be forgotten with a queue that was down.
			i := r.firstEqual(r.sorted[len(r.sorted)-1])
			if r.park(i, out.Park, out.Err); r.report.Results[i].Verdict != verdict.Parked {
				r.giveBack(Outcome{Effect: Unsure, Class: out.Park, Err: r.report.Results[i].Err})
				return
			}
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
		key: r.key, token: r.token, full: m.full, tombstone: m.tombstone, wins: m.wins,
		link: out.Link, expires: r.expires(r.now()),
		// Without a request nothing of an older doubt is settled.
		keepDoubt: !asked && r.inDoubt,
	}
	if r.cfg.Policy == EachOnce {
		c.status = Done
		if h := r.call.Changes[0].Hash; h != [8]byte{} && !r.inDoubt {
			c.hash = string(h[:])
		}
	}
	if !r.record(&c) {
		return
	}
	for i := range r.call.Changes {
		v := r.verdictOf(i, m, out)
		r.report.Results[i] = r.result(v, "", nil)
		if out.Effect == Took && out.Park != "" && sent(v) {
			r.report.Results[i] = r.result(v, out.Park, out.Err)
		}
	}
	r.resyncZombies()
}

func sent(v verdict.Verdict) bool { return v == verdict.Applied || v == verdict.PartlyStale }

// record writes a completion. It reports false, with the results set, when the
// effect could not be recorded.
func (r *run) record(c *completion) bool {
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
	r.each(func(*Change) Result { return r.result(verdict.Failed, class, fmt.Errorf("completion: %w", err)) })
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
	r.park(i, verdict.OverwroteNewer, errors.New("the sink answered after the lease; it may have overwritten a newer state"))
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

// firstEqual is the first change, in version order, with the version of change i.
func (r *run) firstEqual(i int) int {
	for _, j := range r.sorted {
		if r.call.Changes[j].Version == r.call.Changes[i].Version {
			return j
		}
	}
	return i
}

// giveBack ends an attempt that did not get through: parked, or left for another
// delivery.
func (r *run) giveBack(out Outcome) {
	now := r.now()
	rel := r.releaseFor(out, now)
	limit := r.call.MaxAttempts
	toPark := out.Permanent || limit > 0 && r.attempt >= int64(limit) && !out.Uncounted
	if toPark {
		rel.reset = true
		rel.uncounted = false
		for i := range r.call.Changes {
			r.park(i, out.Class, out.Err)
			if r.report.Results[i].Verdict != verdict.Parked {
				rel.reset = false // still unacknowledged: the attempt counts
			}
		}
	} else {
		r.each(func(*Change) Result {
			res := r.result(verdict.Failed, out.Class, out.Err)
			res.NotBefore = time.UnixMilli(rel.notBefore)
			return res
		})
	}
	r.release(&rel)
}

func (r *run) releaseFor(out Outcome, now int64) release {
	rel := release{key: r.key, token: r.token, class: out.Class, uncounted: out.Uncounted}
	if out.Effect == Unsure {
		rel.status = StatusUnknown
		rel.notBefore = now + max(r.times.settle+r.times.margin, out.RetryAfter).Milliseconds()
		return rel
	}
	rel.status = Retry
	rel.notBefore = now + out.RetryAfter.Milliseconds()
	rel.settled = !r.inDoubt
	return rel
}

// release is best effort: if it fails, the lease ends by itself.
func (r *run) release(rel *release) {
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
			m := merge{full: send}
			if out.Deleted {
				m = merge{tombstone: send}
			}
			r.completeResync(m, out)
			return Outcome{}
		default:
			r.giveBack(out)
			return Outcome{}
		}
	}
}

func (r *run) completeResync(m merge, out Outcome) {
	c := completion{key: r.key, token: r.token, full: m.full, tombstone: m.tombstone, link: out.Link, expires: r.expires(r.now())}
	if !r.record(&c) {
		return
	}
	r.each(func(*Change) Result { return r.result(verdict.Applied, "", nil) })
	r.resyncZombies()
}

// oneByOne repeats a merged call that was refused for good, change by change under
// the same lease: only the guilty one is parked.
func (r *run) oneByOne() {
	total := completion{key: r.key, token: r.token, expires: r.expires(r.now())}
	it := r.item
	it.Fields = make(map[string]order.Version, len(r.item.Fields))
	for code, v := range r.item.Fields {
		it.Fields[code] = v
	}
	var stop *Outcome
	took := false
	for _, i := range r.sorted {
		ch := &r.call.Changes[i]
		if first := r.firstEqual(i); first != i {
			r.report.Results[i] = r.report.Results[first]
			if sent(r.report.Results[i].Verdict) {
				r.report.Results[i].Verdict = verdict.Duplicate
			}
			continue
		}
		if stop != nil {
			r.report.Results[i] = r.result(verdict.Failed, stop.Class, stop.Err)
			continue
		}
		m, send := r.alone(&it, i)
		out := Outcome{Effect: Superseded}
		if send {
			a := m.attempt()
			if r.cfg.Policy == NewestWins {
				a.Change = i
			}
			out = r.try(a)
			took = took || out.Effect == Took || out.Effect == Superseded
		}
		switch {
		case out.Effect == Took || out.Effect == Superseded:
			if out.Link != "" {
				total.link, r.item.Link = out.Link, out.Link
			}
			r.report.Results[i] = r.result(r.soloVerdict(ch, &it, &m, out), "", nil)
			total.add(&it, m)
			if out.Effect == Took && out.Park != "" {
				r.parkAnyway(i, out.Park, out.Err)
			}
		case out.Effect == NotApplied && out.Permanent:
			r.park(i, out.Class, out.Err)
		default:
			if out.Effect == Fenced {
				out = Outcome{Effect: NotApplied, Class: verdict.Conflict, Err: errors.New("fenced off in the middle of a group")}
			}
			r.report.Results[i] = r.result(verdict.Failed, out.Class, out.Err)
			stop = &out
		}
	}
	if stop != nil && !took {
		r.stopped(*stop)
		return
	}
	if stop != nil {
		rel := r.releaseFor(*stop, r.now())
		total.status, total.notBefore = rel.status, rel.notBefore
		total.keepDoubt = stop.Effect == Unsure || r.inDoubt
	} else {
		total.keepDoubt = r.inDoubt && !took // refusals settle no older doubt
	}
	results := slices.Clone(r.report.Results)
	if r.record(&total) {
		r.report.Results = results
		r.resyncZombies()
		return
	}
	for i, res := range results { // what is parked or was stale before stays so
		if res.Verdict == verdict.Parked || res.Verdict == verdict.Stale || res.Verdict == verdict.Duplicate {
			r.report.Results[i] = res
		}
	}
}

// alone is what change i makes of the item by itself, and whether the sink is asked.
func (r *run) alone(it *Item, i int) (m merge, send bool) {
	if r.cfg.Policy == NewestWins {
		v := r.call.Changes[i].Version
		if !v.After(it.Full) {
			return merge{}, false
		}
		return merge{full: v, version: v}, true
	}
	m = mergeInto(it, r.cfg.Fields, r.call.Changes, []int{i})
	return m, len(m.wins) > 0 || m.deleted
}

// stopped gives back a group of which nothing got through: the attempt counts, and what
// has used up its attempts is parked.
func (r *run) stopped(out Outcome) {
	rel := r.releaseFor(out, r.now())
	limit := r.call.MaxAttempts
	if limit > 0 && r.attempt >= int64(limit) && !out.Uncounted {
		rel.reset = true
		for i := range r.report.Results {
			if r.report.Results[i].Verdict == verdict.Failed {
				r.park(i, out.Class, out.Err)
				rel.reset = rel.reset && r.report.Results[i].Verdict == verdict.Parked
			}
		}
	}
	r.release(&rel)
}

func (r *run) soloVerdict(ch *Change, it *Item, m *merge, out Outcome) verdict.Verdict {
	want := len(ch.Fields)
	if ch.Kind == Full {
		want = len(r.cfg.Fields)
	}
	switch {
	case !ch.isNewTo(it, r.cfg.Policy):
		return ch.againstItem(it, r.cfg.Policy)
	case out.Effect == Superseded:
		return verdict.Stale
	case m.deleted || len(m.wins) == want:
		return verdict.Applied
	default:
		return verdict.PartlyStale
	}
}

// add moves both the completion and the item it is computed against.
func (c *completion) add(it *Item, m merge) {
	c.full, c.tombstone = order.Newest(c.full, m.full), order.Newest(c.tombstone, m.tombstone)
	it.Full, it.Tombstone = order.Newest(it.Full, m.full), order.Newest(it.Tombstone, m.tombstone)
	for _, w := range m.wins {
		it.Fields[w.Field] = order.Newest(it.Fields[w.Field], w.Version)
		c.wins = slices.DeleteFunc(c.wins, func(x Win) bool { return x.Field == w.Field })
		c.wins = append(c.wins, w)
	}
}

// park puts change i into the failure queue and notes the verdict.
func (r *run) park(i int, class verdict.Class, cause error) {
	now := r.cfg.Now()
	p := Parking{Change: i, Class: class, Err: cause, Attempts: r.attempt, FirstAt: now, LastAt: now}
	if !r.since.IsZero() {
		p.FirstAt = r.since
	}
	if err := r.call.Park(context.WithoutCancel(r.ctx), p); err != nil {
		r.report.Results[i] = r.result(verdict.Failed, class, errors.Join(cause, fmt.Errorf("parking: %w", err)))
		return
	}
	r.report.Results[i] = r.result(verdict.Parked, class, cause)
}

// parkAnyway parks a change that was applied: its verdict stays, the class tells.
func (r *run) parkAnyway(i int, class verdict.Class, cause error) {
	before := r.report.Results[i]
	r.park(i, class, cause)
	if r.report.Results[i].Verdict == verdict.Parked {
		before.Class, before.Err = class, cause
		r.report.Results[i] = before
	}
}

func (r *run) result(v verdict.Verdict, class verdict.Class, err error) Result {
	return Result{Verdict: v, Class: class, Err: err, Attempt: r.attempt, Epoch: r.epoch, InDoubt: r.inDoubt}
}
