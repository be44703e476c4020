package dynamo_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/guard/dynamo/dynamotest"
	"sfrelay/shared/guard/guardtest"
)

func TestContract(t *testing.T) {
	store := open(t, nil)
	guardtest.Run(t, func(*testing.T) guard.Store { return store })
}

// TestRequests is the promise of the package comment of guard, counted on the
// wire: DynamoDB's operations, tries included.
func TestRequests(t *testing.T) {
	counter := &counter{}
	store := open(t, counter)
	guardtest.Requests(t, store, counter.take)
}

// open makes a table of its own; rt, when given, sees every request.
func open(t *testing.T, rt *counter) *dynamo.Store {
	t.Helper()
	endpoint := dynamotest.Start(t)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	client := &http.Client{Transport: transport}
	if rt != nil {
		rt.next = transport
		client.Transport = rt
	}
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: client,
		Credentials: credentials(t),
	}
	api := dynamo.NewClient(cfg)
	table := fmt.Sprintf("guard-%d", time.Now().UnixNano())
	_, err := api.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:            aws.String(table),
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(dynamo.KeyAttribute), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(dynamo.KeyAttribute), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if rt != nil {
		rt.take()
	}
	return dynamo.New(api, table)
}

// credentials are those of the local stack where the environment names its profile, else
// some: DynamoDB Local takes any. The reader's own are never sent.
func credentials(t *testing.T) aws.CredentialsProvider {
	t.Helper()
	if os.Getenv("AWS_PROFILE") == "sfrelay-local" {
		cfg, err := config.LoadDefaultConfig(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Credentials
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
	})
}

// counter counts DynamoDB's operations by kind.
type counter struct {
	next          http.RoundTripper
	writes, reads atomic.Int64
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	switch target := req.Header.Get("X-Amz-Target"); {
	case strings.HasSuffix(target, ".UpdateItem"):
		c.writes.Add(1)
	default:
		c.reads.Add(1)
	}
	return c.next.RoundTrip(req)
}

func (c *counter) take() (writes, reads int) {
	return int(c.writes.Swap(0)), int(c.reads.Swap(0))
}
