package guard

import "context"

// Store keeps one item per (consumer, subject). It never reads a clock: every
// time is a value of a Write. guardtest.Run is this contract as tests.
type Store interface {
	// Write applies w to the item if its condition holds, atomically. It returns
	// the item as it was before: always when refused, and when w.ReturnOld asks for
	// it. An error means that nobody knows whether the write happened, unless the
	// store can tell that it did not.
	Write(ctx context.Context, w Write) (old Record, ok bool, err error)
	// Read is one strongly consistent read; nil where there is no item.
	Read(ctx context.Context, key string) (Record, error)
}

// Write is one conditional update of one item, in terms that a map and DynamoDB
// both understand. The protocol's rules are written once, as Writes; a store only
// evaluates or prints them.
type Write struct {
	Name      WriteName // for people and tests; a store ignores it
	Key       string
	If        Cond
	Set       []Assign
	Remove    []string
	ReturnOld bool
}

// WriteName tells the protocol's writes apart.
type WriteName string

// The writes of the protocol.
const (
	Claim    WriteName = "claim"
	Complete WriteName = "complete"
	GiveBack WriteName = "give back"
	Lift     WriteName = "lift"
	Note     WriteName = "note"
)

// Op is how an Assign computes the new value.
type Op byte

// The operations.
const (
	Put       Op = iota // attr = value
	PutAbsent           // attr = if_not_exists(attr, value)
	AddTo               // attr = if_not_exists(attr, value) + delta
	Add                 // attr = attr + delta; the attribute must be there
)

// Assign sets one attribute.
type Assign struct {
	Attr  string
	Op    Op
	Value Value
	Delta int64
}

// Test is the operator of a Cond.
type Test byte

// The operators.
const (
	All     Test = iota // every one of Terms; holds when there is none
	Any                 // at least one of Terms
	NoItem              // the item does not exist
	Absent              // the attribute does not exist
	Equal               // the attribute exists and equals Value
	Differs             // the attribute differs from Value, or does not exist
	Less                // the attribute exists and is less than Value
	AtMost              // the attribute exists and is at most Value
)

// Cond is a condition on an item, a small tree.
type Cond struct {
	Test  Test
	Attr  string
	Value Value
	Terms []Cond
}

func all(terms ...Cond) Cond                { return Cond{Test: All, Terms: terms} }
func anyOf(terms ...Cond) Cond              { return Cond{Test: Any, Terms: terms} }
func absent(attr string) Cond               { return Cond{Test: Absent, Attr: attr} }
func is(attr string, t Test, v Value) Cond  { return Cond{Test: t, Attr: attr, Value: v} }
func put(attr string, v Value) Assign       { return Assign{Attr: attr, Op: Put, Value: v} }
func putAbsent(attr string, v Value) Assign { return Assign{Attr: attr, Op: PutAbsent, Value: v} }

// Holds evaluates the condition as DynamoDB does.
func (c Cond) Holds(r Record) bool {
	switch c.Test {
	case All:
		for _, t := range c.Terms {
			if !t.Holds(r) {
				return false
			}
		}
		return true
	case Any:
		for _, t := range c.Terms {
			if t.Holds(r) {
				return true
			}
		}
		return false
	case NoItem:
		return r == nil
	}
	v, ok := r.Get(c.Attr)
	sign, comparable := v.Compare(c.Value)
	switch c.Test {
	case Absent:
		return !ok
	case Equal:
		return ok && comparable && sign == 0
	case Differs:
		return !ok || !comparable || sign != 0
	case Less:
		return ok && comparable && sign < 0
	case AtMost:
		return ok && comparable && sign <= 0
	default:
		return false
	}
}

// Apply is the item after the write, with old unchanged. As in DynamoDB every
// right side reads the old item. It reports false where DynamoDB would refuse the
// update itself: Add or AddTo to what is no number, Add to what is not there.
func (w Write) Apply(old Record) (Record, bool) {
	next := make(Record, len(old), len(old)+len(w.Set))
	copy(next, old)
	for _, a := range w.Set {
		before, ok := old.Get(a.Attr)
		v := a.Value
		switch a.Op {
		case Put:
		case PutAbsent:
			if ok {
				v = before
			}
		case AddTo:
			if ok {
				v = before
			}
			if v.Kind != Number {
				return nil, false
			}
			v.Num += a.Delta
		case Add:
			if !ok || before.Kind != Number {
				return nil, false
			}
			v = number(before.Num + a.Delta)
		}
		next = next.set(a.Attr, v)
	}
	for _, name := range w.Remove {
		next = next.remove(name)
	}
	return next, true
}
