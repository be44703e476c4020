package template_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/redrive"
	"sfrelay/shared/relay"
	"sfrelay/shared/telemetry"
)

// family is a set of metrics with the same dimensions.
type family struct {
	namespace  string
	dimensions []string // sorted
	metrics    []string
}

// awsMetrics are those of AWS that the dashboard may show. Sources: Lambda Developer
// Guide, "Types of metrics for Lambda functions"; SQS Developer Guide, "Available
// CloudWatch metrics for Amazon SQS"; EventBridge User Guide, "Monitoring Amazon
// EventBridge", which says that rules on buses other than the default one have both
// dimensions.
var awsMetrics = []family{
	{"AWS/Lambda", []string{"FunctionName"}, []string{
		"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions",
		"AsyncEventsReceived", "AsyncEventAge", "AsyncEventsDropped", "DeadLetterErrors", "DestinationDeliveryFailures",
	}},
	{"AWS/SQS", []string{"QueueName"}, []string{
		"ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
		"ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted",
		"NumberOfEmptyReceives", "SentMessageSize",
	}},
	{"AWS/Events", []string{"EventSourceName"}, []string{"Events"}},
	{"AWS/DynamoDB", []string{"TableName"}, []string{
		"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ConditionalCheckFailedRequests",
	}},
	{"AWS/DynamoDB", []string{"Operation", "TableName"}, []string{"SystemErrors", "ThrottledRequests", "SuccessfulRequestLatency"}},
	{"AWS/Events", []string{"EventBusName", "RuleName"}, []string{
		"Invocations", "FailedInvocations", "MatchedEvents", "TriggeredRules", "ThrottledRules",
		"InvocationAttempts", "SuccessfulInvocationAttempts", "RetryInvocationAttempts", "InvocationsCreated",
		"InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq",
		"IngestionToInvocationStartLatency", "IngestionToInvocationCompleteLatency", "IngestionToInvocationSuccessLatency",
	}},
}

// ownMetrics are what the line of a change brings to CloudWatch, and those that the relay
// monitor writes, read from such lines.
func ownMetrics() []family {
	var out bytes.Buffer
	log := telemetry.New(&out, "service", slog.LevelInfo)
	log.Write(telemetry.Line{
		Consumer: "consumer", Verdict: "failed", Class: "auth", At: time.Unix(1, 0),
		Lag: time.Second, Sink: time.Second, Waited: time.Second, GuardRequests: 1, EpochRaised: true,
	})
	log.Write(telemetry.Line{Consumer: "consumer", Verdict: "applied", At: time.Unix(1, 0), Lag: time.Second})
	monitored().Write(log)
	log.Measured(time.Unix(1, 0), slog.LevelInfo, "redrive", nil, []telemetry.Measure{redrive.Oldest(time.Hour)})
	var found []family
	for text := range strings.Lines(out.String()) {
		found = append(found, familiesOf(text)...)
	}
	return found
}

// familiesOf are those of one line.
func familiesOf(text string) (found []family) {
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		panic(err)
	}
	for _, directive := range line.AWS.CloudWatchMetrics {
		for _, dimensions := range directive.Dimensions {
			f := family{namespace: directive.Namespace, dimensions: slices.Sorted(slices.Values(dimensions))}
			for _, m := range directive.Metrics {
				f.metrics = append(f.metrics, m.Name)
			}
			found = append(found, f)
		}
	}
	return found
}

// longestQuery is CloudWatch's limit in characters (CloudWatch User Guide, "CloudWatch
// search expression syntax", limits).
const longestQuery = 1024

var (
	search     = regexp.MustCompile(`^SEARCH\('\{([^}]+)\} (.+)', '(?:Sum|Maximum|p50|p99)', \d+\)$`)
	term       = regexp.MustCompile(`(?:(\w+)=)?(?:"([^"]*)"|\(("[^"]*"(?: OR "[^"]*")*)\))`)
	dotOrComma = regexp.MustCompile(`\s*,\s*`)
)

