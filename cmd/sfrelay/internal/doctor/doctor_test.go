package doctor_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

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
	for _, b := range relaytest.Broken {
		t.Run(b.Name, func(t *testing.T) {
			w := relaytest.New(t)
			b.Breaks(w, w.Good())
			if got := findings(w); !slices.Equal(got, b.Want) {
				t.Errorf("%q, want %q", got, b.Want)
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
