package consumer

import (
	"context"
	"sync"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// together lets changes of one message that are refused for one reason share a message in
// the failure queue, although each is parked under a claim of its own: who parks waits
// until nobody of the invocation is still on the way to the same, or for a moment, and one
// message goes out for all. A claim is given back after its message lies in the queue, as
// for a single one.
type together struct {
	in    *invocation
	slots chan struct{}

	mu      sync.Mutex
	left    int // groups of changes that have not begun
	working int // that have, and do not wait here
	waiting map[parkKey]*parked
	queue   []*parked // the same, the oldest first; some were sent already
}

// parkKey is what has to be the same for a message to be shared.
type parkKey struct {
	msg   *transport.Message
	class verdict.Class
	cause string
}

// parked is one message on its way into the failure queue.
type parked struct {
	first   *work
	parking guard.Parking
	records []string
	key     parkKey
	since   time.Time
	sent    chan struct{}
	err     error
}

const (
	mostTogether = 200
	longestGroup = 2 * time.Second // a claim is not held for longer to share a message
)

func (t *together) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left--
	t.working++
}

func (t *together) end() {
	t.mu.Lock()
	t.working--
	ready := t.ready()
	t.mu.Unlock()
	t.send(ready)
}

// park puts a change into a message with its like, and returns when that was sent.
func (t *together) park(w *work, p guard.Parking) error {
	key := parkKey{w.msg, p.Class, ""}
	if p.Err != nil {
		key.cause = p.Err.Error()
	}
	t.mu.Lock()
	g := t.waiting[key]
	if g == nil {
		if t.waiting == nil {
			t.waiting = make(map[parkKey]*parked)
		}
		g = &parked{first: w, parking: p, key: key, since: t.in.env.Now(), sent: make(chan struct{})}
		t.waiting[key], t.queue = g, append(t.queue, g)
	}
	g.records = append(g.records, w.records()...)
	g.parking.Attempts = max(g.parking.Attempts, p.Attempts)
	if p.FirstAt.Before(g.parking.FirstAt) {
		g.parking.FirstAt = p.FirstAt
	}
	if p.LastAt.After(g.parking.LastAt) {
		g.parking.LastAt = p.LastAt
	}
	t.working--
	ready := t.ready()
	if len(g.records) >= mostTogether && t.waiting[key] == g {
		ready = append(ready, g)
		delete(t.waiting, key)
	}
	t.mu.Unlock()

	<-t.slots // others may begin meanwhile
	t.send(ready)
	<-g.sent
	t.slots <- struct{}{}
	t.mu.Lock()
	t.working++
	t.mu.Unlock()
	return g.err
}

// ready takes out the messages that wait for nobody any more. The lock is held.
func (t *together) ready() (ready []*parked) {
	now, idle := t.in.env.Now(), t.working == 0 && t.left == 0
	for len(t.queue) > 0 && (idle || now.Sub(t.queue[0].since) >= longestGroup) {
		g := t.queue[0]
		if t.queue = t.queue[1:]; t.waiting[g.key] == g {
			ready = append(ready, g)
			delete(t.waiting, g.key)
		}
	}
	return ready
}

func (t *together) send(ready []*parked) {
	for _, g := range ready {
		g.err = t.in.send(context.WithoutCancel(t.in.ctx), g.first, g.parking, g.records)
		close(g.sent)
	}
}
