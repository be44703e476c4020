// Package lane decides about the retry lane, which is a consumer's own buffer: what is put
// into it, and how long what lies there is tried. It keeps nothing and asks no clock, so
// the consumer and the simulation of the guard make the same decisions with the same code.
package lane

import (
	"time"

	"sfrelay/shared/verdict"
)

// Portion is how many records one message of the lane holds.
const Portion = 25

// mostReceives is how often a buffer may bring a message. The queue's own limit is
// 1000 (template.yaml): what SQS moves away then has lost its consumer and reason.
const mostReceives = 990

// Delivery is what is known of the message that brought a change.
type Delivery struct {
	Buffered   bool // an SQS queue brought it; else EventBridge or a person called the function
	Redrive    bool
	Ours       bool // a consumer wrote the message: it has been in a queue of ours
	Receives   int
	SentAt     time.Time
	ReceivedAt time.Time // for the first time
	FailedAt   time.Time // as the message says; zero: it says nothing
}

// Takes reports whether what is unfinished of the message, so many records, is put into
// the lane. Of a redrive nothing is: it answers, and its message stays where it is. Out of
// the buffer only an event of many records is, when it is received for the first time: a
// message in the lane is never put there anew, and no crash doubles one without end.
func (d Delivery) Takes(unfinished int) bool {
	switch {
	case d.Redrive || d.Ours:
		return false
	case d.Buffered:
		return d.Receives <= 1 && unfinished > Portion
	default:
		return true
	}
}

// Failed reports whether a change that is not done counts as one that has failed: it was
// tried in this delivery. What was kept waiting has no age.
func Failed(attempt int64, v verdict.Verdict) bool { return attempt > 0 && v == verdict.Failed }

// Since is when the change failed first, as far as is known: its message was received
// before. Never when it was sent: it may have lain there unread. Zero: not known.
func (d Delivery) Since() time.Time {
	if d.FailedAt.IsZero() {
		return d.ReceivedAt
	}
	return d.FailedAt
}

// Spent reports whether a change that has failed in this delivery has been tried for so
// long. What the lane takes has only begun, and a redrive answers.
func (d Delivery) Spent(now time.Time, longest time.Duration) bool {
	since := d.Since()
	return d.Buffered && !since.IsZero() && now.Sub(since) >= longest
}

// Forgotten reports whether the buffer will soon lose the message, tried or not.
func (d Delivery) Forgotten(now time.Time, waiting time.Duration) bool {
	return d.Buffered && (d.Receives >= mostReceives || !d.SentAt.IsZero() && now.Sub(d.SentAt) >= waiting)
}
