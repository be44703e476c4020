package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/doctor"
	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/cmd/sfrelay/internal/relayverify"
	"sfrelay/cmd/sfrelay/internal/scenario"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/guard"
	"sfrelay/shared/relay"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// hostile is what an event may say: it would set a title, clear the screen, turn the text
// around and write a line of its own.
const hostile = "\x1b]0;x\a\x1b[2J\u202e\u202a\u2066\u2069\u200e\u200f\u061c\u009b2J\u2028\u2029\x7f\x00\xff\r\nforged\trow"

// harmless takes the place of hostile where lines are counted.
const harmless = "xyz"

// dangerous are the characters that no text may have: those of ECMA-48 (C0, C1), DEL,
// Unicode's bidirectional controls (UAX #9, 2) and its line and paragraph separators.
func dangerous(r rune) bool {
	return r != '\n' && r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 ||
		slices.Contains([]rune{0x200e, 0x200f, 0x061c, 0x2028, 0x2029}, r)
}

// texts are the text verbs over a value that others wrote: what each prints of it.
var texts = map[string]func(t *testing.T, s *screen, value string){
	"dlq list": func(t *testing.T, s *screen, value string) {
		new(dlqListCommand).groups(s.Out, []deadletter.Message{messageOf(value)}, time.Now())
	},
	"dlq list --all": func(t *testing.T, s *screen, value string) {
		new(dlqListCommand).each(s.Out, []deadletter.Message{messageOf(value)}, time.Now())
	},
	"dlq list, from the queue": func(t *testing.T, s *screen, value string) {
		new(dlqListCommand).groups(s.Out, read(t, value), time.Now())
	},
	"dlq list, incomplete": func(t *testing.T, s *screen, value string) {
		new(dlqListCommand).incomplete(s.Err, &deadletter.Reading{
			Counts: []deadletter.Count{{Queue: deadletter.Queue{Name: value}, Known: true, Visible: 1, InFlight: 1}}, Warnings: []error{errors.New(value)},
		}, false)
	},
	"dlq show": func(t *testing.T, s *screen, value string) {
		(&dlqShowCommand{}).show(s.Out, testQueues, messageOf(value), []string{value})
	},
	"dlq show, from the queue": func(t *testing.T, s *screen, value string) {
		for _, m := range read(t, value) {
			(&dlqShowCommand{}).show(s.Out, testQueues, m, nil)
		}
	},
	"dlq redrive": func(t *testing.T, s *screen, value string) {
		r := (&dlqRedriveCommand{All: true}).reporter(s)
		r.add(deadletter.Result{Message: messageOf(value), Outcome: deadletter.Left, Reason: value, Class: value})
	},
	"dlq redrive, by cause": func(t *testing.T, s *screen, value string) {
		r := new(dlqRedriveCommand).reporter(s)
		r.add(deadletter.Result{Message: messageOf(value), Outcome: deadletter.Left, Reason: value, Class: value})
		r.flush()
	},
	"dlq redrive, from the queue": func(t *testing.T, s *screen, value string) {
		err := new(dlqRedriveCommand).redrive(t.Context(), queuesOf(value), deadletter.Filter{}, value, s)
		s.Err.Error("sfrelay", orNone(err))
	},
	"dlq drop": func(t *testing.T, s *screen, value string) {
		write := func(context.Context, ...audit.Line) error { return errors.New(value) }
		s.Err.Error("sfrelay", orNone(new(dlqDropCommand).drop(t.Context(), queuesOf(value), deadletter.Query{}, write, s)))
	},
	"dlq import": func(t *testing.T, s *screen, value string) {
		_, err := imported([]byte(`{"sfrelay":1,"message":"`+"x"+`","body":"x","consumer":`+quoted(value)+`}`), nil)
		s.Err.Error("sfrelay", orNone(err))
	},
	"record": func(t *testing.T, s *screen, value string) {
		h := holding{Subject: value, Org: value, Key: value, Item: guard.Item{Exists: true, Link: value, Class: verdict.Class(value), Status: guard.Retry}}
		h.Name = value
		line := verdicts.Line{Consumer: value, Subject: value, EventID: value, DetailType: value, Verdict: verdict.Parked, Class: verdict.Class(value), Error: value,
			Fields: []string{value}, Stale: []string{value}, Redrive: value}
		_ = (&recordCommand{}).print(s, []holding{h}, []verdicts.Line{line}, time.Now())
	},
	"status": func(t *testing.T, s *screen, value string) {
		var counts []deadletter.Count
		for range 3 {
			counts = append(counts, deadletter.Count{Queue: deadletter.Queue{Name: value}, Known: true, Visible: 1})
		}
		new(statusCommand).print(s.Out, counts, []verdicts.Line{{Consumer: value, Verdict: verdict.Parked}})
	},
	"tail": func(t *testing.T, s *screen, value string) {
		new(tailCommand).print(s.Out, verdicts.Line{Consumer: value, Subject: value, Verdict: verdict.Verdict(value), Error: value})
	},
	"sinks": func(t *testing.T, s *screen, value string) {
		for _, sink := range []string{"billing", "erp", "receiver"} {
			text := `[{"name":` + quoted(value) + `,"phone":` + quoted(value) + `,"kind":` + quoted(value) + `,"key":` + quoted(value) + `}]`
			if err := scenario.PrintSink(s.Out, sink, []byte(`{"customers":`+text+`,"records":`+text+`,"messages":`+text+`}`)); err != nil {
				t.Error(err)
			}
		}
	},
	"send": func(t *testing.T, s *screen, value string) {
		(&sending{sendCommand: &sendCommand{}, screen: s}).print(bus.Delivery{EventID: value, Target: value, Outcome: bus.Dropped, Code: value, Reason: value})
	},
	"send --wait": func(t *testing.T, s *screen, value string) {
		line := verdicts.Line{EventID: value, Consumer: value, Subject: value, Verdict: verdict.Verdict(value), Class: verdict.Class(value), Error: value}
		_ = (&sending{sendCommand: &sendCommand{}, screen: s}).printVerdicts([]verdicts.Line{line})
	},
	"explain": func(t *testing.T, s *screen, value string) {
		event, err := os.ReadFile("../../events/04-account-update-phone.json")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(value)
		for _, old := range []string{"c0000000-0000-4000-8000-000000000004", "0000be70-a756-e601-9202-000000000004"} {
			if !bytes.Contains(event, []byte(`"`+old+`"`)) {
				t.Fatalf("%q is not in the event", old)
			}
			event = bytes.ReplaceAll(event, []byte(`"`+old+`"`), text)
		}
		s.Err.Error("sfrelay", orNone(explainAll(s, event, nil, false)))
	},
	"run": func(t *testing.T, s *screen, value string) {
		r := scenario.Result{Consumers: []string{"c"}, Rows: []scenario.Row{{
			Say: value, What: value, Name: value, Verdicts: map[string]scenario.Cell{"c": {Text: value, Wrong: true}},
		}}}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(`{"customers":[{"name":`+string(text)+`,"phone":`+string(text)+`}]}`), &r.Billing)
		_ = json.Unmarshal([]byte(`{"records":[{"kind":`+string(text)+`,"key":`+string(text)+`}]}`), &r.ERP)
		r.Print(s.Out)
	},
	"relay init": func(_ *testing.T, s *screen, value string) {
		showEdits(s, []edit{{path: value, before: "old", after: strings.ReplaceAll(value, "\n", " ")}, {path: value, renamed: value}})
	},
	"relay verify": func(_ *testing.T, s *screen, value string) {
		showArrival(s, relayverify.Arrival{Event: value, Consumer: value, Verdict: verdict.Verdict(value), Class: verdict.Class(value), Error: value})
		showArrival(s, relayverify.Arrival{Event: value, Consumer: value, Lost: value})
		showChanges(s, &relay.One{}, &relay.One{Name: value, Feedback: relay.Feedback{LastRelayedEventTime: value}})
	},
	"relay setup": func(t *testing.T, s *screen, value string) { showStep(s, value, value, time.Second) },
	"relay status": func(t *testing.T, s *screen, value string) {
		showStatus(s, &relay.View{OrgID: value, Pause: &relay.Pause{By: value, Reason: value}, Unseen: []string{value}, Relays: []*relay.One{{
			Name: value, Config: &relay.Config{State: value}, Feedback: relay.Feedback{Status: value, LastRelayedEventTime: value}, Source: relay.Source{State: value},
		}}}, []lastEvent{{Consumer: value, At: &time.Time{}, Verdict: verdict.Verdict(value), Class: verdict.Class(value), Event: value}, {Consumer: value}}, value)
	},
	"relay plan": func(_ *testing.T, s *screen, value string) {
		showPlan(s, []relaysetup.Step{{Name: value, Left: value, Needs: value}}, []string{value})
	},
	"doctor": func(t *testing.T, s *screen, value string) {
		showFindings(s, &doctor.View{View: &relay.View{OrgID: value, Unseen: []string{value}}}, []doctor.Finding{{Name: value, Relay: value, Evidence: value, Cure: value}})
	},
	"run, what differs": func(t *testing.T, s *screen, value string) { s.Err.Error("sfrelay", differs{value, value}) },
	"bulk": func(t *testing.T, s *screen, value string) {
		(&bulkCommand{Events: 1, Records: 2}).summary(s, value, scenario.BulkState{Took: time.Second, ERP: 2, Billing: 2, ERPCalls: 2, Stripe: 2})
	},
	"bulk, what differs": func(t *testing.T, s *screen, value string) { s.Err.Error("sfrelay", bulkDiffers{value, value}) },
	"stack up": func(t *testing.T, s *screen, value string) {
		describe(s.Out, &stack.Stack{Endpoint: value, EventBus: value, ChangeBus: value, StripeURL: value, ERPURL: value, OrgURL: value, Mode: value})
	},
	"stack env": func(t *testing.T, s *screen, value string) { printEnv(s.Out, []string{"A=" + value, value}) },
	"where":     func(t *testing.T, s *screen, value string) { s.where(value, false) },
	"the question": func(t *testing.T, s *screen, value string) {
		s.In = terminal.Typed(strings.NewReader("n\n"))
		at := &account.Account{Asks: true, Where: value, Sinks: []account.Sink{{Name: value, At: value, Key: value}}}
		_ = s.ask(t.Context(), at, consent{}, false, func() (string, error) { return value, nil })
	},
	"an error": func(t *testing.T, s *screen, value string) { s.Err.Error("sfrelay", errors.New(value)) },
	"an error that holds others": func(t *testing.T, s *screen, value string) {
		s.Err.Error("sfrelay", fmt.Errorf("%s: %w", value, errors.Join(errors.New(value), fmt.Errorf("a: %w", errors.New(value)))))
	},
	"errors": func(t *testing.T, s *screen, value string) {
		s.Err.Error("sfrelay", errors.Join(errors.New(value), errors.New(value)))
	},
	"a mistyped command":  arguments("%"),
	"a mistyped verb":     arguments("dlq", "%"),
	"a mistyped flag":     arguments("dlq", "list", "--%"),
	"a mistyped value":    arguments("dlq", "list", "--queue", "%"),
	"a mistyped number":   arguments("dlq", "list", "--limit", "%"),
	"a file to explain":   arguments("explain", "%"),
	"a file to send":      arguments("send", "%"),
	"a mistyped org":      arguments("explain", "../../events/04-account-update-phone.json", "--orgs", "%"),
	"a mistyped scenario": arguments("run", "--scenario", "%"),
	"a stack elsewhere":   arguments("stack", "status", "--dir", "/%"),
	"a mistyped address":  arguments("sandbox", "--erp", "%"),
	"a mistyped shell":    arguments("completion", "%"),
}

