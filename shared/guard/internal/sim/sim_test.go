package sim_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
)

// counted is how much all tests of this package looked at.
var counted struct{ schedules, states atomic.Int64 }

// promised explores a scenario whole and fails at the first history that breaks what
// the guarantee table promises.
func promised(t *testing.T, sc *sim.Scenario) sim.Stats {
	t.Helper()
	st := sim.Explore(sc, 0)
	counted.schedules.Add(int64(st.Schedules))
	counted.states.Add(int64(st.States))
	if st.First != nil {
		t.Errorf("%v", st.First)
	}
	return st
}

// depth is how many faults a history may have: one fewer in the quick loop, one more
// in the long run.
func depth(faults int) int {
	switch {
	case long():
		return faults + 1
	case proving():
		return faults
	default:
		return max(faults-1, 0)
	}
}

func TestEveryHistoryOfAnAction(t *testing.T) {
	for _, sc := range actionRows(depth(2)) {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			st := promised(t, sc)
			t.Logf("%s: 3 deliveries, at most %d faults of %d kinds: %d schedules, %d distinct states", sc.Name, sc.MaxFaults, len(sc.Faults), st.Schedules, st.States)
		})
	}
}

func TestEveryHistoryOfAState(t *testing.T) {
	for _, sc := range stateRows(depth(1)) {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			st := promised(t, sc)
			t.Logf("%s: 2 versions, 2 deliveries of each, at most %d faults of %d kinds: %d schedules, %d distinct states", sc.Name, sc.MaxFaults, len(sc.Faults), st.Schedules, st.States)
		})
	}
}

func TestEveryHistoryOfARecord(t *testing.T) {
	rows := recordRows(depth(1))
	if !proving() {
		rows = recordRows(1)[:6]
	}
	var schedules, states atomic.Int64
	work := make(chan *sim.Scenario)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for sc := range work {
				st := promised(t, sc)
				schedules.Add(int64(st.Schedules))
				states.Add(int64(st.States))
			}
		})
	}
	for _, sc := range rows {
		work <- sc
	}
	close(work)
	wg.Wait()
	t.Logf("%d scenarios of 3 changes over 2 fields, at most %d faults: %d schedules, %d distinct states", len(rows), rows[0].MaxFaults, schedules.Load(), states.Load())
}

// TestTheCheckerCanSee: where the table promises nothing, the violation must be found.
func TestTheCheckerCanSee(t *testing.T) {
	repeat := actionRows(1)[6]
	repeat.Strict = true
	lookup := actionRows(1)[4]
	lookup.Faults = fromGrave
	late := stateRows(1)[2]
	late.Faults = []sim.Fault{sim.LandsAnytime}
	// A restored table forgets versions: until the systems are compared, an older full
	// state that comes late overwrites newer fields.
	restored := history("FieldMerge, restored and not compared", sim.FencedVersion, "full", "f")
	restored.Restore, restored.MaxFaults = true, 1
	for _, sc := range []*sim.Scenario{repeat, lookup, late, restored} {
		st := sim.Explore(sc, 0)
		if st.First == nil {
			t.Errorf("%s with %v: no violation found in %d schedules", sc.Name, sc.Faults, st.Schedules)
			continue
		}
		small := st.First.Shrink()
		if reason, _ := sim.Replay(small.Scenario, small.Schedule); reason == "" {
			t.Errorf("%s: the shrunk schedule %v does not replay", sc.Name, small.Schedule)
		}
		t.Logf("%s: found after %d schedules: %s", sc.Name, st.Schedules, small.Reason)
	}
}

