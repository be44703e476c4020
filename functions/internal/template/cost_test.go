package template_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/functions/internal/prices"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/relay"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/verdict"
)

// usd has the prices of docs/cost.md.
var usd = prices.USEast1

const (
	memoryGB   = 0.25 // the default of MemorySize
	monthHours = 730.0
)

// stock is an ERP that takes every level.
type stock struct{}

func (stock) Contract() sink.Contract { return sink.Contract{Fenced: true, Versioned: true} }

func (stock) Set(context.Context, sink.Ref, erp.Level) (sink.Receipt, error) {
	return sink.Receipt{}, nil
}

// counts are measured: requests of the guard and bytes of the line of one change.
func counts(t *testing.T) (applied, again, kilobytes float64) {
	t.Helper()
	event := consumertest.PlatformEvent("Inventory_Update__e", 1, map[string]any{
		"Sku__c": "A-1", "Warehouse__c": "WH", "Quantity_On_Hand__c": 100, "Unit__c": "PCE", "Record_Modified_At__c": consumertest.At(1),
	})
	kit := consumertest.New(t, functions.InventoryERP(stock{}))
	kit.Send(event, event)
	kit.Want("applied", "duplicate")
	lines := kit.Lines()
	var out bytes.Buffer
	telemetry.New(&out, "sfrelay", slog.LevelInfo).Write(telemetry.Line{
		Consumer: "customer-billing", EventKey: "0000be70-a756-e601-9202-000000000001/0", IdentityFrom: "detail.payload.ChangeEventHeader", EventID: "c0000000-0000-4000-8000-000000000001",
		DetailType: "AccountChangeEvent", Subject: "Account/0015f00002001AAA", RecordVersion: strings.Repeat("0", 40), Verdict: verdict.Applied, Form: "event", Attempt: 1, Epoch: 1_795_780_800_001,
		At: time.Unix(1_795_780_800, 123_456_789), Lag: 1500 * time.Millisecond, Sink: 120 * time.Millisecond, GuardRequests: 2, Org: "00D5f000005KcCnEAK", RequestID: "8e7d6c5b-0000-4000-8000-000000000001",
		Fields: []string{"BillingAddress.City", "Phone", "LastModifiedDate"}, Publish: 900 * time.Millisecond, Queue: 400 * time.Millisecond, Guard: 20 * time.Millisecond,
	})
	return float64(lines[0].GuardRequests), float64(lines[1].GuardRequests), float64(out.Len()) / 1000
}

// way is how events reach functions, and what a change costs there.
type way struct {
	name                              string
	functions, seconds, writes, batch float64
	bold                              bool
}

// costs is what a million events cost.
type costs struct{ events, lambda, dynamo, logs, sqs float64 }

func (b costs) total() float64 { return b.events + b.lambda + b.dynamo + b.logs + b.sqs }

// costs computes it; line is the size of a log line in KB.
func (w way) costs(line float64) costs {
	of := max(w.batch, 1)
	b := costs{
		events: usd.PartnerEvents,
		lambda: w.functions * (usd.Requests/of + usd.GBSeconds*memoryGB*w.seconds),
		dynamo: w.functions * usd.Writes * w.writes,
		logs:   w.functions * usd.LogsGB * 1e9 / prices.BytesOfGB * (line + prices.LambdaLines/of), // of a million lines of 1 KB
	}
	if w.batch > 0 {
		b.sqs = w.functions * usd.SQS * (1 + 2/w.batch) // sent one by one, received and deleted together
	}
	return b
}

// perMillion are the rows of a million events.
func perMillion(t *testing.T) string {
	applied, again, line := counts(t)
	rows := "| | EventBridge | Lambda | DynamoDB | logs | SQS | total |\n| --- | --- | --- | --- | --- | --- | --- |\n"
	for _, w := range []way{
		{"direct, one consumer, 150 ms", 1, 0.15, applied, 0, true},
		{"direct, an account change (two consumers), 150 ms each", 2, 0.15, applied, 0, true},
		{"direct, one consumer, 600 ms", 1, 0.6, applied, 0, false},
		{"direct, duplicate or stale, 20 ms", 1, 0.02, again, 0, false},
		{"direct, ignored, 20 ms", 1, 0.02, 0, 0, false},
		{"buffered, one at a time, 150 ms", 1, 0.15, applied, 1, true},
		{"buffered, batches of 10, 150 ms each", 1, 0.15, applied, 10, false},
		{"buffered, an account change (two consumers), batches of 10", 2, 0.15, applied, 10, false},
	} {
		b := w.costs(line)
		total := fmt.Sprintf("$%.2f", b.total())
		if w.bold {
			total = "**" + total + "**"
		}
		rows += fmt.Sprintf("| %s | %.2f | %.2f | %s | %.2f | %s | %s |\n", w.name, b.events, b.lambda, orDash(b.dynamo), b.logs, orDash(b.sqs), total)
	}
	return rows
}

