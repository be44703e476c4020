package dynamo

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/connect"
)

// NewClient is a client made for the guard: a lost response costs tens of
// milliseconds and not the SDK's second, and headers that DynamoDB has no use for are
// not signed and sent. Hand it a configuration with awsclient.HTTPClient.
func NewClient(cfg aws.Config, opts ...func(*dynamodb.Options)) *dynamodb.Client {
	base := func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
			so.MaxAttempts = 4
			so.Backoff = backoff{}
		})
		o.APIOptions = append(o.APIOptions, withoutInvocationID)
		if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok && c.GetTransport().DisableCompression {
			o.APIOptions = append(o.APIOptions, withoutAcceptEncoding)
		}
		o.HTTPClient = awsclient.OwnBody(awsclient.Early(o.HTTPClient))
		if o.BaseEndpoint != nil {
			// DynamoDB Local sends a wrong checksum with every refused condition.
			o.DisableValidateResponseChecksum = true
		}
	}
	return dynamodb.NewFromConfig(cfg, append([]func(*dynamodb.Options){base}, opts...)...)
}

// Connect connects to DynamoDB with TLS and sends nothing (connect.Ahead), where client is
// made by NewClient and has sent nothing yet. That it fails is no error: the first request
// connects then.
func Connect(ctx context.Context, client *dynamodb.Client) {
	if o := client.Options(); o.BaseEndpoint != nil && !strings.HasPrefix(*o.BaseEndpoint, "https:") {
		return
	}
	connect.Ahead(ctx, func(ctx context.Context) {
		_, _ = client.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: aws.String("none"), Key: map[string]types.AttributeValue{KeyAttribute: &types.AttributeValueMemberS{Value: "none"}},
		})
	})
}

// withoutInvocationID leaves out what tells AWS which tries belong together: with its
// place in the signature 83 bytes a request.
func withoutInvocationID(s *middleware.Stack) error {
	_, err := s.Build.Remove((*awsmiddleware.ClientRequestID)(nil).ID())
	return err
}

// withoutAcceptEncoding leaves out the SDK's "Accept-Encoding: identity", 43 bytes a
// request, for a transport that does not ask for compression anyway.
func withoutAcceptEncoding(s *middleware.Stack) error {
	_, err := s.Finalize.Remove("DisableAcceptEncodingGzip")
	return err
}

// backoff starts at 25 ms, as the SDKs of other languages do for DynamoDB, and
// spreads the tries of concurrent changes.
type backoff struct{}

func (backoff) BackoffDelay(attempt int, _ error) (time.Duration, error) {
	d := 25 * time.Millisecond << min(max(attempt-1, 0), 3)
	return d/2 + rand.N(d/2), nil
}
