// Package bus delivers events as EventBridge would, through public APIs only: it
// reads the deployed rules and targets, asks AWS's own matcher, checks the
// target's permission, and hands the event over; what the target cannot take goes
// to the rule's dead-letter queue in EventBridge's form. So it needs no partner
// source, and works on an emulator as on a real account. (PutEvents cannot publish
// aws.* sources.)
//
// It tries once. EventBridge's own retries, up to 24 hours, are not played.
package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Bus delivers to the targets of one account and region. It reads rules,
// permissions and queues once: make a new one after a deployment.
type Bus struct {
	events *eventbridge.Client
	lambda *lambda.Client
	sqs    *sqs.Client

	mu          sync.Mutex
	rules       map[string]func() ([]rule, error)
	permissions map[string]func() (refusal, error)
	queues      map[string]func() (string, error)
	matches     map[string]func() (bool, error)
}

// New returns a Bus for the account of cfg. It needs events:ListRules,
// ListTargetsByRule and TestEventPattern, lambda:GetPolicy and InvokeFunction,
// sqs:GetQueueUrl, GetQueueAttributes and SendMessage.
func New(cfg aws.Config) *Bus {
	return &Bus{
		events:      eventbridge.NewFromConfig(cfg),
		lambda:      lambda.NewFromConfig(cfg),
		sqs:         sqs.NewFromConfig(cfg),
		rules:       map[string]func() ([]rule, error){},
		permissions: map[string]func() (refusal, error){},
		queues:      map[string]func() (string, error){},
		matches:     map[string]func() (bool, error){},
	}
}

// Outcome is what became of an event at one target.
type Outcome string

// The outcomes of a delivery.
const (
	Delivered    Outcome = "delivered"   // the target took it
	DeadLettered Outcome = "dead-letter" // the rule's dead-letter queue has it
	Dropped      Outcome = "dropped"     // lost: no dead-letter queue could take it
	NoRule       Outcome = "no-rule"     // no rule of the bus matches
)

// Delivery is one event at one target of one rule.
type Delivery struct {
	EventID string  `json:"eventId"`
	Rule    string  `json:"rule"`   // ARN
	Target  string  `json:"target"` // ARN
	Outcome Outcome `json:"outcome"`
	Code    string  `json:"errorCode,omitempty"` // EventBridge's ERROR_CODE
	Reason  string  `json:"errorMessage,omitempty"`
}

type rule struct {
	arn, pattern string
	targets      []ebtypes.Target
}

// refusal is why a target cannot take an event: one of EventBridge's error codes
// (EventBridge User Guide, "Using dead-letter queues to process undelivered
// events"). Empty: it can.
type refusal struct{ code, message string }

// Deliver hands the event to each target of each enabled rule of the bus that
// matches. No delivery means that no rule matches. An error means that the
// delivery could not be played, not that the target refused.
func (b *Bus) Deliver(ctx context.Context, busName string, e Event) ([]Delivery, error) {
	var deliveries []Delivery
	err := b.each(ctx, busName, e, func(r rule, t ebtypes.Target) error {
		d := Delivery{EventID: e.ID, Rule: r.arn, Target: aws.ToString(t.Arn), Outcome: Delivered}
		no, err := b.hand(ctx, r, t, e)
		if err != nil {
			return fmt.Errorf("event %s to %s: %w", e.ID, d.Target, err)
		}
		if no != (refusal{}) {
			d.Code, d.Reason = no.code, no.message
			if d.Outcome, err = b.deadLetter(ctx, r, t, e, no); err != nil {
				return fmt.Errorf("event %s to the dead-letter queue of %s: %w", e.ID, r.arn, err)
			}
		}
		deliveries = append(deliveries, d)
		return nil
	})
	return deliveries, err
}