// byVolume are the rows of a month of so many account changes, with what is paid whatever the
// traffic.
func byVolume(t *testing.T, low, high float64) string {
	applied, _, line := counts(t)
	rows := "| account changes a month | direct | buffered, batches of 10 |\n| --- | --- | --- |\n"
	for _, v := range []struct {
		name     string
		millions float64
	}{{"none", 0}, {"100,000", 0.1}, {"1 million", 1}, {"10 million", 10}, {"100 million", 100}} {
		rows += "| " + v.name
		for _, batch := range []float64{0, 10} {
			moving := v.millions * way{functions: 2, seconds: 0.15, writes: applied, batch: batch}.costs(line).total()
			rows += fmt.Sprintf(" | $%.0f to $%.0f", low+moving, high+moving)
		}
		rows += " |\n"
	}
	return rows
}

func orDash(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// alarmMetrics counts what the alarms of a condition look at.
func alarmMetrics(tmpl Template, conditions ...string) (alarms, metrics int) {
	for _, r := range tmpl.Resources {
		if r.Type != "AWS::CloudWatch::Alarm" || !slices.Contains(conditions, r.Condition) {
			continue
		}
		alarms++
		list, several := r.Properties["Metrics"].([]any)
		if !several {
			metrics++
		}
		for _, m := range list {
			if at(m, "MetricStat") != nil {
				metrics++
			}
			metrics += tmpl.selected(tmpl.render("sfrelay", at(m, "Expression")))
		}
	}
	return alarms, metrics
}

// selected is how many metrics a Metrics Insights query analyzes at most, each of which an alarm
// pays for: one for each rule of its bus, or one for each consumer.
func (t Template) selected(query string) (n int) {
	if !strings.HasPrefix(query, "SELECT") {
		return 0
	}
	for _, bus := range []string{"EventBusName", "ChangeBusName"} {
		for id := range t.eventRules() {
			if t.busOf(id) == bus && strings.Contains(query, "'"+ours[bus]+"'") {
				n++
			}
		}
	}
	if strings.Contains(query, "consumer") {
		n = len(t.Mappings.Consumers)
	}
	return n
}

// relayMetrics counts those of a monitor that watches both relays.
func relayMetrics() int {
	var out bytes.Buffer
	monitored().Write(telemetry.New(&out, "service", slog.LevelInfo))
	seen := map[string]int{}
	for text := range strings.Lines(out.String()) {
		for _, f := range familiesOf(text) {
			for _, m := range f.metrics {
				of := 1
				if slices.Contains(f.dimensions, "relay") {
					of = len(relay.Kinds)
				}
				seen[m+strings.Join(f.dimensions, ",")] = of
			}
		}
	}
	n := 0
	for _, of := range seen {
		n += of
	}
	return n
}

// perMonth are the rows of what is paid without any event.
func perMonth(tmpl Template) (rows string, low, high float64) {
	consumers := len(tmpl.Mappings.Consumers)
	alarms, core := alarmMetrics(tmpl, "", "HasEvents", "HasChanges")
	more, full := alarmMetrics(tmpl, "FullMonitoring", "FullEvents", "FullChanges")
	watching, relays := alarmMetrics(tmpl, "HasSalesforceUrl")
	verdicts := len(verdicts())
	most := consumers*(verdicts+4) + 2*(1+consumers)
	usual := consumers*(4+3) + 1
	secrets := 0
	for name := range tmpl.Parameters {
		if strings.HasSuffix(name, "Secret") {
			secrets++
		}
	}
	const pollers, waits = 5, 20 // Lambda's readers of a queue, seconds of a long poll
	receives := float64(consumers*pollers) * monthHours * 3600 / waits
	monitor := float64(relayMetrics())
	runs := monthHours*12 + monthHours*4
	scheduled := runs/1e6*usd.Requests + runs/1e6*usd.GBSeconds*memoryGB*1
	row := func(what, count string, from, to float64) string {
		low, high = low+from, high+to
		if from == to {
			return fmt.Sprintf("| %s | %s | $%.2f |\n", what, count, from)
		}
		return fmt.Sprintf("| %s | %s | $%.2f, at most $%.2f |\n", what, count, from, to)
	}
	cost := func(n int, each float64) float64 { return float64(n) * each }
	rows = "| | count | a month |\n| --- | --- | --- |\n"
	rows += row("alarms that look at one thing", fmt.Sprintf("%d, on %d metrics", alarms, core), cost(core, usd.AlarmMetric), cost(core, usd.AlarmMetric))
	rows += row("alarms of `Monitoring=full`", fmt.Sprintf("%d, on at most %d metrics", more, full), cost(full, usd.AlarmMetric), cost(full, usd.AlarmMetric))
	rows += row("alarms of the relays, with `SalesforceUrl`", fmt.Sprintf("%d, on %d metrics", watching, relays), cost(relays, usd.AlarmMetric), cost(relays, usd.AlarmMetric))
	rows += row("metrics of the relays, with `SalesforceUrl`", fmt.Sprintf("%.0f for two relays", monitor), monitor*usd.Metric, monitor*usd.Metric)
	rows += row("metrics of the log line", fmt.Sprintf("about %d are used (4 verdicts and 3 times of each consumer); at most %d", usual, most), cost(usual, usd.Metric), cost(most, usd.Metric))
	rows += row("metric of the redrive function", "1", usd.Metric, usd.Metric)
	rows += row("dashboard", "1; free if it is among the account's first three", usd.Dashboard, usd.Dashboard)
	rows += row("secrets", fmt.Sprintf("%d, the webhook's and the org's among them", secrets), cost(secrets, usd.Secret), cost(secrets, usd.Secret))
	rows += row(fmt.Sprintf("empty receives: %d buffers, %d readers each, every %d s", consumers, pollers, waits), fmt.Sprintf("about %.1f million", receives/1e6), receives/1e6*usd.SQS, receives/1e6*usd.SQS)
	rows += row("runs of the relay monitor and the redrive function, a second each", fmt.Sprintf("%.0f", runs), scheduled, scheduled)
	return rows + fmt.Sprintf("| **sum**, without the guard table | | **$%.0f to $%.0f** |\n", low, high), low, high
}

// verdicts are all that a line may say.
func verdicts() []verdict.Verdict {
	return []verdict.Verdict{verdict.Applied, verdict.Duplicate, verdict.Stale, verdict.PartlyStale, verdict.Ignored, verdict.Echo, verdict.Probe, verdict.Busy, verdict.Failed, verdict.Parked, verdict.Zombie}
}

// computed are the tables by the headings before them.
var computed = regexp.MustCompile(`(?s)(## (?:Per million events|Per month, whatever the traffic|Cost a month by volume)\n.*?\n)(\| .*?\n)\n`)

// The tables of both pages are computed from the template, from counts that are measured here,
// and from the prices on the page of the costs.
func TestCostPage(t *testing.T) {
	if testing.Short() {
		t.Skip("a page of the documents need not follow every change of the template at once; run it without -short")
	}
	month, low, high := perMonth(load(t))
	written(t, root+"/docs/cost.md", perMillion(t), month)
	written(t, root+"/docs/reference/performance.md", byVolume(t, low, high))
}

// written holds that a page has these tables.
func written(t *testing.T, file string, tables ...string) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	page := computed.ReplaceAllStringFunc(string(have), func(part string) string {
		m := computed.FindStringSubmatch(part)
		n++
		return m[1] + tables[min(n, len(tables))-1] + "\n"
	})
	if n != len(tables) {
		t.Fatalf("%s has %d of %d tables", file, n, len(tables))
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil { //nolint:gosec // a page for all
			t.Fatal(err)
		}
		return
	}
	if page != string(have) {
		t.Errorf("%s is not what the template costs: UPDATE=1 go test -run TestCostPage ./functions/internal/template", file)
	}
}
