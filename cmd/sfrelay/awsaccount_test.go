package main

import (
	"cmp"
	"crypto/md5" //nolint:gosec // SQS answers with it
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// awsAccount is an AWS account with one stack, as far as the verbs ask it. Two messages lie
// in its failure queue. It remembers every call.
type awsAccount struct {
	unmatched bool   // no rule takes anything
	stackless bool   // nothing is deployed
	orgs      string // those of the stack, where they are others
	refuse    string // a call that is not allowed

	mu       sync.Mutex
	order    []string                  // names of calls
	audit    []string                  // lines of the audit log
	items    map[string]map[string]any // of the guard's table, as DynamoDB says them
	writes   []string                  // of the table
	busy     bool                      // its conditions do not hold
	lines    []any                     // of the log
	answers  func() []any              // instead: what the functions have logged by now
	patterns []string                  // by which lines were asked for
	sent     []string                  // bodies of messages that were put into the failure queue
	marks    []string                  // their marks of an import
	messages []string                  // ids
	since    time.Time                 // when all of them were put into the queue
	hidden   map[string]bool
}

// newAccount makes it the account of the AWS environment.
func newAccount(t *testing.T) *awsAccount {
	t.Helper()
	a := &awsAccount{hidden: map[string]bool{}, since: time.Now().Add(-time.Hour), messages: []string{"aaaaaaaa-1111-4111-8111-111111111111", "bbbbbbbb-2222-4222-8222-222222222222"}}
	a.items = map[string]map[string]any{"inventory-erp#00D5f000005KcCnEAK#stock/SKU-100@BER": stockItem()}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "", "AWS_MAX_ATTEMPTS": "1",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_PROFILE": "", "AWS_REGION": "eu-west-2", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return a
}

// stockItem is what the guard knows of a SKU: at version stockVersion, in doubt.
func stockItem() map[string]any {
	bytesOf := func(hexed string) map[string]any {
		b, _ := hex.DecodeString(hexed)
		return map[string]any{"B": b}
	}
	return map[string]any{
		"pk": map[string]string{"S": "inventory-erp#00D5f000005KcCnEAK#stock/SKU-100@BER"}, "s": map[string]string{"N": "3"}, "n": map[string]string{"N": "1795348800001"},
		"u": map[string]string{"N": "1795348860000"}, "a": map[string]string{"N": "1"}, "e": map[string]string{"S": "unknown"}, "l": map[string]string{"S": "stock-1"},
		"o": bytesOf("01a2031fbb8000112233445566778899"), "w": bytesOf("01a2031fbb8000112233445566778899"), "d": bytesOf(stockVersion),
	}
}

const stockVersion = "01a2031fbb88183943a50911bc8100012f878633"

func (a *awsAccount) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.messages = append(a.messages, id)
}

func (a *awsAccount) calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.order)
}

// changed are the calls that change something, by the names that AWS gave them: what does
// not begin like a question does. Reading a queue hides messages and shows them again.
func (a *awsAccount) changed() []string {
	return slices.DeleteFunc(a.calls(), func(call string) bool {
		_, name, _ := strings.Cut(call, ".")
		if strings.HasPrefix(call, "Logs_20140328.") && (name == "CreateLogStream" || name == "PutLogEvents") {
			return true // the audit log says what was done
		}
		for _, asks := range []string{"Describe", "List", "Get", "Test", "Filter", "Receive", "ChangeMessageVisibility"} {
			if strings.HasPrefix(name, asks) {
				return true
			}
		}
		return false
	})
}

const (
	accountRule     = "arn:aws:events:eu-west-2:123456789012:rule/bus/first"
	accountFunction = "arn:aws:lambda:eu-west-2:123456789012:function:sfrelay-InventoryErp"
	accountPolicy   = `{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"lambda:InvokeFunction","Condition":{"ArnLike":{"AWS:SourceArn":"` + accountRule + `"}}}]}`
)

