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

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
)

// binding reads changes into a T. It is made once, when the consumer is built.
type binding struct {
	fields []boundField
	codes  []string // guard codes in the order of fields, Record only
	// paths by source kind, for ignored, echo and fetch decisions
	cdcPaths, eventPaths []string
}

type boundField struct {
	index      int
	name       string
	cdc, event string
	code       string
	required   bool // of platform events
	set        func(v reflect.Value, raw salesforce.Value) error
}

var (
	optionalText = reflect.TypeFor[sink.Field[string]]()
	unmarshaler  = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// bind reads the tags of t. rename maps the default names of change event fields to
// those of this org. With an error, the binding holds what could be read.
func bind(t reflect.Type, s *shape, rename map[string]string) (*binding, error) {
	b := &binding{}
	if t.Kind() != reflect.Struct {
		return b, fmt.Errorf("it reads a %v: write a struct with a tag on every field", t)
	}
	var errs []error
	for i := range t.NumField() {
		sf := t.Field(i)
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
		if to, ok := rename[f.cdc]; ok {
			f.cdc = to
		}
		b.fields = append(b.fields, f)
		for _, of := range []struct {
			list *[]string
			tag  string
		}{{&b.codes, f.code}, {&b.cdcPaths, f.cdc}, {&b.eventPaths, f.event}} {
			if of.tag == "" {
				continue
			}
			if slices.Contains(*of.list, of.tag) {
				errs = append(errs, fmt.Errorf("field %s uses %q a second time: every field has tags of its own", sf.Name, of.tag))
			}
			*of.list = append(*of.list, of.tag)
		}
	}
	if len(b.fields) == 0 && s.policy != guard.EachOnce {
		errs = append(errs, fmt.Errorf("it reads no field of %v: tag its fields with cdc or event", t))
	}
	for _, from := range slices.Sorted(maps.Keys(rename)) {
		if !slices.ContainsFunc(b.fields, func(f boundField) bool { return f.cdc == rename[from] }) {
			errs = append(errs, fmt.Errorf("%s of %s is renamed, and no cdc tag of %v names it: correct ACCOUNT_FIELDS", from, s.object, t))
		}
	}
	return b, errors.Join(errs...)
}

// bindField reads the tags of one field strictly: whatever it does not know is a
// mistake, because a field that is not read loses its values without a word.
func bindField(sf reflect.StructField, s *shape) (f boundField, read bool, err error) {
	f.name = sf.Name
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
	f.cdc = tags["cdc"]
	for _, path := range []string{f.event, f.cdc} {
		switch {
		case strings.HasSuffix(path, ",required"):
			err = errors.New("is required of change events, which hold only what changed: take \",required\" out of its cdc tag")
			f.cdc = strings.TrimSuffix(path, ",required")
		case path != "" && !isPath(path):
			err = fmt.Errorf("has the tag %q, which is no field name: the only option is \",required\", without a space", path)
		}
	}
	if f.event == "" && f.cdc == "" {
		return f, false, errors.Join(err, errors.New("has a guard code and reads nothing: add an event or a cdc tag"))
	}
	if f.set = setter(sf.Type); f.set == nil {
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
		if s.changes && f.cdc == "" || len(s.events) > 0 && f.event == "" {
			// Otherwise a change from one source would settle a field that it never carried.
			bad("is not read from every source: a Record of change events and platform events reads only fields that both carry")
		}
	}
	if f.cdc != "" && !s.changes {
		bad("has a cdc tag, and its consumer takes no change events: set Changes, or take the tag out")
	}
	if f.event != "" && len(s.events) == 0 {
		bad("has an event tag, and its consumer takes no platform events: name one in Events, or take the tag out")
	}
	return errors.Join(errs...)
}

// parseTag splits a tag into its keys. It knows three and refuses every other one.
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
		case key != "event" && key != "cdc" && key != "guard":
			return nil, fmt.Errorf("has the tag %q, which nobody reads: write event, cdc or guard", key)
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

func setter(t reflect.Type) func(reflect.Value, salesforce.Value) error {
	switch {
	case t == optionalText:
		return setOptional
	case reflect.PointerTo(t).Implements(unmarshaler):
		return setText
	case t.Kind() == reflect.String:
		return setString
	case t.Kind() == reflect.Int:
		return setInt
	default:
		return nil
	}
}

func (b *binding) paths(k salesforce.Kind) []string {
	if k == salesforce.CDC {
		return b.cdcPaths
	}
	return b.eventPaths
}

func (f *boundField) path(k salesforce.Kind) (path string, required bool) {
	if k == salesforce.CDC {
		return f.cdc, false
	}
	return f.event, f.required
}

// A fieldError names a field whose value does not fit; never the value.
type fieldError struct {
	name  string // of the permanent class
	field string
	err   error
}

func (e *fieldError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("field %s: %s", e.field, strings.ReplaceAll(e.name, "-", " "))
	}
	return fmt.Sprintf("field %s: %v", e.field, e.err)
}

