package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/config"
	"sfrelay/shared/consumer"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
)

// cloud answers for SQS and DynamoDB (both speak JSON 1.0 with the operation in
// X-Amz-Target) and keeps what it was asked.
type cloud struct {
	mu    sync.Mutex
	asked []call
}

type call struct {
	target string
	body   map[string]any
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	var body map[string]any
	_ = json.Unmarshal(b, &body)
	c.mu.Lock()
	c.asked = append(c.asked, call{r.Header.Get("X-Amz-Target"), body})
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetItem") {
		_, _ = io.WriteString(w, `{"Item":{"l":{"S":"cus_1"}}}`)
		return
	}
	if entries, _ := body["Entries"].([]any); len(entries) == 1 {
		_, _ = io.WriteString(w, `{"Successful":[],"Failed":[{"Id":"0","Code":"ReceiptHandleIsInvalid","SenderFault":true,"Message":"made up by the test"}]}`)
		return
	}
	_, _ = io.WriteString(w, `{"MessageId":"m1","Successful":[],"Failed":[]}`)
}

// env is what a function finds, pairs added to what every function needs.
func env(t *testing.T, endpoint string, pairs ...string) config.Env {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test-id", "AWS_SECRET_ACCESS_KEY": "test-key", "AWS_SESSION_TOKEN": "",
		"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "", "AWS_CA_BUNDLE": "",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, value)
	}
	m := map[string]string{"GUARD_TABLE": "guard", "FAILURE_QUEUE_URL": endpoint + "/failure", "FAILURE_BUCKET": "failures", "SALESFORCE_ORGS": "00D5f000005KcCn"}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		m[name] = value
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// port says how long it may prepare.
type port struct{ until time.Time }

func (*port) Contract() sink.Contract       { return sink.Contract{} }
func (p *port) Prepare(ctx context.Context) { p.until, _ = ctx.Deadline() }

// Lambda ends a start that takes ten seconds, and begins again.
func TestWhatIsDoneAheadHasAnEnd(t *testing.T) {
	f, err := prepare(t.Context(), env(t, "http://127.0.0.1:9"))
	if err != nil {
		t.Fatal(err)
	}
	p := &port{}
	f.port = p
	f.ahead(t.Context())
	if left := time.Until(p.until); p.until.IsZero() || left > 5*time.Second {
		t.Errorf("a sink may take %v, want at most 5 s", left)
	}
}

func TestTheEnvIsThatOfAWS(t *testing.T) {
	c := &cloud{}
	server := httptest.NewServer(c)
	defer server.Close()

	f, err := prepare(t.Context(), env(t, server.URL,
		"BUFFER_QUEUE_URL="+server.URL+"/buffer", "SALESFORCE_CLIENT_NAME=sfrelay", "ACCOUNT_FIELDS=Email__c=Mail__c",
		"RETRY_HOURS=7", "TIME_SCALE=0.5", "GUARD_RESTORED_AT=1000"))
	if err != nil || f.Err() != nil {
		t.Fatal(err, f.Err())
	}
	if c := f.queue.Options().HTTPClient; awsclient.OwnBody(c) != c {
		t.Errorf("%T may lose the rest of an answer", c)
	}
	if _, ok := f.aws.HTTPClient.(*awshttp.BuildableClient); !ok {
		t.Errorf("the SDK sets no time-outs of a service in %T", f.aws.HTTPClient)
	}
	s := f.consumerEnv()
	if s.Store == nil || s.Log == nil || s.ClientName != "sfrelay" || s.Rename["Account"]["Email__c"] != "Mail__c" ||
		s.RetryFor != 7*time.Hour || s.Scale != 0.5 || !s.RestoredAt.Equal(time.Unix(1, 0)) {
		t.Errorf("%+v", s)
	}
	if !s.Orgs.Allows("00D5f000005KcCnEAK") || s.Orgs.Allows("00D000000000001EAA") {
		t.Errorf("orgs %v", s.Orgs)
	}
	if err := s.Park(t.Context(), []byte(`{"event":{}}`)); err != nil {
		t.Fatal(err)
	}
	deferrals := []consumer.Deferral{{ReceiptHandle: "r1", For: 1500 * time.Millisecond}, {ReceiptHandle: "r2", For: 100 * time.Hour}}
	for i := range 9 {
		deferrals = append(deferrals, consumer.Deferral{ReceiptHandle: fmt.Sprint("more", i)})
	}
	if err := s.Defer(t.Context(), deferrals); err == nil || !strings.Contains(err.Error(), "made up") {
		t.Errorf("a message that keeps its time-out: %v", err)
	}
	link, err := f.Link(t.Context(), "customer-billing", "00D5f000005KcCnEAK", consumer.RecordKey("Account", "0015f00002J9YYEAA3"))
	if err != nil || link != "cus_1" {
		t.Fatalf("link %q, %v", link, err)
	}

	if len(c.asked) != 4 {
		t.Fatalf("asked %+v", c.asked)
	}
	if a := c.asked[0]; a.target != "AmazonSQS.SendMessage" || a.body["QueueUrl"] != server.URL+"/failure" || a.body["MessageBody"] != `{"event":{}}` {
		t.Errorf("park: %+v", a)
	}
	// Ten in a request, in whole seconds, never less than asked for, and less than the 12
	// hours of SQS.
	first, _ := c.asked[1].body["Entries"].([]any)
	second, _ := c.asked[2].body["Entries"].([]any)
	if a := c.asked[1]; a.target != "AmazonSQS.ChangeMessageVisibilityBatch" || a.body["QueueUrl"] != server.URL+"/buffer" || len(first) != 10 || len(second) != 1 {
		t.Fatalf("defer: %+v", c.asked[1:3])
	}
	ids := map[any]bool{}
	for i, want := range []map[string]any{{"ReceiptHandle": "r1", "VisibilityTimeout": 2.0}, {"ReceiptHandle": "r2", "VisibilityTimeout": 39600.0}} {
		e, _ := first[i].(map[string]any)
		if ids[e["Id"]] = true; e["ReceiptHandle"] != want["ReceiptHandle"] || e["VisibilityTimeout"] != want["VisibilityTimeout"] {
			t.Errorf("entry %d: %v", i, e)
		}
	}
	if len(ids) != 2 {
		t.Errorf("ids of entries: %v", ids)
	}
	a := c.asked[3]
	key, _ := json.Marshal(a.body["Key"])
	if a.target != "DynamoDB_20120810.GetItem" || a.body["ConsistentRead"] != true || a.body["TableName"] != "guard" ||
		string(key) != `{"pk":{"S":"customer-billing#00D5f000005KcCnEAK#Account/0015f00002J9YYEAA3"}}` {
		t.Errorf("link: %+v", a)
	}
}

