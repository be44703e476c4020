package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

const (
	// fetchesTake bounds what goes by before the first event, however many are fetched: the
	// longest effect of a sink has to fit into the rest of the invocation.
	fetchesTake = 5 * time.Second
	// mostFetched is how many bytes of the failure bucket one invocation holds: ten messages
	// about the largest objects would not fit into the smallest function.
	mostFetched = 2 * transport.MaxStored
)

// errNoRoom is of a message that comes again at once, beside fewer others.
var errNoRoom = errors.New("the messages of the batch hold more than one invocation has room for")

// opened finds the events in what came, those in the failure bucket too.
func (in *invocation) opened(raw []byte) transport.Batch {
	ctx, cancel := context.WithTimeout(in.ctx, fetchesTake)
	defer cancel()
	held := 0 // bytes
	batch, err := transport.OpenWith(raw, func(s transport.Stored) ([]byte, error) {
		switch {
		case s.Consumer != in.def.name:
			return nil, errors.New("another consumer has put it into the failure bucket")
		case in.env.Fetch == nil:
			return nil, errors.New("this function has no failure bucket")
		case held+s.Length > mostFetched:
			return nil, errNoRoom
		}
		body, err := in.env.Fetch(ctx, s)
		held += len(body)
		return body, err
	})
	if err != nil {
		return transport.Batch{Messages: []transport.Message{{Form: transport.Event, Event: raw, Err: err}}}
	}
	return batch
}

// unfetched concludes a message whose event could not be had now: it comes again.
func (in *invocation) unfetched(w *work) {
	w.asked = !errors.Is(w.msg.Err, errNoRoom) // it waits before it asks once more
	w.conclude(verdict.Failed, verdict.Unfinished, fmt.Errorf("the event is not here: %w", w.msg.Err))
}
