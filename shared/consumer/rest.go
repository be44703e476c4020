package consumer

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sfrelay/shared/salesforce"
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/sink"
)

// What a consumer reads of a record in the org. Most fields are those of the change events
// under the names of REST; a rest tag names others.

// noField is what a field is renamed to that the org does not have.
const noField = "-"

// children are records of a relationship as one value: a JSON list of objects.
type children struct {
	relationship string
	members      []member
}

type member struct{ name, field string }

// parseREST reads `rest:"AccountId"` and `rest:"OpportunityLineItems(sku=ProductCode,quantity=Quantity)"`.
func (f *boundField) parseREST(tag string, s *shape) error {
	if s.object == "" {
		return errors.New("has a rest tag, and its consumer names no Object: take it out")
	}
	relationship, list, nested := strings.Cut(tag, "(")
	list, closed := strings.CutSuffix(list, ")")
	if !nested {
		f.rest = strings.Split(tag, "|")
		if slices.ContainsFunc(f.rest, func(path string) bool { return !isPath(path) }) {
			return fmt.Errorf("has the rest tag %q, which is no field name of REST", tag)
		}
		return nil
	}
	f.children = &children{relationship: relationship}
	for pair := range strings.SplitSeq(list, ",") {
		name, field, ok := strings.Cut(pair, "=")
		if !ok || name == "" || !isPath(field) {
			closed = false
		}
		f.children.members = append(f.children.members, member{name, field})
	}
	if !closed || !isPath(relationship) {
		return fmt.Errorf("has the rest tag %q: write relationship(member=Field,…)", tag)
	}
	return nil
}

// rename takes over the names of this org.
func (f *boundField) rename(object string, names map[string]string, used map[string]bool) {
	f.cdc = slices.Clone(f.cdc)
	had := f.cdc != nil
	for j, path := range f.cdc {
		if to, ok := names[path]; ok {
			f.cdc[j], used[path] = to, true
		}
	}
	f.cdc = slices.DeleteFunc(f.cdc, func(path string) bool { return path == noField })
	if f.rest == nil && f.children == nil {
		f.nowhere = had && len(f.cdc) == 0
		for _, path := range f.cdc {
			f.rest = append(f.rest, salesforce.RESTField(object, path))
		}
		return
	}
	for j, path := range f.rest {
		if to, ok := names[path]; ok {
			f.rest[j], used[path] = to, true
		}
	}
	f.rest = slices.DeleteFunc(f.rest, func(path string) bool { return path == noField })
}

// canAsk notes whether the org can be asked for all that is read, and finds fields that
// were forgotten.
func (b *binding) canAsk(s *shape) (errs []error) {
	named, without := false, []string(nil)
	for i := range b.fields {
		f := &b.fields[i]
		named = named || f.children != nil || len(f.rest) > 0 && f.cdc == nil
		if f.children == nil && len(f.rest) == 0 && !f.nowhere {
			without = append(without, f.name)
		}
	}
	b.asks = s.object != "" && !s.any && len(b.fields) > 0 && len(without) == 0
	if named && len(without) > 0 {
		errs = append(errs, fmt.Errorf("field %s has no name in the org: write `rest:\"…\"`, as the others have it", strings.Join(without, ", ")))
	}
	return errs
}

// statement is the one question about records: all that the consumer reads, and when they
// were saved. What is in without the org does not have.
func (b *binding) statement(object string, ids []string, without map[string]bool) api.Select {
	s := api.Select{Object: object, IDs: ids, Fields: []string{"LastModifiedDate", "SystemModstamp"}}
	for i := range b.fields {
		f := &b.fields[i]
		for _, path := range f.rest {
			if !without[path] && !slices.Contains(s.Fields, path) {
				s.Fields = append(s.Fields, path)
			}
		}
		if c := f.children; c != nil {
			sub := api.Select{Object: c.relationship}
			for _, m := range c.members {
				sub.Fields = append(sub.Fields, m.field)
			}
			s.Children = append(s.Children, sub)
		}
	}
	return s
}

// fill reads a record of the org, a full state. What is in without the org does not have.
func (b *binding) fill(dst reflect.Value, rec *api.Record, without map[string]bool) error {
	for i := range b.fields {
		f := &b.fields[i]
		v, path := f.inRecord(rec)
		switch {
		case masked(v):
			return &maskedError{path}
		case f.required && !without[path] && (v.Null() || v.Raw() == `""`):
			return &fieldError{name: "missing-field", field: path}
		case v.Null():
			if f.in(dst).Type() == optionalText {
				f.in(dst).Set(reflect.ValueOf(sink.Clear[string]()))
			}
		default:
			if err := f.set(f.in(dst), v); err != nil {
				return invalid(path, err)
			}
		}
	}
	return nil
}

// inRecord is the first of the field's values.
func (f *boundField) inRecord(rec *api.Record) (v salesforce.Value, path string) {
	if c := f.children; c != nil {
		return c.list(rec.Children[c.relationship]), c.relationship
	}
	for _, p := range f.rest {
		raw, ok := rec.Value(p)
		if path == "" {
			path = p
		}
		if ok && raw.Kind() != 'n' {
			return salesforce.ValueOf(raw), p
		}
	}
	return salesforce.Value{}, path
}

// list is the children as a text: a JSON list of objects, without what is null.
func (c *children) list(records []*api.Record) salesforce.Value {
	if len(records) == 0 {
		return salesforce.Value{}
	}
	b := []byte{'['}
	for i, rec := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		for _, m := range c.members {
			raw, ok := rec.Value(m.field)
			if !ok || raw.Kind() == 'n' {
				continue
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(append(append(b, salesforce.TextValue(m.name).Raw()...), ':'), raw...)
		}
		b = append(b, '}')
	}
	return salesforce.TextValue(string(append(b, ']')))
}

// maskedError is a value that Salesforce shows as asterisks to whom may not see it. It must
// not reach anybody.
type maskedError struct{ field string }

func (e *maskedError) Error() string {
	return fmt.Sprintf("field %s is masked for the integration user: give its permission set View Encrypted Data", e.field)
}

// masked reports whether a text is a mask of encrypted fields: asterisks, at most the last
// four characters in the clear (Salesforce Help, "Classic Encryption for Custom Fields").
func masked(v salesforce.Value) bool {
	text, err := v.Text()
	if err != nil {
		return false
	}
	hidden := strings.TrimLeft(text, "*-")
	return strings.HasPrefix(text, "***") && len(hidden) <= 4
}

// carried are the codes of those fields whose value the change itself has, of an update
// that says what it changed.
func (b *binding) carried(dst reflect.Value, r reading) (codes []string) {
	for i := range b.fields {
		f := &b.fields[i]
		if ok, err := f.read(dst, r); err == nil && ok {
			codes = append(codes, f.code)
		}
	}
	return codes
}

// overlay copies the fields of those codes.
func (b *binding) overlay(dst, src reflect.Value, codes []string) {
	for i := range b.fields {
		if f := &b.fields[i]; f.code != "" && slices.Contains(codes, f.code) {
			f.in(dst).Set(f.in(src))
		}
	}
}
