package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/shared/failurebucket"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// tenant is a local stack of a test's own, whose CloudFormation stack it deploys and deletes.
type tenant struct {
	*testing.T
	s          *stack.Stack
	name       string // of the CloudFormation stack
	dir        string
	cfg        aws.Config
	cfn        *cloudformation.Client
	template   string
	parameters map[string]string
}

// newTenant starts a local stack beside the one that make e2e runs.
func newTenant(t *testing.T) *tenant {
	t.Helper()
	running(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tenant")
	n := &tenant{T: t, name: stack.Name, dir: dir}
	n.s, err = stack.Up(t.Context(), stack.Options{Dir: dir, Root: root, Log: io.Discard, Sandbox: []string{filepath.Join(root, "dist", "sfrelay"), "sandbox", "--json"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Down(context.WithoutCancel(t.Context()), dir); err != nil {
			t.Error(err)
		}
	})
	if n.cfg, err = n.s.Config(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.cfn = cloudformation.NewFromConfig(n.cfg)
	got, err := n.cfn.GetTemplate(t.Context(), &cloudformation.GetTemplateInput{StackName: aws.String(stack.Name)})
	if err != nil {
		t.Fatal(err)
	}
	n.template = aws.ToString(got.TemplateBody)
	described, err := n.cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(stack.Name)})
	if err != nil {
		t.Fatal(err)
	}
	n.parameters = map[string]string{}
	for _, p := range described.Stacks[0].Parameters {
		n.parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	return n
}

var capabilities = []cftypes.Capability{cftypes.CapabilityCapabilityIam, cftypes.CapabilityCapabilityAutoExpand}

// deploy makes the CloudFormation stack, or updates it, with other values of some parameters.
func (n *tenant) deploy(template string, others map[string]string) {
	n.Helper()
	values := maps.Clone(n.parameters)
	maps.Copy(values, others)
	var parameters []cftypes.Parameter
	for key, value := range values {
		parameters = append(parameters, cftypes.Parameter{ParameterKey: aws.String(key), ParameterValue: aws.String(value)})
	}
	at := n.upload(template) // one of this size is taken from S3 only
	name, most := &n.name, time.Minute
	in := &cloudformation.DescribeStacksInput{StackName: name}
	_, err := n.cfn.DescribeStacks(n.Context(), in)
	if err != nil {
		if _, err = n.cfn.CreateStack(n.Context(), &cloudformation.CreateStackInput{StackName: name, TemplateURL: &at, Parameters: parameters, Capabilities: capabilities}); err == nil {
			err = cloudformation.NewStackCreateCompleteWaiter(n.cfn, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
				o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
			}).Wait(n.Context(), in, most)
		}
	} else {
		if _, err = n.cfn.UpdateStack(n.Context(), &cloudformation.UpdateStackInput{StackName: name, TemplateURL: &at, Parameters: parameters, Capabilities: capabilities}); err == nil {
			err = cloudformation.NewStackUpdateCompleteWaiter(n.cfn, func(o *cloudformation.StackUpdateCompleteWaiterOptions) {
				o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
			}).Wait(n.Context(), in, most)
		}
	}
	if err != nil {
		n.Fatal(err)
	}
}

// upload puts a template where CloudFormation can read it.
func (n *tenant) upload(template string) string {
	n.Helper()
	const name = "sfrelay-local" // of sam deploy, in samconfig.toml
	bucket, err := failurebucket.New(n.cfg, name)
	if err != nil {
		n.Fatal(err)
	}
	object, err := transport.Store("template", []byte(template))
	if err != nil {
		n.Fatal(err)
	}
	if err := bucket.Put(n.Context(), object, []byte(template)); err != nil {
		n.Fatal(err)
	}
	return n.s.Endpoint + "/" + name + "/" + object.Key()
}

func (n *tenant) undeploy() {
	n.Helper()
	if _, err := n.cfn.DeleteStack(n.Context(), &cloudformation.DeleteStackInput{StackName: &n.name}); err != nil {
		n.Fatal(err)
	}
	if err := cloudformation.NewStackDeleteCompleteWaiter(n.cfn, func(o *cloudformation.StackDeleteCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	}).Wait(n.Context(), &cloudformation.DescribeStacksInput{StackName: &n.name}, time.Minute); err != nil {
		n.Fatal(err)
	}
}

func (n *tenant) outputs() map[string]string {
	n.Helper()
	all, err := account.Outputs(n.Context(), n.cfg, n.name)
	if err != nil {
		n.Fatal(err)
	}
	return all
}

func (n *tenant) sfrelay(args ...string) string {
	n.Helper()
	code, out, said := called(n.T, nobody, append(args, "--stack-dir", n.dir, "--stack-name", n.name)...)
	if code != done {
		n.Fatalf("%v: code %d\n%s%s", args, code, out, said)
	}
	return out + said
}

// script runs a script of .ci on the stack, with what the environment says of parameters.
func (n *tenant) script(overrides string, args ...string) (string, error) {
	n.Helper()
	found, err := filepath.Glob("../../.cache/python-*/bin/python")
	if err != nil || len(found) == 0 {
		n.Fatal("no Python of the tools", err)
	}
	python, err := filepath.Abs(found[0])
	if err != nil {
		n.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join("../../.ci", args[0]))
	if err != nil {
		n.Fatal(err)
	}
	dir := n.TempDir()
	config := fmt.Sprintf("version = 0.1\n[local.global.parameters]\nstack_name = %q\nprofile = \"sfrelay-local\"\nregion = %q\n[local.deploy.parameters]\nparameter_overrides = [\"Architecture=%s\", %s]\n",
		n.name, stack.Region, n.parameters["Architecture"], overrides)
	if err := os.WriteFile(filepath.Join(dir, "samconfig.toml"), []byte(config), 0o600); err != nil {
		n.Fatal(err)
	}
	cmd := exec.CommandContext(n.Context(), python, append([]string{script}, args[1:]...)...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PYTHONDONTWRITEBYTECODE=1"}, n.s.Env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// items are how many the table holds.
func (n *tenant) items(table string) []map[string]types.AttributeValue {
	n.Helper()
	out, err := dynamodb.NewFromConfig(n.cfg).Scan(n.Context(), &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	if err != nil || out.LastEvaluatedKey != nil {
		n.Fatal(err, out)
	}
	return out.Items
}

// restore makes a table with the items that another one has now, as DynamoDB's restore does:
// another name, and neither time to live nor protection.
func (n *tenant) restore(from, to string) {
	n.Helper()
	client := dynamodb.NewFromConfig(n.cfg)
	if _, err := client.CreateTable(n.Context(), &dynamodb.CreateTableInput{
		TableName: &to, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
	}); err != nil {
		n.Fatal(err)
	}
	for _, item := range n.items(from) {
		if _, err := client.PutItem(n.Context(), &dynamodb.PutItemInput{TableName: &to, Item: item}); err != nil {
			n.Fatal(err)
		}
	}
}

// billed is how many invoices and customers Stripe has, and how many products the ERP knows.
func (n *tenant) billed() string {
	n.Helper()
	w := &saver{T: n.T, s: n.s}
	stripe, erp := w.at("GET", n.s.StripeURL+"/_sandbox/state", ""), w.at("GET", n.s.ERPURL+"/_sandbox/state", "")
	return fmt.Sprintf("%d invoices, %d customers, stock: %t", bytes.Count(stripe, []byte(`"in_`)), bytes.Count(stripe, []byte(`"cus_`)), bytes.Contains(erp, []byte("SKU-100")))
}

// variable is one of a function as deployed.
func (n *tenant) variable(function, name string) string {
	n.Helper()
	got, err := lambda.NewFromConfig(n.cfg).GetFunctionConfiguration(n.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	if err != nil {
		n.Fatal(err)
	}
	return got.Environment.Variables[name]
}

// A stack is left and comes back: the same events bill nothing twice, with its own table, with
// the one that it left behind, and with a restored one that does not know of the invoice.
func TestAStackIsLeftAndComesBack(t *testing.T) {
	n := newTenant(t)
	bill, stock := "../../events/26-opportunity-won.json", "../../events/34-inventory-first.json"
	own := n.outputs()
	t.Log(n.sfrelay("send", "--wait", "../../events/01-account-create.json", stock))
	const restored = "guard-restored"
	n.restore(own["GuardTable"], restored) // the invoice comes after it
	restoredAt := time.Now()
	t.Log(n.sfrelay("send", "--wait", bill))
	want := n.billed()
	again := func(how string) {
		t.Helper()
		said := n.sfrelay("send", "--wait", bill, stock)
		t.Logf("%s: %s", how, said)
		if got := n.billed(); got != want {
			t.Errorf("%s: %s, before it was %s", how, got, want)
		}
		if strings.Count(said, "duplicate") != 2 && how != "restored" {
			t.Errorf("%s: not all are duplicates:\n%s", how, said)
		}
	}
	again("the same events at once")

	// Its own table by name: it leaves the stack, and stays.
	n.deploy(n.template, map[string]string{"ExistingGuardTable": own["GuardTable"]})
	again("its own table by name")
	// The emulator gives the queues of the next stack the same names and empties them: AWS does not.
	queue, err := sqs.NewFromConfig(n.cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("sfrelay-FailureQueue-ABCDEFABCDEF")})
	if err != nil {
		t.Fatal(err)
	}
	left := aws.ToString(queue.QueueUrl)
	fill(t, sqs.NewFromConfig(n.cfg), left, 10, verdict.Throttled, "the ERP answered 503")
	said, err := n.script("", "check-undeploy.py", "local")
	if err != nil || !strings.Contains(said, `"ExistingGuardTable=`+own["GuardTable"]+`"`) || !strings.Contains(said, own["FailureQueueUrl"]+" (about 0 messages)") {
		t.Errorf("%v: %s", err, said)
	}
	n.undeploy()
	if got := len(n.items(own["GuardTable"])); got == 0 {
		t.Fatal("the table went with the stack")
	}
	build := filepath.Join(n.dir, "build")
	if said, err = n.script("", "check-deploy.py", "local", build); err == nil || !strings.Contains(said, `"ExistingGuardTable=`+own["GuardTable"]+`"`) {
		t.Errorf("%v: %s", err, said)
	}
	existing := map[string]string{"ExistingGuardTable": own["GuardTable"], "ExistingFailureBucket": own["FailureBucket"]}
	if said, err = n.script(`"ExistingGuardTable=`+own["GuardTable"]+`"`, "check-deploy.py", "local", build); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	n.deploy(n.template, existing)
	back := n.outputs()
	if back["GuardTable"] != own["GuardTable"] || back["FailureBucket"] != own["FailureBucket"] {
		t.Errorf("%v", back)
	}
	again("back with the table that was left")
	if said := n.sfrelay("dlq", "redrive", "--queue-url", left, "--trust-sender"); !strings.Contains(said, "10 taken, 0 left") {
		t.Errorf("the queue that was left: %s", said)
	}

	// A restore: the table knows nothing of the invoice, Stripe does.
	want = n.billed()
	n.deploy(n.template, map[string]string{"ExistingGuardTable": restored, "ExistingFailureBucket": own["FailureBucket"], "GuardRestoredAt": fmt.Sprint(restoredAt.UnixMilli())})
	if f := back["OpportunityBillingFunction"]; n.variable(f, "GUARD_TABLE") != restored || n.variable(f, "GUARD_RESTORED_AT") != fmt.Sprint(restoredAt.UnixMilli()) {
		t.Errorf("%s has the table %s, restored at %s", f, n.variable(f, "GUARD_TABLE"), n.variable(f, "GUARD_RESTORED_AT"))
	}
	again("restored") // each invoice is looked for before it is made
	n.undeploy()
	if len(n.items(restored)) == 0 || len(n.items(own["GuardTable"])) == 0 {
		t.Error("a table went with the stack that only used it")
	}
}

// first is the template of the first version, with the binaries of today.
func (n *tenant) first() (template string, parameters map[string]string) {
	n.Helper()
	found, err := filepath.Glob("../../.cache/python-*/bin/python")
	if err != nil || len(found) == 0 {
		n.Fatal("no Python of the tools", err)
	}
	python, err := filepath.Abs(found[0])
	if err != nil {
		n.Fatal(err)
	}
	cmd := exec.CommandContext(n.Context(), python, ".ci/translate-template.py", "functions/testdata/template-first.yaml")
	cmd.Dir = "../.."
	b, err := cmd.Output()
	if err != nil {
		n.Fatal(err)
	}
	type function struct{ Properties struct{ Code any } }
	var old map[string]any
	var now struct{ Resources map[string]function }
	if err := errors.Join(json.Unmarshal(b, &old), json.Unmarshal([]byte(n.template), &now)); err != nil {
		n.Fatal(err)
	}
	for id, r := range old["Resources"].(map[string]any) {
		if r := r.(map[string]any); r["Type"] == "AWS::Lambda::Function" {
			r["Properties"].(map[string]any)["Code"] = now.Resources[id].Properties.Code
		}
	}
	parameters = map[string]string{}
	for name := range old["Parameters"].(map[string]any) {
		if value, has := n.parameters[name]; has && value != "" {
			parameters[name] = value
		}
	}
	if b, err = json.Marshal(old); err != nil {
		n.Fatal(err)
	}
	return string(b), parameters
}

// holders are the physical names of what holds something: the table and the queues.
func (n *tenant) holders() map[string]string {
	n.Helper()
	names := map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(n.cfn, &cloudformation.ListStackResourcesInput{StackName: &n.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(n.Context())
		if err != nil {
			n.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			if kind := aws.ToString(r.ResourceType); kind == "AWS::SQS::Queue" || kind == "AWS::DynamoDB::Table" {
				names[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
			}
		}
	}
	return names
}

// A stack of the first version is updated to this one while messages lie in its queues and
// items in its table: nothing is lost, and this version reads it.
func TestTheFirstVersionIsUpdated(t *testing.T) {
	n := newTenant(t)
	n.name = "first"
	template, parameters := n.first()
	all := n.parameters
	n.parameters = parameters
	n.deploy(template, nil)
	before := n.holders()
	if len(before) != 7 {
		t.Fatalf("%v", before)
	}
	item := map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "customer-billing#00D5f000005KcCnEAK#Account/0015f0000200009AAA"},
		"s":  &types.AttributeValueMemberN{Value: "3"}, "l": &types.AttributeValueMemberS{Value: "cus_first"},
	}
	if _, err := dynamodb.NewFromConfig(n.cfg).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(before["GuardTable"]), Item: item}); err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(n.cfg)
	queue := n.outputs()
	fill(t, client, queue["FailureQueueUrl"], 10, verdict.Throttled, "the ERP answered 503")
	put := func(url, file string, attributes map[string]sqstypes.MessageAttributeValue) {
		t.Helper()
		event, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(string(event)), MessageAttributes: attributes}); err != nil {
			t.Fatal(err)
		}
	}
	text := func(s string) sqstypes.MessageAttributeValue {
		return sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	put(queue["DeliveryQueueUrl"], "../../events/01-account-create.json", map[string]sqstypes.MessageAttributeValue{
		"TARGET_ARN": text("arn:aws:lambda:" + stack.Region + ":" + stack.Account + ":function:" + queue["CustomerErpFunction"]),
		"ERROR_CODE": text("NO_PERMISSIONS"), "ERROR_MESSAGE": text("not allowed"), "RULE_ARN": text("arn:aws:events:us-east-1:000000000000:rule/x"),
	})
	put(before["InventoryErpBuffer"], "../../events/39-inventory-other-warehouse.json", nil)

	n.parameters = all
	n.deploy(n.template, nil)
	after := n.holders()
	for id, name := range before {
		if after[id] != name {
			t.Errorf("%s was %s and is %s", id, name, after[id])
		}
	}
	if got := n.items(before["GuardTable"]); len(got) == 0 {
		t.Error("the table is empty")
	}
	if said := n.sfrelay("record", "Account/0015f0000200009AAA"); !strings.Contains(said, "cus_first") {
		t.Errorf("the item is not read:\n%s", said)
	}
	if said := n.sfrelay("dlq", "redrive"); !strings.Contains(said, "11 taken, 0 left") {
		t.Errorf("%s", said)
	}
	// What lay in a buffer that nobody read before is read now.
	(&saver{T: t, s: n.s}).holds("the ERP", n.s.ERPURL, "MUC")
}
