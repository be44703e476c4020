package scenario

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Runner plays scenarios on a stack.
type Runner struct {
	Stack *stack.Stack
	// Command is how sfrelay is called for the steps that run it, without their own arguments.
	Command []string
	// Args are appended to such a call: which stack to work on.
	Args []string
	// Switch deploys the stack with another delivery mode.
	Switch func(ctx context.Context, mode string) error
}

// settleLimit is how long a wait may take: the two pauses of Lambda's retries,
// scaled, with much to spare.
const settleLimit = 90 * time.Second

// inParallel is how many events are on their way to the rules at once.
const inParallel = 8

// Result is what came of a scenario.
type Result struct {
	Rows       []Row
	Consumers  []string
	Billing    any
	ERP        any
	Receiver   any
	Queues     map[string][]queued
	Mistakes   []string // how the result differs from what was wanted; none: as wanted
	Deliveries int
	Attempts   int // of consumers: invocations per event and consumer
	Outages    []Outage
}

// Row is one event in the table.
type Row struct {
	Number   int
	Say      string // heading above it
	Name     string
	What     string
	Verdicts map[string]Cell
}

// Cell is what came of an event at a consumer.
type Cell struct {
	Text  string
	Wrong bool
	Open  bool // the order of concurrent invocations decided
}

type play struct {
	Runner
	scenario  *Scenario
	outputs   map[string]string
	consumers []deadletter.Consumer
	bus       *bus.Bus
	mode      string // of delivery
	queues    *deadletter.Queues
	reader    *verdicts.Reader

	mu        sync.Mutex
	delivered map[string][]bus.Delivery // step name
	awaited   []verdicts.Awaited
	lines     []verdicts.Line
	left      []message // in the queues at the end
	outages   map[string]outage
	result    Result
}

