package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/verdict"
)

// Outcome is what became of a message in a redrive.
type Outcome string

// The outcomes.
const (
	Taken   Outcome = "taken"   // the consumer took it, the message is deleted
	Left    Outcome = "left"    // it lies where it lay
	Refused Outcome = "refused" // it is not for a redrive
)

// Result is the outcome of one message.
type Result struct {
	Message Message
	Outcome Outcome
	Reason  string // of Left and Refused
}

// Refusal says why a message cannot be redriven, empty when it can. A function takes a
// bundle whole: it is refused if any member is.
func (qs *Queues) Refusal(m Message) string {
	if m.Unfetched != "" { // its class is not known, which may be one that forbids it
		return "the event cannot be read: " + m.Unfetched
	}
	for _, e := range m.Events {
		if e.Consumer != m.Consumer {
			return fmt.Sprintf("the message bundles events of different consumers, %q and %q, and no function may take it whole; see it with: sfrelay dlq show ID", m.Consumer, e.Consumer)
		}
		if reason := qs.refusalOf(e.Class); reason != "" {
			return reason
		}
	}
	if m.Consumer == "" {
		if m.Target != "" {
			return "this stack has no consumer with the target " + m.Target
		}
		return "the message does not name its consumer; see it with: sfrelay dlq show ID"
	}
	if _, ok := qs.byName(m.Consumer); !ok {
		return fmt.Sprintf("this stack has no consumer %q; deploy it, or choose another stack with --stack-name", m.Consumer)
	}
	if reason := qs.foreignSender(m); reason != "" {
		return reason
	}
	if !json.Valid([]byte(m.Body)) {
		return "the message is not JSON, so no function can be invoked with it; see it with: sfrelay dlq show ID"
	}
	return ""
}

// foreignSender says why the message cannot come from the consumer that it names, empty
// where it can. Lambda's record of a failed event is sent with the function's role too. What
// SQS moved out of the consumer's own buffer that buffer's policy has let in.
func (qs *Queues) foreignSender(m Message) string {
	if qs.TrustSender || m.Queue.FromRules || m.MovedFrom == m.Consumer {
		return ""
	}
	const anyway = "; if you know where it comes from, redrive it with --trust-sender"
	c, _ := qs.byName(m.Consumer)
	if c.RoleID == "" {
		return fmt.Sprintf("foreign-sender: the stack does not say which role %s has; deploy this version with make deploy%s", m.Consumer, anyway)
	}
	if role, _, isSession := strings.Cut(m.Sender, ":"); !isSession || role != c.RoleID {
		return fmt.Sprintf("foreign-sender: it was sent by %q, and not by the role of %s%s", m.Sender, m.Consumer, anyway)
	}
	return ""
}

// refusalOf says why no event of the class can be redriven, empty when it can.
func (qs *Queues) refusalOf(class verdict.Class) string {
	switch class {
	case verdict.ChangedAfterDone:
		return "the action was done once with other content and must not be done twice; compare both, then delete the message"
	case verdict.OverwroteNewer:
		return "a redrive cannot repair the record: it has to be read from Salesforce, which this version does not do; compare both systems"
	case verdict.Permanent("same-instant"):
		return "nobody can tell which of two states is newer; publish the right one again, then delete the message"
	case verdict.InDoubt:
		return "the action may have been done and the sink cannot be asked; look there: if it was done, delete this message, otherwise do it by hand first"
	}
	if class == verdict.TooOld && !qs.TooOld {
		return "the event is older than the guard remembers; look at the sink: if it was not applied, redrive it with --message ID or --class too-old"
	}
	return ""
}

// Redrive goes over the queues once. What f chooses, at most limit messages where limit is
// not zero, it hands to the consumers, one after the other, and reports on each exactly
// once. parkedAgain is how many of those that a consumer took came back meanwhile: what
// stood against them still does. What is sent into the queues while it runs is left alone.
//
// It may be interrupted and run again at any time. The error is one of SQS or Lambda
// themselves and ends the redrive; that a consumer fails is a result.
func (qs *Queues) Redrive(ctx context.Context, f Filter, limit int, report func(Result)) (parkedAgain int, err error) {
	p := pass{Queues: qs, filter: f, limit: limit, report: report, failures: map[string]int{}, taken: map[string]bool{}}
	// The failure queue last: what is taken out of another one is parked there.
	for _, q := range slices.Backward(qs.List) {
		if err := p.over(ctx, q); err != nil {
			return p.parkedAgain, err
		}
	}
	return p.parkedAgain, nil
}

// pass is one Redrive.
type pass struct {
	*Queues
	filter Filter
	limit  int
	report func(Result)

	began       time.Time      // in whole seconds, by the clock of SQS
	chosen      int            // messages so far
	failures    map[string]int // of a consumer, in a row
	taken       map[string]bool
	parkedAgain int
}

// queued is a pass in one queue.
type queued struct {
	*pass
	q       Queue
	aside   map[string]string  // held, by id: what is not for us, or stays; shown again at the end
	decided map[string]bool    // by id
	missed  map[string]Message // chosen, but their time was over
}

