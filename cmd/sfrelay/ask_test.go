package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

// onAccounts are calls of the verbs that have the flags of an account. On the account of
// the tests those that change something have something to change.
var onAccounts = map[string][]string{
	"send":        {"send", "--aws", "../../events/34-inventory-first.json", "../../events/35-inventory-race-1.json"},
	"dlq list":    {"dlq", "list", "--aws"},
	"dlq show":    {"dlq", "show", "--aws", "aaaaaaaa"},
	"dlq redrive": {"dlq", "redrive", "--aws"},
	"dlq drop":    {"dlq", "drop", "--aws", "--class", "throttled", "--reason", "made up by the test"},
	"dlq export":  {"dlq", "export", "--aws", "FILE"},
	"status":      {"status", "--aws"},
	"tail":        {"tail", "--aws", "--for", "10ms"},
	"whoami":      {"whoami", "--aws"},
	"record":      {"record", "--aws", "stock/SKU-100@BER", "--link", "none", "--reason", "made up by the test"},
	"dlq import":  {"dlq", "import", "--aws", "testdata/export-1.jsonl"},
}

// verbsWith are the verbs that have the flag, and whether they have the other one.
func verbsWith(flag, other string) map[string]bool {
	found := map[string]bool{}
	var walk func(n *kong.Node, path string)
	walk = func(n *kong.Node, path string) {
		for _, c := range n.Children {
			verb := strings.TrimSpace(path + " " + c.Name)
			has := func(name string) bool {
				return slices.ContainsFunc(c.Flags, func(f *kong.Flag) bool { return f.Name == name })
			}
			if has(flag) {
				found[verb] = has(other)
			}
			walk(c, verb)
		}
	}
	var c commands
	walk(kong.Must(&c, kong.Vars{"version": ""}).Model.Node, "")
	return found
}

// called is one call of the program by somebody who types typed; nobody is there if it is
// "nobody".
func called(t *testing.T, typed string, args ...string) (code int, out, err string) {
	t.Helper()
	s, o, e := testScreen()
	if typed != nobody {
		s.In = terminal.Typed(strings.NewReader(typed))
	}
	code = run(t.Context(), args, s)
	return code, o.String(), e.String()
}

const (
	nobody   = "nobody"
	question = "Continue? [y/N] "
)

// A verb changes an account only after it asked: the account of the test counts the calls.
// One that is new has to stand in onAccounts, and has --yes if and only if it changes something.
func TestEveryVerbThatChangesAnAccountAsks(t *testing.T) {
	verbs := verbsWith("aws", "yes")
	if len(verbs) < 4 {
		t.Errorf("only %v have --aws", verbs)
	}
	for verb, hasYes := range verbs {
		if strings.HasPrefix(verb, "relay ") || verb == "doctor" {
			continue // they need an org too: TestRelayVerbsAsk
		}
		args := slices.Clone(onAccounts[verb])
		if i := slices.Index(args, "FILE"); i >= 0 {
			args[i] = filepath.Join(t.TempDir(), "file")
		}
		if args == nil {
			t.Errorf("%s works on an account and is not tried here", verb)
			continue
		}
		a := newAccount(t)
		code, _, said := called(t, nobody, args...)
		if len(a.changed()) > 0 {
			t.Errorf("%s changes the account without a question: %v", verb, a.changed())
		}
		if !hasYes {
			if code != done || strings.Contains(said, question) {
				t.Errorf("%s has no --yes, so it should only read: code %d, %s", verb, code, said)
			}
			continue
		}
		if code != wrongUse || !strings.Contains(said, "--yes") || len(a.calls()) != 1 {
			t.Errorf("%s, where nobody answers: code %d, %s, calls %v", verb, code, said, a.calls())
		}
		a = newAccount(t)
		if code, _, said := called(t, nobody, append(args, "--yes")...); code != done || len(a.changed()) == 0 || strings.Contains(said, question) {
			t.Errorf("%s --yes: code %d, changed %v, %s", verb, code, a.changed(), said)
		}
		for _, no := range []string{"n\n", "no\n", "\n", "", "y", "yep\n", "ny\n", "N\ny\n"} {
			a := newAccount(t)
			code, _, said := called(t, no, args...)
			if code != notDone || len(a.changed()) > 0 || !strings.HasSuffix(said, "Nothing was sent.\n") || strings.Count(said, question) != 1 {
				t.Errorf("%s, answered %q: code %d, changed %v, %s", verb, no, code, a.changed(), said)
			}
		}
		for _, yes := range []string{"y\n", "Y\r\n", " yes \n", "YES\n"} {
			a := newAccount(t)
			code, _, said := called(t, yes, args...)
			if code != done || len(a.changed()) == 0 || strings.Count(said, question) != 1 {
				t.Errorf("%s, answered %q: code %d, changed %v, %s", verb, yes, code, a.changed(), said)
			}
		}
	}
}

const sinksOfTheAccount = "account 123456789012, region eu-west-2, stack sfrelay, stage acceptance, org 00D5f000005KcCn\n" +
	"Stripe  api.stripe.com, with the key in the secret sfrelay/stripe-AbCdEf (the key decides between live and test)\n" +
	"ERP     erp.example:8443, with the key in the secret sfrelay/erp-AbCdEf\n"

