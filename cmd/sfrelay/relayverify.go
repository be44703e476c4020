package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/relayverify"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/relay"
)

type relayVerify struct {
	relaySides
	consent
	Timeout time.Duration `default:"5m" help:"Longest time to wait for what was published."`
	Touch   string        `placeholder:"OBJECT/ID.FIELD" help:"Try the change events too: give this field another value and its own one back. It must be one that no consumer reads."`
	JSON    bool          `name:"json" help:"Print one line of JSON."`
}

// Help is shown by relay verify --help.
func (relayVerify) Help() string {
	return "It publishes a probe of each platform event in the org, and waits until each consumer that takes it has logged the verdict probe. A probe says nothing: " +
		"neither guard nor sink is asked. What does not arrive is named with the hop that lost it: relay, source, rule or function. Change events cannot be published: " +
		"their relay is proven by its next event, or by --touch."
}

// Validate implements kong's hook.
func (c *relayVerify) Validate() error {
	if c.Timeout <= 0 || c.Timeout > time.Hour {
		return errors.New("--timeout: want more than 0, and at most an hour")
	}
	if c.Touch == "" {
		return nil
	}
	_, err := relayverify.ParseTouch(c.Touch)
	return err
}

// Run implements kong's interface of a command.
func (c *relayVerify) Run(ctx context.Context, out *screen) error {
	j, err := c.open(ctx)
	if err != nil {
		return err
	}
	if len(j.at.Outputs) == 0 {
		return errors.New("there is no stack whose consumers could answer; deploy it with make deploy, or name it with --stack-name")
	}
	say := func(a relayverify.Arrival) {
		if !c.JSON {
			showArrival(out, a)
		}
	}
	v, err := j.verify(ctx, c.Timeout, say)
	if err != nil {
		return err
	}
	plan := "A probe of each platform event will be published"
	var touch *relayverify.Touched
	if c.Touch != "" {
		if touch, err = relayverify.ParseTouch(c.Touch); err != nil {
			return err
		}
		if err := touch.Check(v.Stack, j.at.Params["AccountFields"], j.at.Params["AccountExtraFields"], j.at.Params["OpportunityFields"]); err != nil {
			return usageError{err}
		}
		plan += fmt.Sprintf(", and the field %s of %s/%s gets another value and its own one back: two changes, with what they start in the org,", touch.Field, touch.Object, touch.ID)
	}
	if err := out.ask(ctx, j.at, c.consent, c.JSON, func() (string, error) { return plan + " in the org " + c.Org + ".", nil }); err != nil {
		return err
	}
	return c.try(ctx, out, j, v, touch)
}

func (c *relayVerify) try(ctx context.Context, out *screen, j *joined, v *relayverify.Verify, touch *relayverify.Touched) error {
	before, err := relay.Look(ctx, j.org, j.events, time.Now())
	if err != nil {
		return err
	}
	arrivals, err := v.Probes(ctx)
	if err != nil {
		return err
	}
	if touch != nil {
		more, err := v.Touch(ctx, touch)
		if err != nil {
			return err
		}
		arrivals = append(arrivals, more...)
	}
	after, err := relay.Look(ctx, j.org, j.events, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		err = out.Out.JSON(struct {
			Arrivals []*relayverify.Arrival `json:"arrivals"`
			Changes  *relay.One             `json:"changes"`
		}{arrivals, after.Relays[1]})
	} else if touch == nil {
		showChanges(out, before.Relays[1], after.Relays[1])
	}
	return errors.Join(err, relayverify.Outcome(arrivals))
}

func showArrival(out *screen, a relayverify.Arrival) {
	if a.Verdict == "" {
		row := terminal.Row(fmt.Sprintf("%-24s", a.Event), fmt.Sprintf("%-20s", a.Consumer), fmt.Sprintf("%6.1fs", a.Seconds), "lost at "+a.Lost)
		row[3].Style = terminal.Red
		out.Out.Table(0, row)
		return
	}
	said := strings.TrimSpace(string(a.Verdict) + " " + string(a.Class) + because(a.Error))
	out.Out.Table(0, terminal.Row(fmt.Sprintf("%-24s", a.Event), fmt.Sprintf("%-20s", a.Consumer), fmt.Sprintf("%6.1fs", a.Seconds), said))
}

// showChanges says what is known of the relay of the change events, which nobody can publish.
func showChanges(out *screen, before, after *relay.One) {
	said := "no event relayed yet; its next one proves it, or --touch Object/id.Field"
	switch was, is := before.Feedback.LastRelayedEventTime, after.Feedback.LastRelayedEventTime; {
	case is != was:
		said = "relayed an event meanwhile, of " + is
	case is != "":
		said = "last event of " + is + "; its next one proves it, or --touch Object/id.Field"
	}
	out.Out.Table(0, terminal.Row(fmt.Sprintf("%-24s", after.Name), said))
}

// verify is a Verify on the stack behind the relays.
func (j *joined) verify(ctx context.Context, atMost time.Duration, say func(relayverify.Arrival)) (*relayverify.Verify, error) {
	consumers := slices.DeleteFunc(account.Consumers(j.at.Outputs), func(c deadletter.Consumer) bool { return slices.Contains(j.at.Off, c.Name) })
	follow, pause, since := account.FollowLocal, 200*time.Millisecond, time.Now()
	if j.at.Asks {
		follow, pause, since = account.Follow, 2*time.Second, since.Add(-5*time.Second) // clocks differ
	}
	reader, err := follow(ctx, j.at.Config, consumers, since)
	if err != nil {
		return nil, err
	}
	if j.at.Asks {
		reader.Only(`{ $.verdict = "*" }`)
	}
	stack := relayverify.Stack{Lines: overdue(reader)}
	for _, c := range consumers {
		stack.Consumers = append(stack.Consumers, c.Name)
	}
	rules := bus.New(j.at.Config)
	stack.Targets = func(ctx context.Context, name, detailType string) ([]string, error) {
		sample, err := probe(detailType, name, time.Now())
		if err != nil {
			return nil, err
		}
		arns, err := rules.Targets(ctx, name, sample)
		var takers []string
		for _, arn := range arns {
			takers = append(takers, account.ByTarget(consumers, arn))
		}
		return takers, err
	}
	return &relayverify.Verify{Org: j.org, Events: j.events, Stack: stack, Say: say, Now: time.Now, AtMost: atMost, Pause: pause, Wait: wait}, nil
}

// overdue are the lines of a reader, which on the local stack has to ask for them.
func overdue(reader *verdicts.Reader) func(context.Context, []string) ([]verdicts.Line, error) {
	const patience = 2500 * time.Millisecond
	asked := time.Now()
	return func(ctx context.Context, late []string) ([]verdicts.Line, error) {
		if time.Since(asked) > patience {
			asked = time.Now()
			if err := reader.Ask(ctx, late); err != nil {
				return nil, err
			}
		}
		return reader.Next(ctx)
	}
}

// wait waits for as long as this, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
