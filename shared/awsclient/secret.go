package awsclient

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

// SecretManager is the one call that is made (secretsmanager:GetSecretValue).
type SecretManager interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Secret returns a function that reads the current value of the secret, which must
// be text: the bare credential. It keeps nothing; connectors do. An error that passes by
// itself (no answer in time, throttling, a fault of the service) has a method Temporary
// that reports true.
func Secret(m SecretManager, nameOrARN string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := m.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &nameOrARN})
		if err != nil {
			err = fmt.Errorf("secret %s: %w", nameOrARN, err)
			if passes(err) {
				err = passing{err}
			}
			return "", err
		}
		if out.SecretString == nil {
			return "", fmt.Errorf("secret %s: %w", nameOrARN, errBinary)
		}
		return *out.SecretString, nil
	}
}

var errBinary = errors.New("it is binary; store the credential as text")

// final are the errors that somebody has to correct (Secrets Manager API Reference,
// "GetSecretValue", Errors; "Common Errors").
var final = []string{
	"ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure", "InvalidParameterException", "InvalidRequestException",
	"ValidationException", "UnrecognizedClientException", "InvalidSignatureException",
}

func passes(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return !ok || !slices.Contains(final, e.ErrorCode())
}

type passing struct{ error }

func (passing) Temporary() bool { return true }

func (e passing) Unwrap() error { return e.error }
