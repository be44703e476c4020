package doctor_test

import (
	"io"
	"net/http"
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

// look is what doctor sees.
func look(w *relaytest.World, stack *doctor.Stack) ([]doctor.Finding, *doctor.View) {
	w.Helper()
	v, err := doctor.Look(w.Context(), w.Org, w.Events, stack, w.Now)
	if err != nil {
		w.Fatal(err)
	}
	found := v.Findings(w.Place)
	for _, f := range found {
		if f.Evidence == "" || f.Cure == "" {
			w.Errorf("%+v", f)
		}
	}
	return found, v
}

// findings are the names of what doctor finds and does not see.
func findings(w *relaytest.World) []string {
	w.Helper()
	found, v := look(w, nil)
	return append(names(found), v.Unseen...)
}

func names(found []doctor.Finding) (all []string) {
	for _, f := range found {
		all = append(all, f.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
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

// Set-ups that are broken, and what doctor calls each.
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
		"stopped by itself": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.RelaySays("Sfrelay_Events", map[string]any{"Status": "STOPPED"})
		}, []string{"relay-not-running"}},
		"events encrypted": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.Say("PlatformEncryptionSettings", "", nil, map[string]any{"IsEventBusEncryptionEnabled": true})
		}, []string{"events-encrypted"}},
		"published before the commit": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.Publish("Inventory_Update__e", "PublishImmediately")
		}, []string{"published-too-early"}},
		"no View Setup": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.Say("UserPermissionAccess", "", nil, map[string]any{"PermissionsViewSetup": false})
		}, []string{"right-missing"}},
		"not all opportunities": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.Say("ObjectPermissions", "SobjectType", "Opportunity", map[string]any{"PermissionsViewAllRecords": false})
		}, []string{"right-missing"}},
		"namespaced org": {func(w *relaytest.World, _ map[string]string) {
			w.Stand.Say("Organization", "", nil, map[string]any{"NamespacePrefix": "acme"})
		}, []string{"namespaced-org"}},
		"filter without gaps": {func(w *relaytest.World, _ map[string]string) {
			w.Change("PlatformEventChannelMember", "Sfrelay_Changes_chn_AccountChangeEvent", "filterExpression", "Status__c = 'active'")
		}, []string{"filter-drops-gaps"}},
		"filter with gaps, without deletions": {func(w *relaytest.World, _ map[string]string) {
			w.Change("PlatformEventChannelMember", "Sfrelay_Changes_chn_AccountChangeEvent", "filterExpression", "ChangeEventHeader.changeType LIKE 'GAP%' OR Status__c = 'active'")
		}, []string{"filter-drops-gaps"}},
		"event in no channel": {func(w *relaytest.World, _ map[string]string) {
			found := w.Tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM PlatformEventChannelMember WHERE SelectedEntity = 'OpportunityChangeEvent'"), nil)
			w.Tooling("DELETE", "sobjects/PlatformEventChannelMember/"+found["records"].([]any)[0].(map[string]any)["Id"].(string), nil)
		}, []string{"event-not-in-channel"}},
		"two relays for one event": {func(w *relaytest.World, _ map[string]string) {
			w.Tooling("POST", "sobjects/PlatformEventChannel", map[string]any{"FullName": "Old__chn", "Metadata": map[string]any{"channelType": "event", "label": "x"}})
			w.Tooling("POST", "sobjects/PlatformEventChannelMember", map[string]any{"FullName": "Old_chn_Opportunity_Won_e", "Metadata": map[string]any{"eventChannel": "Old__chn", "selectedEntity": "Opportunity_Won__e"}})
			w.Tooling("POST", "sobjects/EventRelayConfig", map[string]any{"FullName": "Old", "Metadata": map[string]any{"label": "x", "eventChannel": "Old__chn", "destinationResourceName": "callout:Sfrelay_AWS", "state": "STOP"}})
			w.Change("EventRelayConfig", "Old", "state", "RUN")
		}, []string{"event-relayed-twice"}},
		"clock off": {func(w *relaytest.World, _ map[string]string) {
			w.Before = func(out http.ResponseWriter, _ *http.Request) bool {
				out.Header().Set("Date", time.Now().Add(-3*time.Minute).UTC().Format(http.TimeFormat))
				return false
			}
		}, []string{"clock-off"}},
		"event that the org does not have": {func(w *relaytest.World, _ map[string]string) {
			w.Before = func(out http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/services/Soap/m/") {
					return false
				}
				record := func(name string) string {
					return "<records><fullName>" + name + "</fullName><eventType>HighVolume</eventType><publishBehavior>PublishAfterCommit</publishBehavior></records>"
				}
				_, _ = io.WriteString(out, `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="http://soap.sforce.com/2006/04/metadata"><soapenv:Body><readMetadataResponse><result>`+
					record("Cloud_Customer_Sync__e")+record("Inventory_Update__e")+"<records/></result></readMetadataResponse></soapenv:Body></soapenv:Envelope>")
				return true
			}
		}, []string{"event-missing"}},
		"API version retired": {func(w *relaytest.World, _ map[string]string) {
			w.Before = func(out http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/services/data" {
					return false
				}
				_, _ = io.WriteString(out, `[{"label":"Spring '30","url":"/services/data/v78.0","version":"78.0"}]`)
				return true
			}
		}, []string{"api-version-missing"}},
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
		v := doctor.View{View: &relay.View{OrgID: orgsandbox.OrgID, Delivered: relay.Limit{Max: 10000, Remaining: remaining}, Unseen: []string{"named credentials: no right", "definitions of platform events: no right"}}}
		if found := v.Findings(relay.Place{}); len(found) != want {
			t.Errorf("%d left: %+v", remaining, found)
		}
	}
}

