package transport

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/verdict"
)

// laneVersion is the form of a Waiting that is written; every earlier one is read.
const laneVersion = 1

// Waiting is the message by which a consumer puts changes that have to come again into its
// own buffer: what failed and will be tried again, or what was not begun. It is no
// redrive, and no reason for a person to look.
type Waiting struct {
	Event    []byte   // the event as it came
	Records  []string // only these records of it; nil: all
	Consumer string
	Class    verdict.Class // of the last failure
	FirstAt  time.Time     // UTC, in ms: of the first failure; zero: there was none yet
}

// EncodeAround is the message's body, around the event as Quote gives it. The keys never
// change: messages outlive deployments.
func (w Waiting) EncodeAround(quoted []byte) []byte {
	b := make([]byte, 0, len(quoted)+24*len(w.Records)+192)
	b = strconv.AppendInt(append(b, `{"lane":`...), laneVersion, 10)
	b = append(append(b, `,"event":`...), quoted...)
	b = appendTexts(append(b, `,"records":`...), w.Records)
	b = appendText(append(b, `,"consumer":`...), w.Consumer)
	b = appendText(append(b, `,"class":`...), string(w.Class))
	b = appendTime(append(b, `,"firstAt":`...), w.FirstAt)
	return append(b, '}')
}

// decodeWaiting reads what EncodeAround wrote.
func decodeWaiting(raw []byte) (w Waiting, err error) {
	var event jsontext.Value
	version := 0
	err = jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "lane":
			version, err = jsonobject.Int(v)
		case "event":
			event = v
		case "records":
			w.Records, err = readTexts(v)
		case "consumer":
			w.Consumer, err = jsonobject.Text(v)
		case "class":
			var class string
			class, err = jsonobject.Text(v)
			w.Class = verdict.Class(class)
		case "firstAt":
			w.FirstAt, err = readTime(v)
		}
		return err
	})
	if err == nil && (version < 1 || version > laneVersion) {
		err = &jsonobject.Error{Where: "/lane", What: "want a version that this release knows"}
	}
	if err == nil {
		w.Event, err = unquoteEvent(event)
	}
	if err != nil {
		return Waiting{}, &Error{"invalid-lane", place(err), "this is no message of a consumer's own buffer, or one of a later release"}
	}
	return w, nil
}

func (o *opener) waiting(raw []byte, depth int) []Message {
	w, err := decodeWaiting(raw)
	if err != nil {
		return o.one(Message{Form: Event, Event: raw, Err: err})
	}
	messages := o.open(w.Event, depth+1)
	for i := range messages {
		m := &messages[i]
		m.Form, m.Redrive = Lane, false
		m.Records, m.Consumer, m.Class, m.FirstAt = w.Records, w.Consumer, w.Class, w.FirstAt
		m.FailedAt = w.FirstAt
	}
	return messages
}
