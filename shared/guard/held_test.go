package guard_test

import (
	"math"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// A sink that refuses a state says which one it holds. An item that forgot it, as after
// a restore, learns it: a late patch that is older is not sent over it.
func TestWhatARefusalSaysTheSinkHoldsIsRemembered(t *testing.T) {
	held := func(n byte) guard.Outcome { return guard.Outcome{Effect: guard.Superseded, Newer: v(n)} }
	t.Run("a full state", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(full(5)), held(9)), verdict.Stale)
		w.want(w.do(w.call(update(7, "phone"))), verdict.Stale)
		// State 9 is asked for once more where it was never heard of: a patch may have gone over it.
		w.want(w.do(w.call(full(9)), took), verdict.Applied)
		w.want(w.do(w.call(full(9))), verdict.Duplicate)
	})
	t.Run("a delete", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(deleted(5)), held(9)), verdict.Stale)
		w.want(w.do(w.call(update(7, "phone"))), verdict.Stale)
		if it := w.item(); it.Tombstone != v(5) {
			t.Fatalf("item %+v", it)
		}
		w.want(w.do(w.call(full(9)), took), verdict.Applied)
	})
	t.Run("a state of a key", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(full(4), full(5)), held(9)), verdict.Stale, verdict.Stale)
		w.want(w.do(w.call(full(7))), verdict.Stale)
	})
	t.Run("one of a group by itself", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(full(4), full(5)), refused, held(9)), verdict.Stale, verdict.Stale)
		if it := w.item(); it.Full != v(9) {
			t.Fatalf("item %+v", it)
		}
	})
	t.Run("no newer one than ours", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(full(5)), held(3)), verdict.Stale)
		if it := w.item(); it.Full != v(5) {
			t.Fatalf("item %+v", it)
		}
	})
}

// at is a version of that time.
func at(when time.Time) order.Version {
	return order.New(order.Parts{TimeMS: when.UnixMilli()}, [4]byte{1})
}

const contractBroken = verdict.Class("permanent/contract-broken")

// What cannot be true is not written down: it would win for ever.
func TestAnAnswerThatCannotBeTrueIsABrokenContract(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change guard.Change
		out    func(now time.Time) guard.Outcome
		broken bool
	}{
		{"a state of just now", full(5), func(now time.Time) guard.Outcome {
			return guard.Outcome{Effect: guard.Superseded, Newer: at(now.Add(5 * time.Minute))}
		}, false},
		{"a state of the future", full(5), func(now time.Time) guard.Outcome {
			return guard.Outcome{Effect: guard.Superseded, Newer: at(now.Add(5*time.Minute + time.Millisecond))}
		}, true},
		{"a state of the future, in a resync", guard.Change{Kind: guard.Resync, Version: v(5)}, func(now time.Time) guard.Outcome {
			return guard.Outcome{Effect: guard.Superseded, Newer: at(now.Add(time.Hour))}
		}, true},
		{"an epoch beyond ten years", full(5), func(now time.Time) guard.Outcome {
			return guard.Outcome{Effect: guard.Fenced, Epoch: now.AddDate(10, 0, 1).UnixMilli()}
		}, true},
		{"the highest epoch there is", full(5), func(time.Time) guard.Outcome {
			return guard.Outcome{Effect: guard.Fenced, Epoch: math.MaxInt64}
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, guard.FieldMerge)
			rep := w.do(w.call(tc.change), tc.out(w.now))
			if !tc.broken {
				w.want(rep, verdict.Stale)
				return
			}
			w.want(rep, verdict.Parked)
			it := w.item()
			if w.parked[0].Class != contractBroken || rep.EpochRaised || !it.Full.IsZero() || it.Epoch != w.now.UnixMilli()+1 || it.InDoubt {
				t.Fatalf("parked %+v, item %+v", w.parked, it)
			}
			w.want(w.do(w.call(full(6)), took), verdict.Applied) // the subject lives
		})
	}
}
