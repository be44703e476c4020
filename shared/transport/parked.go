package transport

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/verdict"
)

// Parked is the message by which a consumer puts a change into the failure queue.
type Parked struct {
	Event    []byte   // the event as it came, valid or not
	Records  []string // only these records of it; nil: all
	Consumer string
	Class    verdict.Class
	Error    string // for people, without field values
	Attempts int
	FirstAt  time.Time // UTC, in ms; zero: unknown
	LastAt   time.Time
}

// parkedJSON is the form in the queue. Its keys never change: messages outlive
// deployments.
type parkedJSON struct {
	Event    jsontext.Value `json:"event,omitzero"`
	Records  []string       `json:"records"`
	Consumer string         `json:"consumer"`
	Class    verdict.Class  `json:"class"`
	Error    string         `json:"error"`
	Attempts int            `json:"attempts"`
	FirstAt  *time.Time     `json:"firstAt"`
	LastAt   *time.Time     `json:"lastAt"`
}

const dataURL = "data:application/octet-stream;base64,"

// Encode is the message's body. An event that is a JSON object stands in it byte
// by byte, without blanks around it; any other one as a JSON string: its text, or as a data URL (RFC 2397)
// what no SQS message may hold as text. Consumer, class and error lose bytes that
// are not UTF-8.
func (p Parked) Encode() []byte { return p.EncodeAround(Quote(p.Event)) }

// EncodeAround is Encode for an event that Quote was made of: several messages about one
// event need it once.
func (p Parked) EncodeAround(quoted []byte) []byte {
	w := parkedJSON{
		Records:  p.Records,
		Consumer: legible(p.Consumer), Class: verdict.Class(legible(string(p.Class))), Error: legible(p.Error), Attempts: p.Attempts,
		FirstAt: moment(p.FirstAt), LastAt: moment(p.LastAt),
	}
	rest, err := json.Marshal(w, json.FormatNilSliceAsNull(true))
	if err != nil {
		panic("parked message: " + err.Error()) // every part was made valid above
	}
	// The encoder would compact the event, hence by hand.
	return slices.Concat([]byte(`{"event":`), quoted, []byte(","), rest[1:])
}

// Quote is an event as it stands in the body of a parked message.
func Quote(event []byte) []byte {
	trimmed := bytes.Trim(event, " \t\r\n")
	if v := jsontext.Value(trimmed); v.Kind() == '{' && v.IsValid() && !bytes.ContainsAny(trimmed, notSendable) {
		return trimmed
	}
	text := string(event)
	if !utf8.ValidString(text) || !sendable(text) || strings.HasPrefix(text, "data:") {
		text = dataURL + base64.StdEncoding.EncodeToString(event)
	}
	quoted, _ := jsontext.AppendQuote(nil, text)
	return quoted
}

// sendable reports whether SQS takes the text (SendMessage, MessageBody: what XML
// 1.0 takes). JSON escapes all others.
func sendable(s string) bool { return !strings.ContainsAny(s, notSendable) }

const notSendable = "\uFFFE\uFFFF"

func legible(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r == 0xFFFE || r == 0xFFFF {
			return '\uFFFD'
		}
		return r
	}, s)
}

func moment(t time.Time) *time.Time {
	if t = plausible(t); t.IsZero() {
		return nil
	}
	t = t.Truncate(time.Millisecond)
	return &t
}

// DecodeParked reads what Encode wrote.
func DecodeParked(raw []byte) (Parked, error) {
	var w parkedJSON
	if err := json.Unmarshal(raw, &w, lenient); err != nil {
		return Parked{}, &Error{"invalid-parked", place(err), "this is no parked message"}
	}
	p := Parked{
		Event: w.Event, Records: w.Records, Consumer: w.Consumer, Class: w.Class, Error: w.Error, Attempts: clampAttempts(w.Attempts),
	}
	if w.FirstAt != nil {
		p.FirstAt = plausible(*w.FirstAt)
	}
	if w.LastAt != nil {
		p.LastAt = plausible(*w.LastAt)
	}
	if w.Event.Kind() == '"' {
		var text string
		if err := json.Unmarshal(w.Event, &text, lenient); err != nil {
			return Parked{}, &Error{"invalid-parked", "/event", "the text cannot be read"}
		}
		p.Event = []byte(text)
		if encoded, ok := strings.CutPrefix(text, dataURL); ok {
			b, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return Parked{}, &Error{"invalid-parked", "/event", "the data URL cannot be read"}
			}
			p.Event = b
		}
	}
	return p, nil
}

func (o *opener) parked(raw []byte, depth int) []Message {
	p, err := DecodeParked(raw)
	if err != nil {
		return o.one(Message{Form: Event, Event: raw, Err: err})
	}
	messages := o.open(p.Event, depth+1)
	for i := range messages {
		m := &messages[i]
		m.Form, m.Redrive = ParkedMessage, true
		m.Records, m.Consumer, m.Class, m.Reason, m.Attempts = p.Records, p.Consumer, p.Class, p.Error, p.Attempts
		m.FirstAt, m.LastAt = p.FirstAt, p.LastAt
	}
	return messages
}
