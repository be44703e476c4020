package guard_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardtest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

const org = "00D000000000000AAA"

// world is one consumer over a memory store, with a clock that only moves when told
// and a handler that only does what the test says.
type world struct {
	t      *testing.T
	store  guard.Store
	cfg    guard.Config
	now    time.Time
	parked []guard.Parking
	parkAs error
	asked  []guard.Attempt
}

func newWorld(t *testing.T, p guard.Policy, change ...func(*guard.Config)) *world {
	w := &world{t: t, store: &memory.Store{}, now: time.UnixMilli(1_763_800_000_000)}
	w.cfg = guard.Config{
		Consumer: "test", Policy: p, Settle: 5 * time.Second,
		Now: func() time.Time { return w.now }, Random: guardtest.Random(1), Jitter: func() float64 { return 0 },
		Sleep: func(_ <-chan struct{}, d time.Duration) bool { w.now = w.now.Add(d); return true },
	}
	if p == guard.FieldMerge {
		w.cfg.Fields = []string{"name", "phone", "city"}
	}
	// The mutation test runs these stories with one clause of one write made worse.
	if text := os.Getenv("MUTANT"); text != "" {
		m, err := guardtest.ParseMutant(text)
		if err != nil {
			t.Fatal(err)
		}
		if m.Policy == p.String() {
			w.store = guardtest.Mutated(w.store, m)
		}
	}
	for _, f := range change {
		f(&w.cfg)
	}
	return w
}

func (w *world) guard() *guard.Guard {
	w.t.Helper()
	g, err := guard.New(w.store, w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// after gives a change up with its n-th attempt.
func after(n int64) func(int, verdict.Class, int64) bool {
	return func(_ int, _ verdict.Class, attempt int64) bool { return attempt >= n }
}

func (w *world) call(changes ...guard.Change) guard.Call {
	return guard.Call{Org: org, Subject: "s", Changes: changes, GiveUp: after(3),
		Park: func(_ context.Context, p guard.Parking) error {
			if w.parkAs == nil {
				w.parked = append(w.parked, p)
			}
			return w.parkAs
		}}
}

// do runs the call; the handler gives the outcomes in turn, and fails the test when it
// is asked more often.
func (w *world) do(call guard.Call, outs ...guard.Outcome) guard.Report {
	w.t.Helper()
	return w.guard().Do(w.t.Context(), call, func(_ context.Context, a guard.Attempt) guard.Outcome {
		w.t.Helper()
		w.asked = append(w.asked, a)
		if len(outs) == 0 {
			w.t.Fatalf("the sink was asked once too often: %+v", a)
		}
		o := outs[0]
		outs = outs[1:]
		return o
	})
}

func (w *world) want(rep guard.Report, verdicts ...verdict.Verdict) {
	w.t.Helper()
	var got []verdict.Verdict
	for _, r := range rep.Results {
		got = append(got, r.Verdict)
	}
	if !slices.Equal(got, verdicts) {
		w.t.Fatalf("verdicts %v, want %v (%+v)", got, verdicts, rep.Results)
	}
}

func (w *world) item() guard.Item {
	w.t.Helper()
	r, err := w.store.Read(w.t.Context(), w.guard().Key(org, "s"))
	if err != nil {
		w.t.Fatal(err)
	}
	return guard.ReadItem(r)
}

func (w *world) last() guard.Attempt { return w.asked[len(w.asked)-1] }

// v is a version n seconds after the start of time; its tie tells contents apart.
func v(n byte, tie ...byte) order.Version {
	ver := order.Version{0: 1, 4: n}
	if len(tie) > 0 {
		ver[19] = tie[0]
	}
	return ver
}

func full(n byte) guard.Change    { return guard.Change{Kind: guard.Full, Version: v(n)} }
func deleted(n byte) guard.Change { return guard.Change{Kind: guard.Delete, Version: v(n)} }
func update(n byte, fields ...string) guard.Change {
	return guard.Change{Kind: guard.Partial, Version: v(n), Fields: fields}
}

var (
	took      = guard.Outcome{Effect: guard.Took}
	throttled = guard.Outcome{Effect: guard.NotApplied, Class: "throttled", Err: errors.New("429")}
	lost      = guard.Outcome{Effect: guard.Unsure, Class: "unknown", Err: errors.New("time-out")}
	refused   = guard.Outcome{Effect: guard.NotApplied, Permanent: true, Class: "permanent/test", Err: errors.New("422")}
)

func wins(a guard.Attempt) string {
	var s []string
	for _, w := range a.Wins {
		s = append(s, fmt.Sprintf("%s=%d", w.Field, w.Change))
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

func TestEachOnceHappensOnce(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	w.want(w.do(w.call(guard.Change{}), guard.Outcome{Effect: guard.Took, Link: "in_1"}), verdict.Applied)
	w.want(w.do(w.call(guard.Change{})), verdict.Duplicate)
	w.now = w.now.Add(10 * 365 * 24 * time.Hour)
	w.want(w.do(w.call(guard.Change{})), verdict.Duplicate)
	if it := w.item(); it.Status != guard.Done || it.Link != "in_1" || it.InDoubt || it.Attempts != 0 {
		t.Fatalf("item %+v", it)
	}
}

func TestEachOnceTellsOtherContent(t *testing.T) {
	a, b := guard.Change{Hash: [8]byte{1}}, guard.Change{Hash: [8]byte{2}}
	w := newWorld(t, guard.EachOnce)
	w.want(w.do(w.call(a), took), verdict.Applied)
	if rep := w.do(w.call(a)); rep.Results[0].Changed != "false" || len(w.parked) != 0 {
		t.Fatalf("%+v, parked %v", rep.Results[0], w.parked)
	}
	rep := w.do(w.call(b))
	w.want(rep, verdict.Duplicate)
	if rep.Results[0].Changed != "true" || len(w.parked) != 1 || w.parked[0].Class != "changed-after-done" {
		t.Fatalf("%+v, parked %v", rep.Results[0], w.parked)
	}
	w.parkAs = errors.New("queue down")
	w.want(w.do(w.call(b)), verdict.Failed) // otherwise nobody would ever hear of it
	if rep := w.do(w.call(guard.Change{})); rep.Results[0].Changed != "unknown" {
		t.Fatalf("%+v", rep.Results[0])
	}
}

func TestNewestWins(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	w.want(w.do(w.call(full(5)), took), verdict.Applied)
	w.want(w.do(w.call(full(5))), verdict.Duplicate)
	w.want(w.do(w.call(full(4))), verdict.Stale)
	w.want(w.do(w.call(full(6)), took), verdict.Applied)
	t.Run("a batch sends the newest only", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(full(3), full(5), full(4), full(5)), took), verdict.Stale, verdict.Applied, verdict.Stale, verdict.Duplicate)
		if w.last().Change != 1 || w.last().Version != v(5) {
			t.Fatalf("%+v", w.last())
		}
	})
	t.Run("equal versions with different content: one winner everywhere", func(t *testing.T) {
		for _, ties := range [][]byte{{1, 2}, {2, 1}} {
			w := newWorld(t, guard.NewestWins)
			for _, tie := range ties {
				ch := guard.Change{Kind: guard.Full, Version: v(5, tie)}
				w.do(w.call(ch), took)
			}
			if it := w.item(); it.Full != v(5, 2) {
				t.Fatalf("order %v ends with %v", ties, it.Full)
			}
		}
	})
	t.Run("partial changes are refused", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		w.want(w.do(w.call(update(5, "name"))), verdict.Failed)
	})
}

