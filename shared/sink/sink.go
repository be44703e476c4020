// Package sink is what the guard's callers and the connectors agree on: what a
// system behind a consumer promises (Contract), the name of one effect on it
// (Ref), what it answered (Receipt), and how it says no (Error and the two
// refusals).
//
// A connector does one thing once. It never retries: the queue is the only
// retry layer. Time-outs come from the context.
package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sfrelay/shared/verdict"
)

// Contract is what a sink promises for one operation. The zero value promises
// nothing; what an attempt in doubt may do follows from it (docs/reference/guard.md, the
// guarantee table).
type Contract struct {
	// UniqueKey: the sink enforces a key of ours for ever.
	UniqueKey bool
	// Fenced: the sink refuses an epoch lower than the last one it took.
	Fenced bool
	// Versioned: the sink refuses a full state older than the last one it took.
	Versioned bool
	// KeyWindow is how long an idempotency key replays, minus a margin. Zero: no keys.
	KeyWindow time.Duration
	// Lookup: an effect can be found again by a consistent read.
	Lookup bool
	// Effect is the longest time one attempt may take. Zero means 10 s.
	Effect time.Duration
	// Settle is the longest time a sent request may still take effect after its
	// caller gave up. Zero means none.
	Settle time.Duration
}

// Settles reports whether the contract alone decides what an attempt in doubt
// may do.
func (c Contract) Settles() bool {
	return c.UniqueKey || c.Fenced || c.Versioned || c.KeyWindow > 0 || c.Lookup
}

// Ref names one effect of one attempt: all that a connector may build
// idempotency keys, markers and headers from.
type Ref struct {
	Consumer string // the stable name of the consumer
	Org      string // 18-character org id
	Subject  string // e.g. "Account/001…", "Opportunity/006…/invoice"
	Version  string // 40 hex digits, sorts in commit order; empty for actions without one
	Epoch    int64  // fencing token: grows with every claim of the subject
	Link     string // the sink's own id as remembered, empty when unknown

	InDoubt    bool      // an earlier attempt may have reached the sink
	DoubtSince time.Time // when the oldest unresolved attempt claimed; zero time: older than any key window
}

// StateKey is the idempotency key of a change of state: the same change with
// the same body has the same key, another body another one.
func (r Ref) StateKey(method string, body []byte) string {
	sum := sha256.Sum256(body)
	return hashed(r.Consumer, r.Org, r.Subject, method, r.Version, hex.EncodeToString(sum[:]))
}

// ActionKey is the idempotency key of a step of an action. Every attempt starts
// with generation 0; it rises within an attempt only when the sink replays a
// remembered failure and a look-up says absent. It is stored nowhere.
func (r Ref) ActionKey(step string, generation int) string {
	return hashed(r.Consumer, r.Org, r.Subject, step, strconv.Itoa(generation))
}

// hashed joins with a length prefix, so that ("ab","c") and ("a","bc") differ.
func hashed(parts ...string) string {
	var room [512]byte
	text := room[:0]
	for _, p := range parts {
		text = append(append(strconv.AppendInt(text, int64(len(p)), 10), ':'), p...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Receipt is a sink's yes.
type Receipt struct {
	Link    string  // the sink's own id of what was written; empty: unchanged
	Outcome Outcome // what the sink says it did
}

// longestLink is that of a Receipt, in bytes.
const longestLink = 255

// ValidLink reports whether a sink's own id can be kept and shown: printable characters, no
// more than 255 bytes. Empty is valid.
func ValidLink(id string) bool {
	return len(id) <= longestLink && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Outcome is what the sink did with a request it took.
type Outcome string

// The outcomes of the HTTP sink contract.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
)

// Applied says whether a failed call took effect.
type Applied uint8

// The zero value is the careful one.
const (
	Maybe Applied = iota // nobody knows: time-out after send, reset, 5xx
	No                   // certainly not: refused connection, 4xx that says so, 429
	Yes                  // the effect is there, what came after it failed
)

func (a Applied) String() string {
	switch a {
	case No:
		return "no"
	case Yes:
		return "yes"
	default:
		return "maybe"
	}
}

// Error is a sink's no. Reason must never hold field values.
type Error struct {
	Class      verdict.Class
	Applied    Applied
	RetryAfter time.Duration // not before; zero: whenever
	TooMany    bool          // the sink takes so many calls a time, and this was one more (429): fewer are made
	Reason     string        // for people: what, where, what to do
	Err        error         // the cause, may be nil
}

func (e *Error) Error() string {
	s := string(e.Class)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// FencedError is a 412 with reason "epoch": certainly not applied, and never a
// verdict. Epoch is the highest one that the sink took.
type FencedError struct{ Epoch int64 }

func (e *FencedError) Error() string {
	return fmt.Sprintf("the sink has seen epoch %d, which is higher than ours", e.Epoch)
}

// RefusedVersionError is a 412 with reason "version": the sink holds a newer full
// state. Version is 40 hex digits.
type RefusedVersionError struct{ Version string }

func (e *RefusedVersionError) Error() string {
	return "the sink holds the newer version " + e.Version
}

// ClassOf is the class of an error: that of the Error in its chain, else verdict.Unknown.
func ClassOf(err error) verdict.Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return verdict.Unknown
}
