package consumer

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sfrelay/shared/decimal"
	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
)

// binding reads changes into the struct of a consumer. It is made once, when the consumer is built.
type binding struct {
	reads  reflect.Type
	fields []boundField
	codes  []string // guard codes in the order of fields, Record only
	// paths by source kind, for ignored, echo and fetch decisions
	cdcPaths, eventPaths []string
	any                  bool // every field of change events counts, and none has to be whole
	asks                 bool // every field can be read from the org
}

type boundField struct {
	index    int
	element  int // of an Extra; -1 for a field of its own
	name     string
	cdc      []string // the first that has a value counts
	event    string
	rest     []string // fields of the org: the first that has a value counts
	children *children
	nowhere  bool // the org has no such field
	code     string
	object   string // whose record ids it holds; empty: no ids
	required bool   // of platform events
	set      func(v reflect.Value, raw salesforce.Value) error
}

var (
	optionalText = reflect.TypeFor[sink.Field[string]]()
	unmarshaler  = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// in is where the field's value is.
func (f *boundField) in(of reflect.Value) reflect.Value {
	if v := of.Field(f.index); f.element < 0 {
		return v
	} else {
		return v.Index(f.element)
	}
}

// bind reads the tags of t. rename maps the default names of change event fields to
// those of this org. With an error, the binding holds what could be read.
func bind(t reflect.Type, s *shape, rename map[string]string) (*binding, error) {
	b := &binding{reads: t, any: s.any}
	if t.Kind() != reflect.Struct {
		return b, fmt.Errorf("it reads a %v: write a struct with a tag on every field", t)
	}
	var errs []error
	used := make(map[string]bool)
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Type == extras && sf.IsExported() {
			errs = append(errs, b.bindExtra(i, s)...)
			continue
		}
		f, read, err := bindField(sf, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("field %s %w", sf.Name, err))
			if !read {
				continue
			}
		}
		if !read {
			continue
		}
		f.index = i
		f.rename(s.object, rename, used)
		errs = append(errs, b.add(f)...)
	}
	errs = append(errs, b.canAsk(s)...)
	if len(b.fields) == 0 && s.policy != guard.EachOnce {
		errs = append(errs, fmt.Errorf("it reads no field of %v: tag its fields with cdc or event", t))
	}
	for _, from := range slices.Sorted(maps.Keys(rename)) {
		if !used[from] {
			errs = append(errs, fmt.Errorf("%s of %s is renamed, and no cdc tag of %v names it: correct %s_FIELDS", from, s.object, t, strings.ToUpper(s.object)))
		}
	}
	return b, errors.Join(errs...)
}

// fresh is an empty value of what the consumer reads, to be filled.
func (b *binding) fresh() reflect.Value { return reflect.New(b.reads).Elem() }

// add takes a field in.
func (b *binding) add(f boundField) (errs []error) {
	b.fields = append(b.fields, f)
	note := func(list *[]string, tags ...string) {
		for _, tag := range tags {
			if tag != "" && slices.Contains(*list, tag) {
				errs = append(errs, fmt.Errorf("field %s uses %q a second time: every field has tags of its own", f.name, tag))
			}
			if tag != "" {
				*list = append(*list, tag)
			}
		}
	}
	note(&b.codes, f.code)
	note(&b.cdcPaths, f.cdc...)
	note(&b.eventPaths, f.event)
	return errs
}

