package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

type dlqCommand struct {
	List    dlqListCommand    `cmd:"" help:"List what failed, the oldest first."`
	Show    dlqShowCommand    `cmd:"" help:"Show one message whole."`
	Redrive dlqRedriveCommand `cmd:"" help:"Send failed messages to their consumers again; delete those that were taken."`
}

// dlqFlags choose messages.
type dlqFlags struct {
	account.Flags
	Queue    string `enum:"failure,delivery,all" default:"all" help:"failure: consumers and Lambda gave up; delivery: EventBridge could not deliver; or all."`
	Class    string `help:"Only messages of this class; permanent means every permanent/… ."`
	Consumer string `help:"Only messages of this consumer."`
}

// queues opens those of the stack.
func (f *dlqFlags) queues(ctx context.Context, s *screen, asJSON bool) (*deadletter.Queues, error) {
	at, err := f.Open(ctx)
	if err != nil {
		return nil, err
	}
	s.where(at.Where, asJSON)
	return f.queuesOf(at)
}

func (f *dlqFlags) queuesOf(at *account.Account) (*deadletter.Queues, error) {
	qs := &deadletter.Queues{
		SQS: sqs.NewFromConfig(at.Config), Lambda: lambda.NewFromConfig(at.Config), OneServer: !f.AWS, Consumers: account.Consumers(at.Outputs),
		Fetch:       account.Fetch(at.Config, at.Outputs),
		TrustSender: !f.AWS, // the emulator gives every message the account as its sender
	}
	for _, q := range []struct{ name, output string }{{"failure", "FailureQueueUrl"}, {"delivery", "DeliveryQueueUrl"}} {
		if f.Queue != "all" && f.Queue != q.name {
			continue
		}
		url := at.Outputs[q.output]
		if url == "" {
			return nil, fmt.Errorf("the CloudFormation stack %q has no output %s; deploy this version with make deploy", f.StackName, q.output)
		}
		qs.List = append(qs.List, deadletter.Queue{Name: q.name, URL: url, FromRules: q.name == "delivery"})
	}
	if f.Consumer != "" && !slices.ContainsFunc(qs.Consumers, func(c deadletter.Consumer) bool { return c.Name == f.Consumer }) {
		return nil, usageError{fmt.Errorf("--consumer: this stack has no %q; it has %s", f.Consumer, names(qs.Consumers))}
	}
	return qs, nil
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
func (c *dlqListCommand) Run(ctx context.Context, s *screen) error {
	qs, err := c.queues(ctx, s, c.JSON)
	if err != nil {
		return err
	}
	messages, err := qs.Read(ctx, c.filter(), c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeMessagesJSON(s.Out, messages)
	}
	if len(messages) == 0 && (c.filter() != deadletter.Filter{} || c.Queue != "all") {
		s.Out.Printf("No message matches the filter.\n")
		return nil
	}
	c.write(s.Out, messages, time.Now())
	if c.Limit > 0 && len(messages) == c.Limit {
		s.Err.Printf("There may be more than %d; see --limit.\n", c.Limit)
	}
	return nil
}

// write prints a table. What the event is and why it failed stand below each
// message: beside it there is no room.
func (c *dlqListCommand) write(p *terminal.Printer, messages []deadletter.Message, now time.Time) {
	if len(messages) == 0 {
		p.Printf("Nothing failed: the queues hold no such message.\n")
		return
	}
	rows := [][]terminal.Cell{terminal.Heading("MESSAGE", "AGE", "QUEUE", "CONSUMER", "CLASS")}
	for _, m := range messages {
		row := terminal.Row(first(m.ID, shortID), age(now.Sub(m.FirstAt)), m.Queue.Name, dash(m.Consumer), dash(string(m.Class)))
		row[4].Style = terminal.Red
		rows = append(rows, row)
	}
	widths := p.Widths(0, rows...)
	p.Rows(0, widths, rows[0])
	for i, m := range messages {
		p.Rows(0, widths, rows[i+1])
		p.Table(shortID+2, terminal.Row(strings.TrimSpace(what(m)+"  "+of(m))))
		if m.Reason != "" {
			p.Table(shortID+2, terminal.Row(brief(m.Reason)))
		}
	}
	if n := len(messages); n == 1 {
		p.Printf("1 message. See it whole with: %s\n", c.Command("dlq show "+first(messages[0].ID, shortID)))
	} else {
		p.Printf("%d messages. See one whole with: %s\n", n, c.Command("dlq show MESSAGE"))
	}
}

// shortID is how much of a message's id a table shows.
const shortID = 8

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
	return strings.Join(subjects, " ")
}

