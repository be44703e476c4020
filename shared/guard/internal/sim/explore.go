package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"sfrelay/shared/guard"
)

// Violation is a history that ends otherwise than the specification says.
type Violation struct {
	Scenario *Scenario
	Reason   string
	Schedule Schedule
	Faults   int
}

// Schedule is a history: which of the possibilities was taken at each step that had
// more than one.
type Schedule []int

func (s Schedule) String() string { return strings.Trim(fmt.Sprint([]int(s)), "[]") }

// Stats says how much was looked at.
type Stats struct {
	Schedules int // histories run, whole or up to a state seen before
	States    int // distinct states at which there was a choice
	Cut       bool
	First     *Violation // nil: none
	Violated  int
}

// Survey is how all histories of a scenario ended, without judging.
type Survey struct {
	Least, Most int  // effects of an action
	Wrong       bool // a history ends with another record than Salesforce's
	Parked      bool // a history leaves something in the queue
}

// Look explores every history of the scenario and says how they ended.
func Look(sc *Scenario) (s Survey) {
	s.Least = -1
	explore(sc, 0, func(w *world) {
		n := w.sink.effects
		s.Most = max(s.Most, n)
		if s.Least < 0 || n < s.Least {
			s.Least = n
		}
		s.Parked = s.Parked || len(w.parked) > 0
		if sc.Policy != guard.EachOnce {
			w.finish()
			s.Wrong = s.Wrong || w.failed != ""
			w.failed = ""
		}
	})
	return s
}

// Explore runs every history of the scenario, up to limit histories (0: all). A state
// that was seen before, store, sink, every worker's answers and all that is on its
// way taken together, is not gone into again.
func Explore(sc *Scenario, limit int) Stats { return explore(sc, limit, nil) }

func explore(sc *Scenario, limit int, judge func(*world)) Stats {
	e := &explorer{seen: make(map[uint64]struct{})}
	var st Stats
	for {
		w := newWorld(sc, e)
		if judge != nil {
			w.judge = func() { judge(w) }
		}
		e.depth = 0
		w.run()
		st.Schedules++
		if w.failed != "" {
			st.Violated++
			if st.First == nil {
				st.First = &Violation{sc, w.failed, append(Schedule(nil), e.path[:e.depth]...), w.faults}
			}
			return e.stats(st)
		}
		if limit > 0 && st.Schedules >= limit {
			st.Cut = true
			return e.stats(st)
		}
		// The next history leaves the path at the deepest choice that has another.
		n := len(e.path)
		for n > 0 && e.path[n-1]+1 >= e.width[n-1] {
			n--
		}
		if n == 0 {
			return e.stats(st)
		}
		e.path, e.width = e.path[:n], e.width[:n]
		e.path[n-1]++
		e.replay = n
	}
}

func (e *explorer) stats(st Stats) Stats {
	st.States = len(e.seen)
	return st
}

// explorer chooses depth first.
type explorer struct {
	path, width []int
	depth       int
	replay      int // so much of path is given
	seen        map[uint64]struct{}
	states      []uint64 // at the choices of path
}

func (e *explorer) choose(w *world, options []option) int {
	d := e.depth
	e.depth++
	if d < e.replay {
		return e.path[d]
	}
	h := w.state()
	if slices.Contains(e.states[:min(d, len(e.states))], h) {
		w.violate("the history comes back to a state it was in: it may never end")
		e.depth--
		return -1
	}
	e.states = append(e.states[:min(d, len(e.states))], h)
	if _, ok := e.seen[h]; ok {
		e.depth--
		return -1
	}
	e.seen[h] = struct{}{}
	e.path, e.width = append(e.path[:d], 0), append(e.width[:d], len(options))
	return 0
}

// Random runs one history chosen by seed. Faults come with the given probability
// wherever one is possible.
func Random(sc *Scenario, seed uint64, faultRate float64) *Violation {
	c := &random{r: rand.New(rand.NewPCG(seed, 0x5f3759df)), rate: faultRate}
	w := newWorld(sc, c)
	w.run()
	if w.failed == "" {
		return nil
	}
	return &Violation{sc, w.failed, c.taken, w.faults}
}

type random struct {
	r     *rand.Rand
	rate  float64
	taken Schedule
}

