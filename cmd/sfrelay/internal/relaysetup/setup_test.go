package relaysetup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/cmd/sfrelay/internal/relaytest"
	"sfrelay/functions"
	"sfrelay/shared/salesforce"
	orgsandbox "sfrelay/shared/sandbox/org"
)

func TestARefusedLoginNamesItsSetting(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":"invalid_client","error_description":"app must be installed into org"}`:      "correct the app: it is not installed in this org (Setup, External Client App Manager: deploy salesforce/ to it)",
		`{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`:   "pre-authorize the user by a permission set (Setup, External Client App Manager, sfrelay, Policies)",
		`{"error":"invalid_client","error_description":"invalid client credentials"}`:          "correct clientSecret in the secret (Setup, External Client App Manager, sfrelay, Settings, Consumer Key and Secret)",
		`{"error":"invalid_client_id","error_description":"client identifier invalid"}`:        "correct clientId in the secret (Setup, External Client App Manager, sfrelay, Settings, Consumer Key and Secret)",
		`{"error":"invalid_grant","error_description":"no client credentials user enabled"}`:   "name the user to run as (Setup, External Client App Manager, sfrelay, Policies)",
		`{"error":"invalid_grant","error_description":"invalid assertion"}`:                    "they are no pair (Setup, External Client App Manager, sfrelay, Settings)",
		`{"error":"invalid_grant","error_description":"user is inactive"}`:                     "want an active user of this org (Setup, Users)",
		`{"error":"invalid_grant","error_description":"request not supported on this domain"}`: "the My Domain address of the org (Setup, My Domain)",
	} {
		w := relaytest.New(t)
		w.Login = answer
		if _, err := w.Setup(); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", answer, err, want)
		}
	}
}

// refused is a World that answers a part of the calls itself, those of both sides.
func refused(t *testing.T, method, path string, status int, answer string) *relaytest.World {
	t.Helper()
	w := relaytest.New(t)
	w.Answer = func(call string, body []byte) (int, string) {
		if strings.Contains(call, path) && (method == "GET") == (len(body) == 0) {
			return status, answer
		}
		return 0, ""
	}
	return w
}

// A right that is missing in Salesforce ends with the right, and nothing is made twice.
func TestAMissingRightInSalesforceIsNamed(t *testing.T) {
	for _, c := range []struct{ method, path, code, want string }{
		{"POST", "/tooling/sobjects/NamedCredential", "INSUFFICIENT_ACCESS_OR_READONLY", "needs Customize Application, in Setup, Permission Sets"},
		{"POST", "/tooling/sobjects/PlatformEventChannelMember", "INVALID_TYPE", "needs Customize Application, in Setup, Permission Sets"},
		{"POST", "/tooling/sobjects/EventRelayConfig/", "INSUFFICIENT_ACCESS", "needs Customize Application, in Setup, Permission Sets"},
		{"GET", "FROM+EventRelayConfig", "INVALID_TYPE", "needs View Setup and Configuration: Setup, Permission Sets, Sfrelay_Reader"},
		{"GET", "FROM+PlatformEventChannelMember", "INVALID_TYPE", "needs View Setup and Configuration: Setup, Permission Sets, Sfrelay_Reader"},
		{"GET", "FROM+NamedCredential", "INVALID_TYPE", "needs View Setup and Configuration: Setup, Permission Sets, Sfrelay_Reader"},
	} {
		w := refused(t, c.method, c.path, 403, `[{"errorCode":"`+c.code+`","message":"no"}]`)
		if _, err := w.Setup(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.code) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
		if n := w.Stand.State().Records["NamedCredential"]; c.method == "GET" && n != 0 {
			t.Errorf("%s: something was made", c.path)
		}
		w.Answer = nil
		if buses, err := w.Setup(); err != nil || len(buses) != 2 || w.Stand.State().Records["EventRelayConfig"] != 2 {
			t.Errorf("%s: with the right it goes on: %v, %v", c.path, buses, err)
		}
	}
}

