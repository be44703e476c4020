// Package relaysetup makes Event Relay between an org and an AWS account, and deletes it.
package relaysetup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go"

	"sfrelay/functions"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
)

// Setup does what is missing, and takes what is there.
type Setup struct {
	Org    *relay.Org
	Events *eventbridge.Client
	Place  relay.Place
	Say    func(step, what string, took time.Duration)
	Wait   func(context.Context) error // before the other side is asked again
	Now    func() time.Time
}

// asks bounds how often a state is asked for that Salesforce takes minutes to reach.
const asks = 40

// Run sets up everything, or goes on where an earlier run ended, and returns the names of
// the buses by the stack's parameters.
func (s *Setup) Run(ctx context.Context) (map[string]string, error) {
	v, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.events(ctx); err != nil {
		return nil, err
	}
	if err := s.credential(ctx, v); err != nil {
		return nil, err
	}
	buses := map[string]string{}
	for _, one := range v.Relays {
		if err := s.components(ctx, one); err != nil {
			return nil, err
		}
		if buses[one.Kind.Parameter], err = s.bus(ctx, one.Name); err != nil {
			return nil, err
		}
	}
	return buses, s.start(ctx)
}

// MissingEvents are platform events that the org does not have. The Tooling API makes no
// objects, so they are deployed.
type MissingEvents struct{ Names []string }

// Command deploys them, from the root of a checkout.
func (e *MissingEvents) Command() string {
	c := "cd salesforce && sf project deploy start"
	for _, name := range e.Names {
		c += " --source-dir force-app/main/default/objects/" + name
	}
	return c
}

func (e *MissingEvents) Error() string {
	return fmt.Sprintf("the org has no platform event %s, or the user of the credentials may not see it; nothing was made; deploy the events with: %s; then assign the permission set Sfrelay_Publisher to that user, and run this command again",
		strings.Join(e.Names, ", "), e.Command())
}

// events looks for the platform events before anything is made: a channel without them
// relays nothing.
func (s *Setup) events(ctx context.Context) error {
	began := s.Now()
	missing, err := s.missing(ctx)
	if err != nil {
		return err
	}
	if len(missing.Names) > 0 {
		return missing
	}
	s.step("platform events", began, fmt.Sprintf("%d there", len(functions.DetailTypes(salesforce.Platform))))
	return nil
}

func (s *Setup) step(name string, began time.Time, what string) {
	s.Say(name, what, s.Now().Sub(began))
}

func (s *Setup) credential(ctx context.Context, v *relay.View) error {
	began := s.Now()
	switch c := v.Credential; {
	case c == nil:
		err := s.Org.Create(ctx, "NamedCredential", relay.CredentialName, map[string]any{"label": "sfrelay AWS", "endpoint": s.Place.Endpoint(), "generateAuthorizationHeader": true,
			"principalType": "NamedUser", "protocol": "NoAuthentication", "namedCredentialType": "Legacy", "calloutStatus": "Enabled"})
		if err != nil {
			return err
		}
		s.step("credential", began, "made, "+s.Place.Endpoint())
	case c.Endpoint != s.Place.Endpoint():
		return fmt.Errorf("the credential %s leads to %s, and the stack is at %s; delete the relays, then correct the URL in Setup, Named Credentials", relay.CredentialName, c.Endpoint, s.Place.Endpoint())
	default:
		s.step("credential", began, "there")
	}
	return nil
}

// components makes channel, members and relay of one kind.
func (s *Setup) components(ctx context.Context, one *relay.One) error {
	began, k := s.Now(), one.Kind
	channels, err := s.channels(ctx)
	if err != nil {
		return err
	}
	made := 0
	make1 := func(object, name string, metadata map[string]any) error {
		made++
		return s.Org.Create(ctx, object, name, metadata)
	}
	if !channels[k.Name] {
		if err := make1("PlatformEventChannel", k.Name+"__chn", map[string]any{"channelType": k.Channel, "label": k.Label}); err != nil {
			return err
		}
	}
	for _, event := range functions.DetailTypes(k.Events) {
		if one.Carries(event) {
			continue
		}
		made++
		if err := s.Org.AddMember(ctx, k, event); err != nil {
			return err
		}
	}
	switch c := one.Config; {
	case c == nil:
		if err := make1("EventRelayConfig", k.Name, map[string]any{"destinationResourceName": "callout:" + relay.CredentialName, "eventChannel": k.Name + "__chn", "label": k.Label,
			"relayOption": `{"ReplayRecovery":"EARLIEST"}`, "state": "STOP", "usageType": "AMAZON_EVENTBRIDGE"}); err != nil {
			return err
		}
	case c.DestinationResourceName != "callout:"+relay.CredentialName:
		return fmt.Errorf("the channel %s__chn is used by the relay %s, which leads to %s; delete that relay in Setup, Event Relays", k.Name, c.DeveloperName, c.DestinationResourceName)
	}
	s.step(k.Name, began, fmt.Sprintf("%d components made", made))
	return nil
}

