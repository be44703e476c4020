package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/salesforce"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// org is the Salesforce sandbox. On a local stack it stands beside the emulator's account.
func (c *sandboxCommand) org() (*orgsandbox.Org, error) {
	id, err := salesforce.ID18(cmp.Or(c.OrgID, orgsandbox.OrgID))
	if err != nil {
		return nil, usageError{fmt.Errorf("--org-id: %w", err)}
	}
	o := orgsandbox.Options{OrgID: id}
	if c.RelayTo != "" {
		o.Region, o.Account = stack.Region, stack.Account
	}
	return orgsandbox.New(o), nil
}

// behindTheStack keeps EventBridge's side of the org for the local stack, which knows whom it lets
// in and asks with the key. Without a stack everybody on this machine may ask.
func (c *sandboxCommand) behindTheStack(org http.Handler) http.Handler {
	if c.RelayTo == "" {
		return org
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Trim(r.URL.Path, "/") == "aws" {
			http.Error(w, "ask the local stack for event sources; sfrelay stack env says where it is", http.StatusForbidden)
			return
		}
		org.ServeHTTP(w, r)
	})
}

// toBuses is the configuration of the stack to whose buses the relays lead.
func toBuses(ctx context.Context, dir string) (aws.Config, error) {
	s, err := stack.Reach(dir)
	if err != nil {
		return aws.Config{}, err
	}
	return s.Config(ctx)
}

// relayEvents delivers what the relays of the org have to their buses, as EventBridge would, until ctx
// ends. An event of which no rule wants to know is gone, as it is in EventBridge.
func relayEvents(ctx context.Context, org *orgsandbox.Org, buses aws.Config, log *terminal.Printer) {
	const pause = 100 * time.Millisecond
	every := time.NewTicker(pause)
	defer every.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		at := bus.New(buses) // rules may have changed
		err := org.Relay(func(e orgsandbox.Event) error { return toBus(ctx, at, e) })
		if err != nil && ctx.Err() == nil && err.Error() != said {
			log.Printf("the relays of the org wait: %v\n", err)
			said = err.Error()
		}
	}
}

func toBus(ctx context.Context, at *bus.Bus, e orgsandbox.Event) error {
	events, err := bus.Read(bytes.NewReader(e.JSON))
	if err != nil {
		return err
	}
	_, err = at.Deliver(ctx, e.Source, events[0])
	if errors.Is(err, bus.ErrNoBus) || errors.Is(err, bus.ErrNoRule) {
		return nil
	}
	return err
}
