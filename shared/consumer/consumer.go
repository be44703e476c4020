// Package consumer turns the definition of a consumer into the handler of a Lambda
// function: it opens whatever transport brought an event, decodes it, takes every
// change through the guard to the consumer's own Apply, parks what can never
// succeed, and leaves one log line for each change.
package consumer

import (
	"context"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
)

// Consumer is one definition: what it takes, what order means to it, and what to do.
// T is what it reads of a change, a struct with a tag on every field:
//
//	`event:"Sku__c,required"`             the field of a platform event
//	`cdc:"BillingAddress.Street"`         the field of a change event, by component
//	`guard:"bs"`                          FieldMerge: a short code, part of the item: never rename
//
// Fields are string, sink.Field[string] (FieldMerge takes nothing else), int, or
// implement encoding.TextUnmarshaler.
type Consumer[T any] struct {
	Name    string // part of every guard key: never rename
	Takes   []Source
	Policy  guard.Policy
	Sink    sink.Contract // what the sink promises decides what an attempt in doubt may do
	Subject func(Change[T]) string
	// PerEvent, for EachOnce: the subject is the event itself, for actions without a
	// business key. It is remembered for 35 days; an event older than that and unknown
	// is parked as too-old. Subject must be nil.
	PerEvent bool
	Triage   func(Change[T]) Triage // nil: every change is processed
	// WriteBack names fields that our own client writes into the records: a change of
	// nothing else, made by that client, is our own echo.
	WriteBack []string
	Apply     func(ctx context.Context, a Attempt[T]) (sink.Receipt, error)
}

// Source is a kind of event that a consumer takes.
type Source struct {
	// Event is the API name of a platform event, e.g. "Inventory_Update__e". Empty for
	// change events.
	Event string
	// Object is the object whose change events are taken, e.g. "Account"; with Event,
	// the object whose record a platform event speaks of. May be empty with Event.
	Object string

	// The fields of a platform event that the adapter itself reads.
	Record     string // id of the record
	Operation  string // UPSERT (default) or DELETE
	ModifiedAt string // the record's modification time; empty: CreatedDate
	Sequence   string // a number that orders events of one modification time
	Style      string // THIN: only ids and times, the record has to be fetched
}

// ChangeEvents are the change events (Change Data Capture) of an object.
func ChangeEvents(object string) Source { return Source{Object: object} }

// detailType is the name under which EventBridge delivers the source: for a custom
// object MyObj__c that is MyObj__ChangeEvent.
func (s Source) detailType() string {
	if s.Event != "" {
		return s.Event
	}
	const custom = "__c"
	if n := len(s.Object) - len(custom); n > 0 && s.Object[n:] == custom {
		return s.Object[:n] + "__ChangeEvent"
	}
	return s.Object + "ChangeEvent"
}

// Change is what a definition may look at to name a subject or to sort changes out.
type Change[T any] struct {
	Org      string // 18 characters
	RecordID string // 18 characters, of Source.Object; empty when the event names none
	Content  T
	Deleted  bool
	CDC      bool
	// Changed reports whether the change itself changed the field of a change event:
	// an update names it, a create or undelete has a value for it.
	Changed func(field string) bool
}

// Triage is what to do with a change.
type Triage int

// The decisions of Consumer.Triage.
const (
	Process Triage = iota
	Ignore         // not for this consumer; costs nothing
	// NeedsSnapshot: the change says that something happened but lacks what is needed to
	// act on it. It is parked without touching the item.
	NeedsSnapshot
)

// Attempt is one permission to act on the sink. It ends with the context.
type Attempt[T any] struct {
	Ref      sink.Ref
	RecordID string
	// Content is the whole state for NewestWins and EachOnce. For FieldMerge it holds
	// exactly the fields to write; the others are not Present.
	Content T
	Whole   bool // FieldMerge: Content is every field, all at one version: a full state
	Deleted bool // FieldMerge: the record is gone; Content is empty
}

// LinkReader tells the sink's own id that another consumer remembers of a subject.
// An empty link without an error: it has none yet.
type LinkReader interface {
	Link(ctx context.Context, consumer, org, subject string) (string, error)
}

// RecordID is the 18-character form of a record id that a payload holds.
func RecordID(id string) (string, error) { return salesforce.ID18(id) }
