package deadletter_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
)

// A message goes 1, 2, 4, 8 … hours after it failed last, in one run each.
func TestWhenAMessageIsDue(t *testing.T) {
	failed := time.Date(2026, 11, 22, 7, 1, 0, 0, time.UTC)
	const every = 15 * time.Minute
	var hours []string
	for at := failed; at.Before(failed.AddDate(0, 0, 15)); at = at.Add(every) {
		if deadletter.Due(failed, at.Add(-every), at) {
			hours = append(hours, fmt.Sprint(at.Sub(failed).Hours()))
		}
	}
	if got, want := fmt.Sprint(hours), "[1 2 4 8 16 32 64 128 256]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if deadletter.Due(time.Time{}, failed, failed.Add(time.Hour)) {
		t.Error("nobody knows when it failed")
	}
	if !deadletter.Due(failed, failed.Add(59*time.Minute), failed.Add(61*time.Minute)) || deadletter.Due(failed, failed.Add(time.Hour), failed.Add(2*time.Hour-1)) {
		t.Error("a wait belongs to the run in which it is over")
	}
}

// One run takes what needs nobody and is due, a thousand at most, hides nothing for longer than
// two minutes, and leaves what fails where it was.
func TestAScheduledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(10 * time.Millisecond)
		r.put(300, "throttled")
		r.put(50, "in-doubt")
		r.put(50, "permanent/x")
		r.put(50, "too-old")
		r.put(50, "needs-fetch")
		failed := time.Date(2026, 11, 22, 7, 1, 0, 0, time.UTC) // what parked says
		r.refuse = func(id string) string {
			if id == "00000007" {
				return `{"verdicts":[{"verdict":"failed","class":"throttled"}]}`
			}
			return ""
		}
		oldest := time.Now().Add(-50 * time.Hour).Truncate(time.Millisecond)
		r.byID["00000310"].sent = oldest // in doubt, so that no run takes it
		outcomes := map[deadletter.Outcome]int{}
		run := func(at time.Time) {
			sum, err := r.queues().Scheduled(t.Context(), at, 15*time.Minute, func(res deadletter.Result) { outcomes[res.Outcome]++ })
			if err != nil || len(sum.Warnings) > 0 || !sum.Oldest.Equal(oldest) {
				t.Error(err, sum)
			}
			if _, hidden := r.left(); hidden > 0 {
				t.Errorf("%d are hidden", hidden)
			}
		}
		run(failed.Add(50 * time.Minute))
		if len(outcomes) > 0 {
			t.Errorf("before anything is due: %v", outcomes)
		}
		run(failed.Add(65 * time.Minute))
		if outcomes[deadletter.Taken] != 299 || outcomes[deadletter.Left] != 1 || len(outcomes) != 2 {
			t.Errorf("%v", outcomes)
		}
		if n, _ := r.left(); n != 201 || r.byID["00000007"].gone {
			t.Errorf("%d left", n)
		}
		for _, m := range r.all {
			if m.receives > 2 {
				t.Errorf("%s was received %d times in two runs", m.id, m.receives)
			}
		}
	})
}

// Of more than a thousand messages a run looks at a thousand, and looks back for longer.
func TestAScheduledRunIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(10 * time.Millisecond)
		r.put(5000, "throttled")
		at := time.Date(2026, 11, 22, 7, 1, 0, 0, time.UTC).Add(time.Hour + 70*time.Minute/2) // the wait of one hour was over two runs ago
		taken := 0
		sum, err := r.queues().Scheduled(t.Context(), at, 15*time.Minute, func(res deadletter.Result) {
			if res.Outcome == deadletter.Taken {
				taken++
			}
		})
		if err != nil || taken != 1000 || sum.Counts[0].Seen != 1000 || sum.Oldest.IsZero() {
			t.Errorf("%v, %d taken, %+v", err, taken, sum.Counts)
		}
		if _, hidden := r.left(); hidden != 0 {
			t.Errorf("%d are hidden", hidden)
		}
	})
}

// The end of its time ends a run without an error, and it says who orders what it sends.
func TestAScheduledRunEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(time.Second)
		r.put(500, "throttled")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		at := time.Date(2026, 11, 22, 8, 5, 0, 0, time.UTC)
		if _, err := r.queues().Scheduled(ctx, at, 15*time.Minute, nil); err != nil {
			t.Error(err)
		}
		lost(t, r, 0)
		if _, hidden := r.left(); hidden > 80 {
			t.Errorf("%d are hidden", hidden)
		}
		if transport.ByFunction != "redrive-function" {
			t.Error("functions of other versions know it by another name")
		}
	})
}