// The lane is the function's own buffer. A delay is in whole seconds, never less than
// asked for; what is too large for a message is packed, in the lane and in the failure
// queue.
func TestTheLaneIsTheOwnBuffer(t *testing.T) {
	c := &cloud{}
	server := httptest.NewServer(c)
	defer server.Close()
	f, err := prepare(t.Context(), env(t, server.URL, "BUFFER_QUEUE_URL="+server.URL+"/buffer"))
	if err != nil || f.Err() != nil {
		t.Fatal(err, f.Err())
	}
	s := f.consumerEnv()
	large := []byte(`{"lane":1,"event":{"x":"` + strings.Repeat("y", transport.MaxBody) + `"},"consumer":"c"}`)
	if err := s.Lane(t.Context(), [][]byte{[]byte(`{"lane":1}`), large}, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := s.Park(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	packed := 0
	for i, a := range c.asked {
		queue, delay := "/buffer", any(2.0)
		if i == 2 {
			queue, delay = "/failure", nil
		}
		body, _ := a.body["MessageBody"].(string)
		if a.target != "AmazonSQS.SendMessage" || a.body["QueueUrl"] != server.URL+queue || a.body["DelaySeconds"] != delay || len(body) > transport.MaxBody {
			t.Errorf("%s to %v with a delay of %v and %d bytes", a.target, a.body["QueueUrl"], a.body["DelaySeconds"], len(body))
		}
		if strings.HasPrefix(body, `{"packed":"gzip"`) {
			packed++
		}
	}
	if len(c.asked) != 3 || packed != 2 {
		t.Errorf("%d requests, %d packed", len(c.asked), packed)
	}
	server.Close()
	if err := s.Lane(t.Context(), [][]byte{[]byte(`{}`)}, 0); err == nil {
		t.Error("a buffer that is down took a message")
	}
}

func TestWithoutABufferNothingIsDeferred(t *testing.T) {
	f, err := prepare(t.Context(), env(t, "http://127.0.0.1:1"))
	if err != nil || f.Err() != nil {
		t.Fatal(err, f.Err())
	}
	if f.consumerEnv().Defer != nil {
		t.Error("without a buffer there is no message to defer")
	}
}

// A function whose list of orgs is empty takes no event at all, and says so.
func TestAllMistakesBeforeTheFirstEvent(t *testing.T) {
	for _, orgs := range []string{"", ",", "00D5f000005KcCn,001000000000001"} {
		f, _, err := start(t.Context(), env(t, "http://127.0.0.1:1", "SALESFORCE_ORGS="+orgs, "GUARD_TABLE=", "FAILURE_BUCKET=Not/A/Bucket", "TIME_SCALE=2"),
			func(f *Function) consumer.Definition {
				f.Only("BILLING", "stripe", "the billing system")
				f.Check("STRIPE_SECRET", errors.New("is wrong"))
				return consumer.Action[struct{}]{Name: "Wrong As Well"}
			})
		if f == nil || err == nil {
			t.Fatal("it would start")
		}
		for _, want := range []string{"SALESFORCE_ORGS", "GUARD_TABLE", "FAILURE_BUCKET", "TIME_SCALE", "BILLING", "STRIPE_SECRET", `"Wrong As Well"`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("orgs %q: %q is not named in:\n%v", orgs, want, err)
			}
		}
	}
}

func TestMistakesOfTheEnvironmentAreNamedBesideThoseOfAWS(t *testing.T) {
	e := env(t, "http://127.0.0.1:1", "GUARD_TABLE=")
	t.Setenv("AWS_CA_BUNDLE", t.TempDir()+"/none.pem")
	_, _, err := start(t.Context(), e, func(*Function) consumer.Definition { return nil })
	if err == nil || !strings.Contains(err.Error(), "GUARD_TABLE") || !strings.Contains(err.Error(), "AWS configuration") {
		t.Errorf("%v", err)
	}
}

type handler func() (*consumer.Response, error)

func (handler) Name() string { return "test" }

func (h handler) Handle(context.Context, []byte) (*consumer.Response, error) { return h() }

func TestWhatLambdaIsTold(t *testing.T) {
	out, err := lambdaHandler{handler(func() (*consumer.Response, error) { return nil, nil })}.Invoke(t.Context(), nil)
	if string(out) != "null" || err != nil {
		t.Errorf("taken: %s, %v", out, err)
	}
	out, err = lambdaHandler{handler(func() (*consumer.Response, error) {
		return &consumer.Response{BatchItemFailures: []consumer.ItemFailure{{ItemIdentifier: "m1"}}}, nil
	})}.Invoke(t.Context(), nil)
	if string(out) != `{"batchItemFailures":[{"itemIdentifier":"m1"}]}` || err != nil {
		t.Errorf("a batch: %s, %v", out, err)
	}
	// The class becomes errorType of Lambda's on-failure record.
	_, err = lambdaHandler{handler(func() (*consumer.Response, error) {
		return nil, &consumer.RetryError{Class: "throttled", EventID: "e1", Failed: 2}
	})}.Invoke(t.Context(), nil)
	if e, ok := errors.AsType[messages.InvokeResponse_Error](err); !ok || e.Type != "throttled" || !strings.Contains(e.Message, "event e1") {
		t.Errorf("retry: %v", err)
	}
}

// Whoever is told the org of both settings asks it; without them a function starts as ever,
// and one line of the log says what it does not do. One of the two alone is a mistake.
func TestAskOrg(t *testing.T) {
	const url, name = "SALESFORCE_URL=https://example.my.salesforce.com", "SALESFORCE_SECRET=salesforce"
	for _, c := range []struct {
		set   []string
		asks  bool
		wrong string
		lines int
	}{
		{nil, false, "", 1},
		{[]string{"SALESFORCE_URL=", "SALESFORCE_SECRET="}, false, "", 1},
		{[]string{url, name}, true, "", 0},
		{[]string{url}, false, "SALESFORCE_SECRET", 0},
		{[]string{name}, false, "SALESFORCE_URL", 0},
		{[]string{"SALESFORCE_URL=http://example.my.salesforce.com", name}, false, "SALESFORCE_URL", 0},
	} {
		f, err := prepare(t.Context(), env(t, "http://127.0.0.1:1", c.set...))
		if err != nil || f.Err() != nil {
			t.Fatal(err, f.Err())
		}
		var log bytes.Buffer
		f.log = telemetry.New(&log, "test", slog.LevelInfo)
		if f.consumerEnv().Org != nil {
			t.Error("a function that does not ask has an org")
		}
		f.AskOrg()
		if asks := f.consumerEnv().Org != nil; asks != c.asks {
			t.Errorf("%q: asks: %t, want %t", c.set, asks, c.asks)
		}
		if err := f.Err(); (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%q: %v, want %q", c.set, err, c.wrong)
		}
		said := log.String()
		if n := strings.Count(said, "\n"); n != c.lines || n == 1 && (!strings.Contains(said, "SalesforceUrl") || !strings.Contains(said, "SALESFORCE_SECRET")) {
			t.Errorf("%q: %d lines: %s", c.set, n, said)
		}
	}
}
