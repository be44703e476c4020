package template_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// rulesAreLetIn: each rule may invoke its function, write to its consumer's buffer and
// to the delivery queue, and nobody else may.
//
// Queue policies name rules by patterns of their ARNs. The patterns are tried with made-up
// ARNs: of the template's own rules, and of rules that look like them.
func rulesAreLetIn(t Template) (wrong []string) {
	allowed, want := map[string][]string{}, map[string][]string{} // function or queue -> rules
	for id, p := range t.of("AWS::Lambda::Permission") {
		rule, _, _ := strings.Cut(getAtt(p.Properties["SourceArn"]), ".")
		function, _, _ := strings.Cut(getAtt(p.Properties["FunctionName"]), ".")
		function += ref(p.Properties["FunctionName"]) // as SAM writes it for a schedule
		if p.Properties["Principal"] != "events.amazonaws.com" || p.Properties["Action"] != "lambda:InvokeFunction" || rule == "" {
			wrong = append(wrong, id+" lets in more than one rule")
			continue
		}
		if p.Condition != t.Resources[rule].Condition {
			wrong = append(wrong, id+" has another condition than its rule")
		}
		allowed[function] = append(allowed[function], rule)
	}
	for queue, statements := range t.queueStatements() {
		for _, s := range statements {
			if s["Effect"] != "Allow" {
				continue
			}
			patterns := flatten(at(s, "Condition", "ArnLike", "aws:SourceArn"))
			if text(s["Principal"]) != `{"Service":"events.amazonaws.com"}` || s["Action"] != "sqs:SendMessage" || len(patterns) == 0 {
				wrong = append(wrong, queue+" lets in more than rules that send")
			}
			for _, p := range patterns {
				pattern, _ := at(p, "Fn::Sub").(string)
				for id := range t.eventRules() {
					if arnLike(ours.fill(pattern), ours.rule(t.busOf(id), id)) {
						allowed[queue] = append(allowed[queue], id)
					}
				}
				for who, arn := range t.strangers() {
					if arnLike(ours.fill(pattern), arn) || arnLike(noBus.fill(pattern), arn) {
						wrong = append(wrong, fmt.Sprintf("%s lets in %s: %s", queue, who, text(p)))
					}
				}
			}
		}
	}
	for id := range t.of("AWS::Events::Rule") {
		consumer, bus := t.ruleOf(id)
		if bus == "" { // a schedule, which no buffer has to do with
			function := t.owner(id)
			want[function] = append(want[function], id)
			continue
		}
		for _, target := range []string{consumer, consumer + "Buffer", "DeliveryQueue"} {
			want[target] = append(want[target], id)
		}
	}
	for _, target := range keys(want, allowed) {
		slices.Sort(want[target])
		slices.Sort(allowed[target])
		if !slices.Equal(want[target], allowed[target]) {
			wrong = append(wrong, fmt.Sprintf("%s lets in the rules %v, must be %v", target, allowed[target], want[target]))
		}
	}
	return wrong
}

// place is where a stack could be, by the names of the template's parameters.
type place map[string]string

var (
	ours = place{
		"AWS::Partition": "aws", "AWS::Region": "eu-west-2", "AWS::AccountId": "111122223333", "AWS::StackName": "sfrelay",
		"EventBusName": "aws.partner/salesforce.com/00D/events", "ChangeBusName": "aws.partner/salesforce.com/00D/changes",
		"Stage": "acceptance", "SalesforceOrgs": "00D5f000005KcCnEAK",
		"HeartbeatHours": "24",
	}
	noBus = ours.but("EventBusName", "").but("ChangeBusName", "")
)

func (p place) but(name, value string) place {
	other := maps.Clone(p)
	other[name] = value
	return other
}

// fill is a text of Fn::Sub with the names of the place. A name that no place has stays,
// so that a pattern with it matches nothing.
func (p place) fill(text string) string {
	for name, value := range p {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return text
}

// rule is the ARN that CloudFormation gives to a rule: its name is
// <stack>-<logical id>-<random>, and a rule on the default bus has no bus in its ARN
// (Service Authorization Reference, "Amazon EventBridge", resource types).
func (p place) rule(bus, id string) string {
	if bus != "" {
		bus = p[bus] + "/"
	}
	return p.fill("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/"+bus+"${AWS::StackName}-") + id + "-1A2B3C4D5E6F"
}

// strangers are rules that look like the template's, but are not let in anywhere. (A stack
// that is called like one of our rules, as sfrelay-InventoryErpEvents, no pattern can tell.)
func (t Template) strangers() map[string]string {
	found := map[string]string{}
	for id := range t.eventRules() {
		bus, consumer := t.busOf(id), strings.TrimSuffix(strings.TrimSuffix(id, "Events"), "Changes")
		for who, arn := range map[string]string{
			"a rule of stack sfrelay-test":            ours.but("AWS::StackName", "sfrelay-test").rule(bus, id),
			"a rule of stack sfrelay2":                ours.but("AWS::StackName", "sfrelay2").rule(bus, id),
			"a rule of stack my-sfrelay":              ours.but("AWS::StackName", "my-sfrelay").rule(bus, id),
			"a rule of another account":               ours.but("AWS::AccountId", "999999999999").rule(bus, id),
			"a rule of another region":                ours.but("AWS::Region", "us-east-1").rule(bus, id),
			"a rule of another bus":                   ours.but(bus, ours[bus]+"2").rule(bus, id),
			"a rule of the default bus":               ours.rule("", id),
			"a rule of a consumer with a longer name": ours.rule(bus, strings.Replace(id, consumer, consumer+"Plus", 1)),
			"a rule of a consumer that ends the same": ours.rule(bus, "Plus"+id),
			"a rule of another name":                  ours.rule(bus, id+"Again"),
		} {
			found[who+", like "+id] = arn
		}
	}
	return found
}

// busOf is the parameter that names the bus of a rule.
func (t Template) busOf(id string) string {
	_, bus := t.ruleOf(id)
	return bus + "BusName"
}

// arnLike is IAM's ArnLike: each of the six parts of an ARN is compared on its own; * is
// any run of characters, ? one of them (IAM User Guide, "ARN condition operators").
func arnLike(pattern, arn string) bool {
	const parts = 6
	patterns, values := strings.SplitN(pattern, ":", parts), strings.SplitN(arn, ":", parts)
	if len(patterns) != parts || len(values) != parts {
		return pattern == "*"
	}
	for i := range patterns {
		expression, ok := arnParts[patterns[i]]
		if !ok {
			text := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(patterns[i]))
			expression = regexp.MustCompile(`^` + text + `$`)
			arnParts[patterns[i]] = expression
		}
		if !expression.MatchString(values[i]) {
			return false
		}
	}
	return true
}

// arnParts are compiled once: the same few are compared with every principal.
var arnParts = map[string]*regexp.Regexp{}
