package deadletter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// queues is SQS with the strictest reading of its documents: every receipt handle but
// the newest is refused, also for a deletion; a message that is not in flight cannot
// change its visibility; an answer may be empty although there are messages. Every
// call takes a second.
type queues struct {
	t        *testing.T
	mu       sync.Mutex
	now      time.Time
	messages map[string][]*stored // by queue URL
	deleted  map[string]bool      // by handle
	calls    int
	fail     func(call string) error
}

type stored struct {
	id, body  string
	custom    map[string]string
	system    map[string]string // attributes that SQS sets
	sent      time.Time
	visibleAt time.Time
	handle    string
	received  int
}

func newQueues(t *testing.T) *queues {
	return &queues{t: t, now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), messages: map[string][]*stored{}, deleted: map[string]bool{}}
}

func (q *queues) clock() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.now
}

func (q *queues) put(url, id, body string, custom map[string]string) {
	q.messages[url] = append(q.messages[url], &stored{id: id, body: body, custom: custom, sent: q.now, system: map[string]string{"SenderId": senderOf(url, body)}})
}

// Of a role's session SQS says its id and name (SQS API Reference, ReceiveMessage, SenderId).
const (
	erpRole       = "AROAEXAMPLECUSTOMERERP"
	inventoryRole = "AROAEXAMPLEINVENTORYER"
	eventBridge   = "AIDAEXAMPLEEVENTBRIDGE"
)

// senderOf is who puts such a message into such a queue where nobody cheats.
func senderOf(url, body string) string {
	switch {
	case url == deliveryURL:
		return eventBridge
	case strings.Contains(body, `"consumer":"inventory-erp"`):
		return inventoryRole + ":fn-inventory-erp"
	default:
		return erpRole + ":fn-customer-erp"
	}
}

func (q *queues) call(ctx context.Context, name string) error {
	q.calls++
	q.now = q.now.Add(time.Second)
	if q.calls > 10_000 {
		q.t.Fatal("this does not end")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.fail != nil {
		return q.fail(name)
	}
	return nil
}

func (q *queues) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.call(ctx, "receive"); err != nil {
		return nil, err
	}
	if in.MaxNumberOfMessages < 1 || in.MaxNumberOfMessages > 10 || in.VisibilityTimeout < 1 || in.VisibilityTimeout > 120 {
		q.t.Fatalf("a reading for %d messages, %d s", in.MaxNumberOfMessages, in.VisibilityTimeout)
	}
	if in.WaitTimeSeconds < 1 {
		q.t.Fatal("a short poll: it asks some servers only")
	}
	if !slices.Contains(in.MessageAttributeNames, "All") || len(in.MessageSystemAttributeNames) == 0 {
		q.t.Fatal("a reading without attributes")
	}
	out := &sqs.ReceiveMessageOutput{}
	if q.calls%5 == 0 {
		return out, nil
	}
	for _, m := range q.messages[*in.QueueUrl] {
		if len(out.Messages) == int(in.MaxNumberOfMessages) || len(out.Messages) == 3 || m.visibleAt.After(q.now) {
			continue
		}
		m.received++
		m.handle = m.id + "/" + strconv.Itoa(m.received)
		m.visibleAt = q.now.Add(time.Duration(in.VisibilityTimeout) * time.Second)
		custom := map[string]types.MessageAttributeValue{}
		for name, value := range m.custom {
			custom[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
		}
		system := map[string]string{"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.received)}
		maps.Copy(system, m.system)
		out.Messages = append(out.Messages, types.Message{
			MessageId: &m.id, Body: &m.body, ReceiptHandle: aws.String(m.handle), MessageAttributes: custom, Attributes: system,
		})
	}
	return out, nil
}

func (q *queues) inFlight(url, handle string) (int, error) {
	i := slices.IndexFunc(q.messages[url], func(m *stored) bool { return m.handle == handle })
	if i < 0 {
		return 0, &types.ReceiptHandleIsInvalid{}
	}
	if !q.messages[url][i].visibleAt.After(q.now) {
		return 0, &types.MessageNotInflight{}
	}
	return i, nil
}

func (q *queues) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.call(ctx, "visibility"); err != nil {
		return nil, err
	}
	if len(in.Entries) < 1 || len(in.Entries) > 10 {
		q.t.Errorf("a batch of %d messages", len(in.Entries))
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for _, e := range in.Entries {
		if q.deleted[*e.ReceiptHandle] {
			q.t.Errorf("the visibility of the deleted message %s is changed", *e.ReceiptHandle)
		}
		if e.VisibilityTimeout < 0 || e.VisibilityTimeout > 43_200 {
			q.t.Fatalf("visibility of %d s", e.VisibilityTimeout)
		}
		if i, err := q.inFlight(*in.QueueUrl, *e.ReceiptHandle); err != nil {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, SenderFault: true, Code: aws.String("ReceiptHandleIsInvalid")})
		} else {
			q.messages[*in.QueueUrl][i].visibleAt = q.now.Add(time.Duration(e.VisibilityTimeout) * time.Second)
		}
	}
	return out, nil
}