// bus waits for the source of a relay and associates it.
func (s *Setup) bus(ctx context.Context, name string) (string, error) {
	began := s.Now()
	for i := range asks {
		v, err := relay.Look(ctx, s.Org, s.Events, s.Now())
		if err != nil {
			return "", err
		}
		one := v.Relays[slices.IndexFunc(v.Relays, func(o *relay.One) bool { return o.Name == name })]
		from := one.Feedback.RemoteResource
		switch one.Source.State {
		case "ACTIVE":
			s.step(name+" source", began, "ACTIVE, "+from)
			return from, nil
		case "":
			if _, err := relay.SourceWithRules(ctx, s.Events, from); err != nil {
				return "", fmt.Errorf("the event source %s: %w", from, err)
			}
			continue // it can be asked again
		case "PENDING":
			if err := Associate(ctx, s.Events, from); err != nil {
				return "", fmt.Errorf("associate %s with a bus: %w", from, err)
			}
			continue
		}
		if i == 0 {
			s.Say(name+" source", "waits until Salesforce has made it in the account", 0)
		}
		if err := s.Wait(ctx); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s: no source in account %s, region %s; correct region and account in Setup, Named Credentials, %s", name, s.Place.Account, s.Place.Region, relay.CredentialName)
}

func (s *Setup) start(ctx context.Context) error {
	began, asked, said := s.Now(), map[string]bool{}, false
	for range asks {
		v, err := relay.Look(ctx, s.Org, s.Events, s.Now())
		if err != nil {
			return err
		}
		var waits []string
		again := false
		for _, one := range v.Relays {
			if runs(one) {
				continue
			}
			waits = append(waits, one.Name+" is "+one.Feedback.Status)
			if one.Config != nil && one.Config.State != "RUN" && !asked[one.Name] {
				if err := s.Org.SetState(ctx, one.Config, "RUN"); err != nil {
					return err
				}
				asked[one.Name], again = true, true
			}
		}
		switch {
		case len(waits) == 0:
			s.step("start", began, "both relays run")
			return nil
		case again: // it may be there already
			continue
		case !said:
			s.Say("start", "waits until Salesforce has started the relays: "+strings.Join(waits, ", "), 0)
			said = true
		}
		if err := s.Wait(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("the relays do not run yet; type: sfrelay relay status")
}

// runs reports whether a relay runs and is to go on. A pause follows after minutes, too.
func runs(one *relay.One) bool {
	return one.Config != nil && one.Config.State == "RUN" && one.Feedback.Status == "RUNNING"
}

// Teardown deletes members, relays, channels and the credential, in the order that Salesforce
// takes, and the buses. It says what it deletes.
func (s *Setup) Teardown(ctx context.Context) error {
	v, err := relay.Look(ctx, s.Org, s.Events, s.Now())
	if err != nil {
		return err
	}
	if blind := v.Blind(); blind != "" { // else what is not seen would stay
		return errors.New(blind)
	}
	for _, one := range v.Relays {
		began := s.Now()
		for _, m := range one.Members {
			if err := s.Org.Remove(ctx, "PlatformEventChannelMember", m.ID); err != nil {
				return err
			}
		}
		if one.Config != nil {
			if err := s.Org.Remove(ctx, "EventRelayConfig", one.Config.ID); err != nil {
				return err
			}
		}
		channels, err := relay.Rows[struct{ ID, DeveloperName string }](ctx, s.Org, "SELECT Id, DeveloperName FROM PlatformEventChannel")
		if err != nil {
			return err
		}
		for _, c := range channels {
			if c.DeveloperName == one.Name {
				if err := s.Org.Remove(ctx, "PlatformEventChannel", c.ID); err != nil {
					return err
				}
			}
		}
		if name := one.Feedback.RemoteResource; one.Source.Bus {
			if _, err := s.Events.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: &name}); err != nil {
				return fmt.Errorf("delete the bus %s: %w; delete its rules first, with make undeploy", name, err)
			}
		}
		s.step(one.Name, began, "deleted")
	}
	if v.Credential != nil {
		return s.Org.Remove(ctx, "NamedCredential", v.Credential.ID)
	}
	return nil
}

// Associate makes the bus of a source. One that is there is taken.
func Associate(ctx context.Context, client *eventbridge.Client, name string) error {
	_, err := client.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &name, EventSourceName: &name})
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "ResourceAlreadyExistsException" {
		return nil
	}
	return err
}