func TestFieldMerge(t *testing.T) {
	for _, tc := range []struct {
		name  string
		calls [][]guard.Change
		// what the sink is asked for, in order: "PUT@v", "PATCH@v fields", "DELETE@v"
		asked    []string
		verdicts []verdict.Verdict
	}{
		{"older field late: both apply", [][]guard.Change{{update(5, "phone")}, {update(4, "name")}},
			[]string{"PATCH@5 phone=0", "PATCH@4 name=0"}, []verdict.Verdict{verdict.Applied, verdict.Applied}},
		{"the part that is newer wins", [][]guard.Change{{update(5, "phone")}, {update(4, "name", "phone")}},
			[]string{"PATCH@5 phone=0", "PATCH@4 name=0"}, []verdict.Verdict{verdict.Applied, verdict.PartlyStale}},
		{"nothing newer", [][]guard.Change{{update(5, "phone")}, {update(4, "phone")}, {update(5, "phone")}},
			[]string{"PATCH@5 phone=0"}, []verdict.Verdict{verdict.Applied, verdict.Stale, verdict.Duplicate}},
		{"create after its update keeps the field", [][]guard.Change{{update(5, "phone")}, {full(4)}},
			[]string{"PATCH@5 phone=0", "PATCH@4 city=0 name=0"}, []verdict.Verdict{verdict.Applied, verdict.PartlyStale}},
		{"a create is a full state", [][]guard.Change{{full(4)}, {update(3, "name")}, {full(4)}},
			[]string{"PUT@4 city=0 name=0 phone=0"}, []verdict.Verdict{verdict.Applied, verdict.Stale, verdict.Duplicate}},
		{"delete is final for what is older", [][]guard.Change{{full(2)}, {deleted(4)}, {update(3, "name")}, {deleted(4)}},
			[]string{"PUT@2 city=0 name=0 phone=0", "DELETE@4"}, []verdict.Verdict{verdict.Applied, verdict.Applied, verdict.Stale, verdict.Duplicate}},
		{"update 5, delete 3, undelete 4 keeps the name", [][]guard.Change{{update(5, "name")}, {deleted(3)}, {full(4)}},
			[]string{"PATCH@5 name=0", "PATCH@4 city=0 phone=0"}, []verdict.Verdict{verdict.Applied, verdict.Stale, verdict.PartlyStale}},
		{"undelete 4, delete 3", [][]guard.Change{{full(4)}, {deleted(3)}},
			[]string{"PUT@4 city=0 name=0 phone=0"}, []verdict.Verdict{verdict.Applied, verdict.Stale}},
		{"batch: {phone 3, name 5} then phone 4", [][]guard.Change{{update(3, "phone"), update(5, "name")}, {update(4, "phone")}},
			[]string{"PATCH@5 name=1 phone=0", "PATCH@4 phone=0"}, []verdict.Verdict{verdict.Applied, verdict.Applied, verdict.Applied}},
		{"batch folds in version order", [][]guard.Change{{update(5, "name"), full(2), update(4, "name", "city")}},
			[]string{"PATCH@5 city=2 name=0 phone=1"}, []verdict.Verdict{verdict.Applied, verdict.PartlyStale, verdict.PartlyStale}},
		{"batch with a delete in the middle", [][]guard.Change{{full(2), deleted(3), full(4)}},
			[]string{"PUT@4 city=2 name=2 phone=2"}, []verdict.Verdict{verdict.Stale, verdict.Stale, verdict.Applied}},
		{"batch that ends with a delete", [][]guard.Change{{update(2, "name"), deleted(3)}},
			[]string{"DELETE@3"}, []verdict.Verdict{verdict.Stale, verdict.Applied}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, guard.FieldMerge)
			var verdicts []verdict.Verdict
			for _, changes := range tc.calls {
				rep := w.guard().Do(t.Context(), w.call(changes...), func(_ context.Context, a guard.Attempt) guard.Outcome {
					w.asked = append(w.asked, a)
					return took
				})
				for _, r := range rep.Results {
					verdicts = append(verdicts, r.Verdict)
				}
			}
			var asked []string
			for _, a := range w.asked {
				method := "PATCH"
				switch {
				case a.Deleted:
					method = "DELETE"
				case a.Whole:
					method = "PUT"
				}
				asked = append(asked, strings.TrimSpace(fmt.Sprintf("%s@%d %s", method, a.Version[4], wins(a))))
			}
			if !slices.Equal(asked, tc.asked) {
				t.Errorf("asked %q, want %q", asked, tc.asked)
			}
			if !slices.Equal(verdicts, tc.verdicts) {
				t.Errorf("verdicts %v, want %v", verdicts, tc.verdicts)
			}
		})
	}
}

