// Package sim runs the real guard in a world where everything that can go wrong
// is a choice: which worker moves, when time passes, what crashes, which answer gets
// lost. Choices come from a seed (Random) or from all possibilities in turn
// (Explore), and what the sink ends with is compared with a specification that was
// written from the documents and never calls the guard.
//
// Nothing here reads a clock or a random source of its own: a schedule is its list of
// choices, and the same list is the same history.
package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// Fault is something that goes wrong at one step of one worker.
type Fault string

// The faults.
const (
	CrashBefore  Fault = "crash before"        // the process dies with the step undone
	CrashAfter   Fault = "crash after"         // the process dies with the step done, its answer unseen
	LostResponse Fault = "lost response"       // a write to the store happens, its answer is lost, the SDK sends it again
	StoreDown    Fault = "store down"          // the store answers an error, the write did not happen
	StoreTimeout Fault = "store timed out"     // the store answers an error, the write did happen
	Refused      Fault = "429"                 // the sink refuses, certainly without effect
	Rejected     Fault = "422"                 // the sink refuses for good; somebody mends the cause before the redrive
	LostRequest  Fault = "time-out, no effect" // the sink's answer does not come; nothing happened
	LostAnswer   Fault = "time-out, effect"    // the sink's answer does not come; it happened
	LandsLater   Fault = "lands later"         // the answer does not come; it happens within the settle time
	LandsAnytime Fault = "lands any time"      // the answer does not come; it happens whenever it likes
	Pause        Fault = "pause"               // time passes over a live worker, which keeps its deadlines
	ZombieSend   Fault = "zombie"              // time passes over a live worker, which sends all the same
	LateAnswer   Fault = "late answer"         // the sink takes the request at once and answers after the lease

	DiesAfterEffect  Fault = "dies after the effect"  // crash after, at the sink only
	DiesBeforeEffect Fault = "dies before the effect" // crash before, at the sink only
	LostClaim        Fault = "claim's answer lost"    // lost response, of a claim
	LostCompletion   Fault = "completion's answer lost"
)

// Change is one committed change of the subject.
type Change struct {
	Kind    guard.ChangeKind
	Version byte            // its place in commit order, from 1
	Tie     byte            // tells contents of one version apart
	Fields  map[string]bool // of a partial change; true: the value is null
	Hash    byte            // of the content, EachOnce
	Unfit   string          // a field of it does not fit the sink, until somebody has mended that for the redrive
	Second  byte            // of its commit; 0: every change has one of its own
	Thin    bool            // its event has no content
}

func (c Change) version() order.Version {
	if c.Second > 0 {
		return order.Version{0: 1, 5: c.Second, 13: c.Version, 19: c.Tie}
	}
	return order.Version{0: 1, 5: c.Version, 19: c.Tie}
}

// Scenario is what a world is made of.
type Scenario struct {
	Name       string
	Policy     guard.Policy
	Fields     []string
	Sink       SinkKind
	Changes    []Change
	Deliveries [][]int         // each brings these changes, in one batch
	After      []time.Duration // when each delivery comes; nil: at once
	InTurn     bool            // each comes when the one before it was acknowledged
	Faults     []Fault
	MaxFaults  int
	Attempts   int  // before a change is parked; 0: 3
	Restore    bool // a fault that forgets the item, with GUARD_RESTORED_AT set
	Forgotten  bool // it begins so: the sink holds the record, and the table was restored to before it
	DayPasses  bool // a day may pass once, which ends the window of keys
	Skew       []time.Duration
	Broken     func(guard.Write) guard.Write // for mutants of the protocol
	Protocol   Protocol                      // nil: the guard
	Lane       *Lane                         // nil: what fails comes again from a buffer, and is parked by attempts
	Asks       *Asking                       // nil: the org is asked for a resync only
	// LambdaRetries delivers as Lambda's asynchronous queue does: three tries, one and
	// two minutes apart, then into the dead-letter queue, which is redriven at the end.
	LambdaRetries bool
	Strict        bool // hold a sink that offers nothing to one effect, to see the checker find two
}

// Protocol is what a delivery runs: the guard, or another protocol to compare it with.
type Protocol func(w *Worker, call guard.Call) []guard.Result