func brief(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return s
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

func writeMessagesJSON(p *terminal.Printer, messages []deadletter.Message) error {
	for _, m := range messages {
		if err := p.JSON(forMachines(m)); err != nil {
			return err
		}
	}
	return nil
}

type dlqShowCommand struct {
	dlqFlags
	Raw        bool   `help:"Print nothing but the event, its bytes as they are. Not to a terminal, which would carry out what is in them."`
	ToTerminal bool   `name:"to-terminal" help:"Let --raw print to a terminal."`
	Message    string `arg:"" help:"Id of the message, as list shows it, or its beginning."`
}

// Run implements kong's interface of a command.
func (c *dlqShowCommand) Run(ctx context.Context, s *screen) error {
	if err := c.mayPrint(s.Out.Live()); err != nil {
		return err
	}
	qs, err := c.queues(ctx, s, c.Raw)
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
		return fmt.Errorf("no message begins with %q; see: %s", c.Message, c.Command("dlq list"))
	case len(messages) > 1:
		return fmt.Errorf("more than one message begins with %q; write more of its id", c.Message)
	}
	if c.Raw {
		return showRaw(s.Out, messages[0])
	}
	c.show(s.Out, qs, messages[0])
	return nil
}

// mayPrint refuses raw bytes on a terminal, live, unless they are asked for there.
func (c *dlqShowCommand) mayPrint(live bool) error {
	if c.Raw && live && !c.ToTerminal {
		return usageError{errors.New("--raw prints control characters as they are, and stdout is a terminal: write to a file with > FILE, or add --to-terminal")}
	}
	return nil
}

