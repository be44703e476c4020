package template_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/relay"
	"sfrelay/shared/relaymonitor"
	"sfrelay/shared/telemetry"
)

// monitor is the function that asks how the relays do.
const monitor = "RelayMonitor"

// monitored is a run that has everything to say.
func monitored() *relaymonitor.Report {
	at := time.Unix(1_795_777_200, 0)
	return &relaymonitor.Report{At: at, Org: "00D5f000005KcCnEAK", Delivered: relay.Limit{Max: 10_000, Remaining: 9_000}, Relays: []relaymonitor.State{
		{Name: relay.Kinds[0].Name, Source: "ACTIVE", Last: at.Add(-time.Second), StatesSeen: true, HoursLeft: 72, HoursSeen: true},
	}}
}

// relayAlarm is an alarm on a metric of the monitor. If it is silent for a time, a relay that was
// down is not up: only RelayUnseenAlarm rings, and the others stay as they are.
type relayAlarm struct {
	metric, statistic, operator string
	threshold, periods          float64
	missing                     string
}

var relayAlarms = map[string]relayAlarm{
	"RelayDownAlarm":     {"relayDown", "Maximum", "GreaterThanThreshold", 0, 1, "ignore"},
	"RelayErrorAlarm":    {"relayError", "Maximum", "GreaterThanThreshold", 0, 1, "ignore"},
	"RelayHoursAlarm":    {"relayHoursLeft", "Minimum", "LessThanThreshold", 24, 1, "ignore"},
	"OrgAllocationAlarm": {"orgAllocation", "Maximum", "GreaterThanThreshold", 80, 1, "ignore"},
	"OrgRefusedAlarm":    {"orgRefused", "Maximum", "GreaterThanThreshold", 0, 2, "ignore"},
	"RelayUnseenAlarm":   {"relayUnseen", "Maximum", "GreaterThanThreshold", 0, 3, "breaching"},
}

// relaysAreWatched: where the stack names an org, a clock starts the monitor, and alarms look
// at what it writes. A relay that stops rings within ten minutes, although no event comes.
func relaysAreWatched(t Template) (wrong []string) {
	for id, w := range relayAlarms {
		a := t.Resources[id]
		p := a.Properties
		if a.Type != "AWS::CloudWatch::Alarm" || a.Condition != "HasSalesforceUrl" {
			wrong = append(wrong, id+" is missing, or is not where the stack names an org")
			continue
		}
		got := relayAlarm{fmt.Sprint(p["MetricName"]), fmt.Sprint(p["Statistic"]), fmt.Sprint(p["ComparisonOperator"]), number(p["Threshold"]), number(p["EvaluationPeriods"]), fmt.Sprint(p["TreatMissingData"])}
		if got != w || p["Namespace"] != telemetry.Namespace || p["DatapointsToAlarm"] != nil || text(p["Dimensions"]) != `[{"Name":"service","Value":{"Ref":"AWS::StackName"}}]` {
			wrong = append(wrong, fmt.Sprintf("%s looks at %+v, must look at %+v", id, got, w))
		}
		if !slices.ContainsFunc(familiesOfMonitor(), func(f family) bool {
			return slices.Equal(f.dimensions, []string{"service"}) && slices.Contains(f.metrics, w.metric)
		}) {
			wrong = append(wrong, id+" looks at a metric that the monitor does not write")
		}
	}
	schedule := t.Resources[monitor+"Schedule"]
	minutes := regexp.MustCompile(`^rate\(([0-9]+) minutes\)$`).FindStringSubmatch(fmt.Sprint(schedule.Properties["ScheduleExpression"]))
	if minutes == nil || schedule.Properties["State"] != "ENABLED" || schedule.Condition != "HasSalesforceUrl" || t.Resources[monitor].Condition != "HasSalesforceUrl" {
		return append(wrong, "no clock starts "+monitor+" where the stack names an org")
	}
	every, _ := strconv.ParseFloat(minutes[1], 64)
	down := t.Resources["RelayDownAlarm"].Properties
	if late := every*60 + number(down["Period"])*number(down["EvaluationPeriods"]); late > 600 {
		wrong = append(wrong, fmt.Sprintf("a relay that stops rings after up to %v seconds", late))
	}
	// A run later than a period leaves a hole, in which RelayUnseenAlarm would ring by itself.
	if number(t.Resources["RelayUnseenAlarm"].Properties["Period"]) < every*60 {
		wrong = append(wrong, "RelayUnseenAlarm has periods without a run")
	}
	return wrong
}

