// Package transport finds the Salesforce events in whatever brings them: EventBridge
// itself, an SQS batch, Lambda's on-failure record, a message of a rule's
// dead-letter queue, a message that a consumer parked, and these inside each other.
//
// It opens wrappings only. The event in the middle keeps its bytes, valid or not;
// judging them is the decoder's task.
package transport

import (
	"fmt"
	"time"

	"sfrelay/shared/verdict"
)

// Form is what brought an event, the outermost wrapping but for the SQS record.
type Form string

// The forms.
const (
	Event         Form = "event"      // as EventBridge delivers it, and whatever cannot be recognised
	Replay        Form = "replay"     // from an archive: the event has a replay-name
	OnFailure     Form = "on-failure" // Lambda's record of an asynchronous invocation that failed
	RuleDLQ       Form = "rule-dlq"   // EventBridge could not deliver it
	ParkedMessage Form = "parked"     // a consumer put it aside
	Lane          Form = "lane"       // a consumer put it into its own buffer, to try it again
)

// Batch is what one invocation, or one reading of a queue, brought.
type Batch struct {
	// SQS: the outermost wrapping is a batch of SQS records. Each answers for itself:
	// report the ID of every message that failed.
	SQS      bool
	Messages []Message
	Redrive  *Redrive // it is one, and waits for an answer; else nil
}

// Message is one event and what its wrappings say of it.
type Message struct {
	Form  Form
	Event []byte // verbatim, may be broken JSON
	// Err: this member could not be opened; Event then holds what it was. It is final where it
	// is an *Error; else the member may be opened later.
	Err error
	// Unfetched: Event is the message about an object of the failure bucket that could not be
	// had; Consumer is the one that has put it there.
	Unfetched bool

	Records  []string      // only these record ids of the event; nil: all
	Redrive  bool          // it was processed before and failed: an on-failure record, a parked message, or one that is redriven
	Consumer string        // parked, lane: by whom
	Target   string        // on-failure, rule-dlq: ARN of what it was meant for, a function or its buffer
	Class    verdict.Class // why it failed: the class of a parked message, errorType, ERROR_CODE
	Reason   string        // the same for people
	Attempts int           // so far, as the wrapping counts them; 0: unknown
	FirstAt  time.Time     // of the first failure; else, in a queue, when it was sent
	LastAt   time.Time
	FailedAt time.Time // lane: of the first failure; zero: there was none yet

	// Of the SQS message, empty without one. Messages that came in one record share them.
	ID            string   // messageId
	Others        []string // further records that it stands for: those that could not be read stand together
	ReceiptHandle string
	ReceiveCount  int
	ReceivedAt    time.Time // for the first time
	SentAt        time.Time
}

// Error says why a wrapping could not be opened. It is permanent.
type Error struct {
	Name  string // stable: invalid-batch, invalid-record, invalid-on-failure, invalid-parked, invalid-lane, invalid-redrive, invalid-packed, invalid-stored, object-gone, payload-dropped, nested-too-deep
	Where string // JSON pointer
	What  string // for people
}

func (e *Error) Error() string { return fmt.Sprintf("%s at %q: %s", e.Name, e.Where, e.What) }
