package consumer

import (
	"fmt"
	"time"

	"sfrelay/shared/verdict"
)

// finish writes the line of a change that is done with: at once, so that an invocation
// that dies later leaves a line for everything that it did. What a buffer has brought so
// often that the queue would soon move it away itself is parked first.
func (in *invocation[T]) finish(w *work[T]) {
	foreign := w.msg.Consumer != "" && w.msg.Consumer != in.def.name
	if in.sqs && w.msg.ReceiveCount >= mostReceives && !w.acknowledged() && !foreign {
		var records []string
		if w.event != nil {
			records = w.records()
		}
		cause := fmt.Errorf("delivered %d times without success", w.msg.ReceiveCount)
		if w.line.Error != "" {
			cause = fmt.Errorf("%w, the last time: %s", cause, w.line.Error)
		}
		in.park(w, w.line.Class, cause, records)
	}
	in.env.Log.Write(w.line)
}

// response names the messages that have to come again, and when.
func (in *invocation[T]) response() *Response {
	r := &Response{BatchItemFailures: []ItemFailure{}}
	seen := make(map[string]bool)
	for _, w := range in.works {
		if w.acknowledged() || seen[w.msg.ID] {
			continue
		}
		seen[w.msg.ID] = true
		r.BatchItemFailures = append(r.BatchItemFailures, ItemFailure{w.msg.ID})
		if in.env.Defer == nil || w.msg.ReceiptHandle == "" || w.notBefore.IsZero() {
			continue
		}
		// Best effort: without it the message comes again after the queue's own time-out.
		_ = in.env.Defer(in.ctx, w.msg.Queue, w.msg.ReceiptHandle, in.pause(w))
	}
	return r
}

// pause is how long a message stays away. After a failure: to the end of its own wait,
// and twice as long with every try, up to a minute: a sink that is down for ten minutes
// does not use up all attempts in its first minute. A busy subject is asked again after
// a second or two, later with every try, and not after its lease.
func (in *invocation[T]) pause(w *work[T]) time.Duration {
	left := max(w.notBefore.Sub(in.env.Now()), 0) + time.Second
	tries := max(w.msg.ReceiveCount, 1)
	if w.line.Verdict != verdict.Busy {
		more := min(time.Second<<min(tries-1, 16), longestPause)
		if in.env.Scale > 0 {
			more = time.Duration(float64(more) * in.env.Scale)
		}
		return left + more
	}
	r := in.env.Random()
	step := time.Second + time.Duration(r[9])*2*time.Second/255
	return min(left, step*time.Duration(tries))
}
