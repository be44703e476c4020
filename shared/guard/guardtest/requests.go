package guardtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// Requests takes a guard over the store through every path and compares what it
// sent with the two tables of docs/reference/guard.md. take returns the writes and reads
// since it was last called.
func Requests(t *testing.T, store guard.Store, take func() (writes, reads int)) {
	t.Helper()
	now := time.UnixMilli(1_763_800_000_000)
	for _, p := range []guard.Policy{guard.EachOnce, guard.NewestWins, guard.FieldMerge} {
		t.Run(p.String(), func(t *testing.T) {
			cfg := guard.Config{Consumer: fmt.Sprintf("requests-%d", time.Now().UnixNano()), Policy: p,
				Sink: guard.Sink{Fenced: true},
				Now:  func() time.Time { return now }, Random: Random(1), Jitter: func() float64 { return 0 }}
			if p == guard.FieldMerge {
				cfg.Fields = []string{"name", "phone"}
			}
			g, err := guard.New(store, cfg)
			if err != nil {
				t.Fatal(err)
			}
			version := func(n byte) order.Version { return order.Version{0: 1, 5: n} }
			do := func(subject string, n byte, out ...guard.Outcome) verdict.Verdict {
				rep := g.Do(t.Context(), guard.Call{Org: "00D000000000000AAA", Subject: subject, GiveUp: func(_ int, _ verdict.Class, n int64) bool { return n >= 3 },
					Changes: []guard.Change{{Kind: guard.Full, Version: version(n)}},
					Park:    func(context.Context, guard.Parking) error { return nil },
				}, func(context.Context, guard.Attempt) guard.Outcome {
					o := out[0]
					out = out[1:]
					return o
				})
				return rep.Results[0].Verdict
			}
			expect := func(path string, got, want verdict.Verdict, writes, reads int) {
				t.Helper()
				w, r := take()
				if got != want || w != writes || r != reads {
					t.Errorf("%s: %s with %d writes and %d reads, want %s with %d and %d", path, got, w, r, want, writes, reads)
				}
			}
			took := guard.Outcome{Effect: guard.Took}
			no := guard.Outcome{Effect: guard.NotApplied, Class: verdict.Throttled}
			never := guard.Outcome{Effect: guard.NotApplied, Permanent: true, Class: verdict.Permanent("test")}
			take()
			expect("fresh", do("a", 5, took), verdict.Applied, 2, 0)
			expect("duplicate", do("a", 5), verdict.Duplicate, 1, 0)
			if p != guard.EachOnce {
				expect("stale", do("a", 4), verdict.Stale, 1, 0)
			}
			expect("failed", do("b", 5, no), verdict.Failed, 2, 0)
			expect("failed and retried", do("b", 5, took), verdict.Applied, 2, 0)
			expect("parked", do("c", 5, never), verdict.Parked, 2, 0)
			expect("fenced once", do("d", 5, guard.Outcome{Effect: guard.Fenced, Epoch: now.UnixMilli() + 9}, took), verdict.Applied, 4, 0)
			expect("unknown", do("e", 5, guard.Outcome{Class: verdict.Unknown}), verdict.Failed, 2, 0)
			expect("held off by it", do("e", 5), verdict.Failed, 1, 0)
			inner := func() verdict.Verdict { return do("f", 6) }
			g.Do(t.Context(), guard.Call{Org: "00D000000000000AAA", Subject: "f", Changes: []guard.Change{{Kind: guard.Full, Version: version(5)}}},
				func(context.Context, guard.Attempt) guard.Outcome {
					take()
					expect("busy", inner(), verdict.Busy, 1, 0)
					return took
				})
		})
	}
}

// Random is a source of tokens that is the same in every run.
func Random(seed byte) func() [10]byte {
	n := uint64(0)
	return func() [10]byte {
		n++
		var b [10]byte
		b[0] = seed
		for i := range 8 {
			b[9-i] = byte(n >> (8 * i))
		}
		return b
	}
}
