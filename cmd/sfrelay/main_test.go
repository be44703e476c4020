package main

import (
	"bytes"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

func testScreen() (s *screen, out, err *bytes.Buffer) {
	out, err = new(bytes.Buffer), new(bytes.Buffer)
	return &screen{Out: terminal.To(out), Err: terminal.To(err)}, out, err
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
		{[]string{"run", "--scenario", "../../events/scenario", "--delay", "1001ms"}, wrongUse, "write e.g. 300ms"},
		{[]string{"bulk", "--records", "201"}, wrongUse, "--records from 1 to 200"},
		{[]string{"bulk", "--events", "0"}, wrongUse, "--events from 1 to 1000"},
		{[]string{"sandbox", "--delay", "3"}, wrongUse, "write e.g. 300ms"},
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
		"":                                 "run bulk send explain stack dlq record status tail sinks whoami relay doctor sandbox version completion",
		"dl":                               "dlq",
		"dlq ":                             "list show redrive drop export import",
		"dlq list --queue ":                "failure delivery all",
		"dlq list --cl":                    "--class",
		"dlq list --class ":                "", // any
		"dlq --aws re":                     "redrive",
		"completion ":                      "bash zsh fish",
		"send --bus list x.json --shuff":   "--shuffle",
		"explain ":                         "",
		"dlq list --consumer show --queu":  "--queue --queue-url",
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
