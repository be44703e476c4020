package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/shared/salesforce"
)

// A probe of every kind that the stack's buses carry, in the form that consumers know as
// one, from an org that the stack takes.
func TestProbes(t *testing.T) {
	const partner = "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS"
	now := time.Date(2026, 11, 27, 4, 0, 0, 0, time.UTC)
	events := []string{"Cloud_Customer_Sync__e", "Inventory_Update__e", "Opportunity_Won__e"}
	changes := []string{"AccountChangeEvent", "ContactChangeEvent", "OpportunityChangeEvent"}
	for _, c := range []struct {
		what    string
		outputs map[string]string
		want    []string
		source  string
	}{
		{"both", map[string]string{"EventBus": partner, "ChangeBus": partner}, []string{"AccountChangeEvent", "Cloud_Customer_Sync__e", "Inventory_Update__e", "OpportunityChangeEvent", "Opportunity_Won__e"}, partner},
		{"platform events alone", map[string]string{"EventBus": "trial"}, events, "aws.partner/salesforce.com/00D5f000005KcCnEAK/probe"},
		{"change events alone", map[string]string{"ChangeBus": "trial"}, changes, "aws.partner/salesforce.com/00D5f000005KcCnEAK/probe"},
	} {
		got, err := probes(&account.Account{Outputs: c.outputs, Orgs: []string{"00D5f000005KcCnEAK"}}, now)
		if err != nil {
			t.Fatal(err)
		}
		var types []string
		ids := map[string]bool{}
		for _, e := range got {
			types, ids[e.ID] = append(types, e.DetailType), true
			d, err := salesforce.Decode(e.JSON, salesforce.Options{Orgs: salesforce.OrgList{"00D5f000005KcCnEAK"}, Now: now})
			if err != nil || !d.Probe || d.ID != e.ID || d.DetailType != e.DetailType || d.Source != c.source || e.Source != c.source {
				t.Errorf("%s: %s, %+v, %v", c.what, e.JSON, d, err)
			}
		}
		for _, want := range c.want { // a consumer that is added brings more of them
			if !slices.Contains(types, want) {
				t.Errorf("%s: no %s among %q", c.what, want, types)
			}
		}
		for _, is := range types {
			if isChange := strings.HasSuffix(is, "ChangeEvent"); c.outputs["EventBus"] == "" && !isChange || c.outputs["ChangeBus"] == "" && isChange {
				t.Errorf("%s: %s has no bus", c.what, is)
			}
		}
		slices.Sort(types)
		if len(slices.Compact(types)) != len(ids) {
			t.Errorf("%s: %q with %d ids", c.what, types, len(ids))
		}
	}
	got, err := probes(&account.Account{Outputs: map[string]string{"ChangeBus": "x"}, Orgs: []string{"00D5f000005KcCnEAK"}, Off: []string{"contact-notify"}}, now)
	if err != nil || slices.ContainsFunc(got, func(e bus.Event) bool { return e.DetailType == "ContactChangeEvent" }) || len(got) < 2 {
		t.Errorf("a consumer that is switched off gets a probe: %v, %v", got, err)
	}
	for _, at := range []*account.Account{{Outputs: map[string]string{"EventBus": "x"}}, {Orgs: []string{"00D5f000005KcCnEAK"}}} {
		if got, err := probes(at, now); err == nil {
			t.Errorf("%+v: %v", at, got)
		}
	}
}

func TestSendWantsFilesOrAProbe(t *testing.T) {
	for _, args := range [][]string{{"send"}, {"send", "--probe", "x.json"}} {
		code, _, said := called(t, nobody, args...)
		if code != wrongUse || !strings.Contains(said, "--probe") {
			t.Errorf("%v: code %d, %s", args, code, said)
		}
	}
}