// each goes over the targets of the enabled rules of a bus that match an event.
func (b *Bus) each(ctx context.Context, busName string, e Event, do func(rule, ebtypes.Target) error) error {
	rules, err := b.rulesOf(ctx, busName)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if match, err := b.match(ctx, r, e); err != nil {
			return err
		} else if !match {
			continue
		}
		for _, t := range r.targets {
			if err := do(r, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Targets are the ARNs of those that Deliver would hand the event to. It changes nothing.
func (b *Bus) Targets(ctx context.Context, busName string, e Event) (arns []string, err error) {
	err = b.each(ctx, busName, e, func(_ rule, t ebtypes.Target) error {
		arns = append(arns, aws.ToString(t.Arn))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return arns, nil
}

// Hop is the way of an event to one target of one rule, as far as it can be seen without
// sending anything.
type Hop struct {
	Rule, Target string // ARNs
	Code, Reason string // why the target would not take it; empty: it would
	DeadLetter   bool   // what the target does not take is kept
}

// Check is Deliver without delivering: it changes nothing.
func (b *Bus) Check(ctx context.Context, busName string, e Event) (hops []Hop, err error) {
	err = b.each(ctx, busName, e, func(r rule, t ebtypes.Target) error {
		h := Hop{Rule: r.arn, Target: aws.ToString(t.Arn), DeadLetter: t.DeadLetterConfig != nil && aws.ToString(t.DeadLetterConfig.Arn) != ""}
		no, err := b.permission(ctx, r.arn, h.Target)
		if err != nil {
			return fmt.Errorf("the permission of %s for %s: %w", r.arn, h.Target, err)
		}
		h.Code, h.Reason = no.code, no.message
		hops = append(hops, h)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return hops, nil
}

// match asks EventBridge whether the rule takes the event, once for the same bytes.
func (b *Bus) match(ctx context.Context, r rule, e Event) (bool, error) {
	return once(b, b.matches, r.arn+" "+string(e.JSON), func() (bool, error) {
		out, err := b.events.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{
			Event: aws.String(string(e.JSON)), EventPattern: &r.pattern,
		})
		if err != nil {
			return false, fmt.Errorf("event %s against %s: %w", e.ID, r.arn, err)
		}
		return out.Result, nil
	})
}

// hand gives the event to the target, or says why the target cannot take it.
func (b *Bus) hand(ctx context.Context, r rule, t ebtypes.Target, e Event) (refusal, error) {
	if t.Input != nil || t.InputPath != nil || t.InputTransformer != nil {
		return refusal{}, errors.New("sfrelay cannot transform the input of a target; remove Input, InputPath and InputTransformer from it")
	}
	arn := aws.ToString(t.Arn)
	no, err := b.permission(ctx, r.arn, arn)
	if err != nil || no != (refusal{}) {
		return no, err
	}
	switch service(arn) {
	case "lambda":
		_, err = b.lambda.Invoke(ctx, &lambda.InvokeInput{
			FunctionName: &arn, InvocationType: lambdatypes.InvocationTypeEvent, Payload: e.JSON,
		})
	case "sqs":
		var url string
		if url, err = b.queueURL(ctx, arn); err != nil {
			return refusal{}, err
		}
		_, err = b.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(string(e.JSON))})
	}
	if has(err, "TooManyRequestsException") {
		return refusal{"THROTTLING", err.Error()}, nil
	}
	return refusal{}, err
}

// permission says whether the rule may use the target at all.
func (b *Bus) permission(ctx context.Context, ruleARN, targetARN string) (refusal, error) {
	return once(b, b.permissions, ruleARN+" "+targetARN, func() (refusal, error) {
		var policy, action string
		switch service(targetARN) {
		case "lambda":
			action = "lambda:InvokeFunction"
			out, err := b.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &targetARN})
			switch {
			case has(err, "ResourceNotFoundException"): // no policy, or no function
				_, err := b.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &targetARN})
				if has(err, "ResourceNotFoundException") {
					return refusal{"NO_RESOURCE", "The function does not exist."}, nil
				}
				if err != nil {
					return refusal{}, err
				}
			case err != nil:
				return refusal{}, err
			default:
				policy = aws.ToString(out.Policy)
			}
		case "sqs":
			action = "sqs:SendMessage"
			url, err := b.queueURL(ctx, targetARN)
			if has(err, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue") {
				return refusal{"NO_RESOURCE", "The queue does not exist."}, nil
			}
			if err != nil {
				return refusal{}, err
			}
			if policy, err = b.queuePolicy(ctx, url); err != nil {
				return refusal{}, err
			}
		default:
			return refusal{}, errors.New("the target is neither a Lambda function nor an SQS queue; sfrelay delivers to no other")
		}
		ok, err := permits(policy, action, ruleARN)
		if err != nil || ok {
			return refusal{}, err
		}
		return refusal{"NO_PERMISSIONS", "The resource policy of the target does not let the rule in: " + action + "."}, nil
	})
}

