package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/doctor"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

type doctorCommand struct {
	relaySides
	consent
	Fix  bool `help:"Cure what one call can cure, then look again. It asks first."`
	JSON bool `name:"json" help:"Print one line of JSON."`
}

// Help is shown by doctor --help.
func (doctorCommand) Help() string {
	return "It looks at the org, at EventBridge and at the stack, and changes nothing without --fix. It ends with code 1 if it finds anything. What its users may not see it names, and goes on."
}

// errFindings is the exit code of a set-up with findings; they are printed.
var errFindings = errors.New("the set-up has findings; correct them from the first one on, then run sfrelay doctor again")

// Run implements kong's interface of a command.
func (c *doctorCommand) Run(ctx context.Context, out *screen) error {
	j, err := c.open(ctx)
	if err != nil {
		return err
	}
	look := func() (*doctor.View, []doctor.Finding, error) {
		v, err := doctor.Look(ctx, j.org, j.events, j.stack(), time.Now())
		if err != nil {
			return nil, nil, err
		}
		return v, v.Findings(j.place), nil
	}
	v, found, err := look()
	if err != nil {
		return err
	}
	if c.Fix {
		mended, err := c.mend(ctx, out, j, found)
		if err != nil {
			return err
		}
		if mended > 0 {
			if v, found, err = look(); err != nil {
				return err
			}
		}
	} else {
		out.where(j.at.Where, c.JSON)
	}
	if c.JSON {
		err = out.Out.JSON(struct {
			Org      string           `json:"org"`
			Findings []doctor.Finding `json:"findings"`
			Unseen   []string         `json:"unseen"`
		}{v.OrgID, append([]doctor.Finding{}, found...), append([]string{}, v.Unseen...)})
	} else {
		showFindings(out, v, found)
	}
	if err == nil && len(found) > 0 {
		return errFindings
	}
	return err
}

// mend cures what it can after a question, and says each.
func (c *doctorCommand) mend(ctx context.Context, out *screen, j *joined, found []doctor.Finding) (mended int, err error) {
	can := slices.DeleteFunc(slices.Clone(found), func(f doctor.Finding) bool { return f.Fix == "" })
	err = out.ask(ctx, j.at, c.consent, c.JSON, func() (string, error) {
		if len(can) == 0 {
			return "", nil
		}
		words := make([]string, len(can))
		for i, f := range can {
			words[i] = strings.TrimSpace(f.Name+" "+f.Relay) + ": " + f.Fix
		}
		return "This will be done (" + strings.Join(words, "; ") + ").", nil
	})
	if err != nil {
		return 0, err
	}
	for _, f := range can {
		if err := f.Mend(ctx); err != nil {
			return mended, fmt.Errorf("%s, %s: %w; what stands before it is done", f.Name, f.Fix, err)
		}
		mended++
		if !c.JSON {
			out.Out.Table(0, terminal.Row("done", strings.TrimSpace(f.Name+" "+f.Relay)+": "+f.Fix))
		}
	}
	return mended, nil
}

func showFindings(out *screen, v *doctor.View, found []doctor.Finding) {
	out.Out.Table(0, terminal.Row("org", v.Says()))
	fixes := 0
	for _, f := range found {
		out.Out.Table(0, terminal.Row(f.Name, strings.TrimSpace(f.Relay+" "+f.Evidence)))
		out.Out.Table(2, terminal.Row(f.Cure))
		if f.Fix != "" {
			fixes++
		}
	}
	for _, u := range v.Unseen {
		out.Out.Table(0, terminal.Row("not seen", u))
	}
	out.Out.Printf("%s, %d not seen\n", count(len(found), "finding", "findings"), len(v.Unseen))
	if fixes > 0 {
		out.Out.Printf("sfrelay doctor --fix cures %d of them.\n", fixes)
	}
}
