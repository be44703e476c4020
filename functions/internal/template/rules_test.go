package template_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sfrelay/functions"
)

// template.yaml is held to the rules that keep events from getting lost and functions
// from doing more than they need to. The rules look at it as CloudFormation sees it,
// its loops expanded and translated by SAM's own translator, with its intrinsics in
// place: a rule must hold whatever the parameters are. A consumer is a function with a
// row in the table; other functions need neither rules nor a buffer.

// Template is a translated template.
type Template struct {
	Parameters map[string]any `json:"Parameters"`
	Mappings   struct {
		Consumers map[string]row // by the logical id of the function
	} `json:"Mappings"`
	Rules      map[string]any      `json:"Rules"`
	Conditions map[string]any      `json:"Conditions"`
	Resources  map[string]Resource `json:"Resources"`
	Outputs    map[string]any      `json:"Outputs"`
}

// Resource is one resource of a template.
type Resource struct {
	Type                string         `json:"Type"`
	Condition           string         `json:"Condition,omitempty"`
	DeletionPolicy      string         `json:"DeletionPolicy,omitempty"`
	UpdateReplacePolicy string         `json:"UpdateReplacePolicy,omitempty"`
	Metadata            map[string]any `json:"Metadata,omitempty"`
	Properties          map[string]any `json:"Properties"`
}

// row is what the table says of a consumer.
type row struct {
	Name    string   // of the consumer and its folder
	Secret  string   // of its sink
	Events  []string // detail-types that it takes from the bus of the platform events
	Changes []string // and from that of the change events
	LinksOf string   // the consumer whose items it may read besides
	Org     int      // 1: it asks the org
}

// Rule is one thing a template has to fulfil. Check returns what is wrong: resource
// and reason.
type Rule struct {
	Name  string
	Check func(Template) []string
}

// templateRules are all rules.
var templateRules = []Rule{
	{"table-and-functions-agree", tableAgrees},
	{"rules-keep-what-they-cannot-deliver", rulesKeep},
	{"rules-switch-between-function-and-buffer", rulesSwitch},
	{"rules-are-let-in", rulesAreLetIn},
	{"queues-take-from-their-own", queuesTakeFromTheirOwn},
	{"functions-keep-what-they-cannot-process", functionsKeep},
	{"functions-are-what-is-built", functionsAreBuilt},
	{"functions-say-where-they-log", functionsLog},
	{"functions-know-only-named-variables", functionsKnow},
	{"roles-do-no-more-than-needed", rolesAreSmall},
	{"queues-keep-over-tls", queuesKeep},
	{"bucket-keeps-what-no-message-holds", bucketKeeps},
	{"buffers-come-again", buffersComeAgain},
	{"table-cannot-be-lost", tableStays},
	{"state-can-come-back", stateComesBack},
	{"companies-set-their-own", companiesSet},
	{"keys-are-asked", keysAreAsked},
	{"archives-keep", archivesKeep},
	{"failures-raise-alarms", failuresRaiseAlarms},
	{"alarms-tell-somebody", alarmsTell},
	{"relays-are-watched", relaysAreWatched},
	{"alarms-say-where", alarmsSayWhere},
	{"trial-buses-cut-no-relay", trialBuses},
	{"emulators-take-core", emulatorsTakeCore},
	{"dashboard-finds-what-there-is", dashboardFinds},
	{"nothing-is-orphaned", nothingOrphaned},
}

const (
	day      = 24 * 60 * 60 // seconds
	twoWeeks = 14 * day     // SQS's longest
)

// tableAgrees: every row is a function with the rules that the row names, every function
// that looks like a consumer has a row, and the loops make the rules that a row needs.
func tableAgrees(t Template) (wrong []string) {
	rows := t.Mappings.Consumers
	for id, r := range rows {
		if t.Resources[id].Type != "AWS::Lambda::Function" {
			wrong = append(wrong, id+" has a row, but is no function")
		}
		if r.Name != consumerName(id) {
			wrong = append(wrong, fmt.Sprintf("%s is called %s in its row, its folder is %s", id, r.Name, consumerName(id)))
		}
		if r.LinksOf != "" && !slices.ContainsFunc(keys(rows), func(other string) bool { return rows[other].Name == r.LinksOf }) {
			wrong = append(wrong, fmt.Sprintf("%s reads links of %s, which is no consumer", id, r.LinksOf))
		}
		if len(r.Events)+len(r.Changes) == 0 {
			wrong = append(wrong, id+" takes no events: its row names no detail-type")
		}
		for rule, types := range map[string][]string{id + "Events": r.Events, id + "Changes": r.Changes} {
			if _, exists := t.Resources[rule]; exists != (len(types) > 0) {
				wrong = append(wrong, fmt.Sprintf("the row of %s has the detail-types %v for %s, but the loops make that rule: %t", id, types, rule, exists))
			}
		}
	}
	for id, f := range t.of("AWS::Lambda::Function") {
		_, consumer := rows[id]
		if looks := at(f.Properties, "Environment", "Variables", "BUFFER_QUEUE_URL") != nil; looks != consumer {
			wrong = append(wrong, id+" has a buffer but no row in the table of consumers, or a row but no buffer")
		}
	}
	return wrong
}

