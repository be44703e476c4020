package guard_test

import (
	"context"
	"fmt"
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardtest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/verdict"
)

// fresh is one event that nobody has seen: two writes of the memory store and all of
// the guard's own work, an update of three fields where fields matter. The table is a new
// one now and then: collecting the garbage of a large one costs more than the guard.
func fresh(tb testing.TB, p guard.Policy) func() {
	cfg := guard.Config{Consumer: "bench", Policy: p, Random: guardtest.Random(1)}
	if p == guard.FieldMerge {
		for i := range 18 {
			cfg.Fields = append(cfg.Fields, fmt.Sprint("f", i))
		}
	}
	ch := guard.Change{Kind: guard.Full, Version: v(5)}
	if p == guard.FieldMerge {
		ch = guard.Change{Kind: guard.Partial, Version: v(5), Fields: []string{"f1", "f7", "f12"}}
	}
	changes := []guard.Change{ch}
	park := func(context.Context, guard.Parking) error { return nil }
	var g *guard.Guard
	n := 0
	ctx := tb.Context()
	return func() {
		if n%1000 == 0 {
			var err error
			if g, err = guard.New(&memory.Store{}, cfg); err != nil {
				tb.Fatal(err)
			}
		}
		n++
		rep := g.Do(ctx, guard.Call{Org: org, Subject: fmt.Sprint("s", n), Changes: changes, GiveUp: after(3), Park: park},
			func(context.Context, guard.Attempt) guard.Outcome { return took })
		if rep.Results[0].Verdict != verdict.Applied {
			tb.Fatalf("%+v", rep.Results[0])
		}
	}
}

func BenchmarkFresh(b *testing.B) {
	for _, p := range []guard.Policy{guard.EachOnce, guard.NewestWins, guard.FieldMerge} {
		b.Run(p.String(), func(b *testing.B) {
			do := fresh(b, p)
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}

// TestAllocations holds what docs/reference/performance.md says of the guard's own cost.
func TestAllocations(t *testing.T) {
	const most = 60
	for _, p := range []guard.Policy{guard.EachOnce, guard.NewestWins, guard.FieldMerge} {
		if n := testing.AllocsPerRun(200, fresh(t, p)); n > most {
			t.Errorf("%v: %.0f allocations a fresh event, at most %d", p, n, most)
		} else {
			t.Logf("%v: %.0f allocations", p, n)
		}
	}
}
