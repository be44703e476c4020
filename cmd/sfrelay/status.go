package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

type whoamiCommand struct{ account.Flags }

// Run implements kong's interface of a command.
func (c *whoamiCommand) Run(ctx context.Context, s *screen) error {
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	by, err := at.Caller(ctx)
	if err != nil {
		return err
	}
	s.where(at.Where, false)
	s.Out.Table(0, terminal.Row("you", by))
	for _, sink := range at.Sinks {
		s.Out.Table(0, terminal.Row(sink.Name, sink.At))
	}
	return nil
}

type statusCommand struct {
	account.Flags
	Since string `default:"1h" placeholder:"TIME" help:"How far back the verdicts are counted."`
}

// Help is shown by status --help.
func (statusCommand) Help() string {
	return "One screen: how many messages lie in the two queues and in each consumer's buffer, and the verdicts of each consumer. It reads no message."
}

// Run implements kong's interface of a command.
func (c *statusCommand) Run(ctx context.Context, s *screen) error {
	since, err := moment("--since", c.Since, time.Now())
	if err != nil {
		return err
	}
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	s.where(at.Where, false)
	consumers := account.Consumers(at.Outputs)
	slices.SortFunc(consumers, func(a, b deadletter.Consumer) int { return compare(a.Name, b.Name) })
	client := sqs.NewFromConfig(at.Config)
	qs := &deadletter.Queues{SQS: client, List: []deadletter.Queue{
		{Name: "failure", URL: at.Outputs["FailureQueueUrl"]}, {Name: "delivery", URL: at.Outputs["DeliveryQueueUrl"]},
	}}
	for _, co := range consumers {
		qs.List = append(qs.List, deadletter.Queue{Name: co.Name, URL: co.Buffer})
	}
	var functionsOf []string
	for _, co := range consumers {
		functionsOf = append(functionsOf, co.Function)
	}
	r, err := verdicts.Open(ctx, at.Config, functionsOf, since)
	if err != nil {
		return err
	}
	if c.AWS {
		r.Only(`{ $.verdict = "*" }`)
	}
	lines, err := r.Next(ctx)
	if err != nil {
		return err
	}
	c.print(s.Out, qs.Counts(ctx), lines)
	return nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// print is the screen. The first two counts are those of the queues of what failed.
func (c *statusCommand) print(p *terminal.Printer, counts []deadletter.Count, lines []verdicts.Line) {
	number := func(c deadletter.Count, n int) string {
		if !c.Known {
			return "?"
		}
		return fmt.Sprint(n)
	}
	rows := [][]terminal.Cell{terminal.Heading("QUEUE", "WAITING", "IN FLIGHT")}
	failed := 0
	for i, n := range counts {
		name := n.Queue.Name
		if i >= 2 {
			name = "buffer of " + name
		} else {
			failed += n.Visible + n.InFlight
		}
		row := terminal.Row(name, number(n, n.Visible), number(n, n.InFlight))
		if i < 2 && n.Visible > 0 {
			row[1].Style = terminal.Red
		}
		rows = append(rows, row)
	}
	p.Table(0, rows...)
	p.Printf("\n")
	words := []verdict.Verdict{verdict.Applied, verdict.Duplicate, verdict.Stale, verdict.PartlyStale, verdict.Ignored, verdict.Failed, verdict.Parked, verdict.Zombie}
	counted := map[string]map[verdict.Verdict]int{}
	for _, l := range lines {
		if counted[l.Consumer] == nil {
			counted[l.Consumer] = map[verdict.Verdict]int{}
		}
		counted[l.Consumer][l.Verdict]++
	}
	heading := []string{"SINCE " + c.Since}
	var used []verdict.Verdict
	for _, w := range words {
		for _, of := range counted {
			if of[w] > 0 {
				used, heading = append(used, w), append(heading, string(w))
				break
			}
		}
	}
	table := [][]terminal.Cell{terminal.Heading(heading...)}
	for _, n := range counts[min(2, len(counts)):] {
		row := []string{n.Queue.Name}
		for _, w := range used {
			row = append(row, fmt.Sprint(counted[n.Queue.Name][w]))
		}
		table = append(table, terminal.Row(row...))
	}
	p.Table(0, table...)
	if failed > 0 {
		p.Printf("\nSee what failed:   %s\n", c.Command("dlq list"))
	}
	p.Printf("Watch changes:     %s\n", c.Command("tail"))
}

type tailCommand struct {
	account.Flags
	Consumer string        `help:"Only this consumer."`
	Since    string        `default:"0s" placeholder:"TIME" help:"Begin so long ago, e.g. 10m."`
	For      time.Duration `help:"End after so long; default: at Ctrl-C." placeholder:"1m"`
	Failed   bool          `help:"Only what failed or was parked."`
	JSON     bool          `name:"json" help:"One JSON object for each change."`
}

// Run implements kong's interface of a command.
func (c *tailCommand) Run(ctx context.Context, s *screen) error {
	since, err := moment("--since", c.Since, time.Now())
	if err != nil {
		return err
	}
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	s.where(at.Where, c.JSON)
	consumers := slices.DeleteFunc(account.Consumers(at.Outputs), func(co deadletter.Consumer) bool { return c.Consumer != "" && co.Name != c.Consumer })
	if len(consumers) == 0 {
		return usageError{fmt.Errorf("--consumer: this stack has no %q; it has %s", c.Consumer, names(account.Consumers(at.Outputs)))}
	}
	var functionsOf []string
	for _, co := range consumers {
		functionsOf = append(functionsOf, co.Function)
	}
	r, err := verdicts.Open(ctx, at.Config, functionsOf, since)
	if err != nil {
		return err
	}
	if c.AWS {
		r.Only(`{ $.verdict = "*" }`)
	}
	var end <-chan time.Time // nil: never
	if c.For > 0 {
		end = time.After(c.For)
	}
	for {
		lines, err := r.Next(ctx)
		switch {
		case errors.Is(err, context.Canceled): // somebody has seen enough
			return nil
		case err != nil:
			return err
		}
		for _, l := range lines {
			c.print(s.Out, l)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-end:
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

// print is one change as it comes.
func (c *tailCommand) print(p *terminal.Printer, l verdicts.Line) {
	bad := l.Verdict == verdict.Failed || l.Verdict == verdict.Parked || l.Verdict == verdict.Zombie
	if c.Failed && !bad {
		return
	}
	if c.JSON {
		_ = p.JSON(l)
		return
	}
	row := terminal.Row(l.Time.UTC().Format("15:04:05"), fmt.Sprintf("%-19s", l.Consumer), fmt.Sprintf("%-12s", l.Verdict), dash(l.Subject)+because(brief(l.Error)))
	if bad {
		row[2].Style = terminal.Red
	}
	p.Table(0, row)
}
