package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
)

type sendCommand struct {
	account.Flags
	Bus       string   `help:"Bus to deliver through. Default: the one that the event's source names."`
	Duplicate int      `default:"0" help:"Deliver each event so many times more, each time under a new EventBridge id, as a relay that sends again does."`
	Shuffle   *uint64  `placeholder:"SEED" help:"Deliver in a random order, the same one for the same seed."`
	Wait      bool     `help:"Wait for the verdicts of the consumers in CloudWatch Logs and print them."`
	JSON      bool     `name:"json" help:"Print one JSON object per line."`
	Files     []string `arg:"" name:"file" help:"Files with events as EventBridge delivers them: one, several, or an array; - reads standard input."`
}

func (c *sendCommand) Run(ctx context.Context) error {
	events, err := readAll(c.Files)
	if err != nil {
		return err
	}
	if events, err = c.plan(events); err != nil {
		return err
	}
	cfg, err := c.Config(ctx)
	if err != nil {
		return err
	}
	b := bus.New(cfg)
	for _, e := range events {
		name := c.Bus
		if name == "" {
			name = e.Source
		}
		deliveries, err := b.Deliver(ctx, name, e)
		for _, d := range deliveries {
			c.print(d)
		}
		if err != nil {
			return err
		}
		if len(deliveries) == 0 {
			c.print(bus.Delivery{EventID: e.ID, Outcome: "no-rule"})
		}
	}
	return nil
}

func (c *sendCommand) print(d bus.Delivery) {
	if c.JSON {
		_ = json.NewEncoder(os.Stdout).Encode(d)
		return
	}
	if d.Rule == "" {
		fmt.Printf("%-36s  no rule matches it\n", d.EventID)
		return
	}
	_, target, _ := strings.Cut(d.Target, "000:")
	fmt.Printf("%-36s  %-11s  %s  %s\n", d.EventID, d.Outcome, target, d.Code)
}

// plan adds the duplicates and puts all into the order of delivery.
func (c *sendCommand) plan(events []bus.Event) ([]bus.Event, error) {
	var planned []bus.Event
	for _, e := range events {
		planned = append(planned, e)
		for range c.Duplicate {
			again, err := e.WithID(uuid.NewString())
			if err != nil {
				return nil, err
			}
			planned = append(planned, again)
		}
	}
	if c.Shuffle != nil {
		random := rand.New(rand.NewPCG(*c.Shuffle, 0))
		random.Shuffle(len(planned), func(i, j int) { planned[i], planned[j] = planned[j], planned[i] })
	}
	return planned, nil
}

func readAll(files []string) ([]bus.Event, error) {
	var events []bus.Event
	for _, name := range files {
		read, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		events = append(events, read...)
	}
	return events, nil
}

func readFile(name string) ([]bus.Event, error) {
	if name == "-" {
		return bus.Read(os.Stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bus.Read(io.Reader(f))
}
