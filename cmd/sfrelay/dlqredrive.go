package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

type dlqRedriveCommand struct {
	dlqFlags
	consent
	Message     string  `help:"Only this message: its id, or the beginning of it."`
	Limit       int     `default:"0" help:"Most messages to redrive; 0 takes all."`
	Parallel    int     `default:"8" help:"Messages at once, 1 to 100. With many the consumers may be throttled."`
	Rate        float64 `default:"0" help:"Most messages a second; 0 is no bound."`
	StopAbove   int     `name:"stop-above" default:"50" placeholder:"PERCENT" help:"Stop when more than this share of at least 20 messages is left. 100 never stops."`
	DryRun      bool    `help:"Only say what would be redriven."`
	All         bool    `help:"One line for each message instead of one for each cause."`
	TrustSender bool    `help:"Redrive also what was not sent by the consumer that it names (foreign-sender)."`
	JSON        bool    `name:"json" help:"One JSON object for each message."`
}

// Help is shown by redrive --help.
func (dlqRedriveCommand) Help() string {
	return "Each message goes to its function, which answers what became of each change. The message is deleted if all of them got through, and stays " +
		"as it is if one did not. What was applied meanwhile is a duplicate. " +
		"You can interrupt a redrive and run it again at any time. " +
		"Messages that need your decision (changed-after-done, permanent/same-instant, and overwrote-newer where no org is read) are refused; " +
		"those of class too-old and in-doubt as well, unless --message or --class names them, and those that another than their consumer has sent, " +
		"unless you add --trust-sender. " +
		"After five failures in a row the rest of a consumer's messages is left. " +
		"The exit code is 1 when a message was left or parked again."
}

