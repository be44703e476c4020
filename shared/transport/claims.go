package transport

import (
	"strconv"
	"time"
)

// What a wrapping says of attempts and times is its sender's word. It is bounded where it
// is read, so that nothing that reckons with it overflows, and nothing is younger than it
// can be.

// mostAttempts bounds a count of attempts: a thousand receives in each of a thousand
// redrives.
const mostAttempts = 1_000_000

func clampAttempts(n int) int { return min(max(n, 0), mostAttempts) }

// Attempts adds two counts of attempts.
func Attempts(a, b int64) int {
	return clampAttempts(int(min(max(a, 0), mostAttempts) + min(max(b, 0), mostAttempts)))
}

var (
	// firstRelay: no event is older than the first release of Event Relay, Winter '23.
	firstRelay = time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	// lastTime is the end of what JSON can say of a time (RFC 3339).
	lastTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

// plausible is t in UTC, or zero, unknown, where it cannot be true.
func plausible(t time.Time) time.Time {
	if t.Before(firstRelay) || t.After(lastTime) {
		return time.Time{}
	}
	return t.UTC()
}

// sentAt reads SQS's SentTimestamp, in ms; zero: unknown.
func sentAt(attribute string) time.Time {
	ms, err := strconv.ParseInt(attribute, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return plausible(time.UnixMilli(ms))
}

// notAfter holds a time that a message names against the time at which SQS got it: what
// lies in it had happened by then. There is no bound on the other side: after some
// redrives a message has truly failed first long before SQS got its latest copy.
func notAfter(named, sent time.Time) time.Time {
	if sent.IsZero() || named.Before(sent) {
		return named
	}
	return sent
}
