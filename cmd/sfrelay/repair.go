package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/order"
	"sfrelay/shared/sink"
)

// repair changes the item of one consumer, after somebody agreed.
func (c *recordCommand) repair(ctx context.Context, s *screen, at *account.Account, store guard.Store, change string) error {
	var h holding
	var write guard.Write
	var says string
	prepare := func() (string, error) {
		held, err := c.holdings(ctx, store, at.Orgs)
		if err == nil {
			h, err = c.only(held)
		}
		if err == nil {
			write, says, err = c.plan(change, h, time.Now())
		}
		return fmt.Sprintf("The item %s will be changed: %s.", h.Key, says), err
	}
	err := s.ask(ctx, at, c.consent, c.JSON, prepare)
	if err == nil && !at.Asks {
		_, err = prepare()
	}
	if err != nil {
		return err
	}
	client := dynamo.NewClient(at.Config)
	forget := func(ctx context.Context, key string, may guard.Cond) (bool, error) {
		return dynamo.Forget(ctx, client, at.Outputs["GuardTable"], key, may)
	}
	log, err := openAudit(ctx, at)
	if err != nil {
		return err
	}
	line := audit.Line{Action: "record " + change, Reason: c.Reason, Item: h.Key, Consumer: h.Name, Org: h.Org, Subjects: []string{h.Subject}, Before: stateOf(h.Item), After: says}
	if err := log.Write(ctx, line); err != nil {
		return err
	}
	var ok bool
	if change == "forget" {
		ok, err = forget(ctx, h.Key, guard.MayForget(time.Now()))
	} else {
		_, ok, err = store.Write(ctx, write)
	}
	if err == nil && !ok {
		err = fmt.Errorf("somebody works on it, or it has changed since it was read; see: %s", c.Command("record "+shellWord(c.Subject)+" --consumer "+h.Name))
	}
	if err != nil {
		line.Action, line.After = line.Action+", refused", err.Error()
		return errors.Join(err, log.Write(ctx, line))
	}
	s.Out.Printf("Done: %s.\nIts messages: %s\n", says, c.Command("dlq list --all --consumer "+h.Name+" --record "+shellWord(c.Subject)))
	return nil
}

// only is the one item that is meant.
func (c *recordCommand) only(held []holding) (holding, error) {
	there := slices.DeleteFunc(slices.Clone(held), func(h holding) bool { return !h.Item.Exists && h.Err == nil })
	switch len(there) {
	case 0:
		return holding{}, guard.ErrNoItem
	case 1:
		return there[0], nil
	}
	var names []string
	for _, h := range there {
		names = append(names, h.Name+" (org "+h.Org+")")
	}
	return holding{}, usageError{fmt.Errorf("%s know the record; name one with --consumer, and --org where they are of one consumer", strings.Join(names, ", "))}
}

// plan is the write, and what it does.
func (c *recordCommand) plan(change string, h holding, now time.Time) (w guard.Write, says string, err error) {
	if h.Err != nil && change != "forget" {
		return w, "", fmt.Errorf("the item cannot be read (%w); only --forget helps", h.Err)
	}
	switch change {
	case "resolve":
		w, err = guard.Resolve(h.Key, h.Item, h.Policy, c.Resolve == "done", now)
		says = "the request in doubt took no effect; the next delivery tries it again"
		if c.Resolve == "done" {
			says = "the action is done, and will never be done again"
		}
	case "link":
		link := c.Link
		if link == "none" {
			link = ""
		}
		if !sink.ValidLink(link) {
			return w, "", usageError{errors.New("--link: not an id that can be kept: printable, at most 255 bytes")}
		}
		w, err = guard.SetLink(h.Key, h.Item, link, now)
		says = fmt.Sprintf("its link is %s instead of %s", dash(link), dash(h.Item.Link))
	case "version":
		var to time.Time
		if to, err = moment("--version", c.Version, now); err != nil {
			return w, "", err
		}
		var lowered []string
		w, lowered, err = guard.Lower(h.Key, h.Item, order.New(order.Parts{TimeMS: to.UnixMilli()}, [4]byte{}), now)
		says = fmt.Sprintf("%s go back to %s", count(len(lowered), "version", "versions"), to.UTC().Format(time.RFC3339))
	default:
		says = "it is deleted, so the consumer has never seen the record"
		if h.Policy == guard.EachOnce && h.Item.Status == guard.Done {
			says += ", AND THE ACTION THAT WAS DONE MAY BE DONE AGAIN"
		}
	}
	return w, says, err
}

// stateOf is an item for the audit log: versions and ids, no values.
func stateOf(it guard.Item) map[string]any {
	state := map[string]any{"state": it.Status.String(), "epoch": it.Epoch, "link": it.Link, "class": it.Class, "inDoubt": it.InDoubt, "fullState": it.Full.String(), "deleted": it.Tombstone.String()}
	fields := map[string]string{}
	for code, v := range it.Fields {
		fields[code] = v.String()
	}
	state["fields"] = fields
	return state
}