// bindField reads the tags of one field strictly: whatever it does not know is a
// mistake, because a field that is not read loses its values without a word.
func bindField(sf reflect.StructField, s *shape) (f boundField, read bool, err error) {
	f.name, f.element = sf.Name, -1
	tags, err := parseTag(sf.Tag)
	switch {
	case err != nil:
		return f, false, err
	case sf.Anonymous:
		return f, false, errors.New("is embedded, and tags inside of it are not read: write its fields out")
	case len(tags) == 0 && !sf.IsExported(), len(tags) == 1 && tags["event"] == "-":
		return f, false, nil
	case len(tags) == 0:
		return f, false, errors.New("has no tag: write `event:\"…\"` or `cdc:\"…\"`, or `event:\"-\"` where it is not read")
	case !sf.IsExported():
		return f, false, errors.New("has a tag and is not exported: begin its name with a capital")
	}
	f.code = tags["guard"]
	if f.event, f.required = strings.CutSuffix(tags["event"], ",required"); f.event == "" && tags["event"] != "" {
		err = errors.New(`is required of no field: write the field's name before ",required"`)
	}
	cdc, required := strings.CutSuffix(tags["cdc"], ",required")
	if required {
		err = errors.New("is required of change events, which hold only what changed: take \",required\" out of its cdc tag")
	}
	if cdc != "" {
		f.cdc = strings.Split(cdc, "|")
	}
	for _, path := range f.cdc {
		if better := leafOf(s.object, path); better != "" {
			err = fmt.Errorf("reads %s, which change events call %s: write that in its cdc tag", path, better)
		}
	}
	for _, path := range append([]string{f.event}, f.cdc...) {
		if path != "" && !isPath(path) {
			err = fmt.Errorf("has the tag %q, which is no field name: the only option is \",required\", without a space", path)
		}
	}
	if f.event == "" && f.cdc == nil && tags["rest"] == "" {
		return f, false, errors.Join(err, errors.New("has a guard code and reads nothing: add an event or a cdc tag"))
	}
	if rest := tags["rest"]; rest != "" {
		err = errors.Join(err, f.parseREST(rest, s))
	}
	f.object = tags["ref"]
	if f.set = setter(sf.Type, f.object); f.set == nil && f.object != "" {
		err = errors.Join(err, fmt.Errorf("has the type %v: a ref is a string or a sink.Field[string]", sf.Type))
	} else if f.set == nil {
		err = errors.Join(err, fmt.Errorf("has the type %v: write string, int, sink.Field[string] or a type that implements encoding.TextUnmarshaler", sf.Type))
	}
	return f, true, errors.Join(err, f.fits(sf.Type, s))
}

// fits says what of a field's tags does not fit the kind and the sources of its
// consumer.
func (f *boundField) fits(t reflect.Type, s *shape) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.policy != guard.FieldMerge {
		if f.code != "" {
			bad("has a guard code, which only a Record needs: take it out")
		}
	} else {
		if t != optionalText {
			bad("has the type %v: a Record needs sink.Field[string], which keeps null apart from absent", t)
		}
		if f.code == "" {
			bad("has no guard code: write `guard:\"…\"`, short, and never rename it")
		}
		if s.changes && f.cdc == nil || len(s.events) > 0 && f.event == "" {
			// Otherwise a change from one source would settle a field that it never carried.
			bad("is not read from every source: a Record of change events and platform events reads only fields that both carry")
		}
	}
	if f.cdc != nil && !s.changes {
		bad("has a cdc tag, and its consumer takes no change events: set Changes, or take the tag out")
	}
	if f.event != "" && len(s.events) == 0 {
		bad("has an event tag, and its consumer takes no platform events: name one in Events, or take the tag out")
	}
	return errors.Join(errs...)
}

var tagKeys = []string{"event", "cdc", "rest", "guard", "ref"}

// parseTag splits a tag into its keys. It knows five and refuses every other one.
func parseTag(tag reflect.StructTag) (map[string]string, error) {
	tags := make(map[string]string)
	for rest := strings.TrimSpace(string(tag)); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := strings.Cut(rest, ":")
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil || after[0] != '"' {
			return nil, fmt.Errorf("has the tag %q, which cannot be read: write key:\"value\" with one space between", tag)
		}
		value, err := strconv.Unquote(quoted)
		switch {
		case !slices.Contains(tagKeys, key):
			return nil, fmt.Errorf("has the tag %q, which nobody reads: write event, cdc, rest, guard or ref", key)
		case err != nil || value == "":
			return nil, fmt.Errorf("has an empty %s tag: name a field, or leave the tag out", key)
		}
		if _, twice := tags[key]; twice {
			return nil, fmt.Errorf("has two %s tags: one counts, nobody knows which", key)
		}
		tags[key], rest = value, after[len(quoted):]
	}
	return tags, nil
}

