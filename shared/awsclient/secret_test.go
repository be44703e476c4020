package awsclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"sfrelay/shared/awsclient"
)

type manager func(id string) (*secretsmanager.GetSecretValueOutput, error)

func (m manager) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return m(*in.SecretId)
}

func TestASecretIsText(t *testing.T) {
	denied := errors.New("denied")
	m := manager(func(id string) (*secretsmanager.GetSecretValueOutput, error) {
		switch id {
		case "good":
			return &secretsmanager.GetSecretValueOutput{SecretString: aws.String("test-key")}, nil
		case "binary":
			return &secretsmanager.GetSecretValueOutput{SecretBinary: []byte("test-key")}, nil
		default:
			return nil, denied
		}
	})
	if v, err := awsclient.Secret(m, "good")(t.Context()); v != "test-key" || err != nil {
		t.Errorf("= %q, %v", v, err)
	}
	if _, err := awsclient.Secret(m, "binary")(t.Context()); err == nil || !strings.Contains(err.Error(), "binary") || strings.Contains(err.Error(), "test-key") {
		t.Errorf("a binary secret = %v", err)
	}
	if _, err := awsclient.Secret(m, "other")(t.Context()); !errors.Is(err, denied) || !strings.Contains(err.Error(), "other") {
		t.Errorf("a denied read = %v, want its name and cause", err)
	}
}
