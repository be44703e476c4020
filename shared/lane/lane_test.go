package lane_test

import (
	"testing"
	"time"

	"sfrelay/shared/lane"
	"sfrelay/shared/verdict"
)

func TestWhatTheLaneTakes(t *testing.T) {
	for _, c := range []struct {
		what       string
		d          lane.Delivery
		unfinished int
		want       bool
	}{
		{"a direct event", lane.Delivery{}, 1, true},
		{"a redrive", lane.Delivery{Redrive: true}, 1, false},
		{"an event out of the buffer waits there", lane.Delivery{Buffered: true, Receives: 1}, 25, false},
		{"one of many records is put in portions", lane.Delivery{Buffered: true, Receives: 1}, 26, true},
		{"and never again: its portions may be there", lane.Delivery{Buffered: true, Receives: 2}, 26, false},
		{"nor are the portions", lane.Delivery{Buffered: true, Receives: 1, Ours: true}, 26, false},
	} {
		if got := c.d.Takes(c.unfinished); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestHowLongAChangeIsTried(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, c := range []struct {
		what             string
		d                lane.Delivery
		spent, forgotten bool // after six hours, after five days
	}{
		{"sent long ago and received now", lane.Delivery{SentAt: ago(100 * time.Hour), ReceivedAt: now}, false, false},
		{"received six hours ago", lane.Delivery{ReceivedAt: ago(6 * time.Hour)}, true, false},
		{"received a little later", lane.Delivery{ReceivedAt: ago(6*time.Hour - 1)}, false, false},
		{"failed before it was put", lane.Delivery{ReceivedAt: now, FailedAt: ago(6 * time.Hour)}, true, false},
		{"nothing is known", lane.Delivery{}, false, false},
		{"sent five days ago", lane.Delivery{SentAt: ago(120 * time.Hour), ReceivedAt: now}, false, true},
		{"received very often", lane.Delivery{ReceivedAt: now, Receives: 990}, false, true},
	} {
		c.d.Buffered = true
		if spent := c.d.Spent(now, 6*time.Hour); spent != c.spent {
			t.Errorf("%s: spent %v", c.what, spent)
		}
		if forgotten := c.d.Forgotten(now, 120*time.Hour); forgotten != c.forgotten {
			t.Errorf("%s: forgotten %v", c.what, forgotten)
		}
		c.d.Buffered = false
		if c.d.Spent(now, 6*time.Hour) || c.d.Forgotten(now, 120*time.Hour) {
			t.Errorf("%s, directly: Lambda counts its own attempts", c.what)
		}
	}
	if !lane.Failed(1, verdict.Failed) || lane.Failed(0, verdict.Failed) || lane.Failed(2, verdict.Busy) {
		t.Error("a change has failed when it was tried, and only then")
	}
}
