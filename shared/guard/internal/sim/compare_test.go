package sim_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
	"sfrelay/shared/verdict"
)

// fourCalls is the well-known idempotency protocol, as AWS Powertools describes it: put
// the event's key if it is absent, expired, or in progress past its lease; on success an
// unconditional update, on failure an unconditional delete; memory of one hour. It is
// shown its best configuration: the event's UUID as the key and the function's time-out
// as the lease. It never promised order, and says so.
func fourCalls(lease time.Duration) sim.Protocol {
	const (
		inProgress = 1
		completed  = 2
	)
	return func(w *sim.Worker, call guard.Call) []guard.Result {
		results := make([]guard.Result, len(call.Changes))
		for i, ch := range call.Changes {
			key := "event " + ch.Version.String() // the UUID of the source event
			n := func(v int64) guard.Value { return guard.Value{Kind: guard.Number, Num: v} }
			set := func(attr string, v int64) guard.Assign { return guard.Assign{Attr: attr, Value: n(v)} }
			is := func(attr string, t guard.Test, v int64) guard.Cond {
				return guard.Cond{Test: t, Attr: attr, Value: n(v)}
			}
			now := w.Now().UnixMilli()
			old, ok, err := w.Write(context.Background(), guard.Write{
				Name: guard.Claim, Key: key, ReturnOld: true,
				If: guard.Cond{Test: guard.Any, Terms: []guard.Cond{
					{Test: guard.NoItem}, is("expiration", guard.Less, now),
					{Test: guard.All, Terms: []guard.Cond{is("status", guard.Equal, inProgress), is("lease", guard.Less, now)}},
				}},
				Set: []guard.Assign{set("expiration", now+time.Hour.Milliseconds()), set("status", inProgress), set("lease", now+lease.Milliseconds())},
			})
			status, _ := old.Get("status")
			switch {
			case err != nil:
				results[i] = guard.Result{Verdict: verdict.Failed}
				continue
			case !ok && status.Num == completed:
				results[i] = guard.Result{Verdict: verdict.Duplicate}
				continue
			case !ok:
				results[i] = guard.Result{Verdict: verdict.Failed, Class: "already in progress"}
				continue
			}
			out := w.Send(i)
			if out.Effect == guard.Took {
				_, _, err = w.Write(context.Background(), guard.Write{Name: guard.Complete, Key: key,
					Set: []guard.Assign{set("status", completed), set("expiration", w.Now().Add(time.Hour).UnixMilli())}})
				results[i] = guard.Result{Verdict: verdict.Applied}
			} else {
				// A delete: expired is absent to every condition of this protocol.
				_, _, err = w.Write(context.Background(), guard.Write{Name: guard.GiveBack, Key: key, Set: []guard.Assign{set("expiration", 0), set("status", 0)}})
				results[i] = guard.Result{Verdict: verdict.Failed}
			}
			if err != nil {
				results[i] = guard.Result{Verdict: verdict.Failed}
			}
		}
		return results
	}
}

// noGuard calls the sink with whatever comes.
func noGuard(w *sim.Worker, call guard.Call) []guard.Result {
	results := make([]guard.Result, len(call.Changes))
	for i := range call.Changes {
		results[i] = guard.Result{Verdict: verdict.Failed}
		if w.Send(i).Effect == guard.Took {
			results[i] = guard.Result{Verdict: verdict.Applied}
		}
	}
	return results
}

// faultClass is one row of the comparison.
type faultClass struct {
	name     string
	cases    int
	policy   guard.Policy
	changes  []sim.Change
	delivers [][]int
	faults   []sim.Fault
	after    []time.Duration
}

