package deadletter

import (
	"context"
	"errors"
	"sync"
	"time"

	"sfrelay/shared/transport"
)

// What a function redrives on a schedule, because nobody has to decide on it: what time or
// something else may have helped, after 1, 2, 4, 8 … hours.

const (
	firstWait = time.Hour
	lastWait  = 14 * 24 * time.Hour // what the queues keep messages for
	// mostARun is how many messages one run looks at of a queue, and how many it redrives.
	mostARun = 1000
)

// Due reports whether the time since the message failed last has passed one of the waits
// between from and to.
func Due(lastAt, from, to time.Time) bool {
	if lastAt.IsZero() {
		return false
	}
	for wait := firstWait; wait <= lastWait; wait *= 2 {
		if at := lastAt.Add(wait); at.After(from) && !at.After(to) {
			return true
		}
	}
	return false
}

// Scheduled is one run at a time, of runs so far apart: a redrive of what needs nobody and is
// due. Messages are hidden for two minutes at most. What fails stays where it was. That ctx has
// ended is no error: the next run goes on.
func (qs *Queues) Scheduled(ctx context.Context, at time.Time, every time.Duration, report func(Result)) (*Summary, error) {
	queued := 0
	for _, c := range qs.Counts(ctx) {
		queued = max(queued, c.Visible)
	}
	// A run sees a thousand messages of more, by chance: it looks back over as many runs as it
	// takes to see each once.
	from := at.Add(-every * time.Duration(1+queued/mostARun))
	var mu sync.Mutex
	var oldest time.Time
	sum, err := qs.Redrive(ctx, Order{
		By: transport.ByFunction, Limit: mostARun, MostSeen: mostARun, Parallel: 4, StopAbove: 0.5, Report: report,
		Due: func(m Message) bool {
			mu.Lock()
			defer mu.Unlock()
			if oldest.IsZero() || m.Sent.Before(oldest) {
				oldest = m.Sent
			}
			return Due(m.LastAt, from, at) && qs.Alone(m)
		},
	})
	if sum != nil {
		sum.Oldest = oldest
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrStopped) {
		err = nil
	}
	return sum, err
}
