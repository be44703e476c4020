package consumer

import (
	"fmt"
	"reflect"
	"strings"

	"sfrelay/shared/guard"
	"sfrelay/shared/sink"
)

// Extra holds custom fields that a Record names in Extra, by their place in that list: one
// field of T has this type, without a tag. They have the same API name in change events,
// platform events and the org, and it is their guard code, too.
type Extra [20]sink.Field[string]

var extras = reflect.TypeFor[Extra]()

// Named is the fields that are present, by their names.
func (e Extra) Named(names []string) map[string]sink.Field[string] {
	var m map[string]sink.Field[string]
	for i, f := range e {
		if i < len(names) && f.Present {
			if m == nil {
				m = make(map[string]sink.Field[string])
			}
			m[names[i]] = f
		}
	}
	return m
}

// bindExtra binds the fields that the definition names.
func (b *binding) bindExtra(index int, s *shape) (errs []error) {
	if s.policy != guard.FieldMerge {
		return []error{fmt.Errorf("an Extra is for a Record")}
	}
	if len(s.extra) > len(Extra{}) {
		return []error{fmt.Errorf("%d extra fields, and there is room for %d", len(s.extra), len(Extra{}))}
	}
	for i, name := range s.extra {
		if !isPath(name) || !strings.HasSuffix(name, "__c") || strings.Contains(name, ".") {
			errs = append(errs, fmt.Errorf("the extra field %q is no API name of a custom field, e.g. Region__c", name))
			continue
		}
		f := boundField{index: index, element: i, name: name, rest: []string{name}, code: name, set: setter(optionalText, "")}
		if s.changes {
			f.cdc = []string{name}
		}
		if len(s.events) > 0 {
			f.event = name
		}
		errs = append(errs, b.add(f)...)
	}
	return errs
}
