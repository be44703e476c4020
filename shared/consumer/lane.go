package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sfrelay/shared/lane"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// The retry lane is a consumer's own buffer. What a direct invocation could not do lies
// there and comes again; nobody has to do anything. A message in the lane is never put
// there anew: it waits in it by its visibility, because Lambda stops a function that feeds
// itself, and because a put before a crash would double without end.

// Lane puts messages into the consumer's own buffer, visible after a delay of at most 15
// minutes. Its error says that not all of them may be there.
type Lane func(ctx context.Context, messages [][]byte, delay time.Duration) error

const (
	retryFor     = 6 * time.Hour      // of a change that fails, from its first failure on
	doubtFor     = time.Hour          // the same of class unknown, where the sink takes others
	waitingFor   = 5 * 24 * time.Hour // a message whose changes only wait is parked before its queue forgets it
	lanePortions = 8                  // messages of one event: each holds the whole of it
	lateAfter    = 30 * time.Minute
	lateUntil    = 30 * time.Hour   // EventBridge tries for 24 hours, Lambda keeps an event for 6: what is older was not on its way
	longestDelay = 15 * time.Minute // that SQS keeps a new message away (SQS API Reference, SendMessage)
)

// delivery is what the lane's decisions need to know of a message.
func (in *invocation) delivery(msg *transport.Message) lane.Delivery {
	return lane.Delivery{
		Buffered: in.sqs, Redrive: msg.Redrive, Ours: msg.Consumer != "",
		Receives: msg.ReceiveCount, SentAt: msg.SentAt, ReceivedAt: msg.ReceivedAt, FailedAt: msg.FailedAt,
	}
}

// laned reports whether what fails of the message goes to the lane.
func (in *invocation) laned(msg *transport.Message, unfinished int) bool {
	return in.delivery(msg).Takes(unfinished)
}

// late reports whether an event has been on its way to the function for so long that it
// goes to the buffer as it is: Lambda drops after six hours what waits to be invoked, and a
// bulk load must not wait there. An archive's events are old and not late.
func (in *invocation) late(msg *transport.Message, event *salesforce.Event) bool {
	if in.sqs || msg.Form != transport.Event || event.Time.IsZero() || !in.laned(msg, 1) {
		return false
	}
	age := in.env.Now().Sub(event.Time)
	return age > lateAfter && age < lateUntil
}

// toTheLane puts changes of one event into the lane without trying them.
func (in *invocation) toTheLane(msg *transport.Message, event *salesforce.Event, changes []*salesforce.Change) {
	w := in.add(&work{msg: msg, event: event})
	w.describe(changes[0])
	if event.Kind == salesforce.CDC {
		w.several = idsOf(changes)
	}
	if len(changes) > 1 {
		w.line.Records = len(changes)
	}
	w.conclude(verdict.Failed, verdict.Unfinished, errors.New("the event was on its way for more than 30 minutes: it goes to the buffer first, so that others do not wait behind it"))
}

// putOff puts into the lane what is not done of the invocation's messages.
func (in *invocation) putOff() {
	byMessage := make(map[*transport.Message][]*work)
	var order []*transport.Message
	for _, w := range in.works {
		if w.acknowledged() {
			continue
		}
		if byMessage[w.msg] == nil {
			order = append(order, w.msg)
		}
		byMessage[w.msg] = append(byMessage[w.msg], w)
	}
	for _, msg := range order {
		if works := byMessage[msg]; in.laned(msg, len(works)) {
			in.putOffOf(msg, works)
		}
	}
}

// putOffOf puts the works of one message into the lane: what has failed and what was not
// begun apart, because only a failure counts as one.
func (in *invocation) putOffOf(msg *transport.Message, works []*work) {
	quoted := transport.Quote(msg.Event)
	failed, waiting := works[:0:0], works[:0:0]
	for _, w := range works {
		if w.hasFailed() {
			failed = append(failed, w)
		} else {
			waiting = append(waiting, w)
		}
	}
	var group sync.WaitGroup
	for _, part := range [][]*work{failed, waiting} {
		if len(part) == 0 {
			continue
		}
		w := transport.Waiting{Consumer: in.def.name, Class: part[0].line.Class}
		if part[0].hasFailed() {
			w.FirstAt = in.env.Now()
		}
		delay := min(in.pause(part[0]), longestDelay)
		bodies := portions(w, quoted, part)
		group.Go(func() {
			if err := in.env.Lane(in.ctx, bodies, delay); err != nil {
				for _, w := range part {
					w.line.Error = errors.Join(errors.New(w.line.Error), fmt.Errorf("the buffer did not take it: %w", err)).Error()
				}
				return
			}
			for _, w := range part {
				w.putOff = true
			}
		})
	}
	group.Wait()
}

// hasFailed reports whether the change was tried, or the org asked, in vain. What a sink
// refused as one too many has only waited.
func (w *work) hasFailed() bool {
	return w.failed || lane.Failed(w.line.Attempt, w.line.Verdict) && !w.limited
}

// portions are the messages about the records of the works: the whole event where one of
// them is about no record.
func portions(m transport.Waiting, quoted []byte, works []*work) (bodies [][]byte) {
	var ids []string
	for _, w := range works {
		records := w.records()
		if records == nil {
			m.Records = w.msg.Records
			return [][]byte{m.EncodeAround(quoted)}
		}
		ids = append(ids, records...)
	}
	for chunk := range slices.Chunk(ids, max(lane.Portion, (len(ids)+lanePortions-1)/lanePortions)) {
		m.Records = chunk
		bodies = append(bodies, m.EncodeAround(quoted))
	}
	return bodies
}

// giveUp reports whether a change that has failed in this delivery has been tried for
// long enough.
func (in *invocation) giveUp(w *work, class verdict.Class) bool {
	if !in.sqs {
		return false // it has only begun, or is a redrive, which answers
	}
	d, now, longest := in.delivery(w.msg), in.env.Now(), in.scaled(in.env.RetryFor)
	return d.Spent(now, longest) ||
		class == verdict.Unknown && d.Spent(now, min(in.scaled(doubtFor), longest)) && in.health.tookOther(w.subject, d.Since())
}

func (a *adapter) scaled(d time.Duration) time.Duration {
	if a.env.Scale > 0 {
		return time.Duration(float64(d) * a.env.Scale)
	}
	return d
}

// health is what this process has seen of the sink: the last two subjects that it took.
type health struct {
	mu   sync.Mutex
	last [2]struct {
		subject string
		at      time.Time
	}
}

func (h *health) took(subject string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last[0].subject != subject {
		h.last[1] = h.last[0]
	}
	h.last[0].subject, h.last[0].at = subject, at
}

// tookOther reports whether the sink took another subject since.
func (h *health) tookOther(subject string, since time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.last {
		if l.subject != "" && l.subject != subject && l.at.After(since) {
			return true
		}
	}
	return false
}
