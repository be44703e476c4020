package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/shared/deadletter"
)

// message is one event that lies in a queue.
type message struct {
	queued
	queue   string // failure, delivery
	id      string // of the SQS message
	eventID string // EventBridge's; empty for a broken event
	stored  bool   // it lies in the failure bucket
}

// queuesOf are the two queues of what failed.
func queuesOf(cfg aws.Config, outputs map[string]string) *deadletter.Queues {
	return &deadletter.Queues{
		SQS: sqs.NewFromConfig(cfg), OneServer: true, TrustSender: true, // as for every command on the local stack
		Lambda:    lambda.NewFromConfig(cfg),
		Fetch:     account.Fetch(cfg, outputs),
		Consumers: account.Consumers(outputs),
		List:      []deadletter.Queue{{Name: "failure", URL: outputs["FailureQueueUrl"]}, {Name: "delivery", URL: outputs["DeliveryQueueUrl"]}},
	}
}

// messages are all that lie in the queues. They stay there.
func (p *play) messages(ctx context.Context) ([]message, error) {
	if err := p.allVisible(ctx); err != nil {
		return nil, err
	}
	found, err := p.queues.Read(ctx, deadletter.Query{})
	if err != nil {
		return nil, err
	}
	var all []message
	for _, m := range found.Messages {
		for _, e := range m.Events {
			var envelope struct {
				ID string `json:"id"`
			}
			_ = json.Unmarshal(e.JSON, &envelope)
			all = append(all, message{
				queued: queued{Consumer: m.Consumer, Class: m.Class, Form: string(m.Form)},
				queue:  m.Queue.Name, id: m.ID, eventID: envelope.ID,
				stored: strings.HasPrefix(m.Body, `{"stored":`),
			})
		}
	}
	return all, nil
}

// allVisible waits until no message of the queues is held by a reader. Nobody else reads
// them, but a receive whose answer got lost on the way hides what it found for a while.
func (p *play) allVisible(ctx context.Context) error {
	client := p.queues.SQS.(*sqs.Client)
	const pause, tries = 250 * time.Millisecond, 100 // longer than any reader holds a message
	for _, q := range p.queues.List {
		for range tries {
			out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
				QueueUrl: aws.String(q.URL), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible},
			})
			if err != nil {
				return fmt.Errorf("asking the %s queue for messages that are held: %w", q.Name, err)
			}
			if out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)] == "0" {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	return nil
}