const (
	effect = 10 * time.Second
	settle = 5 * time.Second
	margin = 2 * time.Second
	window = 24 * time.Hour
	start  = int64(1_763_800_000_000)

	maxSteps    = 400 // a history that needs more does not settle
	maxDelivers = 30  // of one message
)

// chooser picks one of n possibilities. kind tells a fault from an ordinary step.
type chooser interface {
	choose(w *world, options []option) int
}

type option struct {
	kind  optionKind
	fault Fault // of optFault
	wk    *Worker
	m     *message
	r     *request
	t     int64

	direct, held bool // of optDeliver, in a world with a lane
	shows        int  // of optStep, a read: see request
}

type optionKind byte

const (
	optStep    optionKind = iota // a worker's next step
	optDeliver                   // a message
	optLand                      // a request that was on its way
	optPass                      // time, to t
	optMend                      // the sink is back
	optFault                     // something goes wrong at a worker's step
	optDay                       // a day passes
	optRestore                   // the table forgets the item
)

func (o option) isFault() bool { return o.kind >= optFault }

// message is a delivery that has not been acknowledged.
type message struct {
	id      int
	changes []int
	redrive bool
	resync  bool
	after   int64 // not before
	waits   bool  // for the item to be free
	tries   int   // deliveries
	granted int   // claims that passed
	made    int   // messages put for it
	mail
}

type world struct {
	sc      *Scenario
	choices chooser
	now     int64
	item    guard.Record
	others  map[string]guard.Record // items of a Protocol that has more than one
	sink    *sinkState
	queue   []*message
	workers []*Worker
	flying  []*request // requests that may still land
	parked  []parked
	redrive int // messages that were redriven
	faults  int
	dayLeft bool
	// restored is when the item was forgotten
	restored int64
	steps    int
	trace    []event
	tracing  bool
	failed   string // the first violation
	acked    []verdict.Verdict
	nextID   int
	options  []option
	judge    func() // instead of finish
	out, was bool   // the sink is down; it was at some time
	ended    uint64 // changes that have come to an end, in a world with a lane
	arrived  int    // the newest change that was ever delivered, by its place
}

type parked struct {
	change int
	class  verdict.Class
}

type event struct{ from, to, text string }

// Worker is one run of one delivery.
type Worker struct {
	w       *world
	msg     *message
	id      int
	skew    time.Duration
	next    func() (*op, bool)
	stop    func()
	yield   func(*op) bool
	pending *op
	dead    bool
	claims  int
	seen    uint64 // hash of all answers so far
	results []guard.Result
	late    bool // time passed over it
	zombie  bool // and it sends all the same
	until   int64
	epoch   int64 // of its claim
	held    bool  // by the breaker
	began   bool  // it holds a claim, and knows that
	acked   bool  // what it left undone lies in the lane

	// Of a world that asks the org.
	subset  []int                     // which changes of its message a call brings; nil: all
	fetched map[int]map[string]string // what was read for a change of its message
}

// op is a step that waits for its turn.
type op struct {
	write *guard.Write
	read  bool
	req   *request
	sleep time.Duration
	put   *message // into the buffer, for each of its changes

	old guard.Record
	ok  bool
	err error
	ans answer
}

var errCrashed = errors.New("the process is dead")

func newWorld(sc *Scenario, ch chooser) *world {
	w := &world{sc: sc, choices: ch, now: start, dayLeft: sc.DayPasses}
	w.sink = newSink(sc, w)
	if sc.Protocol != nil {
		w.others = make(map[string]guard.Record)
	}
	if sc.Forgotten {
		w.restored = start
		w.sink.hold()
	}
	for i, d := range sc.Deliveries {
		m := &message{id: w.nextID, changes: d}
		if i < len(sc.After) {
			m.after = start + sc.After[i].Milliseconds()
		}
		w.mailed(m)
		w.queue = append(w.queue, m)
		w.nextID++
	}
	return w
}