// A right that is missing in AWS ends with the action that it is.
func TestAMissingRightInAWSIsNamed(t *testing.T) {
	for _, action := range []string{"DescribeEventSource", "DescribeEventBus", "ListRules", "CreateEventBus"} {
		w := refused(t, "POST", "AWSEvents."+action+" ", 400, `{"__type":"AccessDeniedException","message":"User: arn:aws:iam::123456789012:user/ada is not authorized to perform: events:`+action+` on resource: x"}`)
		_, err := w.Setup()
		want := "access denied: arn:aws:iam::123456789012:user/ada may not call events:" + action + "; allow the action in IAM"
		if err == nil || !strings.Contains(account.Plainly(err).Error(), want) || strings.Contains(account.Plainly(err).Error(), "\n") {
			t.Errorf("%s: %v", action, err)
			continue
		}
		if !strings.Contains(account.Plainly(err).Error(), "aws.partner/salesforce.com/"+orgsandbox.OrgID) {
			t.Errorf("%s: of which source: %v", action, account.Plainly(err))
		}
		w.Answer = nil
		if buses, err := w.Setup(); err != nil || len(buses) != 2 {
			t.Errorf("%s: with the right it goes on: %v, %v", action, buses, err)
		}
	}
}

// In a namespaced org all names are others.
func TestANamespacedOrgIsRefused(t *testing.T) {
	w := refused(t, "GET", "FROM+Organization", 200, `{"totalSize":1,"done":true,"records":[{"Id":"00D5f000005KcCnEAK","IsSandbox":false,"NamespacePrefix":"acme"}]}`)
	if _, err := w.Setup(); err == nil || !strings.Contains(err.Error(), "the namespace acme") || !strings.Contains(err.Error(), "Setup, Event Relays") {
		t.Errorf("%v", err)
	}
	if n := w.Stand.State().Records["NamedCredential"]; n != 0 {
		t.Error("something was made")
	}
}

// Two underscores in a row look like a namespace. A member that has the event under another
// name is taken, and a refusal names the cure.
func TestNamesOfMembers(t *testing.T) {
	w := relaytest.New(t)
	w.Tooling("POST", "sobjects/PlatformEventChannel", map[string]any{"FullName": "Sfrelay_Events__chn", "Metadata": map[string]any{"channelType": "event", "label": "x"}})
	w.Tooling("POST", "sobjects/PlatformEventChannelMember", map[string]any{"FullName": "Made_By_Hand", "Metadata": map[string]any{"eventChannel": "Sfrelay_Events__chn", "selectedEntity": "Inventory_Update__e"}})
	w.Good()
	if n := w.Stand.State().Records["PlatformEventChannelMember"]; n != len(functions.DetailTypes(salesforce.Platform))+len(functions.DetailTypes(salesforce.CDC)) {
		t.Errorf("%d members", n)
	}
	err := w.Org.Create(t.Context(), "PlatformEventChannelMember", "Sfrelay_Events_chn_Note__e", map[string]any{"eventChannel": "Sfrelay_Events__chn", "selectedEntity": "Note__e"})
	if err == nil || !strings.HasSuffix(err.Error(), "correct the name: it has two underscores in a row, which look like a namespace; write one") {
		t.Errorf("%v", err)
	}
}

// A credential that leads elsewhere is not changed under a relay, and what another relay
// holds is not taken.
func TestSetupSaysWhatIsInTheWay(t *testing.T) {
	w := relaytest.New(t)
	w.Good()
	w.Place.Account = "210987654321"
	if _, err := w.Setup(); err == nil || !strings.Contains(err.Error(), "Setup, Named Credentials") {
		t.Errorf("%v", err)
	}
}

