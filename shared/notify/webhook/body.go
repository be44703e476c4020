package webhook

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/notify"
	"sfrelay/shared/sink"
)

// milliseconds is RFC 3339 with milliseconds, as Salesforce counts time.
const milliseconds = "2006-01-02T15:04:05.000Z07:00"

// valid reports whether a notification can be told: the names in it are names, so that no
// part of the body or of the id is made of anything else.
func valid(ref sink.Ref, n notify.Notification) bool {
	return only(ref.Org, 18, alphanumeric) && ref.Subject != "" && ref.Consumer != "" &&
		n.Object != "" && strings.Trim(n.Object, alphanumeric+"_") == "" && n.Kind != "" && !n.At.IsZero() &&
		only(n.RecordID, 18, alphanumeric) && (n.AccountID == "" || only(n.AccountID, 18, alphanumeric)) &&
		only(n.Version, 40, "0123456789abcdef")
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func only(s string, length int, of string) bool {
	return len(s) == length && strings.Trim(s, of) == ""
}

// body is a notification in JSON, always the same for the same one: a receiver may compare
// what it got twice.
func body(org string, n notify.Notification) []byte {
	at := n.At.UTC().Format(milliseconds)
	w := writer{}
	w.open('{')
	w.text("type", strings.ToLower(n.Object)+"."+string(n.Kind))
	w.text("timestamp", at)
	w.name("data")
	w.open('{')
	w.text("org", org)
	w.text("object", n.Object)
	w.text("id", n.RecordID)
	if n.AccountID != "" {
		w.text("account", n.AccountID)
	}
	w.text("change", string(n.Kind))
	if n.Partial {
		w.name("partial")
		w.raw("true")
	}
	w.name("fields")
	w.open('[')
	for _, f := range n.Fields {
		w.quoted(f)
	}
	w.close(']')
	w.text("committedAt", at)
	w.text("version", n.Version)
	if n.Values != nil {
		w.name("values")
		w.open('{')
		for _, name := range slices.Sorted(maps.Keys(n.Values)) {
			if v := n.Values[name]; v != nil {
				w.text(name, *v)
			} else {
				w.name(name)
				w.raw("null")
			}
		}
		w.close('}')
	}
	w.close('}')
	w.close('}')
	return w.b
}

// writer writes JSON without reflection, which would weigh more in a function than all the
// rest of this package.
type writer struct {
	b     []byte
	comma bool // before whatever comes next
}

func (w *writer) next() {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
}

func (w *writer) open(bracket byte) {
	w.next()
	w.b, w.comma = append(w.b, bracket), false
}

func (w *writer) close(bracket byte) {
	w.b, w.comma = append(w.b, bracket), true
}

func (w *writer) raw(s string) {
	w.next()
	w.b = append(w.b, s...)
}

// quoted writes a text. What is not UTF-8 becomes U+FFFD; the decoder lets none through.
func (w *writer) quoted(s string) {
	w.next()
	w.b, _ = jsontext.AppendQuote(w.b, s)
}

func (w *writer) name(s string) {
	w.quoted(s)
	w.b, w.comma = append(w.b, ':'), false
}

func (w *writer) text(name, value string) {
	w.name(name)
	w.quoted(value)
}
