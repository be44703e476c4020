package bus

import "testing"

const rule1 = "arn:aws:events:eu-west-2:123456789012:rule/aws.partner/salesforce.com/00D/0YL/stack-Rule1"

// The statements are written as AWS writes them (Lambda Developer Guide, "Using
// resource-based policies"; SQS Developer Guide, "Basic examples").
func TestPermits(t *testing.T) {
	statement := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},` +
			`"Action":"lambda:InvokeFunction","Resource":"*"` + rest + `}]}`
	}
	deny := `{"Sid":"TlsOnly","Effect":"Deny","Principal":"*","Action":"sqs:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	for _, c := range []struct {
		name, policy, action string
		want                 bool
	}{
		{"no policy", ``, "lambda:InvokeFunction", false},
		{"no condition", statement(``), "lambda:InvokeFunction", true},
		{"this rule", statement(`,"Condition":{"ArnLike":{"AWS:SourceArn":"` + rule1 + `"}}`), "lambda:InvokeFunction", true},
		{"one of two", statement(`,"Condition":{"ArnEquals":{"aws:SourceArn":["arn:x","` + rule1 + `"]}}`), "lambda:InvokeFunction", true},
		{"a pattern", statement(`,"Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:events:*:123456789012:rule/*"}}`), "lambda:InvokeFunction", true},
		{"another rule", statement(`,"Condition":{"ArnLike":{"AWS:SourceArn":"` + rule1 + `2"}}`), "lambda:InvokeFunction", false},
		{"this account", statement(`,"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}`), "lambda:InvokeFunction", true},
		{"another account", statement(`,"Condition":{"StringEquals":{"aws:SourceAccount":"999999999999"}}`), "lambda:InvokeFunction", false},
		{"both conditions have to hold", statement(`,"Condition":{"ArnLike":{"AWS:SourceArn":"` + rule1 + `"},"StringEquals":{"aws:SourceAccount":"9"}}`), "lambda:InvokeFunction", false},
		{"an unknown condition does not hold", statement(`,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), "lambda:InvokeFunction", false},
		{"an unknown operator does not hold", statement(`,"Condition":{"ArnNotLike":{"AWS:SourceArn":"arn:x"}}`), "lambda:InvokeFunction", false},
		{"another action", statement(``), "sqs:SendMessage", false},
		{"another service", `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage"}]}`, "sqs:SendMessage", false},
		{"everybody", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:*"}}`, "sqs:SendMessage", true},
		{"every AWS principal", `{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["sqs:Send*"]}}`, "sqs:SendMessage", true},
		{"TLS only does not concern EventBridge", `{"Statement":[` + deny + `,{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com"]},"Action":"sqs:SendMessage"}]}`, "sqs:SendMessage", true},
		{"a Deny for all but services does not concern EventBridge", `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Condition":{"BoolIfExists":{"aws:PrincipalIsAWSService":"false"},"ArnNotLike":{"aws:PrincipalArn":["arn:x"]}}},{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com"]},"Action":"sqs:SendMessage"}]}`, "sqs:SendMessage", true},
		{"an explicit Deny wins", `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*"},{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage"}]}`, "sqs:SendMessage", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := permits(c.policy, c.action, rule1)
			if err != nil || got != c.want {
				t.Errorf("permits = %v, %v; want %v", got, err, c.want)
			}
		})
	}
	if _, err := permits(`{"Statement":`, "sqs:SendMessage", rule1); err == nil {
		t.Error("a broken policy is no error")
	}
}
