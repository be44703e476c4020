package consumer

import (
	"encoding"
	"errors"
	"fmt"
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
	codes  []string // guard codes in the order of fields, FieldMerge only
	// paths by source kind, for ignored, echo and fetch decisions
	cdcPaths, eventPaths []string
}

type boundField struct {
	index                      int
	cdc, event                 string
	code                       string
	cdcRequired, eventRequired bool
	set                        func(v reflect.Value, raw salesforce.Value) error
	name                       string
}

var (
	optionalText = reflect.TypeFor[sink.Field[string]]()
	unmarshaler  = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// bind reads the tags of t. rename maps the default names of change event fields to
// those of this org.
func bind(t reflect.Type, policy guard.Policy, sources []Source, rename map[string]string) (*binding, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the content type %v is not a struct", t)
	}
	takesCDC := slices.ContainsFunc(sources, func(s Source) bool { return s.Event == "" })
	takesEvents := slices.ContainsFunc(sources, func(s Source) bool { return s.Event != "" })
	b := &binding{}
	var errs []error
	seen := make(map[string]bool)
	for i := range t.NumField() {
		sf := t.Field(i)
		f := boundField{index: i, name: sf.Name, code: sf.Tag.Get("guard")}
		f.cdc, f.cdcRequired = strings.CutSuffix(sf.Tag.Get("cdc"), ",required")
		f.event, f.eventRequired = strings.CutSuffix(sf.Tag.Get("event"), ",required")
		if f.cdc == "" && f.event == "" {
			continue
		}
		if !sf.IsExported() {
			errs = append(errs, fmt.Errorf("field %s has a tag but is not exported", sf.Name))
			continue
		}
		if to, ok := rename[f.cdc]; ok {
			f.cdc = to
		}
		switch {
		case sf.Type == optionalText:
			f.set = setOptional
		case policy == guard.FieldMerge:
			errs = append(errs, fmt.Errorf("field %s: FieldMerge needs sink.Field[string], which keeps null apart from absent", sf.Name))
		case sf.Type.Kind() == reflect.String:
			f.set = setString
		case sf.Type.Kind() == reflect.Int:
			f.set = setInt
		case reflect.PointerTo(sf.Type).Implements(unmarshaler):
			f.set = setText
		default:
			errs = append(errs, fmt.Errorf("field %s: type %v is none of string, int, sink.Field[string], encoding.TextUnmarshaler", sf.Name, sf.Type))
		}
		if policy == guard.FieldMerge {
			if f.code == "" || seen[f.code] {
				errs = append(errs, fmt.Errorf("field %s: guard code %q is missing or used twice", sf.Name, f.code))
			}
			if takesCDC && f.cdc == "" || takesEvents && f.event == "" {
				// Otherwise a change from one source would settle a field that it never carried.
				errs = append(errs, fmt.Errorf("field %s: a consumer of change events and platform events reads only fields that both carry", sf.Name))
			}
			seen[f.code] = true
			b.codes = append(b.codes, f.code)
		} else if f.code != "" {
			errs = append(errs, fmt.Errorf("field %s: guard codes are for FieldMerge", sf.Name))
		}
		b.fields = append(b.fields, f)
		if f.cdc != "" {
			b.cdcPaths = append(b.cdcPaths, f.cdc)
		}
		if f.event != "" {
			b.eventPaths = append(b.eventPaths, f.event)
		}
	}
	if len(b.fields) == 0 && policy != guard.EachOnce {
		errs = append(errs, fmt.Errorf("the content type %v reads no field: tag its fields with cdc or event", t))
	}
	return b, errors.Join(errs...)
}

func (b *binding) paths(k salesforce.Kind) []string {
	if k == salesforce.CDC {
		return b.cdcPaths
	}
	return b.eventPaths
}

func (f *boundField) path(k salesforce.Kind) (path string, required bool) {
	if k == salesforce.CDC {
		return f.cdc, f.cdcRequired
	}
	return f.event, f.eventRequired
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
		path, required := f.path(ch.Kind)
		if path == "" {
			continue
		}
		v, ok := ch.Fields.Lookup(path)
		ok = ok && !v.Enriched()
		if ch.Kind == salesforce.CDC && ch.Type == salesforce.Update && !names(ch.Changed, path) {
			ok = false
		}
		null := !ok || v.Null()
		if required && (null || v.Raw() == `""`) {
			return nil, &fieldError{name: "missing-field", field: path}
		}
		if !ok && !whole {
			continue
		}
		if null {
			if f.code != "" || dst.Field(f.index).Type() == optionalText {
				dst.Field(f.index).Set(reflect.ValueOf(sink.Clear[string]()))
			}
		} else if err := f.set(dst.Field(f.index), v); err != nil {
			return nil, &fieldError{name: "invalid-field", field: path, err: err}
		}
		if f.code != "" {
			carried = append(carried, f.code)
		}
	}
	return carried, nil
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
