package stack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go"

	"sfrelay/shared/relay"
	sandboxdoor "sfrelay/shared/sandbox/door"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// One client sees sources and buses together: sources as the org sandbox has them, buses, rules
// and targets as the emulator has them.
func TestSourcesAndBusesAreSeenTogether(t *testing.T) {
	s := emulator(t)
	s.Orgs = DefaultOrg
	org := orgsandbox.New(orgsandbox.Options{Region: Region, Account: Account})
	server := httptest.NewUnstartedServer(nil)
	s.SandboxKey = NewKey()
	server.Config.Handler = sandboxdoor.Before(org, server.Listener.Addr(), s.SandboxKey)
	server.Start()
	t.Cleanup(server.Close)
	c := org.Credentials()
	secret, err := json.Marshal(map[string]string{"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret})
	if err != nil {
		t.Fatal(err)
	}
	s.OrgURL, s.orgSecret = server.URL, string(secret)
	s.EventBus, s.ChangeBus = "aws.partner/salesforce.com/"+DefaultOrg+"/"+eventChannel, "aws.partner/salesforce.com/"+DefaultOrg+"/"+changeChannel
	cfg, err := s.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := eventbridge.NewFromConfig(cfg)
	if _, err := events.DescribeEventSource(t.Context(), &eventbridge.DescribeEventSourceInput{Name: &s.ChangeBus}); !refused(err, "InternalException") {
		t.Errorf("before the org is there: %v", err)
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if list, err := events.ListEventSources(t.Context(), &eventbridge.ListEventSourcesInput{}); err != nil || len(list.EventSources) != 0 {
		t.Errorf("sources of an org without relays: %v, %v", list, err)
	}
	if err := s.setUpRelays(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	state := func(want string, bus bool, rules int) {
		t.Helper()
		found, err := events.DescribeEventSource(t.Context(), &eventbridge.DescribeEventSourceInput{Name: &s.ChangeBus})
		if err != nil || string(found.State) != want {
			t.Errorf("source: %+v, %v, want %s", found, err, want)
		}
		if _, err := events.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: &s.ChangeBus}); (err == nil) != bus {
			t.Errorf("the bus: %v", err)
		}
		list, err := events.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: &s.ChangeBus})
		if bus && (err != nil || len(list.Rules) != rules) {
			t.Errorf("%+v, %v, want %d rules", list, err, rules)
		}
	}
	state("ACTIVE", true, 0)
	if list, err := events.ListEventSources(t.Context(), &eventbridge.ListEventSourcesInput{NamePrefix: aws.String("aws.partner/")}); err != nil || len(list.EventSources) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("take"), EventBusName: &s.ChangeBus, EventPattern: aws.String(`{"source":["x"]}`)}); err != nil {
		t.Fatal(err)
	}
	state("ACTIVE", true, 1)
	// Salesforce deletes the source with its relay. Rules stay, and wake when a new one of that
	// name is associated (EventBridge, partner onboarding guide).
	side, err := relay.NewOrg(s.OrgURL, func(context.Context) (string, error) { return s.orgSecret, nil })
	if err != nil {
		t.Fatal(err)
	}
	v, err := relay.Look(t.Context(), side, events, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := side.Remove(t.Context(), "EventRelayConfig", v.Relays[1].Config.ID); err != nil {
		t.Fatal(err)
	}
	state("DELETED", true, 1)
	if err := s.setUpRelays(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	state("ACTIVE", true, 1)
	if _, err := events.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: &s.ChangeBus}); err != nil {
		t.Fatal(err)
	}
	state("PENDING", false, 0)
	if err := s.setUpRelays(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	state("ACTIVE", true, 0)
	create := func(name, source string) error {
		in := &eventbridge.CreateEventBusInput{Name: &name}
		if source != "" {
			in.EventSourceName = &source
		}
		_, err := events.CreateEventBus(t.Context(), in)
		return err
	}
	if err := create(s.EventBus+"x", s.EventBus+"x"); !refused(err, "ResourceNotFoundException") {
		t.Errorf("a bus of no source: %v", err)
	}
	if _, err := events.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: aws.String(s.EventBus + "x")}); err == nil {
		t.Error("a bus of no source was made")
	}
	if err := create("mine", ""); err != nil {
		t.Errorf("a bus of one's own: %v", err)
	}
	if _, err := events.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: aws.String("mine")}); err != nil {
		t.Errorf("a bus of one's own: %v", err)
	}
}

// The functions do not see where the org's state lies.
func TestTheStateIsNotForFunctions(t *testing.T) {
	if said := inside(t, `print(STATE.endswith("state.json"), "STACK_STATE" in os.environ)`); said != "True False\n" {
		t.Error(said)
	}
}

// What the emulator does not permit, the org sandbox is not asked.
func TestSourcesAskForPermission(t *testing.T) {
	said := inside(t, `
asked = []
def ask_org(operation, body):
    asked.append(operation)
    return 200, b"{}"
async def emulator_says(scope, receive, send):
    await reply(send, 403, b"no")
def call(operation, body):
    said = []
    async def receive():
        return {"body": body}
    async def send(message):
        said.append(message)
    asyncio.run(partner(operation, {}, receive, send, emulator_says))
    return said[0]["status"], asked[:]
for operation in PARTNER:
    asked.clear()
    print(operation, *call(operation, b'{"Name":"aws.partner/x","EventSourceName":"aws.partner/x"}'))`)
	want := `ListEventSources 403 []
DescribeEventSource 403 []
ActivateEventSource 403 []
DeactivateEventSource 403 []
CreateEventBus 403 ['CreateEventBus', 'DeleteEventBus']
DeleteEventBus 403 []
`
	if said != want {
		t.Errorf("%s, want\n%s", said, want)
	}
}

func TestTheFirstOrgNamesTheBuses(t *testing.T) {
	for orgs, want := range map[string]string{
		"00D5f000005KcCnEAK": "00D5f000005KcCnEAK", "00D5f000005KcCn,00D000000000001EAA": "00D5f000005KcCnEAK",
		"": "", "x": "", "0015f0000200001AAA": "",
	} {
		if got := (&Stack{Orgs: orgs}).firstOrg(); got != want {
			t.Errorf("%s: %q, want %q", orgs, got, want)
		}
	}
	o := Options{Dir: t.TempDir(), Root: t.TempDir(), Orgs: "x"}
	if err := os.MkdirAll(o.Root+"/.ci", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Root+"/.ci/tools", []byte("#!/bin/sh\necho /nowhere\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if _, err := Up(t.Context(), o); err == nil || !strings.Contains(err.Error(), "SALESFORCE_ORGS=x") {
		t.Errorf("%v", err)
	}
}

func refused(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
