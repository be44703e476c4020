package template_test

import (
	"fmt"
	"slices"
	"strings"
)

// queuesTakeFromTheirOwn: who may send into a queue may bill. Each buffer takes messages
// from its rules and its consumer's role, the failure queue from the consumers' roles, the
// delivery queue from the rules of the stack, and each of them from the operators.
//
// The policies are evaluated for callers that their IAM policies let do everything.
func queuesTakeFromTheirOwn(t Template) (wrong []string) {
	statements := t.queueStatements()
	for queue := range t.of("AWS::SQS::Queue") {
		for _, operators := range [][]string{nil, {
			"arn:aws:iam::111122223333:user/on-call", "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Ops_*",
		}} {
			for who, c := range t.senders() {
				want := slices.Contains(t.mayPut(queue), who) || c.operator && operators != nil
				if got := t.permits(statements[queue], queue, operators, c); got != want {
					wrong = append(wrong, fmt.Sprintf("%s with %d operators: %s may send: %t, must be %t", queue, len(operators), who, got, want))
				}
			}
		}
		// Nobody is kept from reading: an operator needs no parameter to see what failed.
		if c := (sender{principal: "arn:aws:iam::111122223333:role/Admin", action: "sqs:ReceiveMessage"}); !t.permits(statements[queue], queue, nil, c) {
			wrong = append(wrong, queue+" cannot be read by who has the IAM right")
		}
	}
	slices.Sort(wrong)
	return wrong
}

// mayPut are the senders of the stack that a queue must take messages from.
func (t Template) mayPut(queue string) (who []string) {
	for consumer := range t.Mappings.Consumers {
		if queue == "FailureQueue" || queue == consumer+"Buffer" {
			who = append(who, consumer+"Role")
		}
	}
	for id := range t.eventRules() {
		if consumer, _ := t.ruleOf(id); queue == "DeliveryQueue" || queue == consumer+"Buffer" {
			who = append(who, id)
		}
	}
	return who
}

// sender is the caller of one request to a queue, as AWS describes him in the context of
// the request (IAM User Guide, "AWS global condition context keys").
type sender struct {
	principal string // aws:PrincipalArn: of a session its role, of a service absent
	service   string // the principal of an AWS service
	source    string // aws:SourceArn, of a service only
	anonymous bool   // neither aws:PrincipalArn nor aws:PrincipalIsAWSService is there
	action    string // empty: sqs:SendMessage
	operator  bool
}

func (t Template) senders() map[string]sender {
	const events = "events.amazonaws.com"
	all := map[string]sender{
		"a stranger's role":                {principal: "arn:aws:iam::111122223333:role/Admin"},
		"a role with a consumer's name":    {principal: "arn:aws:iam::111122223333:role/other/" + roleName("InventoryErpRole")},
		"a role that begins the same":      {principal: roleARN("InventoryErpRole") + "2"},
		"a role of another account":        {principal: strings.Replace(roleARN("InventoryErpRole"), "111122223333", "999999999999", 1)},
		"a stranger":                       {principal: "arn:aws:iam::111122223333:user/somebody"},
		"the root user":                    {principal: "arn:aws:iam::111122223333:root"},
		"an anonymous caller":              {anonymous: true},
		"an operator":                      {principal: "arn:aws:iam::111122223333:user/on-call", operator: true},
		"an operator by a pattern":         {principal: "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-2/AWSReservedSSO_Ops_0123", operator: true},
		"somebody like an operator":        {principal: "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-2/AWSReservedSSO_Dev_0123"},
		"a topic":                          {service: "sns.amazonaws.com", source: "arn:aws:sns:eu-west-2:111122223333:topic"},
		"a service that names our rule":    {service: "sns.amazonaws.com", source: ours.rule("EventBusName", "InventoryErpEvents")},
		"EventBridge for nobody":           {service: events},
		"a user who says he is a rule":     {principal: "arn:aws:iam::111122223333:user/somebody", source: ours.rule("EventBusName", "InventoryErpEvents")},
		"a role of the stack, not ours":    {principal: roleARN("DashboardRole")},
		"a rule's name as that of a role ": {principal: ours.rule("EventBusName", "InventoryErpEvents")},
	}
	for consumer := range t.Mappings.Consumers {
		all[consumer+"Role"] = sender{principal: roleARN(consumer + "Role")}
	}
	for id := range t.eventRules() {
		all[id] = sender{service: events, source: ours.rule(t.busOf(id), id)}
	}
	for who, arn := range t.strangers() {
		all[who] = sender{service: events, source: arn}
	}
	return all
}

