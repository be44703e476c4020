package relay

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/shared/salesforce"
)

// CredentialName is that of salesforce/, as all names here.
const CredentialName = "Sfrelay_AWS"

// Place is where the relays lead to.
type Place struct {
	Region, Account string
	Orgs            []string // that the stack accepts; none: there is no stack yet
}

// Endpoint is what the named credential has to say.
func (p Place) Endpoint() string { return "arn:aws:" + strings.ToUpper(p.Region) + ":" + p.Account }

// Kind is one channel with its relay: a channel takes platform events or change events.
type Kind struct {
	Name      string // of the relay, and of its channel before __chn
	Label     string
	Channel   string // type of the channel
	Events    salesforce.Kind
	Parameter string // of the stack, that names the bus
}

// Kinds are both, as salesforce/ has them.
var Kinds = [2]Kind{
	{Name: "Sfrelay_Events", Label: "sfrelay platform events", Channel: "event", Events: salesforce.Platform, Parameter: "EventBusName"},
	{Name: "Sfrelay_Changes", Label: "sfrelay change events", Channel: "data", Events: salesforce.CDC, Parameter: "ChangeBusName"},
}

// Config is an EventRelayConfig, by the names that Salesforce has for its fields.
type Config struct {
	ID                      string `json:"Id"`
	DeveloperName           string
	EventChannel            string
	DestinationResourceName string
	RelayOption             string
	State                   string
	UsageType               string
}

// Feedback is what Salesforce says of a relay.
type Feedback struct {
	EventRelayConfigID   string `json:"EventRelayConfigId"`
	Status               string
	RemoteResource       string
	ErrorCode            string
	ErrorMessage         string
	LastRelayedEventTime string
}

// Credential is a NamedCredential.
type Credential struct{ ID, DeveloperName, Endpoint, CalloutStatus, NamedCredentialType string }

// Member is an event of a channel.
type Member struct{ ID, DeveloperName, EventChannel, SelectedEntity, FilterExpression string }

// One is one relay, seen from both sides.
type One struct {
	Name     string   `json:"relay"`
	Config   *Config  `json:"config,omitempty"`
	Feedback Feedback `json:"feedback"`
	Source   Source   `json:"eventSource"`
	Members  []Member `json:"members"`

	Kind Kind `json:"-"`
}

// View is both sides at one moment.
type View struct {
	OrgID      string      `json:"org"`
	Sandbox    bool        `json:"sandbox"`
	Namespace  string      `json:"namespace,omitempty"`
	Relays     []*One      `json:"relays"`
	Delivered  Limit       `json:"deliveredEvents"` // of the day, of the whole org
	Requests   Limit       `json:"apiRequests"`
	Unseen     []string    `json:"unseen,omitempty"`         // what could not be asked, and why
	Elsewhere  []Member    `json:"elsewhere,omitempty"`      // events of ours that another running relay delivers to AWS, too
	Pause      *Pause      `json:"announcedPause,omitempty"` // set by who asks the stack's table, too
	At         time.Time   `json:"at"`
	Credential *Credential `json:"-"` // nil: there is none, or it is not seen
	configs    []Config    // of all relays
}

// Limit is an allocation of the org; Max is 0 where it is not known.
type Limit struct{ Max, Remaining int }

// Used is what is no longer there.
func (l Limit) Used() int { return l.Max - l.Remaining }

// Says is the limit in words.
func (l Limit) Says(what string) string { return fmt.Sprintf("%d of %d %s", l.Used(), l.Max, what) }

// Miss keeps what could not be asked, and reports whether there was an error.
func (v *View) Miss(what string, err error) bool {
	if err != nil {
		v.Unseen = append(v.Unseen, what+": "+err.Error())
	}
	return err != nil
}

// Look asks both sides. What cannot be seen is in the view; only a refused login is an error.
func Look(ctx context.Context, org *Org, client *eventbridge.Client, now time.Time) (*View, error) {
	v, err := LookAtStates(ctx, org, now)
	if err != nil {
		return nil, err
	}
	credentials, err := Rows[Credential](ctx, org, "SELECT Id, DeveloperName, Endpoint, CalloutStatus, NamedCredentialType FROM NamedCredential")
	v.Miss("named credentials", err)
	for _, c := range credentials {
		if c.DeveloperName == CredentialName {
			v.Credential = &c
		}
	}
	members, err := Rows[Member](ctx, org, "SELECT Id, DeveloperName, EventChannel, SelectedEntity, FilterExpression FROM PlatformEventChannelMember")
	v.Miss("members of channels", err)
	for _, one := range v.Relays {
		for _, m := range members {
			if m.EventChannel == one.Name+"__chn" {
				one.Members = append(one.Members, m)
			}
		}
		if one.Feedback.RemoteResource != "" {
			one.Source, err = SourceWithRules(ctx, client, one.Feedback.RemoteResource)
			if v.Miss("event source of "+one.Name, err) {
				one.Source.State = ""
			}
		}
	}
	v.lookElsewhere(members)
	return v, nil
}

