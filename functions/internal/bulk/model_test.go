// Package bulk_test plays bulk loads on a virtual clock: the real consumer, guard and log of
// customer-erp between models of Lambda, SQS, DynamoDB and an ERP.
package bulk_test

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
)

// What was measured of the bootstrap: BenchmarkRecord of functions/internal/bootstrap, and its
// upper end.
const (
	cpuOfRecord  = 250 * time.Microsecond // claim, sink, completion, log line
	cpuOfMessage = 200 * time.Microsecond // reading it, and the Runtime API
)

// What AWS says (Lambda Developer Guide, "Configure Lambda function memory": a core at 1,769
// MB; DynamoDB Developer Guide, "On-demand capacity mode": 4,000 units a second of a new
// table), and the template.
const (
	coreMB       = 1769
	newTable     = 4000 // write units a second
	timeout      = 20 * time.Second
	batchSize    = 10
	visibility   = 120 * time.Second
	mostReceives = 1000
	mostTries    = 3 // of an asynchronous invocation
)

// Assumed.
const (
	dynamoTakes = 5 * time.Millisecond
	sqsTakes    = 10 * time.Millisecond
	refusal     = 20 * time.Millisecond // until a 429 is there
)

// api is a sink: it takes a call so long, works on so many at once and lets the others wait,
// or refuses what is above so many a second.
type api struct {
	takes  time.Duration
	atOnce int           // 0: any
	perSec float64       // 0: any; above it 429
	after  time.Duration // that it says with it: Retry-After
}

// rate is how many calls a second it can take.
func (a api) rate() float64 {
	if a.perSec > 0 {
		return a.perSec
	}
	return float64(a.atOnce) / a.takes.Seconds()
}

// load is what is played.
type load struct {
	records, each int // in all, and of an event
	buffered      bool
	memory        int // MB
	reserved      int // ReservedConcurrency
	most          int // MaxConcurrency
	sink          api
	units         int           // write units a second of the table
	over          time.Duration // events are published evenly
}

// result is what came of it.
type result struct {
	took                    time.Duration // until the sink had the last record
	empty                   time.Duration // until nothing was left anywhere
	calls, refused          int           // of the sink: that took effect, that were answered 429
	writes, throttled, peak int           // of the table; most in a second
	invocations             int
	billed                  time.Duration // of invocations
	sqs                     int           // requests
	laneMessages            int
	mostReceived            int
	logged                  int64
	verdicts                map[string]int
	parked                  int
	missing, twice          int
	environments            int
}

type world struct {
	load
	t     testing.TB
	began time.Time
	mu    sync.Mutex
	result
	store    memory.Store
	second   int64 // of the table's count
	inIt     int
	servers  []time.Time // when each of the sink's is free
	tokens   float64     // of the sink
	filled   time.Time
	took     []uint8 // by record
	queue    waiting
	messages int
	inHand   map[string]*message // by handle
	fed      bool
	idle     []*environment
	slots    chan struct{}
	last     time.Time
}

// environment is a process of the function: its consumer knows what a process knows.
type environment struct {
	h    consumer.Handler
	w    *world
	mu   sync.Mutex
	busy time.Time // until when its share of a core is taken
}

type environmentKey struct{}

// spend is when the environment has had so much of a whole core, and waited in its line.
func (e *environment) spend(cpu time.Duration) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if e.busy.Before(now) {
		e.busy = now
	}
	e.busy = e.busy.Add(cpu * coreMB / time.Duration(min(e.w.memory, coreMB)))
	return e.busy
}

func spend(ctx context.Context, cpu, latency time.Duration) {
	until := ctx.Value(environmentKey{}).(*environment).spend(cpu) //nolint:forcetypeassert // every invocation has one
	time.Sleep(time.Until(until) + latency)
}

// Write implements guard.Store: DynamoDB, which throttles above its units. The client tries
// four times.
func (w *world) Write(ctx context.Context, x guard.Write) (guard.Record, bool, error) {
	spend(ctx, cpuOfRecord/3, dynamoTakes)
	pause := 25 * time.Millisecond
	for range 4 {
		if w.unit() {
			return w.store.Write(ctx, x)
		}
		time.Sleep(pause)
		pause *= 2
	}
	return nil, false, errors.New("throttled")
}

// Read implements guard.Store.
func (w *world) Read(ctx context.Context, key string) (guard.Record, error) {
	spend(ctx, cpuOfRecord/3, dynamoTakes)
	return w.store.Read(ctx, key)
}

func (w *world) unit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now().Unix(); now != w.second {
		w.second, w.inIt = now, 0
	}
	if w.inIt >= w.units {
		w.throttled++
		return false
	}
	w.inIt++
	w.writes++
	w.peak = max(w.peak, w.inIt)
	return true
}

func (*world) Contract() sink.Contract {
	return sink.Contract{Fenced: true, Versioned: true, Effect: 10 * time.Second}
}

