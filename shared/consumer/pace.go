package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/sink"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// pace keeps the calls of one process apart as a sink wants it that takes so many a second
// and refuses the others. Nobody says how many: each refusal makes the distance longer, and
// time makes it shorter again. Until a sink has refused a call there is no distance. It is
// that of one process: many of them find their shares side by side.
type pace struct {
	quickens, alive time.Duration // quickensIn and aliveFor, scaled

	mu     sync.Mutex
	every  time.Duration // between two calls; 0: nothing keeps them apart
	since  time.Time     // when every was worked out
	slowed time.Time     // by the last refusal that counted
	next   time.Time     // when the next call may go out
	took   time.Time     // when the sink last took one, or was first heard of
}

const (
	firstEvery   = 10 * time.Millisecond // after the first refusal
	leastEvery   = 2 * time.Millisecond  // below it there is no distance: sixteen calls at once are slower
	longestEvery = 2 * time.Second
	quickensIn   = 15 * time.Second       // to twice as many calls
	oneRefusal   = 200 * time.Millisecond // refusals that come so close together tell one thing
	aliveFor     = 10 * time.Second       // who took another call so recently is not down
	longestTold  = 5 * time.Second        // Retry-After of a sink that takes some calls; a longer one is the breaker's
	mostTurns    = 5                      // of one attempt
)

// shorten brings the distance up to date. The lock is held.
func (p *pace) shorten(now time.Time) {
	if passed := now.Sub(p.since); p.every > 0 && passed > 0 {
		p.every -= time.Duration(float64(p.every) * min(float64(passed)/float64(p.quickens), 1) / 2)
		p.since = now
	}
	if p.every < leastEvery {
		p.every = 0
	}
}

// turn is how long to wait for the next call. Where that is longer than patience it is not
// taken, and ok is false.
func (p *pace) turn(now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shorten(now); p.every == 0 {
		return 0, true
	}
	if p.next.Before(now) {
		p.next = now
	}
	if wait = p.next.Sub(now); wait > patience {
		return 0, false
	}
	p.next = p.next.Add(p.every)
	return wait, true
}

// heard notes what came of a call. It reports whether the sink, which takes others, refused
// it as one too many: then it is no sign that the sink is down.
func (p *pace) heard(out guard.Outcome, now time.Time) (limited bool) {
	e, isRefusal := errors.AsType[*sink.Error](out.Err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took.IsZero() || out.Effect == guard.Took || out.Effect == guard.Superseded {
		p.took = now
	}
	if !isRefusal || !e.TooMany || out.Effect != guard.NotApplied {
		return false
	}
	p.shorten(now)
	if now.Sub(p.slowed) >= oneRefusal {
		p.every = min(max(p.every*3/2, firstEvery), longestEvery)
		p.since, p.slowed = now, now
	}
	if told := now.Add(min(out.RetryAfter, longestTold)); out.RetryAfter > 0 && told.After(p.next) {
		p.next = told
	}
	return out.RetryAfter <= longestTold && now.Sub(p.took) < p.alive
}

// awaitTurn waits until the sink will probably take another call, before a claim is made for
// it. Its error says that the invocation has no time for that call then.
func (in *invocation) awaitTurn(ctx context.Context) error {
	now, patience := in.env.Now(), longestTold
	if end, limited := ctx.Deadline(); limited {
		if patience = end.Sub(now) - in.guard.Room(); patience < 0 {
			return errNoTime
		}
	}
	wait, ok := in.pace.turn(now, patience)
	if !ok {
		return errNoTurn
	}
	if wait > 0 {
		in.sleep(wait)
	}
	return nil
}

// inTurn makes a call, and makes it again in its next turns while the sink refuses it as one
// too many. It certainly did not take it, so the claim stands. limited: so it ended, which
// says nothing against the change and is no attempt of it.
func (in *invocation) inTurn(ctx context.Context, call func() guard.Outcome) (out guard.Outcome, limited bool) {
	for turns := 1; ; turns++ {
		out = call()
		now := in.env.Now()
		if !in.pace.heard(out, now) {
			return out, false
		}
		patience := longestTold
		if end, ok := ctx.Deadline(); ok { // the call itself takes some of it
			patience = min(patience, end.Sub(now)/2)
		}
		if turns < mostTurns {
			if wait, ok := in.pace.turn(now, patience); ok && in.sleep(wait) {
				continue
			}
		}
		out.Uncounted = true
		return out, true
	}
}

// Why a change is not begun.
var (
	errNoTime = errors.New("too little of the invocation's time is left to begin")
	errNoTurn = errors.New("the sink takes so many calls a second: the invocation's time was over before this one's turn")
)

// leave ends what has not begun of an invocation, whose time is over. What is left of one
// message has one line.
func (in *invocation) leave(groups map[string][]*work, keys []string, why error) {
	lines := make(map[*transport.Message]*work)
	for _, key := range keys {
		in.together.begin()
		for _, w := range groups[key] {
			w.conclude(verdict.Failed, verdict.Unfinished, why)
			switch l := lines[w.msg]; {
			case in.forgotten(w): // it is parked with a line of its own
				in.finish(w)
			case l == nil:
				lines[w.msg] = w
			default:
				l.line.Records = max(l.line.Records, 1) + 1
				w.over = true
			}
		}
		in.together.end()
	}
	for _, w := range lines {
		in.finish(w)
	}
}
