package sim

import (
	"errors"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/lane"
	"sfrelay/shared/verdict"
)

// The faults of the retry lane: those of a put into the consumer's own buffer, what SQS may
// do with a message in it, and a sink that is down.
const (
	PutLost       Fault = "put lost"          // the buffer answers an error and has nothing
	PutHalf       Fault = "put half"          // it answers an error and has the first of several messages
	PutUnanswered Fault = "put's answer lost" // it answers an error and has all
	PutDoubled    Fault = "put doubled"       // it has every message twice
	DiesAfterPut  Fault = "dies after put"    // the process dies between put and acknowledgement
	ReceivedTwice Fault = "received twice"    // SQS brings a message of the buffer to a second worker at the same time
	Outage        Fault = "outage"            // once: the sink refuses everything from now on, until a choice ends that
)

// Path is how the rules bring events.
type Path byte

// The paths.
const (
	Direct   Path = iota
	Buffered      // through the consumer's buffer
	Either        // the mode is switched in the middle: each event comes one way or the other
)

// Lane has the world deliver as a consumer with a retry lane is delivered to. Lambda tries
// a direct event three times, then its failure queue has it. What the lane takes is a
// message for each change. What is in the buffer comes again after a pause, until it is
// done or parked. During an outage the breaker may hold any delivery back. A redrive that
// fails stays in its queue.
type Lane struct {
	Path  Path
	Many  bool // a change stands for more records than an event of the buffer may have
	Rules Rules
}

// Rules are the decisions about the lane, for mutants to break one by one.
type Rules struct {
	Takes    func(d lane.Delivery, unfinished int) bool
	Failed   func(attempt int64, v verdict.Verdict) bool
	Spent    func(d lane.Delivery, now time.Time, longest time.Duration) bool
	Forgets  func(d lane.Delivery, now time.Time, waiting time.Duration) bool
	Took     func(err error) bool // the end of a put lets the invocation acknowledge
	AckFirst bool                 // it acknowledges before it puts
}

// LaneRules are the product's.
func LaneRules() Rules {
	return Rules{
		Takes: lane.Delivery.Takes, Failed: lane.Failed, Spent: lane.Delivery.Spent, Forgets: lane.Delivery.Forgotten,
		Took: func(err error) bool { return err == nil },
	}
}

// RetryFor stands for the hours in which a change is tried again. All times are so many
// pauses: an age has few values that differ.
const RetryFor = 2 * pause

const (
	pause       = time.Minute
	waitingFor  = 3 * pause
	directTries = 3 // Lambda Developer Guide, "Asynchronous invocation"

	idsOfAMessage = 1000    // of what is put for it
	secondReceipt = 1 << 28 // beyond the number of the first

	retriesUsedUp verdict.Class = "retries used up"
)

var errPut = errors.New("the buffer did not take it")

// mail is what the lane knows of a message. Times are in ms, 0: not yet.
type mail struct {
	direct, undecided, ours      bool
	receives                     int
	sentAt, receivedAt, failedAt int64
	since                        int64 // what the specification counts its age from: it was begun, or received
	class                        verdict.Class
	puts                         *puts
	twin                         *message // the other receipt of the same message
	gone                         bool     // deleted by it
}

// puts counts, of one event, what was put into the buffer for each change.
type puts struct{ most, of [4]int }

// mailed sets how a rule's event comes.
func (w *world) mailed(m *message) {
	if l := w.sc.Lane; l != nil {
		m.mail = mail{direct: l.Path == Direct, undecided: l.Path == Either, sentAt: w.now, puts: &puts{}}
	}
}

// offers are the ways in which a message can come now.
func (w *world) offers(opts []option, m *message) []option {
	from := len(opts)
	opts = append(opts, option{kind: optDeliver, m: m, direct: m.direct || m.undecided})
	if m.undecided {
		opts = append(opts, option{kind: optDeliver, m: m})
	}
	if w.out && !m.redrive {
		for _, o := range opts[from:len(opts):len(opts)] {
			o.held = true
			opts = append(opts, o)
		}
	}
	return opts
}

func (w *world) received(m *message, direct bool) {
	if w.sc.Lane == nil {
		return
	}
	m.direct, m.undecided = direct, false
	if m.receives++; m.receives == 1 {
		m.receivedAt = w.now
	}
	if m.since == 0 {
		m.since = w.now
	}
}

// delivery is what the decisions are told.
func (m *message) delivery() lane.Delivery {
	at := func(ms int64) (t time.Time) {
		if ms > 0 {
			t = time.UnixMilli(ms)
		}
		return t
	}
	return lane.Delivery{
		Buffered: !m.direct && !m.redrive, Redrive: m.redrive, Ours: m.ours, Receives: m.receives,
		SentAt: at(m.sentAt), ReceivedAt: at(m.receivedAt), FailedAt: at(m.failedAt),
	}
}

func (w *world) clock() time.Time { return time.UnixMilli(w.now) }

