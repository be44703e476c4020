package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/functions"
	"sfrelay/shared/deadletter"
)

// Stack is the CloudFormation stack behind the relays.
type Stack struct {
	Config     aws.Config
	Name       string
	Parameters map[string]string
	Outputs    map[string]string
	Consumers  []deadletter.Consumer
	Off        []string                // consumers whose rules are switched off on purpose
	ByTarget   func(arn string) string // name of the consumer behind a target
}

// stackView is what is seen of it.
type stackView struct {
	*Stack
	table     table
	functions []function
	ways      []way
	secrets   []secret
	shared    []secret // Where is the stack that has it too
}

type table struct {
	seen, protected, ttl, restorable bool
	status                           string
}

type function struct {
	name, state, reason string
	errors              int // lines of the last hour that say one
}

// way is that of one kind of event from the bus on.
type way struct {
	bus, event, source string
	hops               []bus.Hop
	none               bool // no rule at all
}

type secret struct{ parameter, arn, where string }

// maxPages bounds every list that is asked for page by page.
const maxPages = 20

func (v *View) lookAtStack(ctx context.Context, s *Stack) {
	v.stack = &stackView{Stack: s}
	v.lookAtWays(ctx)
	v.lookAtTable(ctx)
	v.lookAtFunctions(ctx)
	v.lookAtSecrets(ctx)
	v.lookAtOthers(ctx)
}

// lookAtWays follows an event of each kind, as the relay sends it, from its bus to the
// targets, and sends none.
func (v *View) lookAtWays(ctx context.Context) {
	b := bus.New(v.stack.Config)
	for _, one := range v.Relays {
		name := v.stack.Parameters[one.Kind.Parameter]
		if name == "" || !one.Source.Bus && one.Source.State != "" {
			continue
		}
		source := one.Feedback.RemoteResource
		if source == "" {
			source = name
		}
		for _, event := range functions.DetailTypes(one.Kind.Events) {
			text, err := json.Marshal(map[string]any{
				"version": "0", "id": "00000000-0000-4000-8000-000000000000", "detail-type": event, "source": source, "account": "000000000000", "region": v.stack.Config.Region,
				"time": v.At.UTC().Format(time.RFC3339), "resources": []string{}, "detail": map[string]any{"payload": map[string]any{}},
			})
			if err != nil {
				panic(err) // of strings only
			}
			w := way{bus: name, event: event, source: source}
			w.hops, err = b.Check(ctx, name, bus.Event{ID: "doctor", Source: source, DetailType: event, JSON: text})
			if errors.Is(err, bus.ErrNoRule) || errors.Is(err, bus.ErrNoBus) {
				w.none, err = true, nil
			}
			if v.Miss("rules and targets of "+event, err) {
				return
			}
			v.stack.ways = append(v.stack.ways, w)
		}
	}
}

func (v *View) lookAtTable(ctx context.Context) {
	name := v.stack.Outputs["GuardTable"]
	client := dynamodb.NewFromConfig(v.stack.Config)
	out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if coded(err, "ResourceNotFoundException") {
		v.stack.table = table{seen: true, status: "missing"}
		return
	}
	if v.Miss("guard table", err) || out.Table == nil {
		return
	}
	ttl, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if v.Miss("guard table's time to live", err) {
		return
	}
	backups, err := client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	if v.Miss("guard table's backups", err) {
		return
	}
	t := table{seen: true, status: string(out.Table.TableStatus), protected: aws.ToBool(out.Table.DeletionProtectionEnabled)}
	if d := ttl.TimeToLiveDescription; d != nil {
		t.ttl = (d.TimeToLiveStatus == dbtypes.TimeToLiveStatusEnabled || d.TimeToLiveStatus == dbtypes.TimeToLiveStatusEnabling) && aws.ToString(d.AttributeName) == "x"
	}
	if d := backups.ContinuousBackupsDescription; d != nil && d.PointInTimeRecoveryDescription != nil {
		t.restorable = d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus == dbtypes.PointInTimeRecoveryStatusEnabled
	}
	v.stack.table = t
}

func (v *View) lookAtFunctions(ctx context.Context) {
	client, logs := lambda.NewFromConfig(v.stack.Config), cloudwatchlogs.NewFromConfig(v.stack.Config)
	for _, c := range v.stack.Consumers {
		out, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &c.Function})
		if v.Miss("function "+c.Name, err) {
			continue
		}
		f := function{name: c.Name, state: string(out.State), reason: aws.ToString(out.StateReason)}
		group := "/aws/lambda/" + c.Function
		if out.LoggingConfig != nil && aws.ToString(out.LoggingConfig.LogGroup) != "" {
			group = *out.LoggingConfig.LogGroup
		}
		f.errors, err = errorsOf(ctx, logs, group, v.At.Add(-time.Hour))
		v.Miss("log of "+c.Name, err)
		v.stack.functions = append(v.stack.functions, f)
	}
}

// errorsOf counts the lines of a log that say an error of the function itself: one that
// cannot start, or was ended. What became of a change is a warning at most.
func errorsOf(ctx context.Context, client *cloudwatchlogs.Client, group string, since time.Time) (n int, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(since.UnixMilli()), FilterPattern: aws.String(`{ $.level = "ERROR" }`)}
	for range maxPages {
		out, err := client.FilterLogEvents(ctx, in)
		if err != nil {
			return n, err
		}
		for _, e := range out.Events {
			var line struct{ Level string }
			if json.Unmarshal([]byte(aws.ToString(e.Message)), &line) == nil && line.Level == "ERROR" { // emulators know no pattern
				n++
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	return n, nil
}

// secretParameters are the parameters of the stack that hold the ARN of a secret.
var secretParameters = []string{"SalesforceSecret", "StripeSecret", "ErpSecret", "NotifySecret"}

// lookAtSecrets asks whether the secrets are there. It reads none.
func (v *View) lookAtSecrets(ctx context.Context) {
	client := secretsmanager.NewFromConfig(v.stack.Config)
	for _, p := range secretParameters {
		arn := v.stack.Parameters[p]
		if arn == "" {
			continue
		}
		out, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn})
		switch {
		case coded(err, "ResourceNotFoundException"):
			v.stack.secrets = append(v.stack.secrets, secret{p, arn, "there is no such secret"})
		case v.Miss("secret of "+p, err):
		case out.DeletedDate != nil:
			v.stack.secrets = append(v.stack.secrets, secret{p, arn, "it will be deleted at " + out.DeletedDate.UTC().Format(time.RFC3339)})
		}
	}
}

func coded(err error, code string) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && e.ErrorCode() == code
}

// lookAtOthers finds the other stacks of this account and region that use the same secrets: a
// test stage that bills with the key of production.
func (v *View) lookAtOthers(ctx context.Context) {
	client := cloudformation.NewFromConfig(v.stack.Config)
	in := &cloudformation.DescribeStacksInput{}
	for range maxPages {
		out, err := client.DescribeStacks(ctx, in)
		if v.Miss("other stacks", err) {
			return
		}
		for _, s := range out.Stacks {
			if aws.ToString(s.StackName) == v.stack.Name {
				continue
			}
			for _, p := range s.Parameters {
				name, value := aws.ToString(p.ParameterKey), aws.ToString(p.ParameterValue)
				if value != "" && slices.Contains(secretParameters, name) && v.stack.Parameters[name] == value {
					v.stack.shared = append(v.stack.shared, secret{name, value, aws.ToString(s.StackName)})
				}
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
}

// secretName is the name in the ARN of a secret.
func secretName(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }
