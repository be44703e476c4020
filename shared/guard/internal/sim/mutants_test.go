package sim_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardtest"
	"sfrelay/shared/guard/internal/sim"
)

// equivalent are the mutants that no history can tell from the protocol, each with the
// reason. Everything else has to be killed.
var equivalent = map[string]string{}

// hunters are the scenarios that a mutant of a policy is shown, quick ones first.
func hunters(p guard.Policy) []*sim.Scenario {
	var all []*sim.Scenario
	for faults := 0; faults <= 2; faults++ {
		switch p {
		case guard.EachOnce:
			all = append(all, actionRows(faults)[:6]...)
		case guard.NewestWins:
			if faults < 2 {
				all = append(all, stateRows(faults)...)
			}
		default:
			if faults == 2 {
				break
			}
			for _, sink := range []sim.SinkKind{sim.FencedVersion, sim.LastWins} {
				for i, kinds := range [][]string{
					{"full", "f", "g"}, {"full", "delete", "full"}, {"f", "f and g", "f"}, {"full", "=full"},
					{"full", "delete", "f"}, {"f", "full", "delete"},
				} {
					sc := history(fmt.Sprintf("FieldMerge, %s, hunter %d", sink, i), sink, kinds...)
					sc.Deliveries = append(sc.Deliveries, []int{0}, []int{len(kinds) - 1})
					sc.MaxFaults, sc.Faults = faults, everything
					if sink == sim.LastWins {
						sc.Faults = bounded
					}
					all = append(all, sc)
				}
			}
		}
	}
	return all
}

// TestMutants makes every clause of every write worse in turn. Some test must turn red.
func TestMutants(t *testing.T) {
	if !proving() {
		t.Log("part of make prove")
		return
	}
	stories := filepath.Join(t.TempDir(), "stories.test")
	if out, err := exec.Command("go", "test", "-c", "-o", stories, "sfrelay/shared/guard").CombinedOutput(); err != nil {
		t.Fatalf("building the stories: %v\n%s", err, out)
	}
	mutants := allMutants(t)
	if len(mutants) < 60 {
		t.Fatalf("only %d mutants were found", len(mutants))
	}
	lines := make([]string, len(mutants))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i, m := range mutants {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			killers := killedBy(t, stories, m)
			killer := strings.Join(killers, "; by ")
			reason, excused := equivalent[m.String()]
			switch {
			case killer != "" && excused:
				t.Errorf("%v is listed as equivalent but killed by %s", m, killer)
			case killer != "":
				lines[i] = fmt.Sprintf("%v: killed by %s", m, killer)
			case excused:
				lines[i] = fmt.Sprintf("%v: equivalent, %s", m, reason)
			default:
				lines[i] = fmt.Sprintf("%v: SURVIVED", m)
				t.Errorf("%v survived", m)
			}
		})
	}
	wg.Wait()
	t.Logf("%d mutants:\n%s", len(lines), strings.Join(lines, "\n"))
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// killedBy runs the stories with the mutant, and shows it to the histories at fenced and
// unfenced sinks: a clause that only a story needs, because it saves requests and not
// correctness, is killed once.
func killedBy(t *testing.T, stories string, m guardtest.Mutant) (killers []string) {
	t.Helper()
	cmd := exec.Command(stories, "-test.run", "^Test", "-test.timeout", "60s")
	cmd.Env = append(os.Environ(), "MUTANT="+m.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		killer := "the stories"
		if all := failed.FindAllStringSubmatch(string(out), -1); all != nil {
			killer = all[len(all)-1][1]
		}
		killers = append(killers, killer)
	}
	most := 800 // histories of a scenario, when a story has killed it already
	if killers == nil {
		most = 60_000
	}
	for _, p := range []guard.Policy{guard.EachOnce, guard.NewestWins, guard.FieldMerge} {
		if p.String() != m.Policy {
			continue
		}
		for _, sc := range hunters(p) {
			sc.Broken = m.Apply
			if st := sim.Explore(sc, most); st.First != nil {
				return append(killers, fmt.Sprintf("history of %q, %d faults: %s", sc.Name, sc.MaxFaults, st.First.Reason))
			}
		}
	}
	return killers
}

// allMutants collects the writes that the scenarios make, and their mutants.
func allMutants(t *testing.T) []guardtest.Mutant {
	t.Helper()
	var all []guardtest.Mutant
	for _, p := range []guard.Policy{guard.EachOnce, guard.NewestWins, guard.FieldMerge} {
		for _, sc := range hunters(p) {
			sc.Broken = func(w guard.Write) guard.Write {
				for _, m := range guardtest.Mutants(p, w) {
					if !slices.Contains(all, m) {
						all = append(all, m)
					}
				}
				return w
			}
			sim.Explore(sc, 400)
		}
	}
	slices.SortFunc(all, func(a, b guardtest.Mutant) int { return strings.Compare(a.String(), b.String()) })
	return all
}