// detailTypes are the detail-types of each consumer's rules, sorted.
func detailTypes(t Template) map[string][]string {
	found := map[string][]string{}
	for id, r := range t.eventRules() {
		consumer, _ := t.ruleOf(id)
		for _, each := range flatten(at(r.Properties["EventPattern"], "detail-type")) {
			name, _ := each.(string)
			found[consumer] = append(found[consumer], name)
		}
		slices.Sort(found[consumer])
	}
	return found
}

// rulesKeep: EventBridge retries for a day, then the delivery queue has the event.
func rulesKeep(t Template) (wrong []string) {
	for id, r := range t.eventRules() {
		targets, _ := r.Properties["Targets"].([]any)
		if len(targets) == 0 {
			wrong = append(wrong, id+" has no target")
		}
		for _, target := range targets {
			if number(at(target, "RetryPolicy", "MaximumRetryAttempts")) != 185 || number(at(target, "RetryPolicy", "MaximumEventAgeInSeconds")) != 86400 {
				wrong = append(wrong, id+" does not retry 185 times in 24 h")
			}
			if getAtt(at(target, "DeadLetterConfig", "Arn")) != "DeliveryQueue.Arn" {
				wrong = append(wrong, id+" has no dead-letter queue, or another one than DeliveryQueue")
			}
		}
		if text(at(r.Properties["EventPattern"], "source")) != `[{"prefix":"aws.partner/salesforce.com/"}]` {
			wrong = append(wrong, id+" takes events that do not come from the relay")
		}
		if list, _ := at(r.Properties["EventPattern"], "detail-type").([]any); len(list) == 0 {
			wrong = append(wrong, id+" takes events of any name")
		}
	}
	return wrong
}

// rulesSwitch: one rule per consumer and bus, for what the consumer's row says; an empty
// bus name switches it off, and so does an empty NotifyUrl for those that call it; the
// delivery mode turns its target.
func rulesSwitch(t Template) (wrong []string) {
	for id, r := range t.eventRules() {
		consumer, bus := t.ruleOf(id)
		if consumer == "" {
			wrong = append(wrong, id+" is not called <consumer>Events or <consumer>Changes")
			continue
		}
		types := map[string][]string{"Event": t.Mappings.Consumers[consumer].Events, "Change": t.Mappings.Consumers[consumer].Changes}[bus]
		if text(at(r.Properties["EventPattern"], "detail-type")) != text(types) {
			wrong = append(wrong, fmt.Sprintf("%s does not take what the row of %s says", id, consumer))
		}
		condition := map[string]string{"Event": "HasEvents", "Change": "HasChanges"}[bus]
		if r.Condition != condition {
			wrong = append(wrong, id+" is not switched off by an empty bus name: Condition must be "+condition)
		}
		want := fmt.Sprintf(`{"Fn::If":["Create%sBus",{"Ref":"Trial%sBus"},{"Ref":"%sBusName"}]}`, bus, bus, bus)
		if text(r.Properties["EventBusName"]) != want {
			wrong = append(wrong, id+" is not on its bus")
		}
		without := "ENABLED"
		if at(t.Resources[consumer].Properties, "Environment", "Variables", "NOTIFY_URL") != nil {
			without = "DISABLED"
		}
		if want := fmt.Sprintf(`{"Fn::If":["HasNotifyUrl","ENABLED",%q]}`, without); text(r.Properties["State"]) != want {
			wrong = append(wrong, fmt.Sprintf("%s has the state %s, want %s", id, text(r.Properties["State"]), want))
		}
		want = fmt.Sprintf(`[{"Fn::If":["Buffered",{"Fn::GetAtt":["%sBuffer","Arn"]},{"Fn::GetAtt":["%s","Arn"]}]}]`, consumer, consumer)
		var arns []any
		targets, _ := r.Properties["Targets"].([]any)
		for _, target := range targets {
			arns = append(arns, at(target, "Arn"))
		}
		if text(arns) != want {
			wrong = append(wrong, id+" does not go to its function, or its buffer in buffered mode")
		}
	}
	return wrong
}

