// Package consumertest tests a consumer's definition as Lambda would run it: real
// decoding, a real guard on a store in memory, EventBridge that delivers more than
// once and in any order, Lambda's retries and deadline on a clock of its own.
//
// A test makes a Sink, puts it behind the port, and says what happens:
//
//	stock := shelf{consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true})}
//	consumertest.New(t, functions.InventoryERP(stock)).Holds(first, second, third)
//
// Holds is the one line that every consumer needs; Send, Want and Parked are for what is
// its own.
package consumertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Kit is one consumer under test. Its methods fail the test themselves.
type Kit struct {
	t       testing.TB
	def     consumer.Definition
	opts    []Option
	handler consumer.Handler
	sink    *Sink // behind the port; nil where the port goes elsewhere

	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	buffer  Buffer
	parked  []transport.Parked
	failed  [][]byte // what Lambda's retries did not get through
	timeout time.Duration
	copies  int
	seed    uint64
	shuffle bool
}

// Timeout is how long an invocation of a Kit may last, as in template.yaml.
const Timeout = 20 * time.Second

// Option changes what the consumer runs in.
type Option func(*Kit, *consumer.Env)

// In changes the Env.
func In(change func(*consumer.Env)) Option {
	return func(_ *Kit, s *consumer.Env) { change(s) }
}

// From lets a Kit begin at another moment than Now.
func From(t time.Time) Option { return func(k *Kit, _ *consumer.Env) { k.now = t } }

// WithoutDeadline takes the deadline away from invocations. A Kit has a clock of its
// own, and the network keeps deadlines by the machine's: a port that really sends needs
// this.
func WithoutDeadline() Option {
	return func(k *Kit, _ *consumer.Env) { k.timeout = 0 }
}

// New builds the consumer; a mistake in the definition fails the test. Any org is
// welcome.
func New(t testing.TB, def consumer.Definition, opts ...Option) *Kit {
	t.Helper()
	k := &Kit{t: t, def: def, opts: opts}
	if p, ok := def.Port().(interface{ fake() *Sink }); ok {
		k.sink = p.fake()
	}
	k.begin()
	return k
}

// begin is New, and forgets all that was before.
func (k *Kit) begin() {
	k.t.Helper()
	k.now, k.timeout, k.copies, k.shuffle = Now, Timeout, 1, false
	k.log.Reset()
	k.parked, k.failed, k.buffer = nil, nil, Buffer{}
	env := consumer.Env{
		Store: &memory.Store{},
		Park:  k.park,
		Lane:  k.putOff,
		Defer: k.postpone,
		Log:   telemetry.New(&lockedWriter{&k.mu, &k.log}, "test", 0),
		Now:   k.clock,
		Sleep: func(_ <-chan struct{}, d time.Duration) bool { k.Pass(d); return true },
	}
	for _, o := range k.opts {
		o(k, &env)
	}
	var err error
	if k.handler, err = consumer.New(k.def, env); err != nil {
		k.t.Fatal(err)
	}
}

func (k *Kit) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Pass lets time pass: leases end, waits are over.
func (k *Kit) Pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

func (k *Kit) park(_ context.Context, body []byte) error {
	p, err := transport.DecodeParked(body)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parked = append(k.parked, p)
	return nil
}

func (k *Kit) putOff(_ context.Context, messages [][]byte, delay time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range messages {
		k.buffer.Put(k.now, string(m), delay)
	}
	return nil
}

func (k *Kit) postpone(_ context.Context, messages []consumer.Deferral) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buffer.Defer(k.now, messages)
	return nil
}

// Duplicate delivers every event of the next Send n times.
func (k *Kit) Duplicate(n int) *Kit { k.copies = n; return k }

// Shuffle delivers the events of the next Send in an order that follows from seed.
func (k *Kit) Shuffle(seed uint64) *Kit { k.seed, k.shuffle = seed, true; return k }

// Refuse is Sink.Refuse of the sink behind the port.
func (k *Kit) Refuse(class verdict.Class) *Kit { k.t.Helper(); k.behind().Refuse(class); return k }

// LoseAnswer is Sink.LoseAnswer of the sink behind the port.
func (k *Kit) LoseAnswer() *Kit { k.t.Helper(); k.behind().LoseAnswer(); return k }

// LoseRequest is Sink.LoseRequest of the sink behind the port.
func (k *Kit) LoseRequest() *Kit { k.t.Helper(); k.behind().LoseRequest(); return k }

