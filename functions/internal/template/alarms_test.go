package template_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// alarm is what an alarm looks at. Each is written down by hand: one that looks at something
// else than it should never rings, and nobody notices.
type alarm struct {
	when      string   // its condition; empty: always
	of        []string // metrics, as seen writes them; a name in braces is every consumer's
	by        string   // what is made of them; empty: there is one
	threshold float64
	periods   float64 // in a row
	missing   string
}

const (
	full     = "FullMonitoring"
	function = "AWS/Lambda %s FunctionName={}"
)

var alarms = map[string]alarm{
	// SQS counts in NumberOfMessagesSent what somebody sent, and not what it moves by itself.
	"FailureQueueArrivalAlarm":  {"", []string{"60 Sum AWS/SQS NumberOfMessagesSent QueueName=FailureQueue.QueueName"}, "", 0, 1, "notBreaching"},
	"DeliveryQueueArrivalAlarm": {"", []string{"60 Sum AWS/SQS NumberOfMessagesSent QueueName=DeliveryQueue.QueueName"}, "", 0, 1, "notBreaching"},
	"FailureQueueAlarm": {full, []string{"300 Maximum AWS/SQS ApproximateNumberOfMessagesNotVisible QueueName=FailureQueue.QueueName",
		"300 Maximum AWS/SQS ApproximateNumberOfMessagesVisible QueueName=FailureQueue.QueueName"}, "visible+hidden", 0, 3, "notBreaching"},
	"DeliveryQueueAlarm": {full, []string{"300 Maximum AWS/SQS ApproximateNumberOfMessagesNotVisible QueueName=DeliveryQueue.QueueName",
		"300 Maximum AWS/SQS ApproximateNumberOfMessagesVisible QueueName=DeliveryQueue.QueueName"}, "visible+hidden", 0, 3, "notBreaching"},
	"OldestAlarm": {full, oldest, "MAX(METRICS())", 3 * day, 1, "notBreaching"},
	"ExpiryAlarm": {full, oldest, "MAX(METRICS())", 12 * day, 1, "notBreaching"},

	"EventsSilenceAlarm":      {"HasEvents", []string{"3600 Sum AWS/Events Events EventSourceName=EventBusName"}, "", 0, 0, "breaching"},
	"ChangesSilenceAlarm":     {"HasChanges", []string{"3600 Sum AWS/Events Events EventSourceName=ChangeBusName"}, "", 0, 0, "breaching"},
	"EventsUndeliveredAlarm":  {"FullEvents", nil, ofBus("FailedInvocations", "EventBusName"), 0, 1, "notBreaching"},
	"ChangesUndeliveredAlarm": {"FullChanges", nil, ofBus("FailedInvocations", "ChangeBusName"), 0, 1, "notBreaching"},
	"EventsLostAlarm":         {"FullEvents", nil, ofBus("InvocationsFailedToBeSentToDlq", "EventBusName"), 0, 1, "notBreaching"},
	"ChangesLostAlarm":        {"FullChanges", nil, ofBus("InvocationsFailedToBeSentToDlq", "ChangeBusName"), 0, 1, "notBreaching"},

	"DroppedAlarm":    {full, []string{"300 Sum " + fmt.Sprintf(function, "AsyncEventsDropped")}, "MAX(METRICS())", 0, 1, "notBreaching"},
	"RecordLostAlarm": {full, []string{"300 Sum " + fmt.Sprintf(function, "DestinationDeliveryFailures")}, "MAX(METRICS())", 0, 1, "notBreaching"},
	"ThrottledAlarm":  {full, []string{"300 Sum " + fmt.Sprintf(function, "Throttles")}, "MAX(METRICS())", 0, 1, "notBreaching"},
	"LateAlarm":       {full, []string{"300 Maximum " + fmt.Sprintf(function, "AsyncEventAge")}, "MAX(METRICS())", 300_000, 1, "notBreaching"},
	"SlowAlarm":       {full, []string{"300 p90 " + fmt.Sprintf(function, "Duration")}, "MAX(METRICS())", 16_000, 3, "notBreaching"},
	"ErrorsAlarm":     {full, []string{"300 Average " + fmt.Sprintf(function, "Errors")}, "MAX(METRICS())", 0.1, 3, "notBreaching"},
	"BufferAlarm":     {full, []string{"300 Maximum AWS/SQS ApproximateAgeOfOldestMessage QueueName={}Buffer.QueueName"}, "MAX(METRICS())", 3600, 1, "notBreaching"},
	"InFlightAlarm":   {full, []string{"300 Maximum AWS/SQS ApproximateNumberOfMessagesNotVisible QueueName={}Buffer.QueueName"}, "MAX(METRICS())", 80_000, 1, "notBreaching"},
	"GuardAlarm": {full, []string{"300 Sum AWS/DynamoDB ReadThrottleEvents TableName=GuardTable", "300 Sum AWS/DynamoDB SystemErrors Operation=GetItem TableName=GuardTable",
		"300 Sum AWS/DynamoDB SystemErrors Operation=UpdateItem TableName=GuardTable", "300 Sum AWS/DynamoDB WriteThrottleEvents TableName=GuardTable"}, "SUM(METRICS())", 0, 3, "notBreaching"},

	"ZombieAlarm":      {full, nil, `SELECT SUM(changes) FROM SCHEMA(sfrelay, service, consumer, verdict) WHERE service = 'sfrelay' AND verdict = 'zombie'`, 0, 1, "notBreaching"},
	"WaitingAlarm":     {full, []string{"300 Maximum sfrelay waitedMs service=AWS::StackName"}, "", 3_600_000, 1, "notBreaching"},
	"CredentialsAlarm": {"", []string{"60 Sum sfrelay credentialsRefused service=AWS::StackName"}, "", 0, 1, "notBreaching"},
}