func TestOnlyTheGuiltyOneOfABatchIsParked(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	rep := w.do(w.call(update(3, "phone"), update(4, "name"), update(5, "city")), refused, took, refused, took)
	w.want(rep, verdict.Applied, verdict.Parked, verdict.Applied)
	if len(w.parked) != 1 || w.parked[0].Change != 1 {
		t.Fatalf("parked %+v", w.parked)
	}
	it := w.item()
	if it.Fields["phone"] != v(3) || it.Fields["city"] != v(5) || it.Fields["name"] != (order.Version{}) || it.Status != guard.Idle {
		t.Fatalf("item %+v", it)
	}
}

// A group that is refused whole has no effect: it settles no older doubt.
func TestADoubtOutlivesAGroupThatIsRefused(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(update(3, "phone")), lost), verdict.Failed)
	w.now = w.now.Add(time.Minute)
	w.want(w.do(w.call(update(4, "name"), update(5, "city")), refused, refused, refused), verdict.Parked, verdict.Parked)
	if !w.item().InDoubt {
		t.Fatal("the doubt was forgotten without an effect")
	}
	w.want(w.do(w.call(update(4, "name"), update(5, "city")), refused, refused, took), verdict.Parked, verdict.Applied)
	if w.item().InDoubt {
		t.Fatal("the doubt stayed after an effect")
	}
}

func TestTheGuiltyOneOfStatesIsParked(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	w.want(w.do(w.call(full(1), full(2)), refused, took, refused), verdict.Applied, verdict.Parked)
	if it := w.item(); it.Full != v(1) || len(w.parked) != 1 || w.parked[0].Change != 1 {
		t.Fatalf("item %+v, parked %+v", it, w.parked)
	}
}

func TestAGroupThatNeverGetsThroughUsesUpItsAttempts(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	group := w.call(update(3, "phone"), update(4, "name"))
	for range 2 {
		w.want(w.do(group, refused, throttled), verdict.Failed, verdict.Failed)
	}
	w.want(w.do(group, refused, throttled), verdict.Parked, verdict.Parked)
}

