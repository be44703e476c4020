package salesforce

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Fields is the body of a change, leaf by leaf, sorted by path. The path of a
// component of a compound field is dotted, "BillingAddress.Street", as in
// changedFields; deeper levels stay one value. The zero Fields is empty.
type Fields struct {
	text   string // the whole event
	leaves []leaf
}

type leaf struct {
	name      span // of the field
	component span // of a compound field, else empty
	raw       span
	enriched  bool
	diff      bool
}

func (f Fields) value(l leaf) Value { return Value{l.raw.of(f.text), l.enriched, l.diff} }

func (f Fields) path(l leaf) string {
	name, component := l.name.of(f.text), l.component.of(f.text)
	if component == "" {
		return name
	}
	return name + "." + component
}

func (f Fields) compare(l leaf, name, component string) int {
	if c := strings.Compare(l.name.of(f.text), name); c != 0 {
		return c
	}
	return strings.Compare(l.component.of(f.text), component)
}

func (f Fields) find(name, component string) (int, bool) {
	return slices.BinarySearchFunc(f.leaves, name, func(l leaf, name string) int { return f.compare(l, name, component) })
}

// Lookup is the value that the change gives a field. ok is false for a field that
// the change says nothing of; if the body has a value for it all the same, because
// the channel enriches its events, that value comes with Enriched true: it was
// read when the event was delivered and is newer than the change. Every component
// of a compound field that is null as a whole is null.
func (f Fields) Lookup(path string) (v Value, ok bool) {
	name, component, _ := strings.Cut(path, ".")
	i, found := f.find(name, component)
	if !found && component != "" {
		i, found = f.find(name, "")
		found = found && f.value(f.leaves[i]).Null()
	}
	if !found {
		return Value{}, false
	}
	v = f.value(f.leaves[i])
	return v, !v.enriched
}

// Names are the paths of the change's own fields, without enriched ones.
func (f Fields) Names() []string {
	var names []string
	for path, v := range f.All() {
		if !v.enriched {
			names = append(names, path)
		}
	}
	return names
}

// All yields every leaf by path, enriched ones included.
func (f Fields) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, l := range f.leaves {
			if !yield(f.path(l), f.value(l)) {
				return
			}
		}
	}
}

// Len is the number of leaves, enriched ones included.
func (f Fields) Len() int { return len(f.leaves) }

// Value is one JSON value of a body. The zero Value is null.
type Value struct {
	raw      string
	enriched bool
	diff     bool
}

// ValueOf is a JSON value that REST answered. It must be valid.
func ValueOf(text []byte) Value { return Value{raw: string(text)} }

// TextValue is a text as a value.
func TextValue(text string) Value {
	b, _ := jsontext.AppendQuote(nil, text) // bad UTF-8 is replaced
	return Value{raw: string(b)}
}

// Raw is the JSON as it was sent.
func (v Value) Raw() string {
	if v.raw == "" {
		return "null"
	}
	return v.raw
}

// Null reports whether the field is empty.
func (v Value) Null() bool { return v.raw == "" || v.raw == "null" }

// Enriched reports whether the value was added at delivery and is no part of the
// change (Change Data Capture Developer Guide, "Enrich Change Events").
func (v Value) Enriched() bool { return v.enriched }

// Diff reports whether the value only describes how a long text changed: a string
// that begins as a unified diff, or {"diff": …}. The text has to be fetched.
func (v Value) Diff() bool { return v.diff }

// Text is the content of a string, the exact spelling of a number, or "true" or
// "false". Null, objects, arrays and diffs have no text.
func (v Value) Text() (string, error) {
	switch {
	case v.Null():
		return "", refuse("wrong-type", "", "the field is null, want a text, number or boolean")
	case v.diff:
		return "", refuse("text-diff", "", "the field holds a diff: fetch the record")
	case v.raw[0] == '"':
		return unquote(v.raw), nil
	case v.raw[0] == '{' || v.raw[0] == '[':
		return "", refuse("wrong-type", "", "the field is an object or array, want a text, number or boolean")
	default:
		return v.raw, nil
	}
}

