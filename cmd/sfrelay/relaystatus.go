package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/relay"
	"sfrelay/shared/verdict"
)

type relayStatus struct {
	relaySides
	Since string `default:"1h" placeholder:"TIME" help:"How far back the last event of each consumer is looked for."`
	JSON  bool   `name:"json" help:"Print one line of JSON."`
}

// lastEvent is the newest line of a consumer's log.
type lastEvent struct {
	Consumer string          `json:"consumer"`
	At       *time.Time      `json:"at,omitempty"` // nil: there is none
	Verdict  verdict.Verdict `json:"verdict,omitempty"`
	Class    verdict.Class   `json:"class,omitempty"`
	Event    string          `json:"event,omitempty"`
}

// Run implements kong's interface of a command.
func (c *relayStatus) Run(ctx context.Context, out *screen) error {
	since, err := moment("--since", c.Since, time.Now())
	if err != nil {
		return err
	}
	j, err := c.open(ctx)
	if err != nil {
		return err
	}
	v, err := relay.Look(ctx, j.org, j.events, time.Now())
	if err != nil {
		return err
	}
	if table := j.at.Outputs["GuardTable"]; table != "" && v.OrgID != "" {
		pause, err := relay.Announced(ctx, dynamo.NewClient(j.at.Config), table, v.OrgID)
		if !v.Miss("announced pause", account.Plainly(err)) && pause.Running(v.At) {
			v.Pause = pause
		}
	}
	last, err := j.lastEvents(ctx, since)
	v.Miss("logs of the consumers", account.Plainly(err))
	out.where(j.at.Where, c.JSON)
	if c.JSON {
		return out.Out.JSON(struct {
			*relay.View
			Consumers []lastEvent `json:"consumers,omitempty"`
		}{v, last})
	}
	showStatus(out, v, last, c.Since)
	return nil
}

// lastEvents are those of the consumers of the stack, by their names; none without a stack.
func (j *joined) lastEvents(ctx context.Context, since time.Time) (last []lastEvent, err error) {
	var functionsOf []string
	for _, c := range account.Consumers(j.at.Outputs) {
		functionsOf = append(functionsOf, c.Function)
		last = append(last, lastEvent{Consumer: c.Name})
	}
	if len(last) == 0 {
		return nil, nil
	}
	slices.SortFunc(last, func(a, b lastEvent) int { return strings.Compare(a.Consumer, b.Consumer) })
	r, err := verdicts.Open(ctx, j.at.Config, functionsOf, since)
	if err != nil {
		return nil, err
	}
	if j.at.Asks {
		r.Only(`{ $.verdict = "*" }`)
	}
	lines, err := r.Next(ctx)
	for _, l := range lines { // the newest one comes last
		if i := slices.IndexFunc(last, func(e lastEvent) bool { return e.Consumer == l.Consumer }); i >= 0 {
			last[i] = lastEvent{l.Consumer, &l.Time, l.Verdict, l.Class, l.DetailType}
		}
	}
	return last, err
}

func showStatus(out *screen, v *relay.View, last []lastEvent, since string) {
	out.Out.Table(0, terminal.Row("org", v.Says()))
	out.Out.Table(0, terminal.Row("today", v.Delivered.Says("events delivered")+", "+v.Requests.Says("API requests")))
	for _, one := range v.Relays {
		out.Out.Table(0, terminal.Row(one.Name, one.Says(time.Now())))
	}
	if p := v.Pause; p != nil {
		out.Out.Table(0, terminal.Row("announced", strings.TrimSuffix("pause until "+p.Until.Format(time.RFC3339)+" by "+p.By+": "+p.Reason, ": ")))
	}
	for _, e := range last {
		said := "no event since " + since
		if e.At != nil {
			said = strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Event, e.Verdict, e.Class)) + ", " + e.At.UTC().Format(time.RFC3339)
		}
		out.Out.Table(0, terminal.Row(fmt.Sprintf("%-19s", e.Consumer), said))
	}
	for _, u := range v.Unseen {
		out.Out.Table(0, terminal.Row("not seen", u))
	}
}

type relayPlan struct {
	relaySides
	ChangesPerDay int `placeholder:"N" help:"Changes of records and platform events a day that the relays will carry."`
}

// Run implements kong's interface of a command.
func (c *relayPlan) Run(ctx context.Context, out *screen) error {
	j, err := c.open(ctx)
	if err != nil {
		return err
	}
	steps, v, err := j.setup(out).Plan(ctx)
	if err != nil {
		return err
	}
	out.where(j.at.Where, false)
	showPlan(out, append(steps, j.afterwards(v)...), v.Unseen)
	return c.arithmetic(out, v)
}

// afterwards are the steps after setup.
func (j *joined) afterwards(v *relay.View) []relaysetup.Step {
	deploy := relaysetup.Step{Name: "stack", Needs: "AWS: what sam deploy takes"}
	for _, one := range v.Relays {
		output := strings.TrimSuffix(one.Kind.Parameter, "Name")
		if bus := one.Feedback.RemoteResource; bus == "" || j.at.Outputs[output] != bus {
			deploy.Left = "deploy it on the buses of the relays: make deploy"
		}
	}
	verify := relaysetup.Step{Name: "probes", Left: "see them arrive: sfrelay relay verify", Needs: "Salesforce: Sfrelay_Publisher; AWS: logs:FilterLogEvents, lambda:GetFunctionConfiguration"}
	return []relaysetup.Step{deploy, verify}
}

func showPlan(out *screen, steps []relaysetup.Step, unseen []string) {
	left := 0
	for _, s := range steps {
		said := "done"
		if s.Left != "" {
			left++
			said = "left: " + s.Left
		}
		out.Out.Table(0, terminal.Row(fmt.Sprintf("%-24s", s.Name), said))
		out.Out.Table(2, terminal.Row(s.Needs))
	}
	for _, u := range unseen {
		out.Out.Table(0, terminal.Row("not seen", u))
	}
	out.Out.Printf("%d of %d steps are left\n", left, len(steps))
}

// arithmetic compares with the org's allocation. Each relay that delivers an event uses it
// once, and ours have no event in common.
func (c *relayPlan) arithmetic(out *screen, v *relay.View) error {
	most := v.Delivered.Max
	if most == 0 {
		return nil // it is among what is not seen
	}
	out.Out.Printf("The org may deliver %d events a day; %d are used today.\n", most, v.Delivered.Used())
	if c.ChangesPerDay <= 0 {
		return nil
	}
	out.Out.Printf("%d events a day, each delivered by one relay, are %d %% of the %d that the org may deliver.\n", c.ChangesPerDay, c.ChangesPerDay*100/most, most)
	if c.ChangesPerDay > most {
		return fmt.Errorf("the org may deliver %d events a day; take fewer objects, filter the members, or buy more", most)
	}
	return nil
}
