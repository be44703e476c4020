// Package notify is what the consumers ask of a receiver that wants to know of changes:
// to be told once of each. Connectors live in folders named after the protocol, e.g.
// notify/webhook.
//
// Errors of every method are *sink.Error with their class and whether the receiver took
// the call, and no field value in them.
package notify

import (
	"context"
	"time"

	"sfrelay/shared/sink"
)

// Receiver is told of changes.
type Receiver interface {
	// Contract is what the receiver promises for Tell.
	Contract() sink.Contract

	// Tell says that a record was changed. Two calls with the same consumer, org and subject
	// in ref are about one event: the receiver can tell by their id that they are.
	Tell(ctx context.Context, ref sink.Ref, n Notification) (sink.Receipt, error)
}

// Kind is what happened to the record.
type Kind string

// The kinds.
const (
	Created   Kind = "created"
	Updated   Kind = "updated"
	Deleted   Kind = "deleted"
	Undeleted Kind = "undeleted"
)

// Notification is one change of one record.
type Notification struct {
	Object    string // API name, e.g. "Contact"
	RecordID  string // 18 characters
	AccountID string // 18 characters; empty where the event does not say
	Kind      Kind
	// Partial: the event does not say all that was changed (a gap event), so the record has
	// to be read where that matters.
	Partial bool
	Fields  []string  // names of the changed fields, of a compound one its parts; never nil
	At      time.Time // of the commit
	Version string    // 40 hex digits: of two of one record, the greater one is newer
	// Values of the fields that the deployment lists, by name; nil is null. A field that the
	// event does not carry is not in it.
	Values map[string]*string
}