// functionsKeep: what used up its attempts lies in the failure queue.
func functionsKeep(t Template) (wrong []string) {
	configs := map[string]Resource{}
	for _, c := range t.of("AWS::Lambda::EventInvokeConfig") {
		configs[ref(c.Properties["FunctionName"])] = c
	}
	for id := range t.of("AWS::Lambda::Function") {
		p := configs[id].Properties
		if getAtt(at(p, "DestinationConfig", "OnFailure", "Destination")) != "FailureQueue.Arn" {
			wrong = append(wrong, id+" has no failure destination, or another one than FailureQueue")
		}
		if number(at(p, "MaximumRetryAttempts")) != 2 || number(at(p, "MaximumEventAgeInSeconds")) != 21600 {
			wrong = append(wrong, id+" does not keep to Lambda's two retries within 6 h")
		}
	}
	return wrong
}

// functionsAreBuilt: by our own makefile, for a runtime that lives, from a folder of
// the function's name, which is the consumer's name as well.
func functionsAreBuilt(t Template) (wrong []string) {
	for id, f := range t.of("AWS::Lambda::Function") {
		if f.Metadata["BuildMethod"] != "makefile" {
			wrong = append(wrong, fmt.Sprintf("%s is built by %v: only makefile gives the binary that was tested", id, f.Metadata["BuildMethod"]))
		}
		if f.Properties["Runtime"] != "provided.al2023" || f.Properties["Handler"] != "bootstrap" {
			wrong = append(wrong, id+" does not run on provided.al2023")
		}
		if text(f.Properties["Architectures"]) != `[{"Ref":"Architecture"}]` {
			wrong = append(wrong, id+" has an architecture of its own")
		}
		if text(f.Properties["CodeSigningConfigArn"]) != `{"Fn::If":["HasCodeSigning",{"Ref":"CodeSigningConfigArn"},{"Ref":"AWS::NoValue"}]}` {
			wrong = append(wrong, id+" takes unsigned code, whatever CodeSigningConfigArn is, or always wants it signed")
		}
		if f.Properties["RecursiveLoop"] != "Terminate" {
			wrong = append(wrong, id+" may feed its own queue without end")
		}
		if f.Properties["DeadLetterConfig"] != nil {
			wrong = append(wrong, id+" has a second failure path")
		}
		if text(f.Properties["ReservedConcurrentExecutions"]) != `{"Fn::If":["HasReserved",{"Ref":"ReservedConcurrency"},{"Ref":"AWS::NoValue"}]}` ||
			at(t.Parameters["ReservedConcurrency"], "Default") != "" {
			wrong = append(wrong, id+" cannot be bounded by ReservedConcurrency, or is where nobody asked for it")
		}
	}
	for id := range t.Resources {
		if strings.HasSuffix(t.Resources[id].Type, "Alias") || strings.HasSuffix(t.Resources[id].Type, "Version") {
			wrong = append(wrong, id+": no versions and aliases: permissions and failure destinations are those of $LATEST")
		}
	}
	return wrong
}

// functionsLog: into a group of their own that forgets.
func functionsLog(t Template) (wrong []string) {
	for id, f := range t.of("AWS::Lambda::Function") {
		group := ref(at(f.Properties, "LoggingConfig", "LogGroup"))
		if group != id+"Logs" || t.Resources[group].Type != "AWS::Logs::LogGroup" {
			wrong = append(wrong, id+" does not log into "+id+"Logs")
		}
		if t.Resources[group].Properties["RetentionInDays"] == nil {
			wrong = append(wrong, id+"Logs keeps its lines for ever")
		}
	}
	return wrong
}

