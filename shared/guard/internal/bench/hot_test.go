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

// What the template says of a consumer and its buffer.
const (
	changes          = 1000
	workers          = 32
	readersOfABuffer = 5 // MaxConcurrency by default
	batchSize        = 10
	visibility       = 120 * time.Second
	mostReceives     = 1000
	invocation       = 20 * time.Second // the function's time-out
	hotRecord        = "0015f0000200001AAA"
	fastSink         = 50 * time.Millisecond
	slowSink         = 3 * time.Second
	slowerSink       = 8 * time.Second
)

// seeds is how many different thousands of changes come in direct mode: ten, and one with the
// race detector.
func seeds() uint64 {
	if raced {
		return 1
	}
	return 10
}

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
				q.read(t, a, workers).Wait()
				erp.check(t, want)
				log.check(t)
				most, sum := q.receives()
				if most >= mostReceives || log.count["failed"] > 0 {
					t.Errorf("received up to %d times, verdicts %v", most, log.count)
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

// check tells whether every change was acknowledged, once, and none of them parked.
func (v *verdicts) check(t *testing.T) {
	t.Helper()
	if v.count["parked"]+v.count["zombie"] > 0 {
		t.Errorf("verdicts %v", v.count)
	}
	if done := v.count["applied"] + v.count["partly-stale"] + v.count["stale"] + v.count["duplicate"]; done != changes {
		t.Errorf("%d changes acknowledged, want %d: %v", done, changes, v.count)
	}
}

// queue is a standard queue: what is visible, oldest first, and a visibility time-out.
type queue struct {
	mu       sync.Mutex
	messages []*message
	batches  int  // invocations by it
	fed      bool // more may come
}

// read lets as many invocations at a time work on the queue until it is empty.
func (q *queue) read(t *testing.T, a consumer.Handler, readers int) *sync.WaitGroup {
	return q.readWithin(t, a, readers, make(chan struct{}, readers))
}

// readWithin is read for invocations that take their slots from those of the function.
func (q *queue) readWithin(t *testing.T, a consumer.Handler, readers int, slots chan struct{}) *sync.WaitGroup {
	wg := new(sync.WaitGroup)
	for range readers {
		wg.Go(func() {
			for got, more := q.receive(); more; got, more = q.receive() {
				if len(got) == 0 {
					time.Sleep(100 * time.Millisecond)
					continue
				}
				slots <- struct{}{}
				ctx, cancel := context.WithTimeout(t.Context(), invocation)
				resp, err := a.Handle(ctx, batch(t, got))
				cancel()
				<-slots
				if err != nil {
					t.Error(err)
					return
				}
				q.delete(got, resp)
			}
		})
	}
	return wg
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
			if m.received++; m.received == 1 {
				m.first = now
			}
			m.gone = m.received >= mostReceives // to the failure queue; the test tells by the count
			got = append(got, m)
		}
	}
	if len(got) > 0 {
		q.batches++
	}
	return got, left > 0 || q.fed
}

// putOff is the lane: a new message that is not visible before the delay is over.
func (q *queue) putOff(_ context.Context, bodies [][]byte, delay time.Duration) error {
	time.Sleep(3 * time.Millisecond) // SQS is as far away as the store
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range bodies {
		m := newMessage(len(q.messages), string(b))
		m.sent = time.Now()
		m.visible = m.sent.Add(delay)
		q.messages = append(q.messages, m)
	}
	return nil
}

// ends says that nothing more is put into the queue.
func (q *queue) ends() { q.mu.Lock(); defer q.mu.Unlock(); q.fed = false }

// receives are how often a message was received at most, and all of them together.
func (q *queue) receives() (most, sum int) {
	for _, m := range q.messages {
		most, sum = max(most, m.received), sum+m.received
	}
	return most, sum
}

func (q *queue) delete(got []*message, resp *consumer.Response) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range got {
		m.gone = !slices.Contains(resp.BatchItemFailures, consumer.ItemFailure{ItemIdentifier: m.ID})
	}
}

func (q *queue) postpone(_ context.Context, deferrals []consumer.Deferral) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range deferrals {
		i := slices.IndexFunc(q.messages, func(m *message) bool { return m.Handle == d.ReceiptHandle })
		if i < 0 {
			return errors.New("no such message")
		}
		q.messages[i].visible = time.Now().Add(d.For)
	}
	return nil
}

// TestAHotRecordDirect: the same in direct mode, where every change has an invocation of
// its own and what is busy or failed goes through the consumer's buffer. All of them end
// applied or superseded there too; none is lost or parked, and Lambda retries nothing.
func TestAHotRecordDirect(t *testing.T) {
	if testing.Short() {
		t.Skip("plays hours, which takes a second; without -short it runs")
	}
	for _, tc := range []struct {
		shuffled bool
		every    time.Duration
		sink     time.Duration
	}{
		{false, 0, fastSink}, {true, 0, fastSink}, {false, 100 * time.Millisecond, fastSink},
		{false, 0, slowSink}, {true, 0, slowSink}, {false, 100 * time.Millisecond, slowSink},
		{false, time.Second, slowerSink},
	} {
		for seed := range seeds() {
			t.Run(fmt.Sprintf("%s, one every %v, sink takes %v, seed %d", arrival(tc.shuffled), tc.every, tc.sink, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(time.Until(consumertest.Now.Add(time.Hour))) // the clock here begins in 2000, before the events
					events, want := hotChanges(rand.New(rand.NewPCG(seed, 1)), tc.shuffled)
					q := &queue{fed: true}
					erp, log := &ledger{takes: tc.sink}, &verdicts{}
					a := customer(t, slow{&memory.Store{}}, erp, log, consumer.Env{Defer: q.postpone, Lane: q.putOff})
					began := time.Now()
					readers := q.read(t, a, readersOfABuffer)
					slots := make(chan struct{}, workers) // throttled invocations wait
					var wg sync.WaitGroup
					for _, e := range events {
						time.Sleep(tc.every)
						wg.Go(func() {
							slots <- struct{}{}
							defer func() { <-slots }()
							ctx, cancel := context.WithTimeout(t.Context(), invocation)
							defer cancel()
							if _, err := a.Handle(ctx, []byte(e)); err != nil {
								t.Errorf("Lambda has to try again: %v", err)
							}
						})
					}
					wg.Wait()
					q.ends()
					readers.Wait()
					erp.check(t, want)
					log.check(t)
					most, sum := q.receives()
					if most >= mostReceives {
						t.Errorf("received up to %d times", most)
					}
					t.Logf("%v of virtual time, %d invocations by the rule, %d for the buffer, %d calls of the sink, %d messages in the buffer, each received %.1f times, at most %d; %v",
						time.Since(began).Round(time.Second), changes, q.batches, erp.calls, len(q.messages), float64(sum)/float64(max(len(q.messages), 1)), most, log.count)
				})
			})
		}
	}
}
