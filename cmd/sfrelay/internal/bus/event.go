package bus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Event is one event as EventBridge would deliver it. JSON is its text, which is
// passed on untouched.
type Event struct {
	ID         string // EventBridge's id
	Source     string
	DetailType string
	JSON       []byte
}

// Read reads the events of r: JSON objects one after the other, or arrays of them.
// EventBridge takes nothing but JSON objects, so anything else is an error.
func Read(r io.Reader) ([]Event, error) {
	var events []Event
	d := json.NewDecoder(r)
	for {
		var raw json.RawMessage
		switch err := d.Decode(&raw); {
		case errors.Is(err, io.EOF):
			if len(events) == 0 {
				return nil, errors.New("the file holds no event")
			}
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("event %d is not JSON: %w", len(events)+1, err)
		}
		each := []json.RawMessage{raw}
		if bytes.HasPrefix(raw, []byte("[")) {
			if err := json.Unmarshal(raw, &each); err != nil {
				return nil, err
			}
		}
		for _, raw := range each {
			e, err := parse(raw)
			if err != nil {
				return nil, fmt.Errorf("event %d: %w", len(events)+1, err)
			}
			events = append(events, e)
		}
	}
}

// parse looks at the envelope only: what is in the detail is the consumer's affair.
func parse(raw []byte) (Event, error) {
	var envelope struct {
		ID         string `json:"id"`
		Source     string `json:"source"`
		DetailType string `json:"detail-type"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return Event{}, fmt.Errorf("not an event of EventBridge: %w", err)
	}
	return Event{ID: envelope.ID, Source: envelope.Source, DetailType: envelope.DetailType, JSON: raw}, nil
}

// WithID is the same event under another EventBridge id, as a relay that sends
// again makes it.
func (e Event) WithID(id string) (Event, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(e.JSON, &members); err != nil {
		return Event{}, err
	}
	quoted, err := json.Marshal(id)
	if err != nil {
		return Event{}, err
	}
	members["id"] = quoted
	text, err := json.Marshal(members) // raw members: numbers keep their digits
	if err != nil {
		return Event{}, err
	}
	e.ID, e.JSON = id, text
	return e, nil
}

// Filled is the same event with size bytes, without blanks: a field of its payload, which no
// consumer reads, is a text that hardly shrinks, the same in every run.
func (e Event) Filled(size int) (Event, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, e.JSON); err != nil {
		return Event{}, err
	}
	const payload, name, end = `"payload":{`, `"Filler__c":"`, `",`
	before, after, found := bytes.Cut(b.Bytes(), []byte(payload))
	n := size - b.Len() - len(name) - len(end)
	if !found || bytes.HasPrefix(after, []byte("}")) || n < 1 {
		return Event{}, fmt.Errorf("an event of %d bytes cannot be filled to %d: it needs a payload with a field", b.Len(), size)
	}
	text := []byte(nil)
	for i := uint64(0); len(text) < n; i++ {
		for _, v := range sha256.Sum256(binary.BigEndian.AppendUint64(nil, i)) {
			if c := '!' + v%94; !bytes.ContainsRune([]byte(`"\<>&`), rune(c)) { // what no writer of JSON escapes
				text = append(text, c)
			}
		}
	}
	e.JSON = slices.Concat(before, []byte(payload+name), text[:n], []byte(end), after)
	return e, nil
}
