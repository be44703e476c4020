// Package consumertest tests a consumer's definition as Lambda would run it: real
// decoding, a real guard on a store in memory, EventBridge that delivers more than
// once and in any order, Lambda's retries on a clock of its own.
//
//	kit := consumertest.New(t, inventory(stock))
//	kit.Shuffle(7).Send(consumertest.File(t, "../../events/30-inventory.json"), …)
//	kit.Want("applied", "stale")
package consumertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Kit is one consumer under test. Its methods fail the test themselves.
type Kit[T any] struct {
	t       testing.TB
	def     consumer.Consumer[T]
	adapter *consumer.Adapter[T]
	store   guard.Store

	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	got     []consumer.Attempt[T]
	faults  []fault
	parked  []transport.Parked
	failed  [][]byte // what Lambda's retries did not get through
	copies  int
	seed    uint64
	shuffle bool
}

type fault struct {
	err   error
	after bool // the sink took it before the fault
}

// Option changes what the consumer runs in.
type Option func(*consumer.Surroundings)

// New builds the consumer; a mistake in the definition fails the test. Any org is
// welcome.
func New[T any](t testing.TB, def consumer.Consumer[T], opts ...Option) *Kit[T] {
	t.Helper()
	k := &Kit[T]{t: t, def: def, store: &memory.Store{}, copies: 1,
		now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	apply := def.Apply
	def.Apply = func(ctx context.Context, a consumer.Attempt[T]) (sink.Receipt, error) {
		f := k.attempt(a)
		if f != nil && !f.after {
			return sink.Receipt{}, f.err
		}
		receipt, err := apply(ctx, a)
		if err == nil {
			k.mu.Lock()
			k.got = append(k.got, a)
			k.mu.Unlock()
		}
		if f != nil {
			return sink.Receipt{}, f.err
		}
		return receipt, err
	}
	around := consumer.Surroundings{
		Store: k.store,
		Park:  k.park,
		Log:   telemetry.New(&lockedWriter{&k.mu, &k.log}, "test", 0),
		Now:   k.clock,
		Sleep: func(_ <-chan struct{}, d time.Duration) bool { k.Pass(d); return true },
	}
	for _, o := range opts {
		o(&around)
	}
	k.store = around.Store
	var err error
	if k.adapter, err = consumer.New(def, around); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *Kit[T]) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Pass lets time pass: leases end, waits are over.
func (k *Kit[T]) Pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

func (k *Kit[T]) attempt(consumer.Attempt[T]) *fault {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.faults) == 0 {
		return nil
	}
	f := k.faults[0]
	k.faults = k.faults[1:]
	return &f
}

func (k *Kit[T]) park(_ context.Context, body []byte) error {
	p, err := transport.DecodeParked(body)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parked = append(k.parked, p)
	return nil
}

// Duplicate delivers every event of the next Send n times.
func (k *Kit[T]) Duplicate(n int) *Kit[T] { k.copies = n; return k }

// Shuffle delivers the events of the next Send in an order that follows from seed.
func (k *Kit[T]) Shuffle(seed uint64) *Kit[T] { k.seed, k.shuffle = seed, true; return k }

// Refuse makes the sink refuse the next attempt: certainly without effect.
func (k *Kit[T]) Refuse(class verdict.Class) *Kit[T] {
	k.faults = append(k.faults, fault{err: &sink.Error{Class: class, Applied: sink.No, Reason: "made up by the test"}})
	return k
}

// LoseAnswer lets the sink take the next attempt, and loses its answer.
func (k *Kit[T]) LoseAnswer() *Kit[T] {
	k.faults = append(k.faults, fault{after: true, err: &sink.Error{Class: verdict.Unknown, Applied: sink.Maybe, Reason: "the answer got lost"}})
	return k
}

// LoseRequest makes the next attempt end without an answer and without effect.
func (k *Kit[T]) LoseRequest() *Kit[T] {
	k.faults = append(k.faults, fault{err: &sink.Error{Class: verdict.Unknown, Applied: sink.Maybe, Reason: "the request got lost"}})
	return k
}

