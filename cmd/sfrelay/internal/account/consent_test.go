package account_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/cmd/sfrelay/internal/account"
)

const stackOf = `<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
	<StackId>arn:aws:cloudformation:eu-west-2:123456789012:stack/sfrelay/1</StackId><StackName>sfrelay</StackName>
	<CreationTime>2026-11-22T07:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Parameters>%s</Parameters>
	</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`

func parameter(key, value string) string {
	return "<member><ParameterKey>" + key + "</ParameterKey><ParameterValue>" + value + "</ParameterValue></member>"
}

// Below every client: a call that is not known to read only does not leave the program
// before somebody agreed.
func TestNothingIsChangedBeforeSomebodyAgreed(t *testing.T) {
	noSettings(t)
	var called []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "DescribeStacks" {
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprintf(w, stackOf, "")
			return
		}
		called = append(called, r.Header.Get("X-Amz-Target")+r.URL.Path)
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
	at, err := open(t)
	if err != nil || !at.Asks {
		t.Fatalf("%+v, %v", at, err)
	}
	q, f, e := sqs.NewFromConfig(at.Config), lambda.NewFromConfig(at.Config), eventbridge.NewFromConfig(at.Config)
	changes := map[string]func() error{
		"Lambda:Invoke": func() error {
			_, err := f.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")})
			return err
		},
		"SQS:DeleteMessage": func() error {
			_, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String("q"), ReceiptHandle: aws.String("h")})
			return err
		},
		"SQS:PurgeQueue": func() error {
			_, err := q.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String("q")})
			return err
		},
		"EventBridge:PutEvents": func() error {
			_, err := e.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{}}})
			return err
		},
	}
	for call, change := range changes {
		if err := change(); err == nil || !strings.Contains(err.Error(), call+" changes the account, and nobody was asked") {
			t.Errorf("%s: %v", call, err)
		}
	}
	if len(called) > 0 {
		t.Errorf("AWS was called: %v", called)
	}
	if _, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")}); err != nil || !slices.Equal(called, []string{"AmazonSQS.ReceiveMessage/"}) {
		t.Errorf("reading: %v, %v", err, called)
	}
	at.Agree()
	if err := changes["SQS:DeleteMessage"](); err != nil || !slices.Contains(called, "AmazonSQS.DeleteMessage/") {
		t.Errorf("agreed: %v, %v", err, called)
	}
}

// No secret is read, and of an address only the host is said.
func TestSinksAreThoseOfTheParameters(t *testing.T) {
	const secret = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:"
	for _, test := range []struct {
		parameters string
		want       []account.Sink
	}{
		{
			parameter("StripeApiBase", "") + parameter("StripeSecret", secret+"stripe-live-AbCdEf") + parameter("ErpUrl", "https://user:pass@erp.example/v1?key=1") + parameter("ErpSecret", secret+"erp-AbCdEf"),
			[]account.Sink{{Name: "Stripe", At: "api.stripe.com", Key: "stripe-live-AbCdEf"}, {Name: "ERP", At: "erp.example", Key: "erp-AbCdEf"}},
		},
		{
			parameter("StripeApiBase", "http://127.0.0.1:8080/") + parameter("StripeSecret", secret+"a-AbCdEf") + parameter("ErpUrl", "http://[::1]:8081/erp"),
			[]account.Sink{{Name: "Stripe", At: "127.0.0.1:8080", Key: "a-AbCdEf"}, {Name: "ERP", At: "[::1]:8081", Key: ""}},
		},
		{
			parameter("NotifyUrl", "https://crm.example/hooks?token=1") + parameter("NotifySecret", secret+"hook-AbCdEf"),
			[]account.Sink{{Name: "Stripe", At: "api.stripe.com"}, {Name: "ERP", At: "an unknown address"}, {Name: "webhook", At: "crm.example", Key: "hook-AbCdEf"}},
		},
		{"", []account.Sink{{Name: "Stripe", At: "api.stripe.com", Key: ""}, {Name: "ERP", At: "an unknown address", Key: ""}}},
	} {
		noSettings(t)
		at, err := asked(t, http.StatusOK, fmt.Sprintf(stackOf, test.parameters))
		if err != nil || !slices.Equal(at.Sinks, test.want) {
			t.Errorf("%+v, %v, want %+v", at, err, test.want)
		}
	}
}

// A consumer is off where its parameter is there and empty: stacks of before know none.
func TestAConsumerWithoutItsSinkIsOff(t *testing.T) {
	for parameters, want := range map[string][]string{
		"": nil, parameter("NotifyUrl", ""): {"contact-notify"}, parameter("NotifyUrl", "https://crm.example/"): nil,
	} {
		noSettings(t)
		at, err := asked(t, http.StatusOK, fmt.Sprintf(stackOf, parameters))
		if err != nil || !slices.Equal(at.Off, want) {
			t.Errorf("%s: off %q, %v", parameters, at.Off, err)
		}
	}
}