// showRaw writes the events alone, each followed by a line break.
func showRaw(p *terminal.Printer, m deadletter.Message) error {
	for _, e := range m.Events {
		if err := p.Raw(append(slices.Clone(e.JSON), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// show prints a message whole: unlike logs, it holds the values of the record.
func (c *dlqShowCommand) show(p *terminal.Printer, qs *deadletter.Queues, m deadletter.Message) {
	var rows [][]terminal.Cell
	line := func(name, value string) {
		if value != "" {
			rows = append(rows, terminal.Row(name, value))
		}
	}
	line("message", m.ID)
	line("queue", m.Queue.Name+", "+string(m.Form))
	line("consumer", dash(m.Consumer))
	line("target", m.Target)
	line("class", dash(string(m.Class)))
	line("reason", m.Reason)
	line("attempts", fmt.Sprint(m.Attempts))
	line("first failed", m.FirstAt.UTC().Format(time.RFC3339))
	line("sender", m.Sender)
	refusal := qs.Refusal(m)
	if refusal != "" {
		line("redrive", "refused: "+refusal)
	}
	for _, e := range m.Events {
		line("event", strings.TrimSpace(e.DetailType+" "+e.Identity))
		line("records", strings.Join(e.Subjects, " "))
		line("refused", e.Refused)
	}
	p.Table(0, rows...)
	if refusal == "" {
		p.Printf("\nRedrive it with:\n%s\n", c.Command("dlq redrive --message "+m.ID))
	}
	for _, e := range m.Events {
		p.Printf("\n")
		var pretty bytes.Buffer
		if json.Indent(&pretty, e.JSON, "", "  ") != nil {
			p.Printf("%s\n", string(e.JSON)) // no JSON, so its line breaks are its own
			continue
		}
		for line := range strings.SplitSeq(pretty.String(), "\n") {
			p.Printf("%s\n", line)
		}
	}
}

type dlqRedriveCommand struct {
	dlqFlags
	consent
	Message     string `help:"Only this message: its id, or the beginning of it."`
	Limit       int    `default:"0" help:"Most messages to redrive; 0 takes all."`
	DryRun      bool   `help:"Only say what would be redriven."`
	TrustSender bool   `help:"Redrive also what was not sent by the consumer that it names (foreign-sender)."`
	JSON        bool   `name:"json" help:"One JSON object for each message."`
}

// Help is shown by redrive --help.
func (dlqRedriveCommand) Help() string {
	return "Each message goes to its function and is deleted after the function took it. What was applied meanwhile is a duplicate. " +
		"You can interrupt a redrive and run it again at any time. " +
		"Messages that need your decision (changed-after-done, in-doubt, overwrote-newer, permanent/same-instant) are refused; " +
		"those of class too-old as well, unless --message or --class names them, and those that another than their consumer has sent, " +
		"unless you add --trust-sender. " +
		"After five failures in a row the rest of a consumer's messages is left. " +
		"The exit code is 1 when a message was left or parked again."
}

// Run implements kong's interface of a command.
func (c *dlqRedriveCommand) Run(ctx context.Context, s *screen) error {
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	qs, err := c.queuesOf(at)
	if err != nil {
		return err
	}
	f := c.filter()
	f.ID = c.Message
	qs.TooOld = c.Message != "" || c.Class == string(verdict.TooOld)
	qs.TrustSender = qs.TrustSender || c.TrustSender
	if c.DryRun {
		s.where(at.Where, c.JSON)
		messages, err := qs.Read(ctx, f, c.Limit)
		if err != nil {
			return err
		}
		c.wouldRedrive(qs, messages, s)
		return nil
	}
	nothing := false
	err = s.ask(ctx, at, c.consent, c.JSON, func() (sentence string, err error) {
		sentence, err = c.sentence(ctx, qs, f)
		nothing = sentence == ""
		return sentence, err
	})
	if err != nil {
		return err
	}
	if nothing {
		s.Err.Printf("No message matches.\n")
		return nil
	}
	return c.redrive(ctx, qs, f, s)
}

// sentence says what the redrive will do; empty where there is nothing to redrive. What
// comes into the queues after the question is not redriven. Where nobody is asked nothing is
// counted either: that takes as long as the redrive.
func (c *dlqRedriveCommand) sentence(ctx context.Context, qs *deadletter.Queues, f deadletter.Filter) (string, error) {
	most := "Every message that matches"
	if !c.Yes {
		messages, err := qs.Read(ctx, f, c.Limit)
		if err != nil || len(messages) == 0 {
			return "", err
		}
		c.Limit = len(messages)
	}
	if c.Limit > 0 {
		most = "Up to " + count(c.Limit, "message", "messages")
	}
	var from []string
	for _, q := range qs.List {
		from = append(from, q.Name)
	}
	return fmt.Sprintf("%s (queue: %s) will be handed to their consumers again, which may write to the sinks above, and deleted where they were taken.", most, strings.Join(from, ", ")), nil
}

// wouldRedrive says what a redrive of messages would do.
func (c *dlqRedriveCommand) wouldRedrive(qs *deadletter.Queues, messages []deadletter.Message, s *screen) {
	const wouldGo deadletter.Outcome = "would go"
	counts := map[deadletter.Outcome]int{}
	for _, m := range messages {
		r := deadletter.Result{Message: m, Outcome: wouldGo, Reason: qs.Refusal(m)}
		if r.Reason != "" {
			r.Outcome = deadletter.Refused
		}
		counts[r.Outcome]++
		c.report(r, s)
	}
	if !c.JSON {
		s.Out.Printf("%d would be redriven, %d refused.\n", counts[wouldGo], counts[deadletter.Refused])
	}
}

func (c *dlqRedriveCommand) redrive(ctx context.Context, qs *deadletter.Queues, f deadletter.Filter, s *screen) error {
	counts := map[deadletter.Outcome]int{}
	parkedAgain, err := qs.Redrive(ctx, f, c.Limit, func(r deadletter.Result) {
		counts[r.Outcome]++
		c.report(r, s)
	})
	left := counts[deadletter.Left]
	if !c.JSON {
		s.Out.Printf("%d taken, %d left, %d refused.\n", counts[deadletter.Taken], left, counts[deadletter.Refused])
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; every message that was not taken is still in its queue: run the same command again")
	case err != nil:
		return err
	}
	var errs []error
	if left > 0 {
		errs = append(errs, fmt.Errorf("%d of %d messages were left in their queue; see: %s", left, left+counts[deadletter.Taken], c.Command("dlq list")))
	}
	if parkedAgain > 0 {
		errs = append(errs, fmt.Errorf("%d of those taken were parked again: their cause is still there; see: %s", parkedAgain, c.Command("dlq list")))
	}
	return errors.Join(errs...)
}

// report prints the outcome of one message.
func (c *dlqRedriveCommand) report(r deadletter.Result, s *screen) {
	if c.JSON {
		j := forMachines(r.Message)
		j.Outcome, j.Why = string(r.Outcome), r.Reason
		_ = s.Out.JSON(j)
		return
	}
	row := terminal.Row(fmt.Sprintf("%-8s", r.Outcome), first(r.Message.ID, shortID), fmt.Sprintf("%-19s", dash(r.Message.Consumer)), what(r.Message)+because(r.Reason))
	switch r.Outcome {
	case deadletter.Taken:
		row[0].Style = terminal.Green
	case deadletter.Left:
		row[0].Style = terminal.Red
	case deadletter.Refused:
		row[0].Style = terminal.Yellow
	}
	s.Err.Table(0, row)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