// run lets the history happen until nothing is left to do or something is wrong.
func (w *world) run() {
	defer func() {
		for _, wk := range w.workers {
			wk.dead = true
			wk.stop()
		}
	}()
	for w.steps = 0; w.failed == ""; w.steps++ {
		if w.steps > maxSteps {
			w.violate("the history does not settle")
			return
		}
		w.options = w.options[:0]
		w.enumerate()
		if len(w.options) == 0 {
			if w.redriveParked() {
				continue
			}
			if w.judge != nil {
				w.judge()
			} else {
				w.finish()
			}
			return
		}
		i := 0
		if len(w.options) > 1 {
			i = w.choices.choose(w, w.options)
			if i < 0 {
				return // seen before
			}
		}
		o := w.options[i]
		if o.isFault() {
			w.faults++
		}
		w.take(o)
	}
}

func (w *world) take(o option) {
	switch o.kind {
	case optStep:
		if o.shows > 0 {
			o.wk.pending.req.shows = o.shows
		}
		w.step(o.wk)
	case optDeliver:
		w.received(o.m, o.direct)
		w.deliver(o.m, o.held)
	case optLand:
		w.land(o.r)
	case optPass:
		w.pass(o.t)
	case optFault:
		if w.tracing {
			w.note("Note", o.wk.name(), string(o.fault))
		}
		w.inject(o.fault, o.wk)
	case optMend:
		w.note("Note", "", "the sink is back")
		w.out = false
	case optDay:
		w.dayLeft = false
		w.pass(o.t)
	case optRestore:
		w.note("Note", "", "the table is restored to a time before the item")
		w.restored, w.item = w.now, nil
	}
}

func (w *world) violate(format string, args ...any) {
	if w.failed == "" {
		w.failed = fmt.Sprintf(format, args...)
	}
}

func (w *world) note(from, to, text string) {
	if w.tracing {
		w.trace = append(w.trace, event{from, to, text})
	}
}

// enumerate lists everything that can happen next, ordinary steps first.
func (w *world) enumerate() {
	opts := w.options
	for _, wk := range w.workers {
		if w.sc.Asks != nil && wk.pending.req != nil && wk.pending.req.kind == fetch {
			opts = w.reads(opts, wk)
			continue
		}
		if w.sc.Asks != nil && wk.pending.sleep > 0 && !w.wakes(wk) {
			continue
		}
		opts = append(opts, option{kind: optStep, wk: wk})
	}
	for i, m := range w.queue {
		if w.sc.InTurn && (i > 0 || len(w.workers) > 0) {
			break
		}
		if m.after <= w.now && (!m.waits || w.free()) && !w.twinBefore(i) {
			opts = w.offers(opts, m)
		}
	}
	if w.out && slices.ContainsFunc(w.workers, func(wk *Worker) bool { return wk.pending.req != nil }) {
		opts = append(opts, option{kind: optMend}) // it makes a difference to a request only
	}
	for _, r := range w.flying {
		opts = append(opts, option{kind: optLand, r: r})
	}
	if len(w.workers) == 0 && (len(opts) == 0 || !w.sc.LambdaRetries) {
		if t, ok := w.nextTime(); ok {
			opts = append(opts, option{kind: optPass, t: t})
		}
	}
	if w.faults < w.sc.MaxFaults {
		for _, f := range w.sc.Faults {
			for _, wk := range w.workers {
				if w.applies(f, wk) {
					opts = append(opts, option{kind: optFault, fault: f, wk: wk})
				}
			}
		}
		if w.dayLeft && len(w.workers) == 0 {
			opts = append(opts, option{kind: optDay, t: w.now + window.Milliseconds()})
		}
		if w.sc.Restore && w.restored == 0 && w.item != nil && len(w.workers) == 0 {
			opts = append(opts, option{kind: optRestore})
		}
	}
	w.options = opts
}

// twinBefore reports whether a message before this one is the same in everything but
// its number: which of the two comes first makes no difference.
func (w *world) twinBefore(i int) bool {
	m := w.queue[i]
	for _, o := range w.queue[:i] {
		if o.after == m.after && o.waits == m.waits && o.tries == m.tries && o.redrive == m.redrive &&
			o.resync == m.resync && o.mail == m.mail && slices.Equal(o.changes, m.changes) {
			return true
		}
	}
	return false
}

