package guard_test

import (
	"context"
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
