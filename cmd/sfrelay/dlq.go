package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

type dlqCommand struct {
	List    dlqListCommand    `cmd:"" help:"List what failed, the oldest first."`
	Show    dlqShowCommand    `cmd:"" help:"Show one message whole."`
	Redrive dlqRedriveCommand `cmd:"" help:"Hand what failed to its consumers again; delete what they take."`
}

// dlqFlags choose messages.
type dlqFlags struct {
	account.Flags
	Queue    string `enum:"failure,delivery,all" default:"all" help:"failure: what consumers and Lambda gave up; delivery: what EventBridge could not deliver; all."`
	Class    string `help:"Only messages of this class; permanent means every permanent/… ."`
	Consumer string `help:"Only messages of this consumer."`
}

// queues opens those of the stack.
func (f *dlqFlags) queues(ctx context.Context) (*deadletter.Queues, error) {
	cfg, err := f.Config(ctx)
	if err != nil {
		return nil, err
	}
	outputs, err := f.Outputs(ctx, cfg)
	if err != nil {
		return nil, err
	}
	qs := &deadletter.Queues{
		SQS: sqs.NewFromConfig(cfg), Lambda: lambda.NewFromConfig(cfg), OneServer: !f.AWS, Consumers: account.Consumers(outputs),
	}
	for _, q := range []struct{ name, output string }{{"failure", "FailureQueueUrl"}, {"delivery", "DeliveryQueueUrl"}} {
		if f.Queue != "all" && f.Queue != q.name {
			continue
		}
		url := outputs[q.output]
		if url == "" {
			return nil, fmt.Errorf("the CloudFormation stack %q has no output %s; deploy template.yaml of this version", f.StackName, q.output)
		}
		qs.List = append(qs.List, deadletter.Queue{Name: q.name, URL: url})
	}
	if f.Consumer != "" && !known(qs.Consumers, f.Consumer) {
		return nil, fmt.Errorf("--consumer: this stack has no %q; it has %s", f.Consumer, names(qs.Consumers))
	}
	return qs, nil
}

func known(consumers []deadletter.Consumer, name string) bool {
	for _, c := range consumers {
		if c.Name == name {
			return true
		}
	}
	return false
}

func names(consumers []deadletter.Consumer) string {
	var all []string
	for _, c := range consumers {
		all = append(all, c.Name)
	}
	return strings.Join(all, ", ")
}

func (f *dlqFlags) filter() deadletter.Filter {
	return deadletter.Filter{Class: verdict.Class(f.Class), Consumer: f.Consumer}
}

type dlqListCommand struct {
	dlqFlags
	Limit int  `default:"1000" help:"Most messages to list; 0 lists all."`
	JSON  bool `name:"json" help:"One JSON object for each message."`
}

// Run implements kong's interface of a command.
func (c *dlqListCommand) Run(ctx context.Context) error {
	qs, err := c.queues(ctx)
	if err != nil {
		return err
	}
	messages, err := qs.Read(ctx, c.filter(), c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeMessagesJSON(os.Stdout, messages)
	}
	if err := writeMessages(os.Stdout, messages, time.Now()); err != nil {
		return err
	}
	if c.Limit > 0 && len(messages) == c.Limit {
		fmt.Fprintf(os.Stderr, "There may be more than %d; see --limit.\n", c.Limit)
	}
	return nil
}

// writeMessages prints a table.
func writeMessages(w io.Writer, messages []deadletter.Message, now time.Time) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(w, "Nothing failed: the queues hold no such message.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AGE\tQUEUE\tCONSUMER\tCLASS\tEVENT\tOF\tREASON\tMESSAGE")
	for _, m := range messages {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			age(now.Sub(m.FirstAt)), m.Queue.Name, dash(m.Consumer), dash(string(m.Class)), what(m), of(m), brief(m.Reason), first(m.ID, 8))
	}
	return t.Flush()
}