func (c *random) choose(_ *world, options []option) int {
	plain := 0
	for plain < len(options) && !options[plain].isFault() {
		plain++
	}
	var i int
	switch {
	case plain == 0 || plain < len(options) && c.r.Float64() < c.rate:
		i = plain + c.r.IntN(len(options)-plain)
	default:
		i = c.r.IntN(plain)
	}
	c.taken = append(c.taken, i)
	return i
}

// fixed replays a schedule; past its end it takes the first possibility.
type fixed struct {
	s Schedule
	i int
}

func (f *fixed) choose(_ *world, options []option) int {
	if f.i >= len(f.s) {
		return 0
	}
	f.i++
	return min(f.s[f.i-1], len(options)-1)
}

// Replay runs one schedule and returns what went wrong, empty if nothing did, and the
// history as a Mermaid sequence diagram.
func Replay(sc *Scenario, s Schedule) (reason, mermaid string) {
	w := newWorld(sc, &fixed{s: s})
	w.tracing = true
	w.run()
	var b strings.Builder
	b.WriteString("sequenceDiagram\n")
	for _, e := range w.trace {
		switch {
		case e.from == "Note" && e.to == "":
			fmt.Fprintf(&b, "    Note over item: %s\n", e.text)
		case e.from == "Note":
			fmt.Fprintf(&b, "    Note over %s: %s\n", e.to, e.text)
		default:
			fmt.Fprintf(&b, "    %s->>%s: %s\n", e.from, e.to, e.text)
		}
	}
	if w.failed != "" {
		fmt.Fprintf(&b, "    Note over sink: %s\n", w.failed)
	}
	return w.failed, b.String()
}

// Shrink makes a violating schedule shorter: it cuts the end off, and sets choices back
// to the first possibility, as long as the history still goes wrong.
func (v *Violation) Shrink() *Violation {
	best := append(Schedule(nil), v.Schedule...)
	wrong := func(s Schedule) (string, int, bool) {
		w := newWorld(v.Scenario, &fixed{s: s})
		w.run()
		return w.failed, w.faults, w.failed != ""
	}
	const rounds = 10
	for range rounds {
		shorter := false
		for n := len(best) / 2; n > 0; n /= 2 {
			for len(best) >= n {
				if _, _, bad := wrong(best[:len(best)-n]); !bad {
					break
				}
				best, shorter = best[:len(best)-n], true
			}
		}
		for i := range best {
			if best[i] == 0 {
				continue
			}
			old := best[i]
			best[i] = 0
			if _, _, bad := wrong(best); bad {
				shorter = true
				continue
			}
			best[i] = old
		}
		for i := 0; i < len(best); i++ {
			without := append(append(Schedule(nil), best[:i]...), best[i+1:]...)
			if _, _, bad := wrong(without); bad {
				best, shorter = without, true
				i--
			}
		}
		if !shorter {
			break
		}
	}
	reason, faults, _ := wrong(best)
	return &Violation{v.Scenario, reason, best, faults}
}

func (v *Violation) String() string {
	small := v.Shrink()
	_, picture := Replay(small.Scenario, small.Schedule)
	return fmt.Sprintf("%s: %s\nschedule: %v\n%s", v.Scenario.Name, cmp.Or(small.Reason, v.Reason), small.Schedule, picture)
}

// --- hashing of states

type hasher uint64

const hashStart hasher = 14695981039346656037

func (h *hasher) num(n int64) {
	x := uint64(*h) ^ uint64(n)
	x *= 0xff51afd7ed558ccd
	x ^= x >> 32
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 29
	*h = hasher(x)
}

func (h *hasher) text(s string) {
	x := uint64(*h)
	for i := range len(s) {
		x = (x ^ uint64(s[i])) * 1099511628211
	}
	*h = hasher(x)
	h.num(int64(len(s)))
}

// record hashes an item by what it can still mean: a time that is over is over, and of
// a token the time matters only where a day may pass or a table be restored. With me it is
// hashed by what it can mean to that worker.
func (w *world) record(r guard.Record, me *Worker) hasher {
	if r == nil {
		return 1
	}
	sum := hasher(0)
	for _, a := range r {
		h := hashStart
		h.text(a.Name)
		switch a.Name {
		case "u":
			h.num(max(a.Value.Num-w.now, 0))
		case "a", "n":
			if w.sc.Lane == nil { // attempts limit nothing there, and epochs are told apart by base
				h.num(a.Value.Num)
			}
		case "o", "w":
			if w.sc.Lane != nil {
				w.owner(&h, a.Value.Str, me)
			} else if w.sc.DayPasses || w.sc.Restore {
				h.text(a.Value.Str)
			} else {
				h.text(a.Value.Str[6:])
			}
		default:
			h.num(a.Value.Num)
			h.text(a.Value.Str)
		}
		sum += h // the attributes have no order
	}
	return sum
}

