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

	"sfrelay/cmd/sfrelay/internal/failures"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/functions"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/salesforce"
)

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
	at, err := c.open(ctx)
	if err != nil {
		return err
	}
	s.where(at.Where, c.Raw)
	qs, err := c.queuesOf(at)
	if err != nil {
		return err
	}
	m, err := c.find(ctx, s, qs, c.Message)
	if err != nil {
		return err
	}
	if c.Raw {
		return showRaw(s.Out, *m)
	}
	var missing []string
	if table := at.Outputs["GuardTable"]; table != "" {
		missing = notYet(ctx, dynamo.New(dynamo.NewClient(at.Config), table), *m)
	}
	c.show(s.Out, qs, *m, missing)
	return nil
}

// find reads until it has the message whose id begins so. A list shows enough of an id for
// hardly two to be alike, and nobody waits for the rest of the queue then.
func (f *dlqFlags) find(ctx context.Context, s *screen, qs *deadletter.Queues, id string) (*deadletter.Message, error) {
	filter, _ := f.filter(time.Now())
	filter.ID = id
	limit := 1
	if len(id) < shortID {
		limit = 2
	}
	found, err := qs.Read(ctx, deadletter.Query{Filter: filter, Limit: limit, Progress: func(seen int) { s.Err.Status("%d messages read", seen) }})
	s.Err.Status("")
	switch {
	case len(found.Messages) > 1:
		return nil, fmt.Errorf("more than one message begins with %q; write more of its id", id)
	case len(found.Messages) == 1:
		return &found.Messages[0], nil
	case err != nil:
		return nil, err
	}
	f.incomplete(s.Err, found, false)
	return nil, fmt.Errorf("no message begins with %q; see: %s", id, f.Command("dlq list --all"+f.words()))
}

// mostAsked bounds for how many records of a message the guard is asked.
const mostAsked = 20

// notYet are the fields that the message carries and that its consumer has not set to this
// version or a later one: what would be lost with it. Nil where nobody can say.
func notYet(ctx context.Context, store guard.Store, m deadletter.Message) (missing []string) {
	asked := 0
	for _, e := range m.Events {
		decoded, err := salesforce.Decode(e.JSON, salesforce.Options{})
		if err != nil {
			continue
		}
		for _, def := range functions.All(functions.Ports{}) {
			d := def.Describe()
			if d.Name != e.Consumer || d.Policy != guard.FieldMerge {
				continue
			}
			for i := range decoded.Changes {
				look := def.Look(decoded, &decoded.Changes[i])
				if look.Subject == "" || len(look.Fields) == 0 || !slices.Contains(e.Subjects, look.Subject) {
					continue
				}
				if asked++; asked > mostAsked {
					return append(missing, "and of further records")
				}
				rec, err := store.Read(ctx, guard.Key(d.Name, decoded.Org, look.Subject))
				if err != nil {
					return nil
				}
				it := guard.ReadItem(rec)
				var names []string
				for _, f := range d.Fields {
					if slices.Contains(look.Fields, f.Code) && look.Version.After(it.Field(f.Code)) {
						names = append(names, fieldName(f))
					}
				}
				if len(names) > 0 {
					missing = append(missing, look.Subject+": "+strings.Join(names, " "))
				}
			}
		}
	}
	return missing
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
func (c *dlqShowCommand) show(p *terminal.Printer, qs *deadletter.Queues, m deadletter.Message, missing []string) {
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
	line("org", m.Org())
	line("class", dash(string(m.Class)))
	line("reason", m.Reason)
	line("attempts", fmt.Sprint(m.Attempts))
	line("first failed", m.FirstAt.UTC().Format(time.RFC3339))
	line("last failed", m.LastAt.UTC().Format(time.RFC3339))
	line("sender", m.Sender)
	line("imported", m.Custom[importMark])
	for _, e := range m.Events {
		line("event", strings.TrimSpace(e.DetailType+" "+e.Identity))
		line("records", strings.Join(e.Subjects, " "))
		line("refused", e.Refused)
	}
	line("not yet set", strings.Join(missing, "; "))
	if e, ok := failures.Of(m.Class); ok {
		line("it means", e.Happens)
		line("do", e.Do)
		line("", shortened(e.Of))
	}
	p.Table(0, rows...)
	c.next(p, qs, m)
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

// shortened is the beginning of a long text, up to the end of a sentence.
func shortened(s string) string {
	const most = 330
	if len(s) <= most {
		return s
	}
	if end := strings.LastIndex(s[:most], ". "); end > 0 {
		s = s[:end+1]
	}
	return s + " More: docs/reference/failures.md"
}

// next offers the commands that can help, and says why one cannot.
func (c *dlqShowCommand) next(p *terminal.Printer, qs *deadletter.Queues, m deadletter.Message) {
	p.Printf("\n")
	switch refusal, hopeless := qs.Refusal(m), qs.Hopeless(m); {
	case c.QueueURL != "":
		p.Table(0, terminal.Row("A redrive needs a stack, also a later one: "+c.Command("dlq redrive --message "+m.ID+c.queueWords())+" --trust-sender"))
	case refusal != "":
		p.Table(0, terminal.Row("A redrive refuses it: "+refusal+"."))
	case hopeless != "":
		p.Table(0, terminal.Row("A redrive does not help: "+hopeless+"."))
	default:
		p.Printf("Redrive it with: %s\n", c.Command("dlq redrive --message "+m.ID))
	}
}
