// Package doctor names what is wrong with the set-up of Event Relay: each finding with its
// evidence and its cure.
package doctor

import (
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
}

// Findings are all that is wrong in a view, in the order in which one repairs it.
func (v *View) Findings(p relay.Place) []Finding {
	var found []Finding
	add := func(of, name, evidence, cure string) {
		found = append(found, Finding{name, of, evidence, cure})
	}
	v.ofCredential(p, add)
	for _, one := range v.Relays {
		v.ofConfig(one, add)
		if one.Config != nil {
			v.ofState(one, add)
			v.ofSource(one, add)
		}
		ofMembers(one, add)
	}
	if len(p.Orgs) > 0 && !slices.ContainsFunc(p.Orgs, func(o string) bool { return short(o) == short(v.OrgID) }) {
		add("", "org-not-accepted", "SalesforceOrgs is "+strings.Join(p.Orgs, ",")+", the org is "+v.OrgID,
			"Write "+v.OrgID+" into SalesforceOrgs and deploy the stack. A refreshed sandbox has another id.")
	}
	for _, l := range []struct {
		limit relay.Limit
		what  string
	}{{v.Delivered, "events delivered today"}, {v.Requests, "API requests today"}} {
		const most = 80 // percent; the functions stop asking at 90
		if l.limit.Max > 0 && l.limit.Used()*100 >= l.limit.Max*most {
			add("", "allocation-nearly-used", l.limit.Says(l.what), "Setup, Company Information: look who uses them. Events wait, or records are not read, until room is there again.")
		}
	}
	for _, object := range []string{"Account", "Contact", "Opportunity"} {
		if names := v.hidden[object]; len(names) > 0 {
			add("", "field-unreadable", object+": "+strings.Join(names, ", "), "Setup, Permission Sets, sfrelay reader, Object Settings: give the right to read these fields.")
		}
	}
	return found
}

// short is an id without the three characters that repeat which of its letters are capitals.
func short(id string) string { return id[:min(len(id), 15)] }

type adder func(of, name, evidence, cure string)

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
		add(one.Name, "resume-latest", "resume option "+c.RelayOption, "Setup, Event Relays, "+c.DeveloperName+": choose EARLIEST. With LATEST a lost position loses events.")
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
	if one.Config.State != "RUN" {
		add(one.Name, "relay-not-running", "wanted "+one.Config.State+", is "+f.Status, "Type: sfrelay relay start")
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
		add(one.Name, "bus-deleted", "the source is PENDING again; its bus is gone", "Type: sfrelay relay setup. Then deploy the stack: the rules went with the bus.")
	case s.State == "PENDING":
		add(one.Name, "source-pending", "the relay is "+one.Feedback.Status+", the source is PENDING: no event arrives", "Type: sfrelay relay setup, or associate the source in EventBridge, Partner event sources.")
	case s.State != "ACTIVE":
		add(one.Name, "source-missing", "EventBridge has no active source "+name+" ("+s.State+")", "It expired or was deleted. Delete the relay, then type: sfrelay relay setup")
	case s.Rules == 0:
		add(one.Name, "no-rules", "the bus has no rules", "Deploy the stack with "+one.Kind.Parameter+"="+name)
	case len(s.Off) > 0:
		add(one.Name, "rule-disabled", strings.Join(s.Off, ", "), "EventBridge, Rules: enable them. Events that come meanwhile are lost.")
	}
}

func ofMembers(one *relay.One, add adder) {
	for _, event := range functions.DetailTypes(one.Kind.Events) {
		if one.Config != nil && !one.Carries(event) {
			add(one.Name, "event-not-in-channel", event, "Type: sfrelay relay setup. If no consumer of yours needs it, leave it.")
		}
	}
	for _, m := range one.Members {
		if f := m.FilterExpression; f != "" && one.Kind.Channel == "data" && !strings.Contains(f, "changeType") {
			add(one.Name, "filter-drops-gaps", m.SelectedEntity+": "+f, "Begin the filter with ChangeEventHeader.changeType != 'UPDATE' OR: gap events have no fields.")
		}
	}
}