// accountStack is what CloudFormation says of the stack.
func accountStack() string {
	member := func(kind string, pairs map[string]string) string {
		var b strings.Builder
		for key, value := range pairs {
			fmt.Fprintf(&b, "<member><%sKey>%s</%sKey><%sValue>%s</%sValue></member>", kind, key, kind, kind, value, kind)
		}
		return fmt.Sprintf("<%ss>%s</%ss>", kind, b.String(), kind)
	}
	return `<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
		<StackId>arn:aws:cloudformation:eu-west-2:123456789012:stack/sfrelay/1</StackId><StackName>sfrelay</StackName>
		<CreationTime>2026-11-22T07:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>` +
		member("Parameter", map[string]string{
			"SalesforceOrgs": "00D5f000005KcCn", "Stage": "acceptance",
			"StripeApiBase": "", "StripeSecret": "arn:aws:secretsmanager:eu-west-2:123456789012:secret:sfrelay/stripe-AbCdEf",
			"ErpUrl": "https://erp.example:8443/sfrelay/v1", "ErpSecret": "arn:aws:secretsmanager:eu-west-2:123456789012:secret:sfrelay/erp-AbCdEf",
		}) +
		member("Output", map[string]string{
			"AuditLogGroup": "sfrelay-AuditLog", "GuardTable": "sfrelay-GuardTable", "FailureQueueUrl": "https://queue/failure", "DeliveryQueueUrl": "https://queue/delivery", "EventBus": "bus", "ChangeBus": "changes",
			"InventoryErpFunction": "sfrelay-InventoryErp", "InventoryErpBufferUrl": "https://queue/buffer", "InventoryErpRoleId": "AROAEXAMPLEINVENTORYERP",
		}) + `</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`
}

// name is that of a call: of JSON protocols from the header, of Lambda from the path.
func nameOf(r *http.Request, body []byte) string {
	if name := r.Header.Get("X-Amz-Target"); name != "" {
		return name
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		return "CloudFormation." + form.Get("Action")
	}
	switch last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; {
	case last == "policy" && r.Method == http.MethodGet:
		return "Lambda.GetPolicy"
	case last == "configuration" && r.Method == http.MethodGet:
		return "Lambda.GetFunctionConfiguration"
	case last == "invocations":
		return "Lambda.Invoke " + r.Header.Get("X-Amz-Invocation-Type")
	default:
		return "Lambda." + r.Method + " " + r.URL.Path
	}
}

