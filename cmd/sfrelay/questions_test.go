package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/relay"
	"sfrelay/shared/relaymonitor"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/verdict"
)

type stockSink struct{ *consumertest.Sink }

func (s stockSink) Set(_ context.Context, ref sink.Ref, l erp.Level) (sink.Receipt, error) {
	return s.Put(ref, l.SKU+" at "+l.Warehouse, l)
}

// played are the lines that the functions and people leave behind in one noon of inventory-erp:
// one level that is applied and comes twice, one that the ERP refuses for the time being, one
// whose answer is lost, and one without its quantity, which is redriven.
func playedLines(t *testing.T) []string {
	t.Helper()
	var out bytes.Buffer
	log := telemetry.New(&out, "sfrelay", slog.LevelInfo)
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	kit := consumertest.New(t, functions.InventoryERP(stockSink{consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true})}),
		consumertest.From(noon), consumertest.In(func(e *consumer.Env) { e.Log = log }))
	level := func(second int, sku string, quantity any) []byte {
		return consumertest.PlatformEvent("Inventory_Update__e", second, map[string]any{
			"Sku__c": sku, "Warehouse__c": "WH", "Quantity_On_Hand__c": quantity, "Unit__c": "PCE", "Record_Modified_At__c": consumertest.At(second)})
	}
	kit.Send(level(1, "A-1", 100), level(1, "A-1", 100))
	kit.Refuse(verdict.Throttled)
	kit.Send(level(2, "B-2", 5))
	kit.LoseAnswer()
	kit.Send(level(3, "C-3", 6))
	kit.Send(level(4, "D-4", nil))
	kit.Redrive()
	// The kit's clock stands still while the guard is asked, so that the hops of this one are given.
	log.Write(telemetry.Line{Consumer: "customer-erp", EventKey: "k", EventID: "e", DetailType: "AccountChangeEvent", Subject: "Account/0015f00002001AAA", Verdict: verdict.Applied, At: noon,
		Lag: 3 * time.Second, Publish: time.Second, Queue: 500 * time.Millisecond, Guard: 20 * time.Millisecond, Sink: 100 * time.Millisecond})
	log.Write(telemetry.Line{Consumer: "customer-erp", EventKey: "l", EventID: "f", DetailType: "AccountChangeEvent", Subject: "Account/0015f00002002AAA", Verdict: verdict.Failed, Class: verdict.Throttled,
		At: noon, Attempt: 4, Waited: time.Hour, Sink: 20 * time.Millisecond, Error: "the ERP answered 503"})
	log.Write(telemetry.Line{Consumer: "customer-erp", EventKey: "m", EventID: "g", DetailType: "AccountChangeEvent", Subject: "Account/0015f00002003AAA", Verdict: verdict.Applied, At: noon.Add(-time.Second), EpochRaised: true, Redrive: "arn:aws:iam::123456789012:user/ada"})
	report := relaymonitor.Report{At: noon, Org: "00D5f000005KcCnEAK", Relays: []relaymonitor.State{
		{Name: relay.Kinds[0].Name, Bus: "one", Wanted: "RUN", Is: "RUNNING", Source: "ACTIVE", Last: noon.Add(-time.Minute), StatesSeen: true, HoursLeft: 72, HoursSeen: true},
		{Name: relay.Kinds[1].Name, Bus: "two", Wanted: "PAUSE", Is: "PAUSED", Source: "ACTIVE", Last: noon.Add(-10 * time.Hour), StatesSeen: true, HoursLeft: 62, HoursSeen: true, Down: []string{"paused"}},
	}}
	report.Write(log)
	dropped, err := json.Marshal(audit.Line{At: noon.Add(time.Minute), By: "arn:aws:iam::123456789012:user/ada", Action: "drop", Reason: "billed by hand", Consumer: "inventory-erp", Class: "throttled", Item: "x", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return append(lines, string(dropped),
		`{"time":"2026-11-27T12:15:00Z","level":"INFO","msg":"redrive","service":"sfrelay","at":"2026-11-27T12:15:00Z","taken":2,"parkedAgain":1,"left":3,"seen":6,"leftByClass":{"needs-fetch":3}}`,
		`{"time":"2026-11-27T12:20:00Z","level":"ERROR","msg":"the function cannot start","error":"ERP_URL: want https"}`)
}

// questions are the queries of template.yaml by their names there.
func questions(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tmpl struct {
		Mappings struct {
			Queries map[string]struct{ Name, Query string } `yaml:"Queries"`
		} `yaml:"Mappings"`
	}
	// The tags of CloudFormation stand elsewhere; a mapping has none.
	_, mappings, _ := strings.Cut(string(b), "\nMappings:")
	mappings, _, _ = strings.Cut(mappings, "\nConditions:")
	if err := yaml.Unmarshal([]byte("Mappings:"+lowered(mappings)), &tmpl); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name, q := range tmpl.Mappings.Queries {
		all[name] = q.Query
	}
	return all
}

// lowered spells the two members as the decoder looks for them.
func lowered(text string) string {
	return strings.NewReplacer("      Name: ", "      name: ", "      Query: |", "      query: |").Replace(text)
}

// Every question is answered by the lines of the functions; the answers are counted by hand.
func TestQuestionsOfAnOperator(t *testing.T) {
	lines := playedLines(t)
	all := questions(t)
	for name, want := range map[string][]string{
		"Relays":   {"eventSource=ACTIVE hoursLeft=72 lastEvent=2026-11-27T11:59:00Z relay=Sfrelay_Events state=RUNNING", "eventSource=ACTIVE hoursLeft=62 lastEvent=2026-11-27T02:00:00Z relay=Sfrelay_Changes state=PAUSED"},
		"Redrives": {"@timestamp=12:15:00 left=3 parkedAgain=1 taken=2", "@timestamp=12:01:00 action=drop by=arn:aws:iam::123456789012:user/ada class=throttled consumer=inventory-erp item=x reason=billed by hand"},
		"Errors":   {"@log=group @timestamp=12:20:00 error=ERP_URL: want https msg=the function cannot start"},
		"Verdicts": {
			"consumer=customer-erp records=2 verdict=applied", "consumer=customer-erp records=1 verdict=failed", "consumer=inventory-erp records=3 verdict=applied",
			"consumer=inventory-erp records=3 verdict=failed", "consumer=inventory-erp records=1 verdict=duplicate", "consumer=inventory-erp records=1 verdict=parked",
		},
		// What was applied in the end waits no more.
		"Waiting": {"consumer=customer-erp now=failed subject=Account/0015f00002002AAA waited=3.6e+06 why=throttled"},
	} {
		if got := rowsOf(t, all[name], lines); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for name, want := range map[string]struct {
		rows int
		says []string // of the first row
	}{
		"Lag":     {2, []string{"lines=3", "publish99=1000", "sink99=0"}}, // the one that was redriven does not count
		"Guard":   {2, []string{"subject=stock/C-3@WH", "verdict=applied"}},
		"Failed":  {4, []string{"times=2", "class=permanent/missing-field"}},
		"Subject": {2, []string{"subject=stock/B-2@WH", "class=throttled"}},
		"Event":   {2, []string{"verdict=applied"}},
		"Sinks":   {4, []string{"consumer=customer-erp"}},
	} {
		query := strings.ReplaceAll(all[name], "REPLACE-WITH-A-RECORD-ID", "B-2")
		query = strings.ReplaceAll(query, "REPLACE-WITH-AN-EVENT-ID", eventOf(t, lines[0]))
		got := rowsOf(t, query, lines)
		if len(got) != want.rows {
			t.Errorf("%s: %d rows, want %d\n%s", name, len(got), want.rows, strings.Join(got, "\n"))
			continue
		}
		for _, part := range want.says {
			if !strings.Contains(got[0], part) {
				t.Errorf("%s: %s, want %s", name, got[0], part)
			}
		}
	}
	if len(all) != 11 {
		t.Errorf("%d questions, 11 are tried", len(all))
	}
}

// A field that no line has is a mistake that CloudWatch would not tell.
func TestAQuestionAboutNothing(t *testing.T) {
	for _, query := range []string{`filter verdikt = "applied"`, `stats count(*) as n by consumr`, `filter verdict == "x"`, `fields @timestamp | parse x`} {
		if rows, err := insights(query, playedLines(t)); err == nil {
			t.Errorf("%s: %v", query, rows)
		}
	}
}

func eventOf(t *testing.T, line string) string {
	t.Helper()
	var l struct{ EventID string }
	if err := json.Unmarshal([]byte(line), &l); err != nil || l.EventID == "" {
		t.Fatalf("%s: %v", line, err)
	}
	return l.EventID
}

// rowsOf are the rows of an answer, each as names and values in the order of the names.
func rowsOf(t *testing.T, query string, lines []string) (rows []string) {
	t.Helper()
	answer, err := insights(query, lines)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range answer {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(row)) {
			v := row[name]
			if at, is := v.(float64); is && name == "@timestamp" {
				v = time.UnixMilli(int64(at)).UTC().Format(time.TimeOnly)
			}
			if v != "" {
				words = append(words, fmt.Sprintf("%s=%v", name, v))
			}
		}
		rows = append(rows, strings.Join(words, " "))
	}
	return rows
}

// The tables on the dashboard are answered by the same lines.
func TestTheDashboardsQuestions(t *testing.T) {
	b, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, found := range regexp.MustCompile(`"query": "\$\{Lines\} \| (.*)"`).FindAllStringSubmatch(string(b), -1) {
		query := strings.NewReplacer(`\"`, `"`, " | ", "\n| ").Replace(found[1]) // as the saved queries are written
		got = append(got, rowsOf(t, query, playedLines(t))...)
	}
	want := [][]string{ // counted by hand; what was redriven or came twice stands apart
		{"class=permanent/missing-field", "consumer=inventory-erp", "times=2"}, {"class=throttled", "consumer=inventory-erp", "times=1"},
		{"class=unknown", "consumer=inventory-erp", "times=1"}, {"class=throttled", "consumer=customer-erp", "times=1", "says=the ERP answered 503"},
		{"consumer=inventory-erp", "verdict=applied", "lines=3", "publish99=1000"}, {"consumer=inventory-erp", "verdict=duplicate", "lines=1"},
		{"consumer=customer-erp", "verdict=applied", "lines=1", "lag99=3000", "publish99=1000", "queue99=500", "guard99=20", "sink99=100"},
		{"consumer=customer-erp", "verdict=applied", "lines=1", "redrive=arn:aws:iam::123456789012:user/ada"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows:\n%s", len(got), strings.Join(got, "\n"))
	}
	for i, row := range want {
		for _, part := range row {
			if !strings.Contains(got[i]+" ", part+" ") {
				t.Errorf("%s, want %s", got[i], part)
			}
		}
	}
}
