package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/verdict"
)

// Outcome is what became of a letter in a redrive.
type Outcome string

// The outcomes.
const (
	Taken   Outcome = "taken"   // the consumer took it, the message is deleted
	Left    Outcome = "left"    // it lies where it lay
	Refused Outcome = "refused" // it is not for a redrive
)

// Result is the outcome of one letter.
type Result struct {
	Letter  Letter
	Outcome Outcome
	Reason  string // of Left and Refused
}

// Refusal says why a letter cannot be redriven, empty when it can.
func (o *Office) Refusal(l Letter) string {
	switch l.Class {
	case verdict.ChangedAfterDone:
		return "it was done once and must not be done again; compare both contents, then delete the message"
	case verdict.OverwroteNewer:
		return "the record has to be read from Salesforce and sent again, which this version does not do; compare both systems"
	case verdict.Permanent("same-instant"):
		return "nobody can tell which of two states is newer; publish the right one again, then delete the message"
	case verdict.InDoubt:
		return "nobody knows whether it was done; find out at the sink and resolve the record first"
	}
	if l.Class == verdict.TooOld && !o.TooOld {
		return "it is older than events are remembered: look at the sink whether it was applied; if not, name it with --message or --class too-old"
	}
	if l.Consumer == "" {
		if l.Target != "" {
			return "no consumer of this stack is behind " + l.Target
		}
		return "it does not say which consumer it was meant for"
	}
	if _, ok := o.byName(l.Consumer); !ok {
		return fmt.Sprintf("this stack has no consumer %q", l.Consumer)
	}
	if !json.Valid([]byte(l.Body)) {
		return "its body is not JSON, which no function can be invoked with"
	}
	return ""
}

// Redrive hands letters that Read has found to their consumers, one after the other,
// and reports on each exactly once. It may be interrupted and run again at any time.
// The error is one of SQS or Lambda themselves and ends the redrive; that a consumer
// fails is a result.
func (o *Office) Redrive(ctx context.Context, letters []Letter, report func(Result)) error {
	failures := map[string]int{} // of a consumer, in a row
	for _, q := range o.Queues {
		waiting := map[string]Letter{}
		for _, l := range letters {
			if l.Queue != q {
				continue
			}
			if reason := o.Refusal(l); reason != "" {
				report(Result{l, Refused, reason})
				continue
			}
			waiting[l.ID] = l
		}
		if err := o.redriveQueue(ctx, q, waiting, failures, report); err != nil {
			return err
		}
		for _, l := range letters {
			if _, ok := waiting[l.ID]; ok && l.Queue == q {
				report(Result{l, Left, "somebody else holds it or has deleted it; run again"})
			}
		}
	}
	return nil
}

// redriveQueue takes out of waiting what it reports on. It receives until it has met
// all of waiting: SQS cannot be asked for one certain message.
func (o *Office) redriveQueue(ctx context.Context, q Queue, waiting map[string]Letter, failures map[string]int, report func(Result)) (err error) {
	aside := map[string]string{} // what is not for us, or stays; shown again at the end
	defer func() { err = errors.Join(err, o.release(ctx, q, aside)) }()
	for nothingNew := 0; len(waiting) > 0 && nothingNew < emptyReads && len(aside) < MostLetters; {
		messages, err := o.receive(ctx, q, look)
		if err != nil {
			return err
		}
		nothingNew++
		again := map[string]bool{}
		for _, m := range messages { // should we fail on the way, all are shown again
			id := aws.ToString(m.MessageId)
			_, again[id] = aside[id]
			aside[id] = aws.ToString(m.ReceiptHandle)
		}
		for _, m := range messages {
			id, handle := aws.ToString(m.MessageId), aws.ToString(m.ReceiptHandle)
			l, ok := waiting[id]
			if !ok {
				if again[id] && o.away(ctx, q, handle, hold) == nil {
					nothingNew = 0 // it stands no longer before those that we wait for
				}
				continue
			}
			nothingNew = 0
			if err := ctx.Err(); err != nil {
				return err
			}
			if failures[l.Consumer] >= giveUpAfter {
				delete(waiting, id)
				report(Result{l, Left, fmt.Sprintf("%s failed %d times in a row; mend its sink and run again", l.Consumer, giveUpAfter)})
				continue
			}
			if o.away(ctx, q, handle, hold) != nil {
				delete(aside, id)
				continue // its time was over: it comes again
			}
			reason, err := o.invoke(ctx, l)
			if err != nil {
				return err
			}
			delete(waiting, id)
			if reason != "" {
				failures[l.Consumer]++
				report(Result{l, Left, reason})
				continue
			}
			failures[l.Consumer] = 0
			if err := o.remove(ctx, q, handle); err != nil {
				return fmt.Errorf("the consumer took message %s, but it could not be deleted; the next redrive finds it to be a duplicate: %w", id, err)
			}
			delete(aside, id)
			report(Result{l, Taken, ""})
		}
	}
	return nil
}

// remove deletes a message also when ctx has just ended: the consumer took it.
func (o *Office) remove(ctx context.Context, q Queue, handle string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := o.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: &handle})
	return err
}

// invoke hands the letter to its consumer and waits. reason is why the consumer did
// not take it.
func (o *Office) invoke(ctx context.Context, l Letter) (reason string, err error) {
	c, _ := o.byName(l.Consumer)
	out, err := o.Lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &c.Function, InvocationType: lambdatypes.InvocationTypeRequestResponse, Payload: []byte(l.Body),
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
		kind := or(answer.Type, aws.ToString(out.FunctionError))
		return kind + ": " + or(strings.TrimPrefix(answer.Message, kind+": "), "the function does not say why"), nil
	case out.StatusCode != 200:
		return fmt.Sprintf("Lambda answered with status %d", out.StatusCode), nil
	case len(answer.Failures) > 0:
		return fmt.Sprintf("%d of its events failed", len(answer.Failures)), nil
	case !readable:
		return "the function answered what no consumer answers", nil
	}
	return "", nil
}

func or(s, without string) string {
	if s == "" {
		return without
	}
	return s
}
