package consumertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sfrelay/shared/consumer"
)

// Buffer is a consumer's own queue as SQS keeps it: at most ten messages at a time, each
// hidden for the visibility time-out of template.yaml once it was received, and deleted
// when the response does not name it. Its methods are called by one at a time.
type Buffer struct {
	Messages []*Message
	serial   int
}

// Message is one in a Buffer.
type Message struct {
	ID, Body                string // the id is its receipt handle, too
	Sent, Received, Visible time.Time
	Count                   int // how often it was received
}

const (
	batchSize  = 10
	hiddenFor  = 2 * time.Minute
	deliveries = 100_000 // of one buffer until it is empty
)

// Put is SendMessage.
func (b *Buffer) Put(now time.Time, body string, delay time.Duration) {
	b.serial++
	b.Messages = append(b.Messages, &Message{ID: "m" + strconv.Itoa(b.serial), Body: body, Sent: now, Visible: now.Add(delay)})
}

// Next is when a message can be received; false where there is none.
func (b *Buffer) Next() (at time.Time, ok bool) {
	for i, m := range b.Messages {
		if i == 0 || m.Visible.Before(at) {
			at, ok = m.Visible, true
		}
	}
	return at, ok
}

// Receive is what Lambda calls the function with: the messages that are visible, those that
// have been for longest first. payload is nil where there are none.
func (b *Buffer) Receive(now time.Time) (payload []byte, received []*Message) {
	slices.SortStableFunc(b.Messages, func(a, b *Message) int { return a.Visible.Compare(b.Visible) })
	type record struct {
		ID             string            `json:"messageId"`
		ReceiptHandle  string            `json:"receiptHandle"`
		Body           string            `json:"body"`
		Attributes     map[string]string `json:"attributes"`
		EventSource    string            `json:"eventSource"`
		EventSourceARN string            `json:"eventSourceARN"`
	}
	var records []record
	for _, m := range b.Messages {
		if m.Visible.After(now) || len(received) == batchSize {
			break
		}
		if m.Count++; m.Count == 1 {
			m.Received = now
		}
		m.Visible = now.Add(hiddenFor)
		received = append(received, m)
		records = append(records, record{m.ID, m.ID, m.Body, map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.Count), "SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(), 10),
			"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.Received.UnixMilli(), 10),
		}, "aws:sqs", "arn:aws:sqs:eu-west-1:123456789012:buffer"})
	}
	if received == nil {
		return nil, nil
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		panic(fmt.Errorf("a batch of texts: %w", err)) // cannot be
	}
	return payload, received
}

// Defer is Env.Defer.
func (b *Buffer) Defer(now time.Time, messages []consumer.Deferral) {
	for _, d := range messages {
		for _, m := range b.Messages {
			if m.ID == d.ReceiptHandle {
				m.Visible = now.Add(d.For)
			}
		}
	}
}

// Settle deletes those of the received messages that the response does not name.
func (b *Buffer) Settle(received []*Message, resp *consumer.Response) {
	b.Messages = slices.DeleteFunc(b.Messages, func(m *Message) bool {
		return slices.Contains(received, m) && !slices.Contains(resp.BatchItemFailures, consumer.ItemFailure{ItemIdentifier: m.ID})
	})
}