func TestTeardownLeavesNothing(t *testing.T) {
	w := relaytest.New(t)
	w.Good()
	s := relaysetup.Setup{Org: w.Org, Events: w.Events, Place: w.Place, Now: func() time.Time { return w.Now }, Say: func(string, string, time.Duration) {}}
	if err := s.Teardown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, object := range []string{"EventRelayConfig", "PlatformEventChannel", "PlatformEventChannelMember", "NamedCredential"} {
		if n := w.Stand.State().Records[object]; n != 0 {
			t.Errorf("%d %s", n, object)
		}
	}
	if _, err := w.Setup(); err != nil {
		t.Errorf("and again: %v", err)
	}
}

// Somebody may associate a source by hand at the same time.
func TestASourceThatIsAssociatedIsTaken(t *testing.T) {
	w := relaytest.New(t)
	bus := w.Good()["EventBusName"]
	if err := relaysetup.Associate(t.Context(), w.Events, bus); err != nil {
		t.Error(err)
	}
	if err := relaysetup.Associate(t.Context(), w.Events, bus+"x"); err == nil {
		t.Error("a source that is not there was associated")
	}
}

// An org without the platform events gets the command that deploys them before anything is
// made. After it the same command goes on.
func TestSetupBeginsWithThePlatformEvents(t *testing.T) {
	w := relaytest.New(t)
	for _, name := range []string{"Cloud_Customer_Sync__e", "Inventory_Update__e"} {
		if err := w.Stand.Break(orgsandbox.Fault{Name: "hidden-object", Object: name}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.Setup()
	const command = "cd salesforce && sf project deploy start --source-dir force-app/main/default/objects/Cloud_Customer_Sync__e --source-dir force-app/main/default/objects/Inventory_Update__e;"
	if _, is := errors.AsType[*relaysetup.MissingEvents](err); !is || !strings.Contains(err.Error(), command) || strings.Contains(err.Error(), "Opportunity_Won__e") {
		t.Fatalf("%v", err)
	}
	for _, m := range regexp.MustCompile(`force-app/\S+[^;\s]`).FindAllString(err.Error(), -1) {
		if _, err := os.Stat("../../../../salesforce/" + m); err != nil {
			t.Error(err)
		}
	}
	for _, object := range []string{"EventRelayConfig", "PlatformEventChannel", "PlatformEventChannelMember", "NamedCredential"} {
		if n := w.Stand.State().Records[object]; n != 0 {
			t.Errorf("%d %s", n, object)
		}
	}
	w.Stand.Mend()
	if buses, err := w.Setup(); err != nil || len(buses) != 2 {
		t.Errorf("and again: %v, %v", buses, err)
	}
}

// What is refused for another reason is not called missing.
func TestAnEventThatCannotBeAskedForIsNotMissing(t *testing.T) {
	w := relaytest.New(t)
	w.Answer = func(path string, _ []byte) (int, string) {
		if strings.Contains(path, "/describe") {
			return 403, `[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]`
		}
		return 0, ""
	}
	if _, err := w.Setup(); err == nil || !strings.Contains(err.Error(), "REQUEST_LIMIT_EXCEEDED") || strings.Contains(err.Error(), "sf project") {
		t.Errorf("%v", err)
	}
}

// members are those that plan names, of consumers of one's own too.
func members(kind salesforce.Kind) (said string) {
	for _, event := range functions.DetailTypes(kind) {
		said += "member " + event + ", "
	}
	return said
}

// Plan says what is left, and setup leaves nothing.
func TestPlanIsWhatSetupDoes(t *testing.T) {
	w := relaytest.New(t)
	if err := w.Stand.Break(orgsandbox.Fault{Name: "hidden-object", Object: "Inventory_Update__e"}); err != nil {
		t.Fatal(err)
	}
	left := func() (all []string) {
		t.Helper()
		s := relaysetup.Setup{Org: w.Org, Events: w.Events, Place: w.Place, Now: func() time.Time { return w.Now }}
		steps, _, err := s.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			if step.Needs == "" {
				t.Errorf("%s needs no right", step.Name)
			}
			if step.Left != "" {
				all = append(all, step.Name+": "+step.Left)
			}
		}
		return all
	}
	want := []string{
		"platform events: deploy Inventory_Update__e: cd salesforce && sf project deploy start --source-dir force-app/main/default/objects/Inventory_Update__e",
		"credential: make Sfrelay_AWS, arn:aws:EU-WEST-2:123456789012",
		"Sfrelay_Events: make channel Sfrelay_Events__chn, " + members(salesforce.Platform) + "relay Sfrelay_Events",
		"Sfrelay_Events source: wait for it, then associate it with a bus of its name",
		"Sfrelay_Changes: make channel Sfrelay_Changes__chn, " + members(salesforce.CDC) + "relay Sfrelay_Changes",
		"Sfrelay_Changes source: wait for it, then associate it with a bus of its name",
		"start: set the state RUN of 2 relays",
	}
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("before:\n%s", strings.Join(got, "\n"))
	}
	if n := w.Stand.State().Records["NamedCredential"]; n != 0 {
		t.Error("plan makes something")
	}
	w.Stand.Mend()
	bus := w.Good()["ChangeBusName"]
	if got := left(); len(got) != 0 {
		t.Errorf("after: %q", got)
	}
	w.Drop(bus)
	w.Change("EventRelayConfig", "Sfrelay_Events", "state", "PAUSE")
	if got, want := left(), []string{"Sfrelay_Changes source: associate " + bus + " with a bus of its name", "start: set the state RUN of 1 relays"}; !slices.Equal(got, want) {
		t.Errorf("broken: %q", got)
	}
}