// The fault classes and their numbers of cases are those of a published history of
// 1,000 source events.
var faultClasses = []faultClass{
	{name: "duplicate with a new EventBridge id", cases: 210, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}, {0}}},
	{name: "full states out of order", cases: 50, policy: guard.NewestWins, changes: []sim.Change{{Version: 1}, {Version: 2}, {Version: 3}}, delivers: [][]int{{0}, {1}, {2}}},
	{name: "partial changes out of order", cases: 40, policy: guard.FieldMerge,
		changes: []sim.Change{{Version: 1, Kind: guard.Full}, {Version: 2, Kind: guard.Partial, Fields: map[string]bool{"f": false}},
			{Version: 3, Kind: guard.Partial, Fields: map[string]bool{"f": false, "g": false}}, {Version: 4, Kind: guard.Partial, Fields: map[string]bool{"g": true}}},
		delivers: [][]int{{0}, {1}, {2}, {3}}},
	{name: "worker dies after the effect", cases: 60, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}}, faults: []sim.Fault{sim.DiesAfterEffect}},
	{name: "worker dies before the effect", cases: 30, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}}, faults: []sim.Fault{sim.DiesBeforeEffect}},
	{name: "the same event twice at once", cases: 100, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}, {0}}},
	{name: "two versions at once", cases: 50, policy: guard.NewestWins, changes: []sim.Change{{Version: 1}, {Version: 2}}, delivers: [][]int{{1}, {0}}},
	{name: "answer of the claim lost", cases: 75, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}}, faults: []sim.Fault{sim.LostClaim}},
	{name: "answer of the completion lost", cases: 75, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}}, faults: []sim.Fault{sim.LostCompletion}},
	{name: "the same event 70 minutes later", cases: 100, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}, {0}}, after: []time.Duration{0, 70 * time.Minute}},
	{name: "answer of the sink lost", cases: 75, policy: guard.EachOnce, changes: []sim.Change{{Version: 1}}, delivers: [][]int{{0}}, faults: []sim.Fault{sim.LostAnswer}},
}

// contender is one column.
type contender struct {
	name     string
	protocol sim.Protocol // nil: the guard
	action   sim.SinkKind
	state    sim.SinkKind
}

var contenders = []contender{
	{"no guard", noGuard, sim.NothingRepeat, sim.LastWins},
	{"four calls, 30 s", fourCalls(30 * time.Second), sim.NothingRepeat, sim.LastWins},
	{"four calls, 900 s", fourCalls(900 * time.Second), sim.NothingRepeat, sim.LastWins},
	{"four calls, keyed sink", fourCalls(30 * time.Second), sim.UniqueKey, sim.LastWins},
	{"guard, repeat", nil, sim.NothingRepeat, sim.LastWins},
	{"guard, park", nil, sim.NothingPark, sim.LastWins},
	{"guard, look-up", nil, sim.LookupOnly, sim.LastWins},
	{"guard, keyed sink", nil, sim.UniqueKey, sim.LastWins},
}

// TestComparison plays the same faults to every contender and prints the table of
// docs/reference/guard.md. D: more than one effect, W: the final record is wrong, L: it lies in a
// queue after one redrive.
func TestComparison(t *testing.T) {
	var b strings.Builder
	b.WriteString("| fault (cases) |")
	for _, c := range contenders {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(contenders)) + "\n")
	totals := make([]int, len(contenders))
	cases := 0
	for _, f := range faultClasses {
		fmt.Fprintf(&b, "| %s (%d) |", f.name, f.cases)
		cases += f.cases
		for i, c := range contenders {
			double, wrong, left := 0, 0, 0
			for seed := range uint64(f.cases) {
				sc := &sim.Scenario{Name: f.name, Policy: f.policy, Changes: f.changes, Deliveries: f.delivers, After: f.after,
					Faults: f.faults, MaxFaults: 1, Sink: c.action, LambdaRetries: true, Protocol: c.protocol}
				if f.policy != guard.EachOnce {
					sc.Sink = c.state
				}
				if f.policy == guard.FieldMerge {
					sc.Fields = twoFields
				}
				o := sim.Play(sc, seed, 1)
				if f.policy == guard.EachOnce && o.Effects > 1 {
					double++
				}
				if f.policy == guard.EachOnce && o.Effects == 0 || o.LeftOver > 0 {
					left++
				}
				if o.Wrong {
					wrong++
				}
			}
			var cell []string
			for _, x := range []struct {
				n int
				s string
			}{{double, "D"}, {wrong, "W"}, {left, "L"}} {
				if x.n > 0 {
					cell = append(cell, fmt.Sprintf("%d %s", x.n, x.s))
				}
			}
			if cell == nil {
				cell = []string{"0"}
			}
			totals[i] += double + wrong
			fmt.Fprintf(&b, " %s |", strings.Join(cell, ", "))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "| **doubled or wrong of %d** |", cases)
	for _, n := range totals {
		fmt.Fprintf(&b, " **%d** |", n)
	}
	b.WriteString("\n")
	t.Logf("\n%s", b.String())
	doc, err := os.ReadFile("../../../../docs/reference/guard.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), b.String()) {
		t.Error("docs/reference/guard.md has another table: put the one above in its place")
	}
}