// dashboardFinds: CloudWatch leaves a graph empty, without a word, where a metric, a
// dimension or a value in double quotes is not exactly that of a metric.
func dashboardFinds(t Template) (wrong []string) {
	families := append(ownMetrics(), awsMetrics...)
	values := t.dimensionValues("sfrelay")
	body, err := t.dashboard("sfrelay")
	if err != nil {
		return []string{err.Error()}
	}
	shown := map[string]bool{} // values of dimensions
	one := func(widget, namespace string, dimensions []string, metric string) {
		dimensions = slices.Sorted(slices.Values(dimensions))
		if !slices.ContainsFunc(families, func(f family) bool {
			return f.namespace == namespace && slices.Equal(f.dimensions, dimensions) && slices.Contains(f.metrics, metric)
		}) {
			wrong = append(wrong, fmt.Sprintf("widget %q: nothing has the metric %s of %s by %v", widget, metric, namespace, dimensions))
		}
	}
	for _, w := range body.Widgets {
		widget := w.Properties.Title
		if w.Type == "log" {
			wrong = append(wrong, t.logsFound(widget, w.Properties.Query)...)
			continue
		}
		if len(w.Properties.Metrics) == 0 {
			wrong = append(wrong, fmt.Sprintf("widget %q shows nothing", widget))
		}
		for _, line := range w.Properties.Metrics {
			expression, isSearch := at(line[0], "expression").(string)
			if !isSearch { // namespace, metric, dimension, value, options
				namespace, metric := fmt.Sprint(line[0]), fmt.Sprint(line[1])
				var dimensions []string
				for i := 2; i+1 < len(line); i += 2 {
					dimension, value := fmt.Sprint(line[i]), fmt.Sprint(line[i+1])
					dimensions = append(dimensions, dimension)
					if !slices.Contains(values[dimension], value) {
						wrong = append(wrong, fmt.Sprintf("widget %q: no %s is %s", widget, dimension, value))
					}
				}
				one(widget, namespace, dimensions, metric)
				continue
			}
			parts := search.FindStringSubmatch(expression)
			if parts == nil {
				wrong = append(wrong, fmt.Sprintf("widget %q: not a search with schema, terms, statistic and period: %s", widget, expression))
				continue
			}
			schema := dotOrComma.Split(parts[1], -1)
			metric := ""
			for _, found := range term.FindAllStringSubmatch(parts[2], -1) {
				for _, quoted := range strings.Split(found[2]+found[3], " OR ") {
					value := strings.Trim(quoted, `"`)
					switch {
					case found[1] == "MetricName":
						metric = value
					case found[1] == "" && slices.ContainsFunc(keys(values), func(d string) bool { return slices.Contains(values[d], value) }),
						slices.Contains(schema[1:], found[1]) && slices.Contains(values[found[1]], value):
						shown[value+" in "+schema[0]] = true
					default:
						wrong = append(wrong, fmt.Sprintf("widget %q: nothing is called %q", widget, strings.TrimPrefix(found[1]+"="+value, "=")))
					}
				}
			}
			if rest := strings.TrimSpace(term.ReplaceAllString(parts[2], "")); rest != "" {
				wrong = append(wrong, fmt.Sprintf("widget %q: %q is not in double quotes and finds other stacks too", widget, rest))
			}
			one(widget, schema[0], schema[1:], metric)
		}
	}
	for consumer := range t.Mappings.Consumers {
		if !shown[physical("sfrelay", consumer)+" in AWS/Lambda"] || !shown[physical("sfrelay", consumer+"Buffer")+" in AWS/SQS"] {
			wrong = append(wrong, consumer+" is not on the dashboard")
		}
	}
	return append(wrong, t.queriesFit()...)
}

var source = regexp.MustCompile(`^SOURCE '([^']+)' \| `)

// logsFound: a query over lines reads those of all consumers, and of nothing else. That the
// lines have what it asks for is tested with the evaluator (TestTheDashboardsQuestions).
func (t Template) logsFound(widget, query string) (wrong []string) {
	want := map[string]bool{}
	for consumer := range t.Mappings.Consumers {
		want[physical("sfrelay", consumer+"Logs")] = true
	}
	for {
		found := source.FindStringSubmatch(query)
		if found == nil {
			break
		}
		if !want[found[1]] {
			wrong = append(wrong, fmt.Sprintf("widget %q: no consumer writes into %s, or it is read twice", widget, found[1]))
		}
		delete(want, found[1])
		query = query[len(found[0]):]
	}
	if len(want) > 0 || !strings.HasPrefix(query, "filter ") {
		wrong = append(wrong, fmt.Sprintf("widget %q: not read are %v, and %s", widget, keys(want), query))
	}
	return wrong
}

