// Package deadletter looks after what failed: it reads the failure queue and the
// delivery dead-letter queue, says what lies there and why, and redrives it.
//
// A redrive hands a message to the function that it was meant for, and deletes it
// only after the function took it. The guard makes that safe: whatever was applied
// meanwhile is a duplicate.
//
// SQS itself cannot do this. It moves messages back only from the dead-letter queue
// of another queue, and neither of these two is one.
package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// SQS is what of Amazon SQS is used; *sqs.Client is one.
type SQS interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
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
	// TrustSender: the sender of a message does not matter. Without it a message is refused
	// that was not sent by the role of the consumer that it names.
	TrustSender bool
	// OneServer: the queues are those of an emulator, one server that knows at once when
	// there is nothing. Asking then does not wait.
	OneServer bool
	// Fetch gets what lies in the failure bucket; transport.Fetch says what its errors mean. Nil:
	// the stack names no bucket.
	Fetch func(context.Context, transport.Stored) ([]byte, error)
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
	FirstAt  time.Time // when it failed first, as far as known
	Events   []Event   // one, but for a batch that failed as a whole
	Body     string    // whole, as it lies in the queue
	Sent     time.Time // into this queue; zero: unknown
	Sender   string    // as SQS knows it, SenderId: of a role's session <role id>:<session>
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
	Subjects   []string // e.g. "Account/001…"; empty for platform events
	Refused    string   // why the decoder refuses it; empty: it does not
	JSON       []byte
}

// Filter chooses messages. Zero fields choose all.
type Filter struct {
	ID       string        // of the message, or its beginning
	Class    verdict.Class // "permanent" chooses every permanent/…
	Consumer string
}

// Match reports whether the message is chosen.
func (f Filter) Match(m Message) bool {
	return strings.HasPrefix(m.ID, f.ID) &&
		(f.Consumer == "" || f.Consumer == m.Consumer) &&
		(f.Class == "" || f.Class == m.Class || strings.HasPrefix(string(m.Class), string(f.Class)+"/"))
}

const (
	// look is how long a message stays away from others while it is looked at, should
	// we be killed before it is shown to them again.
	look = 20 * time.Second
	// hold is the same during a redrive, and of what a long reading meets a second time;
	// longer than any invocation, 15 minutes, lasts.
	hold = 16 * time.Minute
	// emptyReads is after how many receives that bring nothing new a queue counts as
	// read: SQS may answer "nothing" although there is something.
	emptyReads = 3
	// mostMessages bounds what is read of a queue.
	mostMessages = 100_000
	// giveUpAfter is how often in a row a consumer may fail before a redrive leaves the
	// rest of its messages alone: its sink is down.
	giveUpAfter = 5
)

// Read lists what lies in the queues, the oldest first, and leaves it there. It ends
// early, without an error, when limit messages are found; zero reads all. Messages
// that somebody else holds at the moment are not seen.
func (qs *Queues) Read(ctx context.Context, f Filter, limit int) (found []Message, err error) {
	for _, q := range qs.List {
		if err := qs.readQueue(ctx, q, f, limit, &found); err != nil {
			return nil, err
		}
		if limit > 0 && len(found) >= limit {
			break
		}
	}
	slices.SortStableFunc(found, func(a, b Message) int { return a.FirstAt.Compare(b.FirstAt) })
	return found, nil
}

// readQueue adds to found what f chooses, up to limit in all.
func (qs *Queues) readQueue(ctx context.Context, q Queue, f Filter, limit int, found *[]Message) (err error) {
	held := map[string]string{} // message id to its newest receipt handle
	defer func() { err = errors.Join(err, qs.release(ctx, q, held)) }()
	enough := func() bool { return limit > 0 && len(*found) >= limit }
	for nothingNew := 0; nothingNew < emptyReads && len(held) < mostMessages && !enough(); {
		out, err := qs.receive(ctx, q, look)
		if err != nil {
			return err
		}
		nothingNew++
		for _, received := range out.Messages {
			id, handle := aws.ToString(received.MessageId), aws.ToString(received.ReceiptHandle)
			_, seen := held[id]
			held[id] = handle
			if seen {
				if qs.away(ctx, q, handle, hold) == nil {
					nothingNew = 0 // it stands no longer before those that we have not seen
				}
				continue
			}
			nothingNew = 0
			if m := qs.message(ctx, q, received); f.Match(m) && !enough() {
				*found = append(*found, m)
			}
		}
	}
	return nil
}

func (qs *Queues) receive(ctx context.Context, q Queue, away time.Duration) (*sqs.ReceiveMessageOutput, error) {
	wait := int32(1) // asks all servers, not some
	if qs.OneServer {
		wait = 0
	}
	out, err := qs.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.URL, MaxNumberOfMessages: 10, VisibilityTimeout: int32(away / time.Second),
		WaitTimeSeconds:             wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("reading the %s queue: %w", q.Name, err)
	}
	return out, nil
}

// release shows messages to everybody again, also when ctx has ended.
func (qs *Queues) release(ctx context.Context, q Queue, held map[string]string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, handle := range held {
		err := qs.away(ctx, q, handle, 0)
		var gone *types.MessageNotInflight
		var stale *types.ReceiptHandleIsInvalid
		if err != nil && !errors.As(err, &gone) && !errors.As(err, &stale) { // those are visible already
			return fmt.Errorf("making the messages of the %s queue visible again: %w; SQS makes them visible by itself, within 16 minutes", q.Name, err)
		}
	}
	return nil
}