// over redrives one queue. SQS cannot be asked for certain messages: it takes what comes,
// until nothing new does.
func (p *pass) over(ctx context.Context, q Queue) (err error) {
	in := queued{pass: p, q: q, aside: map[string]string{}, decided: map[string]bool{}, missed: map[string]Message{}}
	defer func() { err = errors.Join(err, p.release(ctx, q, in.aside)) }()
	for nothingNew := 0; nothingNew < emptyReads && len(in.aside) < mostMessages && !p.finished(); {
		out, err := p.receive(ctx, q, look)
		if err != nil {
			return err
		}
		if p.began.IsZero() {
			p.began = p.clock(out).Truncate(time.Second)
		}
		nothingNew++
		again := map[string]bool{}
		for _, m := range out.Messages { // should we fail on the way, all are shown again
			id := aws.ToString(m.MessageId)
			_, again[id] = in.aside[id]
			in.aside[id] = aws.ToString(m.ReceiptHandle)
		}
		for _, m := range out.Messages {
			id, handle := aws.ToString(m.MessageId), aws.ToString(m.ReceiptHandle)
			if in.decided[id] {
				if again[id] && p.away(ctx, q, handle, hold) == nil {
					nothingNew = 0 // it stands no longer before those that we have not seen
				}
				continue
			}
			nothingNew = 0
			if err := in.decide(ctx, p.message(ctx, q, m), handle); err != nil {
				return err
			}
		}
	}
	for _, m := range in.missed {
		p.report(Result{m, Left, "another reader has hidden or deleted the message; redrive again in 16 minutes"})
	}
	return nil
}

// finished reports whether the rest of a queue cannot matter.
func (p *pass) finished() bool { return p.enough() && len(p.taken) == 0 }

func (p *pass) enough() bool { return p.limit > 0 && p.chosen >= p.limit }

// clock is SQS's own: those of operators go wrong.
func (qs *Queues) clock(out *sqs.ReceiveMessageOutput) time.Time {
	if t, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		return t
	}
	if qs.Now != nil {
		return qs.Now()
	}
	return time.Now()
}

// decide deals with a message that was not decided on before. One whose time was over
// stays undecided: it comes again.
func (in *queued) decide(ctx context.Context, m Message, handle string) error {
	_, waiting := in.missed[m.ID]
	in.decided[m.ID] = true
	switch {
	case !m.Sent.Before(in.began) && in.taken[m.content()]:
		in.parkedAgain++
		return nil
	case !m.Sent.Before(in.began.Add(time.Second)), !waiting && (in.enough() || !in.filter.Match(m)):
		return nil
	}
	if !waiting {
		in.chosen++
	}
	delete(in.missed, m.ID)
	if reason := in.Refusal(m); reason != "" {
		in.report(Result{m, Refused, reason})
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if in.failures[m.Consumer] >= giveUpAfter {
		in.report(Result{m, Left, fmt.Sprintf("%s failed %d times in a row; check its sink, then redrive again", m.Consumer, giveUpAfter)})
		return nil
	}
	if held := in.away(ctx, in.q, handle, hold) == nil; !held { // the queue shows it again: it comes once more
		delete(in.decided, m.ID)
		delete(in.aside, m.ID)
		in.missed[m.ID] = m
		return nil
	}
	return in.act(ctx, m, handle)
}

// act hands a message that is held for long enough to its consumer.
func (in *queued) act(ctx context.Context, m Message, handle string) error {
	reason, err := in.invoke(ctx, m)
	if err != nil {
		return err
	}
	if reason != "" {
		in.failures[m.Consumer]++
		in.report(Result{m, Left, reason})
		return nil
	}
	in.failures[m.Consumer] = 0
	if err := in.remove(ctx, in.q, handle); err != nil {
		return fmt.Errorf("the consumer took message %s, but SQS did not delete it: %w; redrive again, the consumer will find a duplicate", m.ID, err)
	}
	delete(in.aside, m.ID)
	in.taken[m.content()] = true
	in.report(Result{m, Taken, ""})
	return nil
}

// remove deletes a message also when ctx has just ended: the consumer took it.
func (qs *Queues) remove(ctx context.Context, q Queue, handle string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := qs.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: &handle})
	return err
}

// invoke hands the message to its consumer and waits. reason is why the consumer did
// not take it.
func (qs *Queues) invoke(ctx context.Context, m Message) (reason string, err error) {
	c, _ := qs.byName(m.Consumer)
	out, err := qs.Lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &c.Function, InvocationType: lambdatypes.InvocationTypeRequestResponse, Payload: []byte(m.Body),
	})
	if err != nil {
		return "", fmt.Errorf("invoking %s: %w", c.Function, err)
	}
	var answer struct {
		Type     string            `json:"errorType"`
		Message  string            `json:"errorMessage"`
		Failures []json.RawMessage `json:"batchItemFailures"`
	}
	readable := len(out.Payload) == 0 || json.Unmarshal(out.Payload, &answer) == nil
	switch {
	case aws.ToString(out.FunctionError) != "":
		kind := cmp.Or(answer.Type, aws.ToString(out.FunctionError))
		return kind + ": " + cmp.Or(strings.TrimPrefix(answer.Message, kind+": "), "the function gave no reason; see its log"), nil
	case out.StatusCode != 200:
		return fmt.Sprintf("Lambda answered with status %d", out.StatusCode), nil
	case len(answer.Failures) > 0:
		return fmt.Sprintf("%d of its events failed", len(answer.Failures)), nil
	case !readable:
		return "the function returned an unexpected answer; check that it is a consumer of this version", nil
	}
	return "", nil
}
