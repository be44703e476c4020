package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sfrelay/cmd/sfrelay/internal/relayverify"
	"sfrelay/cmd/sfrelay/internal/samconfig"
)

type relaySetup struct {
	relaySides
	configFlags
	consent
}

// Run implements kong's interface of a command.
func (c *relaySetup) Run(ctx context.Context, out *screen) error {
	root, err := c.settings()
	if err != nil {
		return err
	}
	plan := "Channels, a credential and two relays will be made, their sources associated with buses, the relays started, and a probe of each platform event published"
	if root != "" {
		plan = "The names of the buses will be written into " + filepath.Join(root, configFile) + ". " + plan
	}
	j, err := c.agreed(ctx, out, c.consent, plan)
	if err != nil {
		return err
	}
	buses, err := j.setup(out).Run(ctx)
	if err != nil {
		return err
	}
	deployed := j.at.Outputs["EventBus"] == buses["EventBusName"] && j.at.Outputs["ChangeBus"] == buses["ChangeBusName"]
	if !deployed || root != "" {
		if err := c.name(out, root, buses); err != nil {
			return err
		}
	}
	switch {
	case deployed:
		return j.tryAll(ctx, out)
	case !c.Sandbox: // which has no consumers
		out.Out.Printf("Then try the whole way: sfrelay relay verify\n")
	}
	return nil
}

// tryAll sees a probe of each platform event arrive.
func (j *joined) tryAll(ctx context.Context, out *screen) error {
	const atMost = 5 * time.Minute
	began := time.Now()
	v, err := j.verify(ctx, atMost, func(a relayverify.Arrival) { showArrival(out, a) })
	if err != nil {
		return err
	}
	showStep(out, "probes", fmt.Sprintf("waits at most %s until each consumer has logged its probe", atMost), 0)
	arrivals, err := v.Probes(ctx)
	if err == nil {
		err = relayverify.Outcome(arrivals)
	}
	if err == nil {
		showStep(out, "probes", "arrived at every consumer", time.Since(began))
	}
	return err
}

// settings is the checkout whose samconfig.toml gets the names of the buses; empty where
// there is none, and on the local stack and the sandbox, whose buses no account has.
func (c *relaySetup) settings() (string, error) {
	dir, err := os.Getwd()
	if err != nil || !c.AWS {
		return "", err
	}
	root, err := c.checkout(dir, os.Getuid())
	if err != nil {
		if c.Root != "" {
			return "", err
		}
		return "", nil
	}
	if _, err := os.Stat(filepath.Join(root, configFile)); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return root, nil
}

// name writes the names of the buses where sam deploy reads them, or says what to write.
func (c *relaySetup) name(out *screen, root string, buses map[string]string) error {
	began, names := time.Now(), slices.Sorted(maps.Keys(buses))
	var err error
	if root != "" {
		wanted := samconfig.Edit{Environment: c.ConfigEnv}
		for _, name := range names {
			wanted.Parameters = append(wanted.Parameters, samconfig.Parameter{Name: name, Value: buses[name]})
		}
		var e edit
		e, err = settings(root, wanted)
		if err == nil && e.before == e.after {
			showStep(out, configFile, "has the names of the buses", time.Since(began))
			return nil
		}
		if err == nil {
			err = e.write(root)
		}
		if err == nil {
			showStep(out, configFile, "has the names of the buses now", time.Since(began))
			showEdits(out, []edit{e})
			out.Out.Printf("\nDeploy the stack: %s\n", c.deploy())
			return nil
		}
	}
	out.Out.Printf("\nWrite this into parameter_overrides of samconfig.toml, then type: %s\n", c.deploy())
	for _, name := range names {
		out.Out.Printf("  \"%s=%s\",\n", name, buses[name])
	}
	return err
}

func (c *relaySetup) deploy() string {
	if c.ConfigEnv == "default" {
		return "make deploy"
	}
	return "make deploy ENV=" + c.ConfigEnv
}
