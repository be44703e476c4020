package relay

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
)

// Source is a partner event source with its bus, as EventBridge has them.
type Source struct {
	State   string     `json:"state"` // PENDING, ACTIVE, DELETED; MISSING: there is none
	Expires *time.Time `json:"expires,omitempty"`
	Bus     bool       `json:"bus"`
	Rules   int        `json:"rules"`
	Off     []string   `json:"disabledRules,omitempty"`
}

// Missing is the state of a source that is not there.
const Missing = "MISSING"

func isCode(err error, code string) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && e.ErrorCode() == code
}

// SourceOf asks for a source and its bus, not for the rules: that right cannot be limited to
// a bus.
func SourceOf(ctx context.Context, client *eventbridge.Client, name string) (Source, error) {
	out, err := client.DescribeEventSource(ctx, &eventbridge.DescribeEventSourceInput{Name: &name})
	s := Source{State: Missing}
	switch {
	case isCode(err, "ResourceNotFoundException"):
	case err != nil:
		return s, err
	default:
		s.State, s.Expires = string(out.State), out.ExpirationTime
	}
	_, err = client.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name})
	if isCode(err, "ResourceNotFoundException") {
		return s, nil
	}
	s.Bus = err == nil
	return s, err
}

// SourceWithRules is SourceOf with the rules of the bus.
func SourceWithRules(ctx context.Context, client *eventbridge.Client, name string) (Source, error) {
	s, err := SourceOf(ctx, client, name)
	if err != nil || !s.Bus {
		return s, err
	}
	const most = 10 // pages of rules; a bus has 300 rules at most
	in := &eventbridge.ListRulesInput{EventBusName: &name}
	for range most {
		rules, err := client.ListRules(ctx, in)
		if err != nil {
			return s, err
		}
		s.Rules += len(rules.Rules)
		for _, r := range rules.Rules {
			if r.State == types.RuleStateDisabled {
				s.Off = append(s.Off, aws.ToString(r.Name))
			}
		}
		if in.NextToken = rules.NextToken; in.NextToken == nil {
			break
		}
	}
	return s, nil
}