// TestReplay runs one history again: SCENARIO is its name, SCHEDULE its choices, or
// SEED the seed of a random one.
func TestReplay(t *testing.T) {
	name, schedule, seed := os.Getenv("SCENARIO"), os.Getenv("SCHEDULE"), os.Getenv("SEED")
	if name == "" || schedule == "" && seed == "" {
		return
	}
	for _, sc := range slices.Concat(actionRows(9), stateRows(9), recordRows(9), crowds(), laneRows(9), laneCrowds(), fetchRows(2, 9), fetchRows(3, 9), fetchCrowds()) {
		if sc.Name != name {
			continue
		}
		if seed != "" {
			n, err := strconv.ParseUint(seed, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if v := sim.Random(sc, n, crowdRate); v != nil {
				t.Fatalf("seed %d: %v", n, v)
			}
			return
		}
		var s sim.Schedule
		for _, f := range strings.Fields(schedule) {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			s = append(s, n)
		}
		reason, picture := sim.Replay(sc, s)
		fmt.Println(picture)
		if reason != "" {
			t.Fatal(reason)
		}
		return
	}
	t.Fatalf("there is no scenario %q", name)
}

// crowdRate is how likely a fault is where one is possible.
const crowdRate = 0.1

// crowds are scenarios too large to explore: many changes, duplicates, batches,
// clocks that differ, many faults. Seeds choose their histories.
func crowds() []*sim.Scenario {
	record := func(sink sim.SinkKind, faults []sim.Fault) *sim.Scenario {
		sc := history("crowd, FieldMerge, "+string(sink), sink, "full", "f", "g", "delete", "full", "=full", "f", "f and g")
		sc.Deliveries = append(sc.Deliveries, []int{0, 1, 2}, []int{3, 6}, []int{7, 2}, []int{4, 5})
		sc.Faults, sc.MaxFaults = faults, 6
		return sc
	}
	action := func(sink sim.SinkKind, faults []sim.Fault) *sim.Scenario {
		return &sim.Scenario{Name: "crowd, EachOnce, " + string(sink), Policy: guard.EachOnce, Sink: sink,
			Changes:    []sim.Change{{Version: 1, Hash: 1}, {Version: 2, Hash: 2}},
			Deliveries: [][]int{{0}, {0}, {1}, {0}, {1}, {1}}, Faults: faults, MaxFaults: 6}
	}
	state := func(sink sim.SinkKind, faults []sim.Fault) *sim.Scenario {
		return &sim.Scenario{Name: "crowd, NewestWins, " + string(sink), Policy: guard.NewestWins, Sink: sink,
			Changes:    []sim.Change{{Version: 1}, {Version: 2}, {Version: 2, Tie: 1}, {Version: 3}},
			Deliveries: [][]int{{0}, {1}, {2}, {3}, {0, 3}, {2, 1}, {3}, {0}}, Faults: faults, MaxFaults: 6}
	}
	all := []*sim.Scenario{
		action(sim.UniqueKey, everything), action(sim.FencedKey, everything), action(sim.KeyWindow, everything),
		action(sim.LookupOnly, bounded), action(sim.NothingPark, everything), action(sim.NothingRepeat, everything),
		state(sim.FencedVersion, everything), state(sim.VersionOnly, everything), state(sim.LastWins, bounded),
		record(sim.FencedVersion, everything), record(sim.LastWins, bounded),
	}
	for _, sc := range all {
		// Clocks differ by less than the margin of 2 s; causes are mended; days pass.
		sc.Skew = []time.Duration{0, 900 * time.Millisecond, -900 * time.Millisecond}
		sc.Faults = join(sc.Faults, []sim.Fault{sim.Rejected})
		// After its window a key promises nothing about requests that are still on their way.
		sc.DayPasses = sc.Sink != sim.KeyWindow
	}
	days := action(sim.KeyWindow, bounded)
	days.Name, days.DayPasses = days.Name+", a day passes", true
	return append(all, days)
}

func TestCrowds(t *testing.T) {
	runs := uint64(50)
	switch {
	case long():
		runs = 1_000_000
	case proving():
		runs = 5_000
	}
	if s := os.Getenv("SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		runs = n
	}
	for _, sc := range crowds() {
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

func TestMain(m *testing.M) {
	// Every world is thrown away at once: few live, and to collect them often would take a fifth of the time. The race
	// detector needs several times what is counted here.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(1 << 30)
	code := m.Run()
	fmt.Printf("guard: %d schedules in all, %d distinct states in the explored ones\n", counted.schedules.Load(), counted.states.Load())
	os.Exit(code)
}
