package stack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
)

// firstOrg is the org of the sandbox, which names the buses; empty if it is none.
func (s *Stack) firstOrg() string {
	first, _, _ := strings.Cut(s.Orgs, ",")
	id, err := salesforce.ID18(strings.TrimSpace(first))
	if err != nil || !strings.HasPrefix(id, "00D") {
		return ""
	}
	return id
}

// setUpRelays does what sfrelay relay setup does, on the sandbox of the org: both relays run,
// and lead to the buses that the stack is deployed with.
func (s *Stack) setUpRelays(ctx context.Context, events *eventbridge.Client) error {
	org, err := relay.NewOrg(s.OrgURL, func(context.Context) (string, error) { return s.orgSecret, nil })
	if err != nil {
		return err
	}
	const pause = 50 * time.Millisecond
	setup := relaysetup.Setup{
		Org: org, Events: events, Place: relay.Place{Region: Region, Account: Account, Orgs: strings.Split(s.Orgs, ",")},
		Say: func(string, string, time.Duration) {}, Wait: func(ctx context.Context) error { return sleep(ctx, pause) }, Now: time.Now,
	}
	buses, err := setup.Run(ctx)
	if err != nil {
		return fmt.Errorf("the relays of the org sandbox: %w", err)
	}
	if buses["EventBusName"] != s.EventBus || buses["ChangeBusName"] != s.ChangeBus {
		return fmt.Errorf("the relays of the org sandbox lead to %v, the stack has %s and %s", buses, s.EventBus, s.ChangeBus)
	}
	return nil
}

// Reach is the stack whose servers run, deployed or not.
func Reach(dir string) (*Stack, error) { return load(dir) }
