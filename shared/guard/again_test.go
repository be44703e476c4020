package guard_test

import (
	"strings"
	"testing"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

func whole(c guard.Call) guard.Call { c.WholeFirst = true; return c }

// A partial change of a record that was never seen whole is handed back untouched; the full
// state of the same version goes through.
func TestARecordThatWasNeverSeenWhole(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	rep := w.do(whole(w.call(update(5, "phone"))))
	if r := rep.Results[0]; !r.Unseen || r.Verdict != verdict.Failed || r.Class != verdict.NeedsFetch || rep.Requests != 2 || len(w.asked) != 0 {
		t.Fatalf("%+v after %d requests", r, rep.Requests)
	}
	if it := w.item(); it.Status != guard.Retry || it.Attempts != 0 || it.InDoubt || it.Until > w.now.UnixMilli() {
		t.Fatalf("item %+v", it)
	}
	rep = w.do(whole(w.call(full(5))), took)
	if w.want(rep, verdict.Applied); rep.Requests != 2 || !w.last().Whole || w.last().Version != v(5) {
		t.Fatalf("%+v after %d requests", w.last(), rep.Requests)
	}
	w.want(w.do(whole(w.call(update(6, "phone"))), took), verdict.Applied)
	t.Run("nor since it was deleted", func(t *testing.T) {
		w.want(w.do(whole(w.call(deleted(7))), took), verdict.Applied)
		if rep := w.do(whole(w.call(update(8, "phone")))); !rep.Results[0].Unseen {
			t.Fatalf("%+v", rep.Results[0])
		}
	})
	t.Run("with its creation beside it", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(whole(w.call(update(9, "phone"), full(8))), took), verdict.Applied, verdict.PartlyStale)
	})
	t.Run("whole but for a field that did not fit", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(full(5)), except("phone")), verdict.Parked)
		w.want(w.do(whole(w.call(update(6, "name"))), took), verdict.Applied)
	})
	t.Run("an older doubt stays", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(update(5, "phone")), lost), verdict.Failed)
		w.now = w.now.Add(time.Hour)
		if rep := w.do(whole(w.call(update(6, "phone")))); !rep.Results[0].Unseen || !w.item().InDoubt {
			t.Fatalf("%+v, item %+v", rep.Results[0], w.item())
		}
	})
	t.Run("what is stale is not asked for", func(t *testing.T) {
		w := newWorld(t, guard.FieldMerge)
		w.want(w.do(w.call(deleted(7)), took), verdict.Applied)
		w.want(w.do(whole(w.call(update(6, "phone")))), verdict.Stale)
	})
}

// A state that was read before its change has two times: the change's fields are new, all
// others are as old as the state, and what happened between the two still wins.
func TestAStateWithABase(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	based := full(9)
	based.Base, based.Fields = v(5), []string{"phone"}
	w.want(w.do(whole(w.call(based)), took), verdict.Applied)
	if it := w.item(); it.Full != v(5) || it.Fields["phone"] != v(9) || w.last().Whole || len(w.last().Wins) != 3 {
		t.Fatalf("item %+v, asked for %+v", it, w.last())
	}
	w.want(w.do(whole(w.call(update(7, "name", "phone"))), took), verdict.PartlyStale)
	if wins(w.last()) != "name=0" {
		t.Fatalf("asked for %s", wins(w.last()))
	}
	// Nothing of it is older than what is there.
	w.want(w.do(w.call(full(20)), took), verdict.Applied)
	late := full(21)
	late.Base, late.Fields = v(15), []string{"phone"}
	w.want(w.do(whole(w.call(late)), took), verdict.PartlyStale)
	if wins(w.last()) != "phone=0" || w.item().Full != v(20) {
		t.Fatalf("asked for %s, item %+v", wins(w.last()), w.item())
	}
}

// A resync of which a field does not fit is no full state, and says which.
func TestAResyncThatDoesNotFit(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(full(5)), took), verdict.Applied)
	rep := w.do(w.call(guard.Change{Kind: guard.Resync, Version: v(7)}), except("phone"))
	w.want(rep, verdict.Parked)
	it := w.item()
	if it.Full != v(5) || it.Seen != v(7) || it.Fields["name"] != v(7) || it.Fields["phone"] != (order.Version{}) || len(w.parked) != 1 {
		t.Fatalf("item %+v, parked %+v", it, w.parked)
	}
}