// GetQueueAttributes costs no time: the tests about it are elsewhere.
func (q *queues) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	visible, hidden := 0, 0
	for _, m := range q.messages[*in.QueueUrl] {
		if m.visibleAt.After(q.now) {
			hidden++
		} else {
			visible++
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
	}}, nil
}

func (q *queues) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.call(ctx, "delete"); err != nil {
		return nil, err
	}
	i, err := q.inFlight(*in.QueueUrl, *in.ReceiptHandle)
	if err != nil {
		return nil, err
	}
	q.deleted[*in.ReceiptHandle] = true
	q.messages[*in.QueueUrl] = slices.Delete(q.messages[*in.QueueUrl], i, i+1)
	return &sqs.DeleteMessageOutput{}, nil
}

// left are the messages that lie in a queue; all must be visible.
func (q *queues) left(url string) (ids []string) {
	q.t.Helper()
	for _, m := range q.messages[url] {
		ids = append(ids, m.id)
		if m.visibleAt.After(q.now) {
			q.t.Errorf("message %s stays hidden for %s", m.id, m.visibleAt.Sub(q.now))
		}
	}
	slices.Sort(ids)
	return ids
}

// functions is Lambda. Every invocation takes a minute of the queues' time.
type functions struct {
	*queues
	answer  func(function, payload string) (*lambda.InvokeOutput, error)
	invoked []string // function and the message's event
}

func (f *functions) Invoke(ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call(ctx, "invoke"); err != nil {
		return nil, err
	}
	f.now = f.now.Add(time.Minute)
	if in.InvocationType != "RequestResponse" || !json.Valid(in.Payload) {
		f.t.Fatalf("invocation of type %s with %s", in.InvocationType, in.Payload)
	}
	batch, err := transport.Open(in.Payload)
	if err != nil {
		f.t.Fatal(err)
	}
	var e struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(batch.Messages[0].Event, &e)
	f.invoked = append(f.invoked, *in.FunctionName+" "+e.ID)
	if f.answer != nil {
		return f.answer(*in.FunctionName, string(in.Payload))
	}
	return took(), nil
}