// arguments is a call of the program with the value in the place of %.
func arguments(args ...string) func(*testing.T, *screen, string) {
	return func(t *testing.T, s *screen, value string) {
		var given []string
		for _, a := range args {
			given = append(given, strings.ReplaceAll(a, "%", value))
		}
		run(t.Context(), given, s)
	}
}

// Whatever a text verb prints has passed the one printer: nothing in a value reaches the
// terminal as more than text, and no value adds a line.
func TestNoValueIsMoreThanText(t *testing.T) {
	for name, say := range texts {
		said := map[string]string{}
		for _, value := range []string{hostile, harmless} {
			s, out, errors := testScreen()
			say(t, s, value)
			said[value] = out.String() + errors.String()
		}
		if !strings.Contains(said[hostile], `\u001b`) && !strings.Contains(said[hostile], `\x1b`) { // %q writes the latter
			t.Errorf("%s: the values are not in %q", name, said[hostile])
		}
		if !utf8.ValidString(said[hostile]) {
			t.Errorf("%s: not UTF-8: %q", name, said[hostile])
		}
		if i := strings.IndexFunc(said[hostile], dangerous); i >= 0 {
			t.Errorf("%s: %q", name, said[hostile][i:])
		}
		if got, want := strings.Count(said[hostile], "\n"), strings.Count(said[harmless], "\n"); got != want {
			t.Errorf("%s: %d lines, of a harmless value %d:\n%s", name, got, want, said[hostile])
		}
	}
}

