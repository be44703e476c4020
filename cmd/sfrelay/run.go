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
)

type runCommand struct {
	stackDirOf `prefix:""`
	Scenario   string `default:"events/scenario" type:"existingdir" help:"Directory with scenario.json."`
	Mode       string `enum:",direct,buffered" default:"" env:"DELIVERY_MODE" help:"DeliveryMode of the template: direct (default) or buffered."`
	Keep       bool   `help:"Keep the stack running afterwards."`
}

type stackDirOf struct {
	Dir string `default:".cache/run" type:"path" help:"Where the stack keeps its state and logs."`
}

func (c *runCommand) Run(ctx context.Context) (err error) {
	began := time.Now()
	s, err := scenario.Load(c.Scenario)
	if err != nil {
		return err
	}
	if err := stack.Down(ctx, c.Dir); err != nil { // what a killed run left
		return err
	}
	local, err := up(ctx, stack.Options{Dir: c.Dir, Mode: c.Mode, Orgs: s.Orgs})
	if err != nil {
		return err
	}
	if !c.Keep {
		defer func() { err = errors.Join(err, local.Down(context.WithoutCancel(ctx))) }()
	}
	describe(local)
	fmt.Printf("ready    after %s; now %q\n\n", time.Since(began).Round(100*time.Millisecond), s.Title)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	result, err := scenario.Runner{
		Stack: local, Command: []string{self}, Args: []string{"--stack-dir", c.Dir}, Log: os.Stdout,
	}.Run(ctx, s)
	if err != nil {
		return err
	}
	result.Print(os.Stdout)
	fmt.Printf("%d events, %d deliveries, %d invocations with a verdict, %s in all\n",
		len(result.Rows), result.Deliveries, result.Attempts, time.Since(began).Round(100*time.Millisecond))
	if len(result.Mistakes) > 0 {
		return fmt.Errorf("%d differences from what the scenario says:\n  %s", len(result.Mistakes), strings.Join(result.Mistakes, "\n  "))
	}
	fmt.Println("All as the scenario says.")
	return nil
}
