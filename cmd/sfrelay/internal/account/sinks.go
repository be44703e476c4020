package account

import (
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Sink is where the consumers of a stack write to.
type Sink struct {
	Name string
	At   string // host
	Key  string // name of the secret with its key; empty where the stack names none
}

// sinks are those that the parameters of the CloudFormation stack name. No secret is read.
func sinks(s types.Stack) []Sink {
	parameters := parametersOf(s)
	base := parameters["StripeApiBase"]
	if base == "" {
		base = "https://api.stripe.com" // the template's own default
	}
	all := []Sink{
		{"Stripe", host(base), secretName(parameters["StripeSecret"])},
		{"ERP", host(parameters["ErpUrl"]), secretName(parameters["ErpSecret"])},
	}
	if parameters["NotifyUrl"] != "" {
		all = append(all, Sink{"webhook", host(parameters["NotifyUrl"]), secretName(parameters["NotifySecret"])})
	}
	return all
}

// off are the consumers that template.yaml switches off where a parameter is empty.
func off(s types.Stack) []string {
	if url, named := parametersOf(s)["NotifyUrl"]; named && url == "" {
		return []string{"contact-notify"}
	}
	return nil
}

func parametersOf(s types.Stack) map[string]string {
	byName := map[string]string{}
	for _, p := range s.Parameters {
		byName[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	return byName
}

func orgs(s types.Stack) []string {
	return strings.FieldsFunc(parametersOf(s)["SalesforceOrgs"], func(r rune) bool { return r == ',' || r == ' ' })
}

// serves says for which stage and orgs a stack is. One of an earlier version has no stage.
func serves(s types.Stack) (says string) {
	if stage := parametersOf(s)["Stage"]; stage != "" {
		says = ", stage " + stage
	}
	if all := orgs(s); len(all) > 0 {
		says += ", org " + strings.Join(all, " and ")
	}
	return says
}

// host leaves out what else a URL may hold: a path, or a password.
func host(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return "an unknown address"
}

// secretName is the name in the ARN of a secret: arn:aws:secretsmanager:<region>:<account>:secret:<name>.
func secretName(arn string) string {
	if parts := strings.SplitN(arn, ":", 7); len(parts) == 7 {
		return parts[6]
	}
	return ""
}
