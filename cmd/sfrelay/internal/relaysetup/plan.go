package relaysetup

import (
	"context"
	"fmt"
	"strings"

	"sfrelay/functions"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
)

// Step is one of a set-up.
type Step struct {
	Name  string
	Left  string // what is left to do; empty: nothing
	Needs string // the rights that it takes
}

const (
	customize = "Salesforce: Customize Application"
	describes = "AWS: events:DescribeEventSource, events:DescribeEventBus, events:ListRules"
)

// Plan says which steps Run would do, and which are done. It changes nothing.
func (s *Setup) Plan(ctx context.Context) ([]Step, *relay.View, error) {
	v, err := s.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	missing, err := s.missing(ctx)
	if err != nil {
		return nil, nil, err
	}
	channels, err := s.channels(ctx)
	if err != nil {
		return nil, nil, err
	}
	first := Step{"platform events", "", customize}
	if len(missing.Names) > 0 {
		first.Left = "deploy " + strings.Join(missing.Names, ", ") + ": " + missing.Command()
	}
	second := Step{"credential", "", customize}
	if c := v.Credential; c == nil {
		second.Left = "make " + relay.CredentialName + ", " + s.Place.Endpoint()
	} else if c.Endpoint != s.Place.Endpoint() {
		second.Left = "delete the relays, then correct its URL from " + c.Endpoint + " to " + s.Place.Endpoint() + " in Setup, Named Credentials"
	}
	steps := []Step{first, second}
	running := 0
	for _, one := range v.Relays {
		steps = append(steps, Step{one.Name, leftOf(one, channels[one.Name]), customize}, sourceStep(one))
		if runs(one) {
			running++
		}
	}
	last := Step{"start", "", customize}
	if left := len(v.Relays) - running; left > 0 {
		last.Left = fmt.Sprintf("set the state RUN of %d relays", left)
	}
	return append(steps, last), v, nil
}

// leftOf are the components of a relay that are not there.
func leftOf(one *relay.One, channel bool) string {
	var left []string
	if !channel {
		left = append(left, "channel "+one.Name+"__chn")
	}
	for _, event := range functions.DetailTypes(one.Kind.Events) {
		if !one.Carries(event) {
			left = append(left, "member "+event)
		}
	}
	switch c := one.Config; {
	case c == nil:
		left = append(left, "relay "+one.Name)
	case c.DestinationResourceName != "callout:"+relay.CredentialName:
		return fmt.Sprintf("delete the relay %s in Setup, Event Relays: it has the channel, and leads to %s", c.DeveloperName, c.DestinationResourceName)
	}
	if len(left) == 0 {
		return ""
	}
	return "make " + strings.Join(left, ", ")
}

func sourceStep(one *relay.One) Step {
	step := Step{one.Name + " source", "", describes + ", events:CreateEventBus"}
	switch from := one.Feedback.RemoteResource; one.Source.State {
	case "ACTIVE":
	case "PENDING":
		step.Left = "associate " + from + " with a bus of its name"
	case "":
		step.Left = "not seen; see below"
	default:
		step.Left = "wait for it, then associate it with a bus of its name"
	}
	return step
}

// look is both sides, if enough of them is seen.
func (s *Setup) look(ctx context.Context) (*relay.View, error) {
	v, err := relay.Look(ctx, s.Org, s.Events, s.Now())
	if err != nil {
		return nil, err
	}
	if v.Namespace != "" {
		return nil, fmt.Errorf("the org has the namespace %s: components of a namespaced org have other names; deploy salesforce/ with sf, and start the relays in Setup, Event Relays", v.Namespace)
	}
	if blind := v.Blind(); blind != "" { // else what is there would be made again
		return nil, fmt.Errorf("%s", blind)
	}
	return v, nil
}

// missing are the platform events that the org does not have.
func (s *Setup) missing(ctx context.Context) (*MissingEvents, error) {
	missing := &MissingEvents{}
	for _, name := range functions.DetailTypes(salesforce.Platform) {
		there, err := s.Org.IsThere(ctx, name)
		if err != nil {
			return nil, err
		}
		if !there {
			missing.Names = append(missing.Names, name)
		}
	}
	return missing, nil
}

// channels are the names of those that are there.
func (s *Setup) channels(ctx context.Context) (map[string]bool, error) {
	rows, err := relay.Rows[struct{ DeveloperName string }](ctx, s.Org, "SELECT DeveloperName FROM PlatformEventChannel")
	there := map[string]bool{}
	for _, c := range rows {
		there[c.DeveloperName] = true
	}
	return there, err
}
