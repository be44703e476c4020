package awsclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

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

// Only what somebody has to mend is final; whatever passes by itself says so.
func TestWhatPassesByItself(t *testing.T) {
	temporary := func(err error) bool {
		m := manager(func(string) (*secretsmanager.GetSecretValueOutput, error) { return nil, err })
		_, got := awsclient.Secret(m, "name")(t.Context())
		e, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](got)
		return ok && e.Temporary()
	}
	for code, want := range map[string]bool{
		"ResourceNotFoundException": false, "AccessDeniedException": false, "DecryptionFailure": false, "InvalidRequestException": false,
		"ThrottlingException": true, "InternalServiceError": true, "ServiceUnavailable": true, "ExpiredTokenException": true,
	} {
		if temporary(&smithy.GenericAPIError{Code: code}) != want {
			t.Errorf("%s passes by itself: %v", code, !want)
		}
	}
	if !temporary(context.DeadlineExceeded) {
		t.Error("no answer in time is final")
	}
}