// took is the answer of a consumer that has done what it was asked for.
func took() *lambda.InvokeOutput {
	return &lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"batchItemFailures":[],"verdicts":[{"verdict":"applied"}]}`)}
}

const (
	failureURL  = "https://sqs.example/failure"
	deliveryURL = "https://sqs.example/delivery"
	lambdaARN   = "arn:aws:lambda:eu-west-2:123456789012:function:"
)

func stackOf(q *queues) (*deadletter.Queues, *functions) {
	f := &functions{queues: q}
	return &deadletter.Queues{
		SQS: q, Lambda: f, Readers: 1, Now: q.clock,
		List: []deadletter.Queue{{Name: "failure", URL: failureURL}, {Name: "delivery", URL: deliveryURL, FromRules: true}},
		Consumers: []deadletter.Consumer{
			{Name: "customer-erp", Function: "fn-customer-erp", Buffer: "https://sqs.example/buffer-customer-erp", RoleID: erpRole},
			{Name: "inventory-erp", Function: "fn-inventory-erp", Buffer: "https://sqs.example/buffer-inventory-erp", RoleID: inventoryRole},
		},
	}, f
}

func change(id string, records ...string) string {
	quoted, _ := json.Marshal(records)
	return `{"version":"0","id":"` + id + `","detail-type":"AccountChangeEvent","source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabXGAS","time":"2026-11-21T10:15:30Z",` +
		`"detail":{"payload":{"ChangeEventHeader":{"entityName":"Account","recordIds":` + string(quoted) + `,"changeType":"DELETE","transactionKey":"` + id + `","sequenceNumber":1,"commitTimestamp":1795256129000,"commitNumber":7}}}}`
}

func parked(consumer string, class verdict.Class, event string, records ...string) string {
	return string(transport.Parked{
		Event: []byte(event), Records: records, Consumer: consumer, Class: class, Error: "why not", Attempts: 2,
		FirstAt: time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC), LastAt: time.Date(2026, 11, 22, 7, 1, 0, 0, time.UTC),
	}.Encode())
}

func onFailure(function, event string) string {
	return `{"version":"1.0","timestamp":"2026-11-22T07:30:00.000Z","requestContext":{"requestId":"r","functionArn":"` + lambdaARN + function + `:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},` +
		`"requestPayload":` + event + `,"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no answer","errorType":"unknown"}}`
}

func undelivered(target string) map[string]string {
	return map[string]string{"RULE_ARN": "arn:aws:events:eu-west-2:123456789012:rule/x", "TARGET_ARN": target, "ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not allowed", "RETRY_ATTEMPTS": "0"}
}

const one, two, three = "0015f0000200001AAA", "0015f0000200002AAA", "0015f0000200003AAA"

// fill puts one message of every form into the queues.
func fill(q *queues) {
	q.put(failureURL, "m1", parked("customer-erp", "permanent/invalid-currency", change("e1", one, two, three), two), nil)
	q.put(failureURL, "m2", onFailure("fn-customer-erp", change("e2", one)), nil)
	q.put(failureURL, "m3", parked("inventory-erp", "in-doubt", change("e3", one)), nil)
	q.put(failureURL, "m4", parked("customer-erp", "changed-after-done", change("e4", one)), nil)
	q.put(failureURL, "m5", parked("customer-erp", "permanent/invalid-json", `{"id":"e5"`), nil)
	q.put(failureURL, "m6", parked("somebody", "unknown", change("e6", one)), nil)
	q.put(deliveryURL, "m7", change("e7", one), undelivered(lambdaARN+"fn-inventory-erp"))
	q.put(deliveryURL, "m8", change("e8", one), undelivered("arn:aws:sqs:eu-west-2:123456789012:buffer-customer-erp"))
	q.put(deliveryURL, "m9", change("e9", one), undelivered(lambdaARN+"gone"))
}

func read(t *testing.T, o *deadletter.Queues, f deadletter.Filter, limit int) map[string]deadletter.Message {
	t.Helper()
	found, err := o.Read(t.Context(), deadletter.Query{Filter: f, Limit: limit})
	if err != nil || len(found.Warnings) > 0 {
		t.Fatal(err, found.Warnings)
	}
	messages := found.Messages
	if !slices.IsSortedFunc(messages, func(a, b deadletter.Message) int { return a.FirstAt.Compare(b.FirstAt) }) {
		t.Error("the oldest is not the first")
	}
	byID := map[string]deadletter.Message{}
	for _, l := range messages {
		if _, twice := byID[l.ID]; twice {
			t.Errorf("message %s is listed twice", l.ID)
		}
		byID[l.ID] = l
	}
	return byID
}

func TestRead(t *testing.T) {
	q := newQueues(t)
	fill(q)
	o, _ := stackOf(q)
	messages := read(t, o, deadletter.Filter{}, 0)
	if len(messages) != 9 {
		t.Fatalf("%d messages, want 9", len(messages))
	}
	if n := len(q.left(failureURL)) + len(q.left(deliveryURL)); n != 9 {
		t.Errorf("%d messages lie in the queues afterwards", n)
	}
	for id, want := range map[string]struct {
		form              transport.Form
		consumer          string
		class             verdict.Class
		attempts          int
		firstAt           time.Time
		detailType, event string
		subjects          []string
	}{
		"m1": {transport.ParkedMessage, "customer-erp", "permanent/invalid-currency", 2, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC), "AccountChangeEvent", "00D5f000005KcCnEAK:e1:1:Account:DELETE:" + two, []string{"Account/" + two}},
		"m2": {transport.OnFailure, "customer-erp", "unknown", 3, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), "AccountChangeEvent", "00D5f000005KcCnEAK:e2:1:Account:DELETE:" + one, []string{"Account/" + one}},
		"m5": {transport.ParkedMessage, "customer-erp", "permanent/invalid-json", 2, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC), "", "", nil},
		"m7": {transport.RuleDLQ, "inventory-erp", "NO_PERMISSIONS", 0, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), "AccountChangeEvent", "00D5f000005KcCnEAK:e7:1:Account:DELETE:" + one, []string{"Account/" + one}},
		"m8": {transport.RuleDLQ, "customer-erp", "NO_PERMISSIONS", 0, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), "AccountChangeEvent", "00D5f000005KcCnEAK:e8:1:Account:DELETE:" + one, []string{"Account/" + one}},
		"m9": {transport.RuleDLQ, "", "NO_PERMISSIONS", 0, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), "AccountChangeEvent", "00D5f000005KcCnEAK:e9:1:Account:DELETE:" + one, []string{"Account/" + one}},
	} {
		l := messages[id]
		if l.Form != want.form || l.Consumer != want.consumer || l.Class != want.class || l.Attempts != want.attempts || !l.FirstAt.Equal(want.firstAt) {
			t.Errorf("%s: %+v, want %+v", id, l, want)
		}
		if e := l.Events[0]; e.DetailType != want.detailType || e.Identity != want.event || !reflect.DeepEqual(e.Subjects, want.subjects) {
			t.Errorf("%s: event %+v, want %+v", id, e, want)
		}
	}
	if e := messages["m5"].Events[0]; !strings.HasPrefix(e.Refused, "invalid-json") || string(e.JSON) != `{"id":"e5"` {
		t.Errorf("broken event: %+v", e)
	}
}

