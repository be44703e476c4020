// Package deadletter looks after what failed: it reads the failure queue and the
// delivery dead-letter queue, says what lies there and why, and redrives it.
//
// A redrive hands a message to the function that it was meant for, and deletes it
// only after the function said of each of its changes that it got through. The guard makes
// that safe: whatever was applied meanwhile is a duplicate.
//
// SQS itself cannot do this. It moves messages back only from the dead-letter queue
// of another queue, and neither of these two is one.
package deadletter

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// SQS is what of Amazon SQS is used; *sqs.Client is one.
type SQS interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// Lambda is what of AWS Lambda is used; *lambda.Client is one.
type Lambda interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Queue is one of the two queues.
type Queue struct {
	Name string // "failure" or "delivery", for people
	URL  string
	// FromRules: EventBridge's rules write into the queue, and its policy lets in no other.
	// SQS names a sender of AWS's own there, which says nothing.
	FromRules bool
}

// Consumer is a function that messages are redriven to.
type Consumer struct {
	Name     string // as in parked messages
	Function string // physical name
	Buffer   string // name or URL of the queue before it; may be empty
	RoleID   string // unique id of the function's role; empty: unknown
}

// Queues are where messages lie, and whom they are for. SQS and Lambda must be set.
type Queues struct {
	SQS       SQS
	Lambda    Lambda
	List      []Queue // the failure queue, which consumers park into, comes first
	Consumers []Consumer
	// TooOld: somebody has decided that events of class too-old, which are older than
	// events are remembered, were never applied. Without it they are refused.
	TooOld bool
	// Resolved: somebody has decided on what may have been done (in-doubt). If the guard was not
	// told, it does nothing again. Without it such messages are refused.
	Resolved bool
	// TrustSender: the sender of a message does not matter. Without it a message is refused
	// that was not sent by the role of the consumer that it names.
	TrustSender bool
	// Earlier: the queues are of an earlier stack with the name of the one that Consumers are of.
	Earlier bool
	// OneServer: the queues are those of an emulator, one server that knows at once when
	// there is nothing. Asking then does not wait.
	OneServer bool
	// ReadsOrg: the consumers can read records from Salesforce, so what waits for that can be
	// redriven.
	ReadsOrg bool
	// Readers is how many receive side by side; 0: 8.
	Readers int
	// Fetch gets what lies in the failure bucket; transport.Fetch says what its errors mean. Nil:
	// the stack names no bucket.
	Fetch func(context.Context, transport.Stored) ([]byte, error)
	// Subject is what a consumer makes of a change: which record it is about, or which key. Nil,
	// or empty: what the change itself says.
	Subject func(consumer string, e *salesforce.Event, ch *salesforce.Change) string
	// Now is asked where SQS does not say what time it is; nil: time.Now.
	Now func() time.Time
}

// Message is one message of a queue.
type Message struct {
	ID       string // of the SQS message
	Queue    Queue
	Form     transport.Form
	Consumer string        // empty: nobody of ours, see Target
	Target   string        // ARN of what it was meant for, where the message names one
	Class    verdict.Class // class, errorType or ERROR_CODE
	Reason   string
	Attempts int
	FirstAt  time.Time         // when it failed first, as far as known
	LastAt   time.Time         // and when last; else, when it was sent into the queue
	Events   []Event           // one, but for a batch that failed as a whole
	Body     string            // whole, as it lies in the queue
	Custom   map[string]string // attributes that its sender gave it
	Sent     time.Time         // into this queue; zero: unknown
	Received int               // how often by anybody, as SQS counts
	Sender   string            // as SQS knows it, SenderId: of a role's session <role id>:<session>
	// Unfetched: the events lie in the failure bucket, and could not be had for this reason.
	// Events then holds the message that names them.
	Unfetched string
	// MovedFrom is the consumer from whose buffer SQS moved the message here by itself;
	// Sender is then the one of that buffer's message.
	MovedFrom string
}

// Event is what a message holds. In a bundle each has a consumer and a class of its own.
type Event struct {
	Consumer   string
	Class      verdict.Class
	DetailType string
	Identity   string   // of the change; of the first one, where there are several
	Org        string   // 18 characters
	Subjects   []string // e.g. "Account/001…", "stock/SKU-1@BER"
	Refused    string   // why the decoder refuses it; empty: it does not
	JSON       []byte
}

// Org is the org of the message's events; empty where it cannot be told.
func (m Message) Org() string {
	for _, e := range m.Events {
		if e.Org != "" {
			return e.Org
		}
	}
	return ""
}

// Subjects are those of all events of the message.
func (m Message) Subjects() (all []string) {
	for _, e := range m.Events {
		all = append(all, e.Subjects...)
	}
	return all
}

// Filter chooses messages. Zero fields choose all.
type Filter struct {
	ID       string        // of the message, or its beginning
	Class    verdict.Class // "permanent" chooses every permanent/…
	Consumer string
	Record   string    // id of a record, of 15 or 18 characters, or another key, or a subject whole
	Object   string    // API name of the object, or what else a subject begins with
	Org      string    // id, of 15 or 18 characters
	Since    time.Time // it failed first then or later
	Until    time.Time // it failed first before
	Text     string    // stands in the reason or the event, whatever the case
}

// Match reports whether the message is chosen.
func (f Filter) Match(m Message) bool {
	return strings.HasPrefix(m.ID, f.ID) &&
		(f.Consumer == "" || f.Consumer == m.Consumer) &&
		(f.Class == "" || f.Class == m.Class || strings.HasPrefix(string(m.Class), string(f.Class)+"/")) &&
		(f.Org == "" || sameID(m.Org(), f.Org)) &&
		(f.Since.IsZero() || !m.FirstAt.Before(f.Since)) &&
		(f.Until.IsZero() || m.FirstAt.Before(f.Until)) &&
		f.matchesSubject(m) && f.matchesText(m)
}

func (f Filter) matchesSubject(m Message) bool {
	if f.Record == "" && f.Object == "" {
		return true
	}
	return slices.ContainsFunc(m.Subjects(), func(subject string) bool {
		object, key, _ := strings.Cut(subject, "/")
		id, _, _ := strings.Cut(key, "/") // behind it may stand what an action does
		return (f.Object == "" || strings.EqualFold(object, f.Object)) &&
			(f.Record == "" || f.Record == subject || f.Record == key || sameID(id, f.Record))
	})
}

// sameID compares the id of a record with one that somebody gave, in its short form or its
// long one.
func sameID(id, given string) bool {
	const short = 15
	if len(given) == short && len(id) > short {
		id = id[:short]
	}
	return id != "" && id == given
}

func (f Filter) matchesText(m Message) bool {
	if f.Text == "" {
		return true
	}
	text := strings.ToLower(f.Text)
	return strings.Contains(strings.ToLower(m.Reason), text) ||
		slices.ContainsFunc(m.Events, func(e Event) bool { return strings.Contains(strings.ToLower(string(e.JSON)), text) })
}

func (qs *Queues) readers() int {
	if qs.Readers > 0 {
		return qs.Readers
	}
	return 8
}

func (qs *Queues) byName(name string) (Consumer, bool) {
	i := slices.IndexFunc(qs.Consumers, func(c Consumer) bool { return c.Name == name })
	if i < 0 {
		return Consumer{}, false
	}
	return qs.Consumers[i], true
}
