package template_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the rules of a company ask for: each of it from a parameter that is empty by default,
// and then nothing of it is in the stack.
const (
	withKey  = `{"Fn::If":["HasKmsKey",{"Ref":"KmsKey"},{"Ref":"AWS::NoValue"}]}`
	sseOfSQS = `{"Fn::If":["HasKmsKey",{"Ref":"AWS::NoValue"},true]}`
	vpc      = `{"Fn::If":["InVpc",{"SecurityGroupIds":{"Fn::Split":[",",{"Ref":"SecurityGroupIds"}]},"SubnetIds":{"Fn::Split":[",",{"Ref":"SubnetIds"}]}},{"Ref":"AWS::NoValue"}]}`
	boundary = `{"Fn::If":["HasBoundary",{"Ref":"PermissionsBoundary"},{"Ref":"AWS::NoValue"}]}`
	interfac = `["ec2:CreateNetworkInterface","ec2:DescribeNetworkInterfaces","ec2:DescribeSubnets","ec2:DeleteNetworkInterface","ec2:AssignPrivateIpAddresses","ec2:UnassignPrivateIpAddresses"]`
)

// conditions that hold only where somebody set a parameter.
var companyConditions = map[string]string{
	"InVpc": "SubnetIds", "HasBoundary": "PermissionsBoundary", "HasKmsKey": "KmsKey", "HasSecretsKey": "SecretsKey",
	"HasTableMaxReads": "TableMaxReads", "HasTableMaxWrites": "TableMaxWrites",
}

// via is what a key may be used for: through these services only.
func via(services ...string) string {
	var all []string
	for _, s := range services {
		all = append(all, fmt.Sprintf(`{"Fn::Sub":"%s.${AWS::Region}.amazonaws.com"}`, s))
	}
	value := "[" + strings.Join(all, ",") + "]"
	if len(all) == 1 {
		value = all[0]
	}
	return `{"StringEquals":{"kms:ViaService":` + value + `}}`
}

// ifSet is an inline policy of a role that is there only where a condition holds.
func ifSet(condition, name string, statements ...string) string {
	return fmt.Sprintf(`{"Fn::If":[%q,{"PolicyDocument":{"Statement":[%s],"Version":"2012-10-17"},"PolicyName":%q},{"Ref":"AWS::NoValue"}]}`, condition, strings.Join(statements, ","), name)
}

var (
	network = ifSet("InVpc", "network",
		`{"Action":`+interfac+`,"Effect":"Allow","Resource":"*","Sid":"Interfaces"}`,
		`{"Action":"ec2:*","Condition":{"ArnLike":{"lambda:SourceFunctionArn":{"Fn::Sub":"arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*"}}},"Effect":"Deny","Resource":"*","Sid":"NotTheCode"}`)
	ofKey      = `{"Action":["kms:Decrypt","kms:GenerateDataKey"],"Condition":%s,"Effect":"Allow","Resource":{"Ref":"KmsKey"},"Sid":"Key"}`
	key        = ifSet("HasKmsKey", "key", fmt.Sprintf(ofKey, via("dynamodb", "sqs", "s3", "lambda")))
	secretsKey = ifSet("HasSecretsKey", "secrets-key", `{"Action":"kms:Decrypt","Condition":`+via("secretsmanager")+`,"Effect":"Allow","Resource":{"Ref":"SecretsKey"},"Sid":"SecretsKey"}`)
)