// free reports whether the item is free by everybody's clock.
func (w *world) free() bool {
	u, ok := w.item.Get("u")
	return !ok || u.Num+w.slowest() <= w.now
}

// slowest is how far behind the slowest clock is, in ms.
func (w *world) slowest() int64 {
	var d time.Duration
	for _, s := range w.sc.Skew {
		d = max(d, -s)
	}
	return d.Milliseconds()
}

// nextTime is the next moment at which something becomes possible.
func (w *world) nextTime() (int64, bool) {
	best, ok := int64(0), false
	consider := func(t int64) {
		if t > w.now && (!ok || t < best) {
			best, ok = t, true
		}
	}
	for _, m := range w.queue {
		consider(m.after)
	}
	if w.sc.Lane != nil {
		return best, ok // nobody waits for anything else
	}
	if u, there := w.item.Get("u"); there {
		consider(u.Num + w.slowest())
	}
	for _, r := range w.flying {
		consider(r.deadline)
	}
	return best, ok
}

func (w *world) pass(to int64) {
	w.note("Note", "", fmt.Sprintf("%v pass", time.Duration(to-w.now)*time.Millisecond))
	w.now = to
	// What has not landed within its time never will.
	w.flying = slices.DeleteFunc(w.flying, func(r *request) bool { return r.deadline > 0 && r.deadline <= w.now })
}

func (w *world) applies(f Fault, wk *Worker) bool {
	o := wk.pending
	switch f {
	case CrashBefore, CrashAfter:
		return f == CrashAfter || wk.claims > 0
	case DiesAfterEffect, DiesBeforeEffect:
		return o.req != nil && o.req.kind.writes()
	case LostClaim:
		return o.write != nil && o.write.Name == guard.Claim
	case LostCompletion:
		return o.write != nil && o.write.Name == guard.Complete
	case LostResponse, StoreDown, StoreTimeout:
		return o.write != nil
	case Refused, Rejected, LostRequest, LostAnswer, LandsLater, LandsAnytime:
		return o.req != nil && !wk.missed()
	case LateAnswer:
		return o.req != nil && o.req.kind.writes() && !wk.late
	case Pause, ZombieSend:
		return !wk.late && wk.until > w.now
	case ReadBehind, ReadOld, ReadTaken:
		return w.fetchApplies(f, wk)
	}
	return w.laneApplies(f, wk)
}

func (w *world) inject(f Fault, wk *Worker) {
	o := wk.pending
	switch f {
	case CrashBefore, DiesBeforeEffect:
		w.crash(wk)
	case CrashAfter, DiesAfterEffect:
		w.perform(wk, o)
		w.crash(wk)
	case LostResponse, LostClaim, LostCompletion:
		w.perform(wk, o) // and stays pending: the SDK sends it again
	case StoreDown:
		o.err = errors.New("store down")
		w.resume(wk)
	case StoreTimeout:
		w.perform(wk, o)
		o.old, o.ok, o.err = nil, false, errors.New("store timed out")
		w.resume(wk)
	case Refused:
		o.ans = answer{refused: true}
		w.resume(wk)
	case Rejected:
		o.ans = answer{refused: true, forGood: true}
		w.resume(wk)
	case LostRequest:
		o.ans = answer{unsure: true}
		w.resume(wk)
	case LostAnswer:
		w.perform(wk, o)
		o.ans = answer{unsure: true}
		w.resume(wk)
	case LandsLater, LandsAnytime:
		r := *o.req
		if f == LandsLater {
			r.deadline = w.now + settle.Milliseconds()
		}
		w.flying = append(w.flying, &r)
		o.ans = answer{unsure: true}
		w.resume(wk)
	case LateAnswer:
		w.perform(wk, o)
		w.pass(max(w.now, wk.until-margin.Milliseconds()+1))
		wk.late = true
		w.resume(wk)
	case Pause, ZombieSend:
		wk.late, wk.zombie = true, f == ZombieSend
		w.pass(wk.until)
	case ReadBehind, ReadOld, ReadTaken:
		w.fetchInject(f, wk)
	default:
		w.laneInject(f, wk)
	}
}

