package transport

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/verdict"
)

const (
	// maxNesting is how deep wrappings may lie in each other.
	maxNesting = 8
	// maxMessages is what the largest batch of SQS to Lambda holds.
	maxMessages = 10_000
	// maxInside is how many events one message may hold: nobody sends more than a batch of
	// ReceiveMessage inside of a message.
	maxInside = 10
	// maxUnreadable is how many members of a batch may be no SQS records. Lambda makes none.
	maxUnreadable = 100
)

// Open finds the events in raw. Whatever it does not recognise is taken for an
// event, so that the decoder can say what is wrong with it. A member that cannot
// be opened has its Err and stops no other. The error is an *Error and means that
// raw is a batch of which no member can be told.
//
// Messages may share memory with raw.
func Open(raw []byte) (Batch, error) { return OpenWith(raw, nil) }

// OpenWith is Open with what lies in the failure bucket.
func OpenWith(raw []byte, fetch Fetch) (Batch, error) {
	limit := maxInside
	s := shape(raw)
	if s == batchShape {
		limit = maxMessages
	}
	o := opener{left: limit, fetch: fetch}
	var err error
	b := Batch{SQS: s == batchShape}
	switch s {
	case batchShape:
		b.Messages, err = o.batch(raw, 0)
	case receivedShape:
		b.Messages, err = o.received(raw)
	case redriveShape:
		b.Redrive, b.Messages = o.redriven(raw, 0)
	default:
		b.Messages = o.shaped(s, raw, 0)
	}
	if err == nil && o.left < 0 {
		err = &Error{"invalid-batch", "", tooMany(limit)}
	}
	if err != nil {
		return Batch{}, err
	}
	return b, nil
}

// lenient reads wrappings only: the event inside keeps its duplicate keys and bad
// bytes, and is refused by its own name.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

type wrapping int

const (
	bareShape   wrapping = iota // an event, or something that is to be refused as one
	replayShape                 // an event with replay-name
	batchShape
	receivedShape
	onFailureShape
	parkedShape
	laneShape
	packedShape
	storedShape
	redriveShape
)

// keys are those by which wrappings are told apart.
type keys uint32

const (
	detailTypeKey keys = 1 << iota
	sourceKey
	detailKey
	replayNameKey
	recordsKey
	messagesKey
	bodyKey
	messageIDKey
	requestContextKey
	requestPayloadKey
	eventKey
	consumerKey
	classKey
	laneKey
	packedKey
	packedBodyKey
	timestampKey
	storedKey
	objectKey
	redriveKey
	messageKey
)

var keysByName = map[string]keys{
	`"detail-type"`: detailTypeKey, `"source"`: sourceKey, `"detail"`: detailKey, `"replay-name"`: replayNameKey,
	`"Records"`:  recordsKey,
	`"Messages"`: messagesKey, `"Body"`: bodyKey, `"MessageId"`: messageIDKey,
	`"requestContext"`: requestContextKey, `"requestPayload"`: requestPayloadKey,
	`"event"`: eventKey, `"consumer"`: consumerKey, `"class"`: classKey, `"lane"`: laneKey,
	`"packed"`: packedKey, `"body"`: packedBodyKey, `"timestamp"`: timestampKey,
	`"stored"`: storedKey, `"key"`: objectKey,
	`"redrive"`: redriveKey, `"message"`: messageKey,
}

// shape tells the wrappings apart by their top-level keys.
func shape(raw []byte) wrapping {
	if plain(raw) {
		return bareShape
	}
	return read(raw)
}

// read is shape by every token, without keeping a value. It reads all of raw: once a wrapping
// is enough.
func read(raw []byte) wrapping {
	var seen keys
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), lenient...)
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return bareShape
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return bareShape
		}
		seen |= keysByName[string(name)]
		if err := dec.SkipValue(); err != nil {
			return bareShape
		}
	}
	has := func(all keys) bool { return seen&all == all }
	switch {
	case has(detailTypeKey), has(sourceKey | detailKey):
		if has(replayNameKey) {
			return replayShape
		}
		return bareShape
	case has(redriveKey | messageKey):
		return redriveShape
	case has(recordsKey):
		return batchShape
	case has(messagesKey), has(bodyKey | messageIDKey):
		return receivedShape
	case has(requestContextKey | requestPayloadKey), has(requestContextKey | timestampKey):
		return onFailureShape
	case has(packedKey | packedBodyKey):
		return packedShape
	case has(storedKey | objectKey):
		return storedShape
	case has(laneKey | eventKey | consumerKey):
		return laneShape
	case has(eventKey | consumerKey | classKey):
		return parkedShape
	}
	return bareShape
}

type opener struct {
	left     int // messages that it may still make
	fetch    Fetch
	unpacked bool // what it is in was packed or stored
}

func (o *opener) one(m Message) []Message {
	if o.left--; o.left < 0 {
		return nil // Open refuses the whole
	}
	return []Message{m}
}

