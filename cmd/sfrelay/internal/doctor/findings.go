// Package doctor names what is wrong with the set-up of Event Relay: each finding with its
// evidence and its cure.
package doctor

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sfrelay/functions"
	"sfrelay/shared/relay"
)

// Finding is something wrong with the set-up.
type Finding struct {
	Name     string `json:"name"`
	Relay    string `json:"relay,omitempty"`
	Evidence string `json:"evidence"`
	Cure     string `json:"cure"`
	Fix      string `json:"fix,omitempty"` // what Mend does; empty: a person has to

	mend func(context.Context) error
}

// Mend is the cure, of a finding that has a Fix.
func (f Finding) Mend(ctx context.Context) error { return f.mend(ctx) }

// Findings are all that is wrong in a view, in the order in which one repairs it.
func (v *View) Findings(p relay.Place) []Finding {
	var found []Finding
	add := func(of, name, evidence, cure string) *Finding {
		found = append(found, Finding{Name: name, Relay: of, Evidence: evidence, Cure: cure})
		return &found[len(found)-1]
	}
	v.ofOrg(p, add)
	v.ofCredential(p, add)
	for _, one := range v.Relays {
		v.ofConfig(one, add)
		if one.Config != nil {
			v.ofState(one, add)
			v.ofSource(one, add)
		}
		v.ofMembers(one, add)
	}
	v.ofElsewhere(add)
	v.ofUser(add)
	if v.stack != nil {
		v.stack.ofStack(v, add)
	}
	return found
}

// short is an id without the three characters that repeat which of its letters are capitals.
func short(id string) string { return id[:min(len(id), 15)] }

type adder func(of, name, evidence, cure string) *Finding

func (v *View) ofCredential(p relay.Place, add adder) {
	const screen = "Setup, Named Credentials, Sfrelay_AWS: "
	c := v.Credential
	if c == nil {
		if !v.isUnseen("named credentials") {
			add("", "credential-missing", "no named credential "+relay.CredentialName, "Type: sfrelay relay setup")
		}
		return
	}
	switch m := regexp.MustCompile(`^arn:aws:([^:]+):([^:]+)$`).FindStringSubmatch(c.Endpoint); {
	case c.Endpoint == p.Endpoint():
	case m == nil:
		add("", "credential-endpoint", c.Endpoint, "Delete the relays, then "+screen+"write the URL "+p.Endpoint())
	case m[1] != strings.ToUpper(m[1]):
		add("", "region-in-small-letters", c.Endpoint, "Delete the relays, then "+screen+"write the region in capitals, "+p.Endpoint())
	default:
		add("", "other-account-or-region", c.Endpoint+", the stack is at "+p.Endpoint(), "Delete the relays, then "+screen+"write the URL "+p.Endpoint())
	}
	if c.CalloutStatus == "Disabled" {
		add("", "credential-disabled", "callout status "+c.CalloutStatus, screen+"enable callouts.")
	}
	if c.NamedCredentialType != "" && c.NamedCredentialType != "Legacy" {
		add("", "credential-not-legacy", "type "+c.NamedCredentialType, "Delete it, then Setup, Named Credentials, New Legacy.")
	}
}

func (v *View) isUnseen(what string) bool {
	return slices.ContainsFunc(v.Unseen, func(s string) bool { return strings.HasPrefix(s, what+":") })
}

func (v *View) ofConfig(one *relay.One, add adder) {
	c := one.Config
	switch {
	case c == nil && !v.isUnseen("relays"):
		add(one.Name, "relay-missing", "no relay of channel "+one.Name+"__chn", "Type: sfrelay relay setup")
	case c == nil:
	case c.DestinationResourceName != "callout:"+relay.CredentialName:
		add(one.Name, "channel-of-another-relay", fmt.Sprintf("channel %s__chn is used by the relay %s, which leads to %s", one.Name, c.DeveloperName, c.DestinationResourceName),
			"Setup, Event Relays: delete "+c.DeveloperName+", then type: sfrelay relay setup")
	case !strings.Contains(c.RelayOption, "EARLIEST"):
		add(one.Name, "resume-latest", "resume option "+c.RelayOption, "Setup, Event Relays, "+c.DeveloperName+": choose EARLIEST. With LATEST a lost position loses events.").
			by("set the resume option to EARLIEST", func(ctx context.Context) error {
				return v.org.Change(ctx, "EventRelayConfig", c.ID, "relayOption", `{"ReplayRecovery":"EARLIEST"}`)
			})
	}
}

