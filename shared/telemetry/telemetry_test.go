package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

var at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var line = telemetry.Line{
	Consumer: "customer-erp", EventKey: "key", IdentityFrom: "cdc", EventID: "e1", DetailType: "AccountChangeEvent",
	Subject: "Account/0015f00002J9YYEAA3", RecordVersion: "01a2031fbb88183943a50911bc8100012f878633", Verdict: "applied",
	Attempt: 2, Epoch: 1795348800001, InDoubt: true, Form: "event", At: at,
	Lag: 1500 * time.Millisecond, Sink: 12 * time.Millisecond, GuardRequests: 2,
}

func ExampleLog_Write() {
	log := telemetry.New(os.Stdout, "sfrelay", slog.LevelInfo)
	log.Write(telemetry.Line{
		Consumer: "inventory-erp", EventKey: "f0000000-0000-4000-8000-00000000000a", IdentityFrom: "detail.id",
		Subject: "stock/A-1@BER", Verdict: "duplicate", EventID: "e1", DetailType: "Inventory_Update__e",
		At: at, Lag: -1, GuardRequests: 1,
	})
	// Output:
	// {"time":"2026-11-22T12:00:00Z","level":"INFO","msg":"change","service":"sfrelay","consumer":"inventory-erp","eventKey":"f0000000-0000-4000-8000-00000000000a","identityFrom":"detail.id","subject":"stock/A-1@BER","recordVersion":"","verdict":"duplicate","attempt":0,"epoch":0,"lagMs":0,"sinkMs":0,"class":"","error":"","eventId":"e1","detailType":"Inventory_Update__e","guardRequests":1,"changes":1,"_aws":{"Timestamp":1795348800000,"CloudWatchMetrics":[{"Namespace":"sfrelay","Dimensions":[["service","consumer","verdict"]],"Metrics":[{"Name":"changes","Unit":"Count"}]},{"Namespace":"sfrelay","Dimensions":[["service","consumer"]],"Metrics":[{"Name":"guardRequests","Unit":"Count"}]}]}}
}