func roleName(id string) string { return "sfrelay-" + id + "-1A2B3C4D5E6F" }

func roleARN(id string) string { return "arn:aws:iam::111122223333:role/" + roleName(id) }

// permits evaluates a queue's policy as IAM does: a Deny wins; a caller of the account
// needs no Allow of the queue beside that of his own policies, a service does (IAM User
// Guide, "Policy evaluation logic").
func (t Template) permits(statements []map[string]any, queue string, operators []string, c sender) bool {
	action := "sqs:SendMessage"
	if c.action != "" {
		action = c.action
	}
	allowed := strings.HasPrefix(c.principal, "arn:aws:iam::111122223333:")
	for _, s := range statements {
		if getAtt(s["Resource"]) != queue+".Arn" || !slices.Contains([]any{"*", c.service}, principalOf(s)) ||
			!slices.ContainsFunc(flatten(s["Action"]), func(a any) bool { return a == action || a == "sqs:*" }) || !t.holds(s["Condition"], operators, c) {
			continue
		}
		if s["Effect"] == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

// principalOf is * or the service that a statement names.
func principalOf(statement map[string]any) any {
	if service := at(statement["Principal"], "Service"); service != nil {
		return service
	}
	return statement["Principal"]
}

// holds: all operators and keys have to. An operator that says "not" holds where the key
// is absent, and ...IfExists does too; others do not (IAM User Guide, "Condition
// operators").
func (t Template) holds(condition any, operators []string, c sender) bool {
	present := map[string]string{"aws:SecureTransport": "true"}
	if c.principal != "" {
		present["aws:PrincipalArn"] = c.principal
	}
	if c.source != "" {
		present["aws:SourceArn"] = c.source
	}
	if !c.anonymous {
		present["aws:PrincipalIsAWSService"] = fmt.Sprint(c.service != "")
	}
	all, _ := condition.(map[string]any)
	for operator, tests := range all {
		if branches, ok := at(tests, "Fn::If").([]any); ok {
			if tests = branches[1]; operators == nil {
				tests = branches[2]
			}
			if ref(tests) == "AWS::NoValue" {
				continue
			}
		}
		byKey, _ := tests.(map[string]any)
		for key, v := range byKey {
			value, exists := present[key]
			if !operatorHolds(operator, value, exists, t.values(v, operators)) {
				return false
			}
		}
	}
	return true
}

func operatorHolds(operator, value string, exists bool, wanted []string) bool {
	plain, optional := strings.CutSuffix(operator, "IfExists")
	like := slices.ContainsFunc(wanted, func(w string) bool { return arnLike(w, value) })
	equal := slices.Contains(wanted, value)
	switch {
	case !exists:
		return optional || strings.Contains(plain, "Not")
	case plain == "Bool", plain == "StringEquals":
		return equal
	case plain == "ArnLike", plain == "ArnEquals": // the two are the same
		return like
	case plain == "ArnNotLike", plain == "ArnNotEquals":
		return !like
	}
	panic("this operator is not known here: " + operator)
}

// values are those of a condition, as texts.
func (t Template) values(v any, operators []string) (all []string) {
	for _, each := range flatten(v) {
		role, isRole := strings.CutSuffix(getAtt(each), ".Arn")
		pattern, _ := at(each, "Fn::Sub").(string)
		plain, _ := each.(string)
		switch {
		case ref(each) == "Operators":
			all = append(all, operators...)
		case isRole:
			all = append(all, roleARN(role))
		default:
			all = append(all, ours.fill(pattern+plain))
		}
	}
	return all
}