func setter(t reflect.Type, object string) func(reflect.Value, salesforce.Value) error {
	text := plainText
	if object != "" {
		text = func(v salesforce.Value) (string, error) { return recordID(object, v) }
	}
	switch {
	case t == optionalText:
		return func(dst reflect.Value, v salesforce.Value) error {
			s, err := text(v)
			if err == nil {
				dst.Set(reflect.ValueOf(sink.Set(s)))
			}
			return err
		}
	case t.Kind() == reflect.String && !reflect.PointerTo(t).Implements(unmarshaler):
		return func(dst reflect.Value, v salesforce.Value) error {
			s, err := text(v)
			if err == nil {
				dst.SetString(s)
			}
			return err
		}
	case object != "":
		return nil
	case t == dates:
		return setDate
	case t == dateTimes:
		return setDateTime
	case reflect.PointerTo(t).Implements(unmarshaler):
		return setText
	case t.Kind() == reflect.Int:
		return setInt
	default:
		return nil
	}
}

// ignores reports whether the change touches nothing that the consumer reads.
func (b *binding) ignores(said *salesforce.Said) bool {
	return !said.Touches(b.paths(said.Kind))
}

// paths are the fields that the consumer reads of a source; nil is every one.
func (b *binding) paths(k salesforce.Kind) []string {
	switch {
	case k == salesforce.CDC && b.any:
		return nil
	case k == salesforce.CDC:
		return b.cdcPaths
	default:
		return b.eventPaths
	}
}

// A fieldError names a field whose value does not fit; never the value.
type fieldError struct {
	name  string // of the permanent class
	fetch bool   // instead of a class: the record has to be read from Salesforce
	whole bool   // no single field is to blame
	field string
	err   error
}

func (e *fieldError) Error() string {
	if e.whole {
		return e.err.Error()
	}
	if e.err == nil {
		return fmt.Sprintf("field %s: %s", e.field, strings.ReplaceAll(e.name, "-", " "))
	}
	return fmt.Sprintf("field %s: %v", e.field, e.err)
}

// reading is how a change is read.
type reading struct {
	*salesforce.Change
	policy guard.Policy
	whole  bool // an absent field is empty, and so carried too

	// only lists the fields that the publisher of a platform event filled; nil: those that
	// it has. listed is the field with the list.
	only   []string
	listed string
}

// read fills dst with what the change carries and reports which fields it carries.
func (b *binding) read(dst reflect.Value, r reading) (carried []string, err error) {
	for i := range b.fields {
		f := &b.fields[i]
		ok, err := f.read(dst, r)
		if e, fetch := errors.AsType[*fieldError](err); fetch && e.fetch && b.any && r.Kind == salesforce.CDC {
			continue // it is not known, which is no reason not to tell of the change
		}
		if err != nil {
			return nil, err
		}
		if ok && f.code != "" {
			carried = append(carried, f.code)
		}
	}
	return carried, nil
}

// read reports whether the change carries the field. A *fieldError that
// wants a fetch says that it speaks of the field and has no value for it.
func (f *boundField) read(dst reflect.Value, r reading) (carried bool, err error) {
	if r.Kind == salesforce.Platform && r.only != nil && f.event != "" && !slices.Contains(r.only, f.event) {
		if r.policy == guard.FieldMerge || r.policy == guard.EachOnce && !f.required {
			return false, nil
		}
		return false, &fieldError{name: "missing-field", field: f.event,
			err: fmt.Errorf("is not listed in %s, so its value is not known: publish the whole state", r.listed)}
	}
	value, path, saying := f.find(r)
	empty := value.Null() || value.Raw() == `""`
	switch {
	case path == "" && f.nowhere && r.whole && r.Kind == salesforce.CDC:
		f.in(dst).SetZero()
		if f.in(dst).Type() == optionalText {
			f.in(dst).Set(reflect.ValueOf(sink.Clear[string]()))
		}
		return true, nil
	case path == "":
		return false, nil
	case saying == salesforce.SaysMore:
		return f.readParts(dst, r, path)
	case f.required && r.Kind == salesforce.Platform && empty && (saying == salesforce.SaysValue || r.policy != guard.FieldMerge):
		return false, &fieldError{name: "missing-field", field: path}
	case saying == salesforce.SaysNothing && !r.whole:
		return false, nil
	case value.Null():
		if f.in(dst).Type() == optionalText {
			f.in(dst).Set(reflect.ValueOf(sink.Clear[string]()))
		}
		return true, nil
	}
	if err := f.set(f.in(dst), value); err != nil {
		return false, invalid(path, err)
	}
	return true, nil
}

