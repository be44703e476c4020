package sim_test

import (
	"strings"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
	"sfrelay/shared/lane"
	"sfrelay/shared/verdict"
)

// What may go wrong between function, buffer, Lambda and sink.
var (
	atTheBuffer = []sim.Fault{sim.PutLost, sim.PutHalf, sim.PutUnanswered, sim.PutDoubled, sim.DiesAfterPut, sim.ReceivedTwice}
	outage      = []sim.Fault{sim.Outage}
	deaths      = []sim.Fault{sim.DiesAfterPut}
	forGood     = []sim.Fault{sim.Rejected}
)

// withLane gives a scenario the lane.
func withLane(name string, sc *sim.Scenario, path sim.Path, faults int, allowed ...[]sim.Fault) *sim.Scenario {
	sc.Name = "lane, " + sc.Name + name
	sc.Lane = &sim.Lane{Path: path, Rules: sim.LaneRules()}
	sc.MaxFaults, sc.Faults = faults, join(outage, join(allowed...))
	return sc
}

// anAction is one that is delivered so many times.
func anAction(sink sim.SinkKind, times int) *sim.Scenario {
	return &sim.Scenario{Name: "EachOnce, " + string(sink), Policy: guard.EachOnce, Sink: sink,
		Changes: []sim.Change{{Version: 1, Hash: 1}}, Deliveries: [][]int{{0}, {0}, {0}}[:times]}
}

func twoStates(sink sim.SinkKind) *sim.Scenario {
	return &sim.Scenario{Name: "NewestWins, " + string(sink), Policy: guard.NewestWins, Sink: sink,
		Changes: []sim.Change{{Version: 1}, {Version: 2}}, Deliveries: [][]int{{0}, {1}}}
}

func twoChanges(sink sim.SinkKind) *sim.Scenario {
	return history("FieldMerge, "+string(sink), sink, "full", "f")
}

// oneEvent brings all changes in one event.
func oneEvent(sc *sim.Scenario) *sim.Scenario {
	all := []int{}
	for i := range sc.Changes {
		all = append(all, i)
	}
	sc.Deliveries = [][]int{all}
	return sc
}

// manyRecords is an event that the lane takes out of the buffer too.
func manyRecords(name string, path sim.Path, faults int, allowed ...[]sim.Fault) *sim.Scenario {
	sc := withLane(", one event"+name, oneEvent(twoChanges(sim.FencedVersion)), path, faults, allowed...)
	sc.Lane.Many = true
	return sc
}

// laneRows are small worlds with the lane, cheap ones first. more is how many faults they
// have beyond those of the quick loop.
func laneRows(more int) []*sim.Scenario {
	rows := []*sim.Scenario{
		manyRecords("", sim.Either, 1, atTheBuffer, bounded, forGood),
		manyRecords(", deaths", sim.Buffered, 2+more, deaths),
		withLane(", deaths", anAction(sim.FencedKey, 1), sim.Direct, 2+2*more, deaths),
		withLane(", once", anAction(sim.UniqueKey, 1), sim.Either, 2, atTheBuffer, bounded, forGood),
		withLane(", once", anAction(sim.NothingPark, 1), sim.Either, 2, atTheBuffer, bounded, forGood),
		withLane(", once, buffer", anAction(sim.LookupOnly, 1), sim.Either, 2+more, atTheBuffer),
		withLane(", one event", oneEvent(twoStates(sim.LastWins)), sim.Either, 1, atTheBuffer, bounded),
	}
	if more > 0 {
		rows = append(rows,
			withLane("", twoStates(sim.FencedVersion), sim.Either, 1, atTheBuffer, everything),
			withLane("", anAction(sim.KeyWindow, 2), sim.Either, 1, atTheBuffer, bounded),
			withLane("", twoChanges(sim.FencedVersion), sim.Either, 1, atTheBuffer, everything),
			withLane("", twoChanges(sim.LastWins), sim.Either, 1, atTheBuffer, bounded),
			withLane("", anAction(sim.FencedKey, 2), sim.Either, 1, atTheBuffer, everything),
			withLane(", once, buffer", anAction(sim.FencedKey, 1), sim.Either, 2+more, atTheBuffer),
		)
	}
	return rows
}

func TestEveryHistoryOfTheLane(t *testing.T) {
	more := 0
	switch {
	case long():
		more = 2
	case proving():
		more = 1
	}
	for _, sc := range laneRows(more) {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			st := promised(t, sc)
			t.Logf("%s: at most %d faults of %d kinds: %d schedules, %d distinct states", sc.Name, sc.MaxFaults, len(sc.Faults), st.Schedules, st.States)
		})
	}
}

