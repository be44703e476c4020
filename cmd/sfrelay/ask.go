package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

// consent is the flag of a command that changes an account. Who has account.Flags and
// changes something has it too, and asks.
type consent struct {
	Yes bool `help:"With --aws: go on without the question. Needed where standard input is no terminal."`
}

var (
	// errNobody: there is a question, and nobody who could answer it.
	errNobody = usageError{errors.New("this changes an AWS account, and standard input is no terminal where somebody could agree to it; to go on without a question add --yes")}
	// errNo is the answer no.
	errNo = errors.New("nothing was sent")
)

// ask stands before everything that a command changes. Of a real account it says where that
// is, what its sinks are, and in the one sentence of plan what will be done, and goes on only
// if somebody agrees. An empty sentence says that there is nothing to do, and needs no
// answer. All of it goes to standard error, where it is seen whatever reads the output. On
// the local stack it only says where that is.
func (s *screen) ask(ctx context.Context, at *account.Account, c consent, asJSON bool, plan func() (string, error)) error {
	if !at.Asks {
		s.where(at.Where, asJSON)
		return nil
	}
	if !c.Yes && !s.In.Live() {
		return errNobody
	}
	s.where(at.Where, true)
	sentence, err := plan()
	if err != nil || sentence == "" {
		return err
	}
	var rows [][]terminal.Cell
	for _, sink := range at.Sinks {
		said := sink.At
		if sink.Key != "" {
			said += ", with the key in the secret " + sink.Key
		}
		if sink.Name == "Stripe" {
			said += " (the key decides between live and test)"
		}
		rows = append(rows, terminal.Row(sink.Name, said))
	}
	s.Err.Table(0, rows...)
	s.Err.Table(0, terminal.Row(sentence))
	if !c.Yes {
		if err := s.confirm(ctx); err != nil {
			return err
		}
	}
	at.Agree()
	return nil
}

// confirm is nil if somebody types y or yes.
func (s *screen) confirm(ctx context.Context) error {
	s.Err.Printf("Continue? [y/N] ")
	line, err := s.In.Line(ctx)
	if err != nil { // the cursor still stands behind the question
		s.Err.Printf("\n")
		return errNo
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNo
}

// count says a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