// givesUp is Call.GiveUp, beside what the specification says: a change that failed again
// is given up at its age, neither earlier nor later.
func (wk *Worker) givesUp(change int) bool {
	w, m := wk.w, wk.msg
	spent := w.sc.Lane.Rules.Spent(m.delivery(), w.clock(), RetryFor)
	old := !m.direct && !m.redrive && w.now-m.since >= RetryFor.Milliseconds()
	switch {
	case spent && !old:
		w.violate("change %d is given up %v after it was begun", change, time.Duration(w.now-m.since)*time.Millisecond)
	case old && !spent:
		w.violate("change %d is tried again %v after it was begun", change, time.Duration(w.now-m.since)*time.Millisecond)
	}
	return spent
}

// withhold is a delivery of which nothing is begun.
func (wk *Worker) withhold() {
	for range wk.msg.changes {
		wk.results = append(wk.results, guard.Result{Verdict: verdict.Failed, Class: verdict.Throttled})
	}
}

// rest does what a consumer does after the guard: it parks what its buffer will forget, and
// puts what the lane takes.
func (wk *Worker) rest() {
	w, m, rules := wk.w, wk.msg, wk.w.sc.Lane.Rules
	if wk.dead {
		return
	}
	forgets := rules.Forgets(m.delivery(), w.clock(), waitingFor)
	unfinished := 0
	for i, r := range wk.results {
		switch {
		case r.Verdict.Acknowledged():
		case forgets:
			if w.now-m.sentAt < waitingFor.Milliseconds() {
				w.violate("change %d is parked without an attempt in this delivery, %v after it was sent", m.changes[i], time.Duration(w.now-m.sentAt)*time.Millisecond)
			}
			w.park(m.changes[i], r.Class)
			wk.results[i].Verdict = verdict.Parked
		default:
			unfinished++
		}
	}
	if w.sc.Lane.Many {
		unfinished *= lane.Portion + 1
	}
	if unfinished == 0 || !rules.Takes(m.delivery(), unfinished) {
		return
	}
	wk.acked = rules.AckFirst
	all := true
	for _, failed := range []bool{true, false} {
		o := &op{put: &message{mail: mail{sentAt: w.now, puts: m.puts, ours: true}}}
		for i, r := range wk.results {
			if !r.Verdict.Acknowledged() && failed == rules.Failed(r.Attempt, r.Verdict) {
				o.put.changes = append(o.put.changes, m.changes[i])
				o.put.after = max(o.put.after, r.NotBefore.UnixMilli())
			}
		}
		if o.put.changes == nil {
			continue
		}
		o.put.after = w.later(o.put.after)
		if failed {
			o.put.failedAt = w.now
		}
		if wk.began {
			o.put.since = w.now
		}
		all = rules.Took(wk.wait(o).err) && all
		if wk.dead {
			return
		}
	}
	wk.acked = wk.acked || all
}

// park leaves a change in the failure queue.
func (w *world) park(change int, class verdict.Class) {
	if class == "" {
		w.violate("change %d is parked without a reason", change)
	}
	w.parked = append(w.parked, parked{change, class})
}

// counts holds the function to one put of a change out of the buffer, and to one for each
// of Lambda's attempts.
func (w *world) counts(wk *Worker, o *op) {
	p := wk.msg.puts
	for _, c := range o.put.changes {
		if !wk.msg.ours && !wk.msg.redrive {
			p.most[c] = max(p.most[c], 1)
			if wk.msg.direct {
				p.most[c] = directTries
			}
		}
		if p.of[c]++; p.of[c] > p.most[c] {
			w.violate("change %d is put %d times for one event", c, p.of[c])
		}
	}
}

// put is what arrives of a put: a message for each of the first so many changes.
func (w *world) put(wk *Worker, o *op, arrive int) {
	for _, c := range o.put.changes[:arrive] {
		wk.msg.made++
		m := *o.put
		m.id, m.changes = (wk.msg.id+1)*idsOfAMessage+wk.msg.made, []int{c}
		w.queue = append(w.queue, &m)
		if w.tracing {
			w.note(wk.name(), "buffer", "put of "+wk.w.sc.value(c, "change"))
		}
	}
	w.inOrder()
}

// copied is a second receipt of a message, while the first is on its way.
func (w *world) copied(m *message) {
	second := *m
	second.id += secondReceipt
	second.after, second.waits = w.now, false
	second.twin, m.twin = m, &second
	w.queue = append(w.queue, &second)
	w.inOrder()
}

// later is a full minute that is to come and not before t: what failed apart comes back
// together, which makes few times out of many.
func (w *world) later(t int64) int64 {
	step := pause.Milliseconds()
	return start + (max(t, w.now+1)-start+step-1)/step*step
}