// Took is Sink.Took of the sink behind the port.
func (k *Kit) Took() []Request { k.t.Helper(); return k.behind().Took() }

func (k *Kit) behind() *Sink {
	k.t.Helper()
	if k.sink == nil {
		k.t.Fatalf("the port %T has no Sink of this kit behind it: embed a *consumertest.Sink in it", k.def.Port())
	}
	return k.sink
}

// context is that of one invocation, with Lambda's deadline on the kit's clock.
func (k *Kit) context() context.Context {
	if k.timeout == 0 {
		return k.t.Context()
	}
	return deadline{k.t.Context(), k.clock().Add(k.timeout)}
}

type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

// Send delivers events as a rule with a Lambda target does: one after the other, each with
// what the function puts into its buffer for it, until that is empty. Where the function
// answers an error, Lambda tries three times, one and two minutes apart; what fails then
// can be redriven.
func (k *Kit) Send(events ...[]byte) *Kit {
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
		k.drain()
	}
	return k
}

func (k *Kit) invoke(payload []byte) {
	k.t.Helper()
	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 0} {
		resp, err := k.handler.Handle(k.context(), payload)
		if err == nil {
			if resp != nil && !bytes.Contains(payload, []byte(`"Records"`)) { // e.g. of SNS
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

// SendBatch delivers events through the buffer, together, until it is empty.
func (k *Kit) SendBatch(events ...[]byte) *Kit {
	k.t.Helper()
	for _, e := range events {
		k.buffer.Put(k.clock(), string(e), 0)
	}
	k.drain()
	return k
}

// drain lets the buffer bring its messages until it is empty; time passes to when they are
// visible.
func (k *Kit) drain() {
	k.t.Helper()
	for range deliveries {
		k.mu.Lock()
		next, ok := k.buffer.Next()
		if next.After(k.now) {
			k.now = next
		}
		payload, received := k.buffer.Receive(k.now)
		k.mu.Unlock()
		if !ok {
			return
		}
		resp, err := k.handler.Handle(k.context(), payload)
		if err != nil || resp == nil {
			k.t.Fatalf("a batch answered %v, %v", resp, err)
		}
		k.mu.Lock()
		k.buffer.Settle(received, resp)
		k.mu.Unlock()
	}
	k.t.Fatalf("%d messages are still in the buffer after %d deliveries", len(k.buffer.Messages), deliveries)
}

// Holding puts messages into the failure queue that lay there before.
func (k *Kit) Holding(parked ...transport.Parked) *Kit {
	k.parked = append(k.parked, parked...)
	return k
}

// Redrive sends what was parked through the consumer again, once, as sfrelay dlq redrive does,
// and what Lambda gave up. What the consumer does not acknowledge stays parked as it is.
func (k *Kit) Redrive() *Kit {
	k.t.Helper()
	parked, failed := k.parked, k.failed
	k.parked, k.failed = nil, nil
	for _, p := range parked {
		order := transport.Redrive{By: "arn:aws:iam::123456789012:user/ada", At: k.now}
		answer, err := k.handler.Handle(k.context(), order.Around(p.Encode()))
		if err != nil || answer == nil || len(answer.Verdicts) == 0 {
			k.t.Fatalf("a redrive answered %+v, %v", answer, err)
		}
		if slices.ContainsFunc(answer.Verdicts, func(a consumer.Answer) bool { return !a.Verdict.Acknowledged() }) {
			k.parked = append(k.parked, p)
		}
	}
	return k.Send(failed...)
}

// Parked is what lies in the failure queue with its reason.
func (k *Kit) Parked() []transport.Parked { return k.parked }

// Failed is how many events Lambda gave up after its retries.
func (k *Kit) Failed() int { return len(k.failed) }

// Line is a log line, as far as tests look at it.
type Line struct {
	Consumer, EventKey, IdentityFrom, Subject, RecordVersion, Verdict, Class, Error, Read string

	Attempt, Epoch, LagMS, SinkMS, GuardRequests, OrgRequests, Records int64

	At time.Time `json:"time"`
}

// Lines are the log lines so far, one for each change and delivery.
func (k *Kit) Lines() []Line {
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
func (k *Kit) Want(verdicts ...verdict.Verdict) {
	k.t.Helper()
	var got []verdict.Verdict
	for _, l := range k.Lines() {
		got = append(got, verdict.Verdict(l.Verdict))
	}
	if !slices.Equal(got, verdicts) {
		k.t.Fatalf("verdicts %v, want %v\n%s", got, verdicts, k.log.String())
	}
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
