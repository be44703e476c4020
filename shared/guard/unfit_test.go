package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

const tooLong = verdict.Class("permanent/field-too-long")

// except is an outcome: the sink took all but these fields.
func except(fields ...string) guard.Outcome {
	out := took
	for _, f := range fields {
		out.Unfit = append(out.Unfit, guard.Unfit{Field: f, Class: tooLong, Err: errors.New(f + " is too long")})
	}
	return out
}

// One field that does not fit holds back itself and nothing else.
func TestAFieldThatDoesNotFit(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	rep := w.do(w.call(full(5)), except("phone"))
	w.want(rep, verdict.Parked)
	if r := rep.Results[0]; r.Class != tooLong || len(w.parked) != 1 || !strings.Contains(w.parked[0].Err.Error(), "phone is too long") {
		t.Fatalf("%+v, parked %+v", r, w.parked)
	}
	none := order.Version{}
	it := w.item()
	if it.Full != none || it.Tombstone != none || it.Seen != v(5) || it.Fields["name"] != v(5) || it.Fields["city"] != v(5) || it.Fields["phone"] != none ||
		it.InDoubt || it.Status != guard.Idle || it.Attempts != 0 {
		t.Fatalf("item %+v", it)
	}
	t.Run("again: nothing of it fits, and it lies in the queue", func(t *testing.T) {
		w.want(w.do(w.call(full(5)), refused), verdict.Parked)
		if wins(w.last()) != "phone=0" || len(w.parked) != 1 {
			t.Fatalf("asked for %s, parked %d", wins(w.last()), len(w.parked))
		}
	})
	t.Run("an older change of it wins until then", func(t *testing.T) {
		w.want(w.do(w.call(update(4, "phone", "name")), took), verdict.PartlyStale)
		if wins(w.last()) != "phone=0" {
			t.Fatalf("asked for %s", wins(w.last()))
		}
	})
	t.Run("its redrive sends it alone", func(t *testing.T) {
		redrive := w.call(full(5))
		redrive.Redrive = true
		w.want(w.do(redrive, took), verdict.PartlyStale)
		if wins(w.last()) != "phone=0" || w.item().Full != v(5) {
			t.Fatalf("asked for %s, item %+v", wins(w.last()), w.item())
		}
		w.want(w.do(w.call(full(5))), verdict.Duplicate)
	})
}

func TestAFieldThatDoesNotFitAndIsMended(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(full(5)), except("phone")), verdict.Parked)
	w.want(w.do(w.call(update(6, "phone")), took), verdict.Applied)
	redrive := w.call(full(5))
	redrive.Redrive = true
	w.want(w.do(redrive), verdict.Stale)
	if it := w.item(); it.Full != v(5) || it.Fields["phone"] != v(6) {
		t.Fatalf("item %+v", it)
	}
	t.Run("by a full state", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(full(5)), except("phone")), verdict.Parked)
		w.want(w.do(w.call(full(6)), took), verdict.Applied)
		w.want(w.do(redrive), verdict.Stale)
		if !w.last().Whole {
			t.Fatalf("%+v", w.last())
		}
	})
}

func TestNoneOfTheFieldsFits(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(update(5, "phone")), lost), verdict.Failed)
	w.now = w.now.Add(w.cfg.Lease())
	w.want(w.do(w.call(update(5, "phone")), except("phone")), verdict.Parked)
	if it := w.item(); len(it.Fields) != 0 || !it.InDoubt || w.parked[0].Class != tooLong {
		t.Fatalf("item %+v, parked %+v", it, w.parked)
	}
}

func TestAFieldOfAGroupThatDoesNotFit(t *testing.T) {
	group := []guard.Change{update(3, "phone", "city"), update(4, "name"), update(5, "city")}
	t.Run("together", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(group...), except("phone", "city")), verdict.Parked, verdict.Applied, verdict.Parked)
		if it := w.item(); len(it.Fields) != 1 || it.Fields["name"] != v(4) || len(w.parked) != 2 {
			t.Fatalf("item %+v, parked %+v", it, w.parked)
		}
	})
	t.Run("one by one", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(group...), refused, except("phone"), refused, took), verdict.Parked, verdict.Parked, verdict.Applied)
		if it := w.item(); len(it.Fields) != 1 || it.Fields["city"] != v(5) || len(w.parked) != 2 {
			t.Fatalf("item %+v, parked %+v", it, w.parked)
		}
	})
	t.Run("with a full state", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(deleted(2), full(3), update(5, "city")), except("phone")), verdict.Stale, verdict.Parked, verdict.Applied)
		if it := w.item(); !it.Full.IsZero() || !it.Tombstone.IsZero() || it.Seen != v(3) || it.Fields["name"] != v(3) || it.Fields["city"] != v(5) {
			t.Fatalf("item %+v", it)
		}
	})
}

// A queue that is down keeps the change; what was sent is recorded all the same.
func TestAFieldThatDoesNotFitAndAQueueThatIsDown(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.parkAs = errors.New("queue down")
	w.want(w.do(w.call(full(5)), except("phone")), verdict.Failed)
	w.parkAs = nil
	w.want(w.do(w.call(full(5)), refused), verdict.Parked)
	if wins(w.last()) != "phone=0" || len(w.parked) != 1 {
		t.Fatalf("asked for %s, parked %d", wins(w.last()), len(w.parked))
	}
}

// A patch is no full state: a late one is a zombie at a sink that compares versions.
func TestALateAnswerWithAFieldLeftOutIsAZombie(t *testing.T) {
	w := newWorld(t, guard.FieldMerge, func(c *guard.Config) { c.Sink.Versioned = true })
	rep := w.late(w.call(full(5)), except("phone"))
	w.want(rep, verdict.Zombie)
}

// late answers after the lease.
func (w *world) late(call guard.Call, out guard.Outcome) guard.Report {
	return w.guard().Do(w.t.Context(), call, func(context.Context, guard.Attempt) guard.Outcome {
		w.now = w.now.Add(w.cfg.Lease())
		return out
	})
}

// Whose completion is fenced off keeps the verdict of what lies in the queue: the message
// holds the whole change.
func TestAFieldThatDoesNotFitAndAWorkerThatIsFencedOff(t *testing.T) {
	w := newWorld(t, guard.FieldMerge, func(c *guard.Config) { c.Sink.Fenced = true })
	rep := w.guard().Do(t.Context(), w.call(full(5)), func(context.Context, guard.Attempt) guard.Outcome {
		w.now = w.now.Add(w.cfg.Lease())
		w.want(w.do(w.call(update(6, "phone")), throttled), verdict.Failed)
		return except("phone")
	})
	w.want(rep, verdict.Parked)
	if r := rep.Results[0]; r.Class != tooLong || len(w.parked) < 1 {
		t.Fatalf("%+v, parked %+v", r, w.parked)
	}
}