func TestFilter(t *testing.T) {
	q := newQueues(t)
	fill(q)
	o, _ := stackOf(q)
	for _, c := range []struct {
		filter deadletter.Filter
		want   []string
	}{
		{deadletter.Filter{Class: "permanent"}, []string{"m1", "m5"}},
		{deadletter.Filter{Class: "permanent/invalid-json"}, []string{"m5"}},
		{deadletter.Filter{Class: "unknown"}, []string{"m2", "m6"}},
		{deadletter.Filter{Class: "un"}, nil},
		{deadletter.Filter{Class: "permanent/invalid"}, nil},
		{deadletter.Filter{Consumer: "customer-erp"}, []string{"m1", "m2", "m4", "m5", "m8"}},
		{deadletter.Filter{Consumer: "customer-erp", Class: "unknown"}, []string{"m2"}},
		{deadletter.Filter{ID: "m7"}, []string{"m7"}},
		{deadletter.Filter{ID: "x"}, nil},
	} {
		var got []string
		for id := range read(t, o, c.filter, 0) {
			got = append(got, id)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v chooses %v, want %v", c.filter, got, c.want)
		}
	}
	if n := len(read(t, o, deadletter.Filter{}, 2)); n != 2 {
		t.Errorf("%d messages with a limit of 2", n)
	}
	q.left(failureURL)
	q.left(deliveryURL)
}

