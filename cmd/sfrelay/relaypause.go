package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/relay"
)

type relayStart struct {
	relaySides
	consent
}

// Help is shown by relay start --help.
func (relayStart) Help() string {
	return "An announced pause ends with it. Where a stack is deployed it leaves a line in the audit log, and needs the stack's RelayPolicy."
}

func (c *relayStart) Run(ctx context.Context, out *screen) error {
	return c.set(ctx, out, c.consent, "RUN", relay.Pause{})
}

type relayPause struct {
	relaySides
	consent
	For    time.Duration `help:"Announce that the pause ends after so long, 72h at most: until then no alarm rings." placeholder:"2h"`
	Reason string        `help:"Why, for the announcement and the audit log." placeholder:"TEXT"`
}

// Help is shown by relay pause --help.
func (relayPause) Help() string {
	return "Salesforce keeps events for 72 hours, and a relay that is started again goes on where it was. No command sets STOP, because a stopped relay " +
		"forgets its position.\n\nWithout --for RelayDownAlarm rings within ten minutes. With --for it rings when the announced time is over and the relays still " +
		"do not run. Where a stack is deployed this leaves a line in the audit log, and needs the stack's RelayPolicy."
}

func (c *relayPause) Run(ctx context.Context, out *screen) error {
	p := relay.Pause{Reason: c.Reason}
	switch {
	case c.For < 0 || c.For > relay.LongestPause:
		return usageError{fmt.Errorf("--for: want up to %.0fh: Salesforce keeps events for so long, and a longer pause loses what waits; pause anew before the first one ends, after the relays have caught up",
			relay.LongestPause.Hours())}
	case c.For > 0:
		p.Until = time.Now().Add(c.For).UTC().Truncate(time.Millisecond)
	}
	return c.set(ctx, out, c.consent, "PAUSE", p)
}

// errNoTable is of an account without the stack, and of the sandbox.
var errNoTable = errors.New("there is no table to write the announcement into: no stack is deployed here, or it may not be read; deploy it with make deploy, name it with --stack-name, or leave out --for")

// set asks both relays for a state. STOP is none of them: it forgets the position.
func (f *relaySides) set(ctx context.Context, out *screen, c consent, state string, p relay.Pause) error {
	j, err := f.open(ctx)
	if err != nil {
		return err
	}
	deployed := j.at.Outputs["GuardTable"] != ""
	if !p.Until.IsZero() && !deployed {
		return usageError{errNoTable}
	}
	plan := "Both relays will be set to " + state + " in the org " + f.Org + "."
	switch {
	case state == "PAUSE" && deployed && p.Until.IsZero():
		plan += " It is not announced, so RelayDownAlarm will ring; announce it with --for."
	case !p.Until.IsZero():
		plan += " No alarm will ring until " + p.Until.Format(time.RFC3339) + "."
	}
	if err := out.ask(ctx, j.at, c, false, func() (string, error) { return plan, nil }); err != nil {
		return err
	}
	v, err := relay.Look(ctx, j.org, j.events, time.Now())
	if err != nil {
		return err
	}
	for _, one := range v.Relays {
		if one.Config == nil {
			return fmt.Errorf("there is no relay %s in the org %s; type: sfrelay relay setup", one.Name, v.OrgID)
		}
	}
	if deployed {
		if err := j.announce(ctx, v, state, &p); err != nil {
			return err
		}
	}
	for _, one := range v.Relays {
		if err := j.org.SetState(ctx, one.Config, state); err != nil {
			return err
		}
		out.Out.Table(0, terminal.Row(one.Name, "asked to "+state+"; it follows in some minutes"))
	}
	if !p.Until.IsZero() {
		out.Out.Table(0, terminal.Row("announced", "until "+p.Until.Format(time.RFC3339)+"; no alarm rings before"))
	}
	if deployed && state == "RUN" { // not before: the alarm may ring only if they do not start
		return relay.Withdraw(ctx, dynamo.NewClient(j.at.Config), j.at.Outputs["GuardTable"], v.OrgID)
	}
	return nil
}

// announce leaves the line in the audit log, then writes the announcement of a pause. A pause
// that is not announced ends an earlier announcement, as a start does.
func (j *joined) announce(ctx context.Context, v *relay.View, state string, p *relay.Pause) error {
	if len(j.at.Orgs) > 0 && !slices.ContainsFunc(j.at.Orgs, func(o string) bool { return len(o) >= 15 && len(v.OrgID) >= 15 && o[:15] == v.OrgID[:15] }) {
		return fmt.Errorf("the stack takes nothing of the org %s; name the stack of that org with --stack-name (%s)", v.OrgID, j.at.Where)
	}
	by, err := j.at.Caller(ctx)
	if err != nil {
		return err
	}
	log, err := audit.New(j.at.Config, j.at.Outputs["AuditLogGroup"], by)
	if err != nil {
		return err
	}
	line := audit.Line{Action: "relay start", Reason: p.Reason, Org: v.OrgID, Item: relay.PauseKey(v.OrgID)}
	if state == "PAUSE" {
		line.Action = "relay pause"
	}
	if !p.Until.IsZero() {
		line.After = "announced until " + p.Until.Format(time.RFC3339)
	}
	if err := log.Write(ctx, line); err != nil || state == "RUN" {
		return err
	}
	client, table := dynamo.NewClient(j.at.Config), j.at.Outputs["GuardTable"]
	if p.Until.IsZero() {
		return relay.Withdraw(ctx, client, table, v.OrgID)
	}
	p.By = by
	return relay.Announce(ctx, client, table, v.OrgID, *p)
}