func TestALatePatchAtAVersionedSinkIsAZombie(t *testing.T) {
	w := newWorld(t, guard.FieldMerge, func(c *guard.Config) { c.Sink.Versioned = true })
	late := func(context.Context, guard.Attempt) guard.Outcome {
		w.now = w.now.Add(w.cfg.Lease() - 2*time.Second + time.Millisecond)
		return took
	}
	w.want(w.guard().Do(t.Context(), w.call(full(3)), late), verdict.Applied)
	w.want(w.guard().Do(t.Context(), w.call(update(4, "name")), late), verdict.Zombie)
}

func TestWhatSomebodyHasToLookAtOutlivesAQueueThatIsDown(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	twoOfThem := guard.Outcome{Effect: guard.Took, Link: "cus_1", Park: "duplicate-remote", Err: errors.New("two found")}
	w.parkAs = errors.New("queue down")
	w.want(w.do(w.call(guard.Change{}), twoOfThem), verdict.Failed)
	w.parkAs = nil
	w.now = w.now.Add(time.Minute)
	rep := w.do(w.call(guard.Change{}), twoOfThem)
	w.want(rep, verdict.Applied)
	if rep.Results[0].Class != "duplicate-remote" || len(w.parked) != 1 || w.item().Link != "cus_1" {
		t.Fatalf("result %+v, parked %+v", rep.Results[0], w.parked)
	}
}

func TestCrashLeavesDoubt(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	func() {
		defer func() { _ = recover() }()
		claimed := w.call(guard.Change{})
		w.guard().Do(t.Context(), claimed, func(context.Context, guard.Attempt) guard.Outcome {
			// The process dies here: what follows is another one with the same item.
			w.want(w.do(w.call(guard.Change{})), verdict.Busy)
			w.now = w.now.Add(w.cfg.Lease() - time.Millisecond)
			w.want(w.do(w.call(guard.Change{})), verdict.Busy)
			w.now = w.now.Add(time.Millisecond)
			rep := w.do(w.call(guard.Change{}), took)
			w.want(rep, verdict.Applied)
			if a := w.last(); !a.InDoubt || a.Number != 2 || a.DoubtSince.UnixMilli() != 1_763_800_000_000 {
				t.Fatalf("attempt %+v", a)
			}
			return lost
		})
	}()
	if it := w.item(); it.Status != guard.Done {
		t.Fatalf("the dead attempt undid what was done: %+v", it)
	}
}

// Status-before-the-claim would forget: lost response, then a 429, then a day in the
// queue, then a second invoice.
func TestDoubtSurvivesARefusalAndADay(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		first := w.now
		w.want(w.do(w.call(one(p, 5)), lost), verdict.Failed)
		if it := w.item(); it.Status != guard.StatusUnknown || it.Until != first.Add(7*time.Second).UnixMilli() {
			t.Fatalf("item %+v: not before settle + margin", it)
		}
		w.now = w.now.Add(7 * time.Second)
		w.want(w.do(w.call(one(p, 5)), throttled), verdict.Failed)
		w.now = w.now.Add(24 * time.Hour)
		w.want(w.do(w.call(one(p, 5)), took), verdict.Applied)
		if a := w.last(); !a.InDoubt || !a.DoubtSince.Equal(first) {
			t.Fatalf("attempt %+v, want in doubt since %v", a, first)
		}
	})
}

func TestACertainRefusalLeavesNoDoubt(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	w.want(w.do(w.call(guard.Change{}), throttled), verdict.Failed)
	w.want(w.do(w.call(guard.Change{}), took), verdict.Applied)
	if a := w.last(); a.InDoubt || a.Number != 2 {
		t.Fatalf("attempt %+v", a)
	}
}

func TestParkingIsOfAChangeNotOfASubject(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	w.want(w.do(w.call(guard.Change{}), refused), verdict.Parked)
	if p := w.parked[0]; p.Class != "permanent/test" || p.Attempts != 1 {
		t.Fatalf("parked %+v", p)
	}
	redrive := w.call(guard.Change{})
	redrive.Redrive = true
	w.want(w.do(redrive, took), verdict.Applied)
	if w.last().Number != 1 {
		t.Fatalf("a redrive counts from %d, want 1", w.last().Number)
	}
	t.Run("a redrive starts counting anew", func(t *testing.T) {
		w := newWorld(t, guard.EachOnce)
		w.want(w.do(w.call(guard.Change{}), throttled), verdict.Failed)
		w.want(w.do(w.call(guard.Change{}), throttled), verdict.Failed)
		again := w.call(guard.Change{})
		again.Redrive = true
		w.want(w.do(again, throttled), verdict.Failed)
		if it := w.item(); it.Attempts != 1 || w.last().Number != 1 {
			t.Fatalf("item %+v, attempt %+v", it, w.last())
		}
	})
	t.Run("a queue that is down keeps the change", func(t *testing.T) {
		w := newWorld(t, guard.EachOnce)
		w.parkAs = errors.New("queue down")
		w.want(w.do(w.call(guard.Change{}), refused), verdict.Failed)
		w.parkAs = nil
		w.want(w.do(w.call(guard.Change{}), refused), verdict.Parked)
	})
}