// mix adds an answer to what a worker has seen.
func (w *world) mix(wk *Worker, o *op) uint64 {
	h := hasher(wk.seen)
	h.num(int64(w.record(o.old, wk)))
	if o.ok {
		h.num(1)
	}
	if o.err != nil {
		h.num(2)
	}
	a := o.ans
	h.text(a.String())
	h.num(a.epoch)
	if a.shows > 0 && w.sc.Asks != nil {
		h.num(int64(a.shows))
		if a.behind {
			h.num(4)
		}
		if a.taken {
			h.num(5)
		}
	}
	h.text(string(a.newer[:]))
	return uint64(h)
}

// staleness tells a claim that was made before its whole lease passed from a fresh one:
// it compares with the time it was made at.
func (w *world) staleness(o *op) int64 {
	if o != nil && o.write != nil && o.write.Name == guard.Claim {
		for _, a := range o.write.Set {
			if a.Attr == "u" {
				return max(w.now-a.Value.Num, -1)
			}
		}
	}
	return 0
}

// state is all that the rest of a history can depend on.
func (w *world) state() uint64 {
	h := hashStart
	h.num(int64(w.record(w.item, nil)))
	h.text(w.sink.String())
	for _, wk := range w.workers {
		w.who(&h, wk.msg)
		h.num(int64(wk.seen))
		w.claimed(&h, wk)
		h.num(max(wk.until-w.now, -1))
		flags := int64(0)
		if wk.late {
			flags |= 1
		}
		if wk.zombie {
			flags |= 2
		}
		if wk.held {
			flags |= 4
		}
		if wk.began {
			flags |= 8
		}
		h.num(flags)
		h.num(w.staleness(wk.pending))
	}
	inOrder := h
	for _, m := range w.queue {
		if w.sc.Lane != nil {
			h = hashStart
		}
		w.who(&h, m)
		h.num(max(m.after-w.now, 0))
		w.hash(&h, m)
		if m.waits {
			h.num(3)
		}
		if w.sc.Lane != nil { // of which nobody is told by its number
			inOrder += h
			h = inOrder
		}
	}
	for _, r := range w.flying {
		h.text(r.String())
		h.num(r.epoch - w.base())
		h.num(max(r.deadline-w.now, -1))
		h.text(string(r.version[:]))
		for _, f := range w.sc.Fields {
			h.text(r.values[f])
		}
	}
	for _, p := range w.parked {
		h.num(int64(p.change))
		h.text(string(p.class))
	}
	h.num(int64(w.faults))
	if w.sc.Lane == nil {
		h.num(int64(w.redrive))
	}
	h.num(int64(w.ended))
	if w.sc.Asks != nil {
		h.num(int64(w.arrived))
	}
	if w.out {
		h.num(7)
	} else if w.was {
		h.num(8)
	}
	if w.sc.DayPasses || w.sc.Restore {
		h.num(w.now)
		h.num(w.restored)
	}
	if w.dayLeft {
		h.num(5)
	}
	return uint64(h)
}

// Outcome is how one random history of a comparison ended.
type Outcome struct {
	Effects  int  // at the sink, of actions
	Wrong    bool // the sink's record is not Salesforce's
	LeftOver int  // messages that still lie in a queue after the redrive
	Asked    int  // requests that the sink carried out
}

// Play runs one random history to its end and reports how it ended, without judging.
func Play(sc *Scenario, seed uint64, faultRate float64) Outcome {
	w := newWorld(sc, &random{r: rand.New(rand.NewPCG(seed, 0x5f3759df)), rate: faultRate})
	w.judge = func() {}
	w.run()
	o := Outcome{Effects: w.sink.effects, LeftOver: len(w.parked), Asked: w.sink.asked}
	if sc.Policy != guard.EachOnce {
		values, _ := sc.truth()
		for f, v := range values {
			o.Wrong = o.Wrong || w.sink.values[f] != v
		}
	}
	return o
}
