package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/verdict"
)

// Retry-After is advice about a message; it holds nobody off the subject.
func TestRetryAfterHoldsNobodyOff(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		wait := throttled
		for asked, want := range map[time.Duration]time.Duration{
			0: 0, time.Minute: time.Minute, 15 * time.Minute: 15 * time.Minute, time.Hour: 15 * time.Minute,
		} {
			wait.RetryAfter = asked
			rep := w.do(w.call(one(p, 5)), wait)
			if r := rep.Results[0]; r.Verdict == verdict.Failed && !r.NotBefore.Equal(w.now.Add(want)) {
				t.Fatalf("asked for %v: not before %v, now is %v", asked, r.NotBefore, w.now)
			}
			if it := w.item(); it.Until != w.now.UnixMilli() || it.Status != guard.Retry {
				t.Fatalf("asked for %v: item %+v, now %d", asked, it, w.now.UnixMilli())
			}
		}
		w.want(w.do(w.call(one(p, 5)), took), verdict.Applied)
	})
}

// An unknown answer holds everybody off until a sent request has settled, a redrive too.
// That is not "busy": the reason is the one of the attempt before.
func TestAProtectionSaysWhyAndUntilWhen(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		for _, redrive := range []bool{false, true} {
			w := newWorld(t, p)
			wait := lost
			wait.Class, wait.RetryAfter = "throttled", time.Hour
			began := w.now
			rep := w.do(w.call(one(p, 5)), wait)
			w.want(rep, verdict.Failed)
			if nb := rep.Results[0].NotBefore; !nb.Equal(began.Add(15 * time.Minute)) {
				t.Fatalf("the message is to come again at %v", nb)
			}
			w.now = w.now.Add(7*time.Second - time.Millisecond)
			again := w.call(one(p, 6))
			again.Redrive, again.BusyWait = redrive, time.Microsecond
			rep = w.do(again)
			w.want(rep, verdict.Failed)
			r := rep.Results[0]
			if r.Class != "throttled" || !r.NotBefore.Equal(began.Add(7*time.Second)) || rep.Requests != 1 ||
				!strings.Contains(r.Err.Error(), "throttled") || !strings.Contains(r.Err.Error(), began.Add(7*time.Second).UTC().Format(time.RFC3339)) {
				t.Fatalf("%+v, %v", r, r.Err)
			}
			w.now = w.now.Add(time.Millisecond)
			w.want(w.do(again, took), verdict.Applied)
		}
	})
}

// A protection that ends soon is waited for.
func TestAShortProtectionIsWaitedFor(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	w.want(w.do(w.call(full(5)), lost), verdict.Failed)
	again := w.call(full(5))
	again.BusyWait = 10 * time.Second
	rep := w.do(again, took)
	w.want(rep, verdict.Applied)
	if rep.Requests != 3 { // one refused claim, one that passes, the completion
		t.Fatalf("%d requests", rep.Requests)
	}
}

// The first version kept Retry-After on the item. Such an item is free.
func TestItemsThatWaitForARetryAfterAreFree(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		w.seed(map[string]guard.Value{"s": num(2), "u": num(w.now.Add(24 * time.Hour).UnixMilli()), "n": num(7), "a": num(1),
			"e": {Kind: guard.String, Str: "throttled"}})
		w.want(w.do(w.call(one(p, 5)), took), verdict.Applied)
	})
}

func num(n int64) guard.Value { return guard.Value{Kind: guard.Number, Num: n} }

// seed writes attributes of the item, past the protocol.
func (w *world) seed(attrs map[string]guard.Value) {
	w.t.Helper()
	wr := guard.Write{Key: w.guard().Key(org, "s"), If: guard.Cond{Test: guard.All}}
	for name, v := range attrs {
		wr.Set = append(wr.Set, guard.Assign{Attr: name, Op: guard.Put, Value: v})
	}
	if _, ok, err := w.store.Write(w.t.Context(), wr); err != nil || !ok {
		w.t.Fatal(ok, err)
	}
}

