package guard

import (
	"cmp"
	"strings"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// Kind is the DynamoDB type of a Value.
type Kind byte

// The three types that an item uses.
const (
	String Kind = 'S'
	Number Kind = 'N'
	Binary Kind = 'B'
)

// Value is one attribute value, immutable and comparable with ==.
type Value struct {
	Kind Kind
	Num  int64
	Str  string // text, or the bytes of a Binary
}

func text(s string) Value           { return Value{Kind: String, Str: s} }
func number(n int64) Value          { return Value{Kind: Number, Num: n} }
func version(v order.Version) Value { return Value{Kind: Binary, Str: string(v[:])} }
func tokenValue(t Token) Value      { return Value{Kind: Binary, Str: string(t[:])} }

// Compare orders two values of one type as DynamoDB does: numbers by value, text
// and bytes as unsigned bytes. Values of different types have no order.
func (v Value) Compare(w Value) (sign int, comparable bool) {
	if v.Kind != w.Kind {
		return 0, false
	}
	if v.Kind == Number {
		return cmp.Compare(v.Num, w.Num), true
	}
	return strings.Compare(v.Str, w.Str), true
}

// Attr is a named value.
type Attr struct {
	Name  string
	Value Value
}

// Record is an item as the store keeps it, without its key: flat attributes, in
// no order. A nil Record is an item that does not exist.
type Record []Attr

// Get is the attribute of that name.
func (r Record) Get(name string) (Value, bool) {
	for i := range r {
		if r[i].Name == name {
			return r[i].Value, true
		}
	}
	return Value{}, false
}

func (r Record) set(name string, v Value) Record {
	for i := range r {
		if r[i].Name == name {
			r[i].Value = v
			return r
		}
	}
	return append(r, Attr{name, v})
}

func (r Record) remove(name string) Record {
	for i := range r {
		if r[i].Name == name {
			r[i] = r[len(r)-1]
			return r[:len(r)-1]
		}
	}
	return r
}

// The attributes of an item (docs/reference/guard.md, item layout). A field's version is
// under fieldPrefix + its code.
const (
	attrStatus    = "s" // N: see Status
	attrOwner     = "o" // B16: token of the attempt that claimed, kept afterwards
	attrEpoch     = "n" // N: fencing token, only ever growing
	attrAttempts  = "a" // N: attempts since the last success
	attrUntil     = "u" // N: ms, end of the lease (running) or of the protection (unknown); 0 idle
	attrDoubt     = "w" // B16: token of the oldest attempt whose request is unresolved
	attrFull      = "d" // B20: version of the last full state
	attrTombstone = "z" // B20: version of the last delete
	attrHash      = "h" // B8: hash of the content that the sink holds
	attrParts     = "c" // B: hashes of its parts, PartBytes each
	attrLink      = "l" // S: the sink's own id
	attrClass     = "e" // S: class of the last error
	attrParked    = "p" // B: what lies in the failure queue, see marks
	attrSeen      = "q" // B20: version of the last full state of which a field did not fit
	attrLayout    = "g" // N: layout of the item; absent = 1
	attrExpires   = "x" // N: TTL in seconds, only where the subject is an event id

	fieldPrefix = "."
)

// The layouts of items. They differ in what h is a hash of.
const (
	firstLayout = 1 // content as the source spelled it
	layout      = 2 // content in one spelling
)

// Status is what an item says of the attempt that last claimed it.
type Status int64

// The statuses. Only EachOnce has Done.
const (
	Idle           Status = 0 // nobody works on it
	Running        Status = 1 // claimed; the lease ends at Until
	Retry          Status = 2 // the last attempt certainly had no effect
	StatusUnknown  Status = 3 // nobody knows whether it had one
	Done           Status = 4 // the action has happened, for ever
	statusNeverSet Status = -1
)

func (s Status) String() string {
	switch s {
	case Idle:
		return "idle"
	case Running:
		return "running"
	case Retry:
		return "retry"
	case StatusUnknown:
		return "unknown"
	case Done:
		return "done"
	default:
		return "new"
	}
}

// Item is a Record read.
type Item struct {
	Exists    bool
	Status    Status
	Owner     Token
	Epoch     int64
	Attempts  int64
	Until     int64 // ms
	Doubt     Token // zero: none
	InDoubt   bool
	Full      order.Version
	Tombstone order.Version
	Hash      string // 8 bytes, empty when absent
	Parts     string // PartBytes for each part of the content; empty when absent
	Parked    string // versions of 20 bytes, with EachOnce hashes of 8: what lies in the failure queue
	Seen      order.Version
	Link      string
	Class     verdict.Class
	Layout    int64
	Fields    map[string]order.Version // by code
}

// ReadItem reads a record. Attributes that it does not know are left alone.
func ReadItem(r Record) Item {
	it := Item{Exists: r != nil, Status: statusNeverSet, Layout: firstLayout}
	for _, a := range r {
		v := a.Value
		switch a.Name {
		case attrStatus:
			it.Status = Status(v.Num)
		case attrOwner:
			copy(it.Owner[:], v.Str)
		case attrEpoch:
			it.Epoch = v.Num
		case attrAttempts:
			it.Attempts = v.Num
		case attrUntil:
			it.Until = v.Num
		case attrDoubt:
			it.InDoubt = true
			copy(it.Doubt[:], v.Str)
		case attrFull:
			copy(it.Full[:], v.Str)
		case attrTombstone:
			copy(it.Tombstone[:], v.Str)
		case attrHash:
			it.Hash = v.Str
		case attrParts:
			it.Parts = v.Str
		case attrParked:
			it.Parked = v.Str
		case attrSeen:
			copy(it.Seen[:], v.Str)
		case attrLink:
			it.Link = v.Str
		case attrClass:
			it.Class = verdict.Class(v.Str)
		case attrLayout:
			it.Layout = v.Num
		default:
			if code, ok := strings.CutPrefix(a.Name, fieldPrefix); ok {
				if it.Fields == nil {
					it.Fields = make(map[string]order.Version, len(r))
				}
				var fv order.Version
				copy(fv[:], v.Str)
				it.Fields[code] = fv
			}
		}
	}
	return it
}

// field is the version that a field is at: its own, or that of a full state or a
// delete after it.
func (it *Item) field(code string) order.Version {
	return order.Newest(it.Fields[code], it.Full, it.Tombstone)
}

// protected reports whether nobody holds the item, and a request may still be on its
// way to the sink.
func (it *Item) protected(now int64) bool { return it.Status == StatusUnknown && it.Until > now }

// highest is the newest version the item knows of.
func (it *Item) highest() order.Version {
	v := order.Newest(it.Full, it.Tombstone)
	for _, f := range it.Fields {
		v = order.Newest(v, f)
	}
	return v
}