// Put implements erp.Customers.
func (w *world) Put(ctx context.Context, _ sink.Ref, id string, _ erp.Customer) (sink.Receipt, error) {
	spend(ctx, cpuOfRecord/3, 0)
	end, ok := w.admit()
	if !ok {
		time.Sleep(refusal)
		return sink.Receipt{}, sink.TooMany(w.sink.after, "one too many")
	}
	n, err := strconv.Atoi(id[8:15])
	if err != nil {
		return sink.Receipt{}, err
	}
	w.mu.Lock()
	w.calls++
	w.took[n]++
	if end.After(w.last) {
		w.last = end
	}
	w.mu.Unlock()
	if d, limited := ctx.Deadline(); limited && d.Before(end) {
		time.Sleep(time.Until(d))
		return sink.Receipt{}, context.DeadlineExceeded
	}
	time.Sleep(time.Until(end))
	return sink.Receipt{}, nil
}

// Patch implements erp.Customers.
func (w *world) Patch(ctx context.Context, ref sink.Ref, id string, c erp.Customer) (sink.Receipt, error) {
	return w.Put(ctx, ref, id, c)
}

// Delete implements erp.Customers.
func (*world) Delete(context.Context, sink.Ref, string) (sink.Receipt, error) {
	return sink.Receipt{}, errors.New("nothing is deleted here")
}

// admit is when a call that comes now will be answered; not ok: it is one too many.
func (w *world) admit() (end time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.sink.perSec > 0 {
		w.tokens = min(w.sink.perSec, w.tokens+now.Sub(w.filled).Seconds()*w.sink.perSec)
		w.filled = now
		if w.tokens < 1 {
			w.refused++
			return end, false
		}
		w.tokens--
		return now.Add(w.sink.takes), true
	}
	i := 0
	for j := range w.servers {
		if w.servers[j].Before(w.servers[i]) {
			i = j
		}
	}
	if w.servers[i].Before(now) {
		w.servers[i] = now
	}
	w.servers[i] = w.servers[i].Add(w.sink.takes)
	return w.servers[i], true
}

// Write is the log.
type logged struct{ w *world }

func (l logged) Write(line []byte) (int, error) {
	_, rest, _ := bytes.Cut(line, []byte(`"verdict":"`))
	v, _, _ := bytes.Cut(rest, []byte(`"`))
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.verdicts[string(v)]++
	l.w.logged += int64(len(line))
	return len(line), nil
}

func (w *world) environment() *environment {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.idle); n > 0 {
		e := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return e
	}
	w.environments++
	h, err := consumer.New(functions.CustomerERP(w), consumer.Env{
		Store: w, Log: telemetry.New(logged{w}, "bulk", slog.LevelInfo), Defer: w.postpone, Lane: w.putOff,
		Park: func(_ context.Context, body []byte) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.parked++; w.parked <= 3 {
				w.t.Errorf("parked: %.600s", body)
			}
			return nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &environment{h: h, w: w}
}

// invoke runs one invocation, in a slot of the function.
func (w *world) invoke(payload []byte, messages int) (*consumer.Response, error) {
	w.slots <- struct{}{}
	defer func() { <-w.slots }()
	e := w.environment()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.WithValue(w.t.Context(), environmentKey{}, e), timeout)
	defer cancel()
	spend(ctx, time.Duration(messages)*cpuOfMessage, 0)
	resp, err := e.h.Handle(ctx, payload)
	took := time.Since(began)
	if took > timeout {
		w.t.Errorf("an invocation took %v", took)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.invocations++
	w.billed += took
	w.idle = append(w.idle, e)
	return resp, err
}

// message is one of the buffer.
type message struct {
	ID         string            `json:"messageId"`
	Handle     string            `json:"receiptHandle"`
	Body       string            `json:"body"`
	Source     string            `json:"eventSource"`
	ARN        string            `json:"eventSourceARN"`
	Attributes map[string]string `json:"attributes"`

	sent, first, visible time.Time
	received             int
}

// waiting are messages by when they can be received.
type waiting []*message

func (q waiting) Len() int           { return len(q) }
func (q waiting) Less(i, j int) bool { return q[i].visible.Before(q[j].visible) }
func (q waiting) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *waiting) Push(m any)        { *q = append(*q, m.(*message)) } //nolint:forcetypeassert // of messages
func (q *waiting) Pop() any {
	old := *q
	m := old[len(old)-1]
	*q = old[:len(old)-1]
	return m
}

// put is SendMessage. The lock is held.
func (w *world) put(body string, delay time.Duration) {
	w.sqs += (len(body) + 64<<10 - 1) / (64 << 10)
	w.messages++
	id := fmt.Sprintf("m%d", w.messages)
	w.laneMessages++
	now := time.Now()
	heap.Push(&w.queue, &message{ID: id, Handle: id, Body: body, Source: "aws:sqs", ARN: "arn:aws:sqs:eu-west-1:123456789012:customer-erp",
		sent: now, visible: now.Add(delay)})
}

