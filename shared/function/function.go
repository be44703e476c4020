// Package function runs a consumer as an AWS Lambda function: it reads the
// environment once, makes the AWS clients, and reports every mistake of environment
// and definition together, before the first event.
package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/config"
	"sfrelay/shared/connect"
	"sfrelay/shared/consumer"
	"sfrelay/shared/failurebucket"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
)

// Function is what main makes a definition from.
type Function struct {
	*config.Reader
	Config config.Config

	dynamo *dynamodb.Client
	store  guard.Store
	aws    aws.Config
	queue  *sqs.Client
	bucket *failurebucket.Bucket
	name   string // of the consumer
	port   sink.Port
	orgs   salesforce.OrgList
	org    consumer.Org // nil: nothing is asked
	log    *telemetry.Log
	secret *secretsmanager.Client
}

// Main runs the consumer that define makes of its connectors and variables, and serves
// events until the process is stopped. What define finds wrong it tells the Reader. A
// mistake ends the process before the first event.
func Main(define func(*Function) consumer.Definition) {
	limitMemory(os.LookupEnv)
	connect.RootsOnce()
	f, h, err := start(context.Background(), os.LookupEnv, define)
	if err == nil {
		f.ahead(context.Background())
		lambda.Start(lambdaHandler{h})
		return
	}
	f.log.Logger().Error("the function cannot start", "error", err.Error())
	os.Exit(1)
}

// start is Main up to the first event. Its error has the mistakes of environment and
// definition together: a deployment is corrected once.
func start(ctx context.Context, env config.Env, define func(*Function) consumer.Definition) (f *Function, h consumer.Handler, err error) {
	if f, err = prepare(ctx, env); err == nil {
		def := define(f)
		if h, err = consumer.New(def, f.consumerEnv()); err == nil {
			f.name, f.port = h.Name(), def.Port()
		}
	}
	return f, h, errors.Join(f.Err(), err)
}

func prepare(ctx context.Context, env config.Env) (*Function, error) {
	r := config.NewReader(env)
	f := &Function{Reader: r, Config: r.Common()}
	f.log = telemetry.New(os.Stdout, f.Config.ServiceName, f.Config.LogLevel).InStage(f.Config.Stage)
	var err error
	if f.orgs, err = salesforce.ParseOrgList(strings.Join(f.Config.Orgs, ",")); len(f.Config.Orgs) > 0 {
		r.Check("SALESFORCE_ORGS", err)
	}
	if f.aws, err = awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(awsclient.HTTPClient())); err != nil {
		return f, fmt.Errorf("AWS configuration: %w", err)
	}
	f.dynamo = dynamo.NewClient(f.aws)
	f.store = dynamo.New(f.dynamo, f.Config.GuardTable)
	f.queue = sqs.NewFromConfig(f.aws, func(o *sqs.Options) {
		o.HTTPClient = awsclient.OwnBody(o.HTTPClient) // a lost answer would park an event twice
	})
	if f.bucket, err = failurebucket.New(f.aws, f.Config.FailureBucket); f.Config.FailureBucket != "" {
		r.Check("FAILURE_BUCKET", err)
	}
	f.secret = secretsmanager.NewFromConfig(f.aws)
	return f, nil
}

// longestAhead bounds what is done ahead: Lambda gives a start ten seconds.
const longestAhead = 3 * time.Second

// ahead does, side by side and before the first event is there, what that would have to wait
// for: the connections to DynamoDB and to the sink, and the sink's credential. Neither table
// nor sink gets a request. Whatever does not work the first event tries again.
func (f *Function) ahead(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, longestAhead)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { dynamo.Connect(ctx, f.dynamo) })
	if p, ok := f.port.(sink.Preparer); ok {
		group.Go(func() { p.Prepare(ctx) })
	}
	group.Wait()
}

// Secret reads a credential when somebody calls it.
func (f *Function) Secret(nameOrARN string) func(context.Context) (string, error) {
	return awsclient.Secret(f.secret, nameOrARN)
}

