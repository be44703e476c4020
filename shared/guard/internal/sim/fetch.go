package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// The faults of a read of the org.
const (
	ReadBehind Fault = "read behind" // the org shows the record as it was before the change, and its stamp tells
	ReadOld    Fault = "read old"    // the same, and the stamp does not tell: both are of one second
	ReadTaken  Fault = "read taken"  // it shows the record as it was before all, its stamp tells, and it is taken all the same: for five minutes nothing newer came
)

// Asking has the world's consumer ask the org: for what an event leaves out before the
// claim, and for the record where it was never seen whole. A read shows the record as it
// was after the change, or after any later one: an answer may be late. The record is older
// than the first change. The fields break the rules one by one; their zero value is the
// product's.
type Asking struct {
	Stamp      func(cause, shown order.Version) order.Version // of what was read; nil: that of the change that caused the reading
	KeepRead   bool                                           // also fields that the change itself carries
	SendDelta  bool                                           // of a record that was never seen whole
	DeltaOnErr bool                                           // the same, where the org does not answer
	TakeBehind bool                                           // a read that is behind
	NoBase     bool                                           // what is taken although it is behind is as new as the change
}

// busyWait is how long a claim waits in process, as a consumer has it. Without it two
// first sights could hold each other off for ever: each claims twice.
const busyWait = 2 * time.Second

// wakes reports whether a worker that waits for the item goes on: when it is free, or when
// everybody waits, and then it gives up.
func (w *world) wakes(wk *Worker) bool {
	return w.free() || !slices.ContainsFunc(w.workers, func(o *Worker) bool { return o != wk && o.pending.sleep == 0 })
}

// inOrder are the changes in commit order, by index.
func (sc *Scenario) inOrder() []int {
	sorted := make([]int, len(sc.Changes))
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortFunc(sorted, func(a, b int) int { return sc.Changes[a].version().Compare(sc.Changes[b].version()) })
	return sorted
}

// place of a change in commit order, from 1.
func (sc *Scenario) place(change int) int { return slices.Index(sc.inOrder(), change) + 1 }

// reads are the ways in which a read can answer: how many changes it shows, and one more.
func (w *world) reads(opts []option, wk *Worker) []option {
	for shows := wk.pending.req.since + 1; shows <= len(w.sc.Changes)+1; shows++ {
		opts = append(opts, option{kind: optStep, wk: wk, shows: shows})
	}
	return opts
}

// fetchApplies says at which steps the faults of a read can happen.
func (w *world) fetchApplies(f Fault, wk *Worker) bool {
	r := wk.pending.req
	switch f {
	case ReadBehind:
		return r != nil && r.since > 0 && r.newest > 0
	case ReadOld:
		return r != nil && r.own > 0
	case ReadTaken:
		return r != nil && r.whole
	}
	return false
}

func (w *world) fetchInject(f Fault, wk *Worker) {
	r := wk.pending.req
	r.shows, r.behind = r.newest, true
	switch f {
	case ReadOld:
		r.shows, r.behind = r.own, false
	case ReadTaken:
		r.shows, r.behind, r.taken = 1, false, true
	}
	w.perform(wk, wk.pending)
	w.resume(wk)
}

// asking is a delivery as a consumer takes it that asks the org.
type asking struct {
	wk      *Worker
	g       *guard.Guard
	call    guard.Call
	results []guard.Result
	needs   []int // indices of the call's changes that the org is asked about
	ready   []int // those that go to the guard next
	delta   bool  // see Asking.DeltaOnErr
}

// askOrg takes a delivery through the guard and the org.
func (wk *Worker) askOrg(g *guard.Guard, call guard.Call) []guard.Result {
	a := &asking{wk: wk, g: g, call: call, results: make([]guard.Result, len(call.Changes))}
	for i := range call.Changes {
		if wk.w.sc.Changes[wk.msg.changes[i]].Thin && !wk.msg.resync {
			a.needs = append(a.needs, i)
		} else {
			a.ready = append(a.ready, i)
		}
	}
	for range 2 {
		a.guarded()
		a.read()
	}
	a.guarded()
	return a.results
}

// guarded takes the changes that are ready through the guard.
func (a *asking) guarded() {
	if len(a.ready) == 0 || a.wk.dead {
		return
	}
	call := a.call
	call.WholeFirst = !a.wk.w.sc.Asks.SendDelta && !a.delta
	call.Changes = nil
	for _, i := range a.ready {
		call.Changes = append(call.Changes, a.call.Changes[i])
	}
	a.wk.subset = a.ready
	for k, r := range a.g.Do(context.Background(), call, a.wk.handle).Results {
		i := a.ready[k]
		if a.results[i] = r; r.Unseen {
			a.needs = append(a.needs, i)
		}
	}
	a.ready = nil
}

