// Package relayverify publishes a probe of each platform event in the org, and follows it to
// the log line of each consumer that takes it. A probe says nothing, so nothing is changed.
package relayverify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/verdict"
)

// Verify is one try of the whole way.
type Verify struct {
	Org    *relay.Org
	Events *eventbridge.Client
	Stack  Stack
	Say    func(Arrival) // each line as it comes
	Wait   func(context.Context, time.Duration) error
	Pause  time.Duration // between two looks at the logs; the last is cut short
	Now    func() time.Time
	AtMost time.Duration // from publishing on
}

// Stack is the other end.
type Stack struct {
	Consumers []string // names of those that are deployed and not switched off
	// Lines are those of the logs that were not returned before; late are the consumers
	// that are still waited for.
	Lines func(ctx context.Context, late []string) ([]verdicts.Line, error)
	// Targets are the consumers that the rules of a bus hand an event to.
	Targets func(ctx context.Context, bus, detailType string) ([]string, error)
}

// Arrival is an event at a consumer.
type Arrival struct {
	Event    string          `json:"event"`
	UUID     string          `json:"eventUuid,omitempty"` // as Salesforce gave it
	Consumer string          `json:"consumer"`
	Verdict  verdict.Verdict `json:"verdict,omitempty"` // empty: it did not arrive
	Class    verdict.Class   `json:"class,omitempty"`
	Error    string          `json:"error,omitempty"`
	Seconds  float64         `json:"seconds"` // from publishing to the verdict
	Lost     string          `json:"lost,omitempty"`

	published time.Time
	arrives   func(verdicts.Line) bool
	kind      relay.Kind
	want      verdict.Verdict
}

// skew is how much earlier than ours the clock of the functions may be.
const skew = 5 * time.Second

// Probes publishes a probe of each platform event that a consumer of the stack takes, and
// waits for all verdicts. What did not arrive has the hop that lost it.
func (v *Verify) Probes(ctx context.Context) ([]*Arrival, error) {
	var all []*Arrival
	for _, event := range functions.DetailTypes(salesforce.Platform) {
		takers := v.takers(event)
		if len(takers) == 0 {
			continue
		}
		random := make([]byte, 10)
		_, _ = rand.Read(random) // never fails
		id := salesforce.ProbePrefix + hex.EncodeToString(random)
		at := v.Now()
		uuid, err := v.Org.Probe(ctx, event, id)
		if err != nil {
			return all, err
		}
		for _, name := range takers {
			all = append(all, &Arrival{Event: event, UUID: uuid, Consumer: name, published: at, kind: relay.Kinds[0], want: verdict.Probe,
				arrives: func(l verdicts.Line) bool { return l.Subject == id }})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no consumer of the stack takes a platform event; deploy the stack, then run this command again")
	}
	return all, v.follow(ctx, all)
}

// takers are the consumers of the stack that take an event.
func (v *Verify) takers(event string) (names []string) {
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		takes := slices.ContainsFunc(d.Sources, func(s consumer.Source) bool { return s.DetailType == event })
		if takes && slices.Contains(v.Stack.Consumers, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names
}

// follow reads the logs until everything arrived or the time is over.
func (v *Verify) follow(ctx context.Context, all []*Arrival) error {
	end := v.Now().Add(v.AtMost)
	for {
		lines, err := v.Stack.Lines(ctx, late(all))
		if err != nil {
			return err
		}
		for _, l := range lines {
			for _, a := range all {
				if a.Verdict == "" && a.Consumer == l.Consumer && a.arrives(l) && l.Settled() && !l.Time.Before(a.published.Add(-skew)) {
					a.Verdict, a.Class, a.Error, a.Seconds = l.Verdict, l.Class, l.Error, max(0, l.Time.Sub(a.published).Seconds())
					v.Say(*a)
				}
			}
		}
		if len(late(all)) == 0 {
			return nil
		}
		left := end.Sub(v.Now())
		if left <= 0 {
			return v.blame(ctx, all)
		}
		if err := v.Wait(ctx, min(v.Pause, left)); err != nil {
			return err
		}
	}
}

func late(all []*Arrival) (names []string) {
	for _, a := range all {
		if a.Verdict == "" && !slices.Contains(names, a.Consumer) {
			names = append(names, a.Consumer)
		}
	}
	return names
}

// blame finds the hop that lost what did not arrive, from the org on.
func (v *Verify) blame(ctx context.Context, all []*Arrival) error {
	seen, err := relay.Look(ctx, v.Org, v.Events, v.Now())
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Verdict != "" {
			continue
		}
		a.Seconds = v.Now().Sub(a.published).Seconds()
		a.Lost = v.hop(ctx, seen, a)
		v.Say(*a)
	}
	return nil
}

// hop is the first one, seen from the org, that is not as it has to be.
func (v *Verify) hop(ctx context.Context, seen *relay.View, a *Arrival) string {
	one := seen.Relays[slices.IndexFunc(seen.Relays, func(o *relay.One) bool { return o.Name == a.kind.Name })]
	bus := one.Feedback.RemoteResource
	switch {
	case one.Config == nil:
		return "relay: there is none; type: sfrelay relay setup"
	case one.Feedback.Status != "RUNNING":
		return strings.TrimSpace(fmt.Sprintf("relay: %s is %s %s", one.Name, one.Feedback.Status, one.Feedback.ErrorCode)) + "; type: sfrelay doctor"
	case !one.Carries(a.Event):
		return "relay: its channel does not carry the event; type: sfrelay relay setup"
	case one.Source.State != "" && one.Source.State != "ACTIVE":
		return "source: " + bus + " is " + one.Source.State + "; type: sfrelay relay setup"
	case one.Relayed().Before(a.published.Truncate(time.Second)):
		return "relay: published, and " + one.Name + " runs, but says that it relayed its last event " + relayedAt(one) + "; wait, then run this command again"
	}
	takers, err := v.Stack.Targets(ctx, bus, a.Event)
	switch {
	case err != nil:
		return "rule: it could not be asked: " + err.Error()
	case !slices.Contains(takers, a.Consumer):
		return "rule: no enabled rule of the bus " + bus + " hands " + a.Event + " to it; deploy the stack with " + a.kind.Parameter + "=" + bus
	}
	return "function: a rule hands it the event, and its log has no line; see its log, and type: sfrelay dlq list"
}

func relayedAt(one *relay.One) string {
	if at := one.Relayed(); !at.IsZero() {
		return "at " + at.UTC().Format(time.RFC3339)
	}
	return "never"
}

// Outcome is nil if every event arrived with the verdict that was wanted.
func Outcome(all []*Arrival) error {
	var missing, other []string
	for _, a := range all {
		switch {
		case a.Verdict == "":
			hop, _, _ := strings.Cut(a.Lost, ":")
			missing = append(missing, fmt.Sprintf("%s at %s (%s)", a.Event, a.Consumer, hop))
		case a.Verdict != a.want:
			other = append(other, fmt.Sprintf("%s at %s (%s)", a.Event, a.Consumer, a.Verdict))
		}
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("it did not arrive: %s; the word in brackets is the hop that lost it", strings.Join(missing, ", ")))
	}
	if len(other) > 0 {
		errs = append(errs, fmt.Errorf("it arrived with another verdict: %s; deploy the functions of this version with make deploy", strings.Join(other, ", ")))
	}
	return errors.Join(errs...)
}
