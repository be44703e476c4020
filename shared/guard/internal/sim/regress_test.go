package sim_test

import (
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
)

// TestNamedHistories explores, whole, the small worlds in which some protocol that looks
// right goes wrong. Each is named after what has to survive.
func TestNamedHistories(t *testing.T) {
	action := func(sink sim.SinkKind, faults int, allowed ...sim.Fault) *sim.Scenario {
		return &sim.Scenario{Policy: guard.EachOnce, Sink: sink, Changes: []sim.Change{{Version: 1, Hash: 1}},
			Deliveries: [][]int{{0}, {0}}, Faults: allowed, MaxFaults: faults}
	}
	record := func(sink sim.SinkKind, faults int, allowed []sim.Fault, kinds ...string) *sim.Scenario {
		sc := history("", sink, kinds...)
		sc.Faults, sc.MaxFaults = allowed, faults
		return sc
	}
	instant := func(sink sim.SinkKind) *sim.Scenario {
		return &sim.Scenario{Policy: guard.NewestWins, Sink: sink, Changes: []sim.Change{{Version: 1}, {Version: 2}, {Version: 2, Tie: 1}},
			Deliveries: [][]int{{0}, {1}, {2}, {1, 2}}, Faults: join(bounded, []sim.Fault{sim.Rejected}), MaxFaults: 1}
	}
	unfit := func(sc *sim.Scenario, change int) *sim.Scenario {
		sc.Changes[change].Unfit = "f"
		sc.Deliveries = append(sc.Deliveries, []int{change})
		return sc
	}
	with := func(sc *sim.Scenario, change func(*sim.Scenario)) *sim.Scenario {
		change(sc)
		return sc
	}
	for name, sc := range map[string]*sim.Scenario{
		"doubt survives a 429 and a day in the queue": with(
			action(sim.LookupOnly, 3, sim.LostAnswer, sim.Refused), func(sc *sim.Scenario) { sc.DayPasses = true }),
		"the late PATCH meets a higher epoch": record(sim.FencedVersion, 2,
			[]sim.Fault{sim.LandsAnytime, sim.ZombieSend}, "full", "f", "f"),
		"a restored table, fenced sink": with(
			action(sim.FencedKey, 2, bounded...), func(sc *sim.Scenario) { sc.Restore = true }),
		"a restored table, look-up, in doubt after a 429": with(
			action(sim.LookupOnly, 3, sim.Refused, sim.LostAnswer), func(sc *sim.Scenario) { sc.Restore = true }),
		"redrive after a refusal": with(
			action(sim.LookupOnly, 3, sim.Rejected, sim.LostAnswer, sim.CrashAfter), func(sc *sim.Scenario) { sc.Attempts = 2 }),
		"a batch of phone 3 and name 5, then phone 4": with(
			record(sim.FencedVersion, 1, everything, "f", "g", "f", "f", "g"), func(sc *sim.Scenario) {
				// The versions are 1 to 5; f@3 and g@5 travel together, f@4 comes by itself.
				sc.Changes = sc.Changes[2:]
				sc.Deliveries = [][]int{{0, 2}, {1}}
			}),
		"update 5, delete 3, undelete 4": record(sim.FencedVersion, 1,
			[]sim.Fault{sim.LandsAnytime, sim.CrashAfter}, "full", "delete", "full", "f"),
		"update 5, delete 3, undelete 4, last request wins": record(sim.LastWins, 1, bounded, "full", "delete", "full", "f"),
		"a completion's answer is lost while somebody claims": record(sim.LastWins, 2,
			[]sim.Fault{sim.LostCompletion, sim.LostClaim, sim.Pause}, "full", "f", "g"),
		"equal versions with different content": record(sim.LastWins, 1, bounded, "full", "=full", "f", "=f"),
		"a merged PUT is refused by version": with(
			record(sim.FencedVersion, 2, everything, "full", "full", "full"), func(sc *sim.Scenario) {
				sc.Deliveries = [][]int{{0, 1}, {2}}
			}),
		"one of a batch is refused for good": with(
			record(sim.LastWins, 3, []sim.Fault{sim.Rejected, sim.Refused, sim.LostAnswer}, "full", "f", "g"),
			func(sc *sim.Scenario) { sc.Deliveries = [][]int{{0, 1, 2}, {1}} }),
		"a zombie is repaired by a resync": record(sim.LastWins, 2,
			[]sim.Fault{sim.ZombieSend, sim.LateAnswer, sim.Refused}, "full", "f", "f"),
		"a zombie over a delete is repaired by a resync": record(sim.LastWins, 1,
			[]sim.Fault{sim.ZombieSend, sim.LateAnswer}, "full", "f", "delete"),
		// Patches that were applied since the restore point and come late need the systems to
		// be compared; what a full state covers heals by itself.
		"a restored table learns from a refusal what the sink holds": with(
			record(sim.FencedVersion, 3, bounded, "full", "f", "full"), func(sc *sim.Scenario) {
				sc.Forgotten = true
				sc.Deliveries, sc.InTurn = [][]int{{0}, {1}, {0}, {2}}, true
			}),
		// The sink took state 3, nobody knows; patch 1 went over it; then it refuses state 2.
		// State 3 has to come once more.
		"a refusal tells of a state that a patch has gone over": record(sim.FencedVersion, 2,
			[]sim.Fault{sim.LostAnswer, sim.CrashAfter, sim.LandsLater}, "f", "full", "full"),
		"a refusal tells of a delete that a patch has gone over": record(sim.FencedVersion, 2,
			[]sim.Fault{sim.LostAnswer, sim.CrashAfter}, "f", "full", "delete"),
		"two states of one instant":                    instant(sim.FencedVersion),
		"two states of one instant, last request wins": instant(sim.LastWins),
		"a field does not fit, and is mended":          unfit(record(sim.FencedVersion, 1, everything, "full", "f", "g"), 0),
		"a field does not fit, last request wins":      unfit(record(sim.LastWins, 1, bounded, "f", "full", "f"), 1),
		"a field does not fit, then a delete":          unfit(record(sim.FencedVersion, 1, everything, "full", "delete", "full"), 0),
		"a field does not fit after a delete":          unfit(record(sim.FencedVersion, 1, bounded, "f", "delete", "full"), 2),
		"one of a batch has a field that does not fit": with(
			unfit(record(sim.LastWins, 2, join(bounded, []sim.Fault{sim.Rejected}), "full", "f and g", "g"), 1),
			func(sc *sim.Scenario) { sc.Deliveries = [][]int{{0, 1, 2}, {1, 0}} }),
		"a worker that is fenced off lifts": record(sim.FencedVersion, 2,
			[]sim.Fault{sim.ZombieSend, sim.Pause, sim.LostResponse}, "full", "f", "f"),
	} {
		t.Run(name, func(t *testing.T) {
			sc.Name, sc.MaxFaults = name, depth(sc.MaxFaults)
			st := promised(t, sc)
			t.Logf("%s: %d schedules, %d distinct states", name, st.Schedules, st.States)
		})
	}
}
