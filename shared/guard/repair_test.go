package guard_test

import (
	"context"
	"math"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// repairing is a guard over a table that a person repairs.
type repairing struct {
	t     *testing.T
	store *memory.Store
	g     *guard.Guard
	now   time.Time
	key   string
	n     byte
}

func newRepairing(t *testing.T, cfg guard.Config) *repairing {
	t.Helper()
	r := &repairing{t: t, store: &memory.Store{}, now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), key: guard.Key("c", "o", "s")}
	cfg.Consumer, cfg.Now = "c", func() time.Time { return r.now }
	cfg.Random = func() [10]byte { r.n++; return [10]byte{r.n} }
	cfg.Sleep = func(_ <-chan struct{}, d time.Duration) bool { r.now = r.now.Add(d); return true }
	var err error
	if r.g, err = guard.New(r.store, cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// do is one delivery.
func (r *repairing) do(ch guard.Change, out guard.Outcome) (res guard.Result, at guard.Attempt) {
	r.t.Helper()
	rep := r.g.Do(r.t.Context(), guard.Call{Org: "o", Subject: "s", Changes: []guard.Change{ch}, Park: func(context.Context, guard.Parking) error { return nil }},
		func(_ context.Context, a guard.Attempt) guard.Outcome { at = a; return out })
	return rep.Results[0], at
}

func (r *repairing) item() guard.Item {
	r.t.Helper()
	rec, err := r.store.Read(r.t.Context(), r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	return guard.ReadItem(rec)
}

// apply does what a person asked for, and reports whether the condition held.
func (r *repairing) apply(w guard.Write, err error) bool {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	_, ok, err := r.store.Write(r.t.Context(), w)
	if err != nil {
		r.t.Fatal(err)
	}
	return ok
}

func when(t time.Time) order.Version {
	return order.New(order.Parts{TimeMS: t.UnixMilli(), CommitNumber: 1}, [4]byte{1})
}

// An action in doubt at a sink that cannot be asked ends as the person says who has looked.
func TestADoubtIsResolved(t *testing.T) {
	for _, done := range []bool{false, true} {
		r := newRepairing(t, guard.Config{Policy: guard.EachOnce, Sink: guard.Sink{ParkInDoubt: true}})
		fact := guard.Change{Hash: [8]byte{1}}
		r.do(fact, guard.Outcome{Effect: guard.Unsure, Class: verdict.Unknown})
		r.now = r.now.Add(time.Hour)
		if res, _ := r.do(fact, guard.Outcome{Effect: guard.Took}); res.Class != verdict.InDoubt || !r.item().InDoubt {
			t.Fatalf("%+v, %+v", res, r.item())
		}
		r.now = r.now.Add(time.Hour)
		if !r.apply(guard.Resolve(r.key, r.item(), guard.EachOnce, done, r.now)) {
			t.Fatal("refused")
		}
		want := verdict.Applied
		if done {
			want = verdict.Duplicate
		}
		if res, a := r.do(fact, guard.Outcome{Effect: guard.Took}); res.Verdict != want || a.InDoubt {
			t.Errorf("done %t: %+v, %+v", done, res, a)
		}
	}
}

// A version that a broken clock has written wins no longer, and what is older stays so.
func TestAPoisonedVersionIsTakenBack(t *testing.T) {
	r := newRepairing(t, guard.Config{Policy: guard.FieldMerge, Fields: []string{"n", "p"}})
	future := r.now.AddDate(3, 0, 0)
	r.do(guard.Change{Kind: guard.Full, Version: when(r.now.Add(-time.Hour))}, guard.Outcome{Effect: guard.Took})
	r.do(guard.Change{Kind: guard.Partial, Fields: []string{"n"}, Version: when(future)}, guard.Outcome{Effect: guard.Took})
	next := guard.Change{Kind: guard.Partial, Fields: []string{"n", "p"}, Version: when(r.now.Add(-time.Minute))}
	if res, a := r.do(next, guard.Outcome{Effect: guard.Took}); res.Verdict != verdict.PartlyStale || len(res.Lost) != 1 || res.Lost[0] != "n" || len(a.Wins) != 1 {
		t.Fatalf("%+v", res)
	}
	if _, _, err := guard.Lower(r.key, r.item(), when(r.now.Add(time.Hour)), r.now); err == nil {
		t.Error("a version of the future is given, though an earlier one than there is")
	}
	w, lowered, err := guard.Lower(r.key, r.item(), when(r.now.Add(-30*time.Minute)), r.now)
	if !r.apply(w, err) || len(lowered) != 2 { // of p, too: it is later
		t.Fatalf("lowered %v", lowered)
	}
	if res, a := r.do(next, guard.Outcome{Effect: guard.Took}); res.Verdict != verdict.Applied || len(a.Wins) != 2 {
		t.Errorf("%+v, %+v", res, a)
	}
	if res, _ := r.do(guard.Change{Kind: guard.Partial, Fields: []string{"n"}, Version: when(r.now.Add(-2 * time.Hour))}, guard.Outcome{Effect: guard.Took}); res.Verdict != verdict.Stale {
		t.Errorf("an older one: %+v", res)
	}
	if _, _, err := guard.Lower(r.key, r.item(), when(future), r.now); err == nil {
		t.Error("a version of the future is given")
	}
}

// The next change is told another link, or none.
func TestALinkIsSet(t *testing.T) {
	r := newRepairing(t, guard.Config{Policy: guard.NewestWins})
	r.do(guard.Change{Version: when(r.now.Add(-time.Hour))}, guard.Outcome{Effect: guard.Took, Link: "deleted"})
	for i, link := range []string{"", "another"} {
		if !r.apply(guard.SetLink(r.key, r.item(), link, r.now)) {
			t.Fatal("refused")
		}
		if _, a := r.do(guard.Change{Version: when(r.now.Add(time.Duration(i-10) * time.Minute))}, guard.Outcome{Effect: guard.Took}); a.Link != link {
			t.Errorf("link %q, want %q", a.Link, link)
		}
	}
}

// An epoch at the end of the numbers lets nobody begin. Forgotten, the record is new.
func TestAWrongEpochIsForgotten(t *testing.T) {
	r := newRepairing(t, guard.Config{Policy: guard.NewestWins})
	r.do(guard.Change{Version: when(r.now.Add(-time.Hour))}, guard.Outcome{Effect: guard.Took})
	_, ok, err := r.store.Write(t.Context(), guard.Write{Key: r.key, Set: []guard.Assign{{Attr: "n", Value: guard.Value{Kind: guard.Number, Num: math.MaxInt64 - 1}}}})
	if err != nil || !ok {
		t.Fatal(err)
	}
	if !guard.MayForget(r.now).Holds(heldBy(t, r)) {
		t.Fatal("it may not be forgotten")
	}
	r.store = &memory.Store{} // what a deletion leaves
	fresh := newRepairing(t, guard.Config{Policy: guard.NewestWins})
	if res, _ := fresh.do(guard.Change{Version: when(r.now.Add(-time.Minute))}, guard.Outcome{Effect: guard.Took}); res.Verdict != verdict.Applied || res.Epoch > r.now.AddDate(1, 0, 0).UnixMilli() {
		t.Errorf("%+v", res)
	}
}

func heldBy(t *testing.T, r *repairing) guard.Record {
	t.Helper()
	rec, err := r.store.Read(t.Context(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// Nobody changes an item while somebody works on it, nor one that has changed meanwhile.
func TestARepairWaitsForTheOneWhoWorks(t *testing.T) {
	r := newRepairing(t, guard.Config{Policy: guard.EachOnce})
	var during []bool
	rep := r.g.Do(t.Context(), guard.Call{Org: "o", Subject: "s", Changes: []guard.Change{{Hash: [8]byte{1}}}}, func(context.Context, guard.Attempt) guard.Outcome {
		it := r.item()
		resolved, err := guard.Resolve(r.key, it, guard.EachOnce, true, r.now)
		during = append(during, r.apply(resolved, err), r.apply(guard.SetLink(r.key, it, "x", r.now)), guard.MayForget(r.now).Holds(heldBy(t, r)))
		if it.Busy(r.now).IsZero() || it.Blocks(r.now) == "" {
			t.Error("nobody seems to work on it")
		}
		return guard.Outcome{Effect: guard.Unsure, Class: verdict.Unknown}
	})
	if len(rep.Results) != 1 || len(during) != 3 || during[0] || during[1] || during[2] {
		t.Errorf("%v", during)
	}
	r.now = r.now.Add(time.Hour)
	old := r.item()
	r.do(guard.Change{Hash: [8]byte{1}}, guard.Outcome{Effect: guard.NotApplied, Class: verdict.Throttled})
	r.now = r.now.Add(time.Hour)
	if r.apply(guard.SetLink(r.key, old, "x", r.now)) {
		t.Error("somebody worked on it since it was read")
	}
	for what, err := range map[string]error{
		"a state is done":    second(guard.Resolve(r.key, guard.Item{Exists: true}, guard.FieldMerge, true, r.now)),
		"nothing in doubt":   second(guard.Resolve(r.key, guard.Item{Exists: true}, guard.EachOnce, false, r.now)),
		"done already":       second(guard.Resolve(r.key, guard.Item{Exists: true, Status: guard.Done}, guard.EachOnce, false, r.now)),
		"no item to resolve": second(guard.Resolve(r.key, guard.Item{}, guard.EachOnce, true, r.now)),
		"no item to link":    second(guard.SetLink(r.key, guard.Item{}, "x", r.now)),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func second(_ guard.Write, err error) error { return err }