func (qs *Queues) away(ctx context.Context, q Queue, handle string, d time.Duration) error {
	_, err := qs.SQS.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.URL, ReceiptHandle: &handle, VisibilityTimeout: int32(d / time.Second),
	})
	return err
}

func (qs *Queues) message(ctx context.Context, q Queue, received types.Message) Message {
	raw := transport.SQSMessage{
		ID: aws.ToString(received.MessageId), Body: aws.ToString(received.Body),
		Attributes: received.Attributes, Custom: map[string]string{},
	}
	for name, v := range received.MessageAttributes {
		raw.Custom[name] = aws.ToString(v.StringValue)
	}
	m := Message{
		ID: raw.ID, Queue: q, Body: raw.Body, Sender: received.Attributes["SenderId"],
		MovedFrom: qs.byTarget(received.Attributes["DeadLetterQueueSourceArn"]).Name,
	}
	if ms, err := strconv.ParseInt(received.Attributes["SentTimestamp"], 10, 64); err == nil {
		m.Sent = time.UnixMilli(ms).UTC()
	}
	fetch := func(s transport.Stored) ([]byte, error) { return qs.fetch(ctx, s) }
	for i, opened := range transport.OpenSQSWith(raw, fetch) {
		if i == 0 {
			m.Form, m.Target, m.Class, m.Reason = opened.Form, opened.Target, opened.Class, opened.Reason
			m.Attempts, m.FirstAt, m.Consumer = opened.Attempts, opened.FirstAt, qs.consumerOf(opened)
			if opened.Err != nil {
				m.Reason = opened.Err.Error()
			}
			if opened.Unfetched {
				m.Unfetched = m.Reason
			}
		}
		e := event(opened)
		e.Consumer, e.Class = qs.consumerOf(opened), opened.Class
		m.Events = append(m.Events, e)
	}
	if m.FirstAt.IsZero() {
		m.FirstAt = m.Sent
	}
	return m
}

// fetch gets what a consumer of this stack has put into the failure bucket.
func (qs *Queues) fetch(ctx context.Context, s transport.Stored) ([]byte, error) {
	if _, ours := qs.byName(s.Consumer); !ours {
		return nil, fmt.Errorf("this stack has no consumer %q", s.Consumer)
	}
	if qs.Fetch == nil {
		return nil, errors.New("the stack names no failure bucket; deploy this version with make deploy")
	}
	return qs.Fetch(ctx, s)
}

// content is the consumer and the events of a message: the same for a copy that the
// consumer parks again.
func (m Message) content() string {
	s := m.Consumer
	for _, e := range m.Events {
		what := e.Identity
		if what == "" {
			what = string(e.JSON) // a queue may rewrite JSON; what has no identity is text to it
		}
		s += "\x00" + what + "\x00" + strings.Join(e.Subjects, " ")
	}
	return s
}

// event says of a message what can be said without the consumer.
func event(m transport.Message) Event {
	e := Event{JSON: m.Event}
	if m.Unfetched {
		return e
	}
	decoded, err := salesforce.Decode(m.Event, salesforce.Options{})
	if err != nil {
		e.Refused = err.Error()
		var envelope struct {
			ID         string `json:"id"`
			DetailType string `json:"detail-type"`
		}
		_ = json.Unmarshal(m.Event, &envelope) // what can be read of it
		e.Identity, e.DetailType = envelope.ID, envelope.DetailType
		return e
	}
	e.DetailType = decoded.DetailType
	if decoded.Cause != nil {
		e.Identity = decoded.Cause.Identity()
	}
	for _, c := range decoded.Changes {
		if m.Records != nil && !slices.Contains(m.Records, c.RecordID) {
			continue
		}
		if e.Identity == "" {
			e.Identity = c.Identity()
		}
		if c.RecordID != "" {
			e.Subjects = append(e.Subjects, c.Entity+"/"+c.RecordID)
		}
	}
	return e
}

// consumerOf is the name of the consumer that a message is for, as its parking says, or
// else its target; empty for a stranger's.
func (qs *Queues) consumerOf(m transport.Message) string {
	return cmp.Or(m.Consumer, qs.byTarget(m.Target).Name)
}

// byTarget finds the consumer behind the ARN of a function, with or without
// qualifier, or of its buffer.
func (qs *Queues) byTarget(arn string) Consumer {
	parts := strings.Split(arn, ":")
	for _, c := range qs.Consumers {
		switch {
		case len(parts) >= 7 && parts[2] == "lambda" && parts[6] == c.Function,
			len(parts) == 6 && parts[2] == "sqs" && c.Buffer != "" && parts[5] == c.Buffer[strings.LastIndex(c.Buffer, "/")+1:]:
			return c
		}
	}
	return Consumer{}
}

func (qs *Queues) byName(name string) (Consumer, bool) {
	i := slices.IndexFunc(qs.Consumers, func(c Consumer) bool { return c.Name == name })
	if i < 0 {
		return Consumer{}, false
	}
	return qs.Consumers[i], true
}