// redrive redrives everything.
func redrive(t *testing.T, ctx context.Context, o *deadletter.Queues) (map[string]deadletter.Result, error) {
	t.Helper()
	results := map[string]deadletter.Result{}
	_, err := o.Redrive(ctx, deadletter.Order{Parallel: 1, By: "ada", Report: func(r deadletter.Result) {
		if _, twice := results[r.Message.ID]; twice {
			t.Errorf("two reports on %s", r.Message.ID)
		}
		results[r.Message.ID] = r
	}})
	return results, err
}

func TestRedrive(t *testing.T) {
	q := newQueues(t)
	fill(q)
	o, f := stackOf(q)
	results, err := redrive(t, t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]deadletter.Outcome{
		"m1": deadletter.Taken, "m2": deadletter.Taken, "m5": deadletter.Taken, "m7": deadletter.Taken, "m8": deadletter.Taken,
		"m3": deadletter.Refused, "m4": deadletter.Refused, "m6": deadletter.Refused, "m9": deadletter.Refused,
	} {
		if r := results[id]; r.Outcome != want || (want != deadletter.Taken) != (r.Reason != "") {
			t.Errorf("%s: %s (%s), want %s", id, r.Outcome, r.Reason, want)
		}
	}
	if left := q.left(failureURL); !slices.Equal(left, []string{"m3", "m4", "m6"}) {
		t.Errorf("in the failure queue lie %v", left)
	}
	if left := q.left(deliveryURL); !slices.Equal(left, []string{"m9"}) {
		t.Errorf("in the delivery queue lie %v", left)
	}
	slices.Sort(f.invoked)
	if want := []string{"fn-customer-erp ", "fn-customer-erp e1", "fn-customer-erp e2", "fn-customer-erp e8", "fn-inventory-erp e7"}; !slices.Equal(f.invoked, want) {
		t.Errorf("invoked were %q, want %q", f.invoked, want)
	}
}