// Who finds a lease running says so, also where the invocation's own time ends before
// the waiting would.
func TestBusyIsBusyAlsoNearTheEndOfAnInvocation(t *testing.T) {
	const lambda, direct = 20 * time.Second, 10 * time.Second
	for name, tc := range map[string]struct{ effect, settle, wait, least, most time.Duration }{
		"customer-billing":    {10 * time.Second, 20 * time.Second, direct, 7 * time.Second, 8 * time.Second},
		"opportunity-billing": {15 * time.Second, 20 * time.Second, direct, 2 * time.Second, 3 * time.Second},
		"customer-erp":        {10 * time.Second, 0, direct, 7 * time.Second, 8 * time.Second},
		"inventory-erp":       {10 * time.Second, 0, direct, 7 * time.Second, 8 * time.Second},
		"buffered":            {10 * time.Second, 0, 2 * time.Second, time.Second, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, guard.NewestWins, func(c *guard.Config) { c.Effect, c.Settle = tc.effect, tc.settle })
			w.guard().Do(t.Context(), w.call(full(5)), func(context.Context, guard.Attempt) guard.Outcome {
				ctx, cancel := w.until(lambda)
				defer cancel()
				began, call := w.now, w.call(full(6))
				call.BusyWait = tc.wait
				r := w.guard().Do(ctx, call, nil).Results[0]
				if waited := w.now.Sub(began); r.Verdict != verdict.Busy || r.Class != "busy" || waited < tc.least || waited > tc.most {
					t.Errorf("after %v: %+v", waited, r)
				}
				return took
			})
		})
	}
}

// until is a context whose deadline is d away on the world's clock.
func (w *world) until(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(w.t.Context())
	return deadline{ctx, w.now.Add(d)}, cancel
}

type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

// An attempt begins only where its whole effect has room before the invocation ends.
func TestTooLittleTimeToBegin(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		w := newWorld(t, p)
		ctx, cancel := w.until(12*time.Second - time.Millisecond) // effect 10, margin 2
		defer cancel()
		rep := w.guard().Do(ctx, w.call(one(p, 5)), nil)
		w.want(rep, verdict.Failed)
		if rep.Results[0].Class != "unfinished" || rep.Requests != 0 {
			t.Fatalf("%+v", rep)
		}
		ctx, cancel = w.until(12 * time.Second)
		defer cancel()
		w.want(w.guard().Do(ctx, w.call(one(p, 5)), func(context.Context, guard.Attempt) guard.Outcome { return took }), verdict.Applied)
	})
}

// What the sink took is written down although the invocation ended meanwhile; so is what
// it refused.
func TestAnEffectIsRecordedAfterTheInvocationEnded(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p guard.Policy) {
		for _, out := range []guard.Outcome{took, throttled} {
			w := newWorld(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			w.guard().Do(ctx, w.call(one(p, 5)), func(context.Context, guard.Attempt) guard.Outcome {
				cancel()
				return out
			})
			if it := w.item(); it.Status == guard.Running {
				t.Fatalf("after %v the item still says running: %+v", out.Effect, it)
			}
		}
	})
}

// While a restore is worked through, an attempt that lost the answer of its claim cannot
// know who was there before: it is in doubt.
func TestALostClaimAnswerAfterARestoreIsInDoubt(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	w.cfg.RestoredAt = w.now
	w.now = w.now.Add(time.Hour)
	w.want(w.do(w.call(guard.Change{}), throttled), verdict.Failed) // claimed after the restore
	w.unseed("w")
	w.store = &twice{w.store}
	w.want(w.do(w.call(guard.Change{}), took), verdict.Applied)
	if a := w.last(); !a.InDoubt || !a.DoubtSince.IsZero() {
		t.Fatalf("attempt %+v", a)
	}
}

func (w *world) unseed(attr string) {
	w.t.Helper()
	if _, _, err := w.store.Write(w.t.Context(), guard.Write{Key: w.guard().Key(org, "s"), If: guard.Cond{Test: guard.All},
		Set: []guard.Assign{{Attr: "a", Op: guard.Put, Value: num(0)}}, Remove: []string{attr}}); err != nil {
		w.t.Fatal(err)
	}
}