// oldest is the age of what failed, by SQS and by the redrive function.
var oldest = []string{"3600 Maximum AWS/SQS ApproximateAgeOfOldestMessage QueueName=DeliveryQueue.QueueName",
	"3600 Maximum AWS/SQS ApproximateAgeOfOldestMessage QueueName=FailureQueue.QueueName", "3600 Maximum sfrelay oldestFailedSeconds service=AWS::StackName"}

func ofBus(metric, bus string) string {
	return fmt.Sprintf(`SELECT SUM(%s) FROM SCHEMA("AWS/Events", EventBusName, RuleName) WHERE EventBusName = '%s'`, metric, ours[bus])
}

// failuresRaiseAlarms: each alarm looks at what it is for, and at all consumers. Those of the
// relays are tested beside the monitor.
func failuresRaiseAlarms(t Template) (wrong []string) {
	for id, want := range alarms {
		a, exists := t.Resources[id]
		if !exists || a.Type != "AWS::CloudWatch::Alarm" {
			wrong = append(wrong, id+" is missing")
			continue
		}
		if a.Condition != want.when {
			wrong = append(wrong, fmt.Sprintf("%s has the condition %q, must have %q", id, a.Condition, want.when))
		}
		of, by := t.seen(a)
		if all := t.ofAll(want.of); !slices.Equal(of, all) || by != want.by {
			wrong = append(wrong, fmt.Sprintf("%s looks at %s of %q, must look at %s of %q", id, by, of, want.by, all))
		}
		p := a.Properties
		operator := "GreaterThanThreshold"
		periods := number(p["EvaluationPeriods"]) == want.periods
		if want.periods == 0 {
			operator, periods = "LessThanOrEqualToThreshold", ref(p["EvaluationPeriods"]) == "HeartbeatHours"
		}
		if number(p["Threshold"]) != want.threshold || p["Threshold"] == nil || p["ComparisonOperator"] != operator || !periods || p["DatapointsToAlarm"] != nil || p["TreatMissingData"] != want.missing {
			wrong = append(wrong, fmt.Sprintf("%s rings at %v %v in %s periods, and is %v without data", id, p["ComparisonOperator"], p["Threshold"], text(p["EvaluationPeriods"]), p["TreatMissingData"]))
		}
	}
	for id := range t.of("AWS::CloudWatch::Alarm") {
		if _, relays := relayAlarms[id]; !relays && alarms[id].missing == "" {
			wrong = append(wrong, id+" is an alarm that nobody has written down")
		}
	}
	if p := t.Parameters["HeartbeatHours"]; number(at(p, "MaxValue")) != 168 { // CloudWatch's longest is a week
		wrong = append(wrong, "HeartbeatHours ends elsewhere than at 168")
	}
	return append(wrong, t.alarmsFind()...)
}

