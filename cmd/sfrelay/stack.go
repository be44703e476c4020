package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

type stackCommand struct {
	Up     stackUp     `cmd:"" help:"Build, deploy and keep the stack running."`
	Down   stackDown   `cmd:"" help:"End the stack."`
	Env    stackEnv    `cmd:"" help:"Print the environment variables for other tools."`
	Status stackStatus `cmd:"" help:"Say whether the stack runs, and where."`
}

type stackDir struct {
	Dir string `default:".cache/stack" type:"path" help:"Where the stack keeps its state and logs."`
}

type stackUp struct {
	stackDir
	rootFlag
	Mode   string `enum:",direct,buffered" default:"" env:"DELIVERY_MODE" help:"DeliveryMode of the template: direct (default) or buffered."`
	Orgs   string `env:"SALESFORCE_ORGS" help:"Ids of the orgs whose events are accepted, comma separated."`
	ERPURL string `name:"erp-url" env:"ERP_URL" help:"Your own implementation of the HTTP sink contract instead of the sandbox."`
}

func (c *stackUp) Run(ctx context.Context, out *screen) error {
	s, err := up(ctx, out, c.rootFlag, stack.Options{Dir: c.Dir, Mode: c.Mode, Orgs: c.Orgs, ERPURL: c.ERPURL})
	if err != nil {
		return err
	}
	describe(out.Out, s)
	out.Out.Printf("\nSend an event     dist/sfrelay send FILE --wait\n")
	out.Out.Printf("Use other tools   eval \"$(dist/sfrelay stack env)\"\n")
	out.Out.Printf("End the stack     make down\n")
	return nil
}

// up starts a stack from a checkout, with the sandboxes served by this very program. It
// says first which checkout.
func up(ctx context.Context, out *screen, flag rootFlag, o stack.Options) (*stack.Stack, error) {
	o, err := flag.fit(o)
	if err != nil {
		return nil, err
	}
	out.Out.Table(0, terminal.Row("checkout", o.Root))
	return stack.Up(ctx, o)
}

// fit says where the checkout is and how its sandboxes are served.
func (f rootFlag) fit(o stack.Options) (stack.Options, error) {
	dir, err := os.Getwd()
	if err != nil {
		return o, err
	}
	if o.Root, err = f.checkout(dir, os.Getuid()); err != nil {
		return o, err
	}
	self, err := os.Executable()
	o.Sandbox = []string{self, "sandbox", "--json"}
	return o, err
}

func describe(p *terminal.Printer, s *stack.Stack) {
	p.Table(0,
		terminal.Row("AWS", s.Endpoint+" (local stack, emulated, roles enforced)"),
		terminal.Row("account", stack.Account+", region "+stack.Region+", stack "+stack.Name),
		terminal.Row("buses", s.EventBus),
		terminal.Row("", s.ChangeBus),
		terminal.Row("sinks", "Stripe "+s.StripeURL),
		terminal.Row("", "ERP    "+s.ERPURL),
		terminal.Row("", "webhook "+s.NotifyURL),
		terminal.Row("org", "Salesforce "+s.OrgURL+" (sandbox)"),
		terminal.Row("delivery", fmt.Sprintf("%s, all waits scaled by 1/%.0f", s.Mode, 1/s.TimeScale)),
	)
	if s.Delay > 0 {
		p.Table(0, terminal.Row("delay   ", fmt.Sprintf("%s before every call of the guard's table and of the sinks", s.Delay)))
	}
}

type stackDown struct{ stackDir }

func (c *stackDown) Run(ctx context.Context) error { return stack.Down(ctx, c.Dir) }

type stackStatus struct{ stackDir }

func (c *stackStatus) Run(out *screen) error {
	s, err := stack.Open(c.Dir)
	if err != nil {
		return err
	}
	describe(out.Out, s)
	out.Out.Table(0, terminal.Row("since   ", s.Since.Local().Format(time.RFC1123)))
	return nil
}

type stackEnv struct{ stackDir }

func (c *stackEnv) Run(ctx context.Context, out *screen) error {
	s, err := stack.Open(c.Dir)
	if err != nil {
		return err
	}
	cfg, err := s.Config(ctx)
	if err != nil {
		return err
	}
	outputs, err := account.Outputs(ctx, cfg, stack.Name)
	if err != nil {
		return err
	}
	env := append(s.Env(),
		"GUARD_TABLE="+outputs["GuardTable"],
		"FAILURE_QUEUE_URL="+outputs["FailureQueueUrl"],
		"FAILURE_BUCKET="+outputs["FailureBucket"],
		"DELIVERY_QUEUE_URL="+outputs["DeliveryQueueUrl"],
		"EVENT_BUS="+s.EventBus,
		"CHANGE_BUS="+s.ChangeBus,
		// Not ERP_URL and STRIPE_API_BASE: the next stack would take them for settings of the reader.
		"STRIPE_SANDBOX_URL="+s.StripeURL,
		"ERP_SANDBOX_URL="+s.ERPURL,
		"ORG_SANDBOX_URL="+s.OrgURL,
		"SANDBOX_KEY="+s.SandboxKey,
	)
	printEnv(out.Out, env)
	return nil
}

// printEnv writes variables as a shell reads them.
func printEnv(p *terminal.Printer, env []string) {
	sort.Strings(env)
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		p.Printf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
}