// A filter that tests fields of updates only lets everything else pass.
func TestAFilterThatPassesAllElse(t *testing.T) {
	w := relaytest.New(t)
	w.Good()
	w.Change("PlatformEventChannelMember", "Sfrelay_Changes_chn_AccountChangeEvent", "filterExpression", "ChangeEventHeader.changeType != 'UPDATE' OR Status__c = 'active'")
	if found := findings(w); len(found) != 0 {
		t.Errorf("%v", found)
	}
}

// Fields that the org calls otherwise, or does not have, are parameters of the stack.
func TestFieldsOfTheOrg(t *testing.T) {
	w := relaytest.New(t)
	w.Good()
	stack := func(fields, extra string) *doctor.Stack {
		return &doctor.Stack{Parameters: map[string]string{"AccountFields": fields, "AccountExtraFields": extra}}
	}
	evidence := func(s *doctor.Stack) (said string) {
		found, _ := look(w, s)
		for _, f := range found {
			if f.Name == "field-unreadable" {
				said += f.Evidence
			}
		}
		return said
	}
	if err := w.Stand.Break(orgsandbox.Fault{Name: "hidden-field", Object: "Account", Field: "Tax_Number__c"}); err != nil {
		t.Fatal(err)
	}
	for fields, want := range map[string]string{
		"": "Account: Tax_Number__c", "Tax_Number__c=Vat__c": "Account: Vat__c", "Tax_Number__c=AccountNumber": "", "Tax_Number__c=-": "",
	} {
		if got := evidence(stack(fields, "")); got != want {
			t.Errorf("AccountFields=%s: %q, want %q", fields, got, want)
		}
	}
	if got := evidence(stack("Tax_Number__c=-", "Status__c,Region__c")); got != "Account: Region__c" {
		t.Errorf("extra fields: %q", got)
	}
}

// With half the permissions doctor finds nothing wrong, and says what it did not see.
func TestWhatIsNotSeenIsNoFinding(t *testing.T) {
	calls := map[string]func(*http.Request) bool{}
	for _, object := range []string{"NamedCredential", "EventRelayConfig", "EventRelayFeedback", "PlatformEventChannelMember", "PlatformEncryptionSettings", "UserPermissionAccess", "PermissionSetAssignment", "ObjectPermissions"} {
		calls[object] = func(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("q"), " FROM "+object) }
	}
	for _, path := range []string{"/services/data", "/services/data/v66.0", "/services/data/v66.0/limits", "/services/data/v66.0/sobjects/Account/describe", "/services/Soap/m/66.0"} {
		calls[path] = func(r *http.Request) bool { return strings.TrimRight(r.URL.Path, "/") == path }
	}
	for _, call := range []string{"DescribeEventSource", "DescribeEventBus", "ListRules"} {
		calls[call] = func(r *http.Request) bool { return r.Header.Get("X-Amz-Target") == "AWSEvents."+call }
	}
	for name, is := range calls {
		t.Run(name, func(t *testing.T) {
			w := relaytest.New(t)
			w.Good()
			refused := 0
			w.Before = func(out http.ResponseWriter, r *http.Request) bool {
				if !is(r) {
					return false
				}
				refused++
				out.WriteHeader(http.StatusForbidden)
				if r.URL.Path == "/aws" {
					_, _ = io.WriteString(out, `{"__type":"AccessDeniedException","message":"no"}`)
				} else {
					_, _ = io.WriteString(out, `[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]`)
				}
				return true
			}
			found, v := look(w, nil)
			if len(found) != 0 || len(v.Unseen) == 0 || refused == 0 {
				t.Errorf("%d refused: %+v, not seen %q", refused, found, v.Unseen)
			}
		})
	}
}

// What one call can cure is cured by it.
func TestFixes(t *testing.T) {
	for name, breaks := range map[string]func(*relaytest.World, map[string]string){
		"resume-latest": func(w *relaytest.World, _ map[string]string) {
			w.Change("EventRelayConfig", "Sfrelay_Events", "relayOption", `{"ReplayRecovery":"LATEST"}`)
		},
		"relay-not-running": func(w *relaytest.World, _ map[string]string) {
			w.Change("EventRelayConfig", "Sfrelay_Changes", "state", "PAUSE")
		},
		"source-pending": func(w *relaytest.World, buses map[string]string) { w.Drop(buses["ChangeBusName"]) },
		"rule-disabled": func(w *relaytest.World, buses map[string]string) {
			w.Rule(buses["EventBusName"], types.RuleStateDisabled)
		},
		"event-not-in-channel": func(w *relaytest.World, _ map[string]string) {
			found := w.Tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM PlatformEventChannelMember WHERE SelectedEntity = 'OpportunityChangeEvent'"), nil)
			w.Tooling("DELETE", "sobjects/PlatformEventChannelMember/"+found["records"].([]any)[0].(map[string]any)["Id"].(string), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := relaytest.New(t)
			breaks(w, w.Good())
			found, _ := look(w, nil)
			if len(found) != 1 || found[0].Name != name || found[0].Fix == "" {
				t.Fatalf("%+v", found)
			}
			if err := found[0].Mend(t.Context()); err != nil {
				t.Fatal(err)
			}
			if after := findings(w); len(after) != 0 {
				t.Errorf("after the fix: %v", after)
			}
		})
	}
}
