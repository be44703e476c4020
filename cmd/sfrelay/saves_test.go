package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/shared/relay"
	"sfrelay/shared/sandbox/door"
)

// running is the local stack of STACK_DIR, on which make e2e runs tests.
func running(t *testing.T) *stack.Stack {
	t.Helper()
	dir := os.Getenv("STACK_DIR")
	if dir == "" {
		t.Skip("STACK_DIR names no stack; make e2e runs this")
	}
	s, err := stack.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// saver writes into the org of a local stack, as any client of its REST API does.
type saver struct {
	*testing.T
	s     *stack.Stack
	token string
}

func newSaver(t *testing.T, s *stack.Stack) *saver {
	t.Helper()
	w := &saver{T: t, s: s}
	w.token = string(w.at("POST", s.OrgURL+"/_sandbox/session", ""))
	return w
}

func (w *saver) at(method, address, body string) []byte {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set(door.KeyHeader, w.s.SandboxKey)
	r.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		w.Fatalf("%s %s: %s, %s, %v", method, address, resp.Status, text, err)
	}
	return text
}

func (w *saver) rest(method, path, body string) {
	w.Helper()
	w.at(method, w.s.OrgURL+"/services/data/v66.0/sobjects/"+path, body)
}

// holds waits until a sink holds a text, for two minutes at most.
func (w *saver) holds(sink, address, text string) {
	w.Helper()
	const tries, pause = 400, 300 * time.Millisecond
	for range tries {
		if w.has(address, text) {
			return
		}
		time.Sleep(pause)
	}
	w.Errorf("%s does not hold %q", sink, text)
}

func (w *saver) has(address, text string) bool {
	return bytes.Contains(w.at("GET", address+"/_sandbox/state", ""), []byte(text))
}

// A record that is saved in the org, and an event that is published there, reach both sinks:
// through the relays, the buses and the rules of the local stack.
func TestASaveInTheOrgArrives(t *testing.T) {
	s := running(t)
	w := newSaver(t, s)
	for _, args := range [][]string{{"doctor"}, {"relay", "status"}} {
		code, out, said := called(t, nobody, append(args, "--stack-dir", os.Getenv("STACK_DIR"))...)
		if code != done || args[0] == "relay" && strings.Count(out, "wanted RUN, is RUNNING; source ACTIVE") != 2 {
			t.Errorf("%v: code %d\n%s%s", args, code, out, said)
		}
	}
	const account = "0015f0000200003AAA"
	saved, published := fmt.Sprintf("+49 30 %d", time.Now().UnixNano()%1e8), fmt.Sprintf("+49 40 %d", time.Now().UnixNano()%1e8)
	w.rest("PATCH", "Account/"+account, `{"Phone":"`+saved+`"}`)
	w.holds("the ERP", s.ERPURL, saved)
	w.holds("Stripe", s.StripeURL, saved)
	at := time.Now().UTC().Add(time.Second).Format("2006-01-02T15:04:05.000Z")
	w.rest("POST", "Cloud_Customer_Sync__e", `{"Record_Id__c":"`+account+`","Operation__c":"UPSERT","Record_Modified_At__c":"`+at+`","Name__c":"Gamma Example Ltd","Status__c":"Active","Phone__c":"`+published+`"}`)
	w.holds("the ERP", s.ERPURL, published)
	w.holds("Stripe", s.StripeURL, published)
	code, out, said := called(t, nobody, "relay", "status", "--stack-dir", os.Getenv("STACK_DIR"))
	if code != done || strings.Count(out, "last event 20") != 2 {
		t.Errorf("%s%s", out, said)
	}
}

