package bench_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard/memory"
)

// What Lambda says of asynchronous invocations (Developer Guide, "Asynchronous
// invocation"), and the concurrency of a small stack.
const (
	longestInQueue = 6 * time.Hour // Lambda drops an event that it could not begin by then
	reserved       = 3             // ReservedConcurrency
	ofTheBuffer    = 2             // MaxConcurrency: below it, so that the rule's events get in, too
	loaded         = 8000          // events
	loadedSink     = 9 * time.Second
)

// TestABulkLoadOutlivesLambdasQueue: 8,000 events come at once in direct mode. One at a
// time in three invocations, they would take 8000 × 9 s / 3 = 6.7 hours, and Lambda drops
// after six what it could not begin. What is late goes to the buffer untried, so that the
// queue is empty soon after half an hour; nothing is dropped, parked or sent twice.
func TestABulkLoadOutlivesLambdasQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("plays hours, which takes a second; without -short it runs")
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(consumertest.Start.Add(2 * time.Second)))
		q := &queue{fed: true}
		erp, log := &ledger{takes: loadedSink}, &verdicts{}
		a := customer(t, slow{&memory.Store{}}, erp, log, consumer.Env{Defer: q.postpone, Lane: q.putOff})
		began := time.Now()
		slots := make(chan struct{}, reserved)
		events := make(chan string, loaded)
		for i := range loaded {
			events <- update(fmt.Sprintf("0015f0000%06dAAA", i), 1, "Name")
		}
		close(events)
		readers := q.readWithin(t, a, ofTheBuffer, slots)
		var wg sync.WaitGroup
		var dropped atomic.Int64
		for range reserved {
			wg.Go(func() {
				for e := range events {
					slots <- struct{}{}
					if time.Since(began) > longestInQueue {
						dropped.Add(1)
					} else if _, err := a.Handle(within(t), []byte(e)); err != nil {
						t.Errorf("Lambda has to try again: %v", err)
					}
					<-slots
				}
			})
		}
		wg.Wait()
		empty := time.Now()
		q.ends()
		readers.Wait()
		t.Logf("Lambda's queue was empty after %v, the buffer after %v of virtual time; %d messages in the buffer, %d calls of the sink; %v",
			empty.Sub(began).Round(time.Minute), time.Since(began).Round(time.Minute), len(q.messages), erp.calls, log.count)
		if dropped.Load() > 0 || erp.calls != loaded || log.count["applied"] != loaded || log.count["parked"] > 0 {
			t.Errorf("%d events dropped, %d calls of the sink, verdicts %v", dropped.Load(), erp.calls, log.count)
		}
		if most, _ := q.receives(); most >= mostReceives {
			t.Errorf("received up to %d times", most)
		}
	})
}

// within is an invocation's context.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	t.Cleanup(cancel)
	return ctx
}
