package deadletter

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Drop deletes what the query chooses, for ever, and reports each message after it is gone.
// before hears of the messages of a window before any of them is deleted; its error ends the
// drop. What is sent into the queues while it runs is left alone.
func (qs *Queues) Drop(ctx context.Context, query Query, before func([]Message) error, report func(Message)) (warnings []error, err error) {
	turn := make(chan struct{}, 1) // one window after the other: what is deleted is written down first
	var chosen atomic.Int64
	full := func() bool { return query.Limit > 0 && chosen.Load() >= int64(query.Limit) }
	for _, q := range qs.List {
		s := &sweep{Queues: qs, q: q, enough: full}
		s.window = func(ctx context.Context, began time.Time, fresh []received) error {
			turn <- struct{}{}
			defer func() { <-turn }()
			var ours []received
			var messages []Message
			for _, got := range fresh {
				m := qs.message(ctx, q, got.Message)
				if m.Sent.Before(began.Add(time.Second)) && query.Match(m) && !full() {
					chosen.Add(1)
					ours, messages = append(ours, got), append(messages, m)
				}
			}
			if len(ours) == 0 {
				return nil
			}
			if err := before(messages); err != nil {
				return err
			}
			for i, got := range ours {
				if err := qs.remove(ctx, q, got.handle()); err != nil {
					return fmt.Errorf("message %s was not deleted: %w; drop it again", got.id(), err)
				}
				s.gone(got.id())
				report(messages[i])
			}
			return nil
		}
		_, warning, err := s.run(ctx)
		if warning != nil {
			warnings = append(warnings, warning)
		}
		if err != nil {
			return warnings, err
		}
	}
	return warnings, nil
}