// Run plays the scenario. An error means that it could not be played; what came
// out otherwise than wanted is in the result.
func (r Runner) Run(ctx context.Context, s *Scenario) (*Result, error) {
	cfg, err := r.Stack.Config(ctx)
	if err != nil {
		return nil, err
	}
	p := &play{Runner: r, scenario: s, bus: bus.New(cfg), mode: r.Stack.Mode, delivered: map[string][]bus.Delivery{}, outages: map[string]outage{}}
	if p.outputs, err = account.Outputs(ctx, cfg, stack.Name); err != nil {
		return nil, err
	}
	p.consumers = account.Consumers(p.outputs)
	p.queues = queuesOf(cfg, p.outputs)
	for _, c := range p.consumers {
		p.result.Consumers = append(p.result.Consumers, c.Name)
	}
	slices.Sort(p.result.Consumers)
	if p.reader, err = account.FollowLocal(ctx, cfg, p.consumers, time.Now().Add(-time.Second)); err != nil {
		return nil, err
	}
	for i := 0; i < len(s.Steps); i++ {
		step := &s.Steps[i]
		switch {
		case step.Send != "":
			first := i
			for i+1 < len(s.Steps) && s.Steps[i+1].Send != "" {
				i++
			}
			err = p.send(ctx, s.Steps[first:i+1])
		case step.Pause > 0:
			err = pause(ctx, time.Duration(step.Pause)*time.Second)
		case step.Wait:
			err = p.settle(ctx)
		case step.Sandbox != "":
			err = p.sandbox(ctx, step)
		case step.Mode != "":
			if err = p.Switch(ctx, step.Mode); err == nil {
				p.bus, p.mode = bus.New(cfg), step.Mode // the rules have other targets now
			}
		default:
			err = p.command(ctx, step.Run)
		}
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	if err := p.settle(ctx); err != nil {
		return nil, err
	}
	if err := p.collect(ctx); err != nil {
		return nil, err
	}
	return &p.result, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// send delivers events, some at once, and remembers whose verdicts to await.
func (p *play) send(ctx context.Context, steps []Step) error {
	var group sync.WaitGroup
	free := make(chan struct{}, inParallel)
	failures := make([]error, len(steps))
	for i := range steps {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			failures[i] = p.deliver(ctx, &steps[i])
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func (p *play) deliver(ctx context.Context, step *Step) error {
	since := time.Now()
	name := p.bus.Default(ctx, step.event, p.outputs["EventBus"], p.outputs["ChangeBus"])
	deliveries, err := p.bus.Deliver(ctx, name, step.event)
	if err != nil {
		return fmt.Errorf("%s: %w", step.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivered[step.Name] = deliveries
	p.result.Deliveries += len(deliveries)
	for _, d := range deliveries {
		if buffered := strings.HasPrefix(d.Target, "arn:aws:sqs:"); buffered != (p.mode == "buffered") {
			p.wrong("%s went to %s, and the delivery mode is %s", step.Name, d.Target, p.mode)
		}
		if d.Outcome == bus.Delivered {
			p.awaited = append(p.awaited, verdicts.Awaited{
				EventID: step.event.ID, Consumer: account.ByTarget(p.consumers, d.Target), Since: since,
			})
		}
	}
	return nil
}

// settle waits until nothing is on its way any more.
func (p *play) settle(ctx context.Context) error {
	since := time.Now()
	lines, pending, err := p.reader.Await(ctx, p.awaited, settleLimit, func(ctx context.Context) (func(verdicts.Awaited) bool, error) {
		messages, err := p.messages(ctx)
		return func(a verdicts.Awaited) bool {
			return slices.ContainsFunc(messages, func(m message) bool { return m.eventID == a.EventID && m.Consumer == a.Consumer })
		}, err
	})
	p.lines = append(p.lines, lines...)
	p.awaited = nil
	if err != nil {
		return err
	}
	for _, a := range pending {
		p.wrong("%s: no final verdict of %s after %s", p.nameOf(a.EventID), a.Consumer, time.Since(since).Round(time.Second))
	}
	return nil
}

// command runs sfrelay itself. What it takes out of the queues has to come to a
// verdict again.
func (p *play) command(ctx context.Context, args []string) error {
	since := time.Now()
	before, err := p.messages(ctx)
	if err != nil {
		return err
	}
	call := slices.Concat(p.Command, args, p.Args)
	cmd := exec.CommandContext(ctx, call[0], call[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sfrelay %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	after, err := p.messages(ctx)
	if err != nil {
		return err
	}
	stays := map[string]bool{}
	for _, m := range after {
		stays[m.id] = true
	}
	for _, m := range before {
		if !stays[m.id] {
			if p.filled(m.eventID) != m.stored {
				p.wrong("%s: its message of %s was in the failure bucket: %t", p.nameOf(m.eventID), m.Consumer, m.stored)
			}
			p.awaited = append(p.awaited, verdicts.Awaited{EventID: m.eventID, Consumer: m.Consumer, Since: since})
		}
	}
	return nil
}

// collect reads the final state and compares all of it.
func (p *play) collect(ctx context.Context) (err error) {
	if p.left, err = p.messages(ctx); err != nil {
		return err
	}
	heading := ""
	for i := range p.scenario.Steps {
		step := &p.scenario.Steps[i]
		if step.Say != "" {
			heading = step.Say
		}
		if step.Send == "" {
			continue
		}
		p.result.Rows = append(p.result.Rows, p.row(step, heading))
		heading = ""
	}
	for _, sink := range []struct {
		name string
		want any
		got  *any
	}{{"billing", p.scenario.billing, &p.result.Billing}, {"erp", p.scenario.erp, &p.result.ERP}, {"receiver", p.scenario.receiver, &p.result.Receiver}} {
		b, err := p.ask(ctx, http.MethodGet, p.sandboxURL(sink.name)+"/_sandbox/state", nil)
		if err != nil {
			return err
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(sink.got); err != nil {
			return fmt.Errorf("the state of %s: %w", sink.name, err)
		}
		for _, difference := range differences(sink.name, sink.want, *sink.got) {
			p.wrong("%s", difference)
		}
	}
	p.compareQueues()
	return nil
}

func (p *play) compareQueues() {
	p.result.Queues = map[string][]queued{}
	for _, m := range p.left {
		m.Event = p.nameOf(m.eventID)
		p.result.Queues[m.queue] = append(p.result.Queues[m.queue], m.queued)
	}
	for _, name := range []string{"delivery", "failure"} {
		left := p.result.Queues[name]
		slices.SortFunc(left, func(a, b queued) int {
			return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Class, b.Class))
		})
		left = slices.Clone(left)
		for _, w := range p.scenario.queues[name] {
			i := slices.IndexFunc(left, w.fits)
			if i < 0 {
				p.wrong("%s queue: missing %+v", name, w)
				continue
			}
			left = slices.Delete(left, i, i+1)
		}
		for _, m := range left {
			p.wrong("%s queue: not expected %+v", name, m)
		}
	}
}

func (w queued) fits(got queued) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return same(w.Event, got.Event) && same(w.Consumer, got.Consumer) && same(string(w.Class), string(got.Class)) && same(w.Form, got.Form)
}

// row is one event in the table, compared with what was wanted.
func (p *play) row(step *Step, heading string) Row {
	row := Row{Number: len(p.result.Rows) + 1, Say: heading, Name: step.Name, What: step.What, Verdicts: map[string]Cell{}}
	wanted := p.scenario.verdicts[step.Name]
	for _, consumer := range p.result.Consumers {
		got, attempts := p.verdictsOf(step, consumer)
		p.result.Attempts += attempts
		want, expected := wanted[consumer]
		if len(got) == 0 && !expected {
			continue
		}
		cell := Cell{Text: summary(got), Wrong: !expected || !want.met(got), Open: want.open()}
		if cell.Wrong {
			p.wrong("%s at %s: want %q, got %q", step.Name, consumer, want.text, cell.Text)
		}
		row.Verdicts[consumer] = cell
	}
	for consumer := range wanted {
		if !slices.Contains(p.result.Consumers, consumer) {
			p.wrong("%s: no consumer is called %q", step.Name, consumer)
		}
	}
	for _, d := range p.delivered[step.Name] {
		if d.Outcome != bus.Delivered {
			p.wrong("%s: %s: %s %s", step.Name, d.Outcome, d.Code, d.Target)
		}
	}
	return row
}

// verdictsOf are the final verdicts of an event at a consumer. A verdict counts once
// for each subject: what follows it are retries of the invocation because of
// another subject. After parked the next one counts again: that is the redrive.
func (p *play) verdictsOf(step *Step, consumer string) (got []seen, attempts int) {
	parked := map[string]bool{}
	done := map[string]bool{}
	failedOnce := false
	for _, l := range p.lines {
		if l.EventID != step.event.ID || l.Consumer != consumer {
			continue
		}
		attempts++
		switch {
		case !l.Settled():
			failedOnce = true
		case !done[l.Subject]:
			got = append(got, seen{l.Verdict, l.Class})
			parked[l.Subject] = l.Verdict == verdict.Parked
			done[l.Subject] = l.Verdict != verdict.Parked
		case !failedOnce && !parked[l.Subject]:
			p.wrong("%s at %s: the handler ran again after %s, although nothing failed; the emulator delivered twice",
				step.Name, consumer, l.Verdict)
		}
	}
	if attempts == 0 { // an event that cannot be read has no id in its line
		for _, m := range p.left {
			if m.eventID == step.event.ID && m.Consumer == consumer && m.Form == string(transport.ParkedMessage) {
				got, attempts = append(got, seen{verdict.Parked, m.Class}), attempts+1
			}
		}
	}
	return got, attempts
}

// summary writes e.g. "3 applied", "parked (needs-fetch), applied".
func summary(got []seen) string {
	var texts []string
	for i := 0; i < len(got); {
		n := 1
		for i+n < len(got) && got[i+n] == got[i] {
			n++
		}
		text := got[i].String()
		if n > 1 {
			text = fmt.Sprintf("%d %s", n, text)
		}
		texts = append(texts, text)
		i += n
	}
	return strings.Join(texts, ", ")
}

func (p *play) nameOf(eventID string) string {
	for i := range p.scenario.Steps {
		if s := &p.scenario.Steps[i]; s.Send != "" && s.event.ID == eventID {
			return s.Name
		}
	}
	return eventID
}

// filled reports whether an event of the scenario is one that was filled.
func (p *play) filled(eventID string) bool {
	return slices.ContainsFunc(p.scenario.Steps, func(s Step) bool { return s.Fill > 0 && s.event.ID == eventID })
}

func (p *play) wrong(format string, args ...any) {
	p.result.Mistakes = append(p.result.Mistakes, fmt.Sprintf(format, args...))
}
