package guard_test

import (
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/verdict"
)

// first is a call whose caller can read the record.
func (w *world) first(changes ...guard.Change) guard.Call {
	call := w.call(changes...)
	call.WholeFirst = true
	return call
}

// A partial change of a record that was never seen whole costs four writes: a claim that is
// given back uncounted, and the same change as a full state.
func TestAFirstSightIsGivenBackAndComesWhole(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	rep := w.do(w.first(update(2, "name"), update(3, "phone")))
	w.want(rep, verdict.Failed, verdict.Failed)
	if it := w.item(); !rep.Results[0].Unseen || !rep.Results[1].Unseen || rep.Results[0].Class != verdict.NeedsFetch || rep.Requests != 2 ||
		it.Status != guard.Retry || it.Attempts != 0 || it.InDoubt || it.Until > w.now.UnixMilli() || !it.Full.IsZero() || len(it.Fields) > 0 {
		t.Errorf("%+v, item %+v", rep, it)
	}
	rep = w.do(w.first(full(2), full(3)), took)
	w.want(rep, verdict.Stale, verdict.Applied)
	if it := w.item(); rep.Requests != 2 || !w.last().Whole || w.last().Number != 1 || it.Full != v(3) {
		t.Errorf("%+v, item %+v, asked %+v", rep, it, w.last())
	}
}

// From then on a change costs two writes.
func TestARecordThatWasSeenWholeIsNotReadAgain(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.first(full(1)), took), verdict.Applied)
	rep := w.do(w.first(update(2, "name")), took)
	w.want(rep, verdict.Applied)
	if rep.Requests != 2 || len(w.last().Wins) != 1 {
		t.Errorf("%+v, asked %+v", rep, w.last())
	}
}

// A record that was deleted since it was seen whole is seen anew, also where both are in one
// batch. Only a delete needs no state.
func TestADeletedRecordIsSeenAnew(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.first(full(1)), took), verdict.Applied)
	w.want(w.do(w.first(deleted(2)), took), verdict.Applied)
	if rep := w.do(w.first(update(4, "name"))); !rep.Results[0].Unseen {
		t.Errorf("%+v", rep.Results)
	}
	other := newWorld(t, guard.FieldMerge)
	other.want(other.do(other.first(full(1)), took), verdict.Applied)
	if rep := other.do(other.first(deleted(2), update(4, "name"))); !rep.Results[0].Unseen || !rep.Results[1].Unseen {
		t.Errorf("%+v", rep.Results)
	}
	fresh := newWorld(t, guard.FieldMerge)
	fresh.want(fresh.do(fresh.first(deleted(2)), took), verdict.Applied)
}

// A first sight is no answer to what an attempt before it left open.
func TestAFirstSightKeepsADoubt(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(update(1, "name")), lost), verdict.Failed)
	w.now = w.now.Add(w.cfg.Lease())
	if rep := w.do(w.first(update(2, "name"))); !rep.Results[0].Unseen || !w.item().InDoubt {
		t.Errorf("%+v, item %+v", rep, w.item())
	}
}

// A read that is older than the deletion before the change is no reason to read again: the
// fields that the change itself carries are sent.
func TestAnOldReadIsTaken(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.first(deleted(3)), took), verdict.Applied)
	read := guard.Change{Kind: guard.Full, Version: v(5), Base: v(2), Fields: []string{"name"}}
	rep := w.do(w.first(read), took)
	if len(w.last().Wins) != 1 || w.last().Wins[0].Field != "name" || rep.Results[0].Verdict != verdict.PartlyStale {
		t.Errorf("%+v, asked %+v", rep, w.last())
	}
	// The undelete that comes late brings the rest.
	w.want(w.do(w.first(full(4)), took), verdict.PartlyStale)
	if len(w.last().Wins) != 2 {
		t.Errorf("asked %+v", w.last())
	}
}