func (o *opener) broken(raw []byte, name, where, what string) []Message {
	return o.one(Message{Form: Event, Event: raw, Err: &Error{name, where, what}})
}

// open never fails: what it cannot open becomes a message with its error.
func (o *opener) open(raw []byte, depth int) []Message { return o.shaped(shape(raw), raw, depth) }

// shaped is open for bytes whose shape is known.
func (o *opener) shaped(s wrapping, raw []byte, depth int) []Message {
	if depth > maxNesting && s != bareShape && s != replayShape {
		return o.broken(raw, "nested-too-deep", "", "there are more than "+strconv.Itoa(maxNesting)+" wrappings around the event")
	}
	switch s {
	case replayShape:
		return o.one(Message{Form: Replay, Event: raw})
	case onFailureShape:
		return o.onFailure(raw, depth)
	case parkedShape:
		return o.parked(raw, depth)
	case packedShape:
		return o.packed(raw, depth)
	case storedShape:
		return o.stored(raw, depth)
	case laneShape:
		return o.waiting(raw, depth)
	case redriveShape:
		_, messages := o.redriven(raw, depth)
		return messages
	case batchShape:
		messages, err := o.batch(raw, depth)
		if err != nil {
			return o.one(Message{Form: Event, Event: raw, Err: err})
		}
		return messages
	default:
		return o.one(Message{Form: Event, Event: raw})
	}
}

// sqsNames are what the members of an SQS message are called.
type sqsNames struct{ id, receipt, body, attributes, custom, text string }

var (
	// handedOver is the spelling of Lambda (Lambda Developer Guide, "Using Lambda with
	// Amazon SQS").
	handedOver = sqsNames{"messageId", "receiptHandle", "body", "attributes", "messageAttributes", "stringValue"}
	// received is that of ReceiveMessage.
	received = sqsNames{"MessageId", "ReceiptHandle", "Body", "Attributes", "MessageAttributes", "StringValue"}
)

// read reads a message; one without a body is an error.
func (n *sqsNames) read(raw []byte) (m SQSMessage, err error) {
	m.Custom = map[string]string{}
	body := false
	err = jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case n.id:
			m.ID, err = jsonobject.Text(v)
		case n.receipt:
			m.ReceiptHandle, err = jsonobject.Text(v)
		case n.body:
			body = v.Kind() != 'n'
			m.Body, err = jsonobject.Text(v)
		case n.attributes:
			m.Attributes = map[string]string{}
			return texts(v, m.Attributes, "")
		case n.custom:
			return texts(v, m.Custom, n.text)
		}
		return err
	})
	if err == nil && !body {
		err = &jsonobject.Error{What: "want a body"}
	}
	return m, err
}

// texts reads the texts of an object, or the member of that name of each of its objects.
func texts(raw []byte, into map[string]string, member string) error {
	return jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		if member == "" {
			into[name], err = jsonobject.Text(v)
			return err
		}
		into[name] = ""
		return jsonobject.Members(v, func(inner string, v jsontext.Value) (err error) {
			if inner == member {
				into[name], err = jsonobject.Text(v)
			}
			return err
		})
	})
}

// batch opens the members. At the outermost those that cannot be read become one message,
// beside the others; inside of a message nothing answers for them one by one, and the
// whole is refused.
func (o *opener) batch(raw []byte, depth int) (messages []Message, err error) {
	var rest unreadable
	_, err = members(raw, "Records", func(i int, member jsontext.Value) error {
		where := "/Records/" + strconv.Itoa(i)
		m, err := handedOver.read(member)
		switch {
		case err == nil:
			messages = append(messages, o.sqs(m, depth)...)
		case depth > 0:
			return &Error{"invalid-record", where + place(err), "this is no SQS record with a body"}
		case rest.count == maxUnreadable:
			return &Error{"invalid-batch", where, "more than " + strconv.Itoa(maxUnreadable) + " members are no SQS records"}
		default:
			rest.add(member, where+place(err))
		}
		return o.enough()
	})
	if err != nil {
		return nil, err
	}
	return append(messages, rest.message(o)...), nil
}

// errEnough stops the reading of a batch that is refused for its size.
var errEnough = errors.New("enough")

func (o *opener) enough() error {
	if o.left < 0 {
		return errEnough
	}
	return nil
}

