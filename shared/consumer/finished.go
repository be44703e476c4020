package consumer

import (
	"slices"
	"sync"

	"sfrelay/shared/salesforce"
)

// finished is what this process has done of messages that come again. A message about
// many records of which one fails comes again for that one: asking the guard about all the
// others each time would cost a request a record. Another process does ask.
type finished struct {
	mu       sync.Mutex
	messages map[string]map[recordOf]bool // by message id
	order    []string                     // ids, oldest first
	records  int
}

type recordOf struct{ event, record string }

// mostFinished bounds the records that are remembered: two of the greatest events.
const mostFinished = 20_000

// without is the changes of a message's event that are not done with.
func (f *finished) without(message string, event *salesforce.Event, changes []*salesforce.Change) []*salesforce.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := f.messages[message]
	if len(done) == 0 {
		return changes
	}
	return slices.DeleteFunc(changes, func(ch *salesforce.Change) bool { return done[recordOf{event.ID, ch.RecordID}] })
}

// note takes down records of a message that comes again.
func (f *finished) note(message string, records []recordOf) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.messages[message]
	if m == nil {
		if f.messages == nil {
			f.messages = make(map[string]map[recordOf]bool)
		}
		m = make(map[recordOf]bool, len(records))
		f.messages[message], f.order = m, append(f.order, message)
	}
	f.records -= len(m)
	for _, r := range records {
		m[r] = true
	}
	for f.records += len(m); f.records > mostFinished; f.order = f.order[1:] {
		f.records -= len(f.messages[f.order[0]])
		delete(f.messages, f.order[0])
	}
}
