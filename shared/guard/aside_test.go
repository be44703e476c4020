package guard_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/verdict"
)

// A change that a neighbour in its event brings again and again lies in the failure queue
// once. It is tried each time; what another refusal would say lies there already.
func TestAChangeIsParkedOnce(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		change, other := one(p, 5), one(p, 6)
		if p == guard.EachOnce {
			change.Hash, other.Hash = [8]byte{5}, [8]byte{6}
		}
		for range 18 {
			w.want(w.do(w.call(change), refused), verdict.Parked)
		}
		if len(w.parked) != 1 {
			t.Fatalf("%d copies of one change", len(w.parked))
		}
		w.want(w.do(w.call(other), refused), verdict.Parked) // another change is another message
		w.want(w.do(w.call(change), refused), verdict.Parked)
		if len(w.parked) != 2 {
			t.Fatalf("%d messages of two changes", len(w.parked))
		}
		// A redrive takes the message out of the queue: it has to come back.
		redrive := w.call(change)
		redrive.Redrive = true
		w.want(w.do(redrive, refused), verdict.Parked)
		if len(w.parked) != 3 {
			t.Fatalf("a redriven change that is refused again left %d messages", len(w.parked))
		}
		w.want(w.do(w.call(other), took), verdict.Applied) // the attempt is never blocked
	})
}

func TestWhatUsedUpItsAttemptsIsParkedOnce(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	for range 3 {
		w.want(w.do(w.call(full(5)), throttled), verdict.Failed)
		w.want(w.do(w.call(full(5)), throttled), verdict.Failed)
		w.want(w.do(w.call(full(5)), throttled), verdict.Parked)
	}
	if len(w.parked) != 1 {
		t.Fatalf("parked %d times", len(w.parked))
	}
}

// What could not be parked is not noted as parked; what is not told apart is parked again.
func TestOnlyWhatLiesInTheQueueCountsAsParked(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	w.parkAs = errors.New("queue down")
	w.want(w.do(w.call(full(5)), refused), verdict.Failed)
	w.parkAs = nil
	w.want(w.do(w.call(full(5)), refused), verdict.Parked)
	if len(w.parked) != 1 {
		t.Fatalf("parked %d times", len(w.parked))
	}
	w = newWorld(t, guard.EachOnce)
	for range 2 {
		w.want(w.do(w.call(guard.Change{}), refused), verdict.Parked)
	}
	if len(w.parked) != 2 {
		t.Fatalf("parked %d times", len(w.parked))
	}
}

// In a group each guilty one is parked once, and the last four are remembered.
func TestTheGuiltyOnesOfAGroupAreParkedOnce(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	for range 3 {
		w.want(w.do(w.call(update(3, "phone"), update(4, "name")), refused, refused, refused), verdict.Parked, verdict.Parked)
	}
	w.want(w.do(w.call(update(3, "phone"), update(4, "name")), refused, refused, took), verdict.Parked, verdict.Applied)
	w.want(w.do(w.call(update(3, "phone")), refused), verdict.Parked)
	if len(w.parked) != 2 {
		t.Fatalf("parked %d times", len(w.parked))
	}
	for n := range byte(10) {
		w.want(w.do(w.call(update(10+n, "city")), refused), verdict.Parked)
	}
	if n := len(w.item().Parked); n != 4*20 || len(w.parked) != 12 {
		t.Fatalf("%d bytes on the item, %d messages", n, len(w.parked))
	}
}

// h is a hash of the content as it is read since layout 2. What an older version left
// behind compares with nothing.
func TestAHashOfTheFirstVersionIsComparedWithNothing(t *testing.T) {
	for _, layout := range []int64{0, 1, 2} {
		w := newWorld(t, guard.EachOnce)
		done := map[string]guard.Value{"s": num(4), "u": num(0), "n": num(7), "h": {Kind: guard.Binary, Str: "\x01\x02\x03\x04\x05\x06\x07\x08"}}
		if layout > 0 {
			done["g"] = num(layout)
		}
		w.seed(done)
		rep := w.do(w.call(guard.Change{Hash: [8]byte{9}}))
		w.want(rep, verdict.Duplicate)
		want, parked := "unknown", 0
		if layout == 2 {
			want, parked = "true", 1
		}
		if rep.Results[0].Changed != want || len(w.parked) != parked {
			t.Errorf("layout %d: changed %q, %d parked", layout, rep.Results[0].Changed, len(w.parked))
		}
	}
	w := newWorld(t, guard.EachOnce)
	w.want(w.do(w.call(guard.Change{Hash: [8]byte{9}}), took), verdict.Applied)
	if it := w.item(); it.Layout != 2 || it.Hash == "" {
		t.Fatalf("item %+v", it)
	}
}

const sameInstant = verdict.Class("permanent/same-instant")