// companiesSet: VPC, boundary and keys reach every resource that can have them, and no role
// gets a right for them where they are not set.
func companiesSet(t Template) (wrong []string) {
	for condition, parameter := range companyConditions {
		if text(t.Conditions[condition]) != fmt.Sprintf(`{"Fn::Not":[{"Fn::Equals":[{"Ref":%q},""]}]}`, parameter) {
			wrong = append(wrong, condition+" does not hold where "+parameter+" is set, and only there")
		}
		if p := t.Parameters[parameter]; at(p, "Default") != "" || !strings.HasSuffix(fmt.Sprint(at(p, "AllowedPattern")), ")?") {
			wrong = append(wrong, parameter+" is not empty by default, or takes any text")
		}
	}
	for id, r := range t.Resources {
		p := r.Properties
		switch r.Type {
		case "AWS::Lambda::Function":
			if text(p["VpcConfig"]) != vpc || text(p["KmsKeyArn"]) != withKey {
				wrong = append(wrong, id+" is not in the subnets and security groups, or its variables are not encrypted with KmsKey")
			}
		case "AWS::IAM::Role":
			if text(p["PermissionsBoundary"]) != boundary {
				wrong = append(wrong, id+" has no boundary")
			}
			want := []string{network, key}
			if id != "RedriveRole" { // it reads no secret
				want = append(want, secretsKey)
			}
			policies, _ := p["Policies"].([]any)
			var got []string
			for _, policy := range policies[min(1, len(policies)):] {
				got = append(got, text(policy))
			}
			if !slices.Equal(got, want) {
				wrong = append(wrong, fmt.Sprintf("%s has besides its own policy %s, must have %s", id, got, want))
			}
		case "AWS::Logs::LogGroup":
			if text(p["KmsKeyId"]) != withKey {
				wrong = append(wrong, id+" is not encrypted with KmsKey")
			}
		case "AWS::Events::Archive":
			if text(p["KmsKeyIdentifier"]) != withKey {
				wrong = append(wrong, id+" is not encrypted with KmsKey")
			}
		case "AWS::SQS::Queue":
			if text(p["KmsMasterKeyId"]) != withKey {
				wrong = append(wrong, id+" is not encrypted with KmsKey")
			}
			// Consumers' buffers give up to the failure queue; SQS moves nothing into another.
			if may := text(p["RedriveAllowPolicy"]); (may == `{"redrivePermission":"denyAll"}`) != (id != "FailureQueue") {
				wrong = append(wrong, id+" may be the dead-letter queue of others: "+may)
			}
		}
	}
	policy := t.Resources["KeyPolicy"]
	if policy.Condition != "HasKmsKey" || text(at(policy.Properties, "PolicyDocument", "Statement")) != "["+fmt.Sprintf(ofKey, via("dynamodb", "sqs", "s3"))+"]" ||
		ref(at(t.Outputs, "KeyPolicyArn", "Value")) != "KeyPolicy" {
		wrong = append(wrong, "KeyPolicy lets operators do other than read and write with the key, or is not in the outputs")
	}
	table := t.Resources["GuardTable"].Properties
	if text(table["OnDemandThroughput"]) != `{"Fn::If":["HasTableMax",{"MaxReadRequestUnits":{"Fn::If":["HasTableMaxReads",{"Ref":"TableMaxReads"},{"Ref":"AWS::NoValue"}]},"MaxWriteRequestUnits":{"Fn::If":["HasTableMaxWrites",{"Ref":"TableMaxWrites"},{"Ref":"AWS::NoValue"}]}},{"Ref":"AWS::NoValue"}]}` ||
		text(table["ContributorInsightsSpecification"]) != `{"Fn::If":["HasTableInsights",{"Enabled":true,"Mode":"THROTTLED_KEYS"},{"Ref":"AWS::NoValue"}]}` {
		wrong = append(wrong, "GuardTable is not bound by TableMaxReads and TableMaxWrites, or TableInsights does nothing")
	}
	return wrong
}

// keysAreAsked: ForAllValues holds for a request without any leading key (IAM User Guide,
// "Set operators for multivalued context keys"), so each such condition asks for one, too.
func keysAreAsked(t Template) (wrong []string) {
	var look func(id string, v any)
	look = func(id string, v any) {
		switch v := v.(type) {
		case []any:
			for _, each := range v {
				look(id, each)
			}
		case map[string]any:
			for operator := range v {
				if strings.HasPrefix(operator, "ForAllValues:") && text(v["Null"]) != `{"dynamodb:LeadingKeys":"false"}` {
					wrong = append(wrong, id+" allows a request without leading keys")
				}
			}
			for _, each := range v {
				look(id, each)
			}
		}
	}
	for id, r := range t.Resources {
		look(id, r.Properties)
	}
	return wrong
}

// archivesKeep: where ArchiveDays says so, an archive of each bus that there is, of what the
// relays bring.
func archivesKeep(t Template) (wrong []string) {
	for _, bus := range []string{"Event", "Change"} {
		id := bus + "Archive"
		a := t.Resources[id]
		want := fmt.Sprintf(`{"EventPattern":{"source":[{"prefix":"aws.partner/salesforce.com/"}]},"KmsKeyIdentifier":%s,"RetentionDays":{"Ref":"ArchiveDays"},"SourceArn":{"Fn::If":["Create%sBus",{"Fn::GetAtt":["Trial%sBus","Arn"]},{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${%sBusName}"}]}}`, withKey, bus, bus, bus)
		if a.Type != "AWS::Events::Archive" || a.Condition != "Archives"+bus+"s" || text(a.Properties) != want {
			wrong = append(wrong, id+" does not keep the events of its bus for ArchiveDays")
		}
		if text(t.Conditions["Archives"+bus+"s"]) != fmt.Sprintf(`{"Fn::And":[{"Condition":"Archives"},{"Condition":"Has%ss"}]}`, bus) {
			wrong = append(wrong, id+" is there without its bus, or where ArchiveDays is 0")
		}
	}
	if text(t.Conditions["Archives"]) != `{"Fn::And":[{"Condition":"FullMonitoring"},{"Fn::Not":[{"Fn::Equals":[{"Ref":"ArchiveDays"},0]}]}]}` || number(at(t.Parameters["ArchiveDays"], "Default")) != 0 {
		wrong = append(wrong, "there are archives where ArchiveDays is 0, or where an emulator refuses them, or it is not 0 by default")
	}
	return wrong
}