func (w *world) crash(wk *Worker) {
	w.note("Note", wk.name(), "dies")
	wk.dead = true
	wk.stop()
	w.remove(wk)
	if !wk.acked {
		w.again(wk.msg, w.now, true)
	}
}

func (w *world) remove(wk *Worker) {
	w.workers = slices.DeleteFunc(w.workers, func(x *Worker) bool { return x == wk })
}

// again brings a message back. One that waits comes when the item is free: deliveries
// in between would only hear "busy".
func (w *world) again(m *message, after int64, waits bool) {
	if w.sc.Lane != nil {
		w.laneAgain(m, after)
		return
	}
	if w.sc.LambdaRetries {
		m.tries++
		if m.tries >= 3 {
			for _, c := range m.changes {
				w.parked = append(w.parked, parked{c, retriesUsedUp})
			}
			return
		}
		m.after = w.now + int64(m.tries)*time.Minute.Milliseconds()
		w.queue = append(w.queue, m)
		return
	}
	if m.tries++; m.tries > maxDelivers {
		w.violate("message %d was delivered %d times without an end", m.id, m.tries)
		return
	}
	m.after, m.waits = after, waits
	w.queue = append(w.queue, m)
	w.inOrder()
}

func (w *world) inOrder() {
	slices.SortFunc(w.queue, func(a, b *message) int { return a.id - b.id })
}

func (w *world) deliver(m *message, held bool) {
	w.queue = slices.DeleteFunc(w.queue, func(x *message) bool { return x == m })
	wk := &Worker{w: w, msg: m, id: m.id, held: held}
	if w.sc.Asks != nil {
		for _, c := range m.changes {
			w.arrived = max(w.arrived, w.sc.place(c))
		}
	}
	if len(w.sc.Skew) > 0 {
		wk.skew = w.sc.Skew[m.id%len(w.sc.Skew)]
	}
	w.workers = append(w.workers, wk)
	slices.SortFunc(w.workers, func(a, b *Worker) int { return a.id - b.id })
	wk.next, wk.stop = iter.Pull(func(yield func(*op) bool) {
		deep()
		wk.yield = yield
		wk.run()
	})
	w.resume(wk)
}

// resume hands the worker its answer and lets it go on to its next step.
func (w *world) resume(wk *Worker) {
	if o := wk.pending; o != nil {
		wk.seen = w.mix(wk, o)
	}
	o, more := wk.next()
	if more {
		wk.pending = o
		return
	}
	w.remove(wk)
	w.done(wk)
}

// step is an ordinary one: it happens and its answer arrives.
func (w *world) step(wk *Worker) {
	w.perform(wk, wk.pending)
	w.resume(wk)
}

func (w *world) perform(wk *Worker, o *op) {
	switch {
	case o.write != nil:
		wr := *o.write
		if w.sc.Broken != nil {
			wr = w.sc.Broken(wr)
		}
		item := &w.item
		if w.others != nil {
			rec := w.others[wr.Key]
			item = &rec
			defer func() { w.others[wr.Key] = rec }()
		}
		o.err = nil
		o.ok = wr.If.Holds(*item)
		o.old = *item
		if o.ok {
			next, valid := wr.Apply(*item)
			if !valid {
				w.violate("%s is an invalid update", wr.Name)
			}
			*item = next
			if wr.Name == guard.Claim {
				wk.msg.granted++
				if u, ok := next.Get("u"); ok {
					wk.until = u.Num
				}
				if n, ok := next.Get("n"); ok {
					wk.epoch = n.Num
				}
			}
			if !wr.ReturnOld {
				o.old = nil
			}
		}
		if w.tracing {
			answer := "passed"
			if !o.ok {
				answer = "refused"
			}
			w.note(wk.name(), "item", fmt.Sprintf("%s: %s", wr.Name, answer))
		}
	case o.read:
		o.old, o.ok = w.item, true
	case o.req != nil:
		if wk.missed() {
			o.ans = answer{refused: true} // its context has ended: nothing is sent
			return
		}
		o.ans = w.sink.take(o.req)
		w.note(wk.name(), "sink", o.req.String()+" -> "+o.ans.String())
	case o.put != nil:
		w.counts(wk, o)
		w.put(wk, o, len(o.put.changes))
	case o.sleep > 0:
		if o.ok = w.sc.Asks == nil || w.free(); o.ok && len(w.workers) == 1 {
			w.pass(w.now + o.sleep.Milliseconds())
		}
	}
}

