package consumer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// outcome tells the guard what a connector's answer means. What it does not know is in
// doubt.
func outcome(receipt sink.Receipt, err error) guard.Outcome {
	if !sink.ValidLink(receipt.Link) { // it is foreign text, kept and shown to people
		receipt.Link = ""
		if err == nil {
			err = &sink.Error{Class: verdict.Permanent("contract-broken"), Applied: sink.Yes,
				Reason: "the sink took the change, but answered an id that is not printable or longer than 255 bytes; it is not kept"}
		}
	}
	if err == nil {
		return guard.Outcome{Effect: guard.Took, Link: receipt.Link}
	}
	if e, ok := errors.AsType[*sink.FencedError](err); ok {
		return guard.Outcome{Effect: guard.Fenced, Class: verdict.EpochConflict, Err: err, Epoch: e.Epoch}
	}
	if e, ok := errors.AsType[*sink.RefusedVersionError](err); ok {
		newer, parseErr := order.Parse(e.Version)
		if parseErr != nil {
			return guard.Outcome{Effect: guard.Unsure, Class: verdict.Unknown, Err: parseErr}
		}
		return guard.Outcome{Effect: guard.Superseded, Newer: newer}
	}
	e, ok := errors.AsType[*sink.Error](err)
	if !ok {
		return guard.Outcome{Effect: guard.Unsure, Class: verdict.Unknown, Err: plain(err)}
	}
	out := guard.Outcome{Class: e.Class, Err: err, RetryAfter: e.RetryAfter}
	switch e.Applied {
	case sink.Yes:
		out.Effect, out.Link, out.Park = guard.Took, receipt.Link, e.Class
	case sink.No:
		out.Effect = guard.NotApplied
		out.Permanent = e.Class.IsPermanent() || needsPeople[e.Class]
		out.Uncounted = e.Class == verdict.DependencyMissing || e.Class == verdict.Unfinished
	default:
		out.Effect = guard.Unsure
	}
	return out
}

// plain says of an error that nobody classified what is known of it: not whether the sink
// was asked, nor whether it answered.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the sink did not answer in time")
	}
	return fmt.Errorf("the consumer's code does not say whether the sink took it (sink.Refuse, sink.NotYet or sink.InDoubt would): %w", err)
}

// needsPeople are the classes that no retry mends although they are not called
// permanent.
var needsPeople = map[verdict.Class]bool{
	verdict.InDoubt: true, verdict.DuplicateRemote: true, verdict.RecordUnreadable: true,
	verdict.NeedsSnapshot: true, verdict.NeedsFetch: true,
}

// hashes tell two contents of one fact apart, and which part is different. What decides
// whether it is a fact, and no event but a change event has, is no part of it. Contents
// marshal the same way in every process: structs of text and numbers.
func (b *binding) hashes(content reflect.Value) (whole [8]byte, parts string) {
	of := b.fresh()
	of.Set(content)
	if len(b.eventPaths) > 0 {
		for i := range b.fields {
			if b.fields[i].event == "" {
				b.fields[i].in(of).SetZero()
			}
		}
	}
	text, err := json.Marshal(of.Interface())
	if err != nil {
		return whole, "" // not known
	}
	for _, f := range b.parts() {
		text, _ := json.Marshal(f.in(of).Interface()) // as above
		sum := sha256.Sum256(text)
		parts += string(sum[:guard.PartBytes])
	}
	sum := sha256.Sum256(text)
	return [8]byte(sum[:8]), parts
}

// parts are the fields that platform events have, too.
func (b *binding) parts() (parts []*boundField) {
	for i := range b.fields {
		if b.fields[i].event != "" {
			parts = append(parts, &b.fields[i])
		}
	}
	return parts
}