// Run implements kong's interface of a command.
func (c *dlqRedriveCommand) Run(ctx context.Context, s *screen) error {
	switch {
	case c.Parallel < 1 || c.Parallel > 100:
		return usageError{errors.New("--parallel from 1 to 100")}
	case c.Rate < 0:
		return usageError{errors.New("--rate is not below 0")}
	case c.StopAbove < 1 || c.StopAbove > 100:
		return usageError{errors.New("--stop-above from 1 to 100")}
	}
	at, err := c.openStack(ctx)
	if err != nil {
		return err
	}
	qs, err := c.queuesOf(at)
	if err != nil {
		return err
	}
	filter, _ := c.filter(time.Now())
	filter.ID = c.Message
	qs.TooOld = c.Message != "" || c.Class == string(verdict.TooOld)
	qs.Resolved = c.Message != "" || c.Class == string(verdict.InDoubt)
	qs.TrustSender = qs.TrustSender || c.TrustSender
	if c.DryRun {
		s.where(at.Where, c.JSON)
		return c.wouldRedrive(ctx, qs, filter, s)
	}
	nothing := false
	err = s.ask(ctx, at, c.consent, c.JSON, func() (sentence string, err error) {
		sentence, err = c.sentence(ctx, qs, filter, s)
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
	by, err := at.Caller(ctx)
	if err != nil {
		return err
	}
	return c.redrive(ctx, qs, filter, by, s)
}

// sentence says what the redrive will do; empty where there is nothing to redrive. What
// comes into the queues after the question is not redriven. Where nobody is asked nothing is
// counted either: that takes as long as the redrive.
func (c *dlqRedriveCommand) sentence(ctx context.Context, qs *deadletter.Queues, filter deadletter.Filter, s *screen) (string, error) {
	most := "Every message that matches"
	if !c.Yes {
		found, err := qs.Read(ctx, deadletter.Query{Filter: filter, Limit: c.Limit, Lean: true, Progress: func(seen int) { s.Err.Status("%d messages read", seen) }})
		s.Err.Status("")
		if err != nil || len(found.Messages) == 0 {
			return "", err
		}
		c.Limit = len(found.Messages)
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

const wouldGo deadletter.Outcome = "would go"

// wouldRedrive says what a redrive would do.
func (c *dlqRedriveCommand) wouldRedrive(ctx context.Context, qs *deadletter.Queues, filter deadletter.Filter, s *screen) error {
	found, err := qs.Read(ctx, deadletter.Query{Filter: filter, Limit: c.Limit, Progress: func(seen int) { s.Err.Status("%d messages read", seen) }})
	s.Err.Status("")
	if err == nil && len(found.Messages) == 0 && c.chooses() {
		return c.notFound(s)
	}
	r := c.reporter(s)
	for _, m := range found.Messages {
		result := deadletter.Result{Message: m, Outcome: wouldGo, Reason: qs.Hopeless(m)}
		if refusal := qs.Refusal(m); refusal != "" {
			result.Outcome, result.Reason = deadletter.Refused, refusal
		}
		r.add(result)
	}
	r.flush()
	if !c.JSON {
		s.Out.Printf("%d would be redriven, %d refused.\n", r.counts[wouldGo], r.counts[deadletter.Refused])
	}
	c.incomplete(s.Err, found, err != nil)
	return err
}

func (c *dlqRedriveCommand) redrive(ctx context.Context, qs *deadletter.Queues, filter deadletter.Filter, by string, s *screen) error {
	r := c.reporter(s)
	began := time.Now()
	order := deadletter.Order{
		Filter: filter, Limit: c.Limit, By: by, Parallel: c.Parallel, Rate: c.Rate, Report: r.add,
		Progress: func(p deadletter.Progress) { s.Err.Status("%s", c.progress(p, r.counts, time.Since(began))) },
	}
	if c.StopAbove < 100 {
		order.StopAbove = float64(c.StopAbove) / 100
	}
	sum, err := qs.Redrive(ctx, order)
	s.Err.Status("")
	r.flush()
	left, again := r.counts[deadletter.Left], r.counts[deadletter.ParkedAgain]
	if !c.JSON {
		s.Out.Printf("%d taken, %d left, %d refused, %d parked again.\n", r.counts[deadletter.Taken], left, r.counts[deadletter.Refused], again)
	}
	for _, w := range sum.Warnings {
		s.Err.Printf("%s\n", w)
	}
	for _, n := range sum.Counts {
		if err == nil && n.InFlight > 0 {
			s.Err.Printf("Others hold about %s of the %s queue; they are back within %d minutes. Redrive again then.\n", count(n.InFlight, "message", "messages"), n.Queue.Name, int(deadletter.HeldFor.Minutes()))
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; every message that was not taken is still in its queue: run the same command again")
	case errors.Is(err, deadletter.ErrStopped):
		return fmt.Errorf("%w. Correct the cause, or go on with --stop-above 100; see: %s", err, c.Command("dlq list"+c.words()))
	case err != nil:
		return err
	}
	var errs []error
	if left > 0 {
		errs = append(errs, fmt.Errorf("%d of %d messages were left in their queue; see: %s", left, left+again+r.counts[deadletter.Taken], c.Command("dlq list"+c.words())))
	}
	if again > 0 {
		errs = append(errs, fmt.Errorf("of %d messages something was parked again that you have to look at; see: %s", again, c.Command("dlq list")))
	}
	return errors.Join(errs...)
}

// progress says how far the redrive is, and how long it may take.
func (c *dlqRedriveCommand) progress(p deadletter.Progress, counts map[deadletter.Outcome]int, took time.Duration) string {
	said := fmt.Sprintf("%d taken, %d left", counts[deadletter.Taken]+counts[deadletter.ParkedAgain], counts[deadletter.Left])
	total := c.Limit
	if total == 0 && !c.chooses() && c.Message == "" {
		total = p.Queued
	}
	if total >= p.Done && total > 0 {
		said = fmt.Sprintf("%d of about %d: %s", p.Done, total, said)
	} else if p.Queued > 0 {
		said = fmt.Sprintf("%d chosen, %d of about %d messages seen: %s", p.Chosen, p.Seen, max(p.Queued, p.Seen), said)
	}
	if seconds := took.Seconds(); p.Done > 0 && seconds >= 1 {
		rate := float64(p.Done) / seconds
		said += fmt.Sprintf(", %.0f a second", rate)
		if total > p.Done {
			said += ", " + age(time.Duration(float64(total-p.Done)/rate*float64(time.Second))) + " left"
		}
	}
	return said
}

// reporter prints outcomes: for machines and with --all one by one, else by cause, at the end.
type reporter struct {
	*dlqRedriveCommand
	s      *screen
	counts map[deadletter.Outcome]int
	causes map[outcomeOf]*group
	order  []outcomeOf
}

type outcomeOf struct {
	outcome deadletter.Outcome
	cause
}

func (c *dlqRedriveCommand) reporter(s *screen) *reporter {
	return &reporter{dlqRedriveCommand: c, s: s, counts: map[deadletter.Outcome]int{}, causes: map[outcomeOf]*group{}}
}

func (r *reporter) add(result deadletter.Result) {
	r.counts[result.Outcome]++
	m := result.Message
	switch {
	case r.JSON:
		j := forMachines(m)
		j.Outcome, j.Why = string(result.Outcome), result.Reason
		_ = r.s.Out.JSON(j)
		return
	case r.All:
		r.s.Err.Status("")
		row := terminal.Row(fmt.Sprintf("%-12s", result.Outcome), first(m.ID, shortID), fmt.Sprintf("%-19s", dash(m.Consumer)), of(m)+because(result.Reason))
		row[0].Style = styles[result.Outcome]
		r.s.Err.Table(0, row)
		return
	}
	key := outcomeOf{result.Outcome, cause{m.Consumer, verdict.Class(result.Class), deadletter.Pattern(result.Reason)}}
	if result.Outcome == wouldGo {
		key.class = m.Class
	}
	g := r.causes[key]
	if g == nil {
		g = &group{cause: key.cause, example: m}
		r.causes[key], r.order = g, append(r.order, key)
	}
	g.n++
}

var styles = map[deadletter.Outcome]terminal.Style{
	deadletter.Taken: terminal.Green, deadletter.Left: terminal.Red, deadletter.Refused: terminal.Yellow, deadletter.ParkedAgain: terminal.Yellow,
}

// flush prints the causes, and of each one message.
func (r *reporter) flush() {
	for _, key := range r.order {
		g := r.causes[key]
		if key.outcome == deadletter.Taken {
			continue // the last line counts them
		}
		row := terminal.Row(fmt.Sprintf("%5d", g.n), fmt.Sprintf("%-12s", key.outcome), dash(key.consumer), dash(string(key.class)), "e.g. "+first(g.example.ID, shortID))
		row[1].Style = styles[key.outcome]
		r.s.Err.Table(0, row)
		if key.reason != "" {
			r.s.Err.Table(7, terminal.Row(key.reason))
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