// A state follows after minutes. Setup says what it waits for, and asks for it once.
func TestSetupSaysWhatItWaitsFor(t *testing.T) {
	w := relaytest.New(t)
	w.Good()
	w.Change("EventRelayConfig", "Sfrelay_Changes", "state", "STOP")
	var said []string
	asked, waited := 0, 0
	w.Answer = func(call string, body []byte) (int, string) {
		if strings.Contains(call, "/EventRelayConfig/") && strings.Contains(string(body), `"RUN"`) {
			asked++
			return 204, ""
		}
		return 0, ""
	}
	s := relaysetup.Setup{
		Org: w.Org, Events: w.Events, Place: w.Place, Now: func() time.Time { return w.Now },
		Say: func(step, what string, took time.Duration) {
			said = append(said, fmt.Sprintf("%s: %s, %s", step, what, took))
		},
		Wait: func(context.Context) error {
			w.Now = w.Now.Add(15 * time.Second)
			if waited++; waited == 3 {
				w.Change("EventRelayConfig", "Sfrelay_Changes", "state", "RUN")
			}
			return nil
		},
	}
	asking := w.Answer
	wait := s.Wait
	s.Wait = func(ctx context.Context) error {
		w.Answer = nil // what Salesforce does by itself
		defer func() { w.Answer = asking }()
		return wait(ctx)
	}
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"start: waits until Salesforce has started the relays: Sfrelay_Changes is STOPPED, 0s", "start: both relays run, 45s"}
	if got := said[len(said)-2:]; !slices.Equal(got, want) || asked != 1 || waited != 3 {
		t.Errorf("%q, asked %d times, waited %d times", got, asked, waited)
	}
	w.Answer = nil
	w.Change("EventRelayConfig", "Sfrelay_Events", "state", "PAUSE")
	w.Stand.RelaySays("Sfrelay_Events", map[string]any{"Status": "RUNNING"}) // not yet paused
	w.Good()
	if found := w.Tooling("GET", "query?q=SELECT+State+FROM+EventRelayConfig+WHERE+DeveloperName+=+'Sfrelay_Events'", nil)["records"].([]any)[0].(map[string]any)["State"]; found != "RUN" {
		t.Errorf("a pause that was asked for is left to come: %v", found)
	}
}
