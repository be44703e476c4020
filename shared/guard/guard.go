// Package guard decides, from one item per (consumer, subject), whether a change
// is applied, and remembers it: once, in commit order, with two small conditional
// writes for a fresh change and one for a duplicate or stale one, and no reads.
//
// Three things are kept apart: who may act (lease, owner token, epoch), what has
// certainly happened (versions, done), and what may have happened (doubt, which is
// sticky). docs/reference/guard.md has the item, a sequence per story and the guarantees.
package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// Guard decides for one consumer. It is safe for concurrent use.
type Guard struct {
	store Store
	cfg   Config
	times times
}

// New checks the configuration and names every mistake in it.
func New(store Store, cfg Config) (*Guard, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	return &Guard{store: store, cfg: cfg, times: cfg.scaled()}, nil
}

func sleep(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}

// Call is what one delivery brings for one subject.
type Call struct {
	Org     string // 18-character org id
	Subject string
	// Changes of this subject, in any order; EachOnce takes exactly one. Equal
	// versions are one change.
	Changes []Change

	EventSubject bool      // the subject is an event id: remembered for 35 days, refused when older
	Published    time.Time // when the event was published; only looked at with EventSubject

	// WholeFirst hands a partial change of a record that was never seen whole back as
	// Unseen: who calls reads the record and brings it as a full state of that version.
	WholeFirst bool

	Redrive    bool          // from a dead-letter queue: attempts count anew
	Unattended bool          // a redrive that nobody decided on: what may be forgotten is parked as too old all the same
	BusyWait   time.Duration // how long to wait in process for somebody else's lease, scaled

	// GiveUp is asked after an attempt at this change that did not get through and may be
	// made again: whether to park it instead. attempt counts since the last success of the
	// subject. Nil: never.
	GiveUp func(change int, class verdict.Class, attempt int64) bool

	// Park puts one change, with its reason, into the failure queue. Its error keeps
	// the change unacknowledged.
	Park func(ctx context.Context, p Parking) error
}

// ChangeKind is how much of its subject a change describes.
type ChangeKind int

// The kinds. EachOnce does not look at them.
const (
	Full    ChangeKind = iota // everything the consumer reads; an absent field is empty
	Partial                   // the fields that Change.Fields names
	Delete                    // the record is gone
	// Resync repairs: the handler fetches the record after the claim and sends it at
	// the highest version the item knows.
	Resync
)

// Change is what the guard needs to know of a change. It never sees the content.
type Change struct {
	Kind    ChangeKind
	Version order.Version // EachOnce: which fact was done; zero: not known
	Fields  []string      // codes, for Partial, and for Full with a Base
	Hash    [8]byte       // of the content; EachOnce tells a second fact by it. Zero: not known

	// Base makes a Full of a state that is older than Version, apart from Fields: those are of
	// Version, all others of Base. FieldMerge only.
	Base order.Version

	// Parts are hashes of the parts of the content, PartBytes of each of Config.Parts: they
	// tell what of it is different. EachOnce only.
	Parts string
	// Fetched content was read after the change: it may hold what came later.
	Fetched bool
}

// Parking is a change on its way into the failure queue.
type Parking struct {
	Change   int // index in Call.Changes
	Class    verdict.Class
	Err      error
	Attempts int64
	FirstAt  time.Time // of the oldest attempt that is remembered
	LastAt   time.Time
	// Decided: the change is, and another delivery of it will not say again what somebody has to look at. A
	// message has to say it.
	Decided bool
}

// ErrStays is Park's answer where the change already lies in a queue of its own and stays there.
var ErrStays = errors.New("the message stays in its queue")