// members hands over each element of a list in an object. It reports whether the list is
// there.
func members(raw []byte, list string, each func(i int, member jsontext.Value) error) (found bool, err error) {
	err = jsonobject.Members(raw, func(name string, v jsontext.Value) error {
		if name != list || v.Kind() == 'n' {
			return nil
		}
		found = true
		return jsonobject.Elements(v, each)
	})
	if e, ok := errors.AsType[*jsonobject.Error](err); ok {
		return found, &Error{"invalid-batch", e.Where, list + " is no list"}
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// unreadable gathers the members of a batch that are no SQS records.
type unreadable struct {
	raw   []byte
	count int
	ids   []string
	where string // of the first
}

func (u *unreadable) add(member []byte, where string) {
	if u.raw == nil {
		u.raw, u.where = []byte(`{"Records":[`), where
	} else {
		u.raw = append(u.raw, ',')
	}
	u.raw = append(u.raw, member...)
	id := ""
	_ = jsonobject.Members(member, func(name string, v jsontext.Value) (err error) {
		if name == handedOver.id {
			id, err = jsonobject.Text(v)
		}
		return err
	})
	if u.count++; id != "" { // without its id the batch has to fail as a whole
		u.ids = append(u.ids, id)
	}
}

// message is a batch of those members alone.
func (u *unreadable) message(o *opener) []Message {
	if u.raw == nil {
		return nil
	}
	messages := o.broken(append(u.raw, "]}"...), "invalid-record", u.where, "this is no SQS record with a body")
	for i := range messages {
		if len(u.ids) > 0 {
			messages[i].ID, messages[i].Others = u.ids[0], u.ids[1:]
		}
	}
	return messages
}

func (o *opener) received(raw []byte) (messages []Message, err error) {
	open := func(i int, member jsontext.Value) error {
		if m, err := received.read(member); err != nil {
			messages = append(messages, o.broken(member, "invalid-record", "/Messages/"+strconv.Itoa(i)+place(err), "this is no SQS message with a body")...)
		} else {
			messages = append(messages, o.sqs(m, 0)...)
		}
		return o.enough()
	}
	found, err := members(raw, "Messages", open)
	if err == nil && !found { // one of them alone
		err = open(0, raw)
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return messages, nil
}

// SQSMessage is one from any source.
type SQSMessage struct {
	ID            string
	ReceiptHandle string
	Body          string            //
	Attributes    map[string]string // of SQS, e.g. ApproximateReceiveCount
	Custom        map[string]string // message attributes of the sender, strings only
}

// OpenSQS finds the events in one SQS message: more than one when it holds the
// record of a failed batch.
func OpenSQS(m SQSMessage) []Message { return OpenSQSWith(m, nil) }

// OpenSQSWith is OpenSQS with what lies in the failure bucket.
func OpenSQSWith(m SQSMessage, fetch Fetch) []Message {
	o := opener{left: maxMessages, fetch: fetch}
	return o.sqs(m, 0)
}

// sqs opens the body, and puts what the envelope of the queue says around it.
// EventBridge writes its reason into message attributes (EventBridge User Guide,
// "Using dead-letter queues to process undelivered events").
func (o *opener) sqs(msg SQSMessage, depth int) []Message {
	var messages []Message
	if depth == 0 {
		messages = o.inside([]byte(msg.Body))
	} else {
		messages = o.open([]byte(msg.Body), depth+1)
	}
	for i := range messages {
		m := &messages[i]
		m.ID, m.ReceiptHandle = msg.ID, msg.ReceiptHandle
		m.ReceiveCount = count(msg.Attributes["ApproximateReceiveCount"])
		sent := sentAt(msg.Attributes["SentTimestamp"])
		m.SentAt, m.ReceivedAt = sent, sentAt(msg.Attributes["ApproximateFirstReceiveTimestamp"])
		m.FirstAt, m.LastAt, m.FailedAt = notAfter(m.FirstAt, sent), notAfter(m.LastAt, sent), notAfter(m.FailedAt, sent)
		if m.FirstAt.IsZero() {
			m.FirstAt = sent
		}
		if msg.Custom["RULE_ARN"] == "" && msg.Custom["TARGET_ARN"] == "" {
			if m.Target == "" && m.Consumer == "" {
				// SQS moved it here out of a buffer, as it was (SQS Developer Guide, "Dead-letter queues").
				m.Target = msg.Attributes["DeadLetterQueueSourceArn"]
			}
			continue
		}
		m.Form, m.Target = RuleDLQ, msg.Custom["TARGET_ARN"]
		m.Class, m.Reason = verdict.Class(msg.Custom["ERROR_CODE"]), msg.Custom["ERROR_MESSAGE"]
		m.Attempts = count(msg.Custom["RETRY_ATTEMPTS"])
		if !sent.IsZero() {
			m.LastAt = sent
		}
	}
	return messages
}

// inside opens the body of a message, which may hold a few events.
func (o *opener) inside(body []byte) []Message {
	i := opener{left: maxInside, fetch: o.fetch}
	messages := i.open(body, 1)
	if i.left < 0 {
		return o.broken(body, "invalid-batch", "", tooMany(maxInside))
	}
	o.left--
	return messages
}

func tooMany(limit int) string { return "there are more than " + strconv.Itoa(limit) + " messages" }

// place is where in the JSON the reading stopped.
func place(err error) string {
	if e, ok := errors.AsType[*jsonobject.Error](err); ok {
		return e.Where
	}
	return ""
}

// count reads a number that is for people only: an unreadable one counts as unknown.
func count(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return clampAttempts(n)
}