// queriesFit: also with the longest name of a stack that make deploy takes.
func (t Template) queriesFit() (wrong []string) {
	longest := 0
	for id, r := range t.Resources {
		if r.Type == "AWS::Events::Rule" || r.Type == "AWS::IAM::Role" {
			longest = max(longest, len(id))
		}
	}
	body, err := t.dashboard(strings.Repeat("s", max(1, longestName-len("--")-random-longest)))
	if err != nil {
		return []string{err.Error()}
	}
	for _, w := range body.Widgets {
		for _, line := range w.Properties.Metrics {
			if expression, _ := at(line[0], "expression").(string); len(expression) > longestQuery {
				wrong = append(wrong, fmt.Sprintf("widget %q: the search has %d characters, CloudWatch takes %d: give functions and buffers lists of their own",
					w.Properties.Title, len(expression), longestQuery))
			}
		}
	}
	return wrong
}

type dashboardBody struct {
	Widgets []struct {
		Type       string
		Properties struct {
			Title   string
			Query   string
			Metrics [][]any
		}
	}
}

// dashboard is the body of the dashboard as CloudWatch gets it.
func (t Template) dashboard(stack string) (body dashboardBody, err error) {
	rendered := t.render(stack, t.Resources["Dashboard"].Properties["DashboardBody"])
	if err := json.Unmarshal([]byte(rendered), &body); err != nil {
		return body, fmt.Errorf("the dashboard is no JSON: %w", err)
	}
	return body, nil
}

// dimensionValues are the values that the metrics of the stack can have, by dimension.
func (t Template) dimensionValues(stack string) map[string][]string {
	values := map[string][]string{
		"service":      {stack},
		"consumer":     {},
		"relay":        {relay.Kinds[0].Name, relay.Kinds[1].Name},
		"EventBusName": {ours["EventBusName"], ours["ChangeBusName"]},
		// A partner bus is called as its source.
		"EventSourceName": {ours["EventBusName"], ours["ChangeBusName"]},
	}
	for _, v := range verdicts() {
		values["verdict"] = append(values["verdict"], string(v))
	}
	for id := range t.of("AWS::DynamoDB::Table") {
		values["TableName"] = append(values["TableName"], physical(stack, id))
	}
	for id := range t.of("AWS::Lambda::Function") {
		values["FunctionName"] = append(values["FunctionName"], physical(stack, id))
	}
	for id := range t.of("AWS::SQS::Queue") {
		values["QueueName"] = append(values["QueueName"], physical(stack, id))
	}
	for _, row := range t.Mappings.Consumers {
		values["consumer"] = append(values["consumer"], row.Name)
	}
	return values
}

// CloudFormation puts at most so many characters behind the name that it makes for a
// resource, and makes it no longer than so many (.ci/check-deploy.py has the source).
const random, longestName = 13, 64

// physical is a name as CloudFormation makes it.
func physical(stack, id string) string {
	return stack + "-" + id + "-" + strings.Repeat("X", random)
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// render is the text of an intrinsic in a stack of that name that has both buses.
func (t Template) render(stack string, v any) string {
	name := func(reference string) string {
		id, _, _ := strings.Cut(reference, ".") // GetAtt of a queue's name is its name as Ref of a function's
		if _, ok := t.Resources[id]; ok {
			return physical(stack, id)
		}
		return ours.but("AWS::StackName", stack)[reference]
	}
	sub := func(text string, values map[string]any) string {
		return reference.ReplaceAllStringFunc(text, func(found string) string {
			if value, ok := values[found[2:len(found)-1]]; ok {
				return t.render(stack, value)
			}
			return name(found[2 : len(found)-1])
		})
	}
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		switch {
		case ref(v) != "":
			return name(ref(v))
		case getAtt(v) != "":
			return name(getAtt(v))
		}
		switch args := v["Fn::Sub"].(type) {
		case string:
			return sub(args, nil)
		case []any:
			values, _ := args[1].(map[string]any)
			return sub(fmt.Sprint(args[0]), values)
		}
		if branches, ok := v["Fn::If"].([]any); ok {
			return t.render(stack, branches[1])
		}
		if args, ok := v["Fn::Join"].([]any); ok {
			var parts []string
			for _, each := range flatten(args[1]) {
				parts = append(parts, t.render(stack, each))
			}
			return strings.Join(parts, fmt.Sprint(args[0]))
		}
	}
	return ""
}
