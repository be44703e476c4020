// Package template_test holds template.yaml to its rules, with what deploys it and what it costs.
package template_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const root = "../../.."

// python is that of the tools that make installs; empty where it did not.
func python() (string, error) {
	found, err := filepath.Glob(filepath.Join(root, ".cache", "python-*", ".complete"))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return filepath.Abs(filepath.Join(filepath.Dir(found[len(found)-1]), "bin", "python"))
}

// translated is template.yaml as CloudFormation sees it, as JSON.
var translated = sync.OnceValues(func() ([]byte, error) { return translate("template.yaml") })

func translate(file string) ([]byte, error) {
	python, err := python()
	if err != nil || python == "" {
		return nil, err
	}
	cmd := exec.Command(python, ".ci/translate-template.py", file)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

func load(t *testing.T) Template {
	t.Helper()
	b, err := translated()
	if err != nil {
		t.Fatal(err)
	}
	if b == nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("SAM's translator is not installed: run make tools")
		}
		t.Skip("SAM's translator is not installed: run make tools")
	}
	var tmpl Template
	if err := json.Unmarshal(b, &tmpl); err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestTemplateKeepsTheRules(t *testing.T) {
	tmpl := load(t)
	for _, rule := range templateRules {
		for _, wrong := range rule.Check(tmpl) {
			t.Errorf("%s: %s", rule.Name, wrong)
		}
	}
}

// Every rule has to refuse each of its mutations: a path into the template and what
// is put there (null removes), and a piece of what the rule must say.
type mutation = struct{ rule, path, value, says string }

var mutations = []mutation{
	{"table-and-functions-agree", "Mappings/Consumers/InventoryErp", `null`, "InventoryErp has a buffer but no row"},
	{"table-and-functions-agree", "Mappings/Consumers/NoFunction", `{"Name":"no-function","Events":["Stock_Return__e"]}`, "NoFunction has a row, but is no function"},
	{"table-and-functions-agree", "Resources/InventoryErp", `null`, "InventoryErp has a row, but is no function"},
	{"table-and-functions-agree", "Resources/InventoryErp/Properties/Environment/Variables/BUFFER_QUEUE_URL", `null`, "or a row but no buffer"},
	{"table-and-functions-agree", "Mappings/Consumers/InventoryErp/Name", `"customer-erp"`, "its folder is inventory-erp"},
	{"table-and-functions-agree", "Mappings/Consumers/InventoryErp/Events", `null`, "InventoryErp takes no events"},
	{"table-and-functions-agree", "Mappings/Consumers/InventoryErp/Changes", `["AccountChangeEvent"]`, "for InventoryErpChanges, but the loops make that rule: false"},
	{"table-and-functions-agree", "Mappings/Consumers/CustomerErp/Changes", `[]`, "for CustomerErpChanges, but the loops make that rule: true"},
	{"table-and-functions-agree", "Mappings/Consumers/OpportunityBilling/LinksOf", `"customer-biling"`, "which is no consumer"},

	{"rules-keep-what-they-cannot-deliver", "Resources/CustomerErpEvents/Properties/Targets/0/DeadLetterConfig", `null`, "CustomerErpEvents has no dead-letter queue"},
	{"rules-keep-what-they-cannot-deliver", "Resources/CustomerErpEvents/Properties/Targets/0/DeadLetterConfig/Arn", `{"Fn::GetAtt":["FailureQueue","Arn"]}`, "another one than DeliveryQueue"},
	{"rules-keep-what-they-cannot-deliver", "Resources/CustomerErpChanges/Properties/Targets/0/RetryPolicy", `null`, "CustomerErpChanges does not retry"},
	{"rules-keep-what-they-cannot-deliver", "Resources/CustomerErpChanges/Properties/Targets/0/RetryPolicy/MaximumRetryAttempts", `0`, "does not retry"},
	{"rules-keep-what-they-cannot-deliver", "Resources/CustomerErpChanges/Properties/Targets", `[]`, "has no target"},
	{"rules-keep-what-they-cannot-deliver", "Resources/InventoryErpEvents/Properties/EventPattern/source", `null`, "do not come from the relay"},
	{"rules-keep-what-they-cannot-deliver", "Resources/InventoryErpEvents/Properties/EventPattern/detail-type", `null`, "events of any name"},

	{"rules-switch-between-function-and-buffer", "Resources/ContactNotifyChanges/Properties/State", `null`, "ContactNotifyChanges has the state null"},
	{"rules-switch-between-function-and-buffer", "Resources/ContactNotifyChanges/Properties/State/Fn::If/2", `"ENABLED"`, "ContactNotifyChanges has the state"},
	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Properties/State/Fn::If/2", `"DISABLED"`, "CustomerErpEvents has the state"},
	{"roles-do-no-more-than-needed", "Resources/ContactNotifyRole/Properties/Policies/0/PolicyDocument/Statement/5/Resource/Fn::If/1", `{"Ref":"StripeSecret"}`, "another secret"},
	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Condition", `null`, "not switched off"},
	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Condition", `"HasChanges"`, "not switched off"},
	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Properties/EventBusName", `{"Ref":"EventBusName"}`, "not on its bus"},
	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Properties/Targets/0/Arn", `{"Fn::GetAtt":["CustomerErp","Arn"]}`, "does not go to its function, or its buffer"},
	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Properties/Targets/0/Arn", `{"Fn::If":["Buffered",{"Fn::GetAtt":["CustomerBillingBuffer","Arn"]},{"Fn::GetAtt":["CustomerErp","Arn"]}]}`, "does not go to"},

	{"rules-switch-between-function-and-buffer", "Resources/CustomerErpEvents/Properties/EventPattern/detail-type", `["Inventory_Update__e"]`, "does not take what the row of CustomerErp says"},
	{"rules-switch-between-function-and-buffer", "Resources/Forgotten", `{"Type":"AWS::Events::Rule","Properties":{"EventPattern":{}}}`, "Forgotten is not called"},

	{"rules-are-let-in", "Resources/CustomerErpEventsPermission", `null`, "CustomerErp lets in the rules [CustomerErpChanges]"},
	{"rules-are-let-in", "Resources/CustomerErpEventsPermission/Properties/SourceArn", `null`, "lets in more than one rule"},
	{"rules-are-let-in", "Resources/CustomerErpEventsPermission/Properties/Principal", `"*"`, "lets in more than one rule"},
	{"rules-are-let-in", "Resources/CustomerErpEventsPermission/Condition", `null`, "another condition than its rule"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/3", `null`, "DeliveryQueue lets in the rules"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition", `null`, "DeliveryQueue lets in more than rules"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1", `null`, "CustomerErpBuffer lets in the rules"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Principal", `"*"`, "CustomerErpBuffer lets in more"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn", `["*"]`, "DeliveryQueue lets in the rules []"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"*"}`, "a rule of another account"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/${AWS::StackName}*-CustomerBillingEvents-*"}`, "a rule of stack sfrelay-test"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/*${AWS::StackName}-CustomerBillingEvents-*"}`, "a rule of stack my-sfrelay"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/*-CustomerBillingEvents-*"}`, "a rule of stack sfrelay2"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/${AWS::StackName}-CustomerBillingEvents*"}`, "a rule of another name"},
	{"rules-are-let-in", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/${AWS::StackName}-*"}`, "a rule of a consumer that ends the same"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/${AWS::StackName}-CustomerErp*"}`, "a rule of a consumer with a longer name"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}/${AWS::StackName}-Customer*Events-*"}`, "CustomerErpBuffer lets in the rules [CustomerBillingEvents"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*${AWS::StackName}-CustomerErpEvents-*"}`, "a rule of the default bus"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBusName}*/${AWS::StackName}-CustomerErpEvents-*"}`, "a rule of another bus"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:*:rule/${EventBusName}/${AWS::StackName}-CustomerErpEvents-*"}`, "a rule of another account"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:*:${AWS::AccountId}:rule/${EventBusName}/${AWS::StackName}-CustomerErpEvents-*"}`, "a rule of another region"},
	{"rules-are-let-in", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${ChangeBusName}/${AWS::StackName}-CustomerErpEvents-*"}`, "CustomerErpBuffer lets in the rules [CustomerErpChanges]"},

	{"queues-take-from-their-own", "Resources/CustomerBillingBufferPolicy/Properties/PolicyDocument/Statement/2", `null`, "CustomerBillingBuffer with 0 operators: a stranger may send: true"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2", `null`, "CustomerErpBuffer with 0 operators: a stranger may send: true"},
	{"queues-take-from-their-own", "Resources/OpportunityBillingBufferPolicy/Properties/PolicyDocument/Statement/2", `null`, "OpportunityBillingBuffer with 0 operators: a stranger may send: true"},
	{"queues-take-from-their-own", "Resources/InventoryErpBufferPolicy/Properties/PolicyDocument/Statement/2", `null`, "InventoryErpBuffer with 0 operators: a stranger may send: true"},
	{"queues-take-from-their-own", "Resources/FailureQueuePolicy/Properties/PolicyDocument/Statement/1", `null`, "FailureQueue with 0 operators: a stranger's role may send: true"},
	{"queues-take-from-their-own", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/2", `null`, "DeliveryQueue with 0 operators: the root user may send: true"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Action", `"sqs:*"`, "cannot be read"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Effect", `"Allow"`, "CustomerErpBuffer with 0 operators: a stranger may send: true"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Principal", `{"Service":"events.amazonaws.com"}`, "CustomerErpBuffer with 0 operators: a stranger may send: true"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/BoolIfExists", `null`, "CustomerErpBuffer with 0 operators: CustomerErpEvents may send: false"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/BoolIfExists/aws:PrincipalIsAWSService", `"true"`, "CustomerErpBuffer with 0 operators: CustomerErpEvents may send: false"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/ArnNotEquals", `null`, "CustomerErpBuffer with 0 operators: CustomerErpRole may send: false"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/ArnNotEquals/aws:PrincipalArn", `{"Fn::GetAtt":["CustomerBillingRole","Arn"]}`, "CustomerErpBuffer with 0 operators: CustomerBillingRole may send: true"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/ArnNotEquals/aws:PrincipalArn", `{"Fn::Sub":"arn:aws:iam::${AWS::AccountId}:role/*"}`, "a role that begins the same may send: true"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/ArnNotLike", `null`, "CustomerErpBuffer with 2 operators: an operator may send: false"},
	{"queues-take-from-their-own", "Resources/CustomerErpBufferPolicy/Properties/PolicyDocument/Statement/2/Condition/ArnNotLike", `{"aws:PrincipalArn":{"Ref":"Operators"},"aws:SourceArn":"arn:aws:events:*:*:rule/*"}`, "CustomerErpBuffer with 0 operators: a user who says he is a rule may send: true"},
	{"queues-take-from-their-own", "Resources/FailureQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnNotEquals/aws:PrincipalArn/*InventoryErp*", `null`, "FailureQueue with 0 operators: InventoryErpRole may send: false"},
	{"queues-take-from-their-own", "Resources/FailureQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnNotEquals", `null`, "FailureQueue with 0 operators: CustomerErpRole may send: false"},
	{"queues-take-from-their-own", "Resources/FailureQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnNotLike", `null`, "FailureQueue with 2 operators: an operator by a pattern may send: false"},
	{"queues-take-from-their-own", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/2/Condition/BoolIfExists", `null`, "DeliveryQueue with 0 operators: CustomerErpChanges may send: false"},
	{"queues-take-from-their-own", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/2/Condition/ArnNotLike", `null`, "DeliveryQueue with 2 operators: an operator may send: false"},
	{"queues-take-from-their-own", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnLike/aws:SourceArn/0", `{"Fn::Sub":"*"}`, "DeliveryQueue with 0 operators: a rule of another account"},
	{"queues-take-from-their-own", "Resources/DeliveryQueuePolicy/Properties/PolicyDocument/Statement/1/Principal", `{"Service":"sns.amazonaws.com"}`, "a service that names our rule may send: true"},

	{"functions-keep-what-they-cannot-process", "Resources/InventoryErpEventInvokeConfig", `null`, "InventoryErp has no failure destination"},
	{"functions-keep-what-they-cannot-process", "Resources/InventoryErpEventInvokeConfig/Properties/DestinationConfig", `null`, "InventoryErp has no failure destination"},
	{"functions-keep-what-they-cannot-process", "Resources/InventoryErpEventInvokeConfig/Properties/MaximumRetryAttempts", `0`, "two retries"},

	{"functions-are-what-is-built", "Resources/InventoryErp/Metadata/BuildMethod", `"go1.x"`, "InventoryErp is built by go1.x"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Metadata", `null`, "InventoryErp is built by"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/Runtime", `"go1.x"`, "provided.al2023"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/CodeSigningConfigArn", `null`, "InventoryErp takes unsigned code"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/CodeSigningConfigArn", `{"Ref":"CodeSigningConfigArn"}`, "always wants it signed"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/Architectures", `["arm64"]`, "architecture of its own"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/RecursiveLoop", `"Allow"`, "may feed its own queue without end"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/RecursiveLoop", `null`, "may feed its own queue without end"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/ReservedConcurrentExecutions", `1`, "where nobody asked for it"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/ReservedConcurrentExecutions", `null`, "cannot be bounded"},
	{"functions-are-what-is-built", "Parameters/ReservedConcurrency/Default", `"10"`, "where nobody asked for it"},
	{"functions-are-what-is-built", "Resources/InventoryErp/Properties/DeadLetterConfig", `{"TargetArn":{"Fn::GetAtt":["DeliveryQueue","Arn"]}}`, "second failure path"},
	{"functions-are-what-is-built", "Resources/InventoryErpAlias", `{"Type":"AWS::Lambda::Alias","Properties":{}}`, "no versions and aliases"},

	{"functions-say-where-they-log", "Resources/InventoryErp/Properties/LoggingConfig", `null`, "does not log into InventoryErpLogs"},
	{"functions-say-where-they-log", "Resources/InventoryErpLogs/Properties/RetentionInDays", `null`, "for ever"},

	{"functions-know-only-named-variables", "Resources/InventoryErp/Properties/Environment/Variables/SURPRISE", `"1"`, "SURPRISE"},
	{"functions-know-only-named-variables", "Resources/InventoryErp/Properties/Environment/Variables/FAILURE_QUEUE_URL", `null`, "InventoryErp has the variables"},
	{"functions-know-only-named-variables", "Resources/InventoryErp/Properties/Environment/Variables/BUFFER_QUEUE_URL", `{"Ref":"CustomerErpBuffer"}`, "buffer of another function"},
	{"functions-know-only-named-variables", "Resources/InventoryErp/Properties/Environment/Variables/RETRY_HOURS", `"6"`, "InventoryErp is not told RetryHours"},
	{"functions-know-only-named-variables", "Resources/CustomerErp/Properties/Environment/Variables/SALESFORCE_URL", `null`, "CustomerErp has the variables"},
	{"functions-know-only-named-variables", "Resources/CustomerErp/Properties/Environment/Variables/SALESFORCE_SECRET", `{"Fn::If":["HasSalesforceSecret",{"Ref":"ErpSecret"},{"Ref":"AWS::NoValue"}]}`, "is not told SalesforceUrl"},
	{"functions-know-only-named-variables", "Parameters/SalesforceSecret/AllowedPattern", `".*"`, "takes more than the ARN"},
	{"functions-know-only-named-variables", "Parameters/StripeSecret/AllowedPattern", `".*"`, "takes more than the ARN"},

	{"roles-do-no-more-than-needed", "Resources/InventoryErp/Properties/Role", `{"Fn::GetAtt":["CustomerErpRole","Arn"]}`, "does not have the role"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/ManagedPolicyArns", `["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]`, "managed policies"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource", `"*"`, "OwnLog: logs:CreateLogStream must be on InventoryErpLogs.Arn alone"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/1/Resource", `"*"`, "must be on GuardTable.Arn alone"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/1/Condition", `null`, "other items than its own"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/1/Condition/ForAllValues:StringLike/dynamodb:LeadingKeys", `["*"]`, "other items than its own"},
	{"roles-do-no-more-than-needed", "Resources/OpportunityBillingRole/Properties/Policies/0/PolicyDocument/Statement/2/Condition", `null`, "other items than its own and those that its row names"},
	{"roles-do-no-more-than-needed", "Mappings/Consumers/OpportunityBilling/LinksOf", `null`, "OpportunityBillingRole: CustomerLinks: may read other items"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/2/Condition/ForAllValues:StringLike/dynamodb:LeadingKeys", `["customer-billing#*"]`, "InventoryErpRole: CustomerLinks: may read other items"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/1/Action", `["dynamodb:*"]`, `no function needs "dynamodb:*"`},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/1/Action", `"dynamodb:DeleteItem"`, `no function needs "dynamodb:DeleteItem"`},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/3/Resource", `{"Fn::GetAtt":["CustomerErpBuffer","Arn"]}`, "must be on FailureQueue.Arn alone"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/4/Resource", `{"Fn::GetAtt":["CustomerErpBuffer","Arn"]}`, "must be on InventoryErpBuffer.Arn alone"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/5/Resource", `{"Ref":"StripeSecret"}`, "another secret"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/5/Resource", `"*"`, "another secret"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/7/Resource", `{"Ref":"SalesforceSecret"}`, "InventoryErpRole: OrgSecret: is on"},
	{"roles-do-no-more-than-needed", "Mappings/Consumers/CustomerBilling/Org", `null`, "CustomerBillingRole: OrgSecret: is on"},
	{"roles-do-no-more-than-needed", "Resources/CustomerErpRole/Properties/Policies/0/PolicyDocument/Statement/7/Resource", `"*"`, "CustomerErpRole: OrgSecret: is on"},
	{"roles-do-no-more-than-needed", "Resources/CustomerErpRole/Properties/Policies/0/PolicyDocument/Statement/7/Resource/Fn::If/0", `"HasNotifySecret"`, "CustomerErpRole: OrgSecret: is on"},
	{"roles-do-no-more-than-needed", "Resources/CustomerErpRole/Properties/Policies/0/PolicyDocument/Statement/7/Resource", `{"Fn::Sub":"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:none"}`, "CustomerErpRole: OrgSecret: is on"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Resource/Fn::Sub/0", `"arn:${AWS::Partition}:s3:::${Bucket}/*"`, "may put and get other objects"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Resource/Fn::Sub/0", `"arn:${AWS::Partition}:s3:::${Bucket}/inventory-erp*"`, "may put and get other objects"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Resource/Fn::Sub/0", `"arn:${AWS::Partition}:s3:::${Bucket}/customer-erp/*"`, "may put and get other objects"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Condition", `null`, "or in another account"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Action/1", `"s3:DeleteObject"`, "no function needs"},
	{"roles-do-no-more-than-needed", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Action/1", `"s3:ListBucket"`, "no function needs"},

	{"queues-keep-over-tls", "Resources/FailureQueue/Properties/MessageRetentionPeriod", `null`, "FailureQueue keeps its messages for less"},
	{"queues-keep-over-tls", "Resources/FailureQueue/Properties/SqsManagedSseEnabled", `false`, "not encrypted"},
	{"queues-keep-over-tls", "Resources/FailureQueue/DeletionPolicy", `null`, "would be deleted"},
	{"queues-keep-over-tls", "Resources/InventoryErpBuffer/DeletionPolicy", `"Delete"`, "InventoryErpBuffer would be deleted"},
	{"queues-keep-over-tls", "Resources/InventoryErpBuffer/UpdateReplacePolicy", `null`, "InventoryErpBuffer would be deleted"},
	{"queues-keep-over-tls", "Resources/InventoryErpBuffer/Properties/MessageRetentionPeriod", `1209600`, "InventoryErpBuffer keeps its messages for other than 7 days"},
	{"queues-keep-over-tls", "Parameters/RetryHours/MaxValue", `97`, "less than 3 days after the last attempt"},
	{"queues-keep-over-tls", "Parameters/RetryHours/MaxValue", `null`, "less than 3 days after the last attempt"},
	{"queues-keep-over-tls", "Resources/FailureQueuePolicy", `null`, "FailureQueue answers without TLS"},
	{"queues-keep-over-tls", "Resources/FailureQueuePolicy/Properties/PolicyDocument/Statement/0/Action", `"sqs:SendMessage"`, "FailureQueue answers without TLS"},
	{"queues-keep-over-tls", "Resources/Forgotten", `{"Type":"AWS::SQS::Queue","Properties":{}}`, "Forgotten answers without TLS"},

	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket", `null`, "there must be one bucket"},
	{"bucket-keeps-what-no-message-holds", "Resources/Second", `{"Type":"AWS::S3::Bucket"}`, "there must be one bucket"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/DeletionPolicy", `"Delete"`, "would be deleted"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/UpdateReplacePolicy", `null`, "would be deleted"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/PublicAccessBlockConfiguration/RestrictPublicBuckets", `false`, "PublicAccessBlockConfiguration must be"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/PublicAccessBlockConfiguration", `null`, "PublicAccessBlockConfiguration must be"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/OwnershipControls", `null`, "OwnershipControls must be"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/BucketEncryption", `null`, "BucketEncryption must be"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/LifecycleConfiguration/Rules/0/ExpirationInDays", `14`, "LifecycleConfiguration must be"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/LifecycleConfiguration/Rules/0/Status", `"Disabled"`, "LifecycleConfiguration must be"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucket/Properties/BucketName", `"failures"`, "a name of its own"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucketPolicy", `null`, "answers without TLS"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucketPolicy/Properties/PolicyDocument/Statement/0/Resource/1", `null`, "answers without TLS"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucketPolicy/Properties/PolicyDocument/Statement/0/Effect", `"Allow"`, "answers without TLS, or its policy allows"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucketPolicy/Properties/PolicyDocument/Statement/0/Condition", `null`, "answers without TLS"},
	{"bucket-keeps-what-no-message-holds", "Resources/FailureBucketPolicy/Properties/PolicyDocument/Statement/0/Action", `"s3:GetObject"`, "answers without TLS"},
	{"bucket-keeps-what-no-message-holds", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Action", `"s3:PutObject"`, "InventoryErp may not put and get"},
	{"bucket-keeps-what-no-message-holds", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/6/Effect", `"Deny"`, "InventoryErp may not put and get"},

	{"buffers-come-again", "Resources/InventoryErpBuffer/Properties/RedrivePolicy", `null`, "does not give up to FailureQueue"},
	{"buffers-come-again", "Resources/InventoryErpBuffer/Properties/RedrivePolicy/maxReceiveCount", `3`, "after 1000 receives"},
	{"buffers-come-again", "Resources/InventoryErpBuffer/Properties/VisibilityTimeout", `30`, "while they are worked on"},
	{"buffers-come-again", "Resources/InventoryErpBufferMapping/Properties/Enabled", `{"Fn::If":["Buffered",true,false]}`, "not drained in both modes"},
	{"buffers-come-again", "Resources/InventoryErpBufferMapping/Properties/Enabled", `null`, "not drained in both modes"},
	{"buffers-come-again", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/4/Action/0", `null`, "InventoryErp may not [sqs:SendMessage] on its buffer"},
	{"buffers-come-again", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/4/Action/3", `null`, "InventoryErp may not [sqs:ChangeMessageVisibility] on its buffer"},
	{"buffers-come-again", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/4", `null`, "InventoryErp may not [sqs:SendMessage"},
	{"buffers-come-again", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/4/Effect", `"Deny"`, "InventoryErp may not [sqs:SendMessage"},
	{"buffers-come-again", "Resources/InventoryErpBufferMapping/Properties/FunctionResponseTypes", `null`, "repeats whole batches"},
	{"buffers-come-again", "Resources/InventoryErpBufferMapping/Properties/ScalingConfig", `null`, "no bound on concurrency"},

	{"table-cannot-be-lost", "Resources/GuardTable/DeletionPolicy", `"Delete"`, "can be deleted"},
	{"table-cannot-be-lost", "Resources/GuardTable/UpdateReplacePolicy", `null`, "can be deleted"},
	{"table-cannot-be-lost", "Resources/GuardTable/Properties/DeletionProtectionEnabled", `null`, "can be deleted"},
	{"table-cannot-be-lost", "Resources/GuardTable/Properties/PointInTimeRecoverySpecification", `null`, "PointInTimeRecovery"},
	{"table-cannot-be-lost", "Resources/GuardTable/Properties/TimeToLiveSpecification/AttributeName", `"ttl"`, "TimeToLive"},
	{"table-cannot-be-lost", "Resources/GuardTable/Properties/BillingMode", `"PROVISIONED"`, "BillingMode"},

	{"failures-raise-alarms", "Resources/FailureQueueArrivalAlarm", `null`, "FailureQueueArrivalAlarm is missing"},
	{"failures-raise-alarms", "Resources/DeliveryQueueArrivalAlarm/Condition", `"FullMonitoring"`, "DeliveryQueueArrivalAlarm has the condition"},
	{"failures-raise-alarms", "Resources/DeliveryQueueArrivalAlarm/Properties/Threshold", `10`, "DeliveryQueueArrivalAlarm rings at"},
	{"failures-raise-alarms", "Resources/DeliveryQueueArrivalAlarm/Properties/MetricName", `"ApproximateNumberOfMessagesVisible"`, "DeliveryQueueArrivalAlarm looks at"},
	{"failures-raise-alarms", "Resources/FailureQueueAlarm", `null`, "FailureQueueAlarm is missing"},
	{"failures-raise-alarms", "Resources/FailureQueueAlarm/Properties/Metrics/0/Expression", `"visible"`, "FailureQueueAlarm looks at visible of"},
	{"failures-raise-alarms", "Resources/FailureQueueAlarm/Properties/Metrics/0/ReturnData", `false`, "visible+hidden that is not looked at"},
	{"failures-raise-alarms", "Resources/DeliveryQueueAlarm/Properties/Metrics/1", `null`, "DeliveryQueueAlarm looks at"},
	{"failures-raise-alarms", "Resources/ExpiryAlarm/Properties/Threshold", `1209600`, "ExpiryAlarm rings at GreaterThanThreshold 1.2096e+06"},
	{"failures-raise-alarms", "Resources/OldestAlarm/Properties/Metrics/1/MetricStat/Metric/MetricName", `"oldestSeconds"`, "OldestAlarm looks at a metric that nobody writes: 3600 Maximum sfrelay oldestSeconds service=AWS::StackName"},
	{"failures-raise-alarms", "Resources/OldestAlarm/Properties/Metrics/2/MetricStat/Metric/Dimensions/0/Value", `{"Fn::GetAtt":["DeliveryQueue","QueueName"]}`, "OldestAlarm looks at"},
	{"failures-raise-alarms", "Resources/EventsSilenceAlarm", `null`, "EventsSilenceAlarm is missing"},
	{"failures-raise-alarms", "Resources/ChangesSilenceAlarm/Condition", `"HasEvents"`, "ChangesSilenceAlarm has the condition"},
	{"failures-raise-alarms", "Resources/ChangesSilenceAlarm/Properties/Dimensions/0/Value", `{"Ref":"EventBusName"}`, "ChangesSilenceAlarm looks at"},
	{"failures-raise-alarms", "Resources/ChangesSilenceAlarm/Properties/Dimensions/0/Name", `"EventBusName"`, "ChangesSilenceAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/EventsSilenceAlarm/Properties/TreatMissingData", `"notBreaching"`, "is notBreaching without data"},
	{"failures-raise-alarms", "Resources/EventsSilenceAlarm/Properties/EvaluationPeriods", `24`, "in 24 periods"},
	{"failures-raise-alarms", "Parameters/HeartbeatHours/MaxValue", `240`, "ends elsewhere than at 168"},
	{"failures-raise-alarms", "Resources/EventsLostAlarm/Properties/Metrics/0/Expression", `{"Fn::Sub":"SELECT SUM(InvocationsFailedToBeSentToDlq) FROM SCHEMA(\"AWS/Events\", EventBusName) WHERE EventBusName = '${EventBusName}'"}`, "EventsLostAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/EventsLostAlarm/Properties/Metrics/0/Expression", `{"Fn::Sub":"SELECT SUM(InvocationsFailedToBeSentToDlq) FROM SCHEMA(\"AWS/Events\", EventBusName, RuleName) WHERE EventBusName = '${ChangeBusName}'"}`, "EventsLostAlarm looks at SELECT"},
	{"failures-raise-alarms", "Resources/ChangesUndeliveredAlarm", `null`, "ChangesUndeliveredAlarm is missing"},
	{"failures-raise-alarms", "Resources/DroppedAlarm/Properties/Metrics/2", `null`, "DroppedAlarm looks at MAX(METRICS()) of"},
	{"failures-raise-alarms", "Resources/SlowAlarm/Properties/Metrics/2/MetricStat/Stat", `"Average"`, "SlowAlarm looks at"},
	{"failures-raise-alarms", "Resources/ErrorsAlarm/Properties/Metrics/3/MetricStat/Stat", `"Sum"`, "ErrorsAlarm looks at"},
	{"failures-raise-alarms", "Resources/InFlightAlarm/Properties/Metrics/2", `null`, "InFlightAlarm looks at"},
	{"failures-raise-alarms", "Resources/GuardAlarm/Properties/Metrics/*reads*/MetricStat/Metric/MetricName", `"ThrottledRequests"`, "GuardAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/ZombieAlarm/Properties/Metrics/0/Expression", `{"Fn::Sub":"SELECT SUM(changes) FROM SCHEMA(sfrelay, service, verdict) WHERE service = '${AWS::StackName}' AND verdict = 'zombie'"}`, "ZombieAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/CredentialsAlarm/Condition", `"FullMonitoring"`, "CredentialsAlarm has the condition"},
	{"failures-raise-alarms", "Resources/CredentialsAlarm/Properties/Dimensions/0/Name", `"stack"`, "CredentialsAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/WaitingAlarm/Properties/MetricName", `"waitMs"`, "WaitingAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/WaitingAlarm", `null`, "WaitingAlarm is missing"},
	{"failures-raise-alarms", "Resources/RelayDownAlarm/Properties/MetricName", `"relayIsDown"`, "RelayDownAlarm looks at a metric that nobody writes"},
	{"failures-raise-alarms", "Resources/NewAlarm", `{"Type":"AWS::CloudWatch::Alarm","Properties":{}}`, "NewAlarm is an alarm that nobody has written down"},

	{"alarms-tell-somebody", "Resources/RelayDownAlarm/Properties/AlarmActions", `null`, "RelayDownAlarm tells nobody"},
	{"alarms-tell-somebody", "Resources/LateAlarm/Properties/AlarmActions/0", `{"Ref":"AlarmEmailTopic"}`, "LateAlarm tells nobody"},
	{"alarms-tell-somebody", "Resources/LateAlarm/Properties/AlarmActions/1/Fn::If/0", `"HasAlarmEmail"`, "LateAlarm tells nobody"},
	{"alarms-tell-somebody", "Resources/LateAlarm/Properties/ActionsEnabled", `false`, "LateAlarm tells nobody"},
	{"alarms-tell-somebody", "Resources/FailureQueueAlarm/Properties/OKActions", `null`, "FailureQueueAlarm tells null when it is over"},
	{"alarms-tell-somebody", "Resources/AlarmEmailTopic/Condition", `null`, "AlarmEmailTopic is"},
	{"alarms-tell-somebody", "Resources/AlarmEmailTopic/Properties/Subscription", `null`, "AlarmEmailTopic is"},
	{"alarms-tell-somebody", "Resources/AlarmEmailPolicy/Properties/PolicyDocument/Statement/0/Condition", `null`, "AlarmEmailPolicy is"},
	{"alarms-tell-somebody", "Resources/AlarmEmailPolicy/Properties/PolicyDocument/Statement/0/Principal", `"*"`, "AlarmEmailPolicy is"},
	{"alarms-tell-somebody", "Parameters/AlarmEmail/Default", `"you@example.com"`, "AlarmEmail is not off by default"},
	{"alarms-tell-somebody", "Parameters/AlarmEmail/AllowedPattern", `".*"`, "AlarmEmail takes what is no address"},
	{"alarms-tell-somebody", "Outputs/AlarmsTell", `null`, "the output AlarmsTell says null"},
	{"alarms-tell-somebody", "Outputs/AlarmsTell/Condition", `"HasAlarmEmail"`, "the output AlarmsTell says"},

	{"relays-are-watched", "Resources/RelayDownAlarm", `null`, "RelayDownAlarm is missing"},
	{"relays-are-watched", "Resources/RelayDownAlarm/Condition", `null`, "RelayDownAlarm is missing, or is not where"},
	{"relays-are-watched", "Resources/RelayDownAlarm/Properties/Period", `600`, "rings after up to 900 seconds"},
	{"relays-are-watched", "Resources/RelayDownAlarm/Properties/EvaluationPeriods", `2`, "rings after up to 900 seconds"},
	{"relays-are-watched", "Resources/RelayMonitorSchedule/Properties/ScheduleExpression", `"rate(10 minutes)"`, "rings after up to 900 seconds"},
	{"relays-are-watched", "Resources/RelayMonitorSchedule/Properties/ScheduleExpression", `"rate(10 minutes)"`, "periods without a run"},
	{"relays-are-watched", "Resources/RelayMonitorSchedule/Properties/State", `"DISABLED"`, "no clock starts"},
	{"relays-are-watched", "Resources/RelayMonitor/Condition", `null`, "no clock starts"},
	{"relays-are-watched", "Resources/RelayDownAlarm/Properties/TreatMissingData", `"notBreaching"`, "RelayDownAlarm looks at"},
	{"relays-are-watched", "Resources/RelayUnseenAlarm/Properties/TreatMissingData", `"ignore"`, "RelayUnseenAlarm looks at"},
	{"relays-are-watched", "Resources/RelayHoursAlarm/Properties/Statistic", `"Maximum"`, "RelayHoursAlarm looks at"},
	{"relays-are-watched", "Resources/OrgAllocationAlarm/Properties/Threshold", `90`, "OrgAllocationAlarm looks at"},
	{"relays-are-watched", "Resources/OrgRefusedAlarm/Properties/Dimensions/0/Name", `"stack"`, "OrgRefusedAlarm looks at"},
	{"relays-are-watched", "Resources/RelayErrorAlarm/Properties/MetricName", `"relayErrors"`, "RelayErrorAlarm looks at"},

	{"alarms-say-where", "Resources/FailureQueueAlarm/Properties/AlarmDescription", `"A change was not applied."`, "FailureQueueAlarm says neither stage nor org"},
	{"alarms-say-where", "Resources/BufferAlarm/Properties/AlarmDescription", `"A message has waited."`, "BufferAlarm says neither stage nor org"},
	{"alarms-say-where", "Resources/LateAlarm/Properties/AlarmDescription", `{"Fn::Sub":"${Stage}, org ${SalesforceOrgs}: An event has waited for its function for long. Type: sfrelay status --aws"}`, "LateAlarm does not say in two sentences"},
	{"alarms-say-where", "Resources/LateAlarm/Properties/AlarmDescription", `{"Fn::Sub":"${Stage}, org ${SalesforceOrgs}: Late. Type: sfrelay status --aws --stack-name ${AWS::StackName}"}`, "LateAlarm does not say in two sentences"},
	{"alarms-say-where", "Resources/LateAlarm/Properties/AlarmDescription", `{"Fn::Sub":"${Stage}, org ${SalesforceOrgs}: An event has waited. It waited for its function. Type: sfrelay status --aws --stack-name ${AWS::StackName}"}`, "LateAlarm does not say in two sentences"},
	{"alarms-say-where", "Outputs/Stage", `null`, "Stage is not in the outputs"},
	{"alarms-say-where", "Outputs/Orgs", `null`, "SalesforceOrgs is not in the outputs"},
	{"alarms-say-where", "Parameters/Stage/AllowedPattern", `null`, "Stage takes any text"},
	{"functions-know-only-named-variables", "Resources/RelayMonitor/Properties/Environment/Variables/SALESFORCE_URL", `""`, "RelayMonitor is not told SalesforceUrl"},
	{"functions-know-only-named-variables", "Resources/RelayMonitor/Properties/Environment/Variables/EVENT_BUS", `null`, "RelayMonitor has the variables"},
	{"roles-do-no-more-than-needed", "Resources/RelayMonitorRole/Properties/Policies/0/PolicyDocument/Statement/1/Resource", `{"Ref":"StripeSecret"}`, "RelayMonitorRole: OrgSecret"},
	{"roles-do-no-more-than-needed", "Resources/RelayMonitorRole/Properties/Policies/0/PolicyDocument/Statement/2/Condition", `null`, "RelayMonitorRole: Announcements"},
	{"roles-do-no-more-than-needed", "Resources/RelayMonitorRole/Properties/Policies/0/PolicyDocument/Statement/2/Action", `"dynamodb:PutItem"`, "RelayMonitorRole: Announcements"},
	{"roles-do-no-more-than-needed", "Resources/RelayMonitorRole/Properties/Policies/0/PolicyDocument/Statement/3/Resource", `"*"`, "RelayMonitorRole: Sources"},
	{"roles-do-no-more-than-needed", "Resources/RelayMonitorRole/Properties/Policies/0/PolicyDocument/Statement/4/Action", `"events:*"`, "RelayMonitorRole: Buses"},

	{"trial-buses-cut-no-relay", "Resources/TrialEventBus/Condition", `null`, "more than a bus for trials"},
	{"trial-buses-cut-no-relay", "Resources/TrialEventBus/Properties/EventSourceName", `{"Ref":"EventBusName"}`, "more than a bus for trials"},
	{"trial-buses-cut-no-relay", "Parameters/CreateBus/Default", `"true"`, "not off by default"},

	{"emulators-take-core", "Resources/LateAlarm/Condition", `null`, "LateAlarm has to stand behind FullMonitoring"},
	{"emulators-take-core", "Resources/EventsLostAlarm/Condition", `"HasEvents"`, "EventsLostAlarm has to stand behind FullMonitoring"},
	{"emulators-take-core", "Conditions/FullChanges", `{"Condition":"HasChanges"}`, "FullChanges is not FullMonitoring and HasChanges"},
	{"emulators-take-core", "Resources/LagQuery/Condition", `null`, "LagQuery has to stand behind FullMonitoring"},

	{"nothing-is-orphaned", "Resources/Forgotten", `{"Type":"AWS::SQS::Queue","Properties":{}}`, "Forgotten belongs to no function"},
	{"nothing-is-orphaned", "Resources/InventoryErp", `null`, "InventoryErpRole belongs to no function"},
	{"nothing-is-orphaned", "Resources/InventoryErpEvents", `null`, "InventoryErp gets no events"},
	{"nothing-is-orphaned", "Resources/InventoryErpBufferMapping", `null`, "InventoryErpBufferMapping is missing"},
	{"nothing-is-orphaned", "Outputs/InventoryErpFunction", `null`, "not in the outputs"},
	{"nothing-is-orphaned", "Outputs/InventoryErpRoleId", `null`, "not in the outputs"},
	{"nothing-is-orphaned", "Outputs/InventoryErpRoleId/Value", `{"Fn::GetAtt":["CustomerErpRole","RoleId"]}`, "not in the outputs"},

	{"dashboard-finds-what-there-is", "Resources/Dashboard", `null`, "the dashboard is no JSON"},
	{"dashboard-finds-what-there-is", "Resources/Dashboard/Properties/DashboardBody/Fn::Sub/1/Consumers/Fn::Join/1/*InventoryErp*", `null`, "InventoryErp is not on the dashboard"},
	{"dashboard-finds-what-there-is", "Resources/Dashboard/Properties/DashboardBody/Fn::Sub/1/Consumers/Fn::Join/1/3", `{"Fn::Sub":"\\\"${InventoryErpLogs}\\\""}`, "nothing is called"},
	{"dashboard-finds-what-there-is", "Resources/Dashboard/Properties/DashboardBody/Fn::Sub/1/Buses", `{"Fn::Sub":"\\\"${AWS::StackName}-\\\""}`, `nothing is called "sfrelay-"`},
	{"dashboard-finds-what-there-is", "Resources/Dashboard/Properties/DashboardBody/Fn::Sub/1/Buses", `{"Fn::Sub":"${AWS::StackName}"}`, "is not in double quotes"},
}

func TestEveryRuleRefusesItsMutations(t *testing.T) {
	tmpl := load(t)
	translated, err := translated()
	if err != nil {
		t.Fatal(err)
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(translated, &sections); err != nil {
		t.Fatal(err)
	}
	original := map[string]map[string]json.RawMessage{}
	for name, section := range sections {
		var entries map[string]json.RawMessage
		if json.Unmarshal(section, &entries) == nil { // some are a text or a list
			original[name] = entries
		}
	}
	tried := map[string]bool{}
	for _, m := range slices.Concat(mutations, existingMutations, companyMutations) {
		t.Run(m.rule+"/"+m.path, func(t *testing.T) {
			mutated := tmpl.mutated(t, original, m)
			i := slices.IndexFunc(templateRules, func(r Rule) bool { return r.Name == m.rule })
			if i < 0 {
				t.Fatalf("no rule is called %s", m.rule)
			}
			tried[m.rule] = true
			wrong := templateRules[i].Check(mutated)
			if !slices.ContainsFunc(wrong, func(s string) bool { return strings.Contains(s, m.says) }) {
				t.Errorf("%s = %s: want %q, got %q", m.path, m.value, m.says, wrong)
			}
		})
	}
	for _, r := range templateRules {
		if !tried[r.Name] {
			t.Errorf("no mutation tries the rule %s", r.Name)
		}
	}
}

// Every text of the dashboard that CloudWatch compares has to be refused when it changes.
func TestTheDashboardRefusesWhatFindsNothing(t *testing.T) {
	tmpl := load(t)
	sub, _ := tmpl.Resources["Dashboard"].Properties["DashboardBody"].(map[string]any)["Fn::Sub"].([]any)
	body, _ := sub[0].(string)
	for _, m := range []struct{ old, replacement, says string }{
		{`MetricName=\"FailedInvocations\"`, `MetricName=\"InvocationsFailed\"`, "nothing has the metric InvocationsFailed of AWS/Events"},
		{`{AWS/Events,EventBusName,RuleName}`, `{AWS/Events,BusName,RuleName}`, "by [BusName RuleName]"},
		{`{AWS/Events,EventBusName,RuleName}`, `{AWS/Events,RuleName}`, "by [RuleName]"},
		{`${Buses}`, `\"${AWS::StackName}-rule\"`, `nothing is called "sfrelay-rule"`},
		{`${Buses}`, `RuleName=\"${AWS::StackName}\"`, `nothing is called "RuleName=sfrelay"`},
		{`MetricName=\"Errors\"`, `MetricName=\"Error\"`, "nothing has the metric Error of AWS/Lambda"},
		{`{AWS/Lambda,FunctionName}`, `{AWS/Lambda,Function}`, "by [Function]"},
		{`MetricName=\"Events\"`, `MetricName=\"MatchedEvents\"`, "nothing has the metric MatchedEvents of AWS/Events by [EventSourceName]"},
		{`verdict=(\"applied\"`, `verdict=(\"done\"`, `nothing is called "verdict=done"`},
		{`"TableName", "${Table}"`, `"TableName", "${DeliveryQueue}"`, "no TableName is"},
		{`"oldestFailedSeconds"`, `"oldestSeconds"`, "nothing has the metric oldestSeconds of sfrelay by [service]"},
		{`"query": "${Lines} | `, `"query": "SOURCE 'other' | ${Lines} | `, "no consumer writes into other"},
		{`"query": "${Lines} | `, `"query": "${Lines} | fields `, "and fields filter"},
		{`"query": "${Lines} | `, `"query": "`, "not read are [sfrelay-ContactNotifyLogs-"},
		{`MetricName=\"lagMs\"`, `MetricName=\"lag\"`, "nothing has the metric lag of sfrelay"},
		{`{sfrelay,service,consumer} `, `{sfrelay,service} `, "nothing has the metric guardRequests of sfrelay by [service]"},
		{`{sfrelay,service,consumer,verdict}`, `{sfrelay,service,consumer}`, "nothing has the metric changes of sfrelay by [consumer service]"},
		{`service=\"${AWS::StackName}\"`, `service=\"${AWS::StackId}\"`, `nothing is called "service="`},
		{`service=\"${AWS::StackName}\"`, `stack=\"${AWS::StackName}\"`, `nothing is called "stack=sfrelay"`},
		{`"QueueName", "${DeliveryQueue.QueueName}"`, `"Queue", "${DeliveryQueue.QueueName}"`, "no Queue is"},
		{`"QueueName", "${DeliveryQueue.QueueName}"`, `"QueueName", "${GuardTable}"`, "no QueueName is"},
		{`"ApproximateNumberOfMessagesVisible", "QueueName", "${F`, `"NumberOfMessages", "QueueName", "${F`, "nothing has the metric NumberOfMessages of AWS/SQS"},
		{`, 'Sum', 300)`, `, 'Total', 300)`, "not a search with schema"},
	} {
		if !strings.Contains(body, m.old) {
			t.Errorf("the dashboard has no %s", m.old)
			continue
		}
		sub[0] = strings.Replace(body, m.old, m.replacement, 1)
		wrong := dashboardFinds(tmpl)
		if !slices.ContainsFunc(wrong, func(s string) bool { return strings.Contains(s, m.says) }) {
			t.Errorf("%s for %s: want %q, got %q", m.replacement, m.old, m.says, wrong)
		}
	}
}

// The search for all consumers must not outgrow CloudWatch's limit unseen.
func TestTheDashboardRefusesLongSearches(t *testing.T) {
	tmpl := load(t)
	list, _ := at(tmpl.Resources["Dashboard"].Properties, "DashboardBody", "Fn::Sub").([]any)
	join, _ := at(list[1], "Consumers", "Fn::Join").([]any)
	names, _ := join[1].([]any)
	for len(names) < 12 {
		names = append(names, names[0])
	}
	join[1] = names
	if wrong := tmpl.queriesFit(); len(wrong) == 0 || !strings.Contains(wrong[0], "CloudWatch takes 1024") {
		t.Errorf("12 consumers: %q", wrong)
	}
}

// A function that a clock starts is no consumer: it has no row, no buffer and no rule for
// events. Its parts are named as SAM names those of an event "Schedule".
func TestScheduledFunctionsNeedNoRow(t *testing.T) {
	load(t)
	original, err := translated()
	if err != nil {
		t.Fatal(err)
	}
	scheduled := strings.ReplaceAll(string(original), "InventoryErp", "Reconcile")
	scheduled = strings.ReplaceAll(scheduled, "inventory-erp", "reconcile")
	var tmpl, other Template
	for text, into := range map[string]*Template{string(original): &tmpl, scheduled: &other} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{"Reconcile", "ReconcileRole", "ReconcileLogs", "ReconcileEventInvokeConfig"} {
		tmpl.Resources[part] = other.Resources[part]
	}
	delete(at(tmpl.Resources["Reconcile"].Properties, "Environment", "Variables").(map[string]any), "BUFFER_QUEUE_URL")
	tmpl.Resources["ReconcileSchedule"] = Resource{Type: "AWS::Events::Rule", Properties: map[string]any{
		"ScheduleExpression": "rate(1 hour)",
		"Targets":            []any{map[string]any{"Id": "function", "Arn": map[string]any{"Fn::GetAtt": []any{"Reconcile", "Arn"}}}},
	}}
	tmpl.Resources["ReconcileSchedulePermission"] = Resource{Type: "AWS::Lambda::Permission", Properties: map[string]any{
		"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "FunctionName": map[string]any{"Ref": "Reconcile"},
		"SourceArn": map[string]any{"Fn::GetAtt": []any{"ReconcileSchedule", "Arn"}},
	}}
	for _, part := range []string{"ReconcileEvents", "ReconcileBuffer"} { // these make it a consumer
		tmpl.Resources[part] = other.Resources[part]
		if wrong := nothingOrphaned(tmpl); !slices.Contains(wrong, part+" belongs to no function") {
			t.Errorf("%s without a row: %q", part, wrong)
		}
		delete(tmpl.Resources, part)
	}
	for _, rule := range templateRules {
		for _, wrong := range rule.Check(tmpl) {
			t.Errorf("%s: %s", rule.Name, wrong)
		}
	}
}

// element is the place in a list that a path means: a number, or the first one that
// contains what stands between two asterisks.
func element(t *testing.T, list []any, name string) int {
	t.Helper()
	if part, ok := strings.CutPrefix(name, "*"); ok {
		part = strings.TrimSuffix(part, "*")
		if i := slices.IndexFunc(list, func(v any) bool { return strings.Contains(text(v), part) }); i >= 0 {
			return i
		}
		t.Fatalf("no element contains %s", part)
	}
	i, err := strconv.Atoi(name)
	if err != nil || i >= len(list) {
		t.Fatalf("no element %s", name)
	}
	return i
}

// mutate puts value at path, or removes what is there.
// mutated is the template with a mutation. Only the entry that it changes is decoded again:
// no rule writes into a template, and all of it three hundred times takes long.
func (tmpl Template) mutated(t *testing.T, original map[string]map[string]json.RawMessage, m mutation) Template {
	t.Helper()
	path := strings.Split(m.path, "/")
	section, entry := path[0], path[1]
	changed := map[string]any{}
	if raw := original[section][entry]; raw != nil {
		var old any
		if err := json.Unmarshal(raw, &old); err != nil {
			t.Fatal(err)
		}
		changed[entry] = old
	}
	var value any
	if err := json.Unmarshal([]byte(m.value), &value); err != nil {
		t.Fatal(err)
	}
	tree := map[string]any{section: changed}
	mutate(t, tree, path, value)
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	switch section {
	case "Parameters":
		tmpl.Parameters = without(tmpl.Parameters, entry)
	case "Mappings":
		tmpl.Mappings.Consumers = nil
	case "Rules":
		tmpl.Rules = without(tmpl.Rules, entry)
	case "Conditions":
		tmpl.Conditions = without(tmpl.Conditions, entry)
	case "Resources":
		tmpl.Resources = without(tmpl.Resources, entry)
	case "Outputs":
		tmpl.Outputs = without(tmpl.Outputs, entry)
	default:
		t.Fatalf("no rule reads %s", section)
	}
	if err := json.Unmarshal(b, &tmpl); err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func without[V any](all map[string]V, entry string) map[string]V {
	all = maps.Clone(all)
	delete(all, entry)
	return all
}

func mutate(t *testing.T, tree any, path []string, value any) {
	t.Helper()
	last := len(path) - 1
	parent := tree
	for _, name := range path[:last] {
		switch p := parent.(type) {
		case map[string]any:
			parent = p[name]
		case []any:
			parent = p[element(t, p, name)]
		}
		if parent == nil {
			t.Fatalf("nothing at %s of %v", name, path)
		}
	}
	switch p := parent.(type) {
	case map[string]any:
		if value == nil {
			if _, ok := p[path[last]]; !ok {
				t.Fatalf("nothing to remove at %v", path)
			}
			delete(p, path[last])
			return
		}
		p[path[last]] = value
	case []any:
		if value == nil {
			value = map[string]any{"Ref": "AWS::NoValue"} // a place in a list is emptied
		}
		p[element(t, p, path[last])] = value
	default:
		t.Fatalf("%v leads into %T", path, parent)
	}
}

func TestDetailTypes(t *testing.T) {
	var tmpl Template
	if err := json.Unmarshal([]byte(`{
		"Mappings": {"Consumers": {"A": {}, "B": {}}},
		"Resources": {
			"AChanges": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"detail-type": ["AChangeEvent"]}}},
			"AEvents": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"detail-type": ["B__e", "A__e"]}}},
			"BEvents": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"detail-type": ["B__e"]}}},
			"Schedule": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 day)"}}
		}}`), &tmpl); err != nil {
		t.Fatal(err)
	}
	if got, want := text(detailTypes(tmpl)), `{"A":["AChangeEvent","A__e","B__e"],"B":["B__e"]}`; got != want {
		t.Errorf("detailTypes = %s, want %s", got, want)
	}
}

// Whoever deletes the stack is told of everything that stays.
func TestUndeploySaysWhatStays(t *testing.T) {
	tmpl := load(t)
	words := map[string]string{"GuardTable": "the guard table", "FailureQueue": "the failure queue", "DeliveryQueue": "the delivery queue", "FailureBucket": "the failure bucket", "FailureBucketPolicy": "the failure bucket", "AuditLog": "the audit log"}
	var texts []string
	for file, mark := range map[string]string{"Makefile": "\nundeploy:", "docs/deploy.md": "\n## Remove it\n"} {
		b, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		_, said, _ := strings.Cut(string(b), mark)
		said, _, _ = strings.Cut(said, "Nothing reads") // behind it are consequences
		texts = append(texts, strings.ToLower(said))
	}
	for id, r := range tmpl.Resources {
		want := words[id]
		if strings.HasSuffix(id, "Buffer") {
			want = "the buffers"
		}
		for _, said := range texts {
			if r.DeletionPolicy == "Retain" && (want == "" || !strings.Contains(said, want)) {
				t.Errorf("%s stays, and nobody says so in: %s", id, said)
			}
		}
	}
}

// A resource that gets another logical id is another resource for CloudFormation.
func TestLogicalIDsStay(t *testing.T) {
	tmpl := load(t)
	file := filepath.Join(root, "functions", "testdata", "logical-ids.txt")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(strings.TrimSpace(string(b)), "\n")
	var now []string
	for id, r := range tmpl.Resources {
		now = append(now, r.Type+" "+id)
	}
	for _, line := range known {
		if !slices.Contains(now, line) {
			t.Errorf("%s is gone: on a stack that runs it would be deleted, or replaced if it was renamed, and the messages in it "+
				"lost. Keep its type and logical id; take it out of %s only if that is meant", line, file)
		}
	}
	for _, line := range now {
		if !slices.Contains(known, line) {
			t.Errorf("%s is new: add it to %s, so that it stays", line, file)
		}
	}
	if !slices.IsSorted(known) {
		t.Errorf("%s is not sorted", file)
	}
}

const linesOfAConsumer = 30 // at most

// A consumer is a function, a row and a place in some lists.
func TestConsumersAreShort(t *testing.T) {
	tmpl := load(t)
	b, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, consumer := range keys(tmpl.Mappings.Consumers) {
		n := linesOf(string(b), consumer)
		t.Logf("%s: %d lines", consumer, n)
		if n < 2 || n > linesOfAConsumer {
			t.Errorf("%s has %d lines of template.yaml, at most %d", consumer, n, linesOfAConsumer)
		}
	}
}

// linesOf counts the lines that name a consumer or one of its parts, or lie in its
// function or row: below a key of its name, deeper than that key.
func linesOf(template, consumer string) (n int) {
	names := regexp.MustCompile(`\b` + consumer + `(Role|Logs|Buffer|Events|Changes)?\b`)
	key := regexp.MustCompile(`^ *` + consumer + `:`)
	depth := -1
	for line := range strings.Lines(template) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if indent <= depth {
			depth = -1
		}
		if key.MatchString(line) {
			depth = indent
		}
		if depth >= 0 || names.MatchString(line) {
			n++
		}
	}
	return n
}

func TestLinesOf(t *testing.T) {
	const template = `
Mappings:
  Consumers:
    A:
      {Name: a}
    AB: {Name: ab}
  Loops: {All: [A, AB]}
Resources:
  A:
    Type: F

    Role: !GetAtt ARole.Arn
  AB:
    Type: F
  Policy:
    - ${X}-AEvents-*
    - !Ref ABBuffer
`
	if a, ab := linesOf(template, "A"), linesOf(template, "AB"); a != 7 || ab != 5 {
		t.Errorf("A has %d lines, AB %d; want 7 and 5", a, ab)
	}
}

// sam build must never take a binary from its cache: with a makefile build it does
// not see that a package below shared/ changed.
func TestNothingIsBuiltFromACache(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "samconfig.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if wrong := cached(string(b)); wrong != "" {
		t.Error(wrong)
	}
	for _, mutated := range []string{
		strings.Replace(string(b), "build_in_source = true", "build_in_source = true\ncached = true", 1),
		strings.Replace(string(b), "[local.build.parameters]\nbuild_in_source = true", "[local.build.parameters]", 1),
	} {
		if cached(mutated) == "" {
			t.Errorf("accepted:\n%s", mutated)
		}
	}
}

// The SAM CLI expands loops only for commands that samconfig.toml tells it to, and
// CloudFormation only with leave.
func TestSAMExpandsTheLoops(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "samconfig.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, environment := range []string{"default", "local"} {
		for _, command := range []string{"validate", "build", "package", "deploy", "sync", "local_invoke", "local_start_api", "local_start_lambda"} {
			_, section, found := strings.Cut(string(b), "\n["+environment+"."+command+".parameters]\n")
			section, _, _ = strings.Cut(section, "\n[")
			if !found || !strings.Contains("\n"+section, "\nlanguage_extensions = true") {
				t.Errorf("sam %s of environment %s would see Fn::ForEach instead of resources", command, environment)
			}
			if command == "deploy" && !strings.Contains(section, `"CAPABILITY_AUTO_EXPAND"`) {
				t.Errorf("CloudFormation would refuse to expand the loops of environment %s", environment)
			}
		}
	}
}

var buildSection = regexp.MustCompile(`(?ms)^\[(\w+)\.build\.parameters\]\n(.*?)(?:^\[|\z)`)

func cached(config string) string {
	sections := buildSection.FindAllStringSubmatch(config, -1)
	if len(sections) != 2 {
		return "samconfig.toml needs the build parameters of default and local"
	}
	for _, s := range sections {
		if !strings.Contains(s[2], "build_in_source = true") {
			return s[1] + " copies the whole tree for every function"
		}
		if regexp.MustCompile(`(?m)^cached\s*=\s*true`).MatchString(s[2]) {
			return s[1] + " builds from a cache"
		}
	}
	return ""
}

// Every function of the template has its folder, and every folder its function.
func TestFunctionsHaveFolders(t *testing.T) {
	tmpl := load(t)
	var want []string
	for id, r := range tmpl.Resources {
		if r.Type == "AWS::Lambda::Function" {
			want = append(want, consumerName(id))
		}
	}
	slices.Sort(want)
	entries, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" && e.Name() != "internal" {
			got = append(got, e.Name())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("functions/ holds %v, template.yaml %v", got, want)
	}
}