// missed reports whether the worker's deadline is over and it obeys.
func (wk *Worker) missed() bool {
	return wk.late && !wk.zombie && wk.w.now > wk.until-(settle+margin).Milliseconds()
}

func (w *world) land(r *request) {
	w.flying = slices.DeleteFunc(w.flying, func(x *request) bool { return x == r })
	w.note("network", "sink", r.String()+" lands")
	w.sink.take(r)
}

// done reads the results of a delivery as the platform does.
func (w *world) done(wk *Worker) {
	var after int64
	again, waits := false, false
	for _, r := range wk.results {
		w.acked = append(w.acked, r.Verdict)
		if !r.Verdict.Acknowledged() && !wk.acked {
			again = true
			waits = waits || r.Verdict == verdict.Busy
			after = max(after, r.NotBefore.UnixMilli())
		}
	}
	if w.tracing {
		var vs []string
		for _, r := range wk.results {
			vs = append(vs, strings.TrimSpace(string(r.Verdict)+" "+string(r.Class)))
		}
		w.note("Note", wk.name(), strings.Join(vs, ", "))
	}
	if w.sc.Lane != nil {
		w.laneDone(wk, again)
	}
	if !again {
		return
	}
	if waits {
		after = 0
	}
	w.again(wk.msg, max(after+w.slowest(), w.now), waits)
}

// redriveParked sends what was parked through again once everything is quiet: each
// class as an operator would.
func (w *world) redriveParked() bool {
	most := 2*len(w.sc.Deliveries) + 2
	if w.sc.Lane != nil {
		most = maxDelivers // one by one, and every copy may lie there
	}
	if len(w.parked) == 0 || w.redrive > most {
		return false
	}
	if w.sc.Lane != nil {
		w.out = false // nobody redrives into an outage
		w.pass(w.later(w.now))
	}
	if w.sc.LambdaRetries && w.redrive > 0 {
		return false // a comparison allows one redrive
	}
	if w.sc.LambdaRetries {
		w.pass(w.now + 20*time.Minute.Milliseconds()) // until somebody looks at the queue
	}
	todo := w.parked
	w.parked = nil
	sent := false
	for _, p := range todo {
		if sent && w.sc.Lane != nil || p.class == verdict.ChangedAfterDone || p.class == verdict.InDoubt || p.class == sameInstant {
			w.parked = append(w.parked, p)
			continue
		}
		w.queue = append(w.queue, &message{id: w.nextID, changes: []int{p.change}, redrive: true, resync: p.class == verdict.OverwroteNewer || p.class == verdict.RecordUnreadable && w.sc.Policy == guard.FieldMerge, mail: mail{class: p.class, puts: &puts{}}})
		w.nextID++
		w.redrive++
		sent = true
	}
	return sent
}

func (wk *Worker) name() string { return fmt.Sprintf("worker %d", wk.id) }

// --- what the guard sees of the world

func (wk *Worker) wait(o *op) *op {
	if wk.dead || !wk.yield(o) {
		wk.dead = true
		o.err = errCrashed
		o.ans = answer{unsure: true}
		o.old, o.ok = nil, false
	}
	return o
}

// Write implements guard.Store.
func (wk *Worker) Write(_ context.Context, w guard.Write) (guard.Record, bool, error) {
	switch w.Name {
	case guard.Claim:
		wk.claims++
	case guard.Complete, guard.GiveBack:
		wk.began = true
	}
	o := wk.wait(&op{write: &w})
	return o.old, o.ok, o.err
}

// deep makes the stack of a worker as large as it will be, while there is nothing on it to
// copy: growing it by steps takes a fifth of all time.
//
//go:noinline
func deep() {
	var frame [10 << 10]byte
	runtime.KeepAlive(&frame)
}

// Read implements guard.Store.
func (wk *Worker) Read(context.Context, string) (guard.Record, error) {
	o := wk.wait(&op{read: true})
	return o.old, o.err
}