func (a *awsAccount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var in struct {
		QueueUrl, ReceiptHandle string //nolint:revive // AWS's names
		Entries                 []struct {
			ReceiptHandle     string
			VisibilityTimeout int
		}
		LogGroupName      string
		LogEvents         []struct{ Message string }
		MessageBody       string
		FilterPattern     string
		Key               map[string]struct{ S string }
		MessageAttributes map[string]struct{ StringValue string }
	}
	_ = json.Unmarshal(body, &in)
	name := nameOf(r, body)
	a.order = append(a.order, name)
	var answer any = map[string]any{}
	if name == a.refuse {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"not allowed"}`)
		return
	}
	switch name {
	case "CloudFormation.DescribeStacks":
		if a.stackless {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id sfrelay does not exist</Message></Error></ErrorResponse>`)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, strings.Replace(accountStack(), ">00D5f000005KcCn<", ">"+cmp.Or(a.orgs, "00D5f000005KcCn")+"<", 1))
		return
	case "AWSEvents.ListRules":
		answer = map[string]any{"Rules": []any{map[string]string{"Name": "first", "Arn": accountRule, "State": "ENABLED", "EventPattern": `{"source":["x"]}`}}}
	case "AWSEvents.ListTargetsByRule":
		answer = map[string]any{"Targets": []any{map[string]string{"Id": "consumer", "Arn": accountFunction}}}
	case "AWSEvents.TestEventPattern":
		answer = map[string]bool{"Result": !a.unmatched}
	case "Lambda.GetPolicy":
		answer = map[string]string{"Policy": accountPolicy}
	case "Lambda.Invoke Event":
		w.WriteHeader(http.StatusAccepted)
		return
	case "AmazonSQS.ReceiveMessage":
		answer = map[string]any{"Messages": a.receive(in.QueueUrl)}
	case "CloudFormation.GetCallerIdentity": // of STS, by the same protocol
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>"+accountCaller+"</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")
		return
	case "Lambda.Invoke RequestResponse":
		answer = map[string]any{"batchItemFailures": []any{}, "verdicts": []any{map[string]string{"verdict": "applied"}}}
	case "AmazonSQS.GetQueueAttributes":
		answer = map[string]any{"Attributes": a.counts(in.QueueUrl)}
	case "AmazonSQS.ChangeMessageVisibilityBatch":
		for _, e := range in.Entries {
			a.hidden[e.ReceiptHandle] = e.VisibilityTimeout > 0
		}
	case "DynamoDB_20120810.GetItem":
		if item := a.items[in.Key["pk"].S]; item != nil {
			answer = map[string]any{"Item": item}
		}
	case "DynamoDB_20120810.DescribeTable":
		answer = map[string]any{"Table": map[string]any{"TableStatus": "ACTIVE", "DeletionProtectionEnabled": true}}
	case "DynamoDB_20120810.DescribeTimeToLive":
		answer = map[string]any{"TimeToLiveDescription": map[string]string{"TimeToLiveStatus": "ENABLED", "AttributeName": "x"}}
	case "DynamoDB_20120810.DescribeContinuousBackups":
		answer = map[string]any{"ContinuousBackupsDescription": map[string]any{"PointInTimeRecoveryDescription": map[string]string{"PointInTimeRecoveryStatus": "ENABLED"}}}
	case "DynamoDB_20120810.UpdateItem", "DynamoDB_20120810.DeleteItem", "DynamoDB_20120810.PutItem":
		a.writes = append(a.writes, string(body))
		if a.busy {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no"}`)
			return
		}
	case "Lambda.GetFunctionConfiguration":
		answer = map[string]any{"FunctionName": "sfrelay-InventoryErp"}
	case "Logs_20140328.FilterLogEvents":
		a.patterns = append(a.patterns, in.FilterPattern)
		answer = map[string]any{"events": a.lines}
		if a.answers != nil {
			answer = map[string]any{"events": a.answers()}
		}
	case "Logs_20140328.PutLogEvents":
		for _, e := range in.LogEvents {
			a.audit = append(a.audit, in.LogGroupName+" "+e.Message)
		}
	case "AmazonSQS.SendMessage":
		a.sent = append(a.sent, in.MessageBody)
		a.marks = append(a.marks, in.MessageAttributes[importMark].StringValue)
		sum := md5.Sum([]byte(in.MessageBody)) //nolint:gosec // SQS answers with it
		answer = map[string]string{"MessageId": "new", "MD5OfMessageBody": hex.EncodeToString(sum[:])}
	case "AmazonSQS.DeleteMessage":
		a.messages = slices.DeleteFunc(a.messages, func(id string) bool { return id == in.ReceiptHandle })
	}
	_ = json.NewEncoder(w).Encode(answer)
}

const accountCaller = "arn:aws:sts::123456789012:assumed-role/operator/ada"

func (a *awsAccount) counts(queue string) map[string]string {
	visible, hidden := 0, 0
	for _, id := range a.messages {
		if a.hidden[id] {
			hidden++
		} else {
			visible++
		}
	}
	if !strings.HasSuffix(queue, "/failure") {
		visible, hidden = 0, 0
	}
	return map[string]string{"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden)}
}

// receive hides what it gives. Its messages were parked by the consumer.
func (a *awsAccount) receive(queue string) (all []any) {
	if !strings.HasSuffix(queue, "/failure") {
		return nil
	}
	event, err := os.ReadFile("../../events/34-inventory-first.json")
	if err != nil {
		panic(err)
	}
	body := `{"event":` + string(event) + `,"records":null,"consumer":"inventory-erp","class":"throttled","error":"PUT stock: the ERP answered 503","attempts":3,"firstAt":null,"lastAt":null}`
	sum := md5.Sum([]byte(body)) //nolint:gosec // SQS answers with it
	for _, id := range a.messages {
		if a.hidden[id] {
			continue
		}
		a.hidden[id] = true
		all = append(all, map[string]any{
			"MessageId": id, "ReceiptHandle": id, "Body": body, "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes": map[string]string{
				"SentTimestamp": fmt.Sprint(a.since.UnixMilli()), "ApproximateReceiveCount": "1", "SenderId": "AROAEXAMPLEINVENTORYERP:sfrelay-InventoryErp",
			},
		})
	}
	return all
}
