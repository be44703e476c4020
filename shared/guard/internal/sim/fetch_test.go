package sim_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
	"sfrelay/shared/order"
)

// What may go wrong when the org is asked: it does not answer, refuses for good until
// somebody gives a right back, or shows the record as it was before the change.
var (
	atTheOrg    = []sim.Fault{sim.Refused, sim.LostRequest, sim.Rejected, sim.ReadBehind, sim.ReadOld, sim.ReadTaken}
	askedAround = []sim.Fault{sim.CrashAfter, sim.StoreTimeout, sim.LostAnswer}
)

// asked is a record that is older than its first change, whose consumer asks the org. A
// name with "thin " before it is a change without content; one with "~" before it is of the
// same second as the one before; one in brackets is never delivered.
func asked(sink sim.SinkKind, faults int, allowed []sim.Fault, kinds ...string) *sim.Scenario {
	plain, thin, same, lost := make([]string, len(kinds)), map[int]bool{}, map[int]bool{}, map[int]bool{}
	for i, k := range kinds {
		same[i] = strings.HasPrefix(k, "~")
		k = strings.TrimPrefix(k, "~")
		lost[i] = strings.HasPrefix(k, "[")
		k = strings.Trim(k, "[]")
		plain[i], thin[i] = strings.CutPrefix(k, "thin ")
	}
	sc := history(fmt.Sprintf("asks, FieldMerge, %s, %s", sink, strings.Join(kinds, ", ")), sink, plain...)
	sc.Asks, sc.Faults, sc.MaxFaults = &sim.Asking{}, allowed, faults
	second := byte(0)
	sc.Deliveries = nil
	for i := range sc.Changes {
		if !same[i] {
			second++
		}
		sc.Changes[i].Second, sc.Changes[i].Thin = second, thin[i]
		if !lost[i] {
			sc.Deliveries = append(sc.Deliveries, []int{i})
		}
	}
	return sc
}

// fetchKinds are the changes of the small worlds. Between a delete and the next change
// there is an undelete, which is full.
var fetchKinds = []string{"full", "f", "thin f and g", "f and g", "delete", "thin full"}

// fetchRows are all histories of so many changes.
func fetchRows(changes, faults int) []*sim.Scenario {
	var rows []*sim.Scenario
	var add func(kinds []string)
	add = func(kinds []string) {
		n := len(kinds)
		if n > 1 && kinds[n-2] == "delete" && !strings.HasSuffix(kinds[n-1], "full") {
			return
		}
		if n < changes {
			for _, k := range fetchKinds {
				add(append(kinds[:n:n], k))
			}
			return
		}
		rows = append(rows, asked(sim.FencedVersion, faults, join(atTheOrg, askedAround), kinds...),
			asked(sim.LastWins, faults, join(atTheOrg, askedAround), kinds...))
	}
	add(nil)
	return rows
}

// namedFetches are the worlds that some rule about reads is there for.
func namedFetches(faults int) map[string]*sim.Scenario {
	allowed := join(atTheOrg, askedAround)
	of := func(kinds ...string) *sim.Scenario { return asked(sim.FencedVersion, faults, allowed, kinds...) }
	together := func(sc *sim.Scenario, deliveries ...[]int) *sim.Scenario {
		sc.Deliveries = deliveries
		return sc
	}
	// Only where the delete comes before the update: there is nothing to tell an update of a
	// record that was seen whole from one of a record that was deleted and came back unseen.
	inTurn := func(sc *sim.Scenario) *sim.Scenario {
		sc.InTurn, sc.MaxFaults = true, 0
		return sc
	}
	return map[string]*sim.Scenario{
		"a first sight":                        of("f"),
		"two first sights at once":             of("f", "f and g"),
		"first sights of two fields":           of("f", "g"),
		"two first sights in one batch":        together(of("f", "g"), []int{0, 1}, []int{1}),
		"a first sight and a gap in one batch": together(of("f", "thin f and g", "g"), []int{0, 1, 2}, []int{0}),
		"delete first":                         of("f", "delete", "full"),
		"a gap of a deletion and after it":     of("thin f and g", "delete", "thin full"),
		"the undelete never arrives":           inTurn(of("full", "delete", "[full]", "f")),
		"a merge: the loser is deleted":        together(of("full", "f", "delete"), []int{0}, []int{1, 2}, []int{2}),
		"three gaps of one second":             of("thin f and g", "~thin f and g", "~thin f and g"),
		"a gap between two of its second":      of("f", "~thin f and g", "~f"),
		"first sights of one second":           together(of("f and g", "~f", "~f"), []int{0}, []int{1, 2}),
		"a record that is seen whole and more": together(of("full", "f", "g", "thin f and g"), []int{0}, []int{2, 3}),
		"last request wins":                    asked(sim.LastWins, faults, join(atTheOrg, []sim.Fault{sim.Pause, sim.LandsLater}), "f", "thin f and g", "f"),
		"zombies":                              asked(sim.LastWins, faults, []sim.Fault{sim.ZombieSend, sim.LateAnswer, sim.ReadBehind, sim.Rejected}, "f", "thin f and g"),
	}
}