var (
	variables = []string{ // of every function
		"ACCOUNT_EXTRA_FIELDS", "ACCOUNT_FIELDS", "AUTOMATIC_TAX", "AWS_NEW_RETRIES_2026", "FAILURE_BUCKET", "FAILURE_QUEUE_URL", "GOGC", "GOMAXPROCS", "GUARD_RESTORED_AT",
		"GUARD_TABLE", "INVOICE_DELIVERY", "LOG_LEVEL", "OPPORTUNITY_FIELDS", "OPPORTUNITY_WON_STAGES", "ORG_CURRENCY", "RETRY_HOURS", "SALESFORCE_CLIENT_NAME", "SALESFORCE_ORGS", "SALESFORCE_SECRET", "SALESFORCE_URL", "SERVICE_NAME", "STAGE", "STRIPE_CONTEXT", "TAX_EXEMPT", "TAX_NUMBERS", "TIME_SCALE",
	}
	ofBilling = []string{"BILLING", "STRIPE_API_BASE", "STRIPE_SECRET"}
	ofERP     = []string{"ERP", "ERP_SECRET", "ERP_URL"}
	ofNotices = []string{"NOTIFY_FIELDS", "NOTIFY_PRIVATE_ADDRESSES", "NOTIFY_SECRET", "NOTIFY_URL"}
)

// functionsKnow: the variables that the functions read, secrets by reference only.
func functionsKnow(t Template) (wrong []string) {
	for id, f := range t.of("AWS::Lambda::Function") {
		set, _ := at(f.Properties, "Environment", "Variables").(map[string]any)
		want := slices.Clone(variables)
		if ref(set["RETRY_HOURS"]) != "RetryHours" {
			wrong = append(wrong, id+" is not told RetryHours")
		}
		if _, consumer := t.Mappings.Consumers[id]; consumer {
			want = append(want, "BUFFER_QUEUE_URL")
			if ref(set["BUFFER_QUEUE_URL"]) != id+"Buffer" {
				wrong = append(wrong, id+" has the buffer of another function")
			}
		}
		if id == "Redrive" {
			want = append(want, "CONSUMERS", "DELIVERY_QUEUE_URL", "REDRIVE_EVERY")
		}
		if id == monitor {
			want = append(want, "CHANGE_BUS", "EVENT_BUS")
		}
		if set["BILLING"] != nil {
			want = append(want, ofBilling...)
		}
		if set["ERP"] != nil {
			want = append(want, ofERP...)
		}
		if set["NOTIFY_URL"] != nil {
			want = append(want, ofNotices...)
		}
		url := refIf(set["SALESFORCE_URL"])
		if id == monitor { // it is there only where there is one
			url = ref(set["SALESFORCE_URL"])
		}
		if url != "SalesforceUrl" || refIf(set["SALESFORCE_SECRET"]) != "SalesforceSecret" {
			wrong = append(wrong, id+" is not told SalesforceUrl and SalesforceSecret")
		}
		slices.Sort(want)
		if got := keys(set); !slices.Equal(got, want) {
			wrong = append(wrong, fmt.Sprintf("%s has the variables %v, must be %v", id, got, want))
		}
		for _, name := range []string{"StripeSecret", "ErpSecret", "NotifySecret", "SalesforceSecret"} {
			if pattern, _ := at(t.Parameters[name], "AllowedPattern").(string); !strings.HasPrefix(strings.TrimPrefix(pattern, "("), "arn:") {
				wrong = append(wrong, name+" takes more than the ARN of a secret")
			}
		}
	}
	return wrong
}

// noSecret is what a statement about a secret is on that is not there.
const noSecret = `{"Fn::Sub":"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:none"}`

// rolesAreSmall: one role per function, nothing managed, nothing on everything, of
// the table its own items only and the links of one other consumer.
func rolesAreSmall(t Template) (wrong []string) {
	owners := map[string]string{}
	for id, f := range t.of("AWS::Lambda::Function") {
		role, _, _ := strings.Cut(getAtt(f.Properties["Role"]), ".")
		if role != id+"Role" {
			wrong = append(wrong, id+" does not have the role "+id+"Role")
		}
		owners[role] = id
	}
	for id, role := range t.of("AWS::IAM::Role") {
		function := owners[id]
		if role.Properties["ManagedPolicyArns"] != nil {
			wrong = append(wrong, id+" has managed policies, which allow actions on everything")
		}
		set, _ := at(t.Resources[function].Properties, "Environment", "Variables").(map[string]any)
		secret := ref(set["STRIPE_SECRET"]) + ref(set["ERP_SECRET"]) + refIf(set["NOTIFY_SECRET"])
		orgSecret := noSecret
		if t.Mappings.Consumers[function].Org == 1 {
			orgSecret = fmt.Sprintf(`{"Fn::If":["HasSalesforceSecret",{"Ref":"SalesforceSecret"},%s]}`, noSecret)
		}
		policies, _ := role.Properties["Policies"].([]any)
		for _, policy := range policies {
			statements, _ := at(policy, "PolicyDocument", "Statement").([]any)
			for _, s := range statements {
				if reason := needless(s, function, secret, orgSecret, t.Mappings.Consumers[function].LinksOf); reason != "" {
					wrong = append(wrong, fmt.Sprintf("%s: %v: %s", id, at(s, "Sid"), reason))
				}
			}
		}
	}
	return wrong
}