func TestAttemptsAreCountedAndThenParked(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	for range 2 {
		w.want(w.do(w.call(full(5)), throttled), verdict.Failed)
	}
	w.want(w.do(w.call(full(5)), throttled), verdict.Parked)
	if p := w.parked[0]; p.Attempts != 3 || p.Class != "throttled" {
		t.Fatalf("parked %+v", p)
	}
	if it := w.item(); it.Attempts != 0 {
		t.Fatalf("after parking %d attempts are on the item", it.Attempts)
	}
	t.Run("a missing dependency does not count", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins)
		for range 10 {
			w.want(w.do(w.call(full(5)), guard.Outcome{Effect: guard.NotApplied, Uncounted: true, Class: "dependency-missing"}), verdict.Failed)
		}
		if it := w.item(); it.Attempts != 0 || len(w.parked) != 0 {
			t.Fatalf("item %+v, parked %v", it, w.parked)
		}
	})
}

func TestNothingAtTheSinkToSettleADoubtBy(t *testing.T) {
	w := newWorld(t, guard.EachOnce, func(c *guard.Config) { c.Sink.ParkInDoubt = true })
	w.want(w.do(w.call(guard.Change{}), lost), verdict.Failed)
	w.now = w.now.Add(time.Minute)
	w.want(w.do(w.call(guard.Change{})), verdict.Parked)
	if w.parked[0].Class != "in-doubt" || !w.item().InDoubt {
		t.Fatalf("parked %+v, item %+v", w.parked, w.item())
	}
	w.want(w.do(w.call(guard.Change{})), verdict.Parked) // a redrive alone does not settle it
}

func TestFence(t *testing.T) {
	ahead := func(w *world) guard.Outcome {
		return guard.Outcome{Effect: guard.Fenced, Class: "epoch-conflict", Epoch: w.now.UnixMilli() + 1_000_000}
	}
	t.Run("an item behind the sink is lifted and claimed again", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		rep := w.do(w.call(full(5)), ahead(w), took)
		w.want(rep, verdict.Applied)
		if !rep.EpochRaised || w.last().Epoch != w.now.UnixMilli()+1_000_001 || rep.Requests != 4 {
			t.Fatalf("report %+v, attempt %+v", rep, w.last())
		}
	})
	t.Run("refused twice: parked", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		more := ahead(w)
		more.Epoch += 5
		w.want(w.do(w.call(full(5)), ahead(w), more), verdict.Parked)
		if w.parked[0].Class != "epoch-conflict" {
			t.Fatalf("parked %+v", w.parked)
		}
		w.want(w.do(w.call(full(5)), took), verdict.Applied)
	})
	t.Run("a worker that is fenced off cannot lift", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		rep := w.guard().Do(t.Context(), w.call(full(5)), func(context.Context, guard.Attempt) guard.Outcome {
			w.now = w.now.Add(w.cfg.Lease())
			w.want(w.do(w.call(full(6)), took), verdict.Applied)
			return ahead(w)
		})
		w.want(rep, verdict.Failed)
		if it := w.item(); it.Full != v(6) || it.Status != guard.Idle {
			t.Fatalf("item %+v", it)
		}
	})
}

func TestZombie(t *testing.T) {
	for _, tc := range []struct {
		name string
		sink guard.Sink
		want verdict.Verdict
	}{
		{"a sink that cannot tell", guard.Sink{}, verdict.Zombie},
		{"a fenced sink", guard.Sink{Fenced: true}, verdict.Applied},
		{"a sink that compares versions", guard.Sink{Versioned: true}, verdict.Applied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, guard.NewestWins, func(c *guard.Config) { c.Sink = tc.sink })
			rep := w.guard().Do(t.Context(), w.call(full(5)), func(context.Context, guard.Attempt) guard.Outcome {
				w.now = w.now.Add(w.cfg.Lease() - 2*time.Second + time.Millisecond) // past lease end minus margin
				return took
			})
			w.want(rep, tc.want)
			if tc.want == verdict.Zombie && (len(w.parked) != 1 || w.parked[0].Class != "overwrote-newer") {
				t.Fatalf("parked %+v", w.parked)
			}
		})
	}
}

func TestACompletionThatLandedIsAcknowledged(t *testing.T) {
	w := newWorld(t, guard.NewestWins, func(c *guard.Config) { c.Sink.Versioned = true })
	inner := w.store
	w.store = &claimAfterComplete{Store: inner, w: w}
	w.want(w.do(w.call(full(5)), took), verdict.Applied)
}

// claimAfterComplete loses the response of a completion; before the SDK's second try
// somebody else claims with a newer change.
type claimAfterComplete struct {
	guard.Store
	w    *world
	done bool
}

