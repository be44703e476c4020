package salesforce

import "errors"

// DecodeError refuses an event or a value. It is permanent: the same bytes are
// refused for ever. It never holds a field value.
type DecodeError struct {
	Name  string // stable, e.g. "invalid-json", "foreign-org", "missing-header"
	Where string // JSON pointer into the event (RFC 6901); empty when it is the whole
	What  string // for people: what is wrong and what to do

	// Of the envelope, as far as Decode came: for logs. Empty for broken JSON.
	EventID    string
	DetailType string
}

func (e *DecodeError) Error() string {
	if e.Where == "" {
		return e.Name + ": " + e.What
	}
	return e.Name + " at " + e.Where + ": " + e.What
}

func refuse(name, where, what string) *DecodeError {
	return &DecodeError{Name: name, Where: where, What: what}
}

// at puts a place to a refusal that did not know its own.
func at(where string, err error) error {
	if e, ok := errors.AsType[*DecodeError](err); ok && e.Where == "" {
		return refuse(e.Name, where, e.What)
	}
	return err
}