func TestWhatFailsStays(t *testing.T) {
	for _, c := range []struct {
		answer *lambda.InvokeOutput
		reason string
	}{
		{&lambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled"), Payload: []byte(`{"errorType":"unknown","errorMessage":"no answer"}`)}, "unknown: no answer"},
		{&lambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled"), Payload: []byte(`{"errorType":"auth","errorMessage":"auth: no answer"}`)}, "auth: no answer"},
		{&lambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled"), Payload: []byte(`Runtime exited`)}, "Unhandled: the function gave no reason; see its log"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"x"}]}`)}, "1 of its events failed"},
		{&lambda.InvokeOutput{StatusCode: 202}, "Lambda answered with status 202"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`"hello"`)}, "the function returned an unexpected answer; check that it is a consumer of this version"},
		{&lambda.InvokeOutput{StatusCode: 200}, "the function returned an unexpected answer; check that it is a consumer of this version"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`null`)}, "the function does not say what became of the changes, as one of an earlier version; deploy this version with make deploy"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"verdicts":[]}`)}, "the function does not say what became of the changes, as one of an earlier version; deploy this version with make deploy"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"verdicts":[{"verdict":"failed","class":"throttled","error":"throttled: 503"}]}`)}, "throttled: 503"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"verdicts":[{"verdict":"busy"}]}`)}, "busy"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"verdicts":[{"verdict":"done"}]}`)}, "done"},
		{&lambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{"verdicts":[{"verdict":"applied","class":"duplicate-remote"},{"verdict":"failed","class":"auth","error":"401"},{"verdict":"applied"}]}`)}, "1 of 3 changes failed, the first: auth: 401"},
	} {
		answer, what := c.answer, c.reason
		q := newQueues(t)
		q.put(failureURL, "m1", parked("customer-erp", "unknown", change("e1", one)), nil)
		o, f := stackOf(q)
		f.answer = func(string, string) (*lambda.InvokeOutput, error) { return answer, nil }
		results, err := redrive(t, t.Context(), o)
		if r := results["m1"]; err != nil || r.Outcome != deadletter.Left || r.Reason != c.reason {
			t.Errorf("%s: %v, %+v", what, err, r)
		}
		if left := q.left(failureURL); len(left) != 1 {
			t.Errorf("%s: the message is gone", what)
		}
	}
}

// What a consumer acknowledged is deleted; what it parked on the way is told.
func TestWhatIsTaken(t *testing.T) {
	for _, c := range []struct{ answer, want, reason string }{
		{`{"verdicts":[{"verdict":"applied"},{"verdict":"duplicate"},{"verdict":"stale"},{"verdict":"partly-stale"},{"verdict":"ignored"},{"verdict":"echo"},{"verdict":"probe"}]}`, "taken", ""},
		{`{"batchItemFailures":[],"verdicts":[{"verdict":"applied"},{"verdict":"applied","class":"duplicate-remote","error":"two of them"}]}`, "parked again", "duplicate-remote: two of them"},
		{`{"verdicts":[{"verdict":"zombie","class":"overwrote-newer"}]}`, "parked again", "overwrote-newer"},
	} {
		q := newQueues(t)
		q.put(failureURL, "m1", parked("customer-erp", "unknown", change("e1", one)), nil)
		o, f := stackOf(q)
		f.answer = func(_, payload string) (*lambda.InvokeOutput, error) {
			b, err := transport.Open([]byte(payload))
			if err != nil || b.Redrive == nil || b.Redrive.By != "ada" || b.Redrive.At.IsZero() {
				t.Errorf("the consumer is sent %s", payload)
			}
			return &lambda.InvokeOutput{StatusCode: 200, Payload: []byte(c.answer)}, nil
		}
		results, err := redrive(t, t.Context(), o)
		if r := results["m1"]; err != nil || string(r.Outcome) != c.want || r.Reason != c.reason || len(q.left(failureURL)) != 0 {
			t.Errorf("%s: %v, %+v", c.answer, err, r)
		}
	}
}

// Two messages about one event that both lay there before are both redriven; one that
// comes in meanwhile, about another event, is not.
func TestOnlyWhatLayThereIsRedriven(t *testing.T) {
	q := newQueues(t)
	q.put(failureURL, "m1", parked("customer-erp", "unknown", change("e1", one)), nil)
	q.put(failureURL, "m2", parked("customer-erp", "unknown", change("e1", one)), nil)
	o, f := stackOf(q)
	f.answer = func(string, string) (*lambda.InvokeOutput, error) {
		q.put(failureURL, fmt.Sprint("n", len(f.invoked)), parked("customer-erp", "unknown", change("other", one)), nil)
		return took(), nil
	}
	_, err := redrive(t, t.Context(), o)
	if err != nil || !slices.Equal(f.invoked, []string{"fn-customer-erp e1", "fn-customer-erp e1"}) {
		t.Errorf("%v, invoked were %q", err, f.invoked)
	}
	if left := q.left(failureURL); !slices.Equal(left, []string{"n1", "n2"}) {
		t.Errorf("in the queue lie %v", left)
	}
}

func TestARedriveChooses(t *testing.T) {
	for _, c := range []struct {
		filter deadletter.Filter
		limit  int
		want   int
	}{
		{deadletter.Filter{Consumer: "customer-erp", Class: "permanent"}, 0, 2},
		{deadletter.Filter{ID: "m2"}, 0, 1},
		{deadletter.Filter{}, 4, 4},
	} {
		q := newQueues(t)
		fill(q)
		o, _ := stackOf(q)
		results := 0
		if _, err := o.Redrive(t.Context(), deadletter.Order{Filter: c.filter, Limit: c.limit, Parallel: 1, Report: func(r deadletter.Result) {
			results++
			if !c.filter.Match(r.Message) {
				t.Errorf("%+v chooses %s", c.filter, r.Message.ID)
			}
		}}); err != nil || results != c.want {
			t.Errorf("%+v, limit %d: %v, %d results, want %d", c.filter, c.limit, err, results, c.want)
		}
		q.left(failureURL)
		q.left(deliveryURL)
	}
}

// A redrive is one pass: of what is refused no message is received twice.
func TestARedriveIsOnePass(t *testing.T) {
	q := newQueues(t)
	for i := range 9 {
		q.put(failureURL, fmt.Sprint("m", i), parked("customer-erp", "in-doubt", change(fmt.Sprint("e", i), one)), nil)
	}
	o, _ := stackOf(q)
	if results, err := redrive(t, t.Context(), o); err != nil || len(results) != 9 {
		t.Errorf("%v, %d results", err, len(results))
	}
	for _, m := range q.messages[failureURL] {
		if m.received != 1 {
			t.Errorf("%s was received %d times", m.id, m.received)
		}
	}
}

// With a limit, what lies behind it is not received, unless something may have been parked again.
func TestALimitEndsTheReading(t *testing.T) {
	q := newQueues(t)
	for i := range 9 {
		q.put(failureURL, fmt.Sprint("m", i), parked("customer-erp", "in-doubt", change(fmt.Sprint("e", i), one)), nil)
	}
	o, _ := stackOf(q)
	o.List = o.List[:1]
	if _, err := o.Redrive(t.Context(), deadletter.Order{Limit: 1, Parallel: 1}); err != nil {
		t.Fatal(err)
	}
	if last := q.messages[failureURL][8]; last.received != 0 {
		t.Errorf("%s was received", last.id)
	}
}

// A sink that is down is not hammered, and others do not suffer.
func TestGivesUpOnAConsumerThatFails(t *testing.T) {
	q := newQueues(t)
	for i := range 12 {
		q.put(failureURL, fmt.Sprint("a", i), parked("customer-erp", "unknown", change(fmt.Sprint("e", i), one)), nil)
		q.put(failureURL, fmt.Sprint("b", i), parked("inventory-erp", "unknown", change(fmt.Sprint("f", i), one)), nil)
	}
	o, f := stackOf(q)
	f.answer = func(function, _ string) (*lambda.InvokeOutput, error) {
		if function == "fn-inventory-erp" {
			return took(), nil
		}
		return &lambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled"), Payload: []byte(`{"errorType":"unknown","errorMessage":"no answer"}`)}, nil
	}
	results, err := redrive(t, t.Context(), o)
	if err != nil || len(results) != 24 {
		t.Errorf("%v, %d results", err, len(results))
	}
	failed := 0
	for _, call := range f.invoked {
		if strings.HasPrefix(call, "fn-customer-erp") {
			failed++
		}
	}
	if failed != 5 {
		t.Errorf("the consumer that fails was invoked %d times, want 5", failed)
	}
	if left := q.left(failureURL); len(left) != 12 || !strings.HasPrefix(left[11], "a") {
		t.Errorf("in the queue lie %v", left)
	}
}

// One that recovers gets all of its messages.
func TestDoesNotGiveUpOnAConsumerThatRecovers(t *testing.T) {
	q := newQueues(t)
	for i := range 15 {
		q.put(failureURL, fmt.Sprint("m", i), parked("customer-erp", "unknown", change(fmt.Sprint("e", i), one)), nil)
	}
	o, f := stackOf(q)
	f.answer = func(string, string) (*lambda.InvokeOutput, error) {
		if len(f.invoked)%5 == 0 { // four failures in a row, then a success
			return took(), nil
		}
		return &lambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled")}, nil
	}
	results, err := redrive(t, t.Context(), o)
	if err != nil || len(results) != 15 || len(f.invoked) != 15 {
		t.Errorf("%v, %d results, %d invocations, want 15", err, len(results), len(f.invoked))
	}
}

func TestInterruptedReading(t *testing.T) {
	q := newQueues(t)
	fill(q)
	o, _ := stackOf(q)
	o.List = o.List[:1] // another queue's reader could make the calls that are counted
	ctx, cancel := context.WithCancel(t.Context())
	q.fail = func(string) error {
		if q.calls == 2 {
			cancel()
		}
		return nil
	}
	if _, err := o.Read(ctx, deadletter.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	q.fail = nil
	if n := len(q.left(failureURL)); n != 6 {
		t.Errorf("%d messages lie in the failure queue", n)
	}
}

func TestInterrupted(t *testing.T) {
	q := newQueues(t)
	for i := range 8 {
		q.put(failureURL, fmt.Sprint("m", i), parked("customer-erp", "unknown", change(fmt.Sprint("e", i), one)), nil)
	}
	o, f := stackOf(q)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(string, string) (*lambda.InvokeOutput, error) {
		if len(f.invoked) == 3 {
			cancel() // the third is taken all the same
		}
		return took(), nil
	}
	results, err := redrive(t, ctx, o)
	if !errors.Is(err, context.Canceled) || len(results) != 3 {
		t.Errorf("%v, %d results", err, len(results))
	}
	if left := q.left(failureURL); len(left) != 5 {
		t.Errorf("in the queue lie %v", left)
	}
	f.answer = nil
	results, err = redrive(t, t.Context(), o)
	taken := 0
	for _, r := range results {
		if r.Outcome == deadletter.Taken {
			taken++
		}
	}
	if err != nil || taken != 5 || len(results) != 5 || len(q.left(failureURL)) != 0 {
		t.Errorf("run again: %v, %d taken of %d", err, taken, len(results))
	}
}

func TestErrorsOfSQSAndLambda(t *testing.T) {
	broken := errors.New("no network")
	for _, call := range []string{"receive", "invoke", "delete"} {
		q := newQueues(t)
		fill(q)
		o, _ := stackOf(q)
		q.fail = func(name string) error {
			if name == call {
				return broken
			}
			return nil
		}
		if _, err := redrive(t, t.Context(), o); !errors.Is(err, broken) {
			t.Errorf("%s fails: error %v", call, err)
		}
		q.fail = nil
		if n := len(q.left(failureURL)); n != 6 {
			t.Errorf("%s fails: %d messages lie in the failure queue, want 6", call, n)
		}
	}
}

// Of a message that cannot be held for as long as a function may run nothing is sent.
func TestWhatIsNotHeldIsNotSent(t *testing.T) {
	q := newQueues(t)
	q.put(failureURL, "m1", parked("customer-erp", "unknown", change("e1", one)), nil)
	q.put(failureURL, "m2", parked("customer-erp", "unknown", change("e2", one)), nil)
	o, f := stackOf(q)
	q.fail = func(name string) error {
		if name == "visibility" && len(f.invoked) > 0 { // that took a minute of two
			return errors.New("no network")
		}
		return nil
	}
	results, err := redrive(t, t.Context(), o)
	if err != nil || len(f.invoked) != 1 || results["m1"].Outcome != deadletter.Taken || results["m2"].Outcome != deadletter.Left {
		t.Errorf("%v, %d invocations, %s, %s", err, len(f.invoked), results["m1"].Outcome, results["m2"].Outcome)
	}
}

func TestWhatIsOlderThanTheMemoryNeedsADecision(t *testing.T) {
	q := newQueues(t)
	q.put(failureURL, "m1", parked("customer-erp", "too-old", change("e1", one)), nil)
	o, _ := stackOf(q)
	l := read(t, o, deadletter.Filter{}, 0)["m1"]
	if o.Refusal(l) == "" {
		t.Error("it is redriven with everything else")
	}
	o.TooOld = true
	if reason := o.Refusal(l); reason != "" {
		t.Errorf("refused although somebody decided: %s", reason)
	}
}

func TestWhatNeedsAResyncIsNotTakenForDone(t *testing.T) {
	q := newQueues(t)
	q.put(failureURL, "m1", parked("customer-erp", "overwrote-newer", change("e1", one)), nil)
	o, _ := stackOf(q)
	if o.Refusal(read(t, o, deadletter.Filter{}, 0)["m1"]) == "" {
		t.Error("its redrive would answer duplicate and delete the order to synchronise again")
	}
}