// read asks the org once for all that needs it.
func (a *asking) read() {
	sc, wk := a.wk.w.sc, a.wk
	var asks []int
	for _, i := range a.needs {
		if a.worth(i) {
			asks = append(asks, i)
		}
	}
	if a.needs = nil; len(asks) == 0 || wk.dead {
		return
	}
	of := func(i int) int { return wk.msg.changes[i] }
	slices.SortFunc(asks, func(i, j int) int { return sc.place(of(i)) - sc.place(of(j)) })
	newest := sc.place(of(asks[len(asks)-1]))
	r := &request{kind: fetch, since: newest, newest: newest}
	if own := a.ownOnly(asks); own >= 0 {
		r.own = own + 1
	}
	r.whole = sc.Policy == guard.FieldMerge && !slices.ContainsFunc(asks, func(i int) bool { return sc.Changes[of(i)].Thin })
	ans := wk.ask(r)
	var own map[string]string // what the changes say themselves, the older ones first
	for _, i := range asks {
		c := sc.Changes[of(i)]
		if c.Thin {
			own = nil
		}
		if own == nil {
			own = map[string]string{}
		}
		for f := range c.Fields {
			if !c.Thin {
				own[f] = sc.value(of(i), f)
			}
		}
		a.answered(i, ans, own)
	}
}

// ownOnly is how little a read may show that is taken although it is behind: all that is
// missing is what these changes carry themselves. -1: the read has to show all.
func (a *asking) ownOnly(asks []int) int {
	sc := a.wk.w.sc
	last := a.wk.msg.changes[asks[len(asks)-1]]
	if sc.Policy != guard.FieldMerge || sc.Changes[last].Thin {
		return -1
	}
	least := sc.place(last)
	for k := len(asks) - 1; k >= 0; k-- {
		c := a.wk.msg.changes[asks[k]]
		if sc.place(c) != least || sc.Changes[c].Thin {
			break
		}
		least--
	}
	return least
}

// worth asks the guard first whether an action was done.
func (a *asking) worth(i int) bool {
	if a.wk.w.sc.Policy != guard.EachOnce {
		return true
	}
	done, later, err := a.g.Done(context.Background(), "org", "subject", a.call.Changes[i].Version)
	switch {
	case err != nil:
		a.results[i] = guard.Result{Verdict: verdict.Failed, Class: verdict.Unfinished}
	case done && !later:
		a.results[i] = guard.Result{Verdict: verdict.Duplicate}
	default:
		return true
	}
	return false
}

// answered readies a change with what was read.
func (a *asking) answered(i int, ans answer, own map[string]string) {
	sc, wk, ch := a.wk.w.sc, a.wk, &a.call.Changes[i]
	switch {
	case ans.forGood:
		wk.w.park(wk.msg.changes[i], verdict.RecordUnreadable)
		a.results[i] = guard.Result{Verdict: verdict.Parked, Class: verdict.RecordUnreadable}
		return
	case ans.unsure || ans.refused:
		if sc.Asks.DeltaOnErr && a.results[i].Unseen {
			a.delta, a.ready = true, append(a.ready, i)
			return
		}
		a.results[i] = guard.Result{Verdict: verdict.Failed, Class: verdict.OrgDown}
		return
	case ans.behind && sc.place(wk.msg.changes[i]) >= ans.shows && !sc.Asks.TakeBehind:
		a.results[i] = guard.Result{Verdict: verdict.Failed, Class: verdict.NeedsFetch}
		return
	}
	a.ready = append(a.ready, i)
	if sc.Policy == guard.EachOnce {
		ch.Kind, ch.Fetched, ch.Hash = guard.Full, true, [8]byte{byte(ans.shows), 1}
		return
	}
	ch.Kind = guard.Full
	if ans.taken && !sc.Asks.NoBase {
		ch.Base = order.Version{0: 1} // the time of a save before all others
	} else {
		ch.Fields = nil
	}
	if sc.Asks.Stamp != nil {
		shown := order.Version{}
		if n := ans.shows - 1; n > 0 {
			shown = sc.Changes[sc.inOrder()[n-1]].version()
		}
		ch.Version = sc.Asks.Stamp(ch.Version, shown)
	}
	if ans.deleted {
		ch.Kind = guard.Delete
		return
	}
	values := maps.Clone(ans.values)
	if !sc.Asks.KeepRead {
		maps.Copy(values, own)
	}
	wk.content(i, values)
}

func (wk *Worker) content(i int, values map[string]string) {
	if wk.fetched == nil {
		wk.fetched = map[int]map[string]string{}
	}
	wk.fetched[i] = maps.Clone(values)
}

// at is the index in the message of change i of a call.
func (wk *Worker) at(i int) int {
	if wk.subset == nil {
		return i
	}
	return wk.subset[i]
}

// value is what change i of a call says of a field, or what was read.
func (wk *Worker) value(i int, field string) string {
	if values, ok := wk.fetched[wk.at(i)]; ok {
		return values[field]
	}
	return wk.w.sc.value(wk.msg.changes[wk.at(i)], field)
}

// initial is the record as it was before the first change.
func (sc *Scenario) initial() map[string]string {
	values := map[string]string{}
	if sc.Asks != nil {
		for _, f := range sc.Fields {
			values[f] = fmt.Sprintf("%s of before", f)
		}
	}
	return values
}