// fetchedActions are actions that a change event without content and a platform event tell
// of, whichever is first.
func fetchedActions(faults int) []*sim.Scenario {
	action := func(name string, sink sim.SinkKind, allowed []sim.Fault, deliveries ...[]int) *sim.Scenario {
		return &sim.Scenario{Name: "asks, EachOnce, " + string(sink) + ", " + name, Policy: guard.EachOnce, Sink: sink,
			Changes:    []sim.Change{{Version: 1, Hash: 1}, {Version: 2, Thin: true}, {Version: 3, Hash: 3}},
			Deliveries: deliveries, Asks: &sim.Asking{}, Faults: allowed, MaxFaults: faults}
	}
	org := []sim.Fault{sim.Refused, sim.LostRequest, sim.ReadBehind, sim.Rejected}
	return []*sim.Scenario{
		action("both", sim.UniqueKey, join(everything, org), []int{0}, []int{1}),
		action("fetched twice", sim.FencedKey, join(bounded, org), []int{1}, []int{1}),
		action("fetched and edited", sim.UniqueKey, join(bounded, org), []int{1}, []int{2}),
		action("both", sim.LookupOnly, join(bounded, org), []int{0}, []int{1}),
		action("both", sim.NothingPark, join(bounded, org), []int{0}, []int{1}),
	}
}

func TestEveryHistoryOfARead(t *testing.T) {
	rows := fetchRows(2, depth(1))
	if long() {
		rows = append(rows, fetchRows(3, 0)...)
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
	t.Logf("%d scenarios of a record that is older than its changes, at most %d faults: %d schedules, %d distinct states", len(rows), rows[0].MaxFaults, schedules.Load(), states.Load())
}

func TestNamedHistoriesOfReads(t *testing.T) {
	worlds := namedFetches(depth(0))
	for i, name := range slices.Sorted(maps.Keys(worlds)) {
		if raced && i%4 > 0 {
			continue
		}
		sc := worlds[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := promised(t, sc)
			t.Logf("%s: at most %d faults: %d schedules, %d distinct states", name, sc.MaxFaults, st.Schedules, st.States)
		})
	}
}

func TestEveryHistoryOfAFetchedAction(t *testing.T) {
	for _, sc := range fetchedActions(1) {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			st := promised(t, sc)
			t.Logf("%s: at most %d faults: %d schedules, %d distinct states", sc.Name, sc.MaxFaults, st.Schedules, st.States)
		})
	}
}

// readMutants are the ways to treat a read that look right, and the world of namedFetches in
// which they go wrong.
var readMutants = []struct {
	name, world string
	faults      int
	breaks      func(*sim.Asking)
}{
	{"stamped with the time of the record's last save", "three gaps of one second", 0, func(a *sim.Asking) {
		a.Stamp = func(_, shown order.Version) order.Version { clear(shown[6:]); return shown }
	}},
	{"stamped with the end of that second", "a gap between two of its second", 0, func(a *sim.Asking) {
		a.Stamp = func(_, shown order.Version) order.Version {
			for i := 6; i < len(shown); i++ {
				shown[i] = 0xff
			}
			return shown
		}
	}},
	{"the fields of the change are not laid over the read", "a first sight", 1, func(a *sim.Asking) { a.KeepRead = true }},
	{"the same, of two in one batch", "two first sights in one batch", 1, func(a *sim.Asking) { a.KeepRead = true }},
	{"a first sight sends what changed", "a first sight", 0, func(a *sim.Asking) { a.SendDelta = true }},
	{"a first sight sends what changed where the org does not answer", "a first sight", 1, func(a *sim.Asking) { a.DeltaOnErr = true }},
	{"a read that stays behind is as new as its change", "first sights of two fields", 1, func(a *sim.Asking) { a.NoBase = true }},
	{"a read that is behind is taken", "a gap between two of its second", 1, func(a *sim.Asking) { a.TakeBehind = true }},
}

// TestMutantsOfReads breaks the rules about reads one by one. A history must end with
// another record than the org's.
func TestMutantsOfReads(t *testing.T) {
	for _, m := range readMutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			sc := namedFetches(m.faults)[m.world]
			m.breaks(sc.Asks)
			st := sim.Explore(sc, 60_000)
			if st.First == nil {
				t.Fatalf("no history of %d goes wrong", st.Schedules)
			}
			if small := st.First.Shrink(); !strings.Contains(small.Reason, "the sink ends with") {
				t.Errorf("want a wrong record: %v", small)
			}
			t.Logf("%s: found after %d schedules: %s", m.world, st.Schedules, st.First.Reason)
		})
	}
}

// fetchCrowd is a world that is too large to explore: eight changes in three seconds, some
// without content, duplicates and batches.
func fetchCrowd(sink sim.SinkKind, allowed []sim.Fault) *sim.Scenario {
	sc := asked(sink, 6, join(atTheOrg, allowed), "f", "~g", "~thin f and g", "f", "~delete", "thin full", "~f and g", "~thin f")
	sc.Name = "crowd, asks, FieldMerge, " + string(sink)
	sc.Deliveries = append(sc.Deliveries, []int{0, 1}, []int{2, 3}, []int{6, 7}, []int{1, 6})
	sc.Skew = []time.Duration{0, 900 * time.Millisecond, -900 * time.Millisecond}
	return sc
}

func fetchCrowds() []*sim.Scenario {
	return []*sim.Scenario{fetchCrowd(sim.FencedVersion, everything), fetchCrowd(sim.LastWins, bounded)}
}

func TestCrowdsOfReads(t *testing.T) {
	runs := uint64(200)
	switch {
	case long():
		runs = 1_000_000
	case proving():
		runs = 20_000
	}
	for _, sc := range fetchCrowds() {
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
	// Without faults, so that nothing but the rule makes a history wrong.
	for _, m := range readMutants[:2] {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			wrong, sc := 0, fetchCrowd(sim.FencedVersion, nil)
			sc.MaxFaults = 0
			m.breaks(sc.Asks)
			for seed := range runs {
				if sim.Random(sc, seed, 0) != nil {
					wrong++
				}
			}
			t.Logf("%s: %d of %d random schedules wrong", m.name, wrong, runs)
			if wrong == 0 {
				t.Error("no random schedule notices")
			}
		})
	}
}
