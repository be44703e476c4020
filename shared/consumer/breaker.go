package consumer

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/verdict"
)

const (
	opensAfter   = 3                // subjects that failed, without a success between
	firstProbe   = 5 * time.Second  // from the opening on
	longestProbe = 10 * time.Minute // together with heldFor: how long after its outage a sink gets everything
	heldFor      = 5 * time.Minute  // at most, after the next probe is due
)

// breaker spares a sink that is down, and the guard's table too. It opens when changes of
// three subjects have failed and none got an answer between: one subject that fails again
// and again says nothing of the others. While it is open no change is begun. From time to
// time one is let through, the probe; its success closes the breaker. It is that of one
// process, so each process of a function finds out for itself.
type breaker struct {
	first, longest, spread time.Duration
	random                 func() [10]byte

	mu      sync.Mutex
	failed  []string      // subjects since the last answer, until it opens
	class   verdict.Class // that opened it; empty: it is closed
	last    string        // the subject that was asked last
	pause   time.Duration // before the next probe, without its random part
	again   time.Time     // when the next probe is due
	told    time.Time     // the sink's own Retry-After
	probing bool
}

// pass is what a change may do.
type pass int

const (
	withheld pass = iota
	welcome
	probe
)

// admit says whether the sink may be asked about a subject now; if not, when it makes
// sense to ask again, and why. Every probe has to be handed back to over.
func (b *breaker) admit(subject string, now time.Time) (p pass, class verdict.Class, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.class == "" {
		return welcome, "", time.Time{}
	}
	due := b.again
	if subject == b.last && !now.Before(due) {
		due = due.Add(min(b.pause, b.spread)) // another one first: it may be this one that is ill. But it may be the only one
	}
	if now.Before(due) || b.probing {
		return withheld, b.class, due
	}
	b.probing = true
	return probe, "", time.Time{}
}

// over ends a probe, whether or not the sink was asked.
func (b *breaker) over(p pass) {
	if p == probe {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.probing = false
	}
}

// heard notes what came of asking the sink.
func (b *breaker) heard(subject string, p pass, out guard.Outcome, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ill := isIll(out)
	switch {
	case !ill && out.Class == verdict.Unfinished && out.Effect == guard.NotApplied:
		// Something of our own was missing, or a look-up got no answer: nobody knows how the sink is.
		if b.class == "" || p != probe {
			return
		}
	case !ill:
		b.failed, b.class, b.last, b.told, b.pause = nil, "", "", time.Time{}, 0
		return
	}
	b.last = subject
	if until := now.Add(min(out.RetryAfter, longestPause)); out.RetryAfter > 0 && until.After(b.told) {
		b.told = until
	}
	switch {
	case b.class == "":
		if !slices.Contains(b.failed, subject) {
			b.failed = append(b.failed, subject)
		}
		if len(b.failed) < opensAfter {
			return
		}
		b.failed, b.class, b.pause = nil, out.Class, b.first
		b.again = b.next(now)
	case p == probe:
		b.pause = min(2*b.pause, b.longest)
		b.again = b.next(now)
	}
	if b.told.After(b.again) {
		b.again = b.told
	}
}

// next is the time after the pause, up to half of which is left to chance.
func (b *breaker) next(now time.Time) time.Time {
	half := b.pause / 2
	return now.Add(half + time.Duration(int64(half)*int64(b.random()[9])/255))
}

// isIll reports whether an attempt ended so that the others will probably end so too.
func isIll(out guard.Outcome) bool {
	if out.Permanent || out.Effect != guard.NotApplied && out.Effect != guard.Unsure {
		return false
	}
	return out.Class == verdict.Throttled || out.Class == verdict.Unknown || out.Class == verdict.Auth
}

// admit asks the breaker about the changes of one subject, and concludes them where the
// sink is not to be asked. A redrive is let through: a person wants to know.
func (in *invocation) admit(group []*work, subject string) pass {
	if group[0].msg.Redrive {
		return welcome
	}
	p, class, until := in.breaker.admit(subject, in.env.Now())
	if p != withheld {
		return p
	}
	err := fmt.Errorf("the sink is not asked: changes of %d subjects in a row have failed, the last of them as %s; the next try is not before %s",
		opensAfter, class, until.UTC().Format(time.RFC3339))
	for _, w := range group {
		w.conclude(verdict.Failed, class, err)
		w.held, w.notBefore = true, until
		in.finish(w)
	}
	return withheld
}
