package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/scenario"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

func testScreen() (s *screen, out, err *bytes.Buffer) {
	out, err = new(bytes.Buffer), new(bytes.Buffer)
	return &screen{terminal.To(out), terminal.To(err)}, out, err
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		says string // somewhere
	}{
		{[]string{"--version"}, done, "sfrelay " + version},
		{[]string{"version"}, done, "sfrelay " + version},
		{[]string{"--help"}, done, "completion"},
		{[]string{"dlq", "list", "--help"}, done, "--class"},
		{[]string{"explain", "../../events/04-account-update-phone.json"}, done, "customer-erp"},
		{[]string{"completion", "bash"}, done, "complete -o default -F _sfrelay sfrelay"},

		{[]string{"explain", "../../events/04-account-update-phone.json", "--orgs", "00D5f000005KcCZEA0"}, notDone, "org"},
		{[]string{"explain", "nowhere.json"}, notDone, "nowhere.json"},
		{[]string{"dlq", "list", "--stack-dir", "nowhere"}, notDone, "make up"},

		{nil, wrongUse, "See: sfrelay --help"},
		{[]string{"dlq", "lst"}, wrongUse, `did you mean "list"?`},
		{[]string{"dlq", "list", "--queue", "x"}, wrongUse, "See: sfrelay dlq list --help"},
		{[]string{"explain", "../../events/04-account-update-phone.json", "--orgs", "x"}, wrongUse, "See: sfrelay explain --help"},
		{[]string{"completion", "cmd"}, wrongUse, "bash"},
	} {
		s, out, err := testScreen()
		if code := run(t.Context(), test.args, s); code != test.code {
			t.Errorf("%q: code %d, want %d", test.args, code, test.code)
		}
		if said := out.String() + err.String(); !strings.Contains(said, test.says) {
			t.Errorf("%q: %q is not in\n%s", test.args, test.says, said)
		}
		if test.code != done && err.Len() == 0 {
			t.Errorf("%q: no word on stderr", test.args)
		}
	}
}

