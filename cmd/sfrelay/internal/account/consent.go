package account

import (
	"context"
	"fmt"
	"sync/atomic"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// consent holds back what changes an account until somebody agreed to it. It stands below
// every client, so a command that forgot to ask changes nothing.
type consent struct{ given atomic.Bool }

// readOnly are the calls that change nothing. One that is missing here is taken for a change.
var readOnly = map[string]bool{
	"CloudFormation:DescribeStacks":      true,
	"CloudWatch Logs:FilterLogEvents":    true,
	"DynamoDB:DescribeContinuousBackups": true,
	"DynamoDB:DescribeTable":             true,
	"DynamoDB:DescribeTimeToLive":        true,
	"DynamoDB:GetItem":                   true,
	"EventBridge:DescribeEventBus":       true,
	"EventBridge:DescribeEventSource":    true,
	"EventBridge:ListRules":              true,
	"EventBridge:ListTargetsByRule":      true,
	"EventBridge:TestEventPattern":       true,
	"Lambda:GetFunctionConfiguration":    true,
	"Lambda:GetPolicy":                   true,
	"STS:GetCallerIdentity":              true,
	"Secrets Manager:DescribeSecret":     true,
	"SQS:GetQueueAttributes":             true,
	"SQS:GetQueueUrl":                    true,
	// A line in the audit log is about what was done; it is nothing that somebody has to agree to.
	"CloudWatch Logs:CreateLogStream": true,
	"CloudWatch Logs:PutLogEvents":    true,
	// Reading a queue hides its messages, and these show them again.
	"SQS:ReceiveMessage":               true,
	"SQS:ChangeMessageVisibilityBatch": true,
}

// hold adds the consent to the calls of a client. It has to come last: the name of the call
// is only known then.
func (c *consent) hold(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Consent",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			call := awsmiddleware.GetServiceID(ctx) + ":" + awsmiddleware.GetOperationName(ctx)
			if !readOnly[call] && !c.given.Load() {
				return middleware.InitializeOutput{}, middleware.Metadata{}, fmt.Errorf("%s changes the account, and nobody was asked; this is a mistake in sfrelay, and nothing was changed by this call", call)
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
}
