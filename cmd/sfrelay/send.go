package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
)

type sendCommand struct {
	account.Flags
	Bus       string        `help:"Bus to deliver through. Default: the one that the event's source names."`
	Duplicate int           `default:"0" help:"Deliver each event so many times more, each time under a new EventBridge id, as a relay that sends again does."`
	Shuffle   *uint64       `placeholder:"SEED" help:"Deliver in a random order, the same one for the same seed."`
	Wait      bool          `help:"Wait for the verdicts of the consumers in CloudWatch Logs and print them."`
	Timeout   time.Duration `default:"60s" help:"Longest time to wait."`
	JSON      bool          `name:"json" help:"Print one JSON object per line."`
	Files     []string      `arg:"" name:"file" help:"Files with events as EventBridge delivers them: one, several, or an array; - reads standard input."`
}

// Run implements kong's interface of a command.
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
	s := sending{sendCommand: c, bus: bus.New(cfg)}
	if c.Bus == "" || c.Wait {
		// The stack's own buses are the default where no bus is called as the event's source.
		if s.outputs, err = c.Outputs(ctx, cfg); err != nil {
			return err
		}
		s.consumers = account.Consumers(s.outputs)
	}
	if c.Wait {
		follow := account.FollowLocal
		if c.AWS {
			follow = account.Follow
		}
		if s.reader, err = follow(ctx, cfg, s.consumers, s.now()); err != nil {
			return err
		}
	}
	for _, e := range events {
		if err := s.send(ctx, e); err != nil {
			return err
		}
	}
	if c.Wait {
		return s.wait(ctx)
	}
	return nil
}

// sending is one call of send.
type sending struct {
	*sendCommand
	bus       *bus.Bus
	outputs   map[string]string
	consumers []deadletter.Consumer
	reader    *verdicts.Reader
	awaited   []verdicts.Awaited
}

func (s *sending) send(ctx context.Context, e bus.Event) error {
	name := s.Bus
	if name == "" {
		name = s.bus.Default(ctx, e, s.outputs["EventBus"], s.outputs["ChangeBus"])
	}
	since := s.now()
	deliveries, err := s.bus.Deliver(ctx, name, e)
	for _, d := range deliveries {
		s.print(d)
		if d.Outcome == bus.Delivered {
			s.awaited = append(s.awaited, verdicts.Awaited{
				EventID: e.ID, Consumer: account.ByTarget(s.consumers, d.Target), Since: since,
			})
		}
	}
	if err == nil && len(deliveries) == 0 {
		s.print(bus.Delivery{EventID: e.ID, Outcome: bus.NoRule})
	}
	return err
}

// now is a time that is not later than any line the functions write from now on:
// those of an account may have another clock than we.
func (s *sending) now() time.Time {
	if s.AWS {
		return time.Now().Add(-5 * time.Second)
	}
	return time.Now()
}

// wait follows the logs until every delivery has come to a verdict, and prints it.
func (s *sending) wait(ctx context.Context) error {
	lines, pending, err := s.reader.Await(ctx, s.awaited, s.Timeout, nil)
	mine := map[string]bool{}
	for _, a := range s.awaited {
		mine[a.EventID] = true
	}
	for _, l := range lines {
		if !mine[l.EventID] {
			continue
		}
		if s.JSON {
			if err := json.NewEncoder(os.Stdout).Encode(l); err != nil {
				return err
			}
			continue
		}
		said := string(l.Verdict)
		if l.Class != "" {
			said += " (" + string(l.Class) + ")"
		}
		fmt.Printf("%-36s  %-20s  %s  %s\n", l.EventID, l.Consumer, said, l.Subject)
	}
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		var missing []string
		for _, a := range pending {
			missing = append(missing, a.EventID+" at "+a.Consumer)
		}
		return fmt.Errorf("no final verdict within %s: %s; see sfrelay dlq list, wait longer with --timeout", s.Timeout, strings.Join(missing, ", "))
	}
	return nil
}

func (c *sendCommand) print(d bus.Delivery) {
	if c.JSON {
		_ = json.NewEncoder(os.Stdout).Encode(d)
		return
	}
	id := cmp.Or(d.EventID, "(an event without an id)")
	if d.Outcome == bus.NoRule {
		fmt.Printf("%-36s  no rule takes it\n", id)
		return
	}
	// arn:aws:lambda:<region>:<account>:function:<name>
	target := d.Target
	if parts := strings.SplitN(target, ":", 6); len(parts) == 6 {
		target = parts[5]
	}
	fmt.Printf("%-36s  %-11s  %s  %s\n", id, d.Outcome, target, strings.TrimSpace(d.Code+" "+d.Reason))
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
