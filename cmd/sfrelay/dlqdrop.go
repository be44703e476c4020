package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/shared/deadletter"
)

type dlqDropCommand struct {
	dlqFlags
	consent
	Reason  string `required:"" help:"Why: it stands in the audit log."`
	Message string `help:"Only this message: its id, or the beginning of it."`
	Limit   int    `default:"0" help:"Most messages to delete; 0 deletes all that match."`
}

// Help is shown by drop --help.
func (dlqDropCommand) Help() string {
	return "Deletes messages for ever. A message may be the only place that holds some fields of its change: export it first if you are not sure. " +
		"It needs --message or a flag that chooses messages. One line for each message, with its reason, goes into the audit log before it is deleted."
}

// Run implements kong's interface of a command.
func (c *dlqDropCommand) Run(ctx context.Context, s *screen) error {
	switch {
	case c.Message == "" && !c.chooses():
		return usageError{errors.New("say which messages: --message ID, or flags that choose some, e.g. --class")}
	case strings.TrimSpace(c.Reason) == "":
		return usageError{errors.New("--reason is empty")}
	}
	at, err := c.openStack(ctx)
	if err != nil {
		return err
	}
	qs, err := c.queuesOf(at)
	if err != nil {
		return err
	}
	query := deadletter.Query{Limit: c.Limit, Lean: true}
	query.Filter, _ = c.filter(time.Now())
	query.ID = c.Message
	var found *deadletter.Reading
	err = s.ask(ctx, at, c.consent, false, func() (string, error) {
		found, err = qs.Read(ctx, query)
		if err != nil || len(found.Messages) == 0 {
			return "", err
		}
		query.Limit = len(found.Messages)
		return fmt.Sprintf("%s will be deleted for ever. Their sinks hear nothing.", count(len(found.Messages), "message", "messages")), nil
	})
	if err != nil {
		return err
	}
	if found != nil && len(found.Messages) == 0 {
		return c.notFound(s)
	}
	log, err := openAudit(ctx, at)
	if err != nil {
		return err
	}
	return c.drop(ctx, qs, query, log.Write, s)
}

// openAudit is the audit log of the stack, for whoever we are.
func openAudit(ctx context.Context, at *account.Account) (*audit.Log, error) {
	by, err := at.Caller(ctx)
	if err != nil {
		return nil, err
	}
	return audit.New(at.Config, at.Outputs["AuditLogGroup"], by)
}

func (c *dlqDropCommand) drop(ctx context.Context, qs *deadletter.Queues, query deadletter.Query, write func(context.Context, ...audit.Line) error, s *screen) error {
	dropped := 0
	warnings, err := qs.Drop(ctx, query, func(messages []deadletter.Message) error {
		var lines []audit.Line
		for _, m := range messages {
			lines = append(lines, lineOf("drop", m, c.Reason))
		}
		return write(ctx, lines...)
	}, func(deadletter.Message) {
		dropped++
		s.Err.Status("%d dropped", dropped)
	})
	s.Err.Status("")
	s.Out.Printf("%d dropped.\n", dropped)
	for _, w := range warnings {
		s.Err.Printf("%s\n", w)
	}
	return err
}

// lineOf is what the audit log says of a message.
func lineOf(action string, m deadletter.Message, reason string) audit.Line {
	l := audit.Line{
		Action: action, Reason: reason, Queue: m.Queue.Name, Message: m.ID, Consumer: m.Consumer, Class: string(m.Class), Org: m.Org(), Subjects: m.Subjects(),
	}
	const most = 20
	if len(l.Subjects) > most {
		l.Count, l.Subjects = len(l.Subjects), l.Subjects[:most]
	}
	if len(m.Events) > 0 {
		l.Event = m.Events[0].Identity
	}
	return l
}