// what is the event of a message: its name and identity.
func what(m deadletter.Message) string {
	if len(m.Events) == 0 {
		return "–"
	}
	e := m.Events[0]
	identity := e.Identity
	if parts := strings.Split(identity, ":"); len(parts) == 6 {
		identity = parts[1] + ":" + parts[2] // of a change event: transaction and number; the rest stands beside it
	}
	s := strings.TrimSpace(e.DetailType + " " + identity)
	if n := len(m.Events) - 1; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return dash(s)
}

// of is the records of a message.
func of(m deadletter.Message) string {
	var subjects []string
	for _, e := range m.Events {
		subjects = append(subjects, e.Subjects...)
	}
	const most = 2
	if n := len(subjects) - most; n > 0 {
		subjects = append(subjects[:most], fmt.Sprintf("and %d more", n))
	}
	return dash(strings.Join(subjects, " "))
}

func brief(s string) string {
	const most = 80
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return dash(s)
}

func first(s string, n int) string { return s[:min(n, len(s))] }

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// messageJSON is a message for machines.
type messageJSON struct {
	Message  string        `json:"message"` // id of the SQS message
	Queue    string        `json:"queue"`
	Form     string        `json:"form"`
	Consumer string        `json:"consumer"`
	Class    verdict.Class `json:"class"`
	Reason   string        `json:"reason"`
	Attempts int           `json:"attempts"`
	FirstAt  time.Time     `json:"firstAt"`
	Events   []eventJSON   `json:"events"`
	Outcome  string        `json:"outcome,omitempty"` // of a redrive
	Why      string        `json:"why,omitempty"`
}

type eventJSON struct {
	DetailType string   `json:"detailType"`
	Identity   string   `json:"identity"`
	Subjects   []string `json:"subjects"`
	Refused    string   `json:"refused,omitempty"`
}

func forMachines(m deadletter.Message) messageJSON {
	j := messageJSON{
		Message: m.ID, Queue: m.Queue.Name, Form: string(m.Form), Consumer: m.Consumer, Class: m.Class,
		Reason: m.Reason, Attempts: m.Attempts, FirstAt: m.FirstAt, Events: []eventJSON{},
	}
	for _, e := range m.Events {
		j.Events = append(j.Events, eventJSON{e.DetailType, e.Identity, append([]string{}, e.Subjects...), e.Refused})
	}
	return j
}

func writeMessagesJSON(w io.Writer, messages []deadletter.Message) error {
	for _, m := range messages {
		if err := json.NewEncoder(w).Encode(forMachines(m)); err != nil {
			return err
		}
	}
	return nil
}

type dlqShowCommand struct {
	dlqFlags
	Message string `arg:"" help:"Id of the message, as list shows it, or its beginning."`
}

// Run implements kong's interface of a command.
func (c *dlqShowCommand) Run(ctx context.Context) error {
	qs, err := c.queues(ctx)
	if err != nil {
		return err
	}
	f := c.filter()
	f.ID = c.Message
	messages, err := qs.Read(ctx, f, 2)
	switch {
	case err != nil:
		return err
	case len(messages) == 0:
		return fmt.Errorf("no message %q; sfrelay dlq list shows what there is", c.Message)
	case len(messages) > 1:
		return fmt.Errorf("more than one message begins with %q; write more of it", c.Message)
	}
	return showMessage(os.Stdout, qs, messages[0])
}