func familiesOfMonitor() (found []family) {
	var out bytes.Buffer
	monitored().Write(telemetry.New(&out, "service", slog.LevelInfo))
	for line := range strings.Lines(out.String()) {
		found = append(found, familiesOf(line)...)
	}
	return found
}

// alarmsSayWhere: who is woken by an alarm knows of which stage and org it is, and so does
// whoever reads the outputs. It says what happened and what to type; that sfrelay knows the
// command is tested where it is (TestAlarmsSayWhatToType).
func alarmsSayWhere(t Template) (wrong []string) {
	for id, a := range t.of("AWS::CloudWatch::Alarm") {
		says := t.render("sfrelay", a.Properties["AlarmDescription"])
		about, ok := strings.CutPrefix(says, "acceptance, org 00D5f000005KcCnEAK: ")
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s says neither stage nor org: %s", id, says))
		}
		what, command, _ := strings.Cut(about, ". Type: sfrelay ")
		command, ours := strings.CutSuffix(command, " --aws --stack-name sfrelay")
		if strings.Contains(what, ". ") || len(what) < 30 || what[:1] != strings.ToUpper(what[:1]) || command == "" || !ours {
			wrong = append(wrong, fmt.Sprintf("%s does not say in two sentences what happened and what to type: %s", id, says))
		}
	}
	for name, parameter := range map[string]string{"Stage": "Stage", "Orgs": "SalesforceOrgs"} {
		if ref(at(t.Outputs, name, "Value")) != parameter {
			wrong = append(wrong, parameter+" is not in the outputs")
		}
	}
	if p := t.Parameters["Stage"]; at(p, "Default") != "production" || at(p, "AllowedPattern") != "[a-z][a-z0-9-]{0,29}" {
		wrong = append(wrong, "Stage takes any text, or has another default than production")
	}
	return wrong
}

// needlessForMonitor is needless for the function that relayAlarms the relays: it reads one secret,
// announcements, and two sources with their buses. It changes nothing.
func needlessForMonitor(statement any) string {
	sources := func(of string) string {
		one := func(condition, bus string) string {
			return fmt.Sprintf(`{"Fn::If":[%q,{"Fn::Sub":"arn:${AWS::Partition}:events:${AWS::Region}:%s/${%s}"},{"Ref":"AWS::NoValue"}]}`, condition, of, bus)
		}
		return "[" + one("HasEvents", "EventBusName") + "," + one("HasChanges", "ChangeBusName") + "]"
	}
	want := map[string]string{
		"OwnLog":        `{"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Effect":"Allow","Resource":{"Fn::GetAtt":["RelayMonitorLogs","Arn"]},"Sid":"OwnLog"}`,
		"OrgSecret":     `{"Action":"secretsmanager:GetSecretValue","Effect":"Allow","Resource":{"Fn::If":["HasSalesforceSecret",{"Ref":"SalesforceSecret"},` + noSecret + `]},"Sid":"OrgSecret"}`,
		"Announcements": `{"Action":"dynamodb:GetItem",` + announcements + `,"Effect":"Allow","Resource":` + guardTableARN + `,"Sid":"Announcements"}`,
		"Sources":       `{"Action":"events:DescribeEventSource","Effect":"Allow","Resource":` + sources(":event-source") + `,"Sid":"Sources"}`,
		"Buses":         `{"Action":"events:DescribeEventBus","Effect":"Allow","Resource":` + sources("${AWS::AccountId}:event-bus") + `,"Sid":"Buses"}`,
	}
	sid, _ := at(statement, "Sid").(string)
	if got := text(statement); want[sid] != got {
		return fmt.Sprintf("%s, must be %s", got, want[sid])
	}
	return ""
}

const announcements = `"Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["relay#*"]},"Null":{"dynamodb:LeadingKeys":"false"}}`

// Who may announce a pause may write no other item.
func TestTheRelayPolicy(t *testing.T) {
	statements, _ := at(load(t).Resources["RelayPolicy"].Properties, "PolicyDocument", "Statement").([]any)
	got, err := json.Marshal(statements)
	want := `[{"Action":"cloudformation:DescribeStacks","Effect":"Allow","Resource":{"Ref":"AWS::StackId"},"Sid":"Stack"},` +
		`{"Action":["dynamodb:PutItem","dynamodb:DeleteItem"],` + announcements + `,"Effect":"Allow","Resource":` + guardTableARN + `,"Sid":"Announcements"},` +
		`{"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Effect":"Allow","Resource":{"Fn::GetAtt":["AuditLog","Arn"]},"Sid":"Audit"}]`
	if err != nil || string(got) != want {
		t.Errorf("%v, it allows %s, must allow %s", err, got, want)
	}
}
