package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

type sendCommand struct {
	account.Flags
	consent
	Bus       string        `help:"Bus to deliver through. Default: the one that the event's source names."`
	Duplicate int           `default:"0" help:"Deliver each event this many more times, each time with a new EventBridge id."`
	Shuffle   *uint64       `placeholder:"SEED" help:"Deliver in a random order; the same seed gives the same order."`
	Wait      bool          `help:"Wait for the verdicts of the consumers in CloudWatch Logs and print them. The exit code is 1 when a change was parked, failed or not delivered."`
	Timeout   time.Duration `default:"60s" help:"Longest time to wait."`
	JSON      bool          `name:"json" help:"Print one JSON object per line."`
	Probe     bool          `help:"Send probes instead of files and wait for the answers: events that say nothing, one of every kind. No sink hears of them."`
	Files     []string      `arg:"" optional:"" name:"file" help:"Files with events as EventBridge delivers them: one, several, or an array; - reads standard input."`
}

// Validate implements kong's hook.
func (c *sendCommand) Validate() error {
	switch {
	case c.Probe && len(c.Files) > 0:
		return errors.New("--probe makes its own events; leave the files out")
	case !c.Probe && len(c.Files) == 0:
		return errors.New("there is nothing to send; name a file, or try the stack with --probe")
	}
	return nil
}

// Run implements kong's interface of a command.
func (c *sendCommand) Run(ctx context.Context, out *screen) error {
	events, err := readAll(c.Files)
	if err != nil {
		return err
	}
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	if c.Probe {
		c.Wait = true
		if events, err = probes(at, time.Now()); err != nil {
			return err
		}
	}
	if events, err = c.plan(events); err != nil {
		return err
	}
	s := sending{sendCommand: c, screen: out, bus: bus.New(at.Config), outputs: at.Outputs, consumers: account.Consumers(at.Outputs)}
	if err := out.ask(ctx, at, c.consent, c.JSON, func() (string, error) { return s.sentence(ctx, events) }); err != nil {
		return err
	}
	if c.Wait {
		follow := account.FollowLocal
		if c.AWS {
			follow = account.Follow
		}
		if s.reader, err = follow(ctx, at.Config, s.consumers, s.now()); err != nil {
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
	*screen
	bus       *bus.Bus
	outputs   map[string]string
	consumers []deadletter.Consumer
	reader    *verdicts.Reader
	awaited   []verdicts.Awaited
	lost      int    // deliveries that reached no consumer
	last      string // event whose id was printed last
}

// sentence says what sending the events will do; empty where no rule takes one.
func (s *sending) sentence(ctx context.Context, events []bus.Event) (string, error) {
	taken, takers := 0, map[string]bool{}
	for _, e := range events {
		targets, err := s.bus.Targets(ctx, s.busOf(ctx, e), e)
		if err != nil {
			return "", err
		}
		if len(targets) > 0 {
			taken++
		}
		for _, arn := range targets {
			takers[cmp.Or(account.ByTarget(s.consumers, arn), arn)] = true
		}
	}
	if taken == 0 {
		return "", nil
	}
	if s.Probe {
		return fmt.Sprintf("%s will be delivered to %s, which answer and write to no sink.",
			count(taken, "probe", "probes"), strings.Join(slices.Sorted(maps.Keys(takers)), ", ")), nil
	}
	return fmt.Sprintf("%s will be delivered to %s, which may write to the sinks above.",
		count(taken, "event", "events"), strings.Join(slices.Sorted(maps.Keys(takers)), ", ")), nil
}

// busOf is the bus that an event takes.
func (s *sending) busOf(ctx context.Context, e bus.Event) string {
	if s.Bus != "" {
		return s.Bus
	}
	return s.bus.Default(ctx, e, s.outputs["EventBus"], s.outputs["ChangeBus"])
}

func (s *sending) send(ctx context.Context, e bus.Event) error {
	since := s.now()
	deliveries, err := s.bus.Deliver(ctx, s.busOf(ctx, e), e)
	for _, d := range deliveries {
		s.print(d)
		if d.Outcome != bus.Delivered {
			s.lost++
		} else {
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
	lines = slices.DeleteFunc(lines, func(l verdicts.Line) bool { return !mine[l.EventID] })
	if err := errors.Join(s.printVerdicts(lines), err); err != nil {
		return err
	}
	var errs []error
	if len(pending) > 0 {
		var missing []string
		for _, a := range pending {
			missing = append(missing, a.EventID+" at "+a.Consumer)
		}
		errs = append(errs, fmt.Errorf("no final verdict within %s: %s; wait longer with --timeout, or see: %s", s.Timeout, strings.Join(missing, ", "), s.Command("dlq list")))
	}
	if n := notApplied(lines) + s.lost; n > 0 {
		errs = append(errs, fmt.Errorf("%d parked, failed or not delivered; see: %s", n, s.Command("dlq list")))
	}
	return errors.Join(errs...)
}

// notApplied counts the changes of which the last verdict is that somebody has to look.
func notApplied(lines []verdicts.Line) int {
	type change struct{ event, consumer, subject string }
	last := map[change]verdict.Verdict{}
	for _, l := range lines {
		last[change{l.EventID, l.Consumer, l.Subject}] = l.Verdict
	}
	n := 0
	for _, v := range last {
		if v == verdict.Parked || v == verdict.Failed || v == verdict.Zombie {
			n++
		}
	}
	return n
}

func (s *sending) printVerdicts(lines []verdicts.Line) error {
	s.last = "" // say again which event
	for _, l := range lines {
		if s.JSON {
			if err := s.Out.JSON(l); err != nil {
				return err
			}
			continue
		}
		said := string(l.Verdict)
		if l.Class != "" {
			said += " (" + string(l.Class) + ")"
		}
		s.heading(l.EventID)
		row := terminal.Row(fmt.Sprintf("%-20s", l.Consumer), said, l.Subject)
		row[1].Style = styleOf(l.Verdict)
		s.Out.Table(2, row)
		if l.Error != "" {
			s.Out.Table(4, terminal.Row(l.Error))
		}
	}
	return nil
}

func styleOf(v verdict.Verdict) terminal.Style {
	switch v {
	case verdict.Applied:
		return terminal.Green
	case verdict.Parked, verdict.Zombie:
		return terminal.Red
	case verdict.Failed, verdict.Busy:
		return terminal.Yellow
	}
	return terminal.Plain
}

// heading says which event the next lines are about.
func (s *sending) heading(id string) {
	id = cmp.Or(id, "(an event without an id)")
	if id != s.last {
		s.last = id
		s.Out.Printf("%s\n", id)
	}
}

func (s *sending) print(d bus.Delivery) {
	if s.JSON {
		_ = s.Out.JSON(d)
		return
	}
	s.heading(d.EventID)
	if d.Outcome == bus.NoRule {
		s.Out.Printf("  no rule takes it\n")
		return
	}
	// arn:aws:lambda:<region>:<account>:function:<name>
	target := d.Target
	if parts := strings.SplitN(target, ":", 6); len(parts) == 6 {
		target = parts[5]
	}
	row := terminal.Row(fmt.Sprintf("%-11s", d.Outcome), strings.TrimSpace(target+"  "+strings.TrimSpace(d.Code+" "+d.Reason)))
	if d.Outcome != bus.Delivered {
		row[0].Style = terminal.Red
	}
	s.Out.Table(2, row)
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