func written(t *testing.T, level slog.Level, l telemetry.Line) map[string]any {
	t.Helper()
	var out bytes.Buffer
	telemetry.New(&out, "sfrelay", level).Write(l)
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// metrics are name to unit, and the dimensions they are counted by.
func metrics(t *testing.T, m map[string]any) map[string]string {
	t.Helper()
	b, _ := json.Marshal(m["_aws"])
	var aws struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	if err := json.Unmarshal(b, &aws); err != nil {
		t.Fatal(err)
	}
	if aws.Timestamp != 1795348800000 {
		t.Errorf("timestamp %d", aws.Timestamp)
	}
	all := map[string]string{}
	for _, d := range aws.CloudWatchMetrics {
		var by []string
		for _, names := range d.Dimensions {
			by = append(by, strings.Join(names, ", "))
		}
		for _, x := range d.Metrics {
			all[x.Name] = x.Unit + " by " + strings.Join(by, " and ")
			if _, ok := m[x.Name].(float64); !ok {
				t.Errorf("metric %s is no number of the line", x.Name)
			}
		}
		for _, name := range slices.Concat(d.Dimensions...) {
			if s, ok := m[name].(string); !ok || s == "" {
				t.Errorf("dimension %s is no text of the line: CloudWatch drops the metric", name)
			}
		}
	}
	return all
}

func TestFieldsOfTheLine(t *testing.T) {
	m := written(t, slog.LevelInfo, line)
	for name, want := range map[string]any{
		"service": "sfrelay", "consumer": "customer-erp", "eventKey": "key", "identityFrom": "cdc",
		"subject": "Account/0015f00002J9YYEAA3", "recordVersion": "01a2031fbb88183943a50911bc8100012f878633",
		"verdict": "applied", "attempt": 2.0, "epoch": 1795348800001.0, "lagMs": 1500.0, "sinkMs": 12.0, "class": "", "error": "",
		"eventId": "e1", "detailType": "AccountChangeEvent", "form": "event", "inDoubt": true, "guardRequests": 2.0, "changes": 1.0,
		"level": "INFO",
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
}

func TestMetrics(t *testing.T) {
	equal := func(what string, got, want map[string]string) {
		t.Helper()
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if !bytes.Equal(a, b) {
			t.Errorf("%s:\ngot  %s\nwant %s", what, a, b)
		}
	}
	const perVerdict, consumer, alarming = "Count by service, consumer, verdict", " by service, consumer", " by service and service, consumer"
	l := line
	l.EpochRaised, l.Waited, l.Class = true, 90*time.Minute, "auth"
	equal("all", metrics(t, written(t, slog.LevelInfo, l)), map[string]string{
		"changes": perVerdict, "guardRequests": "Count" + consumer,
		"sinkMs": "Milliseconds" + consumer, "waitedMs": "Milliseconds" + alarming, "credentialsRefused": "Count" + alarming, "epochRaised": "Count" + consumer,
	})
	once := line
	for _, v := range []verdict.Verdict{"applied", "partly-stale"} {
		once.Verdict = v
		equal(string(v), metrics(t, written(t, slog.LevelInfo, once)), map[string]string{
			"changes": perVerdict, "guardRequests": "Count" + consumer, "lagMs": "Milliseconds" + consumer, "sinkMs": "Milliseconds" + consumer,
		})
	}
	// What came twice, was redriven or waited is late for another reason. Its line has the lag.
	for name, change := range map[string]func(*telemetry.Line){
		"duplicate": func(l *telemetry.Line) { l.Verdict = "duplicate" }, "parked": func(l *telemetry.Line) { l.Verdict = "parked" },
		"redriven": func(l *telemetry.Line) { l.Redrive = "redrive-function" }, "waited": func(l *telemetry.Line) { l.Waited = time.Minute },
		"replayed": func(l *telemetry.Line) { l.Form = string(transport.Replay) },
	} {
		late := line
		change(&late)
		m := written(t, slog.LevelInfo, late)
		if got := metrics(t, m); got["lagMs"] != "" || m["lagMs"] != 1500.0 {
			t.Errorf("%s: %v, %v", name, got, m["lagMs"])
		}
	}
	// What was not measured is not counted as zero.
	l.EpochRaised, l.Lag, l.Sink, l.Waited, l.Class = false, -1, 0, 0, "throttled"
	equal("no lag, no sink", metrics(t, written(t, slog.LevelInfo, l)), map[string]string{"changes": perVerdict, "guardRequests": "Count" + consumer})
	l.GuardRequests = 0
	equal("ignored", metrics(t, written(t, slog.LevelInfo, l)), map[string]string{"changes": perVerdict})
}

// A line names its stage, if it knows one; one that is about no change has metrics as well.
func TestStageAndMeasures(t *testing.T) {
	if m := written(t, slog.LevelInfo, line); m["stage"] != nil {
		t.Errorf("stage %v", m["stage"])
	}
	var out bytes.Buffer
	log := telemetry.New(&out, "sfrelay", slog.LevelError).InStage("test")
	log.Write(line)
	log.Measured(at, slog.LevelInfo, "relay", []slog.Attr{slog.String("relay", "Sfrelay_Events")}, []telemetry.Measure{
		{"relayDown", "Count", 1, [][]string{{"service"}, {"service", "relay"}}}, {"relayLagMs", "Milliseconds", 1500, [][]string{{"service", "relay"}}},
	})
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines)-1, out.String())
	}
	var m map[string]any
	for _, l := range lines[:2] {
		m = nil
		if err := json.Unmarshal([]byte(l), &m); err != nil || m["stage"] != "test" {
			t.Errorf("%v: %s", err, l)
		}
	}
	if m["msg"] != "relay" || m["service"] != "sfrelay" || m["relayDown"] != 1.0 || m["relayLagMs"] != 1500.0 {
		t.Errorf("%v", m)
	}
	got, _ := json.Marshal(metrics(t, m))
	if string(got) != `{"relayDown":"Count by service and service, relay","relayLagMs":"Milliseconds by service, relay"}` {
		t.Errorf("%s", got)
	}
}

func TestTheLineIsWrittenAtEveryLevel(t *testing.T) {
	for v, want := range map[verdict.Verdict]string{"applied": "INFO", "stale": "INFO", "busy": "INFO", "failed": "WARN", "parked": "WARN", "zombie": "WARN"} {
		l := line
		l.Verdict = v
		if m := written(t, slog.LevelError, l); m["level"] != want {
			t.Errorf("%s: level %v, want %s", v, m["level"], want)
		}
	}
}

// racy notices writes of parts of lines, and the race detector two at a time.
type racy struct{ broken bool }

func (r *racy) Write(p []byte) (int, error) {
	r.broken = r.broken || !bytes.HasSuffix(p, []byte("}\n"))
	return len(p), nil
}

func TestConcurrentLinesStayWhole(t *testing.T) {
	w := &racy{}
	log := telemetry.New(w, "sfrelay", slog.LevelInfo)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				log.Write(line)
			}
		})
	}
	all.Wait()
	if w.broken {
		t.Error("a line came in parts")
	}
}