// lacks are the rights on its own buffer that a function needs and its role does not give.
func (t Template) lacks(function string) (missing []string) {
	var statements []any
	for _, policy := range flatten(t.Resources[function+"Role"].Properties["Policies"]) {
		statements = append(statements, flatten(at(policy, "PolicyDocument", "Statement"))...)
	}
	for _, action := range []string{"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"} {
		if !slices.ContainsFunc(statements, func(s any) bool {
			return at(s, "Effect") == "Allow" && slices.Contains(flatten(at(s, "Action")), any(action)) && getAtt(at(s, "Resource")) == function+"Buffer.Arn"
		}) {
			missing = append(missing, action)
		}
	}
	return missing
}

// everyConsumer is what every consumer's function is called, sorted.
func everyConsumer() (arns []string) {
	for _, def := range functions.All(functions.Ports{}) {
		arns = append(arns, logicalID(def.Describe().Name)+".Arn")
	}
	slices.Sort(arns)
	return arns
}

// needlessForRedrive is needless for the one function that is no consumer: it empties the two
// queues, calls the consumers, and reads what lies in the bucket. It writes nothing.
func needlessForRedrive(statement any) string {
	all := map[string]struct{ actions, resources string }{
		"OwnLog":    {`["logs:CreateLogStream","logs:PutLogEvents"]`, `RedriveLogs.Arn`},
		"Queues":    {`["sqs:ReceiveMessage","sqs:ChangeMessageVisibility","sqs:DeleteMessage","sqs:GetQueueAttributes"]`, "FailureQueue.Arn DeliveryQueue.Arn"},
		"Consumers": {`["lambda:InvokeFunction"]`, strings.Join(everyConsumer(), " ")},
		"Objects":   {`["s3:GetObject"]`, ""},
	}
	sid, _ := at(statement, "Sid").(string)
	want, known := all[sid]
	actions, _ := json.Marshal(flatten(at(statement, "Action")))
	var resources []string
	for _, r := range flatten(at(statement, "Resource")) {
		resources = append(resources, getAtt(r))
	}
	if sid == "Consumers" {
		slices.Sort(resources)
	}
	switch {
	case !known || string(actions) != want.actions:
		return fmt.Sprintf("may %s", actions)
	case sid == "Objects":
		if text(at(statement, "Condition")) == "" || !strings.Contains(text(at(statement, "Condition")), "aws:ResourceAccount") {
			return "may get objects in another account"
		}
	case strings.Join(resources, " ") != want.resources:
		return fmt.Sprintf("is on %v, must be on %s", resources, want.resources)
	}
	return ""
}

// needless says why a statement of a role allows more than the function needs.
func needless(statement any, function, secret, orgSecret, linksOf string) string {
	if function == "Redrive" {
		return needlessForRedrive(statement)
	}
	if function == monitor {
		return needlessForMonitor(statement)
	}
	actions := flatten(at(statement, "Action"))
	keys := text(at(statement, "Condition", "ForAllValues:StringLike", "dynamodb:LeadingKeys"))
	own, links := fmt.Sprintf("[%q]", consumerName(function)+"#*"), fmt.Sprintf("[%q]", linksOf+"#*")
	for _, a := range actions {
		action, _ := a.(string)
		var resource string
		switch action {
		case "logs:CreateLogStream", "logs:PutLogEvents":
			resource = function + "Logs.Arn"
		case "sqs:SendMessage":
			if resource = "FailureQueue.Arn"; at(statement, "Sid") == "OwnBuffer" {
				resource = function + "Buffer.Arn"
			}
		case "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes":
			resource = function + "Buffer.Arn"
		case "dynamodb:UpdateItem":
			resource = "GuardTable.Arn"
			if keys != own {
				return "may write other items than its own"
			}
		case "dynamodb:GetItem":
			resource = "GuardTable.Arn"
			if keys != own && keys != links {
				return "may read other items than its own and those that its row names"
			}
		case "secretsmanager:GetSecretValue":
			if at(statement, "Sid") == "OrgSecret" {
				if got := text(at(statement, "Resource")); got != orgSecret {
					return fmt.Sprintf("is on %s, must be on %s", got, orgSecret)
				}
				continue
			}
			if resource := at(statement, "Resource"); ref(resource)+refIf(resource) != secret {
				return "may read another secret than its sink's"
			}
			continue
		case "s3:PutObject", "s3:GetObject":
			if !ownObjects(statement, function) {
				return "may put and get other objects than its own, or in another account"
			}
			continue
		default:
			return fmt.Sprintf("no function needs %q", action)
		}
		if resourceOf(at(statement, "Resource")) != resource {
			return fmt.Sprintf("%s must be on %s alone", action, resource)
		}
	}
	return ""
}

