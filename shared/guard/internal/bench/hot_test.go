package bench_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
)

// slow is a store as far away as DynamoDB.
type slow struct{ guard.Store }

func (s slow) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	time.Sleep(3 * time.Millisecond)
	return s.Store.Write(ctx, w)
}

// What the template says of a buffered consumer, and Lambda of a direct one.
const (
	changes      = 1000
	workers      = 32
	batchSize    = 10
	visibility   = 120 * time.Second
	mostReceives = 1000
	invocation   = 20 * time.Second // the function's time-out
	hotRecord    = "0015f0000200001AAA"
	firstRetry   = time.Minute
	secondRetry  = 2 * time.Minute
	fastSink     = 50 * time.Millisecond
	slowSink     = 3 * time.Second
	slowerSink   = 8 * time.Second
)

// hotChanges are 1,000 changes of one record, each of one or two of three fields, as
// they happened or shuffled. In order is the harder case: each one is news.
func hotChanges(r *rand.Rand, shuffled bool) (events []string, want map[string]string) {
	names := []string{"Name", "Phone", "Website"}
	want = map[string]string{}
	for n := 1; n <= changes; n++ {
		fields := slices.Clone(names)
		r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		fields = fields[:1+r.IntN(2)]
		for _, f := range fields {
			want[f] = fmt.Sprintf("%04d", n)
		}
		events = append(events, update(hotRecord, n, fields...))
	}
	if shuffled {
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	return events, want
}

func (l *ledger) check(t *testing.T, want map[string]string) {
	t.Helper()
	for f, got := range map[string]string{"Name": l.holds.Name.Value, "Phone": l.holds.Phone.Value, "Website": l.holds.Website.Value} {
		if got != want[f] {
			t.Errorf("the sink ends with %s of change %q, want %q", f, got, want[f])
		}
	}
}

// TestAHotRecordBuffered: 1,000 changes of one record at once, through a queue and 32
// invocations at a time. All of them end applied or superseded; none is lost or parked.
func TestAHotRecordBuffered(t *testing.T) {
	for _, tc := range []struct {
		shuffled bool
		sink     time.Duration
	}{{false, fastSink}, {true, fastSink}, {false, slowSink}, {true, slowSink}} {
		t.Run(fmt.Sprintf("%s, sink takes %v", arrival(tc.shuffled), tc.sink), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(consumertest.Now.Add(time.Hour))) // the clock here begins in 2000, before the events
				r := rand.New(rand.NewPCG(1, 1))
				events, want := hotChanges(r, tc.shuffled)
				q := &queue{}
				for i, e := range events {
					q.messages = append(q.messages, newMessage(i, e))
				}
				erp, log := &ledger{takes: tc.sink}, &verdicts{}
				a := customer(t, slow{&memory.Store{}}, erp, log, consumer.Env{Defer: q.postpone})
				began := time.Now()
				var wg sync.WaitGroup
				for range workers {
					wg.Go(func() {
						for got, more := q.receive(); more; got, more = q.receive() {
							if len(got) == 0 {
								time.Sleep(100 * time.Millisecond)
								continue
							}
							ctx, cancel := context.WithTimeout(t.Context(), invocation)
							resp, err := a.Handle(ctx, batch(t, got))
							cancel()
							if err != nil {
								t.Error(err)
								return
							}
							q.delete(got, resp)
						}
					})
				}
				wg.Wait()
				erp.check(t, want)
				most, sum := 0, 0
				for _, m := range q.messages {
					most, sum = max(most, m.received), sum+m.received
				}
				if most >= mostReceives || log.count["parked"]+log.count["failed"]+log.count["zombie"] > 0 {
					t.Errorf("received up to %d times, verdicts %v", most, log.count)
				}
				if done := log.count["applied"] + log.count["partly-stale"] + log.count["stale"] + log.count["duplicate"]; done != changes {
					t.Errorf("%d changes acknowledged, want %d: %v", done, changes, log.count)
				}
				t.Logf("%v of virtual time, %d calls of the sink, each change received %.1f times, at most %d; %v",
					time.Since(began).Round(time.Second), erp.calls, float64(sum)/changes, most, log.count)
			})
		})
	}
}

