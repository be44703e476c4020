package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

type dlqListCommand struct {
	dlqFlags
	All   bool `help:"One entry for each message instead of one for each cause."`
	Limit int  `default:"0" help:"Most messages to read; 0 reads all."`
	JSON  bool `name:"json" help:"One JSON object for each message."`
}

// Help is shown by list --help.
func (dlqListCommand) Help() string {
	return "Messages of one consumer, class and reason are one group: how many, when the first and the last of them failed, and one of them. " +
		"SQS cannot be asked what it holds, so list receives all messages and shows them to others again; meanwhile they are hidden. " +
		"It says how many messages SQS counts beside those that it saw."
}

// Run implements kong's interface of a command.
func (c *dlqListCommand) Run(ctx context.Context, s *screen) error {
	qs, err := c.queues(ctx, s, c.JSON)
	if err != nil {
		return err
	}
	filter, _ := c.filter(time.Now())
	found, err := qs.Read(ctx, deadletter.Query{Filter: filter, Limit: c.Limit, Lean: true, Progress: func(seen int) { s.Err.Status("%d messages read", seen) }})
	s.Err.Status("")
	if err == nil && len(found.Messages) == 0 && c.chooses() {
		err = c.notFound(s)
	} else {
		err = errors.Join(c.print(s, found, time.Now()), err)
	}
	c.incomplete(s.Err, found, err != nil)
	return err
}

// print writes what was found: for machines, message by message, or by cause.
func (c *dlqListCommand) print(s *screen, found *deadletter.Reading, now time.Time) error {
	switch {
	case c.JSON:
		return writeMessagesJSON(s.Out, found.Messages)
	case len(found.Messages) > 0 && c.All:
		c.each(s.Out, found.Messages, now)
	case len(found.Messages) > 0:
		c.groups(s.Out, found.Messages, now)
	case found.Empty():
		s.Out.Printf("Nothing failed: the queues are empty.\n")
	case !slices.ContainsFunc(found.Counts, func(c deadletter.Count) bool { return c.Seen > 0 }):
		s.Out.Printf("No message can be seen now.\n")
	}
	return nil
}

// incomplete says what the list does not hold: beside it, so that machines are not disturbed.
func (f *dlqFlags) incomplete(p *terminal.Printer, found *deadletter.Reading, broken bool) {
	for _, w := range found.Warnings {
		p.Printf("%s\n", w)
	}
	for _, c := range found.Counts {
		switch {
		case broken:
			p.Printf("The list of the %s queue is not complete: reading it failed after %s.\n", c.Queue.Name, count(c.Seen, "message", "messages"))
			continue
		case !c.Known && !found.Limited:
			p.Printf("Whether the %s queue holds more nobody can tell: SQS does not say how many messages it has (sqs:GetQueueAttributes).\n", c.Queue.Name)
			continue
		}
		if c.InFlight > 0 {
			p.Printf("Beside them others hold about %s of the %s queue (a list, a redrive, or one that was killed). They are back within %d minutes.\n",
				count(c.InFlight, "message", "messages"), c.Queue.Name, int(deadletter.HeldFor.Minutes()))
		}
		if c.Visible > 0 && !found.Limited {
			p.Printf("The list of the %s queue is not complete: SQS counts about %d more. Run the command again.\n", c.Queue.Name, c.Visible)
		}
	}
	if found.Limited {
		p.Printf("There may be more than %d; see --limit.\n", len(found.Messages))
	}
}

// cause is what the messages of a group have in common.
type cause struct {
	consumer string
	class    verdict.Class
	reason   string
}

type group struct {
	cause
	n           int
	first, last time.Time
	example     deadletter.Message // the latest
}

// grouped are the messages by their causes, the largest group first.
func grouped(messages []deadletter.Message) []*group {
	byCause := map[cause]*group{}
	var all []*group
	for _, m := range messages {
		key := cause{m.Consumer, m.Class, deadletter.Pattern(m.Reason)}
		g := byCause[key]
		if g == nil {
			g = &group{cause: key, first: m.FirstAt, last: m.LastAt, example: m}
			byCause[key], all = g, append(all, g)
		}
		g.n++
		if m.FirstAt.Before(g.first) {
			g.first = m.FirstAt
		}
		if m.LastAt.After(g.last) {
			g.last, g.example = m.LastAt, m
		}
	}
	slices.SortStableFunc(all, func(a, b *group) int { return cmp.Compare(b.n, a.n) })
	return all
}

