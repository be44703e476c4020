package account

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Caller is who we are to AWS: the ARN of a user or of a role's session.
func (a *Account) Caller(ctx context.Context) (string, error) {
	out, err := sts.NewFromConfig(a.Config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("who is calling: %w", err)
	}
	return aws.ToString(out.Arn), nil
}