func (s *claimAfterComplete) Write(ctx context.Context, wr guard.Write) (guard.Record, bool, error) {
	old, ok, err := s.Store.Write(ctx, wr)
	if !wr.ReturnOld && !s.done {
		s.done = true
		other := *s.w
		other.store = s.Store
		other.cfg.Random = guardtest.Random(2)
		g, _ := guard.New(s.Store, other.cfg)
		g.Do(ctx, other.call(full(6)), func(context.Context, guard.Attempt) guard.Outcome { return took })
		return s.Store.Write(ctx, wr)
	}
	return old, ok, err
}

func TestALostClaimResponseIsMyOwnWrite(t *testing.T) {
	for _, inDoubt := range []bool{false, true} {
		w := newWorld(t, guard.EachOnce)
		if inDoubt {
			w.want(w.do(w.call(guard.Change{}), lost), verdict.Failed)
			w.now = w.now.Add(time.Minute)
		}
		w.store = &twice{w.store}
		w.want(w.do(w.call(guard.Change{}), took), verdict.Applied)
		if w.last().InDoubt != inDoubt {
			t.Fatalf("in doubt = %v, want %v", w.last().InDoubt, inDoubt)
		}
		if it := w.item(); w.last().Epoch != it.Epoch {
			t.Fatalf("the sink was told epoch %d, the item is at %d", w.last().Epoch, it.Epoch)
		}
	}
}

// twice sends every write twice and answers with the second answer, as the SDK does
// after a lost response.
type twice struct{ guard.Store }

func (s *twice) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	if _, _, err := s.Store.Write(ctx, w); err != nil {
		return nil, false, err
	}
	return s.Store.Write(ctx, w)
}

func TestRestoredTable(t *testing.T) {
	restored := time.UnixMilli(1_763_800_000_000)
	set := func(c *guard.Config) { c.RestoredAt = restored }
	t.Run("a missing item is in doubt, older than every window", func(t *testing.T) {
		w := newWorld(t, guard.EachOnce, set)
		w.want(w.do(w.call(guard.Change{}), throttled), verdict.Failed)
		if a := w.last(); !a.InDoubt || !a.DoubtSince.IsZero() {
			t.Fatalf("attempt %+v", a)
		}
		w.want(w.do(w.call(guard.Change{}), took), verdict.Applied) // still, after a 429
		if a := w.last(); !a.InDoubt || !a.DoubtSince.IsZero() {
			t.Fatalf("attempt %+v", a)
		}
	})
	t.Run("an item written since is not", func(t *testing.T) {
		w := newWorld(t, guard.NewestWins, set)
		w.now = w.now.Add(time.Hour)
		w.want(w.do(w.call(full(4)), took), verdict.Applied)
		w.want(w.do(w.call(full(5)), took), verdict.Applied)
		if w.last().InDoubt {
			t.Fatalf("attempt %+v", w.last())
		}
	})
}

func TestResync(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(full(3)), took), verdict.Applied)
	w.want(w.do(w.call(update(7, "phone")), took), verdict.Applied)
	rep := w.do(w.call(guard.Change{Kind: guard.Resync, Version: v(5)}),
		guard.Outcome{Effect: guard.Superseded, Newer: v(9)}, took)
	w.want(rep, verdict.Applied)
	if w.asked[2].Version != v(7) || w.asked[3].Version != v(9) || !w.last().Resync {
		t.Fatalf("asked %+v", w.asked[2:])
	}
	if it := w.item(); it.Full != v(9) || it.Fields["phone"] != v(7) {
		t.Fatalf("item %+v", it)
	}
	w.want(w.do(w.call(guard.Change{Kind: guard.Resync}), guard.Outcome{Effect: guard.Took, Deleted: true}), verdict.Applied)
	if it := w.item(); it.Tombstone != v(9) {
		t.Fatalf("item %+v", it)
	}
}

func TestEventSubjectsAreForgottenAndSaySo(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	call := w.call(guard.Change{})
	call.EventSubject, call.Published = true, w.now.Add(-36*24*time.Hour)
	w.want(w.do(call), verdict.Parked)
	if w.parked[0].Class != "too-old" || w.item().Exists {
		t.Fatalf("parked %+v, item %+v", w.parked, w.item())
	}
	call.Published = w.now
	w.want(w.do(call, took), verdict.Applied)
	call.Published = w.now.Add(-36 * 24 * time.Hour)
	w.want(w.do(call), verdict.Duplicate) // it is still there
	r, _ := w.store.Read(t.Context(), w.guard().Key(org, "s"))
	if x, _ := r.Get("x"); x.Num != w.now.Unix()+35*24*3600 {
		t.Fatalf("expires %d", x.Num)
	}
}