// showMessage prints a message whole: unlike logs, it holds the values of the record.
func showMessage(w io.Writer, qs *deadletter.Queues, m deadletter.Message) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	line("message", m.ID+" in the "+m.Queue.Name+" queue, "+string(m.Form))
	line("consumer", dash(m.Consumer))
	line("target", m.Target)
	line("class", dash(string(m.Class)))
	line("reason", m.Reason)
	line("attempts", fmt.Sprint(m.Attempts))
	line("first failed", m.FirstAt.UTC().Format(time.RFC3339))
	if reason := qs.Refusal(m); reason != "" {
		line("redrive", "refused: "+reason)
	} else {
		line("redrive", "sfrelay dlq redrive --message "+m.ID)
	}
	for _, e := range m.Events {
		line("event", strings.TrimSpace(e.DetailType+" "+e.Identity))
		line("records", strings.Join(e.Subjects, " "))
		line("refused", e.Refused)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range m.Events {
		var pretty bytes.Buffer
		if json.Indent(&pretty, e.JSON, "", "  ") != nil {
			pretty.Reset()
			pretty.Write(e.JSON)
		}
		if _, err := fmt.Fprintf(w, "\n%s\n", pretty.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

type dlqRedriveCommand struct {
	dlqFlags
	Message string `help:"Only this message: its id, or the beginning of it."`
	Limit   int    `default:"0" help:"Most messages to redrive; 0 takes all."`
	DryRun  bool   `help:"Only say what would be redriven."`
	JSON    bool   `name:"json" help:"One JSON object for each message."`
}

// Help is shown by redrive --help.
func (dlqRedriveCommand) Help() string {
	return "Each message goes to the function that it was meant for, and is deleted only after that took it; " +
		"the guard makes duplicates of what was applied meanwhile. It may be interrupted and run again at any time. " +
		"Changes of class changed-after-done and in-doubt need a decision of yours and are refused. " +
		"A consumer that fails five times in a row is left alone. The exit code is 1 when something was left."
}

// Run implements kong's interface of a command.
func (c *dlqRedriveCommand) Run(ctx context.Context) error {
	qs, err := c.queues(ctx)
	if err != nil {
		return err
	}
	f := c.filter()
	f.ID = c.Message
	qs.TooOld = c.Message != "" || c.Class == string(verdict.TooOld)
	if c.DryRun {
		messages, err := qs.Read(ctx, f, c.Limit)
		if err != nil {
			return err
		}
		c.wouldRedrive(qs, messages, os.Stdout, os.Stderr)
		return nil
	}
	return c.redrive(ctx, qs, f, os.Stdout, os.Stderr)
}

// wouldRedrive says what a redrive of messages would do.
func (c *dlqRedriveCommand) wouldRedrive(qs *deadletter.Queues, messages []deadletter.Message, w, progress io.Writer) {
	const wouldGo deadletter.Outcome = "would go"
	counts := map[deadletter.Outcome]int{}
	for _, m := range messages {
		r := deadletter.Result{Message: m, Outcome: wouldGo, Reason: qs.Refusal(m)}
		if r.Reason != "" {
			r.Outcome = deadletter.Refused
		}
		counts[r.Outcome]++
		c.report(r, w, progress)
	}
	if !c.JSON {
		fmt.Fprintf(w, "%d would be redriven, %d refused.\n", counts[wouldGo], counts[deadletter.Refused])
	}
}

func (c *dlqRedriveCommand) redrive(ctx context.Context, qs *deadletter.Queues, f deadletter.Filter, w, progress io.Writer) error {
	counts := map[deadletter.Outcome]int{}
	parkedAgain, err := qs.Redrive(ctx, f, c.Limit, func(r deadletter.Result) {
		counts[r.Outcome]++
		c.report(r, w, progress)
	})
	if !c.JSON {
		fmt.Fprintf(w, "%d taken, %d left, %d refused.\n", counts[deadletter.Taken], counts[deadletter.Left], counts[deadletter.Refused])
		if err == nil && parkedAgain > 0 {
			fmt.Fprintf(w, "%d of those taken were parked again: what stood against them still does; see sfrelay dlq list.\n", parkedAgain)
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; what was not taken lies where it lay, run again")
	case err != nil:
		return err
	case counts[deadletter.Left] > 0:
		return fmt.Errorf("%d messages were left", counts[deadletter.Left])
	}
	return nil
}

// report prints the outcome of one message.
func (c *dlqRedriveCommand) report(r deadletter.Result, w, progress io.Writer) {
	if c.JSON {
		j := forMachines(r.Message)
		j.Outcome, j.Why = string(r.Outcome), r.Reason
		_ = json.NewEncoder(w).Encode(j)
		return
	}
	fmt.Fprintf(progress, "%-8s %s  %s  %s%s\n", r.Outcome, first(r.Message.ID, 8), dash(r.Message.Consumer), what(r.Message), because(r.Reason))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