// TestMutantsOfTheLane breaks the decisions about the lane one by one. Some history must
// go wrong, for the reason that the decision is there for.
func TestMutantsOfTheLane(t *testing.T) {
	for name, m := range map[string]struct {
		breaks func(*sim.Rules)
		reason string // part of it
	}{
		"put on the second receive": {func(r *sim.Rules) {
			r.Takes = func(d lane.Delivery, unfinished int) bool { d.Receives = 1; return d.Takes(unfinished) }
		}, "is put 2 times for one event"},
		"put a message of the lane anew": {func(r *sim.Rules) {
			r.Takes = func(d lane.Delivery, unfinished int) bool { return d.Ours && !d.Redrive || d.Takes(unfinished) }
		}, "times for one event"},
		"put a redrive": {func(r *sim.Rules) {
			r.Takes = func(d lane.Delivery, unfinished int) bool { return d.Redrive || d.Takes(unfinished) }
		}, "is put 1 times for one event"},
		"acknowledge before the put":   {func(r *sim.Rules) { r.AckFirst = true }, "is lost"},
		"drop what the buffer refuses": {func(r *sim.Rules) { r.Took = func(error) bool { return true } }, "is lost"},
		"park without an attempt": {func(r *sim.Rules) {
			r.Forgets = func(d lane.Delivery, now time.Time, _ time.Duration) bool { return d.Spent(now, sim.RetryFor) }
		}, "without an attempt"},
		"never give up": {func(r *sim.Rules) {
			r.Spent = func(lane.Delivery, time.Time, time.Duration) bool { return false }
		}, "is tried again"},
		"an age for what only waited": {func(r *sim.Rules) {
			r.Failed = func(int64, verdict.Verdict) bool { return true }
		}, "is given up"},
		"the buffer loses what waits": {func(r *sim.Rules) {
			r.Forgets = func(lane.Delivery, time.Time, time.Duration) bool { return false }
		}, "it may never end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := laneRows(0)
			for _, sc := range rows {
				m.breaks(&sc.Lane.Rules)
				st := sim.Explore(sc, 0)
				if st.First == nil {
					continue
				}
				t.Logf("%s: found after %d schedules: %s", sc.Name, st.Schedules, st.First.Reason)
				if !strings.Contains(st.First.Reason, m.reason) {
					t.Errorf("want a reason with %q: %v", m.reason, st.First)
				}
				return
			}
			t.Errorf("no history of %d worlds goes wrong", len(rows))
		})
	}
}

// laneCrowds are worlds with the lane that are too large to explore.
func laneCrowds() []*sim.Scenario {
	record := func(sink sim.SinkKind, allowed []sim.Fault) *sim.Scenario {
		sc := history("crowd, FieldMerge, "+string(sink), sink, "full", "f", "g", "full")
		sc.Deliveries = [][]int{{0, 1}, {1}, {2}, {3, 2}}
		return withLane("", sc, sim.Either, 6, atTheBuffer, allowed, forGood)
	}
	many := oneEvent(history("crowd, FieldMerge, one event", sim.FencedVersion, "full", "f", "g"))
	state := twoStates(sim.FencedVersion)
	state.Name, state.Deliveries = "crowd, "+state.Name, [][]int{{0}, {1}, {0, 1}, {1}}
	action := anAction(sim.FencedKey, 3)
	action.Name = "crowd, " + action.Name
	park := anAction(sim.NothingPark, 3)
	park.Name = "crowd, " + park.Name
	all := []*sim.Scenario{
		record(sim.FencedVersion, everything), record(sim.LastWins, bounded),
		withLane("", state, sim.Either, 6, atTheBuffer, everything, forGood), withLane("", many, sim.Either, 6, atTheBuffer, everything, forGood),
		withLane("", action, sim.Either, 6, atTheBuffer, everything, forGood), withLane("", park, sim.Either, 6, atTheBuffer, everything, forGood),
	}
	all[3].Lane.Many = true
	return all
}

func TestCrowdsInTheLane(t *testing.T) {
	runs := uint64(100)
	switch {
	case long():
		runs = 10_000_000
	case proving():
		runs = 200_000
	}
	for _, sc := range laneCrowds() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range runs {
				if v := sim.Random(sc, seed, crowdRate); v != nil {
					t.Fatalf("seed %d: %v", seed, v)
				}
			}
			counted.schedules.Add(int64(runs))
			t.Logf("%s: %d random schedules", sc.Name, runs)
		})
	}
}
