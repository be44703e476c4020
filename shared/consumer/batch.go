package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// all takes the messages to their ends. Small ones go together, then every big one goes by
// itself: what it costs, it costs none of its neighbours. Which big one comes first is
// left to chance, so that one that ends the process does not always stand before the others.
func (in *invocation) all(messages []transport.Message) {
	var small []*work
	var many [][]*work
	var big []*transport.Message
	for i := range messages {
		m := &messages[i]
		if len(m.Event) > smallEvent && len(messages) > 1 {
			big = append(big, m)
			continue
		}
		if works := in.open(m); len(works) > manyRecords {
			many = append(many, works)
		} else {
			small = append(small, works...)
		}
	}
	in.process(small)
	for _, works := range many {
		in.process(works)
	}
	if len(big) == 0 {
		return
	}
	first := int(in.env.Random()[9]) % len(big)
	for i := range big {
		in.alone(big[(first+i)%len(big)])
	}
}

// beforeClosing is the invocation's context for work: it ends a little earlier, so that
// what is not done can still be put off.
func (in *invocation) beforeClosing() context.Context {
	if end, limited := in.ctx.Deadline(); limited {
		return earlier{in.ctx, end.Add(-closing)}
	}
	return in.ctx
}

type earlier struct {
	context.Context
	end time.Time
}

func (e earlier) Deadline() (time.Time, bool) { return e.end, true }

// alone takes one message, if there is time to open it.
func (in *invocation) alone(m *transport.Message) {
	if end, limited := in.ctx.Deadline(); limited && end.Sub(in.env.Now()) < openingTakes {
		w := in.add(&work{msg: m})
		w.conclude(verdict.Failed, verdict.Unfinished, errors.New("no time was left to open the message"))
		in.finish(w)
		return
	}
	in.process(in.open(m))
}

// finish writes the line of a change that is done with: at once, so that an invocation
// that dies later leaves a line for everything that it did. What a buffer has brought so
// often that the queue would soon move it away itself is parked first.
func (in *invocation) finish(w *work) {
	d := in.delivery(w.msg)
	if in.forgotten(w) {
		cause := fmt.Errorf("delivered %d times since %s without success", w.msg.ReceiveCount, w.msg.SentAt.Format(time.RFC3339))
		if w.line.Error != "" {
			cause = fmt.Errorf("%w, the last time: %s", cause, w.line.Error)
		}
		in.park(w, w.line.Class, cause, w.records())
	}
	if first := d.Since(); in.sqs && !first.IsZero() && (w.msg.Form == transport.Lane || w.msg.ReceiveCount > 1) {
		w.line.Waited = max(in.env.Now().Sub(first), 0)
	}
	in.trace(w)
	in.env.Log.Write(w.line)
	w.over = true
}

// forgotten reports whether the buffer will soon lose the change, which is not done.
func (in *invocation) forgotten(w *work) bool {
	return in.delivery(w.msg).Forgotten(in.env.Now(), in.scaled(waitingFor)) && !w.acknowledged() && !in.foreign(w.msg)
}

// response names the messages that have to come again, and when.
func (in *invocation) response() *Response {
	r := &Response{BatchItemFailures: []ItemFailure{}}
	seen := make(map[string]bool)
	var deferrals []Deferral
	for _, w := range in.works {
		if w.acknowledged() || seen[w.msg.ID] {
			continue
		}
		seen[w.msg.ID] = true
		r.BatchItemFailures = append(r.BatchItemFailures, ItemFailure{w.msg.ID})
		for _, id := range w.msg.Others {
			r.BatchItemFailures = append(r.BatchItemFailures, ItemFailure{id})
		}
		if w.msg.ReceiptHandle != "" {
			deferrals = append(deferrals, Deferral{w.msg.ReceiptHandle, in.pause(w)})
		}
	}
	in.noteFinished(seen)
	if in.env.Defer != nil && len(deferrals) > 0 {
		// Best effort: without it the messages come again after the queue's own time-out.
		_ = in.env.Defer(in.ctx, deferrals)
	}
	return r
}

// noteFinished takes down what is done with of the messages that come again.
func (in *invocation) noteFinished(again map[string]bool) {
	done := make(map[string][]recordOf)
	for _, w := range in.works {
		if id := w.msg.ID; again[id] && w.acknowledged() && w.event != nil && !w.msg.Redrive { // of a redrive a person wants to know
			for _, r := range w.records() {
				done[id] = append(done[id], recordOf{w.event.ID, r})
			}
		}
	}
	for id, records := range done {
		in.finished.note(id, records)
	}
}

// pause is how long a message stays away. After a failure: to the end of its own wait,
// and twice as long with every try, up to a quarter of an hour, with a random part: what
// failed together does not come back together. What was not begun for lack of time comes
// at once. What a sink refused as one too many comes soon. What the breaker holds comes soon
// after its next probe is due. A busy subject is asked again after a second or two, later
// with every try, and not after its lease.
func (in *invocation) pause(w *work) time.Duration {
	left := max(w.notBefore.Sub(in.env.Now()), 0) + time.Second
	tries := max(w.msg.ReceiveCount, 1)
	upTo := func(d time.Duration) time.Duration { // a random part of it
		return time.Duration(int64(d) * int64(in.env.Random()[9]) / 255)
	}
	switch {
	case w.line.Verdict == verdict.Busy:
		step := time.Second + upTo(2*time.Second)
		return min(left, step*time.Duration(tries))
	case w.line.Class == verdict.Unfinished && !w.asked:
		return 0
	}
	longest := longestPause
	if w.held {
		longest = heldFor
	}
	if w.limited {
		longest = limitedFor
	}
	more := in.scaled(min(2*time.Second<<min(tries-1, 16), longest))
	return left + more/2 + upTo(more/2)
}
