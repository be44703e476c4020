package awsclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// SecretManager is the one call that is made (secretsmanager:GetSecretValue).
type SecretManager interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Secret returns a function that reads the current value of the secret, which must
// be text: the bare credential. It keeps nothing; connectors do.
func Secret(m SecretManager, nameOrARN string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := m.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &nameOrARN})
		if err != nil {
			return "", fmt.Errorf("secret %s: %w", nameOrARN, err)
		}
		if out.SecretString == nil {
			return "", fmt.Errorf("secret %s: %w", nameOrARN, errBinary)
		}
		return *out.SecretString, nil
	}
}

var errBinary = errors.New("it is binary; store the credential as text")