// What explain says of an event that the decoder takes or refuses, by the place of the value.
func TestNoEventIsMoreThanText(t *testing.T) {
	event, err := os.ReadFile("../../events/04-account-update-phone.json")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(hostile)
	for _, old := range []string{"AccountChangeEvent", "Phone", "UPDATE", "c0000000-0000-4000-8000-000000000004", "Account", ""} {
		changed := bytes.ReplaceAll(event, []byte(`"`+old+`"`), text)
		if old == "" {
			changed = []byte(hostile)
		} else if bytes.Equal(changed, event) {
			t.Errorf("%q is not in the event", old)
		}
		s, out, errors := testScreen()
		s.Err.Error("sfrelay", orNone(explainAll(s, changed, nil, false)))
		said := out.String() + errors.String()
		if i := strings.IndexFunc(said, dangerous); i >= 0 || !utf8.ValidString(said) || strings.Contains(said, "\nforged") {
			t.Errorf("%q: %q", old, said)
		}
	}
}

// A verb that is new has to be among the texts, or here with the reason.
func TestEveryTextVerbIsHeld(t *testing.T) {
	silent := map[string]string{
		"stack down": "prints nothing", "stack status": "prints what stack up does, and a time", "sandbox": "prints addresses that it chose",
		"relay start": "prints names that it chose", "relay pause": "prints names that it chose", "relay teardown": "prints what relay setup does",
		"whoami": "prints what AWS says of the caller and the stack", "dlq export": "prints the name of the file that was typed", "completion": "prints a constant", "version": "prints what the build says",
	}
	var walk func(n *kong.Node, path string)
	walk = func(n *kong.Node, path string) {
		for _, c := range n.Children {
			verb := strings.TrimSpace(path + " " + c.Name)
			if len(c.Children) > 0 {
				walk(c, verb)
				continue
			}
			if _, held := texts[verb]; !held && silent[verb] == "" {
				t.Errorf("%s is not held", verb)
			}
		}
	}
	var c commands
	walk(kong.Must(&c, kong.Vars{"version": ""}).Model.Node, "")
}