// AskOrg has the consumer ask the org of SALESFORCE_URL for what an event leaves out, with
// the credentials that SALESFORCE_SECRET names. Without both nothing is asked, and the log
// says so.
func (f *Function) AskOrg() {
	if client := api.FromEnv(f.Reader, f.Secret); client != nil { // a nil client in an interface would not be nil
		f.org = org{client}
	} else if f.Optional("SALESFORCE_URL", "")+f.Optional("SALESFORCE_SECRET", "") == "" {
		f.log.Logger().Info("Salesforce is not asked for what events leave out: such events are parked; to have it asked, " +
			"set SalesforceUrl and SalesforceSecret of the stack (SALESFORCE_URL, SALESFORCE_SECRET) and deploy")
	}
}

// requestID is Lambda's name of an invocation.
func requestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// consumerEnv is that of AWS.
func (f *Function) consumerEnv() consumer.Env {
	c := f.Config
	s := consumer.Env{
		Store: f.store, Park: f.park, Fetch: f.bucket.Get, Org: f.org, Log: f.log, RequestID: requestID,
		Orgs: f.orgs, ClientName: c.ClientName, Rename: map[string]map[string]string{"Account": c.AccountFields, "Opportunity": c.OpportunityFields},
		RestoredAt: c.RestoredAt, RetryFor: c.RetryFor, Scale: c.TimeScale,
	}
	if c.BufferQueueURL != "" {
		s.Defer, s.Lane = f.deferMessages, f.putOff
	}
	return s
}

// Link reads another consumer's link with one consistent read.
func (f *Function) Link(ctx context.Context, owner, org string, k consumer.Key) (string, error) {
	r, err := f.store.Read(ctx, guard.Key(owner, org, k.String()))
	return guard.ReadItem(r).Link, err
}

// message is a body as SQS takes it. What does not fit lies in the failure bucket before a
// message says so.
func (f *Function) message(ctx context.Context, body []byte) (*string, error) {
	if m, fits := transport.Fit(body); fits {
		return aws.String(string(m)), nil
	}
	s, err := transport.Store(f.name, body)
	if err == nil {
		err = f.bucket.Put(ctx, s, body)
	}
	if err != nil {
		return nil, fmt.Errorf("a message of %d bytes: %w", len(body), err)
	}
	return aws.String(string(s.Encode())), nil
}

func (f *Function) park(ctx context.Context, body []byte) error {
	m, err := f.message(ctx, body)
	if err == nil {
		_, err = f.queue.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(f.Config.FailureQueueURL), MessageBody: m})
	}
	return err
}

// putOff puts messages into the function's own buffer, side by side: they are few.
func (f *Function) putOff(ctx context.Context, messages [][]byte, delay time.Duration) error {
	seconds := int32((delay + time.Second - 1) / time.Second)
	errs := make([]error, len(messages))
	var group sync.WaitGroup
	for i, body := range messages {
		group.Go(func() {
			var m *string
			if m, errs[i] = f.message(ctx, body); errs[i] == nil {
				_, errs[i] = f.queue.SendMessage(ctx, &sqs.SendMessageInput{
					QueueUrl: aws.String(f.Config.BufferQueueURL), MessageBody: m, DelaySeconds: seconds,
				})
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// deferMessages changes when the function's own buffer shows messages again, ten in a
// request (SQS API Reference, ChangeMessageVisibilityBatch).
func (f *Function) deferMessages(ctx context.Context, messages []consumer.Deferral) error {
	const longest = 11 * time.Hour // SQS refuses more than 12, counted from when the message was received
	var errs []error
	for batch := range slices.Chunk(messages, 10) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(f.Config.BufferQueueURL)}
		for i, m := range batch {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.ReceiptHandle),
				VisibilityTimeout: int32((min(m.For, longest) + time.Second - 1) / time.Second),
			})
		}
		out, err := f.queue.ChangeMessageVisibilityBatch(ctx, in)
		if err == nil && len(out.Failed) > 0 {
			err = fmt.Errorf("%d messages keep their time-out, the first: %s", len(out.Failed), aws.ToString(out.Failed[0].Message))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// lambdaHandler is a consumer as Lambda calls it, on the bytes that came: what is not JSON is
// the consumer's to park, not the runtime's to refuse.
type lambdaHandler struct{ h consumer.Handler }

// Invoke implements lambda.Handler. The error's type is the class, so that Lambda's
// on-failure record tells it as errorType.
func (s lambdaHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	resp, err := s.h.Handle(ctx, payload)
	if retry, ok := errors.AsType[*consumer.RetryError](err); ok {
		return nil, messages.InvokeResponse_Error{Type: string(retry.Class), Message: retry.Error()}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(resp)
}