// Before the question stands what it is about, whatever the form of the output.
func TestTheQuestionSaysWhatItIsAbout(t *testing.T) {
	for _, test := range []struct {
		args []string
		said string
	}{
		{onAccounts["send"], "2 events will be delivered to inventory-erp, which may write to the sinks above.\n"},
		{[]string{"send", "--aws", "--duplicate", "2", "../../events/34-inventory-first.json"}, "3 events will be delivered to inventory-erp, which may write to the sinks above.\n"},
		{onAccounts["dlq redrive"], "Up to 2 messages (queue: failure, delivery) will be handed to their consumers again, which may write to the sinks above, and deleted where they were taken.\n"},
		{[]string{"dlq", "redrive", "--aws", "--limit", "1", "--queue", "failure"}, "Up to 1 message (queue: failure) will be handed to their consumers again, which may write to the sinks above, and deleted where they were taken.\n"},
	} {
		for _, flags := range [][]string{nil, {"--json"}} {
			newAccount(t)
			args := append(slices.Clone(test.args), flags...)
			code, out, said := called(t, "n\n", args...)
			if want := sinksOfTheAccount + test.said + question + "Nothing was sent.\n"; code != notDone || said != want || out != "" {
				t.Errorf("%v: code %d\n%s\nwant\n%s\nstdout %q", args, code, said, want, out)
			}
		}
	}
}

// What a program reads holds no question, and what it does not need to answer says so too.
func TestYesSaysWhatIsDone(t *testing.T) {
	newAccount(t)
	_, out, said := called(t, nobody, "dlq", "redrive", "--aws", "--json", "--yes")
	if want := sinksOfTheAccount + "Every message that matches (queue: failure, delivery) will be handed to their consumers again, which may write to the sinks above, and deleted where they were taken.\n"; said != want {
		t.Errorf("%s\nwant\n%s", said, want)
	}
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("stdout has %q", line)
		}
	}
}

// answer is what somebody types after a while.
type answer func() string

func (a answer) Read(b []byte) (int, error) { return copy(b, a()), io.EOF }

// What comes into the queue while somebody thinks about the answer is left there.
func TestARedriveTakesNoMoreThanItAskedFor(t *testing.T) {
	a := newAccount(t)
	s, out, said := testScreen()
	s.In = terminal.Typed(io.MultiReader(answer(func() string { a.add("dddddddd-4444-4444-8444-444444444444"); return "y" }), strings.NewReader("\n")))
	if code := run(t.Context(), onAccounts["dlq redrive"], s); code != done || !strings.Contains(said.String(), "Up to 2 messages") || out.String() != "2 taken, 0 left, 0 refused, 0 parked again.\n" {
		t.Errorf("code %d, %s%s", code, said, out)
	}
}

// What only reads asks nothing, and what has nothing to do neither.
func TestWhereNothingIsChangedNobodyIsAsked(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"dlq", "redrive", "--aws", "--dry-run"}, "2 would be redriven, 0 refused."},
		{[]string{"dlq", "redrive", "--aws", "--class", "permanent", "--yes"}, "0 taken, 0 left, 0 refused, 0 parked again."},
	} {
		a := newAccount(t)
		code, out, said := called(t, nobody, test.args...)
		if code != done || len(a.changed()) > 0 || !strings.Contains(out, test.says) || strings.Contains(said, question) {
			t.Errorf("%v: code %d, changed %v, %s%s", test.args, code, a.changed(), out, said)
		}
	}
	a := newAccount(t)
	code, _, said := called(t, "", "dlq", "redrive", "--aws", "--class", "permanent")
	if code != done || len(a.changed()) > 0 || !strings.HasSuffix(said, "No message matches.\n") || strings.Contains(said, question) {
		t.Errorf("nothing matches: code %d, changed %v, %s", code, a.changed(), said)
	}
	a = newAccount(t)
	a.unmatched = true
	code, out, said := called(t, "", onAccounts["send"]...)
	if code != done || len(a.changed()) > 0 || strings.Count(out, "no rule takes it") != 2 || strings.Contains(said, question) {
		t.Errorf("no rule: code %d, changed %v, %s%s", code, a.changed(), out, said)
	}
}

func TestTheLocalStackAsksNothing(t *testing.T) {
	s, out, said := testScreen()
	err := s.ask(t.Context(), &account.Account{Where: "local stack, account 1"}, consent{}, false, func() (string, error) {
		t.Error("it plans")
		return "", nil
	})
	if err != nil || out.String() != "local stack, account 1\n" || said.Len() > 0 {
		t.Errorf("%v, %q, %q", err, out.String(), said.String())
	}
}

// Ctrl-C at the question is an answer too, and a plan that fails asks nothing.
func TestNothingIsAgreedToInSilence(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s, _, said := testScreen()
	r, w := io.Pipe()
	defer w.Close()
	s.In = terminal.Typed(r)
	at := &account.Account{Asks: true}
	if err := s.ask(ctx, at, consent{}, false, func() (string, error) { return "all", nil }); !errors.Is(err, errNo) || !strings.HasSuffix(said.String(), question+"\n") {
		t.Errorf("%v, %q", err, said.String())
	}
	broken := errors.New("no event bus")
	s, _, said = testScreen()
	if err := s.ask(t.Context(), at, consent{Yes: true}, false, func() (string, error) { return "", broken }); !errors.Is(err, broken) || strings.Contains(said.String(), question) {
		t.Errorf("%v, %q", err, said.String())
	}
}

// The mistakes of the command line are found before the question.
func TestAMistakeIsFoundBeforeTheQuestion(t *testing.T) {
	newAccount(t)
	for _, args := range [][]string{
		{"send", "--aws", filepath.Join(t.TempDir(), "missing.json")},
		{"dlq", "redrive", "--aws", "--consumer", "nobody"},
	} {
		if code, _, said := called(t, "y\n", args...); code == done || strings.Contains(said, question) {
			t.Errorf("%v: code %d, %s", args, code, said)
		}
	}
}
