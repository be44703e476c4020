package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/salesforce"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// answering is what the functions of a stack log of the probes of an org.
func answering(t *testing.T, org *orgsandbox.Org) func() []any {
	return func() (lines []any) {
		for _, raw := range org.Events(0) {
			e, err := salesforce.Decode(raw.JSON, salesforce.Options{})
			if err != nil || !e.Probe {
				t.Errorf("%s: %v", raw.JSON, err)
				continue
			}
			if e.DetailType == "Inventory_Update__e" {
				lines = append(lines, logged(fmt.Sprintf(`{"time":%q,"consumer":"inventory-erp","verdict":"probe","subject":%q,"eventKey":%q,"detailType":%q}`, time.Now().UTC().Format(time.RFC3339Nano), e.ProbeID, e.Cause.Identity(), e.DetailType)))
			}
		}
		return lines
	}
}

func TestRelayVerify(t *testing.T) {
	org, a, flags := relayAccount(t)
	if code, out, said := called(t, nobody, append([]string{"relay", "setup", "--yes"}, flags...)...); code != done || !strings.Contains(out, "try the whole way: sfrelay relay verify") {
		t.Fatalf("setup: code %d, %s%s", code, out, said)
	}
	verify := append([]string{"relay", "verify", "--yes"}, flags...)
	a.answers = answering(t, org)
	code, out, said := called(t, nobody, verify...)
	if code != done || !strings.Contains(out, "Inventory_Update__e       inventory-erp") || !strings.Contains(out, "s  probe\n") || !strings.Contains(said, "A probe of each platform event will be published in the org http") {
		t.Errorf("code %d, %s%s", code, out, said)
	}
	if !strings.Contains(out, "Sfrelay_Changes           no event relayed yet; its next one proves it") {
		t.Errorf("%s", out)
	}
	code, out, _ = called(t, nobody, append(verify, "--json")...)
	var answer struct {
		Arrivals []struct {
			Event, Consumer, Verdict, EventUUID string
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); code != done || err != nil || len(answer.Arrivals) != 1 || answer.Arrivals[0].Verdict != "probe" || answer.Arrivals[0].EventUUID == "" {
		t.Errorf("code %d, %v, %s", code, err, out)
	}
	if changed := a.changed(); len(changed) > 0 {
		t.Errorf("%v", changed)
	}
	a.answers = func() []any { return nil }
	code, out, said = called(t, nobody, append(verify, "--timeout", "1ms")...)
	if code != notDone || !strings.Contains(out, "lost at ") || !strings.Contains(said, "Inventory_Update__e at inventory-erp (") {
		t.Errorf("nothing arrives: code %d, %s%s", code, out, said)
	}
}

func TestRelayVerifyRefuses(t *testing.T) {
	_, flags := relayWorld(t)
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"--timeout", "0s"}, "--timeout: want more than 0"},
		{[]string{"--touch", "Account/0015f00002J9YYEAA3"}, "want Object/id.Field"},
		{[]string{"--touch", "Account/0015f00002J9YYEAA3.Name", "--yes"}, "no consumer of the stack takes AccountChangeEvent"},
	} {
		if code, _, said := called(t, nobody, append(append([]string{"relay", "verify"}, flags...), c.words...)...); code != wrongUse || !strings.Contains(said, c.want) {
			t.Errorf("%v: code %d, %s", c.words, code, said)
		}
	}
	if code, _, said := called(t, nobody, append([]string{"relay", "verify", "--sandbox"}, flags[1:]...)...); code != notDone || !strings.Contains(said, "make deploy") {
		t.Errorf("without a stack: code %d, %s", code, said)
	}
}

// A probe of each event goes from the org through relays, buses, rules and functions, and no
// sink hears of it. Where the relay is paused, that is the hop that is named.
func TestAProbeOfTheOrgArrives(t *testing.T) {
	s := running(t)
	w := newSaver(t, s)
	do := func(want int, words ...string) string {
		t.Helper()
		code, out, said := called(t, nobody, append(words, "--stack-dir", os.Getenv("STACK_DIR"))...)
		if code != want {
			t.Fatalf("%v: code %d\n%s%s", words, code, out, said)
		}
		return out + said
	}
	const account = "0015f0000200001AAA"
	w.rest("PATCH", "Account/"+account, `{"Industry":"Energy"}`)
	sinks := func() string {
		return string(w.at("GET", s.ERPURL+"/_sandbox/state", "")) + string(w.at("GET", s.StripeURL+"/_sandbox/state", ""))
	}
	before := sinks()
	out := do(done, "relay", "verify", "--touch", "Account/"+account+".Industry")
	if strings.Count(out, "s  probe\n") < 4 || strings.Count(out, "s  ignored\n") != 2 {
		t.Errorf("%s", out)
	}
	if out := do(done, "relay", "setup"); !strings.Contains(out, "arrived at every consumer") {
		t.Errorf("%s", out)
	}
	if after := sinks(); after != before {
		t.Errorf("the sinks were\n%s\nand are\n%s", before, after)
	}
	do(done, "relay", "pause")
	defer do(done, "relay", "start")
	if out := do(notDone, "relay", "verify", "--timeout", "2s"); strings.Count(out, "lost at relay: Sfrelay_Events is PAUSED") < 4 {
		t.Errorf("%s", out)
	}
}
