package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
)

// Env is what a consumer runs in: made in main, faked in tests.
type Env struct {
	Store guard.Store
	// Park sends one message to the failure queue.
	Park func(ctx context.Context, body []byte) error
	// Fetch gets a body that was too large for a message; transport.Fetch says what its errors
	// mean. Nil: such a message comes again.
	Fetch func(ctx context.Context, s transport.Stored) ([]byte, error)
	// Lane puts what failed in a direct invocation into the consumer's own buffer. Nil: it
	// has none, so the invocation fails, as it does when the buffer does not answer.
	Lane Lane
	// Defer makes messages of the consumer's own buffer visible again, each after its time,
	// so that a change that has to wait does not wait for the whole visibility time-out.
	// Nil: left to the queue.
	Defer func(ctx context.Context, messages []Deferral) error
	Log   *telemetry.Log
	// RequestID is the platform's name of an invocation; nil: there is none.
	RequestID func(ctx context.Context) string
	// Org is the org that is asked for what an event leaves out. Nil: nothing is asked.
	Org Org

	Orgs       salesforce.OrgList           // nil allows any
	ClientName string                       // that our own writes to Salesforce carry; empty: none
	Rename     map[string]map[string]string // object -> default name of a change event's field -> this org's
	RestoredAt time.Time                    // the guard table was restored to this point

	RetryFor time.Duration // how long a change is tried again before it is parked; 0: 6 h
	Scale    float64       // of all waits; 0: 1

	Now    func() time.Time                                      // nil: time.Now
	Sleep  func(done <-chan struct{}, d time.Duration) (ok bool) // nil: a timer
	Random func() [10]byte                                       // nil: uuid
}

// Deferral is when the buffer shows a message again. They are those of one invocation, so
// at most as many as its batch holds.
type Deferral struct {
	ReceiptHandle string
	For           time.Duration
}

const (
	busyWait     = 2 * time.Second
	longestLease = 50 * time.Second // must have ended before Lambda's first retry, after a minute (Developer Guide, "Asynchronous invocation")
	manyRecords  = 50               // of one event: above it a line and a parked message speak of all of them, and it is worked on by itself
	smallEvent   = 64 << 10
	openingTakes = 3 * time.Second // of a big event on Lambda's smallest share of a core
	closing      = time.Second     // to put off what is not done: one round of requests, side by side
	parallel     = 16              // subjects worked on at once: a batch of ten is one wave
	longestPause = 15 * time.Minute
	limitedFor   = 30 * time.Second
	otherEvent   = 2 * time.Minute // how far the other event of the same fact may be behind
)

// Handler is a consumer ready to run. It is safe for concurrent invocations.
type Handler interface {
	// Name is the name of the consumer.
	Name() string

	// Handle takes one invocation's payload. Of an SQS batch it answers with the messages
	// that have to come again; for everything else a *RetryError says so, and the response
	// is nil. No change is dropped: it is applied, found done or stale, parked, or asked
	// for again.
	Handle(ctx context.Context, raw []byte) (*Response, error)
}

// New makes a definition ready to run. Its error names every mistake in it.
func New(def Definition, env Env) (Handler, error) {
	if def == nil {
		return nil, errors.New("there is no definition of a consumer")
	}
	return def.build(env)
}

func (s State[T]) build(env Env) (Handler, error)  { return build(s.definition(), env) }
func (r Record[T]) build(env Env) (Handler, error) { return build(r.definition(), env) }
func (a Action[T]) build(env Env) (Handler, error) { return build(a.definition(), env) }

// adapter is a definition in its Env.
type adapter struct {
	def       definition
	env       Env
	guard     *guard.Guard
	binding   *binding
	bySources map[string]Source // by detail-type
	health    health
	breaker   breaker
	pace      pace
	finished  finished
	without   absentFields
}

func build(def definition, env Env) (Handler, error) {
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.RetryFor == 0 {
		env.RetryFor = retryFor
	}
	if env.Lane == nil {
		env.Lane = func(context.Context, [][]byte, time.Duration) error { return errors.New("the function has none") }
	}
	if env.Random == nil {
		env.Random = func() [10]byte { u := uuid.New(); return [10]byte(u[6:]) }
	}
	a := &adapter{def: def, env: env, bySources: make(map[string]Source)}
	a.breaker.first, a.breaker.longest, a.breaker.spread = a.scaled(firstProbe), a.scaled(longestProbe), a.scaled(heldFor)
	a.breaker.random = env.Random
	a.pace.quickens, a.pace.alive = a.scaled(quickensIn), a.scaled(aliveFor)
	errs := a.def.mistakes()
	if env.Store == nil || env.Park == nil || env.Log == nil {
		errs = append(errs, errors.New("the Env lacks a Store, Park or Log"))
	}
	for _, s := range def.sources() {
		a.bySources[s.DetailType] = s
	}
	var err error
	if a.binding, err = bind(def.reads, &def.shape, env.Rename[def.object]); err != nil {
		errs = append(errs, err)
	}
	if a.guard, err = a.newGuard(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("consumer %q cannot be built:\n%w", def.name, errors.Join(errs...))
	}
	return a, nil
}

func (a *adapter) newGuard() (*guard.Guard, error) {
	contract := a.def.contract()
	cfg := guard.Config{
		Consumer: a.def.name, Policy: a.def.policy, Fields: a.binding.codes,
		Sink: guard.Sink{
			Fenced: contract.Fenced, Versioned: contract.Versioned,
			ParkInDoubt: a.def.policy == guard.EachOnce && !contract.Settles() && a.def.inDoubt != RepeatInDoubt,
		},
		Effect: contract.Effect, Settle: contract.Settle, Scale: a.env.Scale, RestoredAt: a.env.RestoredAt,
		Now: a.env.Now, Sleep: a.env.Sleep, Random: a.env.Random,
	}
	if a.def.policy == guard.EachOnce {
		for _, f := range a.binding.parts() {
			cfg.Parts = append(cfg.Parts, f.name)
		}
	}
	g, err := guard.New(a.env.Store, cfg)
	if err != nil {
		return nil, err
	}
	unscaled := cfg
	unscaled.Scale = 1
	if l := unscaled.Lease(); l > longestLease {
		return nil, fmt.Errorf("a lease of %v (effect %v + settle %v + margin) is longer than %v: Lambda's first retry would find it running",
			l, contract.Effect, contract.Settle, longestLease)
	}
	return g, nil
}

// Name is the name of the consumer.
func (a *adapter) Name() string { return a.def.name }
