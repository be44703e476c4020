// Package account opens the AWS account that a command works on: the local stack,
// unless the reader says --aws. So a slip never reaches a real account.
package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"sfrelay/cmd/sfrelay/internal/stack"
)

// Flags choose the account; kong embeds them in commands.
type Flags struct {
	AWS       bool   `name:"aws" help:"Work on the account of your AWS environment (profile, region) instead of the local stack."`
	StackName string `name:"stack-name" default:"sfrelay" help:"Name of the CloudFormation stack."`
	StackDir  string `name:"stack-dir" default:".cache/stack" type:"path" help:"Where the local stack keeps its state." hidden:""`
}

// Config is the AWS configuration of the chosen account.
func (f Flags) Config(ctx context.Context) (aws.Config, error) {
	if f.AWS {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		if cfg.Region == "" {
			return aws.Config{}, errors.New("no AWS region; set AWS_REGION or AWS_PROFILE")
		}
		return cfg, nil
	}
	s, err := stack.Open(f.StackDir)
	if err != nil {
		return aws.Config{}, fmt.Errorf("%w, or say --aws to work on your AWS account", err)
	}
	return s.Config(ctx)
}

// Outputs are those of the CloudFormation stack, by name, as template.yaml declares them.
func (f Flags) Outputs(ctx context.Context, cfg aws.Config) (map[string]string, error) {
	return Outputs(ctx, cfg, f.StackName)
}

// Outputs are those of the CloudFormation stack name.
func Outputs(ctx context.Context, cfg aws.Config, name string) (map[string]string, error) {
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return nil, fmt.Errorf("the outputs of the CloudFormation stack %q: %w; deploy it, or name another with --stack-name", name, err)
	}
	if len(out.Stacks) == 0 {
		return nil, fmt.Errorf("no CloudFormation stack %q; deploy it, or name another with --stack-name", name)
	}
	outputs := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs, nil
}