// Of two states of one instant nobody can tell which is newer. Every order ends with the
// same one, and one message says so.
func TestTwoStatesOfOneInstantNeverEndInSilence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, b := byte(1+r.IntN(255)), byte(1+r.IntN(255))
		one, two := guard.Change{Version: v(5, a)}, guard.Change{Version: v(5, b)}
		newest := one.Version
		if two.Version.After(newest) {
			newest = two.Version
		}
		for name, calls := range map[string][][]guard.Change{
			"one by one":      {{one}, {two}},
			"the other way":   {{two}, {one}},
			"one group":       {{one, two}},
			"the other group": {{two, one}},
			"over and over":   {{one}, {two}, {one}, {two}, {two, one}},
		} {
			for _, sequel := range []bool{false, true} {
				w := newWorld(t, guard.NewestWins)
				var held guard.Change
				for _, changes := range calls {
					rep := w.guard().Do(t.Context(), w.call(changes...), func(_ context.Context, at guard.Attempt) guard.Outcome {
						held = changes[at.Change]
						return took
					})
					for _, res := range rep.Results {
						if !res.Verdict.Acknowledged() {
							t.Fatalf("%s: %+v", name, res)
						}
					}
				}
				if held.Version != newest || w.item().Full != newest {
					t.Fatalf("%s: the sink holds %v, want %v", name, held.Version, newest)
				}
				if a == b {
					if len(w.parked) != 0 {
						t.Fatalf("%s: equal content was parked: %+v", name, w.parked)
					}
					continue
				}
				if len(w.parked) != 1 || w.parked[0].Class != sameInstant || w.parked[0].Err == nil {
					t.Fatalf("%s: parked %+v", name, w.parked)
				}
				if sequel { // the right one is published again
					w.want(w.do(w.call(full(6)), took), verdict.Applied)
					w.want(w.do(w.call(one)), verdict.Stale)
				}
			}
		}
	}
}

func TestStatesOfOneInstantAndWhatElseHappens(t *testing.T) {
	first, second := guard.Change{Version: v(5, 1)}, guard.Change{Version: v(5, 2)}
	t.Run("a newer state makes it not matter", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(first, second, full(6)), took), verdict.Stale, verdict.Stale, verdict.Applied)
		if len(w.parked) != 0 {
			t.Fatalf("parked %+v", w.parked)
		}
	})
	t.Run("a queue that is down", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(second), took), verdict.Applied)
		w.parkAs = errors.New("queue down")
		w.want(w.do(w.call(first)), verdict.Failed)
		w.parkAs = nil
		w.want(w.do(w.call(first)), verdict.Parked)
		w.want(w.do(w.call(first)), verdict.Parked)
		if len(w.parked) != 1 {
			t.Fatalf("parked %+v", w.parked)
		}
	})
	t.Run("a queue that is down, and the newer one overwrites", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(first), took), verdict.Applied)
		w.parkAs = errors.New("queue down")
		w.want(w.do(w.call(second), took), verdict.Failed)
		w.parkAs, w.now = nil, w.now.Add(time.Minute)
		rep := w.do(w.call(second), took)
		w.want(rep, verdict.Applied)
		if len(w.parked) != 1 || rep.Results[0].Class != sameInstant {
			t.Fatalf("parked %+v, %+v", w.parked, rep.Results[0])
		}
	})
	t.Run("the sink holds the other one", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(first), guard.Outcome{Effect: guard.Superseded, Newer: v(5, 2)}), verdict.Parked)
		if len(w.parked) != 1 || w.parked[0].Class != sameInstant || w.item().Full != v(5, 2) {
			t.Fatalf("parked %+v", w.parked)
		}
	})
	t.Run("one by one after a refusal", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(first, second), refused, took, took), verdict.Applied, verdict.Applied)
		if len(w.parked) != 1 || w.parked[0].Class != sameInstant {
			t.Fatalf("parked %+v", w.parked)
		}
	})
	t.Run("one by one, and a queue that is down", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.parkAs = errors.New("queue down")
		w.want(w.do(w.call(first, second), refused, took, took), verdict.Applied, verdict.Failed)
		w.parkAs, w.now = nil, w.now.Add(time.Minute)
		w.want(w.do(w.call(second), took), verdict.Applied)
		if len(w.parked) != 1 || w.parked[0].Class != sameInstant {
			t.Fatalf("parked %+v", w.parked)
		}
	})
	t.Run("what was parked by others says nothing of it", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(second), refused), verdict.Parked)
		w.want(w.do(w.call(first), took), verdict.Applied)
		w.want(w.do(w.call(second), took), verdict.Applied)
		if len(w.parked) != 2 || w.parked[1].Class != sameInstant {
			t.Fatalf("parked %+v", w.parked)
		}
	})
	t.Run("a running worker is not disturbed", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(second), took), verdict.Applied)
		rep := w.guard().Do(t.Context(), w.call(full(6)), func(context.Context, guard.Attempt) guard.Outcome {
			w.want(w.do(w.call(first)), verdict.Parked)
			return took
		})
		w.want(rep, verdict.Applied)
	})
	t.Run("fields are merged", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		for _, tie := range []byte{2, 1} {
			w.do(w.call(guard.Change{Kind: guard.Full, Version: v(5, tie)}), took)
		}
		if len(w.parked) != 0 {
			t.Fatal(fmt.Sprint(w.parked))
		}
	})
}
