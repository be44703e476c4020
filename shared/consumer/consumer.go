// Package consumer turns the definition of a consumer into the handler of a Lambda
// function: it opens whatever transport brought an event, decodes it, takes every
// change through the guard to the consumer's own code, parks what can never
// succeed, and leaves one log line for each change.
//
// There are three kinds of consumers. A State keeps the full state of a key at a
// sink: the newest one wins. A Record keeps a Salesforce record at a sink, field by
// field: of each field the newest change wins. An Action does something once.
//
// What a consumer reads is a struct T with a tag on every exported field:
//
//	`event:"Sku__c,required"`      the field of a platform event; without it, null or "", the change is refused
//	`cdc:"BillingAddress.Street"`  the field of a change event, by component
//	`cdc:"A.CountryCode|A.Country"` the first of them that has a value
//	`rest:"AccountId"`             the field in the org, where it is not that of the change event
//	`rest:"Lines__r(sku=Sku__c)"`  child records as a JSON list of objects
//	`ref:"Account"`                a record id of that object: checked, and read in its form of 18 characters
//	`guard:"bs"`                   Record only: a short code, part of the item: never rename
//	`event:"-"`                    not read
//
// The fields of a Record are sink.Field[string], which keeps null apart from absent.
// Those of a State or an Action may also be string, int, Date, DateTime, or implement
// encoding.TextUnmarshaler. A number that is read as a text is a plain decimal. What has
// to be normalised is normalised here, when it is read: the same fact in another spelling
// is the same content. A refusal that UnmarshalText makes with sink.Refuse keeps its name.
//
// The consumer's own code says how a call to the sink ended: nil where the sink took
// it, else what sink.Refuse, sink.NotYet or sink.InDoubt make. Any other error leaves
// the attempt in doubt: the sink may have taken it, so it is asked again.
package consumer

import (
	"context"
	"time"

	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
)

// Definition is what a consumer is: a State, a Record or an Action.
type Definition interface {
	// Describe says what it is, for tests, documents and tools.
	Describe() Description

	// Look says what it makes of one change of an event before the guard is asked: which
	// record and subject, which version. It needs no sink, no guard and no network.
	Look(e *salesforce.Event, ch *salesforce.Change) Look

	// Port is where it goes to; nil where the definition was made for its description only.
	Port() sink.Port

	build(env Env) (Handler, error)
}

// PlatformEvent is a platform event that a consumer takes, and those of its fields that
// say which record it speaks of and when. A field that is not named is not looked at.
type PlatformEvent struct {
	Name       string // API name, e.g. "Inventory_Update__e": also EventBridge's detail-type
	ModifiedAt string // Date/Time: the record's modification time. Without a value: CreatedDate, when it was published
	Sequence   string // Number that grows among the events of one modification time
	Record     string // id of the record of the consumer's Object
	Operation  string // UPSERT, or DELETE: the record is gone. Without a value: UPSERT
	Style      string // THIN: the event holds ids and times only; the record has to be read from Salesforce

	// Fields lists the fields that the publisher filled, by API name, comma separated, e.g.
	// "Phone__c, Email__c". Salesforce sends every field that a publisher leaves out as null:
	// WITHOUT A VALUE HERE, NULL CLEARS THE FIELD AT THE SINK.
	Fields string
}

// State keeps the full state of a key at a sink, e.g. the quantity of a SKU at a
// warehouse: whatever order the events come in, the sink ends with the newest one. It
// takes platform events only, because change events hold parts of a record.
type State[T any] struct {
	Name   string // of the consumer, its folder and its block in template.yaml; part of every guard key: never rename
	Events []PlatformEvent

	// Key names the thing whose states have an order.
	Key func(T) Key

	To  sink.Port // its contract decides what an attempt in doubt may do
	Put func(ctx context.Context, ref sink.Ref, state T) (sink.Receipt, error)
}

// Record keeps a record of a Salesforce object at a sink: of each field the newest
// change wins, whichever source it comes from.
type Record[T any] struct {
	Name    string // of the consumer, its folder and its block in template.yaml; part of every guard key: never rename
	Object  string // API name, e.g. "Account"
	Changes bool   // takes the change events (Change Data Capture) of Object
	Events  []PlatformEvent

	// WriteBack names fields that our own client writes into the records: a change of
	// nothing else, made by that client, is our own echo.
	WriteBack []string

	// Extra names custom fields that are read besides those of T, into its Extra.
	Extra []string

	To sink.Port // its contract decides what an attempt in doubt may do

	// Put writes a full state: every field of T is present, all of one version. Nil: Patch
	// writes full states too.
	Put func(ctx context.Context, ref sink.Ref, recordID string, all T) (sink.Receipt, error)

	// Patch writes the fields of some that are present, and leaves the others alone. It
	// creates what is missing.
	Patch func(ctx context.Context, ref sink.Ref, recordID string, some T) (sink.Receipt, error)

	// Delete is told that the record is gone in Salesforce.
	Delete func(ctx context.Context, ref sink.Ref, recordID string) (sink.Receipt, error)
}

