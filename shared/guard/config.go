package guard

import (
	"errors"
	"fmt"
	"time"
)

// Policy is what order means to a consumer. There is no default.
type Policy int

// The policies.
const (
	// EachOnce: an action that happens once per subject, whatever comes later. The
	// subject is a business key ("Opportunity/006…/invoice") or an event id.
	EachOnce Policy = iota + 1
	// NewestWins: full states of a key; the newest one is what the sink ends with.
	NewestWins
	// FieldMerge: partial and full states of a record; every field is as new as the
	// newest change that carried it.
	FieldMerge
)

func (p Policy) String() string {
	switch p {
	case EachOnce:
		return "EachOnce"
	case NewestWins:
		return "NewestWins"
	case FieldMerge:
		return "FieldMerge"
	default:
		return fmt.Sprintf("Policy(%d)", int(p))
	}
}

// Sink is what the guard needs of a sink's contract.
type Sink struct {
	Fenced    bool // refuses an epoch lower than the last it took
	Versioned bool // refuses a full state older than the last it took
	// ParkInDoubt: the sink offers nothing to settle a doubt by, and its author chose
	// at most once. Only EachOnce looks at it.
	ParkInDoubt bool
}

// Config is all that a Guard is made of. Times are those of AWS; Scale shortens what is
// waited for on a local stack. Effect is no wait: it is how long work may take, and a
// smaller machine does not work faster.
type Config struct {
	Consumer string // part of every key: never rename
	Policy   Policy
	Fields   []string // FieldMerge: the codes of all fields the consumer reads
	Parts    []string // EachOnce: the names of the parts of the content, for people; see Change.Parts
	Sink     Sink

	Effect time.Duration // longest time of one attempt; 0: 10 s
	Settle time.Duration // longest time a sent request may still take effect
	Margin time.Duration // clock difference and late kills; 0: 2 s
	Scale  float64       // factor for Settle, Margin and waits; 0: 1. Margin and Settle stay above 250 ms

	RestoredAt time.Time // the table was restored to this point; zero: never

	Now    func() time.Time                                      // nil: time.Now
	Sleep  func(done <-chan struct{}, d time.Duration) (ok bool) // nil: a timer; ok is false when done came first
	Random func() [10]byte                                       // the random part of tokens; required
	Jitter func() float64                                        // in [0,1); nil: math/rand
}

const (
	defaultEffect = 10 * time.Second
	defaultMargin = 2 * time.Second
	leastPause    = 250 * time.Millisecond // margins and settle times never scale below it
	memory        = 35 * 24 * time.Hour    // how long subjects that are event ids are kept after their last use
	maxFields     = 200                    // keeps a completion inside DynamoDB's expression limits
)

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("guard: "+format, args...)) }
	if c.Consumer == "" {
		bad("Consumer is empty: give it a stable name, it is part of every key")
	}
	for _, r := range c.Consumer {
		if r == '#' || r <= ' ' || r > '~' {
			bad("Consumer %q: use letters, digits and '-'", c.Consumer)
			break
		}
	}
	switch c.Policy {
	case EachOnce, NewestWins:
		if len(c.Fields) > 0 {
			bad("Fields are for FieldMerge; policy is %v", c.Policy)
		}
	case FieldMerge:
		if len(c.Fields) == 0 {
			bad("FieldMerge needs Fields, the codes of all fields the consumer reads")
		}
		if len(c.Fields) > maxFields {
			bad("%d Fields, at most %d fit one item's expressions", len(c.Fields), maxFields)
		}
		seen := make(map[string]bool, len(c.Fields))
		for _, f := range c.Fields {
			if f == "" || seen[f] {
				bad("field code %q is empty or used twice", f)
			}
			seen[f] = true
		}
	default:
		bad("choose a Policy: EachOnce, NewestWins or FieldMerge")
	}
	if c.Random == nil {
		bad("Random is missing: owner tokens must differ between processes")
	}
	if c.Effect < 0 || c.Settle < 0 || c.Margin < 0 || c.Scale < 0 {
		bad("Effect, Settle, Margin and Scale cannot be negative")
	}
	if c.Policy != EachOnce && c.Sink.ParkInDoubt {
		bad("ParkInDoubt is for EachOnce: a state in doubt is sent again, the newest one wins")
	}
	return errors.Join(errs...)
}

// scaled are the protocol's times, the waits among them under Config.Scale.
func (c Config) scaled() times {
	s := c.scale()
	effect, margin := c.Effect, c.Margin
	if effect == 0 {
		effect = defaultEffect
	}
	if margin == 0 {
		margin = defaultMargin
	}
	t := times{effect: effect, margin: max(scaleBy(margin, s), leastPause)}
	if c.Settle > 0 {
		t.settle = max(scaleBy(c.Settle, s), leastPause)
	}
	return t
}

func (c Config) scale() float64 {
	if c.Scale == 0 {
		return 1
	}
	return c.Scale
}

func scaleBy(d time.Duration, s float64) time.Duration { return time.Duration(float64(d) * s) }

// Lease is how long a claim lasts: effect, and settle + margin, scaled.
func (c Config) Lease() time.Duration { return c.scaled().lease() }

// Room is the time before the end of its context in which a claim is not made any more: the
// effect would have none.
func (g *Guard) Room() time.Duration { return g.times.effect + g.times.margin }
