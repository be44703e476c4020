package account

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"sfrelay/shared/deadletter"
	"sfrelay/shared/failurebucket"
	"sfrelay/shared/transport"
)

// Consumers are those that the outputs name: <LogicalId>Function, <LogicalId>BufferUrl and
// <LogicalId>RoleId.
func Consumers(outputs map[string]string) []deadletter.Consumer {
	var all []deadletter.Consumer
	for key, value := range outputs {
		if id, ok := strings.CutSuffix(key, "Function"); ok {
			all = append(all, deadletter.Consumer{Name: kebab(id), Function: value, Buffer: outputs[id+"BufferUrl"], RoleID: outputs[id+"RoleId"]})
		}
	}
	return all
}

// Fetch gets what lies in the failure bucket of the stack; nil where the outputs name none, as
// those of earlier versions.
func Fetch(cfg aws.Config, outputs map[string]string) func(context.Context, transport.Stored) ([]byte, error) {
	name := outputs["FailureBucket"]
	if name == "" {
		return nil
	}
	bucket, err := failurebucket.New(cfg, name)
	if err != nil {
		return func(context.Context, transport.Stored) ([]byte, error) {
			return nil, fmt.Errorf("the output FailureBucket of the stack: %w", err)
		}
	}
	return bucket.Get
}

// ByTarget is the name of the consumer behind the ARN of a rule's target, its
// function or its buffer; empty for a stranger.
func ByTarget(consumers []deadletter.Consumer, arn string) string {
	name := arn[strings.LastIndex(arn, ":")+1:]
	for _, c := range consumers {
		if name == c.Function || name == c.Buffer[strings.LastIndex(c.Buffer, "/")+1:] {
			return c.Name
		}
	}
	return ""
}

var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// kebab is the folder of a logical id: CustomerBilling is customer-billing.
func kebab(id string) string { return strings.ToLower(hump.ReplaceAllString(id, "$1-$2")) }
