package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// relayWorld is an org, and the account of the AWS environment with EventBridge as the org
// sandbox plays it. It returns the flags that lead there.
func relayWorld(t *testing.T) (*orgsandbox.Org, []string) {
	t.Helper()
	org, _, flags := relayAccount(t)
	return org, flags
}

// relayAccount is relayWorld with the account, too.
func relayAccount(t *testing.T) (*orgsandbox.Org, *awsAccount, []string) {
	t.Helper()
	a := newAccount(t)
	org := orgsandbox.New(orgsandbox.Options{})
	server := httptest.NewServer(org)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", server.URL+"/aws")
	t.Chdir(t.TempDir()) // no checkout whose files setup writes
	c := org.Credentials()
	secret, err := json.Marshal(map[string]string{"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return org, a, []string{"--aws", "--org", server.URL, "--credentials", file}
}

// What changes both sides asks first; what reads does not.
func TestRelayVerbsAsk(t *testing.T) {
	verbs := 0
	for verb, hasYes := range verbsWith("aws", "yes") {
		words := strings.Fields(verb)
		if words[0] != "relay" { // doctor asks with --fix only
			continue
		}
		verbs++
		org, flags := relayWorld(t)
		before := org.State().Records
		code, _, said := called(t, nobody, append(words, flags...)...)
		if !hasYes {
			if verb != "relay status" && verb != "relay plan" || strings.Contains(said, question) {
				t.Errorf("%s has no --yes: %s", verb, said)
			}
			continue
		}
		if code != wrongUse || !strings.Contains(said, "--yes") {
			t.Errorf("%s, where nobody answers: code %d, %s", verb, code, said)
		}
		if code, _, said := called(t, "n\n", append(words, flags...)...); code != notDone || strings.Count(said, question) != 1 {
			t.Errorf("%s, answered no: code %d, %s", verb, code, said)
		}
		for _, object := range []string{"EventRelayConfig", "NamedCredential"} {
			if now := org.State().Records[object]; now != before[object] {
				t.Errorf("%s changes the org without a question", verb)
			}
		}
	}
	if verbs != 7 {
		t.Errorf("%d verbs are tried", verbs)
	}
}

// The whole way: set up, seen, paused, started again, deleted.
func TestTheRelayFromSetupToTeardown(t *testing.T) {
	_, flags := relayWorld(t)
	do := func(want int, words ...string) string {
		t.Helper()
		code, out, said := called(t, nobody, append(words, flags...)...)
		if code != want {
			t.Fatalf("%v: code %d, want %d: %s%s", words, code, want, out, said)
		}
		return out
	}
	if out := do(notDone, "doctor"); !strings.Contains(out, "credential-missing") || !strings.Contains(out, "3 findings") {
		t.Errorf("before: %s", out)
	}
	// A Developer Edition delivers 10,000 events a day.
	if out := do(done, "relay", "plan", "--changes-per-day", "2500"); !strings.Contains(out, "2500 events a day, each delivered by one relay, are 25 % of the 10000") || !strings.Contains(out, "8 of 9 steps are left") {
		t.Errorf("plan: %s", out)
	}
	do(notDone, "relay", "plan", "--changes-per-day", "10001")
	if out := do(done, "relay", "setup", "--yes"); !strings.Contains(out, `"EventBusName=aws.partner/salesforce.com/`+orgsandbox.OrgID+"/") || !strings.Contains(out, "both relays run") {
		t.Errorf("setup: %s", out)
	}
	if out := do(done, "relay", "plan"); !strings.Contains(out, "2 of 9 steps are left\nThe org may deliver 10000 events a day; 0 are used today.\n") || !strings.Contains(out, "left: see them arrive") {
		t.Errorf("plan after setup: %s", out)
	}
	if out := do(done, "relay", "status"); strings.Count(out, "wanted RUN, is RUNNING; source ACTIVE") != 2 || !strings.Contains(out, orgsandbox.OrgID) || !strings.Contains(out, "0 of 10000 events delivered") {
		t.Errorf("status: %s", out)
	}
	var answer struct {
		Org      string
		Findings []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(do(notDone, "doctor", "--json")), &answer); err != nil || answer.Org != orgsandbox.OrgID || len(answer.Findings) != 2 || answer.Findings[0].Name != "no-rules" {
		t.Errorf("doctor --json: %+v, %v", answer, err)
	}
	do(done, "relay", "pause", "--yes")
	if out := do(done, "relay", "status"); strings.Count(out, "wanted PAUSE, is PAUSED") != 2 {
		t.Errorf("paused: %s", out)
	}
	do(done, "relay", "start", "--yes")
	do(done, "relay", "teardown", "--yes")
	if out := do(done, "relay", "status"); strings.Count(out, "there is none") != 2 {
		t.Errorf("after: %s", out)
	}
}

func TestRelayNeedsAPlace(t *testing.T) {
	_, flags := relayWorld(t)
	for _, args := range [][]string{slices.Delete(slices.Clone(flags), 0, 1), append([]string{"--sandbox"}, flags...)} {
		if code, _, said := called(t, nobody, append([]string{"relay", "status"}, args...)...); code != wrongUse || !strings.Contains(said, "--sandbox") {
			t.Errorf("%v: code %d, %s", args, code, said)
		}
	}
	for want, args := range map[string][]string{"make up": {"--stack-dir", t.TempDir()}, "My Domain": {"--aws"}} {
		if code, _, said := called(t, nobody, append([]string{"relay", "status"}, args...)...); code != wrongUse || !strings.Contains(said, want) {
			t.Errorf("%v: code %d, %s", args, code, said)
		}
	}
	elsewhere := []string{"relay", "status", "--sandbox", "--org", "https://example.my.salesforce.com", "--credentials", flags[4]}
	if code, _, said := called(t, nobody, elsewhere...); code != wrongUse || !strings.Contains(said, "loopback") {
		t.Errorf("code %d, %s", code, said)
	}
}

// doctor changes nothing without --fix, asks before it does, and looks again.
func TestDoctorFixes(t *testing.T) {
	org, flags := relayWorld(t)
	if code, _, said := called(t, nobody, append([]string{"relay", "setup", "--yes"}, flags...)...); code != done {
		t.Fatal(said)
	}
	wanted := func() any { return org.RelayState("Sfrelay_Events") }
	if code, _, said := called(t, nobody, append([]string{"relay", "pause", "--yes"}, flags...)...); code != done {
		t.Fatal(said)
	}
	code, out, said := called(t, nobody, append([]string{"doctor"}, flags...)...)
	if code != notDone || wanted() != "PAUSE" || strings.Contains(said, question) || !strings.Contains(out, "sfrelay doctor --fix cures 2 of them") {
		t.Errorf("code %d, %v: %s%s", code, wanted(), out, said)
	}
	if code, _, said := called(t, nobody, append([]string{"doctor", "--fix"}, flags...)...); code != wrongUse || wanted() != "PAUSE" {
		t.Errorf("where nobody answers: code %d, %s", code, said)
	}
	if code, _, said := called(t, "n\n", append([]string{"doctor", "--fix"}, flags...)...); code != notDone || wanted() != "PAUSE" || strings.Count(said, question) != 1 || !strings.Contains(said, "relay-not-running Sfrelay_Events: set the relay to RUN") {
		t.Errorf("answered no: code %d, %s", code, said)
	}
	code, out, _ = called(t, "y\n", append([]string{"doctor", "--fix"}, flags...)...)
	if wanted() != "RUN" || strings.Contains(out, "not-running  ") || strings.Count(out, "done") != 2 {
		t.Errorf("answered yes: code %d, %v, %s", code, wanted(), out)
	}
}

// Status has the last event of each consumer; a log that cannot be read is named.
func TestRelayStatusHasTheLastEvents(t *testing.T) {
	_, a, flags := relayAccount(t)
	status := append([]string{"relay", "status"}, flags...)
	if code, out, said := called(t, nobody, status...); code != done || !strings.Contains(out, "inventory-erp        no event since 1h\n") {
		t.Errorf("code %d, %s%s", code, out, said)
	}
	a.lines = []any{
		logged(`{"time":"2026-11-22T12:05:00Z","consumer":"inventory-erp","verdict":"parked","class":"throttled","detailType":"Inventory_Update__e"}`),
		logged(`{"time":"2026-11-22T12:00:01Z","consumer":"inventory-erp","verdict":"applied","detailType":"Inventory_Update__e"}`),
	}
	if code, out, said := called(t, nobody, status...); code != done || !strings.Contains(out, "inventory-erp        Inventory_Update__e parked throttled, 2026-11-22T12:05:00Z\n") {
		t.Errorf("code %d, %s%s", code, out, said)
	}
	var answer struct {
		Org       string
		Consumers []struct{ Consumer, At, Verdict string }
	}
	if _, out, _ := called(t, nobody, append(status, "--json")...); json.Unmarshal([]byte(out), &answer) != nil || answer.Org != orgsandbox.OrgID || len(answer.Consumers) != 1 || answer.Consumers[0].Verdict != "parked" || answer.Consumers[0].At != "2026-11-22T12:05:00Z" {
		t.Errorf("%+v", answer)
	}
	a.refuse = "Logs_20140328.FilterLogEvents"
	if code, out, said := called(t, nobody, status...); code != done || !strings.Contains(out, "not seen  logs of the consumers: ") || !strings.Contains(out, "may not call logs:FilterLogEvents") || !strings.Contains(out, "no event since 1h") {
		t.Errorf("code %d, %s%s", code, out, said)
	}
}
