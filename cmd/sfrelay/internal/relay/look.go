package relay

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/functions"
	"sfrelay/shared/salesforce"
)

// credentialName is that of salesforce/, as all names here.
const credentialName = "Sfrelay_AWS"

// Place is where the relays lead to.
type Place struct {
	Region, Account string
	Orgs            []string // that the stack accepts; none: there is no stack yet
}

func (p Place) endpoint() string { return "arn:aws:" + strings.ToUpper(p.Region) + ":" + p.Account }

// kind is one channel with its relay: a channel takes platform events or change events.
type kind struct {
	name, label, channel, parameter string
	events                          []string
}

// kinds are those of the consumers.
func kinds() [2]kind {
	all := [2]kind{
		{name: "Sfrelay_Events", label: "sfrelay platform events", channel: "event", parameter: "EventBusName"},
		{name: "Sfrelay_Changes", label: "sfrelay change events", channel: "data", parameter: "ChangeBusName"},
	}
	for _, def := range functions.All(functions.Ports{}) {
		for _, s := range def.Describe().Sources {
			k := &all[0]
			if s.Kind == salesforce.CDC {
				k = &all[1]
			}
			if !slices.Contains(k.events, s.DetailType) {
				k.events = append(k.events, s.DetailType)
			}
		}
	}
	return all
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

type credential struct{ ID, DeveloperName, Endpoint, CalloutStatus, NamedCredentialType string }

type channelMember struct{ ID, DeveloperName, EventChannel, SelectedEntity, FilterExpression string }

// One is one relay, seen from both sides.
type One struct {
	Name     string   `json:"relay"`
	Config   *Config  `json:"config,omitempty"`
	Feedback Feedback `json:"feedback"`
	Source   Source   `json:"eventSource"`
	Members  []string `json:"members"`

	kind    kind
	members []channelMember
}

// View is both sides at one moment.
type View struct {
	OrgID      string   `json:"org"`
	Sandbox    bool     `json:"sandbox"`
	Namespace  string   `json:"namespace,omitempty"`
	Relays     []*One   `json:"relays"`
	Delivered  Limit    `json:"deliveredEvents"` // of the day, of the whole org
	Requests   Limit    `json:"apiRequests"`
	Unseen     []string `json:"unseen,omitempty"` // what could not be asked, and why
	credential *credential
	hidden     map[string][]string // fields by object
	at         time.Time
}

// Limit is an allocation of the org; Max is 0 where it is not known.
type Limit struct{ Max, Remaining int }

func (l Limit) used() int { return l.Max - l.Remaining }

// Says is the limit in words.
func (l Limit) Says(what string) string { return fmt.Sprintf("%d of %d %s", l.used(), l.Max, what) }

func (v *View) unseen(what string, err error) bool {
	if err != nil {
		v.Unseen = append(v.Unseen, what+": "+err.Error())
	}
	return err != nil
}

// Look asks both sides. What cannot be seen is in the view; only a refused login is an error.
func Look(ctx context.Context, org *Org, client *eventbridge.Client, now time.Time) (*View, error) {
	v := &View{at: now, hidden: map[string][]string{}}
	orgs, err := rows[struct {
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
	v.unseen("allocations", org.call(ctx, "limits", http.MethodGet, "limits", nil, &limits))
	v.Delivered, v.Requests = limits.DailyDeliveredPlatformEvents, limits.DailyApiRequests
	credentials, err := rows[credential](ctx, org, "SELECT Id, DeveloperName, Endpoint, CalloutStatus, NamedCredentialType FROM NamedCredential")
	v.unseen("named credentials", err)
	for _, c := range credentials {
		if c.DeveloperName == credentialName {
			v.credential = &c
		}
	}
	configs, err := rows[Config](ctx, org, "SELECT Id, DeveloperName, EventChannel, DestinationResourceName, RelayOption, State, UsageType FROM EventRelayConfig")
	v.unseen("relays", err)
	feedback, err := rows[Feedback](ctx, org, "SELECT EventRelayConfigId, Status, RemoteResource, ErrorCode, ErrorMessage, LastRelayedEventTime FROM EventRelayFeedback")
	v.unseen("states of relays", err)
	members, err := rows[channelMember](ctx, org, "SELECT Id, DeveloperName, EventChannel, SelectedEntity, FilterExpression FROM PlatformEventChannelMember")
	v.unseen("members of channels", err)
	for _, k := range kinds() {
		one := &One{Name: k.name, kind: k, Source: Source{State: missing}}
		v.Relays = append(v.Relays, one)
		for _, m := range members {
			if m.EventChannel == k.name+"__chn" {
				one.members, one.Members = append(one.members, m), append(one.Members, m.SelectedEntity)
			}
		}
		one.join(configs, feedback)
		if one.Feedback.RemoteResource != "" {
			one.Source, err = source(ctx, client, one.Feedback.RemoteResource)
			if v.unseen("event source of "+k.name, err) {
				one.Source.State = ""
			}
		}
	}
	v.lookAtFields(ctx, org)
	return v, nil
}

// join finds the relay of a channel. An org may hold relays that lead elsewhere.
func (one *One) join(configs []Config, feedback []Feedback) {
	for _, c := range configs {
		if c.EventChannel == one.kind.name+"__chn" && (c.UsageType == "" || c.UsageType == "AMAZON_EVENTBRIDGE") {
			one.Config = &c
		}
	}
	for _, f := range feedback {
		if one.Config != nil && f.EventRelayConfigID == one.Config.ID {
			one.Feedback = f
		}
	}
}

// lookAtFields finds the fields that consumers read and the user does not see. A name with
// alternatives is one of an org's settings, so one of them is enough.
func (v *View) lookAtFields(ctx context.Context, org *Org) {
	seen := map[string]map[string]bool{}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		for _, f := range d.Fields {
			if d.Object == "" || len(f.CDC) == 0 {
				continue
			}
			if seen[d.Object] == nil {
				fields, err := org.fields(ctx, d.Object)
				if v.unseen("fields of "+d.Object, err) {
					return
				}
				seen[d.Object] = fields
			}
			there := slices.ContainsFunc(f.CDC, func(leaf string) bool {
				name := salesforce.RESTField(d.Object, leaf)
				return seen[d.Object][name] || salesforce.DependsOnOrg(name) && len(f.CDC) == 1
			})
			name := salesforce.RESTField(d.Object, f.CDC[len(f.CDC)-1])
			if !there && !slices.Contains(v.hidden[d.Object], name) {
				v.hidden[d.Object] = append(v.hidden[d.Object], name)
			}
		}
	}
}

// kept is how long Salesforce keeps events for a relay that does not run.
const kept = 72 * time.Hour

// HoursLeft are those until the oldest event that waits is deleted, as far as the last
// relayed event tells; ok is false while the relay runs or nothing was relayed yet.
func (one *One) HoursLeft(now time.Time) (hours float64, ok bool) {
	at, err := time.Parse("2006-01-02T15:04:05.000-0700", one.Feedback.LastRelayedEventTime)
	if err != nil || one.Feedback.Status == "RUNNING" {
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
	return s + fmt.Sprintf("; %d events, %d rules", len(one.Members), one.Source.Rules)
}

// Says is the org in one line.
func (v *View) Says() string {
	if v.Sandbox {
		return v.OrgID + " (a sandbox of Salesforce)"
	}
	return v.OrgID
}