func TestSendIsNotDoneWhenSomethingIsParked(t *testing.T) {
	line := func(subject string, v verdict.Verdict) verdicts.Line {
		return verdicts.Line{EventID: "e", Consumer: "c", Subject: subject, Verdict: v}
	}
	for _, test := range []struct {
		want  int
		lines []verdicts.Line
	}{
		{0, nil},
		{0, []verdicts.Line{line("a", verdict.Failed), line("a", verdict.Applied), line("b", verdict.Duplicate)}},
		{1, []verdicts.Line{line("a", verdict.Applied), line("b", verdict.Parked)}},
		{2, []verdicts.Line{line("a", verdict.Failed), line("b", verdict.Zombie)}},
	} {
		if got := notApplied(test.lines); got != test.want {
			t.Errorf("%v: %d, want %d", test.lines, got, test.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	for words, want := range map[string]string{
		"":                                 "run send explain stack dlq sandbox version completion",
		"dl":                               "dlq",
		"dlq ":                             "list show redrive",
		"dlq list --queue ":                "failure delivery all",
		"dlq list --cl":                    "--class",
		"dlq list --class ":                "", // any
		"dlq --aws re":                     "redrive",
		"completion ":                      "bash zsh fish",
		"send --bus list x.json --shuff":   "--shuffle",
		"explain ":                         "",
		"dlq list --consumer show --queu":  "--queue",
		"stack up --mode b":                "buffered",
		"dlq list --queue delivery --limi": "--limit",
	} {
		s, out, _ := testScreen()
		if code := run(t.Context(), append([]string{completeVerb}, strings.Split(words, " ")...), s); code != done {
			t.Errorf("%q: code %d", words, code)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}

// hostile is what an event may say: it would set a title, clear the screen, turn the text
// around and write a line of its own.
const hostile = "\x1b]0;x\a\x1b[2J\u202e\u202a\u2066\u2069\u200e\u200f\u061c\u009b2J\u2028\x7f\x00\xff\r\nforged\trow"

// Whatever a text verb prints has passed the one printer.
func TestNoValueReachesTheTerminalUnescaped(t *testing.T) {
	message := deadletter.Message{
		ID: hostile, Queue: deadletter.Queue{Name: hostile}, Form: transport.Form(hostile), Consumer: hostile, Target: hostile,
		Class: verdict.Class(hostile), Reason: hostile + strings.Repeat("x", 300),
		Events: []deadletter.Event{{DetailType: hostile, Identity: hostile, Subjects: []string{hostile, hostile, hostile}, Refused: hostile, JSON: []byte(hostile)}},
	}
	valid := message
	valid.Events = []deadletter.Event{{JSON: []byte("{\"a\": \"\u202e\u009b\x7f\"}")}}
	delivery := bus.Delivery{EventID: hostile, Target: hostile, Outcome: bus.Dropped, Code: hostile, Reason: hostile}
	line := verdicts.Line{EventID: hostile, Consumer: hostile, Subject: hostile, Verdict: hostile, Class: hostile, Error: hostile}
	event, err := os.ReadFile("../../events/04-account-update-phone.json")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(hostile)
	replaced := func(old string) []byte { return bytes.ReplaceAll(event, []byte(`"`+old+`"`), text) }
	for name, say := range map[string]func(*screen){
		"dlq list":       func(s *screen) { new(dlqListCommand).write(s.Out, []deadletter.Message{message, message}, time.Now()) },
		"dlq show":       func(s *screen) { (&dlqShowCommand{}).show(s.Out, testQueues, message) },
		"dlq show, JSON": func(s *screen) { (&dlqShowCommand{}).show(s.Out, testQueues, valid) },
		"dlq redrive":    func(s *screen) { new(dlqRedriveCommand).wouldRedrive(testQueues, []deadletter.Message{message}, s) },
		"send":           func(s *screen) { (&sending{sendCommand: &sendCommand{}, screen: s}).print(delivery) },
		"send --wait": func(s *screen) {
			_ = (&sending{sendCommand: &sendCommand{}, screen: s}).printVerdicts([]verdicts.Line{line})
		},
		"explain, name": func(s *screen) {
			s.Err.Error("sfrelay", orNone(explainAll(s, replaced("AccountChangeEvent"), nil, false)))
		},
		"explain, field": func(s *screen) { s.Err.Error("sfrelay", orNone(explainAll(s, replaced("Phone"), nil, false))) },
		"explain, type":  func(s *screen) { s.Err.Error("sfrelay", orNone(explainAll(s, replaced("UPDATE"), nil, false))) },
		"explain, id": func(s *screen) {
			s.Err.Error("sfrelay", orNone(explainAll(s, replaced("c0000000-0000-4000-8000-000000000004"), nil, false)))
		},
		"explain, not JSON":   func(s *screen) { s.Err.Error("sfrelay", orNone(explainAll(s, []byte(hostile), nil, false))) },
		"stack":               func(s *screen) { describe(s.Out, &stack.Stack{Endpoint: hostile, EventBus: hostile, ERPURL: hostile}) },
		"run, what differs":   func(s *screen) { s.Err.Error("sfrelay", differs{hostile, hostile}) },
		"a mistyped argument": func(s *screen) { run(t.Context(), []string{hostile}, s) },
		"where":               func(s *screen) { s.where(hostile, false) },
		"run": func(s *screen) {
			r := scenario.Result{Consumers: []string{"c"}, Rows: []scenario.Row{{
				Say: hostile, What: hostile, Name: hostile, Verdicts: map[string]scenario.Cell{"c": {Text: hostile, Wrong: true}},
			}}}
			_ = json.Unmarshal([]byte(`{"customers":[{"name":`+string(text)+`,"phone":`+string(text)+`}]}`), &r.Billing)
			_ = json.Unmarshal([]byte(`{"records":[{"kind":`+string(text)+`,"key":`+string(text)+`}]}`), &r.ERP)
			r.Print(s.Out)
		},
	} {
		s, out, errors := testScreen()
		say(s)
		said := out.String() + errors.String()
		// A refusal quotes no value.
		if said == "" || !strings.Contains(strings.ReplaceAll(said, "\n", ""), `\u`) && !strings.HasPrefix(said, "sfrelay: invalid-") && !strings.HasPrefix(said, "sfrelay: entity-mismatch") {
			t.Errorf("%s: the values are not in %q", name, said)
		}
		if !utf8.ValidString(said) {
			t.Errorf("%s: not UTF-8: %q", name, said)
		}
		if i := strings.IndexFunc(said, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
			t.Errorf("%s: %q", name, said[i:])
		}
		if lines := strings.Split(said, "\n"); slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "forged") }) {
			t.Errorf("%s has a line that is not there:\n%s", name, said)
		}
	}
}

type none struct{}

func (none) Error() string { return "none" }

func orNone(err error) error {
	if err == nil {
		return none{}
	}
	return err
}

func TestShowRaw(t *testing.T) {
	s, out, _ := testScreen()
	if err := showRaw(s.Out, deadletter.Message{Events: []deadletter.Event{{JSON: []byte(hostile)}}}); err != nil || out.String() != hostile+"\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestWhatMachinesReadStandsAlone(t *testing.T) {
	for _, asJSON := range []bool{true, false} {
		s, out, err := testScreen()
		s.where("account 1", asJSON)
		if (out.Len() == 0) != asJSON || (err.Len() == 0) == asJSON {
			t.Errorf("--json %v: %q on stdout, %q on stderr", asJSON, out.String(), err.String())
		}
	}
}