// needs says in a word who or what gets the messages of a class through.
func needs(class verdict.Class) string {
	switch deadletter.WayOf(class) {
	case deadletter.Transient:
		return "time"
	case deadletter.Waits:
		return "waits"
	default:
		return "you"
	}
}

// groups prints a table of causes. The reason and one message stand below each.
func (c *dlqListCommand) groups(p *terminal.Printer, messages []deadletter.Message, now time.Time) {
	all := grouped(messages)
	rows := [][]terminal.Cell{terminal.Heading("COUNT", "FIRST", "LAST", "NEEDS", "CONSUMER", "CLASS")}
	for _, g := range all {
		row := terminal.Row(fmt.Sprintf("%5d", g.n), age(now.Sub(g.first)), age(now.Sub(g.last)), needs(g.class), dash(g.consumer), dash(string(g.class)))
		row[5].Style = terminal.Red
		rows = append(rows, row)
	}
	widths := p.Widths(0, rows...)
	p.Rows(0, widths, rows[0])
	const indent = 7
	for i, g := range all {
		p.Rows(0, widths, rows[i+1])
		if g.reason != "" {
			p.Table(indent, terminal.Row(g.reason))
		}
		p.Table(indent, terminal.Row(strings.TrimSpace(first(g.example.ID, shortID)+"  "+about(g.example))))
	}
	p.Printf("%s, %s.\n", count(len(messages), "message", "messages"), count(len(all), "cause", "causes"))
	p.Printf("See one message:   %s\n", c.Command("dlq show "+first(all[0].example.ID, shortID)+c.queueWords()))
	p.Printf("See each message:  %s\n", c.Command("dlq list --all"+c.words()))
	if c.QueueURL == "" {
		p.Printf("Send them again:   %s\n", c.Command("dlq redrive"+c.redriveWords(all[0])))
	}
}

// queueWords name the queue where no stack does.
func (f *dlqFlags) queueWords() string {
	if f.QueueURL == "" {
		return ""
	}
	return " --queue-url " + shellWord(f.QueueURL)
}

// redriveWords are the filter of the list, and the class of its largest group where it names none.
func (c *dlqListCommand) redriveWords(largest *group) string {
	f := c.dlqFlags
	if f.Class == "" && largest.class != "" {
		f.Class = string(largest.class)
	}
	return f.words()
}

// each prints a table of messages. What the event is and why it failed stand below each.
func (c *dlqListCommand) each(p *terminal.Printer, messages []deadletter.Message, now time.Time) {
	rows := [][]terminal.Cell{terminal.Heading("MESSAGE", "FIRST", "LAST", "QUEUE", "CONSUMER", "CLASS")}
	for _, m := range messages {
		row := terminal.Row(first(m.ID, shortID), age(now.Sub(m.FirstAt)), age(now.Sub(m.LastAt)), m.Queue.Name, dash(m.Consumer), dash(string(m.Class)))
		row[5].Style = terminal.Red
		rows = append(rows, row)
	}
	widths := p.Widths(0, rows...)
	p.Rows(0, widths, rows[0])
	for i, m := range messages {
		p.Rows(0, widths, rows[i+1])
		p.Table(shortID+2, terminal.Row(about(m)))
		p.Table(shortID+2, terminal.Row(what(m)))
		if m.Reason != "" {
			p.Table(shortID+2, terminal.Row(brief(m.Reason)))
		}
	}
	if n := len(messages); n == 1 {
		p.Printf("1 message. See it whole with: %s\n", c.Command("dlq show "+first(messages[0].ID, shortID)+c.queueWords()))
	} else {
		p.Printf("%d messages. See one whole with: %s\n", n, c.Command("dlq show MESSAGE"+c.queueWords()))
	}
}

// about is what a message is about: org and records.
func about(m deadletter.Message) string {
	var parts []string
	if of := of(m); of != "" {
		parts = append(parts, of)
	}
	if org := m.Org(); org != "" {
		parts = append(parts, "org "+org)
	}
	return dash(strings.Join(parts, "  "))
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
	LastAt   time.Time     `json:"lastAt"`
	Org      string        `json:"org"`
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
		Reason: m.Reason, Attempts: m.Attempts, FirstAt: m.FirstAt, LastAt: m.LastAt, Org: m.Org(), Events: []eventJSON{},
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
