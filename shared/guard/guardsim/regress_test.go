package guardsim_test

import (
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardsim"
)

// TestNamedHistories explores, whole, the small worlds in which some protocol that looks
// right goes wrong. Each is named after what has to survive.
func TestNamedHistories(t *testing.T) {
	action := func(sink guardsim.SinkKind, faults int, allowed ...guardsim.Fault) *guardsim.Scenario {
		return &guardsim.Scenario{Policy: guard.EachOnce, Sink: sink, Changes: []guardsim.Change{{Version: 1, Hash: 1}},
			Deliveries: [][]int{{0}, {0}}, Faults: allowed, MaxFaults: faults}
	}
	record := func(sink guardsim.SinkKind, faults int, allowed []guardsim.Fault, kinds ...string) *guardsim.Scenario {
		sc := history("", sink, kinds...)
		sc.Faults, sc.MaxFaults = allowed, faults
		return sc
	}
	with := func(sc *guardsim.Scenario, change func(*guardsim.Scenario)) *guardsim.Scenario {
		change(sc)
		return sc
	}
	for name, sc := range map[string]*guardsim.Scenario{
		"doubt survives a 429 and a day in the queue": with(
			action(guardsim.LookupOnly, 3, guardsim.LostAnswer, guardsim.Refused), func(sc *guardsim.Scenario) { sc.DayPasses = true }),
		"the late PATCH meets a higher epoch": record(guardsim.FencedVersion, 2,
			[]guardsim.Fault{guardsim.LandsAnytime, guardsim.ZombieSend}, "full", "f", "f"),
		"a restored table, fenced sink": with(
			action(guardsim.FencedKey, 2, bounded...), func(sc *guardsim.Scenario) { sc.Restore = true }),
		"a restored table, look-up, in doubt after a 429": with(
			action(guardsim.LookupOnly, 3, guardsim.Refused, guardsim.LostAnswer), func(sc *guardsim.Scenario) { sc.Restore = true }),
		"redrive after a refusal": with(
			action(guardsim.LookupOnly, 3, guardsim.Rejected, guardsim.LostAnswer, guardsim.CrashAfter), func(sc *guardsim.Scenario) { sc.Attempts = 2 }),
		"a batch of phone 3 and name 5, then phone 4": with(
			record(guardsim.FencedVersion, 1, everything, "f", "g", "f", "f", "g"), func(sc *guardsim.Scenario) {
				// The versions are 1 to 5; f@3 and g@5 travel together, f@4 comes by itself.
				sc.Changes = sc.Changes[2:]
				sc.Deliveries = [][]int{{0, 2}, {1}}
			}),
		"update 5, delete 3, undelete 4": record(guardsim.FencedVersion, 1,
			[]guardsim.Fault{guardsim.LandsAnytime, guardsim.CrashAfter}, "full", "delete", "full", "f"),
		"update 5, delete 3, undelete 4, last request wins": record(guardsim.LastWins, 1, bounded, "full", "delete", "full", "f"),
		"a completion's answer is lost while somebody claims": record(guardsim.LastWins, 2,
			[]guardsim.Fault{guardsim.LostCompletion, guardsim.LostClaim, guardsim.Pause}, "full", "f", "g"),
		"equal versions with different content": record(guardsim.LastWins, 1, bounded, "full", "=full", "f", "=f"),
		"a merged PUT is refused by version": with(
			record(guardsim.FencedVersion, 2, everything, "full", "full", "full"), func(sc *guardsim.Scenario) {
				sc.Deliveries = [][]int{{0, 1}, {2}}
			}),
		"one of a batch is refused for good": with(
			record(guardsim.LastWins, 3, []guardsim.Fault{guardsim.Rejected, guardsim.Refused, guardsim.LostAnswer}, "full", "f", "g"),
			func(sc *guardsim.Scenario) { sc.Deliveries = [][]int{{0, 1, 2}, {1}} }),
		"a zombie is repaired by a resync": record(guardsim.LastWins, 2,
			[]guardsim.Fault{guardsim.ZombieSend, guardsim.LateAnswer, guardsim.Refused}, "full", "f", "f"),
		"a zombie over a delete is repaired by a resync": record(guardsim.LastWins, 1,
			[]guardsim.Fault{guardsim.ZombieSend, guardsim.LateAnswer}, "full", "f", "delete"),
		"a worker that is fenced off lifts": record(guardsim.FencedVersion, 2,
			[]guardsim.Fault{guardsim.ZombieSend, guardsim.Pause, guardsim.LostResponse}, "full", "f", "f"),
	} {
		t.Run(name, func(t *testing.T) {
			sc.Name, sc.MaxFaults = name, depth(sc.MaxFaults)
			st := promised(t, sc)
			t.Logf("%s: %d schedules, %d distinct states", name, st.Schedules, st.States)
		})
	}
}