// ofAll puts every consumer in the place of the braces.
func (t Template) ofAll(patterns []string) (all []string) {
	for _, pattern := range patterns {
		if !strings.Contains(pattern, "{}") {
			all = append(all, pattern)
			continue
		}
		for consumer := range t.Mappings.Consumers {
			all = append(all, strings.Replace(pattern, "{}", consumer, 1))
		}
	}
	slices.Sort(all)
	return all
}

// seen are the metrics of an alarm, each as period, statistic, namespace, name and dimensions,
// and what is made of them.
func (t Template) seen(a Resource) (of []string, by string) {
	one := func(period, stat any, metric map[string]any) {
		var dimensions []string
		for _, d := range flatten(metric["Dimensions"]) {
			value, _ := at(d, "Value").(string)
			if text(at(d, "Value")) == tableName { // the one that the stack makes, or an earlier one
				value = "GuardTable"
			}
			dimensions = append(dimensions, fmt.Sprintf("%v=%s%s%s", at(d, "Name"), value, ref(at(d, "Value")), getAtt(at(d, "Value"))))
		}
		slices.Sort(dimensions)
		of = append(of, fmt.Sprintf("%v %v %v %v %s", period, stat, metric["Namespace"], metric["MetricName"], strings.Join(dimensions, " ")))
	}
	if a.Properties["Metrics"] == nil {
		one(a.Properties["Period"], a.Properties["Statistic"], a.Properties)
	}
	for _, m := range flatten(a.Properties["Metrics"]) {
		if metric, ok := at(m, "MetricStat", "Metric").(map[string]any); ok {
			one(at(m, "MetricStat", "Period"), at(m, "MetricStat", "Stat"), metric)
			continue
		}
		by += t.render("sfrelay", at(m, "Expression"))
		if returns := at(m, "ReturnData"); returns != nil {
			by += " that is not looked at"
		}
	}
	slices.Sort(of)
	return of, by
}

var selects = regexp.MustCompile(`^SELECT SUM\((\w+)\) FROM SCHEMA\("?([\w/]+)"?, ([\w, ]+)\) WHERE`)

// alarmsFind: every metric that an alarm looks at is one that is emitted, with these dimensions.
func (t Template) alarmsFind() (wrong []string) {
	families := append(ownMetrics(), awsMetrics...)
	for id, a := range t.of("AWS::CloudWatch::Alarm") {
		of, by := t.seen(a)
		if found := selects.FindStringSubmatch(by); found != nil {
			of = []string{"0 Sum " + found[2] + " " + found[1] + " " + strings.ReplaceAll(found[3], ",", "")}
		}
		for _, each := range of {
			words := strings.Fields(each)
			var dimensions []string
			for _, d := range words[4:] {
				name, _, _ := strings.Cut(d, "=")
				dimensions = append(dimensions, name)
			}
			slices.Sort(dimensions)
			if !slices.ContainsFunc(families, func(f family) bool {
				return f.namespace == words[2] && slices.Contains(f.metrics, words[3]) && slices.Equal(f.dimensions, dimensions)
			}) {
				wrong = append(wrong, id+" looks at a metric that nobody writes: "+each)
			}
		}
		if len(of) == 0 {
			wrong = append(wrong, id+" looks at nothing")
		}
	}
	return wrong
}

