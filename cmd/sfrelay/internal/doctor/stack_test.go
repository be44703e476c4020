package doctor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/doctor"
	"sfrelay/cmd/sfrelay/internal/relaytest"
	"sfrelay/shared/deadletter"
)

// deployed is an account with one stack whose five consumers take the events of two buses. Its
// fields are what may be wrong with it.
type deployed struct {
	*testing.T
	refuse   string // a call that is not allowed
	skip     string // consumer without a rule
	policy   string // of its functions
	noQueue  bool   // its rules have no dead-letter queue
	ttl      string // attribute of the guard table
	backups  string
	deletion bool
	gone     bool   // the guard table
	state    string // of its functions
	line     string // of their logs
	secrets  map[string]string
	other    string // another stack with the same StripeSecret
}

var consumersOf = map[string][]string{
	"contact-notify": {"ContactChangeEvent"}, "customer-billing": {"AccountChangeEvent", "Cloud_Customer_Sync__e"}, "customer-erp": {"AccountChangeEvent", "Cloud_Customer_Sync__e"},
	"inventory-erp": {"Inventory_Update__e"}, "opportunity-billing": {"OpportunityChangeEvent", "Opportunity_Won__e"},
}

func newDeployed(t *testing.T) *deployed {
	return &deployed{T: t, ttl: "x", backups: "ENABLED", deletion: true, state: "Active", secrets: map[string]string{}, policy: "Allow"}
}

// stack is what doctor is told of it, with the buses of a world.
func (d *deployed) stack(w *relaytest.World, buses map[string]string) *doctor.Stack {
	server := httptest.NewServer(d)
	w.Cleanup(server.Close)
	var consumers []deadletter.Consumer
	for name := range consumersOf {
		consumers = append(consumers, deadletter.Consumer{Name: name, Function: "f-" + name, Buffer: server.URL + "/1/b-" + name})
	}
	slices.SortFunc(consumers, func(a, b deadletter.Consumer) int { return strings.Compare(a.Name, b.Name) })
	secret := func(name string) string { return "arn:aws:secretsmanager:eu-west-2:123456789012:secret:" + name }
	return &doctor.Stack{
		Name: "sfrelay", Config: aws.Config{Region: "eu-west-2", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1},
		Parameters: map[string]string{"EventBusName": buses["EventBusName"], "ChangeBusName": buses["ChangeBusName"], "StripeSecret": secret("stripe"), "ErpSecret": secret("erp"), "NotifySecret": ""},
		Outputs:    map[string]string{"GuardTable": "guard"}, Consumers: consumers, ByTarget: func(arn string) string { return account.ByTarget(consumers, arn) },
	}
}