// queuesKeep: two weeks, encrypted, over TLS, and when the stack goes. A buffer keeps for
// longer than a change can be tried again, and for a week less than the failure queue: for
// a message that SQS moves there the days in the buffer count (SQS Developer Guide,
// "Setting-up dead-letter queue retention").
func queuesKeep(t Template) (wrong []string) {
	statements := t.queueStatements()
	for id, q := range t.of("AWS::SQS::Queue") {
		retention := number(q.Properties["MessageRetentionPeriod"])
		if consumer, buffer := strings.CutSuffix(id, "Buffer"); buffer && t.Mappings.Consumers[consumer].Name != "" {
			if hours := number(at(t.Parameters["RetryHours"], "MaxValue")); retention != 7*day || hours == 0 || retention < hours*60*60+3*day {
				wrong = append(wrong, id+" keeps its messages for other than 7 days, or for less than 3 days after the last attempt")
			}
		} else if retention != twoWeeks {
			wrong = append(wrong, id+" keeps its messages for less than 14 days")
		}
		if q.DeletionPolicy != "Retain" || q.UpdateReplacePolicy != "Retain" {
			wrong = append(wrong, id+" would be deleted with what lies in it")
		}
		if text(q.Properties["SqsManagedSseEnabled"]) != sseOfSQS {
			wrong = append(wrong, id+" is not encrypted")
		}
		if !slices.ContainsFunc(statements[id], func(s map[string]any) bool {
			return s["Effect"] == "Deny" && s["Principal"] == "*" && s["Action"] == "sqs:*" &&
				getAtt(s["Resource"]) == id+".Arn" && text(s["Condition"]) == `{"Bool":{"aws:SecureTransport":"false"}}`
		}) {
			wrong = append(wrong, id+" answers without TLS")
		}
	}
	return wrong
}

// buffersComeAgain: a buffer of each consumer, to which it may send, drained in both
// modes, message by message, without ever giving up before the consumer does.
func buffersComeAgain(t Template) (wrong []string) {
	mappings := map[string]Resource{}
	for _, m := range t.of("AWS::Lambda::EventSourceMapping") {
		mappings[getAtt(m.Properties["EventSourceArn"])+" "+getAtt(m.Properties["FunctionName"])] = m
	}
	for id := range t.Mappings.Consumers {
		f := t.Resources[id]
		buffer := t.Resources[id+"Buffer"].Properties
		if getAtt(at(buffer, "RedrivePolicy", "deadLetterTargetArn")) != "FailureQueue.Arn" || number(at(buffer, "RedrivePolicy", "maxReceiveCount")) != 1000 {
			wrong = append(wrong, id+"Buffer does not give up to FailureQueue after 1000 receives")
		}
		if number(at(buffer, "VisibilityTimeout")) < 6*number(f.Properties["Timeout"]) {
			wrong = append(wrong, id+"Buffer shows messages again while they are worked on")
		}
		m := mappings[id+"Buffer.Arn "+id+".Arn"].Properties
		if at(m, "Enabled") != true {
			wrong = append(wrong, id+"Buffer is not drained in both modes")
		}
		if missing := t.lacks(id); missing != nil {
			wrong = append(wrong, fmt.Sprintf("%s may not %v on its buffer", id, missing))
		}
		if text(at(m, "FunctionResponseTypes")) != `["ReportBatchItemFailures"]` || text(at(m, "ScalingConfig", "MaximumConcurrency")) != `{"Fn::If":["DefaultConcurrency",5,{"Ref":"MaxConcurrency"}]}` {
			wrong = append(wrong, id+"Buffer repeats whole batches, or has no bound on concurrency")
		}
	}
	return wrong
}

