// Package account opens the AWS account that a command works on: the local stack,
// unless the reader says --aws. So a slip never reaches a real account, and nothing is
// changed in one before somebody agreed.
package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"sfrelay/cmd/sfrelay/internal/stack"
)

// Flags choose the account; kong embeds them in commands.
type Flags struct {
	AWS       bool   `name:"aws" help:"Work on the account of your AWS environment (profile, region) instead of the local stack."`
	StackName string `name:"stack-name" default:"sfrelay" help:"Name of the CloudFormation stack."`
	StackDir  string `name:"stack-dir" default:".cache/stack" type:"path" help:"Where the local stack keeps its state." hidden:""`
}

// Command is the command line of another command on the same account.
func (f Flags) Command(words string) string {
	s := "sfrelay " + words
	if f.AWS {
		s += " --aws"
	}
	if f.StackName != stack.Name && f.StackName != "" {
		s += " --stack-name " + f.StackName
	}
	return s
}

// Account is what a command works on.
type Account struct {
	Config   aws.Config
	Outputs  map[string]string // of the CloudFormation stack, by name, as template.yaml declares them
	Where    string            // account, region, stack, stage and orgs, for people
	Orgs     []string          // whose events the stack takes
	Sinks    []Sink            // of a real account
	Off      []string          // consumers whose rules are switched off, because the stack names no sink for them
	ReadsOrg bool              // the consumers read records from Salesforce
	Params   map[string]string // of the CloudFormation stack
	Asks     bool              // Config changes nothing before Agree: it is a real account

	consent consent
}

// Agree lets Config change the account: somebody read what it will do, and agreed.
func (a *Account) Agree() { a.consent.given.Store(true) }

// Open finds the CloudFormation stack of the chosen account.
func (f Flags) Open(ctx context.Context) (*Account, error) {
	cfg, place, err := f.config(ctx)
	if err != nil {
		return nil, err
	}
	s, err := describe(ctx, cfg, f.StackName)
	if err != nil {
		return nil, err
	}
	id, err := arn.Parse(aws.ToString(s.StackId))
	if err != nil {
		return nil, fmt.Errorf("the id of the CloudFormation stack %q: %w", f.StackName, err)
	}
	a := &Account{
		Config: cfg, Outputs: outputs(s), Orgs: orgs(s), Off: off(s), Params: parametersOf(s), ReadsOrg: parametersOf(s)["SalesforceUrl"] != "", Asks: f.AWS,
		Where: fmt.Sprintf("%saccount %s, region %s, stack %s", place, id.AccountID, id.Region, f.StackName) + serves(s),
	}
	if a.Asks {
		a.Sinks = sinks(s)
		a.Config.APIOptions = append(slices.Clone(cfg.APIOptions), a.consent.hold)
	}
	return a, nil
}

// Bare opens the account without a stack, for what is named otherwise.
func (f Flags) Bare(ctx context.Context, what string) (*Account, error) {
	cfg, place, err := f.config(ctx)
	if err != nil {
		return nil, err
	}
	a := &Account{Config: cfg, Outputs: map[string]string{}, Asks: f.AWS, Where: fmt.Sprintf("%sregion %s, %s", place, cfg.Region, what)}
	if a.Asks {
		a.Config.APIOptions = append(slices.Clone(cfg.APIOptions), a.consent.hold)
	}
	return a, nil
}

func (f Flags) config(ctx context.Context) (cfg aws.Config, place string, err error) {
	if !f.AWS {
		s, err := stack.Open(f.StackDir)
		if err != nil {
			return cfg, "", fmt.Errorf("%w, or add --aws to work on your AWS account", err)
		}
		cfg, err = s.Config(ctx)
		return cfg, "local stack, ", err
	}
	if cfg, err = config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{})); err != nil {
		return cfg, "", credentialsError{err}
	}
	if cfg.Region == "" {
		return cfg, "", errors.New("no AWS region is set; set AWS_REGION, or AWS_PROFILE to a profile with a region")
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, "", credentialsError{err}
	}
	return cfg, "", nil
}

// Outputs are those of the CloudFormation stack name.
func Outputs(ctx context.Context, cfg aws.Config, name string) (map[string]string, error) {
	s, err := describe(ctx, cfg, name)
	if err != nil {
		return nil, err
	}
	return outputs(s), nil
}

func describe(ctx context.Context, cfg aws.Config, name string) (types.Stack, error) {
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	// CloudFormation has no error of its own for it (API Reference, DescribeStacks).
	missing, isAPI := errors.AsType[smithy.APIError](err)
	isMissing := isAPI && missing.ErrorCode() == "ValidationError" && strings.Contains(missing.ErrorMessage(), "does not exist")
	switch {
	case isMissing, err == nil && len(out.Stacks) == 0:
		return types.Stack{}, fmt.Errorf("region %s has no CloudFormation stack %q; deploy it with make deploy, or name another with --stack-name", cfg.Region, name)
	case err != nil:
		return types.Stack{}, fmt.Errorf("reading the CloudFormation stack %q: %w", name, err)
	}
	return out.Stacks[0], nil
}

func outputs(s types.Stack) map[string]string {
	byName := map[string]string{}
	for _, o := range s.Outputs {
		byName[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return byName
}
