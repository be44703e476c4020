package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/shared/relay"
)

// local are both sides of the local stack: the sandbox of the org, as whom the functions log in,
// and the emulator.
func (f *relaySides) local(ctx context.Context) (*joined, error) {
	s, err := stack.Open(f.StackDir)
	if errors.Is(err, stack.ErrDown) {
		return nil, usageError{errors.New("there is no local stack; start it with make up, or say where to work: --aws, or --sandbox, with --org and --credentials")}
	}
	if err != nil {
		return nil, err
	}
	at, err := account.Flags{StackName: f.StackName, StackDir: f.StackDir}.Open(ctx)
	if err != nil {
		return nil, err
	}
	f.Org = s.OrgURL
	secrets := secretsmanager.NewFromConfig(at.Config)
	org, err := relay.NewOrg(s.OrgURL, func(ctx context.Context) (string, error) {
		out, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(stack.OrgSecret)})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.SecretString), nil
	})
	return &joined{org, eventbridge.NewFromConfig(at.Config), relay.Place{Region: stack.Region, Account: stack.Account, Orgs: at.Orgs}, at, f.StackName}, err
}