func TestBusyWaitsALittle(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	rep := w.guard().Do(t.Context(), w.call(full(5)), func(context.Context, guard.Attempt) guard.Outcome {
		start := w.now
		call := w.call(full(6))
		call.BusyWait = 2 * time.Second
		busy := w.do(call)
		w.want(busy, verdict.Busy)
		if waited := w.now.Sub(start); waited > 2*time.Second || busy.Requests < 3 {
			t.Fatalf("waited %v with %d requests", waited, busy.Requests)
		}
		if nb := busy.Results[0].NotBefore; !nb.After(w.now) {
			t.Fatalf("not before %v is not in the future of %v", nb, w.now)
		}
		w.want(w.do(w.call(full(4))), verdict.Busy) // newer than what is recorded: not stale yet
		return took
	})
	w.want(rep, verdict.Applied)
}

func TestPanicIsInDoubt(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	rep := w.guard().Do(t.Context(), w.call(guard.Change{}), func(context.Context, guard.Attempt) guard.Outcome {
		panic("a text with field values")
	})
	w.want(rep, verdict.Failed)
	if r := rep.Results[0]; r.Class != "unknown" || strings.Contains(r.Err.Error(), "field values") {
		t.Fatalf("result %+v", r)
	}
	if !w.item().InDoubt {
		t.Fatal("no doubt after a panic")
	}
}

func TestMistakesAreNamedTogether(t *testing.T) {
	_, err := guard.New(&memory.Store{}, guard.Config{Consumer: "a#b", Policy: guard.FieldMerge, Fields: []string{"x", "x"}, Effect: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"a#b", `"x"`, "Random", "negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in:\n%v", want, err)
		}
	}
	if _, err := guard.New(&memory.Store{}, guard.Config{Consumer: "a", Random: guardtest.Random(1)}); err == nil {
		t.Error("a config without a policy was taken")
	}
}

// one is a change that every policy takes, at place n.
func one(p guard.Policy, n byte) guard.Change {
	if p == guard.EachOnce {
		return guard.Change{}
	}
	return full(n)
}

func everyPolicy(t *testing.T, story func(t *testing.T, p guard.Policy)) {
	for _, p := range []guard.Policy{guard.EachOnce, guard.NewestWins, guard.FieldMerge} {
		t.Run(p.String(), func(t *testing.T) { story(t, p) })
	}
}

func TestWhatAnAttemptLeavesOnTheItem(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		w.want(w.do(w.call(one(p, 5)), throttled), verdict.Failed)
		first := w.last()
		it := w.item()
		if it.Status != guard.Retry || it.Class != "throttled" || it.Until != w.now.UnixMilli() || it.Attempts != 1 || it.InDoubt || it.Epoch != first.Epoch {
			t.Fatalf("after a refusal: %+v", it)
		}
		w.want(w.do(w.call(one(p, 5)), lost), verdict.Failed)
		second := w.last()
		it = w.item()
		if it.Status != guard.StatusUnknown || it.Attempts != 2 || !it.InDoubt || it.Until != w.now.Add(7*time.Second).UnixMilli() {
			t.Fatalf("after a lost answer: %+v", it)
		}
		w.now = w.now.Add(7 * time.Second)
		w.want(w.do(w.call(one(p, 5)), guard.Outcome{Effect: guard.Took, Link: "x"}), verdict.Applied)
		third := w.last()
		if first.Epoch >= second.Epoch || second.Epoch >= third.Epoch || third.Number != 3 {
			t.Fatalf("epochs %d, %d, %d do not grow", first.Epoch, second.Epoch, third.Epoch)
		}
		it = w.item()
		if it.Until != 0 || it.Attempts != 0 || it.InDoubt || it.Link != "x" || it.Status != map[bool]guard.Status{true: guard.Done}[p == guard.EachOnce] {
			t.Fatalf("after the effect: %+v", it)
		}
	})
}

func TestTheSDKSendsEverythingTwice(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		w.store = &twice{w.store}
		missing := guard.Outcome{Effect: guard.NotApplied, Uncounted: true, Class: "dependency-missing"}
		w.want(w.do(w.call(one(p, 5)), throttled), verdict.Failed)
		w.want(w.do(w.call(one(p, 5)), missing), verdict.Failed)
		if it := w.item(); it.Attempts != 1 {
			t.Fatalf("%d attempts counted, want 1: %+v", it.Attempts, it)
		}
		ahead := guard.Outcome{Effect: guard.Fenced, Class: "epoch-conflict", Epoch: w.now.UnixMilli() + 500}
		w.want(w.do(w.call(one(p, 5)), ahead, took), verdict.Applied)
		w.want(w.do(w.call(one(p, 5))), verdict.Duplicate)
	})
}