// Only main opens the terminal, and only what programs read is written raw.
func TestNothingPassesThePrinter(t *testing.T) {
	raw := map[string]bool{"dlqshow.go": true, "completion.go": true}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == "internal/terminal" {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			if strings.HasPrefix(i.Path.Value, `"log`) {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Raw" && !raw[path] {
					t.Errorf("%s calls Raw", path)
				}
			}
			if sel, ok := n.(*ast.SelectorExpr); ok {
				pkg, _ := sel.X.(*ast.Ident)
				switch name := sel.Sel.Name; {
				case pkg == nil:
				case pkg.Name == "os" && (name == "Stdout" || name == "Stderr") && path != "main.go",
					pkg.Name == "fmt" && strings.HasPrefix(name, "Print"):
					t.Errorf("%s uses %s", path, name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRawIsNotForTerminals(t *testing.T) {
	for _, c := range []struct {
		show    dlqShowCommand
		live    bool
		refused bool
	}{
		{dlqShowCommand{Raw: true}, true, true},
		{dlqShowCommand{Raw: true}, false, false},
		{dlqShowCommand{Raw: true, ToTerminal: true}, true, false},
		{dlqShowCommand{}, true, false},
	} {
		err := c.show.mayPrint(c.live)
		if (err != nil) != c.refused {
			t.Errorf("%+v on a terminal %v: %v", c.show, c.live, err)
		}
		if err != nil && (!errors.As(err, new(usageError)) || !strings.Contains(err.Error(), "--to-terminal")) {
			t.Errorf("%v does not say what to type", err)
		}
	}
}

func quoted(value string) string {
	text, _ := json.Marshal(value)
	return string(text)
}

type none struct{}

func (none) Error() string { return "none" }

func orNone(err error) error {
	if err == nil {
		return none{}
	}
	return err
}

// messageOf is a message that says the value wherever it can.
func messageOf(value string) deadletter.Message {
	return deadletter.Message{
		ID: value, Queue: deadletter.Queue{Name: value}, Form: transport.Form(value), Consumer: value, Target: value,
		Class: verdict.Class(value), Reason: value + strings.Repeat("x", 300),
		Events: []deadletter.Event{{DetailType: value, Identity: value, Subjects: []string{value, value, value}, Refused: value, JSON: []byte(value)}},
	}
}

// bodiesOf are messages of the failure queue with the value in them: one that a consumer
// parked, one of EventBridge's form without an event, and one that is no JSON.
func bodiesOf(value string) []string {
	text, _ := json.Marshal(value)
	v := string(text)
	event := `{"detail-type":` + v + `,"id":` + v + `,"source":` + v + `,"detail":{"payload":{` + v + `:` + v + `}}}`
	return []string{
		`{"event":` + event + `,"records":[` + v + `],"consumer":"customer-erp","class":` + v + `,"error":` + v + `,"attempts":1,"firstAt":null,"lastAt":null}`,
		`{"event":` + event + `,"records":null,"consumer":` + v + `,"class":"throttled","error":` + v + `,"attempts":1,"firstAt":null,"lastAt":null}`,
		`no JSON ` + value,
	}
}

func queuesOf(value string) *deadletter.Queues {
	q := *testQueues
	q.SQS, q.Lambda = &queueOf{bodies: bodiesOf(value)}, refusing(value)
	q.List, q.OneServer, q.Readers = []deadletter.Queue{{Name: "failure", URL: "failure"}}, true, 1
	return &q
}

func read(t *testing.T, value string) []deadletter.Message {
	t.Helper()
	found, err := queuesOf(value).Read(t.Context(), deadletter.Query{})
	if err != nil || len(found.Messages) != len(bodiesOf(value)) {
		t.Fatalf("%d messages, %v", len(found.Messages), err)
	}
	return found.Messages
}

// queueOf is a queue that gives its messages once.
type queueOf struct {
	bodies []string
	given  bool
}

func (q *queueOf) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := &sqs.ReceiveMessageOutput{}
	for i, body := range q.bodies {
		if q.given {
			break
		}
		out.Messages = append(out.Messages, types.Message{
			MessageId: aws.String(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)), ReceiptHandle: aws.String("handle"), Body: aws.String(body),
			Attributes: map[string]string{"SentTimestamp": "1795345201000", "ApproximateReceiveCount": "1"},
		})
	}
	q.given = true
	return out, nil
}

func (*queueOf) ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

func (*queueOf) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{}, nil
}

func (*queueOf) DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	return &sqs.DeleteMessageOutput{}, nil
}

// refusing is a function that fails and says the value.
type refusing string

func (r refusing) Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	text, _ := json.Marshal(string(r))
	return &lambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled"), Payload: []byte(`{"errorType":` + string(text) + `,"errorMessage":` + string(text) + `}`)}, nil
}
