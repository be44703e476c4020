package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
)

func (qs *Queues) message(ctx context.Context, q Queue, received types.Message) Message {
	raw := transport.SQSMessage{
		ID: aws.ToString(received.MessageId), Body: aws.ToString(received.Body),
		Attributes: received.Attributes, Custom: map[string]string{},
	}
	for name, v := range received.MessageAttributes {
		raw.Custom[name] = aws.ToString(v.StringValue)
	}
	m := Message{
		ID: raw.ID, Queue: q, Body: raw.Body, Custom: raw.Custom, Sender: received.Attributes["SenderId"],
		MovedFrom: qs.byTarget(received.Attributes["DeadLetterQueueSourceArn"]).Name,
	}
	if ms, err := strconv.ParseInt(received.Attributes["SentTimestamp"], 10, 64); err == nil {
		m.Sent = time.UnixMilli(ms).UTC()
	}
	m.Received, _ = strconv.Atoi(received.Attributes["ApproximateReceiveCount"])
	fetch := func(s transport.Stored) ([]byte, error) { return qs.fetch(ctx, s) }
	for i, opened := range transport.OpenSQSWith(raw, fetch) {
		if i == 0 {
			m.Form, m.Target, m.Class, m.Reason = opened.Form, opened.Target, opened.Class, opened.Reason
			m.Attempts, m.FirstAt, m.LastAt, m.Consumer = opened.Attempts, opened.FirstAt, opened.LastAt, qs.consumerOf(opened)
			if opened.Err != nil {
				m.Reason = opened.Err.Error()
			}
			if opened.Unfetched {
				m.Unfetched = m.Reason
			}
		}
		e := qs.event(opened, qs.consumerOf(opened))
		e.Class = opened.Class
		m.Events = append(m.Events, e)
	}
	if m.FirstAt.IsZero() {
		m.FirstAt = m.Sent
	}
	if m.LastAt.IsZero() {
		m.LastAt = m.Sent
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

// subject is what a change is about, as its consumer says or else as it says itself.
func (qs *Queues) subject(consumer string, e *salesforce.Event, c *salesforce.Change) string {
	if qs.Subject != nil {
		if subject := qs.Subject(consumer, e, c); subject != "" {
			return subject
		}
	}
	if c.RecordID == "" {
		return ""
	}
	return c.Entity + "/" + c.RecordID
}

// event says what the event of a message is, without asking anybody.
func (qs *Queues) event(m transport.Message, consumer string) Event {
	e := Event{JSON: m.Event, Consumer: consumer}
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
	e.DetailType, e.Org = decoded.DetailType, decoded.Org
	if decoded.Cause != nil {
		e.Identity = decoded.Cause.Identity()
	}
	for i := range decoded.Changes {
		c := &decoded.Changes[i]
		if m.Records != nil && !slices.Contains(m.Records, c.RecordID) {
			continue
		}
		if e.Identity == "" {
			e.Identity = c.Identity()
		}
		if subject := qs.subject(consumer, decoded, c); subject != "" {
			e.Subjects = append(e.Subjects, subject)
		}
	}
	return e
}

// consumerOf is the name of the consumer that a message is for, as its parking says, or
// else its target; empty for a stranger's.
func (qs *Queues) consumerOf(m transport.Message) string {
	return cmp.Or(m.Consumer, qs.byTarget(m.Target).Name, qs.byEarlierTarget(m.Target).Name)
}

// chosen is how CloudFormation ends the names that it chooses.
var chosen = regexp.MustCompile(`-[0-9A-Za-z]{12,13}$`)

// byEarlierTarget is byTarget for messages of an earlier stack with this one's name: the names
// of its functions and buffers ended otherwise.
func (qs *Queues) byEarlierTarget(arn string) Consumer {
	parts := strings.Split(arn, ":")
	if !qs.Earlier || len(parts) < 6 {
		return Consumer{}
	}
	name := parts[5] // of a queue
	if parts[2] == "lambda" && len(parts) > 6 {
		name = parts[6]
	}
	for _, c := range qs.Consumers {
		for _, now := range []string{c.Function, c.Buffer[strings.LastIndex(c.Buffer, "/")+1:]} {
			if chosen.MatchString(name) && chosen.MatchString(now) && chosen.ReplaceAllString(name, "") == chosen.ReplaceAllString(now, "") {
				return c
			}
		}
	}
	return Consumer{}
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

// differing is what is another in each message of one cause: ids, numbers, quoted names.
var differing = regexp.MustCompile(`"[^"]*"|\b[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?\b|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\breq_[0-9A-Za-z]+|\d{4,}|\d+\.\d+`)

var letterOrDigit = regexp.MustCompile(`^[A-Za-z]+$`)

// mostOfAReason is how much of a reason tells causes apart.
const mostOfAReason = 160

// Pattern is a reason without what differs from message to message, so that messages of one
// cause have one.
func Pattern(reason string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	r := []rune(reason)
	reason = string(r[:min(len(r), mostOfAReason)])
	return differing.ReplaceAllStringFunc(reason, func(s string) string {
		if letterOrDigit.MatchString(s) { // a long word
			return s
		}
		return "…"
	})
}
