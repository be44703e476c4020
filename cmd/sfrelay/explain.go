package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sfrelay/cmd/sfrelay/internal/explain"
	"sfrelay/shared/salesforce"
)

type explainCommand struct {
	File string `arg:"" help:"File with an event: raw, a batch of SQS records, or a message of one of the queues; - reads standard input."`
	JSON bool   `name:"json" help:"One JSON object for each event."`
	Orgs string `help:"Allowed org ids, comma separated, 15 or 18 characters; others are refused. Default: any."`
}

// Help is shown by explain --help.
func (explainCommand) Help() string {
	return "Says what an event is: where it comes from, what it changes, at which version, and which consumers take it. " +
		"It needs no network and no configuration. The exit code is 1 when consumers would refuse the event."
}

// Run implements kong's interface of a command.
func (c *explainCommand) Run(s *screen) error {
	raw, err := c.read()
	if err != nil {
		if c.JSON {
			_ = s.Out.JSON(&explain.Refusal{Class: "transient", Name: "unreadable", Message: err.Error()})
		}
		return err
	}
	var orgs salesforce.OrgList
	if c.Orgs != "" {
		if orgs, err = salesforce.ParseOrgList(c.Orgs); err != nil {
			return usageError{fmt.Errorf("--orgs: %w", err)}
		}
	}
	return explainAll(s, raw, orgs, c.JSON)
}

// explainAll writes one explanation for each event; the error are all refusals.
func explainAll(s *screen, raw []byte, orgs salesforce.OrgList, asJSON bool) error {
	var refused []error
	for i, e := range explain.Explain(raw, orgs) {
		r, isRefusal := e.(*explain.Refusal)
		if isRefusal {
			refused = append(refused, r)
		}
		switch {
		case asJSON:
			if err := s.Out.JSON(e); err != nil {
				return err
			}
		case !isRefusal:
			if i > 0 {
				s.Out.Printf("\n")
			}
			e.(*explain.Explanation).Print(s.Out)
		}
	}
	return errors.Join(refused...)
}

func (c *explainCommand) read() ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(c.File)
}