func (wk *Worker) now() time.Time { return time.UnixMilli(wk.w.now).Add(wk.skew) }

func (wk *Worker) ask(r *request) answer { return wk.wait(&op{req: r}).ans }

func (wk *Worker) run() {
	sc := wk.w.sc
	if wk.held {
		wk.withhold()
		wk.rest()
		return
	}
	call := guard.Call{
		Org: "org", Subject: "subject", Redrive: wk.msg.redrive, GiveUp: func(_ int, _ verdict.Class, n int64) bool { return n >= int64(cmp.Or(sc.Attempts, 3)) },
		Park: func(_ context.Context, p guard.Parking) error {
			if wk.dead {
				return errCrashed
			}
			wk.w.park(wk.msg.changes[wk.at(p.Change)], p.Class)
			return nil
		},
	}
	if sc.Lane != nil {
		call.GiveUp = func(i int, _ verdict.Class, _ int64) bool { return wk.givesUp(wk.msg.changes[wk.at(i)]) }
	}
	for _, i := range wk.msg.changes {
		c := sc.Changes[i]
		gc := guard.Change{Kind: c.Kind, Version: c.version()}
		if c.Kind == guard.Partial {
			for _, f := range sc.Fields {
				if _, ok := c.Fields[f]; ok {
					gc.Fields = append(gc.Fields, f)
				}
			}
		}
		if c.Hash != 0 {
			gc.Hash = [8]byte{c.Hash}
		}
		if wk.msg.resync {
			gc.Kind, gc.Fields = guard.Resync, nil
		}
		call.Changes = append(call.Changes, gc)
	}
	if sc.Protocol != nil {
		wk.results = sc.Protocol(wk, call)
		return
	}
	cfg := guard.Config{
		Consumer: "sim", Policy: sc.Policy, Fields: sc.Fields, Sink: sc.Sink.contract(),
		Effect: effect, Settle: settle, Margin: margin,
		Now: wk.now, Random: wk.random, Jitter: func() float64 { return 0 },
		Sleep: func(_ <-chan struct{}, d time.Duration) bool { return wk.wait(&op{sleep: d}).ok || sc.Asks == nil },
	}
	if wk.w.restored > 0 {
		cfg.RestoredAt = time.UnixMilli(wk.w.restored)
	}
	g, err := guard.New(wk, cfg)
	if err != nil {
		panic(err)
	}
	if sc.Asks != nil {
		call.BusyWait = busyWait
		wk.results = wk.askOrg(g, call)
		return
	}
	wk.results = g.Do(context.Background(), call, wk.handle).Results
	if sc.Lane != nil {
		wk.rest()
	}
}

// random makes tokens that name their message and the claims it was granted, so that the
// same state has the same bytes whatever path led to it. A refused claim leaves none.
func (wk *Worker) random() [10]byte {
	id := wk.id
	return [10]byte{1, byte(id), byte(wk.msg.granted), byte(id >> 8), byte(id >> 16), byte(id >> 24), byte(id >> 32)}
}

// Now is the worker's clock.
func (wk *Worker) Now() time.Time { return wk.now() }

// Send carries change i of the call out without any guard: what a handler does under
// another Protocol. Of a partial change it sends the fields it names.
func (wk *Worker) Send(i int) guard.Outcome {
	sc := wk.w.sc
	c := sc.Changes[wk.msg.changes[i]]
	r := &request{kind: create, key: "subject", values: map[string]string{}}
	switch {
	case sc.Policy == guard.EachOnce:
	case sc.Policy == guard.NewestWins:
		r.kind = put
		r.values["state"] = sc.value(wk.msg.changes[i], "state")
	case c.Kind == guard.Delete:
		r.kind = remove
	default:
		r.kind = put
		for _, f := range sc.Fields {
			_, named := c.Fields[f]
			if c.Kind == guard.Partial {
				r.kind = patch
			}
			if named || c.Kind == guard.Full {
				r.values[f] = sc.value(wk.msg.changes[i], f)
			}
		}
	}
	return outcomeOf(wk.ask(r))
}