func (w *world) putOff(_ context.Context, bodies [][]byte, delay time.Duration) error {
	time.Sleep(sqsTakes)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range bodies {
		w.put(string(b), delay)
	}
	return nil
}

func (w *world) postpone(_ context.Context, deferrals []consumer.Deferral) error {
	time.Sleep(sqsTakes)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sqs++
	for _, d := range deferrals {
		w.inHand[d.ReceiptHandle].visible = time.Now().Add(d.For)
	}
	return nil
}

func (w *world) receive() (got []*message, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for len(got) < batchSize && len(w.queue) > 0 && !w.queue[0].visible.After(now) {
		m := heap.Pop(&w.queue).(*message) //nolint:forcetypeassert // of messages
		if m.received++; m.received == 1 {
			m.first = now
		}
		if w.mostReceived = max(w.mostReceived, m.received); m.received >= mostReceives {
			w.parked++
			continue
		}
		m.visible = now.Add(visibility)
		m.Attributes = map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.received), "SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10),
			"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
		}
		w.inHand[m.Handle] = m
		got = append(got, m)
	}
	if len(got) > 0 {
		w.sqs++
	}
	return got, len(got) > 0 || len(w.queue) > 0 || len(w.inHand) > 0 || w.fed
}

// settle deletes what is done with, and gives back the rest.
func (w *world) settle(got []*message, resp *consumer.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := map[string]bool{}
	for _, f := range resp.BatchItemFailures {
		again[f.ItemIdentifier] = true
	}
	for _, m := range got {
		delete(w.inHand, m.Handle)
		if again[m.ID] {
			heap.Push(&w.queue, m)
		}
	}
	if len(again) < len(got) {
		w.sqs++ // they are deleted together
	}
}

// poll is one of the MaxConcurrency invocations at a time for the buffer.
func (w *world) poll() {
	for got, more := w.receive(); more; got, more = w.receive() {
		if len(got) == 0 {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		payload, err := json.Marshal(map[string]any{"Records": got})
		if err != nil {
			w.t.Error(err)
			return
		}
		resp, err := w.invoke(payload, len(got))
		if err != nil {
			w.t.Error(err)
			return
		}
		w.settle(got, resp)
	}
}

// event creates so many accounts from the given one on. Its commit is now.
func event(from, n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"0015f000%07dAAA"`, from+i)
	}
	at := time.Now().UTC()
	stamp := at.Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf(`{"version":"0","id":"c0000000-0000-4000-8000-%012d","detail-type":"AccountChangeEvent",`+
		`"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/bulk","account":"123456789012","time":%q,"region":"eu-west-1","resources":[],`+
		`"detail":{"payload":{"ChangeEventHeader":{"entityName":"Account","recordIds":[%s],"changeType":"CREATE",`+
		`"changeOrigin":"com/salesforce/api/bulk/66.0;client=load","transactionKey":"0000be70-a756-e601-9202-%012d","sequenceNumber":1,`+
		`"commitTimestamp":%d,"commitNumber":%d,"commitUser":"0055f0000100001AAA"},"Name":"Bulk Example Ltd","Status__c":"Active",`+
		`"CurrencyIsoCode":"EUR","Email__c":"billing@bulk.example","CreatedDate":%q,"LastModifiedDate":%q}}}`,
		from, at.Format("2006-01-02T15:04:05Z"), strings.Join(ids, ","), from, at.UnixMilli(), at.UnixMicro(), stamp, stamp)
}

// play plays a load.
func play(t *testing.T, l load) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))) // the clock here begins in 2000
		w := &world{load: l, t: t, began: time.Now(), took: make([]uint8, l.records), inHand: map[string]*message{}, fed: true}
		w.verdicts = map[string]int{}
		w.servers, w.tokens, w.filled = make([]time.Time, l.sink.atOnce), l.sink.perSec, w.began
		w.slots = make(chan struct{}, l.reserved)
		var readers, rules sync.WaitGroup
		for range l.most {
			readers.Go(w.poll)
		}
		events := make(chan string, l.records) // Lambda's own queue
		if !l.buffered {
			for range l.reserved {
				rules.Go(func() {
					for e := range events {
						if _, err := w.invoke([]byte(e), 1); err != nil {
							t.Errorf("Lambda has to try again: %v", err)
						}
					}
				})
			}
		}
		n := (l.records + l.each - 1) / l.each
		for i := range n {
			e := event(i*l.each, min(l.each, l.records-i*l.each))
			if l.buffered {
				w.mu.Lock()
				w.put(e, 0)
				w.laneMessages--
				w.mu.Unlock()
			} else {
				events <- e
			}
			time.Sleep(l.over / time.Duration(n))
		}
		close(events)
		rules.Wait()
		w.mu.Lock()
		w.fed = false
		w.mu.Unlock()
		readers.Wait()
		r = w.result
		r.took, r.empty = w.last.Sub(w.began), time.Since(w.began)
		for _, n := range w.took {
			switch {
			case n == 0:
				r.missing++
			case n > 1:
				r.twice++
			}
		}
	})
	return r
}
