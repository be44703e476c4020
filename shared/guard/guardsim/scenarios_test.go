package guardsim_test

import (
	"fmt"
	"os"
	"strings"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardsim"
)

// What may go wrong. A row of the guarantee table names what it withstands.
var (
	atTheStore = []guardsim.Fault{guardsim.CrashBefore, guardsim.CrashAfter, guardsim.LostResponse, guardsim.StoreDown, guardsim.StoreTimeout}
	atTheSink  = []guardsim.Fault{guardsim.Refused, guardsim.LostRequest, guardsim.LostAnswer, guardsim.LandsLater}
	paused     = []guardsim.Fault{guardsim.Pause}
	fromGrave  = []guardsim.Fault{guardsim.Pause, guardsim.ZombieSend, guardsim.LateAnswer, guardsim.LandsAnytime}
	bounded    = join(atTheStore, atTheSink, paused)
	everything = join(atTheStore, atTheSink, fromGrave)
)

func join(lists ...[]guardsim.Fault) []guardsim.Fault {
	var all []guardsim.Fault
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
func actionRows(faults int) []*guardsim.Scenario {
	row := func(sink guardsim.SinkKind, allowed []guardsim.Fault) *guardsim.Scenario {
		return &guardsim.Scenario{
			Name: "EachOnce, " + string(sink), Policy: guard.EachOnce, Sink: sink,
			Changes: []guardsim.Change{{Version: 1, Hash: 1}}, Deliveries: [][]int{{0}, {0}, {0}},
			Faults: allowed, MaxFaults: faults,
		}
	}
	window := row(guardsim.KeyWindow, bounded)
	window.Name += ", a day passes"
	window.DayPasses = true
	return []*guardsim.Scenario{
		row(guardsim.UniqueKey, everything),
		row(guardsim.FencedKey, everything),
		row(guardsim.KeyWindow, everything),
		window,
		row(guardsim.LookupOnly, bounded),
		row(guardsim.NothingPark, everything),
		row(guardsim.NothingRepeat, everything),
	}
}

// stateRows are the rows for NewestWins: two versions, two deliveries of each.
func stateRows(faults int) []*guardsim.Scenario {
	row := func(sink guardsim.SinkKind, name string, allowed []guardsim.Fault) *guardsim.Scenario {
		return &guardsim.Scenario{
			Name: "NewestWins, " + string(sink) + name, Policy: guard.NewestWins, Sink: sink,
			Changes: []guardsim.Change{{Version: 1}, {Version: 2}}, Deliveries: [][]int{{0}, {1}, {0}, {1}},
			Faults: allowed, MaxFaults: faults,
		}
	}
	return []*guardsim.Scenario{
		row(guardsim.FencedVersion, "", everything),
		row(guardsim.VersionOnly, "", everything),
		row(guardsim.LastWins, "", bounded),
		// A zombie is noticed when it lives to see its answer, and then repaired.
		row(guardsim.LastWins, ", zombies", []guardsim.Fault{guardsim.Pause, guardsim.ZombieSend, guardsim.LateAnswer}),
	}
}

var twoFields = []string{"f", "g"}

// recordKinds are the changes that a record of two fields can see.
var recordKinds = map[string]guardsim.Change{
	"full":    {Kind: guard.Full},
	"f":       {Kind: guard.Partial, Fields: map[string]bool{"f": false}},
	"g":       {Kind: guard.Partial, Fields: map[string]bool{"g": true}},
	"f and g": {Kind: guard.Partial, Fields: map[string]bool{"f": false, "g": false}},
	"delete":  {Kind: guard.Delete},
}

// history is a record's changes in commit order, by the names of recordKinds. A name
// with a "=" before it has the version of the one before and other content.
func history(name string, sink guardsim.SinkKind, kinds ...string) *guardsim.Scenario {
	sc := &guardsim.Scenario{Name: name, Policy: guard.FieldMerge, Fields: twoFields, Sink: sink}
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
func recordRows(faults int) []*guardsim.Scenario {
	var rows []*guardsim.Scenario
	kinds := []string{"full", "f", "g", "f and g", "delete"}
	for _, a := range kinds {
		for _, b := range kinds {
			for _, c := range kinds {
				for _, sink := range []guardsim.SinkKind{guardsim.FencedVersion, guardsim.LastWins} {
					sc := history(fmt.Sprintf("FieldMerge, %s, %s %s %s", sink, a, b, c), sink, a, b, c)
					sc.MaxFaults, sc.Faults = faults, everything
					if sink == guardsim.LastWins {
						sc.Faults = bounded
					}
					rows = append(rows, sc)
				}
			}
		}
	}
	return rows
}
