package relaytest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"sfrelay/functions"
	"sfrelay/shared/salesforce"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// Break is one way to break a good set-up, and the names that its findings have.
type Break struct {
	Name   string
	Breaks func(w *World, buses map[string]string)
	Want   []string
}

// Broken are the ways that doctor has to know.
var Broken = []Break{
	{"another account", func(w *World, _ map[string]string) {
		w.Change("NamedCredential", "Sfrelay_AWS", "endpoint", "arn:aws:EU-WEST-2:210987654321")
	}, []string{"other-account-or-region"}},
	{"resume LATEST", func(w *World, _ map[string]string) {
		w.Change("EventRelayConfig", "Sfrelay_Events", "relayOption", `{"ReplayRecovery":"LATEST"}`)
	}, []string{"resume-latest"}},
	{"paused beyond 72 h", func(w *World, _ map[string]string) {
		w.Stand.RelaySays("Sfrelay_Changes", map[string]any{"LastRelayedEventTime": w.Now})
		w.Change("EventRelayConfig", "Sfrelay_Changes", "state", "PAUSE")
		w.Now = w.Now.Add(73 * time.Hour)
	}, []string{"paused-too-long", "relay-not-running"}},
	{"running, source pending", func(w *World, buses map[string]string) {
		w.Drop(buses["ChangeBusName"])
	}, []string{"source-pending"}},
	{"source expired", func(w *World, buses map[string]string) {
		w.Drop(buses["ChangeBusName"])
		w.Now = w.Now.Add(7 * 24 * time.Hour)
	}, []string{"source-missing"}},
	{"bus deleted", func(w *World, buses map[string]string) {
		w.Stand.RelaySays("Sfrelay_Changes", map[string]any{"LastRelayedEventTime": w.Now})
		w.Drop(buses["ChangeBusName"])
	}, []string{"bus-deleted"}},
	{"region in small letters", func(w *World, _ map[string]string) {
		w.Change("NamedCredential", "Sfrelay_AWS", "endpoint", "arn:aws:eu-west-2:123456789012")
	}, []string{"region-in-small-letters"}},
	{"credential disabled", func(w *World, _ map[string]string) {
		w.Change("NamedCredential", "Sfrelay_AWS", "calloutStatus", "Disabled")
	}, []string{"credential-disabled"}},
	{"credential not legacy", func(w *World, _ map[string]string) {
		w.Change("NamedCredential", "Sfrelay_AWS", "namedCredentialType", "SecuredEndpoint")
	}, []string{"credential-not-legacy"}},
	{"relay in error", func(w *World, _ map[string]string) {
		w.Stand.RelaySays("Sfrelay_Events", map[string]any{"Status": "ERROR", "ErrorCode": "sfdc.platform.eventbus.relay.event.delivery.limit.error"})
	}, []string{"relay-in-error"}},
	{"org not accepted", func(w *World, _ map[string]string) { w.Place.Orgs = []string{"00D000000000001EAA"} }, []string{"org-not-accepted"}},
	{"rule disabled", func(w *World, buses map[string]string) {
		w.Rule(buses["EventBusName"], types.RuleStateDisabled)
	}, []string{"rule-disabled"}},
	{"field permission missing", func(w *World, _ map[string]string) {
		if err := w.Stand.Break(orgsandbox.Fault{Name: "hidden-field", Object: "Account", Field: "Tax_Number__c"}); err != nil {
			w.Fatal(err)
		}
	}, []string{"field-unreadable"}},
	{"stopped by itself", func(w *World, _ map[string]string) {
		w.Stand.RelaySays("Sfrelay_Events", map[string]any{"Status": "STOPPED"})
	}, []string{"relay-not-running"}},
	{"events encrypted", func(w *World, _ map[string]string) {
		w.Stand.Say("PlatformEncryptionSettings", "", nil, map[string]any{"IsEventBusEncryptionEnabled": true})
	}, []string{"events-encrypted"}},
	{"published before the commit", func(w *World, _ map[string]string) {
		w.Stand.Publish("Inventory_Update__e", "PublishImmediately")
	}, []string{"published-too-early"}},
	{"no View Setup", func(w *World, _ map[string]string) {
		w.Stand.Say("UserPermissionAccess", "", nil, map[string]any{"PermissionsViewSetup": false})
	}, []string{"right-missing"}},
	{"not all opportunities", func(w *World, _ map[string]string) {
		w.Stand.Say("ObjectPermissions", "SobjectType", "Opportunity", map[string]any{"PermissionsViewAllRecords": false})
	}, []string{"right-missing"}},
	{"namespaced org", func(w *World, _ map[string]string) {
		w.Stand.Say("Organization", "", nil, map[string]any{"NamespacePrefix": "acme"})
	}, []string{"namespaced-org"}},
	{"filter without gaps", func(w *World, _ map[string]string) {
		w.Change("PlatformEventChannelMember", "Sfrelay_Changes_chn_AccountChangeEvent", "filterExpression", "Status__c = 'active'")
	}, []string{"filter-drops-gaps"}},
	{"filter with gaps, without deletions", func(w *World, _ map[string]string) {
		w.Change("PlatformEventChannelMember", "Sfrelay_Changes_chn_AccountChangeEvent", "filterExpression", "ChangeEventHeader.changeType LIKE 'GAP%' OR Status__c = 'active'")
	}, []string{"filter-drops-gaps"}},
	{"event in no channel", func(w *World, _ map[string]string) {
		found := w.Tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM PlatformEventChannelMember WHERE SelectedEntity = 'OpportunityChangeEvent'"), nil)
		w.Tooling("DELETE", "sobjects/PlatformEventChannelMember/"+found["records"].([]any)[0].(map[string]any)["Id"].(string), nil)
	}, []string{"event-not-in-channel"}},
	{"two relays for one event", func(w *World, _ map[string]string) {
		w.Tooling("POST", "sobjects/PlatformEventChannel", map[string]any{"FullName": "Old__chn", "Metadata": map[string]any{"channelType": "event", "label": "x"}})
		w.Tooling("POST", "sobjects/PlatformEventChannelMember", map[string]any{"FullName": "Old_chn_Opportunity_Won_e", "Metadata": map[string]any{"eventChannel": "Old__chn", "selectedEntity": "Opportunity_Won__e"}})
		w.Tooling("POST", "sobjects/EventRelayConfig", map[string]any{"FullName": "Old", "Metadata": map[string]any{"label": "x", "eventChannel": "Old__chn", "destinationResourceName": "callout:Sfrelay_AWS", "state": "STOP"}})
		w.Change("EventRelayConfig", "Old", "state", "RUN")
	}, []string{"event-relayed-twice"}},
	{"clock off", func(w *World, _ map[string]string) {
		w.Before = func(out http.ResponseWriter, _ *http.Request) bool {
			out.Header().Set("Date", time.Now().Add(-3*time.Minute).UTC().Format(http.TimeFormat))
			return false
		}
	}, []string{"clock-off"}},
	{"event that the org does not have", func(w *World, _ map[string]string) {
		w.Before = func(out http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/services/Soap/m/") {
				return false
			}
			var records strings.Builder
			for _, name := range functions.DetailTypes(salesforce.Platform) {
				if name == "Opportunity_Won__e" {
					records.WriteString("<records/>")
					continue
				}
				records.WriteString("<records><fullName>" + name + "</fullName><eventType>HighVolume</eventType><publishBehavior>PublishAfterCommit</publishBehavior></records>")
			}
			_, _ = io.WriteString(out, `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="http://soap.sforce.com/2006/04/metadata"><soapenv:Body><readMetadataResponse><result>`+
				records.String()+"</result></readMetadataResponse></soapenv:Body></soapenv:Envelope>")
			return true
		}
	}, []string{"event-missing"}},
	{"API version retired", func(w *World, _ map[string]string) {
		w.Before = func(out http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/services/data" {
				return false
			}
			_, _ = io.WriteString(out, `[{"label":"Spring '30","url":"/services/data/v78.0","version":"78.0"}]`)
			return true
		}
	}, []string{"api-version-missing"}},
	{"channel of another relay", func(w *World, _ map[string]string) {
		w.Tooling("POST", "sobjects/NamedCredential", map[string]any{"FullName": "Other", "Metadata": map[string]any{"label": "x", "endpoint": "arn:aws:US-EAST-1:123456789012"}})
		found := w.Tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM EventRelayConfig WHERE DeveloperName = 'Sfrelay_Events'"), nil)
		w.Tooling("DELETE", "sobjects/EventRelayConfig/"+found["records"].([]any)[0].(map[string]any)["Id"].(string), nil)
		w.Tooling("POST", "sobjects/EventRelayConfig", map[string]any{"FullName": "Left_Over", "Metadata": map[string]any{"label": "x", "eventChannel": "Sfrelay_Events__chn", "destinationResourceName": "callout:Other", "state": "STOP"}})
		w.Change("EventRelayConfig", "Left_Over", "state", "RUN")
	}, []string{"channel-of-another-relay"}},
}