// cures are those of the error codes that Salesforce documents, by their ends.
var cures = [...][2]string{
	{"eventsource.invalid", "The source was deleted, or the credential is wrong: delete the relay, then type: sfrelay relay setup"},
	{"eventsource.connect.error", "Salesforce does not reach EventBridge. It tries again by itself; see the status pages of both."},
	{"feature.not.supported", "Setup, Encryption Settings and the enrichment of members: the relay refuses one of them."},
	{"event.delivery.limit.error", "The day's allocation of delivered events is used up. See Setup, Company Information."},
	{"temporarily.unavailable", "Wait. Salesforce tries again by itself."},
}

func (v *View) ofState(one *relay.One, add adder) {
	f := one.Feedback
	if f.ErrorCode != "" || f.Status == "ERROR" {
		cure := "See Setup, Event Relays, " + one.Config.DeveloperName
		for _, c := range cures {
			if strings.HasSuffix(f.ErrorCode, c[0]) {
				cure = c[1]
			}
		}
		add(one.Name, "relay-in-error", strings.TrimSpace(f.ErrorCode+" "+f.ErrorMessage), cure)
	}
	switch {
	case one.Config.State != "RUN":
		add(one.Name, "relay-not-running", "wanted "+one.Config.State+", is "+f.Status, "Type: sfrelay relay start").
			by("set the relay to RUN", func(ctx context.Context) error { return v.org.SetState(ctx, one.Config, "RUN") })
	case f.Status != "RUNNING" && f.Status != "ERROR" && f.ErrorCode == "" && !v.isUnseen("states of relays"):
		add(one.Name, "relay-not-running", "wanted RUN, is "+f.Status, "A change of state takes some minutes. If it stays so, see Setup, Event Relays, "+one.Config.DeveloperName)
	}
	if hours, ok := one.HoursLeft(v.At); ok && hours <= 0 {
		add(one.Name, "paused-too-long", fmt.Sprintf("the last event was relayed at %s, more than 72 hours ago", f.LastRelayedEventTime),
			"Events were lost. Start the relay, and compare the records that changed since.")
	}
}

func (v *View) ofSource(one *relay.One, add adder) {
	name, s := one.Feedback.RemoteResource, one.Source
	switch {
	case s.State == "" || name == "" || v.Credential == nil:
	case s.State == "PENDING" && one.Feedback.LastRelayedEventTime != "":
		add(one.Name, "bus-deleted", "the source is PENDING again; its bus is gone", "Type: sfrelay relay setup. Then deploy the stack: the rules went with the bus.").by("associate the source with a bus of its name", v.associate(name))
	case s.State == "PENDING":
		add(one.Name, "source-pending", "the relay is "+one.Feedback.Status+", the source is PENDING: no event arrives", "Type: sfrelay relay setup, or associate the source in EventBridge, Partner event sources.").
			by("associate the source with a bus of its name", v.associate(name))
	case s.State != "ACTIVE":
		add(one.Name, "source-missing", "EventBridge has no active source "+name+" ("+s.State+")", "It expired or was deleted. Delete the relay, then type: sfrelay relay setup")
	case s.Rules == 0:
		add(one.Name, "no-rules", "the bus has no rules", "Deploy the stack with "+one.Kind.Parameter+"="+name)
	case len(s.Off) > 0:
		add(one.Name, "rule-disabled", "switched off: "+strings.Join(s.Off, ", "), "EventBridge, Rules: enable them. Events that come meanwhile are lost.").by("enable the rules", v.enable(name, s.Off))
	}
}

func (v *View) ofMembers(one *relay.One, add adder) {
	for _, event := range functions.DetailTypes(one.Kind.Events) {
		if one.Config != nil && !one.Carries(event) && !v.isUnseen("members of channels") {
			add(one.Name, "event-not-in-channel", event, "Type: sfrelay relay setup. If no consumer of yours needs it, leave it.").
				by("put the event into the channel", func(ctx context.Context) error { return v.org.AddMember(ctx, one.Kind, event) })
		}
	}
	for _, m := range one.Members {
		// LIKE 'GAP%' lets gaps pass and is no promise for the other types.
		if f := m.FilterExpression; f != "" && one.Kind.Channel == "data" && !passesAll.MatchString(f) {
			add(one.Name, "filter-drops-gaps", m.SelectedEntity+": "+f, "Begin the filter with ChangeEventHeader.changeType != 'UPDATE' OR: gap events have no fields, and other changes not all of them.")
		}
	}
}

// passesAll is the beginning of a filter that tests fields of updates only.
var passesAll = regexp.MustCompile(`(?i)^\s*\(?\s*ChangeEventHeader\.changeType\s*!=\s*'UPDATE'\s*\)?\s+OR\b`)

func (v *View) ofElsewhere(add adder) {
	for _, m := range v.Elsewhere {
		add("", "event-relayed-twice", m.SelectedEntity+" is in "+m.EventChannel+", too", "Each delivery counts in the org's allocation. Remove the member from the other channel, or stop its relay.")
	}
}