// Two stacks of two orgs stand side by side. What one org says arrives in its own stack only,
// and what comes on another's bus all the same is parked there.
func TestTwoOrgs(t *testing.T) {
	a := running(t)
	const other = "00D000000000001EAA"
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, program := filepath.Join(t.TempDir(), "b"), filepath.Join(root, "dist", "sfrelay")
	b, err := stack.Up(t.Context(), stack.Options{Dir: dir, Root: root, Orgs: other, Log: io.Discard, Sandbox: []string{program, "sandbox", "--json"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stack.Down(t.Context(), dir); err != nil {
			t.Error(err)
		}
	}()
	ofA, ofB := newSaver(t, a), newSaver(t, b)
	phone := fmt.Sprintf("+49 50 %d", time.Now().UnixNano()%1e8)
	ofB.rest("PATCH", "Account/0015f0000200001AAA", `{"Phone":"`+phone+`"}`)
	ofB.holds("the ERP of the other org", b.ERPURL, phone)

	var events []json.RawMessage
	if err := json.Unmarshal(ofB.at("GET", b.OrgURL+"/_sandbox/events", ""), &events); err != nil || len(events) != 1 || !bytes.Contains(events[0], []byte("/"+other+"/")) {
		t.Fatalf("%s, %v", events, err)
	}
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, events[0], 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, said := called(t, nobody, "send", file, "--bus", a.ChangeBus, "--wait", "--stack-dir", os.Getenv("STACK_DIR"))
	if code != notDone || strings.Count(out+said, "foreign-org") == 0 {
		t.Errorf("code %d\n%s%s", code, out, said)
	}
	if ofA.has(a.ERPURL, phone) || ofA.has(a.StripeURL, phone) {
		t.Error("the sinks of the one org hold what the other said")
	}
	_, list, _ := called(t, nobody, "dlq", "list", "--class", "permanent/foreign-org", "--stack-dir", os.Getenv("STACK_DIR"))
	if !strings.Contains(list, "customer-erp") || !strings.Contains(list, other) {
		t.Errorf("%s", list)
	}
}

// monitor runs the relay monitor of a stack, and returns its lines of this run by relay.
func (w *saver) monitor() map[string]map[string]any {
	w.Helper()
	cfg, err := w.s.Config(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	names := map[string]string{}
	for _, id := range []string{"RelayMonitor", "RelayMonitorLogs"} {
		out, err := cloudformation.NewFromConfig(cfg).DescribeStackResource(w.Context(), &cloudformation.DescribeStackResourceInput{StackName: aws.String(stack.Name), LogicalResourceId: &id})
		if err != nil {
			w.Fatal(err)
		}
		names[id] = *out.StackResourceDetail.PhysicalResourceId
	}
	since := time.Now()
	if out, err := lambda.NewFromConfig(cfg).Invoke(w.Context(), &lambda.InvokeInput{FunctionName: aws.String(names["RelayMonitor"])}); err != nil || out.FunctionError != nil {
		w.Fatalf("%+v, %v", out, err)
	}
	logs := cloudwatchlogs.NewFromConfig(cfg)
	const tries, pause = 300, 200 * time.Millisecond
	for range tries {
		lines := map[string]map[string]any{}
		out, err := logs.FilterLogEvents(w.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(names["RelayMonitorLogs"]), StartTime: aws.Int64(since.UnixMilli())})
		if err != nil {
			w.Fatal(err)
		}
		for _, e := range out.Events {
			var line map[string]any
			if json.Unmarshal([]byte(aws.ToString(e.Message)), &line) == nil && line["msg"] == "relay" {
				at, _ := time.Parse(time.RFC3339, fmt.Sprint(line["time"]))
				if !at.Before(since) {
					lines[fmt.Sprint(line["relay"])] = line
				}
			}
		}
		if len(lines) == len(relay.Kinds) {
			return lines
		}
		time.Sleep(pause)
	}
	w.Fatal("the monitor left no line for each relay")
	return nil
}

// The commands work on the relays of a stack that runs, and its monitor sees what they did.
func TestTheRelaysOfTheStack(t *testing.T) {
	w := newSaver(t, running(t))
	do := func(want int, words ...string) string {
		t.Helper()
		code, out, said := called(t, nobody, append(words, "--stack-dir", os.Getenv("STACK_DIR"))...)
		if code != want {
			t.Fatalf("%v: code %d, want %d\n%s%s", words, code, want, out, said)
		}
		return out
	}
	if out := do(done, "relay", "verify", "--timeout", "60s"); strings.Count(out, "  probe\n") != 4 {
		t.Errorf("verify: %s", out)
	}
	sees := func(down, announced float64) {
		t.Helper()
		for name, line := range w.monitor() {
			if line["relayDown"] != down || line["relayAnnounced"] != announced {
				t.Errorf("%s: %v, want down %v, announced %v", name, line, down, announced)
			}
		}
	}
	sees(0, 0)
	do(done, "relay", "pause")
	sees(1, 0)
	do(notDone, "doctor")
	do(done, "relay", "pause", "--for", "2h", "--reason", "move of the ERP")
	sees(0, 1)
	do(done, "relay", "start")
	sees(0, 0)
	do(done, "doctor")
}