// tableStays: forgetting an item means billing twice.
func tableStays(t Template) (wrong []string) {
	table, ok := t.Resources["GuardTable"]
	if !ok || len(t.of("AWS::DynamoDB::Table")) != 1 {
		return []string{"there must be one table, GuardTable"}
	}
	if table.DeletionPolicy != "Retain" || table.UpdateReplacePolicy != "Retain" || table.Properties["DeletionProtectionEnabled"] != true {
		wrong = append(wrong, "GuardTable can be deleted")
	}
	for path, want := range map[string]string{
		"BillingMode":                      `"PAY_PER_REQUEST"`,
		"KeySchema":                        `[{"AttributeName":"pk","KeyType":"HASH"}]`,
		"AttributeDefinitions":             `[{"AttributeName":"pk","AttributeType":"S"}]`,
		"TimeToLiveSpecification":          `{"AttributeName":"x","Enabled":true}`,
		"PointInTimeRecoverySpecification": `{"PointInTimeRecoveryEnabled":true}`,
		"SSESpecification":                 `{"Fn::If":["HasKmsKey",{"KMSMasterKeyId":{"Ref":"KmsKey"},"SSEEnabled":true,"SSEType":"KMS"},{"SSEEnabled":true}]}`,
	} {
		if text(table.Properties[path]) != want {
			wrong = append(wrong, fmt.Sprintf("GuardTable: %s must be %s", path, want))
		}
	}
	return wrong
}

// trialBuses: only on request; deleting the stack must never cut a relay.
func trialBuses(t Template) (wrong []string) {
	for id, b := range t.of("AWS::Events::EventBus") {
		if !strings.HasPrefix(b.Condition, "Create") || b.Properties["EventSourceName"] != nil || b.DeletionPolicy != "" {
			wrong = append(wrong, id+" is more than a bus for trials")
		}
	}
	if at(t.Parameters["CreateBus"], "Default") != "false" {
		wrong = append(wrong, "CreateBus is not off by default")
	}
	return wrong
}

// emulatorsTakeCore: without the condition FullMonitoring everything is of a kind
// that the local stack can deploy.
func emulatorsTakeCore(t Template) (wrong []string) {
	for id, r := range t.Resources {
		refused := r.Type == "AWS::Logs::QueryDefinition" || r.Type == "AWS::Events::Archive" || r.Type == "AWS::CloudWatch::CompositeAlarm" ||
			(r.Type == "AWS::CloudWatch::Alarm" && r.Properties["Metrics"] != nil)
		// FullEvents and FullChanges are FullMonitoring where there is such a bus.
		if refused && !slices.Contains([]string{"FullMonitoring", "FullEvents", "FullChanges"}, r.Condition) && !strings.HasPrefix(r.Condition, "Archives") { // archivesKeep
			wrong = append(wrong, id+" has to stand behind FullMonitoring")
		}
	}
	for condition, bus := range map[string]string{"FullEvents": "HasEvents", "FullChanges": "HasChanges"} {
		if text(t.Conditions[condition]) != `{"Fn::And":[{"Condition":"FullMonitoring"},{"Condition":"`+bus+`"}]}` {
			wrong = append(wrong, condition+" is not FullMonitoring and "+bus)
		}
	}
	return wrong
}

// nothingOrphaned: everything belongs to a consumer, is shared by name, or watches.
func nothingOrphaned(t Template) (wrong []string) {
	shared := []string{
		"GuardTable", "DeliveryQueue", "DeliveryQueuePolicy", "FailureQueue", "FailureQueuePolicy", "FailureBucket", "FailureBucketPolicy", "AuditLog", "QueuesPolicy", "RepairPolicy", "RelayPolicy", "KeyPolicy", "TrialEventBus", "TrialChangeBus", "EventArchive", "ChangeArchive", "Dashboard", "AlarmEmailTopic", "AlarmEmailPolicy",
	}
	outputs := keys(t.Outputs)
	for id, r := range t.Resources {
		watches := r.Type == "AWS::CloudWatch::Alarm" || r.Type == "AWS::Logs::QueryDefinition"
		if t.owner(id) == "" && !watches && !slices.Contains(shared, id) {
			wrong = append(wrong, id+" belongs to no function")
		}
	}
	for id := range t.Mappings.Consumers {
		for _, suffix := range []string{"Role", "Logs", "Buffer", "BufferPolicy", "BufferMapping"} {
			if _, ok := t.Resources[id+suffix]; !ok {
				wrong = append(wrong, id+suffix+" is missing")
			}
		}
		_, events := t.Resources[id+"Events"]
		_, changes := t.Resources[id+"Changes"]
		if !events && !changes {
			wrong = append(wrong, id+" gets no events")
		}
		if !slices.Contains(outputs, id+"Function") || !slices.Contains(outputs, id+"BufferUrl") || getAtt(at(t.Outputs, id+"RoleId", "Value")) != id+"Role.RoleId" {
			wrong = append(wrong, id+" is not in the outputs, so sfrelay does not know it")
		}
	}
	return wrong
}

