package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/verdict"
)

// write makes a scenario whose files can be replaced one by one.
func write(t *testing.T, replace map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"a.json":        `{"id":"a-1","source":"s","detail-type":"T","detail":{}}`,
		"scenario.json": `{"title":"t","orgs":"00D5f000005KcCnEAK","steps":[{"send":"a.json"},{"wait":true},{"send":"a.json","name":"again"}]}`,
		"verdicts.json": `{"a":{"inventory-erp":"applied"},"again":{"inventory-erp":"duplicate"}}`,
		"billing.json":  `{}`,
		"erp.json":      `{}`,
		"receiver.json": `{}`,
		"queues.json":   `{"failure":[],"delivery":[]}`,
	}
	for name, text := range replace {
		files[name] = text
	}
	for name, text := range files {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	s, err := Load(write(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	first, again := s.Steps[0].event, s.Steps[2].event
	if first.ID != "a-1" || again.ID == "a-1" || len(again.ID) != 36 {
		t.Errorf("EventBridge ids %q and %q", first.ID, again.ID)
	}
	second, err := Load(write(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if second.Steps[2].event.ID != again.ID {
		t.Error("another id in another run")
	}
}

// Ours sends events from outside of its directory; their names are without it.
func TestOursLoads(t *testing.T) {
	s, err := Load("../../../../events/scenario")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Steps[0].Name; got != "01-account-create" {
		t.Errorf("the first step is called %q", got)
	}
	if _, err := Load("../../../../events/switch"); err != nil {
		t.Error(err)
	}
	if _, err := Load("../../../../events/outage"); err != nil {
		t.Error(err)
	}
}

func TestLoadNamesEveryMistake(t *testing.T) {
	for _, c := range []struct{ file, text, says string }{
		{"scenario.json", ``, "scenario.json is missing"},
		{"erp.json", ``, "erp.json is missing"},
		{"receiver.json", ``, "receiver.json is missing"},
		{"scenario.json", `{"steps":[{"sent":"a.json"}]}`, `unknown field "sent"`},
		{"scenario.json", `{"steps":[{}]}`, "say exactly one of send, pause, wait, sandbox, mode, run"},
		{"scenario.json", `{"steps":[{"mode":"both"}]}`, `no delivery mode is called "both"`},
		{"scenario.json", `{"steps":[{"send":"a.json","wait":true}]}`, "say exactly one"},
		{"scenario.json", `{"steps":[{"sandbox":"crm"}]}`, `no sandbox is called "crm"`},
		{"scenario.json", `{"steps":[{"send":"missing.json"}]}`, "missing.json"},
		{"scenario.json", `{"steps":[{"wait":true,"fill":1000}]}`, "a fill of 1000 bytes"},
		{"scenario.json", `{"steps":[{"send":"a.json","fill":1048577}]}`, "a fill of 1048577 bytes"},
		{"scenario.json", `{"steps":[{"send":"a.json","fill":1000}]}`, "a.json: an event of"},
		{"scenario.json", `{"steps":[{"send":"a.json"},{"send":"a.json"}]}`, `the name "a" is taken`},
		{"verdicts.json", `{"a":{}}`, `"again" has no entry`},
		{"verdicts.json", `{"a":{},"again":{},"b":{}}`, `no step is called "b"`},
		{"verdicts.json", `{"a":{"inventory-erp":"Applied"},"again":{}}`, "is no verdict"},
		{"queues.json", `{"lost":[]}`, `no queue is called "lost"`},
		{"queues.json", `{"failure":[{"event":"b"}]}`, `no step is called "b"`},
		{"queues.json", `{"failure":[{"evnt":"b"}]}`, `unknown field "evnt"`},
		{"a.json", `[]`, "the file holds no event"},
		{"a.json", `[{"id":"1"},{"id":"2"}]`, "holds 2 events"},
	} {
		_, err := Load(write(t, map[string]string{c.file: c.text}))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s = %s: error %v, want %q", c.file, c.text, err, c.says)
		}
	}
	_, err := Load(write(t, map[string]string{"verdicts.json": `{"b":{"x":"?"}}`}))
	for _, says := range []string{`"a" has no entry`, `"again" has no entry`, `no step is called "b"`, "is no verdict"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q beside the others", err, says)
		}
	}
}

// A verdict counts once for each subject, retries of an invocation because of
// another subject do not, and after parked comes the redrive.
func TestVerdictsOf(t *testing.T) {
	line := func(subject string, v verdict.Verdict, class verdict.Class) verdicts.Line {
		return verdicts.Line{EventID: "e", Consumer: "c", Subject: subject, Verdict: v, Class: class}
	}
	for _, c := range []struct {
		name  string
		lines []verdicts.Line
		left  []message
		want  string
		twice bool
	}{
		{name: "once", lines: []verdicts.Line{line("1", "applied", "")}, want: "applied"},
		{name: "three records", lines: []verdicts.Line{line("1", "applied", ""), line("2", "applied", ""), line("3", "stale", "")}, want: "2 applied, stale"},
		{name: "retries", lines: []verdicts.Line{line("1", "failed", "throttled"), line("1", "busy", "busy"), line("1", "applied", "")}, want: "applied"},
		{
			name: "a record is tried again because of another one",
			lines: []verdicts.Line{
				line("1", "applied", ""), line("2", "failed", "throttled"), line("1", "duplicate", ""), line("2", "applied", ""),
			},
			want: "2 applied",
		},
		{name: "redriven", lines: []verdicts.Line{line("1", "parked", "throttled"), line("1", "applied", "")}, want: "parked (throttled), applied"},
		{name: "run twice", lines: []verdicts.Line{line("1", "applied", ""), line("1", "duplicate", "")}, want: "applied", twice: true},
		{name: "another event", lines: []verdicts.Line{{EventID: "x", Consumer: "c", Verdict: "applied"}}, want: ""},
		{name: "another consumer", lines: []verdicts.Line{{EventID: "e", Consumer: "x", Verdict: "applied"}}, want: ""},
		{
			name: "no line with its id, but a message",
			left: []message{{queued: queued{Consumer: "c", Class: "permanent/missing-header", Form: "parked"}, eventID: "e"}},
			want: "parked (permanent/missing-header)",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &play{lines: c.lines, left: c.left}
			step := &Step{Name: "step"}
			step.event.ID = "e"
			got, _ := p.verdictsOf(step, "c")
			if summary(got) != c.want {
				t.Errorf("got %q, want %q", summary(got), c.want)
			}
			if twice := strings.Contains(fmt.Sprint(p.result.Mistakes), "delivered twice"); twice != c.twice {
				t.Errorf("mistakes %q", p.result.Mistakes)
			}
		})
	}
}

func TestCompareQueues(t *testing.T) {
	a := message{queued: queued{Consumer: "c", Class: "throttled", Form: "parked"}, queue: "failure", eventID: "e"}
	for _, c := range []struct {
		name string
		want []queued
		left []message
		says string
	}{
		{"as wanted", []queued{{Event: "step", Consumer: "c", Class: "throttled", Form: "parked"}}, []message{a}, ""},
		{"only the class is compared", []queued{{Class: "throttled"}}, []message{a}, ""},
		{"missing", []queued{{Event: "step"}}, nil, "failure queue: missing"},
		{"too much", nil, []message{a}, "failure queue: not expected"},
		{"another class", []queued{{Event: "step", Class: "unknown"}}, []message{a}, "failure queue: missing"},
		{"one is not two", []queued{{Event: "step"}}, []message{a, a}, "failure queue: not expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			step := Step{Send: "a.json", Name: "step"}
			step.event.ID = "e"
			p := &play{scenario: &Scenario{Steps: []Step{step}, queues: map[string][]queued{"failure": c.want}}, left: c.left}
			p.compareQueues()
			got := strings.Join(p.result.Mistakes, "\n")
			if (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
				t.Errorf("mistakes %q, want %q", got, c.says)
			}
		})
	}
}
