package doctor_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"sfrelay/cmd/sfrelay/internal/doctor"
	"sfrelay/cmd/sfrelay/internal/relaytest"
	"sfrelay/shared/relay"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// findings are the names of what doctor finds and does not see.
func findings(w *relaytest.World) []string {
	w.Helper()
	v, err := doctor.Look(w.Context(), w.Org, w.Events, w.Now)
	if err != nil {
		return []string{err.Error()}
	}
	names := v.Unseen
	for _, f := range v.Findings(w.Place) {
		if f.Evidence == "" || f.Cure == "" {
			w.Errorf("%+v", f)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestTheGoodOneHasNoFinding(t *testing.T) {
	w := relaytest.New(t)
	buses := w.Good()
	if len(buses) != 2 || !strings.HasPrefix(buses["EventBusName"], "aws.partner/salesforce.com/"+orgsandbox.OrgID+"/") || buses["EventBusName"] == buses["ChangeBusName"] {
		t.Errorf("buses %v", buses)
	}
	if found := findings(w); len(found) != 0 {
		t.Errorf("%v", found)
	}
	w.Place.Orgs = []string{orgsandbox.OrgID[:15]} // the console of an org shows this form
	if found := findings(w); len(found) != 0 {
		t.Errorf("with the id of 15 characters: %v", found)
	}
	made := w.Stand.State().Records
	again, err := w.Setup()
	if now := w.Stand.State().Records; err != nil || again["EventBusName"] != buses["EventBusName"] || made["EventRelayConfig"] != 2 || now["EventRelayConfig"] != 2 || now["PlatformEventChannelMember"] != made["PlatformEventChannelMember"] {
		t.Errorf("a second setup: %v, %v, %v then %v", again, err, made, now)
	}
}

// Twelve set-ups that are broken, and what doctor calls each.
func TestBrokenSetUpsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*relaytest.World, map[string]string)
		want   []string
	}{
		"another account": {func(w *relaytest.World, _ map[string]string) {
			w.Change("NamedCredential", "Sfrelay_AWS", "endpoint", "arn:aws:EU-WEST-2:210987654321")
		}, []string{"other-account-or-region"}},
		"resume LATEST": {func(w *relaytest.World, _ map[string]string) {
			w.Change("EventRelayConfig", "Sfrelay_Events", "relayOption", `{"ReplayRecovery":"LATEST"}`)
		}, []string{"resume-latest"}},
		"paused beyond 72 h": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.RelaySays("Sfrelay_Changes", map[string]any{"LastRelayedEventTime": w.Now})
			w.Change("EventRelayConfig", "Sfrelay_Changes", "state", "PAUSE")
			w.Now = w.Now.Add(73 * time.Hour)
		}, []string{"paused-too-long", "relay-not-running"}},
		"running, source pending": {func(w *relaytest.World, buses map[string]string) {
			w.Drop(buses["ChangeBusName"])
		}, []string{"source-pending"}},
		"source expired": {func(w *relaytest.World, buses map[string]string) {
			w.Drop(buses["ChangeBusName"])
			w.Now = w.Now.Add(7 * 24 * time.Hour)
		}, []string{"source-missing"}},
		"bus deleted": {func(w *relaytest.World, buses map[string]string) {
			w.Stand.RelaySays("Sfrelay_Changes", map[string]any{"LastRelayedEventTime": w.Now})
			w.Drop(buses["ChangeBusName"])
		}, []string{"bus-deleted"}},
		"region in small letters": {func(w *relaytest.World, _ map[string]string) {
			w.Change("NamedCredential", "Sfrelay_AWS", "endpoint", "arn:aws:eu-west-2:123456789012")
		}, []string{"region-in-small-letters"}},
		"credential disabled": {func(w *relaytest.World, _ map[string]string) {
			w.Change("NamedCredential", "Sfrelay_AWS", "calloutStatus", "Disabled")
		}, []string{"credential-disabled"}},
		"credential not legacy": {func(w *relaytest.World, _ map[string]string) {
			w.Change("NamedCredential", "Sfrelay_AWS", "namedCredentialType", "SecuredEndpoint")
		}, []string{"credential-not-legacy"}},
		"relay in error": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.RelaySays("Sfrelay_Events", map[string]any{"Status": "ERROR", "ErrorCode": "sfdc.platform.eventbus.relay.event.delivery.limit.error"})
		}, []string{"relay-in-error"}},
		"org not accepted": {func(w *relaytest.World, _ map[string]string) { w.Place.Orgs = []string{"00D000000000001EAA"} }, []string{"org-not-accepted"}},
		"rule disabled": {func(w *relaytest.World, buses map[string]string) {
			w.Rule(buses["EventBusName"], types.RuleStateDisabled)
		}, []string{"rule-disabled"}},
		"field permission missing": {func(w *relaytest.World, _ map[string]string) {
			if err := w.Stand.Break(orgsandbox.Fault{Name: "hidden-field", Object: "Account", Field: "Tax_Number__c"}); err != nil {
				w.Fatal(err)
			}
		}, []string{"field-unreadable"}},
		"channel of another relay": {func(w *relaytest.World, _ map[string]string) {
			w.Tooling("POST", "sobjects/NamedCredential", map[string]any{"FullName": "Other", "Metadata": map[string]any{"label": "x", "endpoint": "arn:aws:US-EAST-1:123456789012"}})
			found := w.Tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM EventRelayConfig WHERE DeveloperName = 'Sfrelay_Events'"), nil)
			w.Tooling("DELETE", "sobjects/EventRelayConfig/"+found["records"].([]any)[0].(map[string]any)["Id"].(string), nil)
			w.Tooling("POST", "sobjects/EventRelayConfig", map[string]any{"FullName": "Left_Over", "Metadata": map[string]any{"label": "x", "eventChannel": "Sfrelay_Events__chn", "destinationResourceName": "callout:Other", "state": "STOP"}})
			w.Change("EventRelayConfig", "Left_Over", "state", "RUN")
		}, []string{"channel-of-another-relay"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := relaytest.New(t)
			c.breaks(w, w.Good())
			if got := findings(w); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// An allocation is named at 80 %.
func TestAnAllocationThatIsNearlyUsed(t *testing.T) {
	for remaining, want := range map[int]int{2001: 0, 2000: 1} {
		v := doctor.View{View: &relay.View{OrgID: orgsandbox.OrgID, Delivered: relay.Limit{Max: 10000, Remaining: remaining}, Unseen: []string{"named credentials: no right"}}}
		if found := v.Findings(relay.Place{}); len(found) != want {
			t.Errorf("%d left: %+v", remaining, found)
		}
	}
}