func arrival(shuffled bool) string {
	if shuffled {
		return "shuffled"
	}
	return "in order"
}

// queue is a standard queue: what is visible, oldest first, and a visibility time-out.
type queue struct {
	mu       sync.Mutex
	messages []*message
}

func (q *queue) receive() (got []*message, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	left := 0
	for _, m := range q.messages {
		if m.gone {
			continue
		}
		left++
		if len(got) < batchSize && !m.visible.After(now) {
			m.visible = now.Add(visibility)
			m.received++
			m.gone = m.received >= mostReceives // to the failure queue; the test tells by the count
			got = append(got, m)
		}
	}
	return got, left > 0
}

func (q *queue) delete(got []*message, resp *consumer.Response) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range got {
		m.gone = !slices.Contains(resp.BatchItemFailures, consumer.ItemFailure{ItemIdentifier: m.ID})
	}
}

func (q *queue) postpone(_ context.Context, _, handle string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.Handle == handle {
			m.visible = time.Now().Add(d)
			return nil
		}
	}
	return errors.New("no such message")
}

// TestAHotRecordDirect: the same without a queue, where a change has three attempts.
// What does not get through lies in the failure queue; nothing is lost.
func TestAHotRecordDirect(t *testing.T) {
	for _, tc := range []struct {
		shuffled bool
		every    time.Duration
		sink     time.Duration
	}{
		{false, 0, fastSink}, {true, 0, fastSink}, {false, 100 * time.Millisecond, fastSink},
		{false, 0, slowSink}, {true, 0, slowSink}, {false, 100 * time.Millisecond, slowSink},
		{false, time.Second, slowerSink},
	} {
		t.Run(fmt.Sprintf("%s, one every %v, sink takes %v", arrival(tc.shuffled), tc.every, tc.sink), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(consumertest.Now.Add(time.Hour))) // the clock here begins in 2000, before the events
				r := rand.New(rand.NewPCG(1, 1))
				events, want := hotChanges(r, tc.shuffled)
				erp, log := &ledger{takes: tc.sink}, &verdicts{}
				a := customer(t, slow{&memory.Store{}}, erp, log, consumer.Env{})
				began := time.Now()
				slots := make(chan struct{}, workers) // throttled invocations wait; they are no attempts
				var mu sync.Mutex
				var failed []string
				var wg sync.WaitGroup
				for _, e := range events {
					time.Sleep(tc.every)
					wg.Go(func() {
						for _, pause := range []time.Duration{firstRetry, secondRetry, 0} {
							slots <- struct{}{}
							ctx, cancel := context.WithTimeout(t.Context(), invocation)
							_, err := a.Handle(ctx, []byte(e))
							cancel()
							<-slots
							if err == nil {
								return
							}
							time.Sleep(pause)
						}
						mu.Lock()
						defer mu.Unlock()
						failed = append(failed, e)
					})
				}
				wg.Wait()
				t.Logf("%v of virtual time, %d of %d changes in the failure queue, %d calls of the sink; attempts %v",
					time.Since(began).Round(time.Second), len(failed), changes, erp.calls, log.count)
				for range 3 * len(failed) { // an operator's redrive, one at a time
					if len(failed) == 0 {
						break
					}
					if _, err := a.Handle(t.Context(), []byte(failed[0])); err != nil {
						failed = append(failed, failed[0])
					}
					failed = failed[1:]
				}
				if done := log.count["applied"] + log.count["partly-stale"] + log.count["stale"] + log.count["duplicate"]; done != changes {
					t.Errorf("%d changes acknowledged after the redrive, want %d: %v", done, changes, log.count)
				}
				erp.check(t, want)
			})
		})
	}
}
