package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/shared/transport"
)

// queues looks into the two queues of what failed, without taking anything out.
type queues struct {
	client *sqs.Client
	urls   map[string]string
}

func newQueues(cfg aws.Config, outputs map[string]string) queues {
	return queues{sqs.NewFromConfig(cfg), map[string]string{
		"failure": outputs["FailureQueueUrl"], "delivery": outputs["DeliveryQueueUrl"],
	}}
}

// message is one event that lies in a queue.
type message struct {
	queued
	id      string // of the SQS message
	eventID string
	target  string // ARN of the function or buffer it was meant for
}

func (q queues) all(ctx context.Context) ([]message, error) {
	failure, err := q.peek(ctx, "failure")
	if err != nil {
		return nil, err
	}
	delivery, err := q.peek(ctx, "delivery")
	return append(failure, delivery...), err
}

// peek reads a queue to its end, then shows all messages to the others again.
func (q queues) peek(ctx context.Context, name string) (all []message, err error) {
	const reads, away = 1000, 20 // away: seconds, in case we are killed on the way
	url := q.urls[name]
	seen := map[string]bool{}
	var handles []*string
	defer func() {
		for _, h := range handles {
			_, again := q.client.ChangeMessageVisibility(context.WithoutCancel(ctx), &sqs.ChangeMessageVisibilityInput{
				QueueUrl: &url, ReceiptHandle: h, VisibilityTimeout: 0,
			})
			err = errors.Join(err, again)
		}
	}()
	for range reads {
		out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: away,
			MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
			MessageAttributeNames:       []string{"All"},
		})
		if err != nil {
			return nil, fmt.Errorf("the %s queue: %w", name, err)
		}
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			handles = append(handles, m.ReceiptHandle)
			if id := aws.ToString(m.MessageId); !seen[id] {
				seen[id] = true
				all = append(all, open(m)...)
			}
		}
	}
	return all, nil
}

func open(m sqstypes.Message) []message {
	custom := map[string]string{}
	for name, v := range m.MessageAttributes {
		custom[name] = aws.ToString(v.StringValue)
	}
	var all []message
	for _, opened := range transport.OpenMail(transport.Mail{
		ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Attributes: m.Attributes, Custom: custom,
	}) {
		var envelope struct {
			ID string `json:"id"`
		}
		_ = json.Unmarshal(opened.Event, &envelope) // a broken event has none
		all = append(all, message{
			queued:  queued{Consumer: opened.Consumer, Class: opened.Class, Form: string(opened.Form)},
			id:      aws.ToString(m.MessageId),
			eventID: envelope.ID,
			target:  opened.Target,
		})
	}
	return all
}