// read fills dst with what the change carries and reports which fields it carries.
// whole: an absent field is empty, and so carried too.
func (b *binding) read(dst reflect.Value, ch *salesforce.Change, whole bool) (carried []string, err error) {
	for i := range b.fields {
		f := &b.fields[i]
		ok, err := b.readField(f, dst, ch, whole)
		if err != nil {
			return nil, err
		}
		if ok && f.code != "" {
			carried = append(carried, f.code)
		}
	}
	return carried, nil
}

// readField reports whether the change carries the field.
func (b *binding) readField(f *boundField, dst reflect.Value, ch *salesforce.Change, whole bool) (carried bool, err error) {
	path, required := f.path(ch.Kind)
	if path == "" {
		return false, nil
	}
	v, ok := ch.Fields.Lookup(path)
	ok = ok && !v.Enriched()
	if ch.Kind == salesforce.CDC && ch.Type == salesforce.Update && !names(ch.Changed, path) {
		ok = false
	}
	null := !ok || v.Null()
	if required && (null || v.Raw() == `""`) {
		return false, &fieldError{name: "missing-field", field: path}
	}
	if !ok && !whole {
		return false, nil
	}
	if null {
		if dst.Field(f.index).Type() == optionalText {
			dst.Field(f.index).Set(reflect.ValueOf(sink.Clear[string]()))
		}
	} else if err := f.set(dst.Field(f.index), v); err != nil {
		return false, &fieldError{name: "invalid-field", field: path, err: err}
	}
	return true, nil
}

// names reports whether changedFields names the path itself or the compound field
// around it.
func names(changed []string, path string) bool {
	for _, c := range changed {
		if c == path || strings.HasPrefix(path, c) && len(path) > len(c) && path[len(c)] == '.' {
			return true
		}
	}
	return false
}

// pick copies the fields that won, each from the content that carries it.
func (b *binding) pick(dst reflect.Value, wins []guard.Win, content func(change int) reflect.Value) {
	for _, w := range wins {
		for i := range b.fields {
			if b.fields[i].code == w.Field {
				dst.Field(b.fields[i].index).Set(content(w.Change).Field(b.fields[i].index))
			}
		}
	}
}

func setOptional(dst reflect.Value, v salesforce.Value) error {
	s, err := v.Text()
	if err == nil {
		dst.Set(reflect.ValueOf(sink.Set(s)))
	}
	return err
}

func setString(dst reflect.Value, v salesforce.Value) error {
	s, err := v.Text()
	if err == nil {
		dst.SetString(s)
	}
	return err
}

var errNotWhole = errors.New("is not a whole number")

func setInt(dst reflect.Value, v salesforce.Value) error {
	s, err := v.Text()
	if err != nil {
		return err
	}
	// Salesforce spells a Number(n,0) field as 30 or 30.0.
	n, err := strconv.ParseInt(strings.TrimSuffix(s, ".0"), 10, 64)
	if err != nil {
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
