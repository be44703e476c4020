package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/scenario"
	"sfrelay/cmd/sfrelay/internal/stack"
)

type bulkCommand struct {
	stackDirOf `prefix:""`
	rootFlag
	Mode    string        `enum:",direct,buffered" default:"" env:"DELIVERY_MODE" help:"DeliveryMode of the template: direct (default) or buffered."`
	Events  int           `default:"100" help:"Change events to send; 1 to 1000."`
	Records int           `default:"200" help:"Records that each of them names; 1 to 200."`
	Timeout time.Duration `default:"30m" help:"Longest time until every record has arrived."`
}

// Validate implements kong's hook.
func (c *bulkCommand) Validate() error {
	if c.Events < 1 || c.Events > 1000 || c.Records < 1 || c.Records > 200 {
		return errors.New("use --events from 1 to 1000 and --records from 1 to 200")
	}
	return nil
}

// Help is shown by bulk --help.
func (*bulkCommand) Help() string {
	return "The events are made up. Each names new accounts that are alike but for their ids. In the end billing and ERP must hold every account once, " +
		"and nothing may lie in a queue. Ctrl-C ends the load and the stack."
}

// Run implements kong's interface of a command.
func (c *bulkCommand) Run(ctx context.Context, out *screen) (err error) {
	if err := stack.Down(ctx, c.Dir); err != nil { // what a killed run left
		return err
	}
	local, err := up(ctx, out, c.rootFlag, stack.Options{Dir: c.Dir, Mode: c.Mode})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, local.Down(context.WithoutCancel(ctx))) }()
	describe(out.Out, local)
	out.Out.Printf("\n")
	const often = 10 * time.Second
	said, shown := time.Now(), scenario.BulkState{}
	last, mistakes, err := scenario.Runner{Stack: local}.Bulk(ctx, scenario.Bulk{
		Events: c.Events, Records: c.Records, AtMost: c.Timeout,
		Progress: func(s scenario.BulkState) {
			if s != shown && time.Since(said) >= often {
				said, shown = time.Now(), s
				out.Out.Printf("%s\n", progressOf(s))
			}
		},
	})
	if err != nil {
		return err
	}
	c.summary(out, local.Mode, last)
	if len(mistakes) > 0 {
		return bulkDiffers(mistakes)
	}
	out.Out.Printf("Every record is in both sinks once, and nothing is parked.\n")
	return nil
}

func (c *bulkCommand) summary(out *screen, mode string, last scenario.BulkState) {
	records := float64(c.Events * c.Records)
	out.Out.Printf("%s\n\n%.0f records in %d events, delivered %s: %.0f records a second reached both sinks, with %.2f requests to the ERP and %.2f to Stripe for each\n",
		progressOf(last), records, c.Events, mode, records/last.Took.Seconds(), float64(last.ERPCalls)/records, float64(last.Stripe)/records)
}

func progressOf(s scenario.BulkState) string {
	return fmt.Sprintf("%4.0f s: ERP %d, billing %d records; %d messages in buffers, %d parked", s.Took.Seconds(), s.ERP, s.Billing, s.Buffered, s.Waiting)
}

// bulkDiffers are the differences from what a bulk load shall end with.
type bulkDiffers []string

// Lines are those of the message.
func (d bulkDiffers) Lines() []string {
	return append([]string{fmt.Sprintf("%d differences from every record once and nothing parked:", len(d))}, d...)
}

func (d bulkDiffers) Error() string { return strings.Join(d.Lines(), "\n  ") }
