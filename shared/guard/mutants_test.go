package guard_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardtest"
	"sfrelay/shared/verdict"
)

// Who looks at a parked change has to know which hours of the sink's log to read.
func TestWhatIsParkedInDoubtSaysSinceWhen(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	since := w.now
	w.want(w.do(w.call(full(5)), lost), verdict.Failed)
	w.now = w.now.Add(time.Hour)
	w.want(w.do(w.call(full(5)), refused), verdict.Parked)
	if p := w.parked[0]; !p.FirstAt.Equal(since) || !p.LastAt.Equal(w.now) || p.Attempts != 2 {
		t.Fatalf("parked %+v", p)
	}
}

// A worker outlives its lease, and meanwhile another one does the same fact with other
// content. "Done" on the item is then not the work of the first: it is told to come again,
// and the other content is seen.
func TestDoneBySomebodyElseIsNotMine(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	a, b := guard.Change{Hash: [8]byte{1}}, guard.Change{Hash: [8]byte{2}}
	rep := w.guard().Do(t.Context(), w.call(a), func(context.Context, guard.Attempt) guard.Outcome {
		w.now = w.now.Add(w.cfg.Lease())
		w.cfg.Random = guardtest.Random(2)
		w.want(w.do(w.call(b), took), verdict.Applied)
		return took
	})
	w.want(rep, verdict.Failed)
	if r := rep.Results[0]; r.Class != verdict.Conflict {
		t.Fatalf("%+v", r)
	}
	again := w.do(w.call(a))
	w.want(again, verdict.Duplicate)
	if again.Results[0].Changed == "false" {
		t.Fatalf("the content of somebody else is taken for ours: %+v", again.Results[0])
	}
}

// Which of two contents reached the sink nobody knows after a doubt: the one that was
// tried last is not recorded as the one that was done.
func TestADoubtfulContentIsNotTheOneThatWasDone(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	a, b := guard.Change{Hash: [8]byte{1}}, guard.Change{Hash: [8]byte{2}}
	w.want(w.do(w.call(a), lost), verdict.Failed)
	w.now = w.now.Add(time.Hour)
	w.want(w.do(w.call(b), took), verdict.Applied)
	for _, c := range []guard.Change{a, b} {
		again := w.do(w.call(c))
		w.want(again, verdict.Duplicate)
		if got := again.Results[0].Changed; got != "unknown" || len(w.parked) != 0 {
			t.Fatalf("content %v changed: %s, parked %+v", c.Hash, got, w.parked)
		}
	}
}

// A worker outlives its lease with a delete that only it knows of. That nothing of it is
// recorded it hears: taken for recorded, an older update would bring the record back.
func TestADeleteThatWasNotRecordedComesAgain(t *testing.T) {
	w := newWorld(t, guard.FieldMerge, func(c *guard.Config) { c.Sink.Fenced = true })
	rep := w.guard().Do(t.Context(), w.call(deleted(5)), func(context.Context, guard.Attempt) guard.Outcome {
		w.now = w.now.Add(w.cfg.Lease())
		w.cfg.Random = guardtest.Random(2)
		w.want(w.do(w.call(update(4, "phone")), took), verdict.Applied)
		return took
	})
	w.want(rep, verdict.Failed)
	w.want(w.do(w.call(deleted(5)), took), verdict.Applied)
	w.want(w.do(w.call(update(3, "name"))), verdict.Stale)
}

// An old delete in a group with something new takes nothing back.
func TestAnOldDeleteInAGroup(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(deleted(5)), took), verdict.Applied)
	w.want(w.do(w.call(deleted(3), update(9, "name")), took), verdict.Stale, verdict.Applied)
	if it := w.item(); it.Tombstone != v(5) {
		t.Fatalf("item %+v", it)
	}
	w.want(w.do(w.call(update(4, "phone"))), verdict.Stale)
}

// A sink that refuses an epoch that is not below what it names is still given a higher one.
func TestALiftIsAboveOurOwnEpoch(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	asked := 0
	rep := w.guard().Do(t.Context(), w.call(full(5)), func(context.Context, guard.Attempt) guard.Outcome {
		if asked++; asked > 1 {
			return took
		}
		w.now = w.now.Add(time.Second)
		return guard.Outcome{Effect: guard.Fenced, Class: "epoch-conflict", Epoch: 1}
	})
	if w.want(rep, verdict.Applied); !rep.EpochRaised {
		t.Fatalf("%+v", rep)
	}
}

// A fence answers for the attempt that it refused, and for none before it.
func TestALiftKeepsAnOlderDoubt(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	since := w.now
	w.want(w.do(w.call(full(5)), lost), verdict.Failed)
	w.now = w.now.Add(time.Hour)
	w.want(w.do(w.call(full(5)), guard.Outcome{Effect: guard.Fenced, Class: "epoch-conflict", Epoch: w.now.UnixMilli() + 1000}, took), verdict.Applied)
	if a := w.last(); !a.InDoubt || !a.DoubtSince.Equal(since) {
		t.Fatalf("attempt %+v", a)
	}
}

// The last attempt is one that was made: time that ran out before it parks nothing.
func TestTheLastAttemptIsOneThatWasMade(t *testing.T) {
	unfinished := guard.Outcome{Effect: guard.NotApplied, Uncounted: true, Class: verdict.Unfinished}
	for name, first := range map[string][]guard.Outcome{"as a whole": nil, "one by one": {refused}} {
		w := newWorld(t, guard.FieldMerge)
		deliver := func(out guard.Outcome, want verdict.Verdict) {
			t.Helper()
			w.want(w.do(w.call(update(1, "name"), update(2, "phone")), append(slices.Clone(first), out)...), want, want)
		}
		deliver(throttled, verdict.Failed)
		deliver(throttled, verdict.Failed)
		deliver(unfinished, verdict.Failed)
		if deliver(throttled, verdict.Parked); len(w.parked) != 2 {
			t.Fatalf("%s: parked %+v", name, w.parked)
		}
	}
}

// A fence in the middle of a group is for the next attempt to answer. Until then somebody
// else was faster, and nobody has to look.
func TestAFenceInTheMiddleOfAGroupIsAConflict(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	fence := guard.Outcome{Effect: guard.Fenced, Class: "epoch-conflict", Epoch: w.now.UnixMilli() + 1000}
	rep := w.do(w.call(update(1, "name"), update(2, "phone")), refused, fence)
	w.want(rep, verdict.Failed, verdict.Failed)
	for _, r := range rep.Results {
		if r.Class != verdict.Conflict {
			t.Fatalf("%+v", r)
		}
	}
	w.want(w.do(w.call(update(1, "name"), update(2, "phone")), fence, took), verdict.Applied, verdict.Applied)
}

// The last full state that was seen is the newest one.
func TestWhatWasSeenNeverFalls(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(full(9)), except("city", "phone")), verdict.Parked)
	w.want(w.do(w.call(full(5)), except("city")), verdict.Parked)
	if it := w.item(); it.Seen != v(9) {
		t.Fatalf("item %+v", it)
	}
}
