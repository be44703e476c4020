package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/scenario"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

type runCommand struct {
	stackDirOf `prefix:""`
	rootFlag
	Scenario string `default:"events/scenario" type:"existingdir" help:"Directory with scenario.json."`
	Mode     string `enum:",direct,buffered" default:"" env:"DELIVERY_MODE" help:"DeliveryMode of the template: direct (default) or buffered."`
	Delay    delay  `placeholder:"DURATION" help:"Let every call of the guard's table and of the sinks wait for so long first, e.g. 300ms; 1s at most."`
	Keep     bool   `help:"Keep the stack running afterwards."`
}

type stackDirOf struct {
	Dir string `default:".cache/run" type:"path" help:"Where the stack keeps its state and logs."`
}

func (c *runCommand) Run(ctx context.Context, out *screen) (err error) {
	began := time.Now()
	s, err := scenario.Load(c.Scenario)
	if err != nil {
		return err
	}
	if err := stack.Down(ctx, c.Dir); err != nil { // what a killed run left
		return err
	}
	local, err := up(ctx, out, c.rootFlag, stack.Options{Dir: c.Dir, Mode: c.Mode, Orgs: s.Orgs, Delay: time.Duration(c.Delay)})
	if err != nil {
		return err
	}
	if !c.Keep {
		defer func() { err = errors.Join(err, local.Down(context.WithoutCancel(ctx))) }()
	}
	describe(out.Out, local)
	out.Out.Table(0, terminal.Row("ready   ", fmt.Sprintf("after %s; now %q", time.Since(began).Round(100*time.Millisecond), s.Title)))
	out.Out.Printf("\n")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	result, err := scenario.Runner{
		Stack: local, Command: []string{self}, Args: []string{"--stack-dir", c.Dir},
		Switch: func(ctx context.Context, mode string) error {
			o, err := c.fit(stack.Options{Dir: c.Dir, Mode: mode})
			if err == nil {
				_, err = stack.Up(ctx, o)
			}
			return err
		},
	}.Run(ctx, s)
	if err != nil {
		return err
	}
	result.Print(out.Out)
	out.Out.Printf("%d events, %d deliveries, %d invocations with a verdict, %s in all\n",
		len(result.Rows), result.Deliveries, result.Attempts, time.Since(began).Round(100*time.Millisecond))
	if len(result.Mistakes) > 0 {
		return differs(result.Mistakes)
	}
	out.Out.Printf("All as the scenario says.\n")
	return nil
}

// differs are the differences from what a scenario says.
type differs []string

// Lines are those of the message.
func (d differs) Lines() []string {
	return append([]string{fmt.Sprintf("%d differences from what the scenario says:", len(d))}, d...)
}

func (d differs) Error() string { return strings.Join(d.Lines(), "\n  ") }
