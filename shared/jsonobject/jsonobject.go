// Package jsonobject reads JSON member by member. It needs no reflection, which is most of
// what a JSON package weighs in a function, and copies nothing: the values are parts of the
// text that was given.
package jsonobject

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Error says where in the text the reading stopped, as a JSON pointer (RFC 6901), and why.
// It holds nothing of the text but names of members.
type Error struct{ Where, What string }

func (e *Error) Error() string { return "at " + strconv.Quote(e.Where) + ": " + e.What }

// lenient takes names that stand twice, of which each is handed over, and bytes that are no
// UTF-8. Who wants them refused asks jsontext.Value.IsValid first.
var lenient = jsontext.AllowInvalidUTF8(true)

// Members hands over each member of an object. An error of member stops the reading, and
// gets the name of the member into its place. null is an object without members.
func Members(text []byte, member func(name string, value jsontext.Value) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), lenient)
	switch dec.PeekKind() {
	case 'n':
		return finish(dec, dec.SkipValue())
	case '{':
	default:
		return wrong(dec, "want an object")
	}
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() != '}' {
		var quoted, value jsontext.Value
		if quoted, err = dec.ReadValue(); err != nil {
			break
		}
		name, _ := Text(quoted)
		if value, err = dec.ReadValue(); err == nil {
			err = under(name, member(name, value))
		}
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	return finish(dec, err)
}

// Elements is Members of an array. null is an array without elements.
func Elements(text []byte, element func(i int, value jsontext.Value) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), lenient)
	switch dec.PeekKind() {
	case 'n':
		return finish(dec, dec.SkipValue())
	case '[':
	default:
		return wrong(dec, "want an array")
	}
	_, err := dec.ReadToken()
	for i := 0; err == nil && dec.PeekKind() != ']'; i++ {
		var value jsontext.Value
		if value, err = dec.ReadValue(); err == nil {
			err = under(strconv.Itoa(i), element(i, value))
		}
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	return finish(dec, err)
}

// Map is the members of an object by name; of a name that stands twice the last one.
func Map(text []byte) (map[string]jsontext.Value, error) {
	m := map[string]jsontext.Value{}
	return m, Members(text, func(name string, v jsontext.Value) error { m[name] = v; return nil })
}

// List is the elements of an array.
func List(text []byte) (all []jsontext.Value, err error) {
	return all, Elements(text, func(_ int, v jsontext.Value) error { all = append(all, v); return nil })
}

// wrong is a value of another kind, or no JSON at all.
func wrong(dec *jsontext.Decoder, want string) error {
	if err := dec.SkipValue(); err != nil {
		return finish(dec, err)
	}
	return &Error{What: want}
}

// finish refuses what stands behind the value, and names what the JSON package refuses.
func finish(dec *jsontext.Decoder, err error) error {
	if err == nil {
		if _, end := dec.ReadToken(); !errors.Is(end, io.EOF) {
			return &Error{What: "something stands behind the value"}
		}
		return nil
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &Error{Where: string(e.JSONPointer), What: "the JSON is broken"}
	}
	return err
}

// under puts the name of a member before the place of an error in it.
func under(name string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{"/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name) + e.Where, e.What}
	}
	return err
}

// Text is the content of a string; that of null is empty. Bytes that are no UTF-8 become
// U+FFFD.
func Text(value jsontext.Value) (string, error) {
	switch {
	case value.Kind() == 'n':
		return "", nil
	case value.Kind() != '"':
		return "", &Error{What: "want a string"}
	}
	text, _ := jsontext.AppendUnquote(nil, value) // an error is about UTF-8 only: the value was read
	return string(text), nil
}

// Int is a whole number, spelled digit by digit; null is 0.
func Int(value jsontext.Value) (int, error) {
	if value.Kind() == 'n' {
		return 0, nil
	}
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return 0, &Error{What: "want a whole number"}
	}
	return n, nil
}