// DateTime reads a date or a date with time in either dialect: milliseconds since
// 1970 as a number, or ISO 8601 with "Z" or an offset such as "+0000". A date
// alone is midnight UTC.
func (v Value) DateTime() (time.Time, error) {
	if !v.Null() && v.raw[0] == '"' {
		if t, ok := parseISO(unquote(v.raw)); ok {
			return t, nil
		}
	} else if !v.Null() && (v.raw[0] == '-' || isDigit(v.raw[0])) {
		ms, err := numberField(v.raw)
		if err != nil {
			return time.Time{}, err
		}
		return time.UnixMilli(ms).UTC(), nil
	}
	return time.Time{}, refuse("invalid-time", "", `want milliseconds since 1970 or ISO 8601 like "2026-11-21T10:15:29.517Z"`)
}

// parseISO reads the spellings of both dialects and of REST.
func parseISO(s string) (time.Time, bool) {
	// The shortest is a date, the longest has milliseconds and an offset with colon.
	if len(s) < len(time.DateOnly) || len(s) > len("2006-01-02T15:04:05.000000000+00:00") || !isDigit(s[0]) || s[4] != '-' {
		return time.Time{}, false
	}
	if len(s) == len(time.DateOnly) {
		t, err := time.Parse(time.DateOnly, s)
		return t, err == nil
	}
	layout := time.RFC3339
	if c := s[len(s)-5]; c == '+' || c == '-' {
		layout = "2006-01-02T15:04:05Z0700"
	}
	t, err := time.Parse(layout, s)
	return t.UTC(), err == nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// unquote is the content of a JSON string that was already checked.
func unquote(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, raw)
	return string(b)
}

// sort sorts by path. Every event pays for it, so it sorts numbers made of
// the first six bytes of a name and its place (see maxLeaf), and compares whole
// names only where those bytes agree.
func (f Fields) sort() {
	leaves := f.leaves
	byPath := func(a, b leaf) int {
		if a.name != b.name { // components of one compound field share the place of its name
			if c := strings.Compare(a.name.of(f.text), b.name.of(f.text)); c != 0 {
				return c
			}
		}
		return strings.Compare(a.component.of(f.text), b.component.of(f.text))
	}
	var array [64]uint64
	keys := array[:0]
	for i, l := range leaves {
		keys = append(keys, head(l.name.of(f.text))<<16|uint64(i))
	}
	slices.Sort(keys)
	place := func(key uint64) int { return int(key & (1<<16 - 1)) }

	// Move the leaves, following every cycle of the permutation once.
	for i := range keys {
		if place(keys[i]) == i {
			continue
		}
		first, to := leaves[i], i
		for {
			from := place(keys[to])
			keys[to] = keys[to]&^(1<<16-1) | uint64(to)
			if from == i {
				break
			}
			leaves[to], to = leaves[from], from
		}
		leaves[to] = first
	}
	for first := 0; first < len(leaves); {
		after := first + 1
		for after < len(leaves) && keys[after]>>16 == keys[first]>>16 {
			after++
		}
		if after > first+1 && !slices.IsSortedFunc(leaves[first:after], byPath) {
			slices.SortFunc(leaves[first:after], byPath)
		}
		first = after
	}
}

// twice finds a field or component that stands twice in the body; the leaves are sorted.
func (f Fields) twice() (path string, found bool) {
	for i := 1; i < len(f.leaves); i++ {
		a, b := f.leaves[i-1], f.leaves[i]
		if a.name.end-a.name.start == b.name.end-b.name.start && a.name.of(f.text) == b.name.of(f.text) &&
			(a.name != b.name || a.component.of(f.text) == b.component.of(f.text)) {
			if a.name != b.name {
				b.component = span{}
			}
			return f.path(b), true
		}
	}
	return "", false
}

// head is the first six bytes of a name as a number.
func head(name string) (h uint64) {
	if len(name) >= 6 {
		return uint64(name[0])<<40 | uint64(name[1])<<32 | uint64(name[2])<<24 | uint64(name[3])<<16 | uint64(name[4])<<8 | uint64(name[5])
	}
	for i := range 6 {
		h <<= 8
		if i < len(name) {
			h |= uint64(name[i])
		}
	}
	return h
}