// Send delivers events as a rule with a Lambda target does: one after the other, each
// tried up to three times, one and two minutes apart; what fails then can be
// redriven.
func (k *Kit[T]) Send(events ...[]byte) *Kit[T] {
	k.t.Helper()
	var all [][]byte
	for _, e := range events {
		for range k.copies {
			all = append(all, e)
		}
	}
	if k.shuffle {
		r := rand.New(rand.NewPCG(k.seed, 0))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	k.copies, k.shuffle = 1, false
	for _, e := range all {
		k.invoke(e)
	}
	return k
}

func (k *Kit[T]) invoke(payload []byte) {
	k.t.Helper()
	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 0} {
		resp, err := k.adapter.Handle(k.t.Context(), payload)
		if err == nil {
			if resp != nil {
				k.t.Fatalf("a direct invocation answered like a batch: %+v", resp)
			}
			return
		}
		if _, ok := errors.AsType[*consumer.RetryError](err); !ok {
			k.t.Fatalf("neither success nor a request for another delivery: %v", err)
		}
		k.Pass(wait)
	}
	k.failed = append(k.failed, payload)
}

// SendBatch delivers events as one SQS batch of a buffer, again and again until every
// message was taken, at most 20 times.
func (k *Kit[T]) SendBatch(events ...[]byte) *Kit[T] {
	k.t.Helper()
	type record struct {
		MessageID      string            `json:"messageId"`
		ReceiptHandle  string            `json:"receiptHandle"`
		Body           string            `json:"body"`
		Attributes     map[string]string `json:"attributes"`
		EventSource    string            `json:"eventSource"`
		EventSourceARN string            `json:"eventSourceARN"`
	}
	left := make([]record, len(events))
	for i, e := range events {
		left[i] = record{MessageID: fmt.Sprint("m", i), ReceiptHandle: fmt.Sprint("r", i), Body: string(e),
			EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:eu-west-1:123456789012:buffer"}
	}
	for try := 1; len(left) > 0 && try <= 20; try++ {
		for i := range left {
			left[i].Attributes = map[string]string{"ApproximateReceiveCount": fmt.Sprint(try)}
		}
		payload, err := json.Marshal(map[string]any{"Records": left})
		if err != nil {
			k.t.Fatal(err)
		}
		resp, err := k.adapter.Handle(k.t.Context(), payload)
		if err != nil || resp == nil {
			k.t.Fatalf("a batch answered %v, %v", resp, err)
		}
		left = slices.DeleteFunc(left, func(r record) bool {
			return !slices.Contains(resp.BatchItemFailures, consumer.ItemFailure{ItemIdentifier: r.MessageID})
		})
		k.Pass(time.Minute)
	}
	if len(left) > 0 {
		k.t.Fatalf("%d messages were still not taken after 20 deliveries", len(left))
	}
	return k
}

// Redrive sends what was parked, and what Lambda gave up, through the consumer again.
func (k *Kit[T]) Redrive() *Kit[T] {
	k.t.Helper()
	parked, failed := k.parked, k.failed
	k.parked, k.failed = nil, nil
	for _, p := range parked {
		k.invoke(p.Encode())
	}
	for _, f := range failed {
		k.invoke(f)
	}
	return k
}

// Got is what the sink took, in order.
func (k *Kit[T]) Got() []consumer.Attempt[T] { return k.got }

// Parked is what lies in the failure queue with its reason.
func (k *Kit[T]) Parked() []transport.Parked { return k.parked }

// Failed is how many events Lambda gave up after its retries.
func (k *Kit[T]) Failed() int { return len(k.failed) }

// Line is a log line, as far as tests look at it.
type Line struct {
	Consumer, EventKey, IdentityFrom, Subject, RecordVersion, Error string
	Verdict                                                         verdict.Verdict
	Class                                                           verdict.Class
	Attempt, Epoch, LagMS, SinkMS, GuardRequests                    int64
}

// Lines are the log lines so far, one for each change and delivery.
func (k *Kit[T]) Lines() []Line {
	k.t.Helper()
	var lines []Line
	for text := range strings.Lines(k.log.String()) {
		var l Line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			k.t.Fatalf("log line %q: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// Want compares the verdicts of all changes so far with what the test expects.
func (k *Kit[T]) Want(verdicts ...verdict.Verdict) {
	k.t.Helper()
	var got []verdict.Verdict
	for _, l := range k.Lines() {
		got = append(got, l.Verdict)
	}
	if !slices.Equal(got, verdicts) {
		k.t.Fatalf("verdicts %v, want %v\n%s", got, verdicts, k.log.String())
	}
}

// File reads an event.
func File(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
