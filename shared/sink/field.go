package sink

import "encoding/json"

// Field is a value that a change may leave alone, clear or set. The zero value
// leaves alone. It marshals as the value or null; with `json:",omitzero"` a field
// that is left alone is left out, so that a struct of Fields is a JSON merge patch
// (RFC 7396).
type Field[T any] struct {
	Present bool // false: the change says nothing of it
	Null    bool // true: cleared
	Value   T
}

// Set is a field with a value.
func Set[T any](v T) Field[T] { return Field[T]{Present: true, Value: v} }

// Clear is a field that is emptied.
func Clear[T any]() Field[T] { return Field[T]{Present: true, Null: true} }

// IsZero reports whether the change says nothing of the field.
func (f Field[T]) IsZero() bool { return !f.Present }

// MarshalJSON writes the value, or null where there is none.
func (f Field[T]) MarshalJSON() ([]byte, error) {
	if !f.Present || f.Null {
		return []byte("null"), nil
	}
	return json.Marshal(f.Value)
}

// UnmarshalJSON marks the field as present.
func (f *Field[T]) UnmarshalJSON(b []byte) error {
	*f = Field[T]{Present: true}
	if string(b) == "null" {
		f.Null = true
		return nil
	}
	return json.Unmarshal(b, &f.Value)
}
