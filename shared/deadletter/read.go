package deadletter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Query says what to read.
type Query struct {
	Filter
	Limit int // most messages; 0: all
	// Lean leaves out the bodies of messages and events, of which ten thousand would not fit.
	Lean bool
	// Each gets every message that is found, one after the other; then Reading holds none.
	Each func(Message) error
	// Progress is told how many messages were looked at so far; it may be nil.
	Progress func(seen int)
}

// Reading is what was found in the queues.
type Reading struct {
	Messages []Message // the oldest first
	Counts   []Count   // one for each queue, in their order
	Limited  bool      // it ended at the limit
	Warnings []error   // what does not matter to what was found
}

// Empty reports whether the queues certainly hold nothing at all.
func (r *Reading) Empty() bool {
	return !slices.ContainsFunc(r.Counts, func(c Count) bool { return !c.Empty() })
}

// Read lists what lies in the queues and leaves it there. Messages that somebody else holds
// are not seen; the counts say how many these are. With an error the Reading holds what was
// found until then.
func (qs *Queues) Read(ctx context.Context, query Query) (*Reading, error) {
	r := reading{qs: qs, query: query, out: &Reading{Counts: make([]Count, len(qs.List))}}
	errs := make([]error, len(qs.List))
	warnings := make([]error, len(qs.List))
	var group sync.WaitGroup
	for i, q := range qs.List {
		group.Go(func() {
			s := sweep{Queues: qs, q: q, enough: r.enough, window: r.window(q)}
			r.out.Counts[i], warnings[i], errs[i] = s.run(ctx)
		})
	}
	group.Wait()
	for _, w := range warnings {
		if w != nil {
			r.out.Warnings = append(r.out.Warnings, w)
		}
	}
	r.out.Limited = query.Limit > 0 && r.found == query.Limit
	slices.SortStableFunc(r.out.Messages, func(a, b Message) int { return a.FirstAt.Compare(b.FirstAt) })
	return r.out, errors.Join(errs...)
}

type reading struct {
	qs    *Queues
	query Query

	mu    sync.Mutex
	out   *Reading
	seen  int
	found int
}

func (r *reading) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.query.Limit > 0 && r.found >= r.query.Limit
}

func (r *reading) window(q Queue) func(context.Context, time.Time, []received) error {
	return func(ctx context.Context, _ time.Time, fresh []received) error {
		for _, got := range fresh {
			m := r.qs.message(ctx, q, got.Message)
			matches := r.query.Match(m)
			if r.query.Lean {
				m.Body = ""
				for i := range m.Events {
					m.Events[i].JSON = nil
				}
			}
			r.mu.Lock()
			r.seen++
			var err error
			switch full := r.query.Limit > 0 && r.found >= r.query.Limit; {
			case !matches || full:
			case r.query.Each != nil:
				r.found++
				err = r.query.Each(m)
			default:
				r.found++
				r.out.Messages = append(r.out.Messages, m)
			}
			if r.query.Progress != nil {
				r.query.Progress(r.seen)
			}
			r.mu.Unlock()
			if err != nil {
				return err
			}
		}
		return nil
	}
}