// Action does something once: it issues an invoice, it sends a notice.
type Action[T any] struct {
	Name    string // of the consumer, its folder and its block in template.yaml; part of every guard key: never rename
	Object  string // API name of the object whose records it is about; may be empty with PerKey and PerEvent
	Changes bool   // takes the change events (Change Data Capture) of Object
	Events  []PlatformEvent

	// Once says what it happens once for: PerRecord, PerKey or PerEvent.
	Once Once

	// When sorts changes out. Nil: it acts on every one, which is refused where a change
	// may be the deletion of its record.
	When func(Change[T]) Decision

	// WriteBack is that of Record.
	WriteBack []string

	// Any acts on a change of any field, also on one of which the event does not say all (a
	// gap event, a text as a difference): Change.Partial says so, and T holds what the event
	// has of it. Without it a change concerns the Action if it touches a field of T, and the
	// record is needed whole.
	Any bool

	To sink.Port // its contract decides what an attempt in doubt may do

	// InDoubt says what becomes of an attempt that may have reached the sink, where the
	// contract of To cannot settle it. It is required there, and refused elsewhere.
	InDoubt Doubt

	Do func(ctx context.Context, ref sink.Ref, c Change[T]) (sink.Receipt, error)
}

// Change is one change as a consumer's own code sees it.
type Change[T any] struct {
	Org      string // 18 characters
	RecordID string // 18 characters, of the consumer's Object; empty when the event names none
	Content  T
	Deleted  bool      // the record is gone; Content is empty
	CDC      bool      // a change event
	At       time.Time // when the record was changed, as far as the change says
	// Changed reports whether the change itself changed the field of a change event:
	// an update names it, a create or undelete has a value for it.
	Changed func(field string) bool

	Type    salesforce.ChangeType
	Version string // 40 hex digits: of two of one record, the greater one is newer; empty without one
	Partial bool   // the event does not say all that was changed
	Fetched bool   // Content was read from the org after the change, whole; Action only
	// Names are the fields for which Changed is true, of a compound one its parts.
	Names func() []string
	// Value is what the event says of a field, as a text; nil is null. ok is false where it
	// does not say, or says only what is different.
	Value func(field string) (value *string, ok bool)
}

// Once is what an Action happens once for.
type Once struct {
	action string
	event  bool
	key    any // func(T) Key
}

// PerRecord is once for each record of Object, for ever, e.g. PerRecord("invoice"):
// whatever happens to the record later. A record may have several actions: each of
// them is a consumer with a name of its own.
func PerRecord(action string) Once { return Once{action: action} }

// PerKey is once for each key, for ever. T is what the Action reads.
func PerKey[T any](key func(T) Key) Once { return Once{key: key} }

// PerEvent is once for each event, for actions without a business key. An event is
// remembered for 35 days; one that is older and unknown is parked as too-old.
func PerEvent() Once { return Once{event: true} }

// Doubt is what becomes of an attempt in doubt at a sink that cannot settle it.
type Doubt int

// The ways out of a doubt.
const (
	ParkInDoubt   Doubt = iota + 1 // a person decides: the sink gets it at most once
	RepeatInDoubt                  // it is sent again: the sink gets it at least once
)

// Decision is what an Action does about a change.
type Decision int

// The decisions of Action.When.
const (
	Act    Decision = iota
	Ignore          // not for this consumer; costs nothing
	// NeedsSnapshot: the change says that something happened but lacks what is needed to
	// act on it. It is parked without touching the item.
	NeedsSnapshot
)

// Merges tells what became of a record that was perhaps merged or deleted. Where the org
// cannot be asked it knows nothing.
type Merges interface {
	// MergedInto is the record that took over, empty where none did. gone: the record was
	// deleted and nothing took over.
	MergedInto(ctx context.Context, object, id string) (into string, gone bool, err error)
}

// LinkReader tells the sink's own id that another consumer remembers of a subject.
// An empty link without an error: it has none yet.
type LinkReader interface {
	Link(ctx context.Context, consumer, org string, k Key) (string, error)
}