var companyMutations = []mutation{
	{"companies-set-their-own", "Parameters/KmsKey/Default", `"alias/aws/sqs"`, "KmsKey is not empty by default"},
	{"companies-set-their-own", "Parameters/PermissionsBoundary/AllowedPattern", `".*"`, "PermissionsBoundary is not empty by default, or takes any text"},
	{"companies-set-their-own", "Conditions/InVpc", `{"Fn::Not":[{"Fn::Equals":[{"Ref":"KmsKey"},""]}]}`, "InVpc does not hold"},
	{"companies-set-their-own", "Resources/InventoryErp/Properties/VpcConfig", `null`, "InventoryErp is not in the subnets"},
	{"companies-set-their-own", "Resources/RelayMonitor/Properties/VpcConfig/Fn::If/1/SecurityGroupIds", `[]`, "RelayMonitor is not in the subnets"},
	{"companies-set-their-own", "Resources/Redrive/Properties/KmsKeyArn", `null`, "Redrive is not in the subnets and security groups, or its variables"},
	{"companies-set-their-own", "Resources/InventoryErpRole/Properties/PermissionsBoundary", `null`, "InventoryErpRole has no boundary"},
	{"companies-set-their-own", "Resources/InventoryErpRole/Properties/Policies/1/Fn::If/0", `"HasKmsKey"`, "InventoryErpRole has besides"},
	{"companies-set-their-own", "Resources/InventoryErpRole/Properties/Policies/1/Fn::If/1/PolicyDocument/Statement/1", `null`, "InventoryErpRole has besides"},
	{"companies-set-their-own", "Resources/InventoryErpRole/Properties/Policies/2/Fn::If/1/PolicyDocument/Statement/0/Condition", `null`, "InventoryErpRole has besides"},
	{"companies-set-their-own", "Resources/InventoryErpRole/Properties/Policies/3/Fn::If/1/PolicyDocument/Statement/0/Condition/StringEquals/kms:ViaService", `"*"`, "InventoryErpRole has besides"},
	{"companies-set-their-own", "Resources/InventoryErpRole/Properties/Policies/3", `null`, "InventoryErpRole has besides"},
	{"companies-set-their-own", "Resources/RedriveRole/Properties/Policies/2/Fn::If/1/PolicyDocument/Statement/0/Resource", `"*"`, "RedriveRole has besides"},
	{"companies-set-their-own", "Resources/AuditLog/Properties/KmsKeyId", `null`, "AuditLog is not encrypted with KmsKey"},
	{"companies-set-their-own", "Resources/InventoryErpLogs/Properties/KmsKeyId", `null`, "InventoryErpLogs is not encrypted with KmsKey"},
	{"companies-set-their-own", "Resources/EventArchive/Properties/KmsKeyIdentifier", `null`, "EventArchive is not encrypted with KmsKey"},
	{"companies-set-their-own", "Resources/InventoryErpBuffer/Properties/KmsMasterKeyId", `null`, "InventoryErpBuffer is not encrypted with KmsKey"},
	{"companies-set-their-own", "Resources/DeliveryQueue/Properties/RedriveAllowPolicy", `null`, "DeliveryQueue may be the dead-letter queue"},
	{"companies-set-their-own", "Resources/InventoryErpBuffer/Properties/RedriveAllowPolicy/redrivePermission", `"allowAll"`, "InventoryErpBuffer may be the dead-letter queue"},
	{"companies-set-their-own", "Resources/FailureQueue/Properties/RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`, "FailureQueue may be the dead-letter queue"},
	{"companies-set-their-own", "Resources/KeyPolicy/Condition", `null`, "KeyPolicy lets operators"},
	{"companies-set-their-own", "Resources/KeyPolicy/Properties/PolicyDocument/Statement/0/Action", `"kms:*"`, "KeyPolicy lets operators"},
	{"companies-set-their-own", "Resources/GuardTable/Properties/OnDemandThroughput", `null`, "GuardTable is not bound"},
	{"companies-set-their-own", "Resources/GuardTable/Properties/ContributorInsightsSpecification/Fn::If/1/Mode", `null`, "TableInsights does nothing"},

	{"keys-are-asked", "Resources/InventoryErpRole/Properties/Policies/0/PolicyDocument/Statement/1/Condition/Null", `null`, "InventoryErpRole allows a request without leading keys"},
	{"keys-are-asked", "Resources/RelayMonitorRole/Properties/Policies/0/PolicyDocument/Statement/2/Condition/Null/dynamodb:LeadingKeys", `"true"`, "RelayMonitorRole allows"},
	{"keys-are-asked", "Resources/RelayPolicy/Properties/PolicyDocument/Statement/1/Condition/Null", `null`, "RelayPolicy allows"},

	{"archives-keep", "Resources/EventArchive/Condition", `"FullMonitoring"`, "EventArchive does not keep"},
	{"archives-keep", "Resources/ChangeArchive/Properties/SourceArn", `{"Fn::GetAtt":["TrialChangeBus","Arn"]}`, "ChangeArchive does not keep"},
	{"archives-keep", "Resources/ChangeArchive", `null`, "ChangeArchive does not keep"},
	{"archives-keep", "Conditions/ArchivesChanges/Fn::And/1/Condition", `"HasEvents"`, "ChangeArchive is there without its bus"},
	{"archives-keep", "Conditions/Archives/Fn::And/0/Condition", `"HasEvents"`, "where an emulator refuses them"},
	{"archives-keep", "Parameters/ArchiveDays/Default", `30`, "not 0 by default"},
}

// Trials may shorten the waits, and nobody else; the buses are two; a VPC is whole.
func TestRulesRefuseWhatBreaksTheGuard(t *testing.T) {
	rules := load(t).Rules
	for _, c := range []struct {
		rule       string
		parameters map[string]string
		taken      bool
	}{
		{"TimeScaleOnTrialsOnly", map[string]string{"TimeScale": "1", "CreateBus": "false", "Monitoring": "full"}, true},
		{"TimeScaleOnTrialsOnly", map[string]string{"TimeScale": ".5", "CreateBus": "false", "Monitoring": "full"}, false},
		{"TimeScaleOnTrialsOnly", map[string]string{"TimeScale": ".5", "CreateBus": "true", "Monitoring": "full"}, true},
		{"TimeScaleOnTrialsOnly", map[string]string{"TimeScale": ".0", "CreateBus": "false", "Monitoring": "core"}, true}, // the local stack
		{"TwoBuses", map[string]string{"EventBusName": "a", "ChangeBusName": "b"}, true},
		{"TwoBuses", map[string]string{"EventBusName": "a", "ChangeBusName": "a"}, false},
		{"TwoBuses", map[string]string{"EventBusName": "a", "ChangeBusName": ""}, true},
		{"TwoBuses", map[string]string{"EventBusName": "", "ChangeBusName": ""}, true}, // SomeBus refuses it
		{"WholeVpc", map[string]string{"SubnetIds": "", "SecurityGroupIds": ""}, true},
		{"WholeVpc", map[string]string{"SubnetIds": "subnet-1", "SecurityGroupIds": ""}, false},
		{"WholeVpc", map[string]string{"SubnetIds": "", "SecurityGroupIds": "sg-1"}, false},
		{"WholeVpc", map[string]string{"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, true},
	} {
		rule := rules[c.rule]
		assertions, _ := at(rule, "Assertions").([]any)
		taken := len(assertions) > 0
		if condition := at(rule, "RuleCondition"); condition == nil || asserted(t, condition, c.parameters) {
			for _, a := range assertions {
				taken = taken && asserted(t, at(a, "Assert"), c.parameters)
			}
		}
		if taken != c.taken {
			t.Errorf("%s with %v: taken: %t, want %t", c.rule, c.parameters, taken, c.taken)
		}
	}
}

// No parameter with an address takes plain http to a host that is not this machine.
func TestAddressesAreHTTPS(t *testing.T) {
	seen := 0
	for name, p := range load(t).Parameters {
		if !strings.HasSuffix(name, "Url") && !strings.HasSuffix(name, "Base") {
			continue
		}
		seen++
		pattern, _ := at(p, "AllowedPattern").(string)
		for _, address := range []string{"http://example.com", "http://10.0.0.1/x", "http://127.0.0.1.example.com", "HTTP://example.com", "ftp://127.0.0.1"} {
			if pattern == "" || regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(address) {
				t.Errorf("%s takes %s", name, address)
			}
		}
	}
	if seen != 4 {
		t.Errorf("%d parameters are addresses", seen)
	}
}