func (d *deployed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct{ EventPattern, Event, Rule, SecretId string } //nolint:revive // AWS's names
	_ = json.Unmarshal(body, &in)
	name := r.Header.Get("X-Amz-Target")
	form, _ := url.ParseQuery(string(body))
	switch {
	case form.Get("Action") != "":
		name = form.Get("Action")
	case strings.HasSuffix(r.URL.Path, "/policy"):
		name = "GetPolicy"
	case strings.HasSuffix(r.URL.Path, "/configuration"):
		name = "GetFunctionConfiguration"
	}
	name = name[strings.LastIndex(name, ".")+1:]
	if name == d.refuse {
		w.WriteHeader(http.StatusBadRequest)
		if form.Get("Action") != "" {
			_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>")
		} else {
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"no"}`)
		}
		return
	}
	if name == "DescribeStacks" {
		member := "<member><StackName>sfrelay</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-22T07:00:00Z</CreationTime>%s</member>"
		same := "<Parameters><member><ParameterKey>StripeSecret</ParameterKey><ParameterValue>arn:aws:secretsmanager:eu-west-2:123456789012:secret:stripe</ParameterValue></member></Parameters>"
		all := fmt.Sprintf(member, same)
		if d.other != "" {
			all += strings.ReplaceAll(fmt.Sprintf(member, same), ">sfrelay<", ">"+d.other+"<")
		}
		_, _ = io.WriteString(w, "<DescribeStacksResponse><DescribeStacksResult><Stacks>"+all+"</Stacks></DescribeStacksResult></DescribeStacksResponse>")
		return
	}
	code, answer := d.answer(name, in.EventPattern, in.Event, in.Rule, in.SecretId)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (d *deployed) answer(name, pattern, event, rule, secret string) (int, any) {
	type m = map[string]any
	const ruleARN, lambdaARN = "arn:aws:events:eu-west-2:123456789012:rule/bus/", "arn:aws:lambda:eu-west-2:123456789012:function:f-"
	switch name {
	case "ListRules":
		var rules []any
		for consumer := range consumersOf {
			if consumer != d.skip {
				rules = append(rules, m{"Name": consumer, "Arn": ruleARN + consumer, "State": "ENABLED", "EventPattern": consumer})
			}
		}
		return 200, m{"Rules": rules}
	case "ListTargetsByRule":
		target := m{"Id": "consumer", "Arn": lambdaARN + rule}
		if !d.noQueue {
			target["DeadLetterConfig"] = m{"Arn": "arn:aws:sqs:eu-west-2:123456789012:delivery"}
		}
		return 200, m{"Targets": []any{target}}
	case "TestEventPattern":
		var e struct {
			DetailType string `json:"detail-type"`
		}
		_ = json.Unmarshal([]byte(event), &e)
		return 200, m{"Result": slices.Contains(consumersOf[pattern], e.DetailType)}
	case "GetPolicy":
		return 200, m{"Policy": `{"Statement":[{"Effect":"` + d.policy + `","Principal":{"Service":"events.amazonaws.com"},"Action":"lambda:InvokeFunction"}]}`}
	case "GetFunctionConfiguration":
		return 200, m{"FunctionName": "f", "State": d.state, "StateReason": "no room"}
	case "FilterLogEvents":
		return 200, m{"events": []any{m{"eventId": "1", "message": d.line}}}
	case "DescribeTable":
		if d.gone {
			return 400, m{"__type": "ResourceNotFoundException", "message": "no"}
		}
		return 200, m{"Table": m{"TableName": "guard", "TableStatus": "ACTIVE", "DeletionProtectionEnabled": d.deletion}}
	case "DescribeTimeToLive":
		return 200, m{"TimeToLiveDescription": m{"TimeToLiveStatus": "ENABLED", "AttributeName": d.ttl}}
	case "DescribeContinuousBackups":
		return 200, m{"ContinuousBackupsDescription": m{"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": m{"PointInTimeRecoveryStatus": d.backups}}}
	case "DescribeSecret":
		switch d.secrets[secret[strings.LastIndex(secret, ":")+1:]] {
		case "missing":
			return 400, m{"__type": "ResourceNotFoundException", "message": "no"}
		case "deleted":
			return 200, m{"ARN": secret, "DeletedDate": 1795000000}
		}
		return 200, m{"ARN": secret}
	}
	d.Errorf("%s is not known here", name)
	return 400, m{}
}

func TestTheStackBehindTheRelays(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*deployed, *doctor.Stack)
		want   []string
	}{
		"the good one":                       {func(*deployed, *doctor.Stack) {}, nil},
		"no rule for a consumer":             {func(d *deployed, _ *doctor.Stack) { d.skip = "customer-erp" }, []string{"no-way-to-consumer"}},
		"a consumer that is off has no rule": {func(d *deployed, s *doctor.Stack) { d.skip, s.Off = "contact-notify", []string{"contact-notify"} }, nil},
		"target without permission":          {func(d *deployed, _ *doctor.Stack) { d.policy = "Deny" }, []string{"target-refuses"}},
		"rule without dead-letter queue":     {func(d *deployed, _ *doctor.Stack) { d.noQueue = true }, []string{"rule-without-queue"}},
		"no time to live":                    {func(d *deployed, _ *doctor.Stack) { d.ttl = "y" }, []string{"guard-table-without-ttl"}},
		"no backups":                         {func(d *deployed, _ *doctor.Stack) { d.backups = "DISABLED" }, []string{"guard-table-without-backups"}},
		"no guard table":                     {func(d *deployed, _ *doctor.Stack) { d.gone = true }, []string{"guard-table-missing"}},
		"no deletion protection":             {func(d *deployed, _ *doctor.Stack) { d.deletion = false }, []string{"guard-table-unprotected"}},
		"function failed":                    {func(d *deployed, _ *doctor.Stack) { d.state = "Failed" }, []string{"function-failed"}},
		"function cannot start":              {func(d *deployed, _ *doctor.Stack) { d.line = `{"level":"ERROR","msg":"the function cannot start"}` }, []string{"function-errors"}},
		"a parked change is no error of it":  {func(d *deployed, _ *doctor.Stack) { d.line = `{"level":"WARN","verdict":"parked"}` }, nil},
		"secret missing":                     {func(d *deployed, _ *doctor.Stack) { d.secrets["erp"] = "missing" }, []string{"secret-missing"}},
		"secret about to be deleted":         {func(d *deployed, _ *doctor.Stack) { d.secrets["stripe"] = "deleted" }, []string{"secret-missing"}},
		"two stages with one secret":         {func(d *deployed, _ *doctor.Stack) { d.other = "sfrelay-test" }, []string{"secret-shared"}},
		"stack on another bus": {func(_ *deployed, s *doctor.Stack) {
			s.Parameters["ChangeBusName"] = "aws.partner/salesforce.com/00D000000000001EAA/0YL000000000001GAA"
		}, []string{"stack-on-another-bus"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := relaytest.New(t), newDeployed(t)
			s := d.stack(w, w.Good())
			c.breaks(d, s)
			found, v := look(w, s)
			if got := names(found); !slices.Equal(got, c.want) || len(v.Unseen) > 0 {
				t.Errorf("%q, want %q; not seen %q; %+v", got, c.want, v.Unseen, found)
			}
		})
	}
}

// What the AWS user may not see is no finding.
func TestAStackThatIsHalfSeen(t *testing.T) {
	for _, call := range []string{"ListRules", "ListTargetsByRule", "TestEventPattern", "GetPolicy", "GetFunctionConfiguration", "FilterLogEvents", "DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups", "DescribeSecret", "DescribeStacks"} {
		w, d := relaytest.New(t), newDeployed(t)
		s := d.stack(w, w.Good())
		d.refuse = call
		found, v := look(w, s)
		if len(found) > 0 || len(v.Unseen) == 0 {
			t.Errorf("%s refused: %+v, not seen %q", call, found, v.Unseen)
		}
	}
}
