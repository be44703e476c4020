// Package scenario plays a scenario on a stack and compares what came of it with
// what was written down by hand beforehand. docs/reference/scenario.md describes its files.
package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Scenario is what is done, and what shall have come of it.
type Scenario struct {
	Title string `json:"title"`
	Orgs  string `json:"orgs"` // SALESFORCE_ORGS of the stack
	Steps []Step `json:"steps"`

	verdicts map[string]map[string]expectation // step name -> consumer
	billing  any                               // what the billing sandbox holds at the end
	erp      any                               // what the ERP sandbox holds at the end
	receiver any                               // what the sandbox of the webhook holds at the end
	queues   map[string][]queued               // "failure", "delivery"
}

// Step is one thing to do. Exactly one of Send, Pause, Wait, Sandbox, Mode and Run is set.
type Step struct {
	Say string `json:"say,omitempty"` // heading above what follows

	// Send delivers the one event of a file. Consecutive sends go out at once, in no
	// particular order.
	Send string `json:"send,omitempty"`
	Name string `json:"name,omitempty"` // default: the file's name without its ending
	What string `json:"what,omitempty"` // for people
	// Fill lets the event grow to so many bytes, at most 1 MiB. What is parked of it and taken
	// by a redrive must have been in the failure bucket.
	Fill int `json:"fill,omitempty"`

	// Pause lets seconds pass, at most 60: for a fault that lasts.
	Pause int `json:"pause,omitempty"`

	// Wait waits until every change sent so far is settled.
	Wait bool `json:"wait,omitempty"`

	// Sandbox is billing, erp, receiver or org. Fault is added to its faults; without one they are removed.
	Sandbox string          `json:"sandbox,omitempty"`
	Fault   json.RawMessage `json:"fault,omitempty"`

	// Mode deploys the stack with another delivery mode, direct or buffered.
	Mode string `json:"mode,omitempty"`

	// Run is a command of sfrelay itself, e.g. ["dlq", "redrive"].
	Run []string `json:"run,omitempty"`

	event bus.Event
}

// queued is a message in a queue; an empty field is not compared.
type queued struct {
	Event    string        `json:"event"`    // name of the step
	Consumer string        `json:"consumer"` //
	Class    verdict.Class `json:"class"`    // class, errorType or ERROR_CODE
	Form     string        `json:"form"`     // parked, on-failure, rule-dlq
}

// The scenario's files in its directory.
const (
	stepsFile    = "scenario.json"
	verdictsFile = "verdicts.json"
	billingFile  = "billing.json"
	erpFile      = "erp.json"
	receiverFile = "receiver.json"
	queuesFile   = "queues.json"
)

// Load reads the scenario of a directory and names every mistake in it.
func Load(dir string) (*Scenario, error) {
	var s Scenario
	if err := read(dir, stepsFile, &s); err != nil {
		return nil, err
	}
	var verdicts map[string]map[string]string
	errs := []error{
		read(dir, verdictsFile, &verdicts),
		read(dir, billingFile, &s.billing),
		read(dir, erpFile, &s.erp),
		read(dir, receiverFile, &s.receiver),
		read(dir, queuesFile, &s.queues),
	}
	names := map[string]bool{}
	files := map[string]bool{}
	for i := range s.Steps {
		step := &s.Steps[i]
		if err := step.load(dir, files); err != nil {
			errs = append(errs, fmt.Errorf("%s: step %d: %w", stepsFile, i+1, err))
			continue
		}
		if step.Send == "" {
			continue
		}
		if names[step.Name] {
			errs = append(errs, fmt.Errorf("%s: step %d: the name %q is taken; give it a name of its own", stepsFile, i+1, step.Name))
		}
		names[step.Name] = true
		if _, ok := verdicts[step.Name]; !ok {
			errs = append(errs, fmt.Errorf("%s: %q has no entry", verdictsFile, step.Name))
		}
	}
	s.verdicts = map[string]map[string]expectation{}
	for name, wanted := range verdicts {
		if !names[name] {
			errs = append(errs, fmt.Errorf("%s: no step is called %q", verdictsFile, name))
		}
		s.verdicts[name] = map[string]expectation{}
		for consumer, text := range wanted {
			e, err := parseExpectation(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s, %s: %w", verdictsFile, name, consumer, err))
			}
			s.verdicts[name][consumer] = e
		}
	}
	errs = append(errs, s.checkQueues(names))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("scenario in %s:\n%w", dir, err)
	}
	return &s, nil
}

func (s *Scenario) checkQueues(names map[string]bool) error {
	var errs []error
	for queue, messages := range s.queues {
		if queue != "failure" && queue != "delivery" {
			errs = append(errs, fmt.Errorf("%s: no queue is called %q; use failure and delivery", queuesFile, queue))
		}
		for _, m := range messages {
			if m.Event != "" && !names[m.Event] {
				errs = append(errs, fmt.Errorf("%s: no step is called %q", queuesFile, m.Event))
			}
		}
	}
	return errors.Join(errs...)
}

// again makes EventBridge ids for events that are sent more than once: the same
// ones in every run.
var again = uuid.MustParse("f3f3b2a0-6a54-4f0e-9a55-5b0f6f3d1c77")

func (s *Step) load(dir string, files map[string]bool) error {
	kinds := 0
	for _, set := range []bool{s.Send != "", s.Pause != 0, s.Wait, s.Sandbox != "", s.Mode != "", len(s.Run) > 0} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("say exactly one of send, pause, wait, sandbox, mode, run")
	case s.Mode != "" && s.Mode != "direct" && s.Mode != "buffered":
		return fmt.Errorf("no delivery mode is called %q; use direct or buffered", s.Mode)
	case s.Pause < 0 || s.Pause > 60:
		return fmt.Errorf("a pause of %d seconds; use 1 to 60", s.Pause)
	case s.Fill < 0 || s.Fill > transport.MaxBody || s.Fill > 0 && s.Send == "":
		return fmt.Errorf("a fill of %d bytes; use up to %d, and beside a send", s.Fill, transport.MaxBody)
	case s.Sandbox != "" && s.Sandbox != "billing" && s.Sandbox != "erp" && s.Sandbox != "receiver" && s.Sandbox != "org":
		return fmt.Errorf("no sandbox is called %q; use billing, erp, receiver or org", s.Sandbox)
	case s.Send == "":
		return nil
	}
	f, err := os.Open(filepath.Join(dir, s.Send))
	if err != nil {
		return err
	}
	defer f.Close()
	events, err := bus.Read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Send, err)
	}
	if len(events) != 1 {
		return fmt.Errorf("%s holds %d events; a step sends one", s.Send, len(events))
	}
	s.event = events[0]
	if s.Name == "" {
		s.Name = strings.TrimSuffix(filepath.Base(s.Send), filepath.Ext(s.Send))
	}
	if files[s.Send] {
		if s.event, err = s.event.WithID(uuid.NewSHA1(again, []byte(s.Name)).String()); err != nil {
			return fmt.Errorf("%s: %w", s.Send, err)
		}
	}
	files[s.Send] = true
	if s.Fill != 0 {
		if s.event, err = s.event.Filled(s.Fill); err != nil {
			return fmt.Errorf("%s: %w", s.Send, err)
		}
	}
	return nil
}

// read decodes one file strictly: a misspelled member is a mistake.
func read(dir, name string, v any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", name)
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
