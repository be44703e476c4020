package transport

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
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

const dataURL = "data:application/octet-stream;base64,"

// Encode is the message's body. An event that is a JSON object stands in it byte
// by byte, without blanks around it; any other one as a JSON string: its text, or as a data URL (RFC 2397)
// what no SQS message may hold as text. Consumer, class and error lose bytes that
// are not UTF-8. The keys never change: messages outlive deployments.
func (p Parked) Encode() []byte {
	quoted := Quote(p.Event)
	b := make([]byte, 0, len(quoted)+len(p.Error)+24*len(p.Records)+256)
	b = append(append(b, `{"event":`...), quoted...)
	b = appendTexts(append(b, `,"records":`...), p.Records)
	b = appendText(append(b, `,"consumer":`...), p.Consumer)
	b = appendText(append(b, `,"class":`...), string(p.Class))
	b = appendText(append(b, `,"error":`...), p.Error)
	b = strconv.AppendInt(append(b, `,"attempts":`...), int64(p.Attempts), 10)
	b = appendTime(append(b, `,"firstAt":`...), p.FirstAt)
	b = appendTime(append(b, `,"lastAt":`...), p.LastAt)
	return append(b, '}')
}

// appendTexts is null for nil only.
func appendTexts(b []byte, texts []string) []byte {
	if texts == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, legible(s)) // its error is about UTF-8, of which legible leaves nothing else
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if t = plausible(t); t.IsZero() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.Truncate(time.Millisecond).AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
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

// DecodeParked reads what Encode wrote.
func DecodeParked(raw []byte) (p Parked, err error) {
	var event jsontext.Value
	err = jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "event":
			event = v
		case "records":
			p.Records, err = readTexts(v)
		case "consumer":
			p.Consumer, err = jsonobject.Text(v)
		case "class":
			var class string
			class, err = jsonobject.Text(v)
			p.Class = verdict.Class(class)
		case "error":
			p.Error, err = jsonobject.Text(v)
		case "attempts":
			p.Attempts, err = jsonobject.Int(v)
			p.Attempts = clampAttempts(p.Attempts)
		case "firstAt":
			p.FirstAt, err = readTime(v)
		case "lastAt":
			p.LastAt, err = readTime(v)
		}
		return err
	})
	if err == nil {
		p.Event, err = unquoteEvent(event)
	}
	if err != nil {
		return Parked{}, &Error{"invalid-parked", place(err), "this is no parked message"}
	}
	return p, nil
}

// unquoteEvent is the event of which Quote made this.
func unquoteEvent(quoted jsontext.Value) ([]byte, error) {
	if quoted.Kind() != '"' {
		return quoted, nil
	}
	text, _ := jsonobject.Text(quoted)
	encoded, ok := strings.CutPrefix(text, dataURL)
	if !ok {
		return []byte(text), nil
	}
	event, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, &jsonobject.Error{Where: "/event", What: "the data URL cannot be read"}
	}
	return event, nil
}

// readTexts is nil for null only.
func readTexts(v jsontext.Value) (texts []string, err error) {
	if v.Kind() == '[' {
		texts = []string{}
	}
	err = jsonobject.Elements(v, func(_ int, v jsontext.Value) error {
		text, err := jsonobject.Text(v)
		texts = append(texts, text)
		return err
	})
	return texts, err
}

// readTime is zero for null, and for a time that cannot be true.
func readTime(v jsontext.Value) (time.Time, error) {
	text, err := jsonobject.Text(v)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, &jsonobject.Error{What: "want a time"}
	}
	return plausible(t), nil
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
		m.Consumer, m.Class, m.Reason, m.Attempts = p.Consumer, p.Class, p.Error, p.Attempts
		if p.Records != nil { // else all that is inside, which may be a message about some of them
			m.Records = p.Records
		}
		m.FirstAt, m.LastAt = p.FirstAt, p.LastAt
	}
	return messages
}
