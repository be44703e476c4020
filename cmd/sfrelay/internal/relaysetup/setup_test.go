package relaysetup_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/cmd/sfrelay/internal/relaytest"
	orgsandbox "sfrelay/shared/sandbox/org"
)

func TestARefusedLoginNamesItsSetting(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":"invalid_client","error_description":"app must be installed into org"}`:      "not installed in this org",
		`{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`:   "policies of the app",
		`{"error":"invalid_client","error_description":"invalid client credentials"}`:          "clientSecret",
		`{"error":"invalid_client_id","error_description":"client identifier invalid"}`:        "clientId",
		`{"error":"invalid_grant","error_description":"no client credentials user enabled"}`:   "user to run as",
		`{"error":"invalid_grant","error_description":"request not supported on this domain"}`: "My Domain",
	} {
		w := relaytest.New(t)
		w.Login = answer
		if _, err := w.Setup(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", answer, err, want)
		}
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
