package sim_test

import (
	"fmt"
	"os"
	"strings"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
)

// What may go wrong. A row of the guarantee table names what it withstands.
var (
	atTheStore = []sim.Fault{sim.CrashBefore, sim.CrashAfter, sim.LostResponse, sim.StoreDown, sim.StoreTimeout}
	atTheSink  = []sim.Fault{sim.Refused, sim.LostRequest, sim.LostAnswer, sim.LandsLater}
	paused     = []sim.Fault{sim.Pause}
	fromGrave  = []sim.Fault{sim.Pause, sim.ZombieSend, sim.LateAnswer, sim.LandsAnytime}
	bounded    = join(atTheStore, atTheSink, paused)
	everything = join(atTheStore, atTheSink, fromGrave)
)

func join(lists ...[]sim.Fault) []sim.Fault {
	var all []sim.Fault
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// long reports whether somebody asked for the long run.
func long() bool { return os.Getenv("LONG") == "1" }

// proving reports whether this is make prove and not the quick loop.
func proving() bool { return os.Getenv("PROVE") == "1" || long() }

// actionRows are the rows of the guarantee table for EachOnce, each with the faults
// that it promises to withstand.
func actionRows(faults int) []*sim.Scenario {
	row := func(sink sim.SinkKind, allowed []sim.Fault) *sim.Scenario {
		return &sim.Scenario{
			Name: "EachOnce, " + string(sink), Policy: guard.EachOnce, Sink: sink,
			Changes: []sim.Change{{Version: 1, Hash: 1}}, Deliveries: [][]int{{0}, {0}, {0}},
			Faults: allowed, MaxFaults: faults,
		}
	}
	window := row(sim.KeyWindow, bounded)
	window.Name += ", a day passes"
	window.DayPasses = true
	return []*sim.Scenario{
		row(sim.UniqueKey, everything),
		row(sim.FencedKey, everything),
		row(sim.KeyWindow, everything),
		window,
		row(sim.LookupOnly, bounded),
		row(sim.NothingPark, everything),
		row(sim.NothingRepeat, everything),
	}
}

// stateRows are the rows for NewestWins: two versions, two deliveries of each.
func stateRows(faults int) []*sim.Scenario {
	row := func(sink sim.SinkKind, name string, allowed []sim.Fault) *sim.Scenario {
		return &sim.Scenario{
			Name: "NewestWins, " + string(sink) + name, Policy: guard.NewestWins, Sink: sink,
			Changes: []sim.Change{{Version: 1}, {Version: 2}}, Deliveries: [][]int{{0}, {1}, {0}, {1}},
			Faults: allowed, MaxFaults: faults,
		}
	}
	return []*sim.Scenario{
		row(sim.FencedVersion, "", everything),
		row(sim.VersionOnly, "", everything),
		row(sim.LastWins, "", bounded),
		// A zombie is noticed when it lives to see its answer, and then repaired.
		row(sim.LastWins, ", zombies", []sim.Fault{sim.Pause, sim.ZombieSend, sim.LateAnswer}),
	}
}

var twoFields = []string{"f", "g"}

// recordKinds are the changes that a record of two fields can see.
var recordKinds = map[string]sim.Change{
	"full":    {Kind: guard.Full},
	"f":       {Kind: guard.Partial, Fields: map[string]bool{"f": false}},
	"g":       {Kind: guard.Partial, Fields: map[string]bool{"g": true}},
	"f and g": {Kind: guard.Partial, Fields: map[string]bool{"f": false, "g": false}},
	"delete":  {Kind: guard.Delete},
}

// history is a record's changes in commit order, by the names of recordKinds. A name
// with a "=" before it has the version of the one before and other content.
func history(name string, sink sim.SinkKind, kinds ...string) *sim.Scenario {
	sc := &sim.Scenario{Name: name, Policy: guard.FieldMerge, Fields: twoFields, Sink: sink}
	version := byte(0)
	for i, k := range kinds {
		same := strings.HasPrefix(k, "=")
		if !same {
			version++
		}
		c, ok := recordKinds[strings.TrimPrefix(k, "=")]
		if !ok {
			panic("no such kind of change: " + k)
		}
		c.Version, c.Tie = version, byte(i)
		sc.Changes = append(sc.Changes, c)
		sc.Deliveries = append(sc.Deliveries, []int{i})
	}
	return sc
}

// recordRows are all histories of three changes over two fields, at both kinds of
// sinks.
func recordRows(faults int) []*sim.Scenario {
	var rows []*sim.Scenario
	kinds := []string{"full", "f", "g", "f and g", "delete"}
	for _, a := range kinds {
		for _, b := range kinds {
			for _, c := range kinds {
				for _, sink := range []sim.SinkKind{sim.FencedVersion, sim.LastWins} {
					sc := history(fmt.Sprintf("FieldMerge, %s, %s %s %s", sink, a, b, c), sink, a, b, c)
					sc.MaxFaults, sc.Faults = faults, everything
					if sink == sim.LastWins {
						sc.Faults = bounded
					}
					rows = append(rows, sc)
				}
			}
		}
	}
	return rows
}