// find is the first of the field's paths that has a value, and what the change says of
// it; where none has, what it says of the first that it speaks of. path is empty where
// the source has no such field.
func (f *boundField) find(r reading) (value salesforce.Value, path string, saying salesforce.Saying) {
	paths := f.cdc
	if r.Kind == salesforce.Platform {
		if f.event == "" {
			return value, "", saying
		}
		paths = []string{f.event}
	}
	for _, p := range paths {
		v, s := r.Says(p)
		if s == salesforce.SaysValue && !v.Null() {
			return v, p, s
		}
		// A part that has no value outweighs an empty one: it might hold something.
		if path == "" || saying == salesforce.SaysNothing || s == salesforce.SaysMore {
			path, saying = p, max(s, saying)
		}
	}
	return value, path, saying
}

// readParts reads a field that the change speaks of in parts, or as a part.
func (f *boundField) readParts(dst reflect.Value, r reading, path string) (carried bool, err error) {
	if r.Kind == salesforce.Platform {
		return false, &fieldError{name: "invalid-field", field: path, err: errors.New("is an object, want a text or a number")}
	}
	name, ok := r.PersonName(path)
	if path != "Name" || !ok {
		return false, &fieldError{fetch: true, field: path, err: errors.New("has no value of its own in the event, which speaks of it in parts or as a part")}
	}
	switch v := f.in(dst); {
	case v.Type() == optionalText:
		v.Set(reflect.ValueOf(sink.Set(name)))
	case v.Kind() == reflect.String:
		v.SetString(name)
	default:
		return false, invalid(path, errors.New("is the name of a person, want a text"))
	}
	return true, nil
}

// invalid names a field whose value does not fit. A refusal of the field's own type
// keeps its name.
func invalid(path string, err error) *fieldError {
	if e, ok := errors.AsType[*sink.Error](err); ok && e.Class.IsPermanent() {
		return &fieldError{name: e.Class.Name(), field: path, err: e.Err}
	}
	if e, ok := errors.AsType[*salesforce.DecodeError](err); ok && e.Name == "invalid-record-id" {
		return &fieldError{name: e.Name, field: path, err: errors.New(e.What)}
	}
	return &fieldError{name: "invalid-field", field: path, err: err}
}

// pick copies the fields that won, each from the content that carries it.
func (b *binding) pick(dst reflect.Value, wins []guard.Win, content func(change int) reflect.Value) {
	for _, w := range wins {
		for i := range b.fields {
			if b.fields[i].code == w.Field {
				b.fields[i].in(dst).Set(b.fields[i].in(content(w.Change)))
			}
		}
	}
}

// plainText is a value as a text: a number is a plain decimal, without exponent and
// without a fraction of zeros, however it was spelled (Salesforce spells numbers of
// eight digits and more with an exponent).
func plainText(v salesforce.Value) (string, error) {
	s, err := v.Text()
	if raw := v.Raw(); err != nil || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return s, err
	}
	n, err := decimal.Parse(s)
	return n.String(), err
}

// recordID is the id of a record of the object in its form of 18 characters; an empty
// text is none.
func recordID(object string, v salesforce.Value) (string, error) {
	s, err := v.Text()
	if err != nil || s == "" {
		return s, err
	}
	return salesforce.RecordID(object, s)
}

var errNotWhole = errors.New("is not a whole number")

func setInt(dst reflect.Value, v salesforce.Value) error {
	s, err := v.Text()
	if err != nil {
		return err
	}
	// Salesforce spells a Number(n,0) field as 30, 30.0 or 3.0E1.
	d, err := decimal.Parse(s)
	n, whole := d.Minor(0)
	if err != nil || !whole || dst.OverflowInt(n) {
		return errNotWhole
	}
	dst.SetInt(n)
	return nil
}

func setText(dst reflect.Value, v salesforce.Value) error {
	s, err := v.Text()
	if err != nil {
		return err
	}
	return dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
}
