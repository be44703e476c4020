package sim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/internal/sim"
)

// TestGuarantees prints the table of docs/reference/guard.md that says what was found, not what was
// promised: every history with one fault, of every kind of sink, with faults that keep
// the stated bounds and with those that do not.
func TestGuarantees(t *testing.T) {
	if !proving() {
		t.Log("part of make prove")
		return
	}
	effects := func(sink sim.SinkKind, faults []sim.Fault) string {
		s := sim.Look(&sim.Scenario{Policy: guard.EachOnce, Sink: sink, Changes: []sim.Change{{Version: 1, Hash: 1}},
			Deliveries: [][]int{{0}, {0}}, Faults: faults, MaxFaults: 1})
		if s.Least == s.Most {
			return fmt.Sprint(s.Most)
		}
		return fmt.Sprintf("%d or %d", s.Least, s.Most)
	}
	states := func(sink sim.SinkKind, faults []sim.Fault) string {
		for _, kinds := range [][]string{{"full", "f", "f"}, {"full", "delete", "full"}} {
			sc := history("", sink, kinds...)
			sc.Faults, sc.MaxFaults = faults, 1
			if sim.Look(sc).Wrong {
				return "not always"
			}
		}
		return "exact"
	}
	var b strings.Builder
	b.WriteString("| the sink offers | effects of an action, faults within the bounds | zombies and requests that land any time | end state of a record, within the bounds | zombies and late requests |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range []struct{ action, state sim.SinkKind }{
		{sim.UniqueKey, ""}, {sim.FencedKey, sim.FencedVersion}, {sim.KeyWindow, sim.LastWins},
		{sim.LookupOnly, sim.LastWins}, {sim.NothingPark, sim.LastWins}, {sim.NothingRepeat, sim.LastWins},
	} {
		within, beyond := "–", "–"
		if row.state != "" {
			within, beyond = states(row.state, bounded), states(row.state, fromGrave)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.action, effects(row.action, bounded), effects(row.action, fromGrave), within, beyond)
	}
	t.Logf("\n%s", b.String())
	doc, err := os.ReadFile("../../../../docs/reference/guard.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), b.String()) {
		t.Error("docs/reference/guard.md has another table: put the one above in its place")
	}
}