// A completion without a request settles no doubt: the delete is older than a field, so
// nothing is sent.
func TestADoubtOutlivesACompletionWithoutARequest(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(update(5, "name")), took), verdict.Applied)
	w.want(w.do(w.call(update(6, "phone")), lost), verdict.Failed)
	since := w.now
	w.now = w.now.Add(time.Minute)
	w.want(w.do(w.call(deleted(3))), verdict.Stale)
	if it := w.item(); !it.InDoubt || it.Tombstone != v(3) {
		t.Fatalf("item %+v", it)
	}
	w.want(w.do(w.call(update(6, "phone")), took), verdict.Applied)
	if a := w.last(); !a.InDoubt || !a.DoubtSince.Equal(since) {
		t.Fatalf("attempt %+v", a)
	}
}

// A group of which one got through and the next one's answer was lost is in doubt, and
// says so with the class of that one.
func TestAGroupThatStopsUnsureIsInDoubt(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(update(3, "phone"), update(4, "name")), refused, took, lost), verdict.Applied, verdict.Failed)
	if it := w.item(); !it.InDoubt || it.Status != guard.StatusUnknown || it.Fields["phone"] != v(3) || it.Class != "unknown" {
		t.Fatalf("item %+v", it)
	}
	rep := w.do(w.call(update(4, "name")))
	w.want(rep, verdict.Failed)
	if rep.Results[0].Class != "unknown" {
		t.Fatalf("%+v", rep.Results[0])
	}
	w.now = w.now.Add(time.Minute)
	w.want(w.do(w.call(update(4, "name")), took), verdict.Applied)
	if !w.last().InDoubt {
		t.Fatal("the doubt is forgotten")
	}
}

// Too old is asked once: who redrives the event has looked, and decides that it was not
// applied.
func TestAnOldEventThatSomebodyRedrivesIsTaken(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	call := w.call(guard.Change{})
	call.EventSubject, call.Published = true, w.now.Add(-36*24*time.Hour)
	w.want(w.do(call), verdict.Parked)
	call.Redrive = true
	w.want(w.do(call, took), verdict.Applied)
}

// A change that could not be parked keeps its attempts.
func TestAFailedParkingKeepsCounting(t *testing.T) {
	w := newWorld(t, guard.NewestWins)
	w.parkAs = errors.New("queue down")
	for n := range int64(4) {
		w.want(w.do(w.call(full(5)), throttled), verdict.Failed)
		if it := w.item(); it.Attempts != n+1 {
			t.Fatalf("after %d attempts the item says %d", n+1, it.Attempts)
		}
	}
	t.Run("one by one", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.parkAs = errors.New("queue down")
		group := w.call(update(3, "phone"), update(4, "name"))
		for range 4 {
			w.want(w.do(group, refused, throttled), verdict.Failed, verdict.Failed)
		}
		if it := w.item(); it.Attempts != 4 {
			t.Fatalf("item %+v", it)
		}
	})
}

// However many fields a change carries, its claim fits DynamoDB: 300 operators an
// expression (Developer Guide, "Service quotas").
func TestEveryClaimFitsAnExpression(t *testing.T) {
	for n := 1; n <= 200; n++ {
		w := newWorld(t, guard.FieldMerge)
		w.cfg.Fields = nil
		for i := range n {
			w.cfg.Fields = append(w.cfg.Fields, "field"+string(rune('a'+i/26))+string(rune('a'+i%26)))
		}
		most := &operators{Store: w.store}
		w.store = most
		w.want(w.do(w.call(guard.Change{Kind: guard.Partial, Version: v(5), Fields: w.cfg.Fields}), took), verdict.Applied)
		if most.most > 300 {
			t.Fatalf("a change of %d fields makes a condition of %d operators", n, most.most)
		}
	}
}

// operators counts those of the conditions that pass through it.
type operators struct {
	guard.Store
	most int
}

func (s *operators) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	s.most = max(s.most, count(w.If))
	return s.Store.Write(ctx, w)
}

func count(c guard.Cond) int {
	if c.Test > guard.Any {
		return 1
	}
	n := max(len(c.Terms)-1, 0)
	for _, t := range c.Terms {
		n += count(t)
	}
	return n
}