// laneAgain brings a message back to where it came from.
func (w *world) laneAgain(m *message, after int64) {
	m.tries++
	switch {
	case m.redrive:
		w.park(m.changes[0], m.class)
		return
	case m.direct && m.tries >= directTries:
		for _, c := range m.changes {
			w.park(c, retriesUsedUp)
		}
		return
	case m.direct:
		after = w.now + int64(m.tries)*time.Minute.Milliseconds()
	case m.gone:
		return
	case m.twin != nil: // one message: its other receipt goes on
		m.twin.twin = nil
		return
	case m.tries > maxDelivers:
		w.violate("message %d was delivered %d times without an end", m.id, m.tries)
		return
	}
	m.after = w.later(after)
	w.queue = append(w.queue, m)
	w.inOrder()
}

// laneDone notes what a delivery has ended for good.
func (w *world) laneDone(wk *Worker, again bool) {
	for i, r := range wk.results {
		if r.Verdict.Acknowledged() {
			w.ended |= 1 << wk.msg.changes[i]
		}
	}
	if t := wk.msg.twin; t != nil && !again {
		t.gone, t.twin = true, nil
	}
}

// nothingLost: what was delivered is applied, stale, or was parked.
func (w *world) nothingLost() {
	if w.sc.Lane == nil {
		return
	}
	for _, d := range w.sc.Deliveries {
		for _, c := range d {
			if w.ended&(1<<c) == 0 {
				w.violate("change %d is lost: neither applied nor stale nor parked", c)
			}
		}
	}
}

// laneApplies says at which steps the lane's faults can happen.
func (w *world) laneApplies(f Fault, wk *Worker) bool {
	switch o := wk.pending; f {
	case PutLost, PutUnanswered, PutDoubled, DiesAfterPut:
		return o.put != nil
	case PutHalf:
		return o.put != nil && len(o.put.changes) > 1
	case ReceivedTwice:
		return wk.seen == 0 && wk.msg.twin == nil && !wk.msg.gone && !wk.msg.direct && !wk.msg.redrive
	case Outage:
		return o.req != nil && !w.was && !wk.missed()
	}
	return false
}

func (w *world) laneInject(f Fault, wk *Worker) {
	o := wk.pending
	switch f {
	case DiesAfterPut:
		w.perform(wk, o)
		w.crash(wk)
		return
	case ReceivedTwice:
		w.copied(wk.msg)
		return
	case Outage:
		w.out, w.was = true, true
		w.perform(wk, o)
	case PutLost:
		w.counts(wk, o)
		o.err = errPut
	case PutHalf:
		w.counts(wk, o)
		w.put(wk, o, 1)
		o.err = errPut
	case PutUnanswered:
		w.perform(wk, o)
		o.err = errPut
	case PutDoubled:
		w.perform(wk, o)
		w.put(wk, o, len(o.put.changes))
	}
	w.resume(wk)
}

// --- hashing: of epochs only the distance counts, of tokens whose they are, of an age
// whether it has been reached

// base is what epochs are told from.
func (w *world) base() int64 {
	if w.sc.Lane == nil {
		return 0
	}
	n, _ := w.item.Get("n")
	return n.Num
}

// owner hashes a token: is it that of me, or of which living worker.
func (w *world) owner(h *hasher, token string, me *Worker) {
	for i, wk := range w.workers {
		if r := wk.random(); token[6:] == string(r[:]) && (me == nil || me == wk) {
			h.num(int64(i) + 2)
			return
		}
	}
	h.num(1)
}

// who hashes which message it is. Those of a lane have no number that matters, but for the
// two receipts of one.
func (w *world) who(h *hasher, m *message) {
	if w.sc.Lane == nil || m.twin != nil {
		h.num(int64(m.id))
	}
}

// claimed hashes what tells a worker's claim from others.
func (w *world) claimed(h *hasher, wk *Worker) {
	w.hash(h, wk.msg)
	if w.sc.Lane != nil && wk.claims > 0 {
		h.num(wk.epoch - w.base())
	}
}

// hash adds what is known of a message beside its changes.
func (w *world) hash(h *hasher, m *message) {
	if w.sc.Lane == nil {
		h.num(int64(m.granted))
		return
	}
	flags := int64(0)
	for i, set := range []bool{m.direct, m.undecided, m.ours, m.redrive, m.twin != nil, m.gone, m.receives > 0, m.receives > 1 && !m.ours} {
		if set {
			flags |= 1 << i
		}
	}
	if m.direct {
		flags |= int64(m.tries) << 16
	}
	h.num(flags)
	for _, c := range m.changes {
		h.num(int64(c))
		if !m.ours {
			h.num(int64(m.puts.of[c]))
		}
	}
	if !m.direct && !m.redrive {
		left := func(at int64, d time.Duration) { h.num(max(at+d.Milliseconds()-w.now, -1)) }
		left(m.sentAt, waitingFor)
		left(m.since, RetryFor)
		left(m.failedAt, RetryFor)
		if m.failedAt == 0 {
			left(m.receivedAt, RetryFor)
		}
	}
	h.text(string(m.class))
}