func TestWhatIsNotNewCostsOneWrite(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(full(2)), took), verdict.Applied)
	w.want(w.do(w.call(update(4, "phone")), took), verdict.Applied)
	for _, ch := range []guard.Change{full(2), full(1), update(4, "phone"), update(3, "phone"), update(2, "name"), deleted(1)} {
		if rep := w.do(w.call(ch)); rep.Requests != 1 {
			t.Errorf("%+v: %d requests, want 1", ch, rep.Requests)
		}
	}
	w.want(w.do(w.call(deleted(6)), took), verdict.Applied)
	for _, ch := range []guard.Change{deleted(6), deleted(5), update(5, "city"), full(6)} {
		if rep := w.do(w.call(ch)); rep.Requests != 1 {
			t.Errorf("%+v after the delete: %d requests, want 1", ch, rep.Requests)
		}
	}
}

func TestASecondWorkerMeetsTheLease(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		inner := verdict.Busy
		w.guard().Do(t.Context(), w.call(one(p, 5)), func(context.Context, guard.Attempt) guard.Outcome {
			rep := w.do(w.call(one(p, 6)))
			inner = rep.Results[0].Verdict
			return throttled
		})
		if inner != verdict.Busy {
			t.Fatalf("a second worker got %q while the first one ran", inner)
		}
		// A worker that lost its lease changes nothing that another one wrote.
		w = newWorld(t, p)
		rep := w.guard().Do(t.Context(), w.call(one(p, 5)), func(context.Context, guard.Attempt) guard.Outcome {
			w.now = w.now.Add(w.cfg.Lease())
			w.want(w.do(w.call(one(p, 6)), lost), verdict.Failed)
			return throttled
		})
		w.want(rep, verdict.Failed)
		if it := w.item(); it.Status != guard.StatusUnknown || !it.InDoubt || it.Class != "unknown" {
			t.Fatalf("the first worker gave back what was not its own: %+v", it)
		}
		w = newWorld(t, p)
		rep = w.guard().Do(t.Context(), w.call(one(p, 5)), func(context.Context, guard.Attempt) guard.Outcome {
			w.now = w.now.Add(w.cfg.Lease())
			w.want(w.do(w.call(one(p, 6)), throttled), verdict.Failed)
			return guard.Outcome{Effect: guard.Took, Link: "late"}
		})
		if w.item().Link == "late" || rep.Results[0].Verdict == verdict.Applied {
			t.Fatalf("the first worker completed what was not its own: %+v, %v", w.item(), rep.Results[0])
		}
	})
}

func TestRequestsOnTheMemoryStore(t *testing.T) {
	if os.Getenv("MUTANT") != "" {
		return // its guards are made by guardtest, without the mutant
	}
	c := &counting{Store: &memory.Store{}}
	guardtest.Requests(t, c, func() (int, int) {
		n, r := c.writes, c.reads
		c.writes, c.reads = 0, 0
		return n, r
	})
}

type counting struct {
	guard.Store
	writes, reads int
}

func (c *counting) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	c.writes++
	return c.Store.Write(ctx, w)
}

func (c *counting) Read(ctx context.Context, key string) (guard.Record, error) {
	c.reads++
	return c.Store.Read(ctx, key)
}

// What a handler sent at the last moment must have settled before the lease ends.
func TestTheHandlerEndsBeforeTheLease(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	w.want(w.guard().Do(t.Context(), w.call(guard.Change{}), func(ctx context.Context, _ guard.Attempt) guard.Outcome {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > 10*time.Second || left < 8*time.Second {
			t.Errorf("the handler has %v, want the effect time of 10 s", left)
		}
		return took
	}), verdict.Applied)
	if lease := w.cfg.Lease(); lease != 17*time.Second { // 10 effect + 5 settle + 2 margin
		t.Errorf("the lease is %v", lease)
	}
	// A local stack waits less, and its sink is no faster: 10 effect + 0.5 settle + 0.25 margin, the least.
	local := w.cfg
	local.Scale = 0.1
	if lease := local.Lease(); lease != 10750*time.Millisecond {
		t.Errorf("the lease of a local stack is %v", lease)
	}
}

// Keys of up to 2,048 bytes stay as they are; longer ones keep a beginning by which
// people, and a role's condition on leading keys, know them.
func TestAKeyThatDynamoDBWouldRefuseIsHashed(t *testing.T) {
	const prefix = "orders#00D5f000005KcCnEAK#"
	longest := strings.Repeat("x", 2048-len(prefix))
	if got := guard.Key("orders", "00D5f000005KcCnEAK", longest); got != prefix+longest {
		t.Errorf("a key of 2,048 bytes became one of %d", len(got))
	}
	seen := map[string]bool{}
	for _, subject := range []string{longest + "1", longest + "2", strings.Repeat("ü", 1500), longest + "1"} {
		key := guard.Key("orders", "00D5f000005KcCnEAK", subject)
		if len(key) > 2048 || len(key) < 1900 || !strings.HasPrefix(key, prefix) || !utf8.ValidString(key) {
			t.Errorf("a key of %d bytes, begins %q", len(key), key[:40])
		}
		seen[key] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d keys for three subjects", len(seen))
	}
}