func TestWhatOfOneInstantIsThere(t *testing.T) {
	w := newWorld(t, guard.FieldMerge)
	w.want(w.do(w.call(full(5)), took), verdict.Applied)
	if rep := w.do(w.call(full(5))); !rep.Results[0].Settled {
		t.Errorf("%+v", rep.Results[0])
	}
	if rep := w.do(w.call(full(4))); rep.Results[0].Settled {
		t.Errorf("%+v", rep.Results[0])
	}
}

// fact is a change that an action acts on: of a change event, or with commit 0 of a platform
// event, with the parts of its content.
func fact(second int64, commit uint64, content string, fetched bool) guard.Change {
	c := guard.Change{Version: order.New(order.Parts{TimeMS: 1_763_800_000_000 + second*1000, CommitNumber: commit}, [4]byte{}), Fetched: fetched}
	copy(c.Hash[:], content+"--------")
	for _, part := range content {
		c.Parts += strings.Repeat(string(part), guard.PartBytes)
	}
	return c
}

// What was done is compared with what comes later of the same kind of event only, and the
// message names what differs and which is newer.
func TestAFactThatComesAgain(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, then guard.Change
		changed     string
		message     string
	}{
		{"the same event", fact(0, 7, "ab", true), fact(0, 7, "ab", true), "unknown", ""},
		{"read again after an edit", fact(0, 7, "ab", true), fact(0, 7, "ac", true), "unknown", ""},
		{"within two seconds", fact(0, 7, "ab", true), fact(2, 8, "ac", true), "unknown", ""},
		{"later, the same", fact(0, 7, "ab", true), fact(3, 8, "ab", true), "false", ""},
		{"later, another amount", fact(0, 7, "ab", true), fact(3, 8, "ac", true), "true", "done: amount (done: of 2025-11-22T08:26:40Z; this one: of 2025-11-22T08:26:43Z, newer)"},
		{"both parts", fact(0, 7, "ab", true), fact(3, 8, "xy", true), "true", "done: account, amount ("},
		{"two platform events", fact(0, 0, "ab", false), fact(0, 0, "ac", false), "true", "done: amount (done: of 2025-11-22T08:26:40Z; this one: of 2025-11-22T08:26:40Z, the older one or the same)"},
		{"the other kind, the same time", fact(0, 0, "ab", false), fact(1, 7, "ac", true), "unknown", ""},
		{"the other kind, later", fact(0, 0, "ab", false), fact(3, 7, "ab", true), "unknown", "look whether it differs (done: of"},
		{"the other kind, the platform event later", fact(0, 7, "ab", true), fact(3, 0, "ab", false), "unknown", "look whether it differs (done: of"},
		{"the other kind, earlier", fact(9, 0, "ab", false), fact(3, 7, "ac", true), "unknown", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, guard.EachOnce, func(cfg *guard.Config) { cfg.Parts = []string{"account", "amount"} })
			w.want(w.do(w.call(c.first), took), verdict.Applied)
			rep := w.do(w.call(c.then))
			w.want(rep, verdict.Duplicate)
			if rep.Results[0].Changed != c.changed || len(w.parked) != min(len(c.message), 1) {
				t.Fatalf("%+v, parked %+v", rep.Results[0], w.parked)
			}
			if c.message != "" && (w.parked[0].Class != verdict.ChangedAfterDone || !strings.Contains(w.parked[0].Err.Error(), c.message)) {
				t.Errorf("%v", w.parked[0].Err)
			}
		})
	}
}

// Before anything is read the table tells whether it was done, and whether this is later.
func TestDone(t *testing.T) {
	w := newWorld(t, guard.EachOnce)
	ask := func(second int64, done, later bool) {
		t.Helper()
		gotDone, gotLater, err := w.guard().Done(t.Context(), org, "s", fact(second, 7, "a", true).Version)
		if err != nil || gotDone != done || gotLater != later {
			t.Errorf("second %d: done %v, later %v, %v", second, gotDone, gotLater, err)
		}
	}
	ask(0, false, false)
	w.want(w.do(w.call(fact(0, 7, "a", true)), took), verdict.Applied)
	ask(-100, true, false)
	ask(2, true, false)
	ask(3, true, true)
}