// owner is the function that a resource belongs to by its name.
func (t Template) owner(id string) string {
	for f := range t.of("AWS::Lambda::Function") {
		parts := []string{"", "Role", "Logs", "EventInvokeConfig", "Schedule", "SchedulePermission"}
		if _, consumer := t.Mappings.Consumers[f]; consumer {
			parts = append(parts, "Buffer", "BufferPolicy", "BufferMapping", "Events", "EventsPermission", "Changes", "ChangesPermission")
		}
		if rest, ok := strings.CutPrefix(id, f); ok && slices.Contains(parts, rest) {
			return f
		}
	}
	return ""
}

// of are the resources of a type.
func (t Template) of(kind string) map[string]Resource {
	found := map[string]Resource{}
	for id, r := range t.Resources {
		if r.Type == kind {
			found[id] = r
		}
	}
	return found
}

// eventRules are the rules that take events: all but those that only follow a clock.
func (t Template) eventRules() map[string]Resource {
	rules := t.of("AWS::Events::Rule")
	for id, r := range rules {
		if r.Properties["ScheduleExpression"] != nil && r.Properties["EventPattern"] == nil {
			delete(rules, id)
		}
	}
	return rules
}

// ruleOf is the consumer of a rule, and Event or Change for its bus.
func (t Template) ruleOf(id string) (consumer, bus string) {
	for suffix, bus := range map[string]string{"Events": "Event", "Changes": "Change"} {
		if c, ok := strings.CutSuffix(id, suffix); ok {
			if _, ok := t.Mappings.Consumers[c]; ok {
				return c, bus
			}
		}
	}
	return "", ""
}

// queueStatements are the policy statements of each queue, those under conditions included.
func (t Template) queueStatements() map[string][]map[string]any {
	found := map[string][]map[string]any{}
	for _, p := range t.of("AWS::SQS::QueuePolicy") {
		for _, queue := range flatten(p.Properties["Queues"]) {
			for _, s := range flatten(at(p.Properties, "PolicyDocument", "Statement")) {
				if statement, ok := s.(map[string]any); ok {
					found[ref(queue)] = append(found[ref(queue)], statement)
				}
			}
		}
	}
	return found
}

// flatten is a value or list as a list, with the branches of Fn::If in place of it
// and without AWS::NoValue.
func flatten(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var all []any
		for _, each := range v {
			all = append(all, flatten(each)...)
		}
		return all
	case map[string]any:
		if branches, ok := v["Fn::If"].([]any); ok && len(branches) == 3 {
			return append(flatten(branches[1]), flatten(branches[2])...)
		}
		if v["Ref"] == "AWS::NoValue" {
			return nil
		}
	}
	return []any{v}
}

// at follows members of objects; nil where there is none.
func at(v any, path ...string) any {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func ref(v any) string {
	name, _ := at(v, "Ref").(string)
	return name
}

// refIf is what a Fn::If refers to where its condition holds.
func refIf(v any) string {
	branches, _ := at(v, "Fn::If").([]any)
	if len(branches) != 3 {
		return ""
	}
	return ref(branches[1])
}

// getAtt is Resource.Attribute of a Fn::GetAtt.
func getAtt(v any) string {
	parts, _ := at(v, "Fn::GetAtt").([]any)
	if len(parts) != 2 {
		return ""
	}
	return fmt.Sprintf("%v.%v", parts[0], parts[1])
}

func number(v any) float64 {
	n, _ := v.(float64)
	return n
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func keys[V any](maps ...map[string]V) []string {
	var all []string
	for _, m := range maps {
		for k := range m {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// consumerName is that of a function's logical id: CustomerBilling is customer-billing.
func consumerName(id string) string {
	return strings.ToLower(hump.ReplaceAllString(id, "$1-$2"))
}