// Attempt is what a handler may do now, for as long as its context lives.
type Attempt struct {
	Epoch      int64 // fencing token
	Number     int64 // attempts since the last success, this one included
	Link       string
	InDoubt    bool      // an earlier attempt may have reached the sink
	DoubtSince time.Time // when that attempt claimed; zero: older than any key window

	Change  int           // the change whose content is sent; with FieldMerge see Wins
	Version order.Version // what to tell the sink; zero for EachOnce
	Wins    []Win         // FieldMerge: exactly the fields to write, nulls included
	Whole   bool          // FieldMerge: Wins are all fields read, at one version: a full state
	Deleted bool          // FieldMerge: the record is gone; no Wins
	Resync  bool          // fetch the record now and send it whole at Version
}

// Effect is what a handler knows of its effect.
type Effect int

// The effects. The zero value is the careful one.
const (
	Unsure     Effect = iota // nobody knows: time-out after send, reset, 5xx, panic
	Took                     // the sink took it
	NotApplied               // certainly no effect
	Superseded               // the sink holds a newer full state and said so
	Fenced                   // the sink has seen a higher epoch: certainly no effect, never a verdict
)

// Outcome is what became of an attempt at the sink.
type Outcome struct {
	Effect     Effect
	Permanent  bool          // with NotApplied: no retry mends it
	Uncounted  bool          // with NotApplied: does not use up an attempt (a missing dependency)
	Class      verdict.Class // unless Took
	Err        error
	RetryAfter time.Duration
	Link       string        // with Took: the sink's own id, empty: unchanged
	Park       verdict.Class // with Took: a class to park the change with all the same, e.g. "duplicate-remote"
	Epoch      int64         // with Fenced: the highest the sink took
	Newer      order.Version // with Superseded: what the sink holds
	Deleted    bool          // with Took on a resync: it was sent as a delete
	Unfit      []Unfit       // with Took and FieldMerge: winners that were not sent. They were sent as a patch
}

// Handler carries one attempt out. It must return when ctx ends.
type Handler func(ctx context.Context, a Attempt) Outcome

// Result is what became of one change.
type Result struct {
	Verdict   verdict.Verdict
	Class     verdict.Class
	Err       error
	Attempt   int64
	Epoch     int64
	NotBefore time.Time // Busy, Failed: another delivery before it is in vain
	InDoubt   bool
	// Changed tells, for a duplicate of EachOnce, whether it had other content than
	// what was done: "true", "false" or "unknown".
	Changed string
	// Lost are the codes of the fields that did not win, of PartlyStale.
	Lost    []string
	Unseen  bool // Failed, because the record was never seen whole: see Call.WholeFirst
	Settled bool // a full state of the same instant is there already
}

// Report is what became of a Call.
type Report struct {
	Results     []Result // one per change
	Requests    int      // sent to the store
	EpochRaised bool     // the item was behind the sink's epoch (a restore) and was lifted
}

// Key is the key of a subject's item.
func (g *Guard) Key(org, subject string) string { return Key(g.cfg.Consumer, org, subject) }

// longestKey is what DynamoDB takes as a partition key (Developer Guide, "Quotas").
const longestKey = 2048

// Key is the key of the item of a consumer's subject: <consumer>#<org>#<subject>. One
// that DynamoDB would refuse is cut, and ends with a hash of the whole.
func Key(consumer, org, subject string) string {
	key := consumer + "#" + org + "#" + subject
	if len(key) <= longestKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	hash := "#" + hex.EncodeToString(sum[:])
	return strings.ToValidUTF8(key[:longestKey-len(hash)], "") + hash
}

// Do takes the changes of one subject through the protocol. It never returns an
// error: every change has its own Result.
func (g *Guard) Do(ctx context.Context, call Call, handle Handler) Report {
	r := &run{
		Guard: g, ctx: ctx, call: call, handle: handle,
		key:    g.Key(call.Org, call.Subject),
		sorted: sortedByVersion(call.Changes),
	}
	r.report.Results = make([]Result, len(call.Changes))
	if len(call.Changes) == 0 {
		return r.report
	}
	if err := r.check(); err != nil {
		r.each(func(*Change) Result { return Result{Verdict: verdict.Failed, Class: verdict.Unfinished, Err: err} })
		return r.report
	}
	r.run()
	return r.report
}
