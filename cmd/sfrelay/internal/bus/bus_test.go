package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/cmd/sfrelay/internal/bus"
)

const (
	busName  = "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL000000000001GAA"
	ruleARN  = "arn:aws:events:eu-west-2:123456789012:rule/" + busName + "/first"
	function = "arn:aws:lambda:eu-west-2:123456789012:function:consumer"
	buffer   = "arn:aws:sqs:eu-west-2:123456789012:buffer"
	dlq      = "arn:aws:sqs:eu-west-2:123456789012:delivery"
	eventIn  = `{"id":"e-1","source":"` + busName + `","detail-type":"Inventory_Update__e","detail":{"payload":{"n":9007199254740993}}}`
)

// account is an AWS account as far as the bus asks it: it answers in the services'
// own wire formats, and remembers what was handed over.
type account struct {
	target  string // ARN of the rule's target
	dead    bool   // the target has a dead-letter queue
	input   string // the target's Input
	policy  string // of the function or buffer; empty: none
	queue   string // policy of the dead-letter queue
	missing bool   // the target does not exist
	match   bool
	refuse  string // error code of Invoke

	invoked []string
	sent    map[string][]message // queue URL -> messages
	asked   map[string]int
}

type message struct {
	MessageBody       string
	MessageAttributes map[string]struct{ DataType, StringValue string }
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct {
		QueueUrl, QueueName, EventBusName string //nolint:revive // AWS's names
		message
	}
	_ = json.Unmarshal(body, &in)
	answer := func(status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	no := func(code string) {
		w.Header().Set("X-Amzn-Errortype", code)
		answer(http.StatusBadRequest, map[string]string{"__type": code, "message": code})
	}
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if action == "" {
		path, err := url.PathUnescape(r.URL.EscapedPath())
		if err != nil {
			no("ValidationException")
			return
		}
		action = map[bool]string{true: "GetPolicy", false: "Invoke"}[strings.HasSuffix(path, "/policy")]
		if strings.HasSuffix(path, "/configuration") {
			action = "GetFunctionConfiguration"
		}
	}
	a.asked[action]++
	switch action {
	case "ListRules":
		if in.EventBusName != busName {
			no("ResourceNotFoundException")
			return
		}
		answer(http.StatusOK, map[string]any{"Rules": []map[string]string{
			{"Name": "first", "Arn": ruleARN, "State": "ENABLED", "EventPattern": `{"source":["x"]}`},
			{"Name": "off", "Arn": ruleARN + "-off", "State": "DISABLED", "EventPattern": `{"source":["x"]}`},
		}})
	case "ListTargetsByRule":
		target := map[string]any{"Id": "consumer", "Arn": a.target}
		if a.dead {
			target["DeadLetterConfig"] = map[string]string{"Arn": dlq}
		}
		if a.input != "" {
			target["Input"] = a.input
		}
		answer(http.StatusOK, map[string]any{"Targets": []any{target}})
	case "TestEventPattern":
		answer(http.StatusOK, map[string]bool{"Result": a.match})
	case "GetPolicy":
		if a.policy == "" || a.missing {
			no("ResourceNotFoundException")
			return
		}
		answer(http.StatusOK, map[string]string{"Policy": a.policy})
	case "GetFunctionConfiguration":
		if a.missing {
			no("ResourceNotFoundException")
			return
		}
		answer(http.StatusOK, map[string]string{"FunctionName": "consumer"})
	case "Invoke":
		if a.refuse != "" {
			no(a.refuse)
			return
		}
		a.invoked = append(a.invoked, r.Header.Get("X-Amz-Invocation-Type")+" "+string(body))
		w.WriteHeader(http.StatusAccepted)
	case "GetQueueUrl":
		if a.missing && in.QueueName == "buffer" {
			no("QueueDoesNotExist")
			return
		}
		answer(http.StatusOK, map[string]string{"QueueUrl": "https://queue/" + in.QueueName})
	case "GetQueueAttributes":
		policy := a.queue
		if strings.HasSuffix(in.QueueUrl, "/buffer") {
			policy = a.policy
		}
		answer(http.StatusOK, map[string]any{"Attributes": map[string]string{"Policy": policy}})
	case "SendMessage":
		a.sent[in.QueueUrl] = append(a.sent[in.QueueUrl], in.message)
		answer(http.StatusOK, map[string]string{"MessageId": "m"})
	default:
		no("UnknownOperationException")
	}
}

func allow(action string) string {
	return `{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"` + action +
		`","Condition":{"ArnLike":{"AWS:SourceArn":"` + ruleARN + `"}}}]}`
}

func deliver(t *testing.T, a *account) ([]bus.Delivery, error) {
	t.Helper()
	a.sent, a.asked = map[string][]message{}, map[string]int{}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	b := bus.New(aws.Config{
		Region: "eu-west-2", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	events, err := bus.Read(strings.NewReader(eventIn))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Default(context.Background(), events[0], "platform", "changes"); got != busName {
		t.Errorf("the default bus is %s, want that of the source", got)
	}
	return b.Deliver(context.Background(), busName, events[0])
}

// Who asks first which targets there are changes nothing, and costs no second match.
func TestTargets(t *testing.T) {
	for _, match := range []bool{true, false} {
		a := &account{target: function, policy: allow("lambda:InvokeFunction"), match: match, sent: map[string][]message{}, asked: map[string]int{}}
		server := httptest.NewServer(a)
		defer server.Close()
		b := bus.New(aws.Config{
			Region: "eu-west-2", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		})
		events, err := bus.Read(strings.NewReader(eventIn))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if match {
			want = []string{function}
		}
		if got, err := b.Targets(t.Context(), busName, events[0]); err != nil || !slices.Equal(got, want) {
			t.Errorf("match %v: targets %v, %v", match, got, err)
		}
		if a.asked["Invoke"]+a.asked["SendMessage"] > 0 {
			t.Errorf("match %v: it asked %v", match, a.asked)
		}
		deliveries, err := b.Deliver(t.Context(), busName, events[0])
		if err != nil || len(deliveries) != len(want) || a.asked["Invoke"] != len(want) || a.asked["TestEventPattern"] != 1 {
			t.Errorf("match %v: %v, %v, asked %v", match, deliveries, err, a.asked)
		}
		if _, err := b.Targets(t.Context(), "other", events[0]); !errors.Is(err, bus.ErrNoBus) {
			t.Errorf("of no bus: %v", err)
		}
	}
}

func TestDeliver(t *testing.T) {
	for _, c := range []struct {
		name    string
		account account
		outcome bus.Outcome // empty: no rule matches
		code    string
	}{
		{"no match", account{target: function, policy: allow("lambda:InvokeFunction")}, "", ""},
		{"function", account{target: function, policy: allow("lambda:InvokeFunction"), match: true}, bus.Delivered, ""},
		{"queue", account{target: buffer, policy: allow("sqs:SendMessage"), match: true}, bus.Delivered, ""},
		{
			"function without permission", account{target: function, match: true, dead: true, queue: allow("sqs:SendMessage")},
			bus.DeadLettered, "NO_PERMISSIONS",
		},
		{
			"queue without permission", account{target: buffer, policy: allow("sqs:ReceiveMessage"), match: true, dead: true, queue: allow("sqs:SendMessage")},
			bus.DeadLettered, "NO_PERMISSIONS",
		},
		{
			"no function", account{target: function, missing: true, match: true, dead: true, queue: allow("sqs:SendMessage")},
			bus.DeadLettered, "NO_RESOURCE",
		},
		{
			"no queue", account{target: buffer, missing: true, match: true, dead: true, queue: allow("sqs:SendMessage")},
			bus.DeadLettered, "NO_RESOURCE",
		},
		{
			"throttled", account{
				target: function, policy: allow("lambda:InvokeFunction"), refuse: "TooManyRequestsException",
				match: true, dead: true, queue: allow("sqs:SendMessage"),
			},
			bus.DeadLettered, "THROTTLING",
		},
		{"no dead-letter queue", account{target: function, match: true}, bus.Dropped, "NO_PERMISSIONS"},
		{"dead-letter queue that does not let the rule in", account{target: function, match: true, dead: true}, bus.Dropped, "NO_PERMISSIONS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &c.account
			got, err := deliver(t, a)
			if err != nil {
				t.Fatal(err)
			}
			if c.outcome == "" {
				if len(got) != 0 {
					t.Errorf("delivered %v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Outcome != c.outcome || got[0].Code != c.code || got[0].Rule != ruleARN || got[0].Target != a.target {
				t.Fatalf("got %+v, want %s %s", got, c.outcome, c.code)
			}
			switch {
			case c.outcome == bus.Delivered && a.target == function:
				if !slices.Equal(a.invoked, []string{"Event " + eventIn}) {
					t.Errorf("invoked with %q", a.invoked)
				}
			case c.outcome == bus.Delivered:
				if sent := a.sent["https://queue/buffer"]; len(sent) != 1 || sent[0].MessageBody != eventIn {
					t.Errorf("sent %v", a.sent)
				}
			case c.outcome == bus.DeadLettered:
				sent := a.sent["https://queue/delivery"]
				if len(sent) != 1 || sent[0].MessageBody != eventIn {
					t.Fatalf("sent %v", a.sent)
				}
				for name, want := range map[string]string{"RULE_ARN": ruleARN, "TARGET_ARN": a.target, "ERROR_CODE": c.code} {
					if v := sent[0].MessageAttributes[name]; v.StringValue != want || v.DataType != "String" {
						t.Errorf("%s is %+v, want %s", name, v, want)
					}
				}
				if sent[0].MessageAttributes["ERROR_MESSAGE"].StringValue == "" {
					t.Error("no ERROR_MESSAGE")
				}
			default:
				if len(a.sent) != 0 || len(a.invoked) != 0 {
					t.Errorf("sent %v, invoked %v", a.sent, a.invoked)
				}
			}
			if a.asked["ListRules"] != 1 {
				t.Errorf("asked for the rules %d times", a.asked["ListRules"])
			}
		})
	}
}

func TestDeliverRefusesWhatItCannotPlay(t *testing.T) {
	for name, c := range map[string]struct {
		account account
		want    string
	}{
		"transformed input": {account{target: function, policy: allow("lambda:InvokeFunction"), match: true, input: `"{}"`}, "cannot transform the input"},
		"other targets":     {account{target: "arn:aws:sns:eu-west-2:123456789012:topic", match: true}, "neither a Lambda function nor an SQS queue"},
		"our own rights":    {account{target: function, policy: allow("lambda:InvokeFunction"), match: true, refuse: "AccessDeniedException"}, "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := deliver(t, &c.account); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestDefaultBus(t *testing.T) {
	a := &account{asked: map[string]int{}}
	server := httptest.NewServer(a)
	defer server.Close()
	b := bus.New(aws.Config{
		Region: "eu-west-2", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	for _, c := range []struct{ source, detailType, want string }{
		{busName, "AccountChangeEvent", busName},
		{"aws.partner/salesforce.com/00D000000000002EAA/0YL000000000001GAA", "AccountChangeEvent", "changes"},
		{"", "MyObject__ChangeEvent", "changes"},
		{"", "Inventory_Update__e", "platform"},
	} {
		if got := b.Default(context.Background(), bus.Event{Source: c.source, DetailType: c.detailType}, "platform", "changes"); got != c.want {
			t.Errorf("%s from %q takes %q, want %q", c.detailType, c.source, got, c.want)
		}
	}
	if _, err := b.Deliver(context.Background(), "nowhere", bus.Event{}); !errors.Is(err, bus.ErrNoBus) {
		t.Errorf("error %v, want ErrNoBus", err)
	}
}