// LookAtStates asks the org alone, and only what changes by itself: the allocations, and how
// both relays do. That is four requests.
func LookAtStates(ctx context.Context, org *Org, now time.Time) (*View, error) {
	v := &View{At: now}
	orgs, err := Rows[struct {
		ID, NamespacePrefix string
		IsSandbox           bool
	}](ctx, org, "SELECT Id, IsSandbox, NamespacePrefix FROM Organization")
	if err != nil {
		return nil, err
	}
	if len(orgs) == 1 {
		v.OrgID, v.Sandbox, v.Namespace = orgs[0].ID, orgs[0].IsSandbox, orgs[0].NamespacePrefix
	}
	var limits struct{ DailyDeliveredPlatformEvents, DailyApiRequests Limit }
	v.Miss("allocations", org.Call(ctx, "limits", http.MethodGet, "limits", nil, &limits))
	v.Delivered, v.Requests = limits.DailyDeliveredPlatformEvents, limits.DailyApiRequests
	configs, err := Rows[Config](ctx, org, "SELECT Id, DeveloperName, EventChannel, DestinationResourceName, RelayOption, State, UsageType FROM EventRelayConfig")
	v.Miss("relays", err)
	feedback, err := Rows[Feedback](ctx, org, "SELECT EventRelayConfigId, Status, RemoteResource, ErrorCode, ErrorMessage, LastRelayedEventTime FROM EventRelayFeedback")
	v.Miss("states of relays", err)
	for _, k := range Kinds {
		one := &One{Name: k.Name, Kind: k, Source: Source{State: Missing}}
		one.join(configs, feedback)
		v.Relays = append(v.Relays, one)
	}
	v.configs = configs
	return v, nil
}

// lookElsewhere finds the events of our channels that are in those of other relays, too.
func (v *View) lookElsewhere(members []Member) {
	for _, c := range v.configs {
		if !c.ofAWS() || c.State != "RUN" || slices.ContainsFunc(Kinds[:], func(k Kind) bool { return c.EventChannel == k.Name+"__chn" }) {
			continue
		}
		for _, m := range members {
			if m.EventChannel == c.EventChannel && slices.ContainsFunc(v.Relays, func(one *One) bool { return one.Carries(m.SelectedEntity) }) {
				v.Elsewhere = append(v.Elsewhere, m)
			}
		}
	}
}

// ofAWS reports whether a relay leads to EventBridge. An org may hold others.
func (c *Config) ofAWS() bool { return c.UsageType == "" || c.UsageType == "AMAZON_EVENTBRIDGE" }

// Carries reports whether an event is in the channel.
func (one *One) Carries(event string) bool {
	return slices.ContainsFunc(one.Members, func(m Member) bool { return m.SelectedEntity == event })
}

// join finds the relay of a channel.
func (one *One) join(configs []Config, feedback []Feedback) {
	for _, c := range configs {
		if c.EventChannel == one.Kind.Name+"__chn" && c.ofAWS() {
			one.Config = &c
		}
	}
	for _, f := range feedback {
		if one.Config != nil && f.EventRelayConfigID == one.Config.ID {
			one.Feedback = f
		}
	}
}

// kept is how long Salesforce keeps events for a relay that does not run.
const kept = 72 * time.Hour

// LastRelayed is the time of the last event that was relayed; ok is false before the first.
func (one *One) LastRelayed() (at time.Time, ok bool) {
	at, err := time.Parse("2006-01-02T15:04:05.000-0700", one.Feedback.LastRelayedEventTime)
	return at, err == nil
}

// HoursLeft are those until the oldest event that waits is deleted, as far as the last
// relayed event tells; ok is false while the relay runs or nothing was relayed yet.
func (one *One) HoursLeft(now time.Time) (hours float64, ok bool) {
	at, ok := one.LastRelayed()
	if !ok || one.Feedback.Status == "RUNNING" {
		return 0, false
	}
	return at.Add(kept).Sub(now).Hours(), true
}

// Says is a relay in one line.
func (one *One) Says(now time.Time) string {
	if one.Config == nil {
		return "there is none"
	}
	s := fmt.Sprintf("wanted %s, is %s; source %s", one.Config.State, one.Feedback.Status, one.Source.State)
	if one.Source.Expires != nil {
		s += fmt.Sprintf(", deleted in %.1f days", one.Source.Expires.Sub(now).Hours()/24)
	}
	if hours, ok := one.HoursLeft(now); ok {
		s += fmt.Sprintf("; %.1f of 72 hours left", hours)
	}
	if one.Feedback.LastRelayedEventTime != "" {
		s += "; last event " + one.Feedback.LastRelayedEventTime
	}
	s += fmt.Sprintf("; %d events; ", len(one.Members))
	switch off := len(one.Source.Off); {
	case !one.Source.Bus:
		return s + "no bus"
	case off > 0:
		return s + fmt.Sprintf("bus with %d rules, %d disabled", one.Source.Rules, off)
	}
	return s + fmt.Sprintf("bus with %d rules", one.Source.Rules)
}

// Says is the org in one line.
func (v *View) Says() string {
	if v.Sandbox {
		return v.OrgID + " (a sandbox of Salesforce)"
	}
	return v.OrgID
}