// deadLetter sends the event to the queue of the target's DeadLetterConfig: the
// event as it is, the reason in message attributes.
func (b *Bus) deadLetter(ctx context.Context, r rule, t ebtypes.Target, e Event, no refusal) (Outcome, error) {
	if t.DeadLetterConfig == nil || aws.ToString(t.DeadLetterConfig.Arn) == "" {
		return Dropped, nil
	}
	url, err := b.queueURL(ctx, *t.DeadLetterConfig.Arn)
	if has(err, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue") {
		return Dropped, nil
	}
	if err != nil {
		return "", err
	}
	policy, err := b.queuePolicy(ctx, url)
	if err != nil {
		return "", err
	}
	if ok, err := permits(policy, "sqs:SendMessage", r.arn); err != nil || !ok {
		return Dropped, err
	}
	attribute := func(v string) sqstypes.MessageAttributeValue {
		return sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	_, err = b.sqs.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:    &url,
		MessageBody: aws.String(string(e.JSON)),
		MessageAttributes: map[string]sqstypes.MessageAttributeValue{
			"RULE_ARN":      attribute(r.arn),
			"TARGET_ARN":    attribute(aws.ToString(t.Arn)),
			"ERROR_CODE":    attribute(no.code),
			"ERROR_MESSAGE": attribute(no.message),
		},
	})
	return DeadLettered, err
}

// ErrNoBus is returned where the bus does not exist, ErrNoRule where it has no
// enabled rule. An emulator may not tell the two apart.
var (
	ErrNoBus  = errors.New("no event bus")
	ErrNoRule = errors.New("no enabled rule")
)

// Default is the bus an event takes: the one its source names, as partner buses
// are called after their source; where that has no rules, the stack's own bus for
// its kind. Change events are those whose name ends in ChangeEvent (Change
// Data Capture Developer Guide, "Change Event Name").
func (b *Bus) Default(ctx context.Context, e Event, platformEvents, changes string) string {
	_, err := b.rulesOf(ctx, e.Source)
	switch {
	case e.Source != "" && !errors.Is(err, ErrNoBus) && !errors.Is(err, ErrNoRule):
		return e.Source
	case strings.HasSuffix(e.DetailType, "ChangeEvent"):
		return changes
	default:
		return platformEvents
	}
}

func (b *Bus) rulesOf(ctx context.Context, busName string) ([]rule, error) {
	return once(b, b.rules, busName, func() ([]rule, error) {
		const pages = 100 // at most 300 rules a bus (EventBridge quotas)
		var rules []rule
		in := &eventbridge.ListRulesInput{EventBusName: &busName}
		for range pages {
			out, err := b.events.ListRules(ctx, in)
			if has(err, "ResourceNotFoundException") {
				return nil, fmt.Errorf("%w %q in this account and region; name another with --bus", ErrNoBus, busName)
			}
			if err != nil {
				return nil, fmt.Errorf("the rules of the bus %q: %w", busName, err)
			}
			for _, r := range out.Rules {
				if r.State == ebtypes.RuleStateDisabled || aws.ToString(r.EventPattern) == "" {
					continue
				}
				targets, err := b.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: &busName, Rule: r.Name})
				if err != nil { // a rule has at most five targets: one page
					return nil, fmt.Errorf("the targets of %s: %w", aws.ToString(r.Arn), err)
				}
				rules = append(rules, rule{arn: aws.ToString(r.Arn), pattern: aws.ToString(r.EventPattern), targets: targets.Targets})
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if len(rules) == 0 {
			return nil, fmt.Errorf("%w on the bus %q; check EventBusName and ChangeBusName of the stack", ErrNoRule, busName)
		}
		return rules, nil
	})
}

func (b *Bus) queueURL(ctx context.Context, arn string) (string, error) {
	return once(b, b.queues, arn, func() (string, error) {
		parts := strings.Split(arn, ":")
		if len(parts) != 6 {
			return "", fmt.Errorf("%q is not the ARN of a queue", arn)
		}
		out, err := b.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.QueueUrl), nil
	})
}

func (b *Bus) queuePolicy(ctx context.Context, url string) (string, error) {
	out, err := b.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNamePolicy},
	})
	if err != nil {
		return "", err
	}
	return out.Attributes[string(sqstypes.QueueAttributeNamePolicy)], nil
}

// once answers a question that was asked before from memory; those who ask at the
// same time share one request.
func once[T any](b *Bus, memory map[string]func() (T, error), key string, ask func() (T, error)) (T, error) {
	b.mu.Lock()
	answer, asked := memory[key]
	if !asked {
		answer = sync.OnceValues(ask)
		memory[key] = answer
	}
	b.mu.Unlock()
	return answer()
}

func service(arn string) string {
	if parts := strings.SplitN(arn, ":", 4); len(parts) == 4 {
		return parts[2]
	}
	return ""
}

// has reports whether err is an answer of AWS with one of the codes.
func has(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, c := range codes {
		if api.ErrorCode() == c {
			return true
		}
	}
	return false
}
