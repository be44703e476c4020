package sink

import (
	"fmt"
	"strings"

	"sfrelay/shared/verdict"
)

// Unfit is a field that the sink cannot hold as it is.
type Unfit struct {
	Field  string // the struct fields of what the connector was handed, without dots: "Phone", "BillingCountry"
	Name   string // of the permanent class, e.g. "field-too-long"
	Reason string // what is wrong and what to do, never the value
}

// UnfitError says, before anything was sent, which fields do not fit, all of them. The
// consumer calls again at once without them. In the chain of errors stands an *Error
// with the class of the first one: that is what becomes of the change where the others
// cannot go without it.
type UnfitError struct{ Fields []Unfit }

func (e *UnfitError) Error() string {
	reasons := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		reasons[i] = fmt.Sprintf("%s: %s", f.Field, f.Reason)
	}
	return strings.Join(reasons, "; ")
}

func (e *UnfitError) Unwrap() error {
	if len(e.Fields) == 0 {
		return nil
	}
	return &Error{Class: verdict.Permanent(e.Fields[0].Name), Applied: No, Reason: e.Error()}
}