const (
	told  = `[{"Fn::If":["HasAlarmEmail",{"Ref":"AlarmEmailTopic"},{"Ref":"AWS::NoValue"}]},{"Fn::If":["HasAlarmTopic",{"Ref":"AlarmTopic"},{"Ref":"AWS::NoValue"}]}]`
	tells = `{"Fn::If":["HasAlarmEmail",{"Fn::If":["HasAlarmTopic",{"Fn::Sub":"${AlarmEmail} and ${AlarmTopic}"},{"Ref":"AlarmEmail"}]},` +
		`{"Fn::If":["HasAlarmTopic",{"Ref":"AlarmTopic"},"nobody: set AlarmEmail"]}]}`
)

// clears are the alarms that also tell that they are over: what people wait for.
var clears = []string{"BufferAlarm", "ChangesSilenceAlarm", "CredentialsAlarm", "DeliveryQueueAlarm", "EventsSilenceAlarm", "FailureQueueAlarm", "InFlightAlarm",
	"OrgRefusedAlarm", "RelayDownAlarm", "RelayErrorAlarm", "RelayUnseenAlarm", "WaitingAlarm"}

// alarmsTell: the address and the topic, whichever is given; only CloudWatch of this account
// may use the topic that the stack makes.
func alarmsTell(t Template) (wrong []string) {
	for id, a := range t.of("AWS::CloudWatch::Alarm") {
		if text(a.Properties["AlarmActions"]) != told || a.Properties["ActionsEnabled"] != nil {
			wrong = append(wrong, id+" tells nobody")
		}
		over := "null"
		if slices.Contains(clears, id) {
			over = told
		}
		if text(a.Properties["OKActions"]) != over || a.Properties["InsufficientDataActions"] != nil {
			wrong = append(wrong, fmt.Sprintf("%s tells %s when it is over, must tell %s", id, text(a.Properties["OKActions"]), over))
		}
	}
	for id, want := range map[string]string{
		"AlarmEmailTopic": `{"Subscription":[{"Endpoint":{"Ref":"AlarmEmail"},"Protocol":"email"}]}`,
		"AlarmEmailPolicy": `{"PolicyDocument":{"Statement":[{"Action":"sns:Publish","Condition":{"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}},` +
			`"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Resource":{"Ref":"AlarmEmailTopic"},"Sid":"AlarmsOfThisAccount"}],"Version":"2012-10-17"},` +
			`"Topics":[{"Ref":"AlarmEmailTopic"}]}`,
	} {
		if r := t.Resources[id]; text(r.Properties) != want || r.Condition != "HasAlarmEmail" {
			wrong = append(wrong, fmt.Sprintf("%s is %s under %q", id, text(r.Properties), r.Condition))
		}
	}
	for _, parameter := range []string{"AlarmEmail", "AlarmTopic"} {
		if got := text(t.Conditions["Has"+parameter]); got != `{"Fn::Not":[{"Fn::Equals":[{"Ref":"`+parameter+`"},""]}]}` || at(t.Parameters[parameter], "Default") != "" {
			wrong = append(wrong, parameter+" is not off by default, or its condition is "+got)
		}
	}
	pattern, _ := at(t.Parameters["AlarmEmail"], "AllowedPattern").(string)
	fits, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil || pattern == "" || !fits.MatchString("") || !fits.MatchString("on-call+sfrelay@example.co.uk") || fits.MatchString("on call@example.com") || fits.MatchString("nobody") {
		wrong = append(wrong, "AlarmEmail takes what is no address: "+pattern)
	}
	if got := text(at(t.Outputs, "AlarmsTell", "Value")); got != tells || at(t.Outputs, "AlarmsTell", "Condition") != nil {
		wrong = append(wrong, "the output AlarmsTell says "+got)
	}
	return wrong
}
