package salesforce

import "strings"

// Saying is what a change says of one field.
type Saying int

// The sayings.
const (
	// SaysNothing: the change does not speak of the field. In a full state (CREATE,
	// UNDELETE) it is empty then, in an update it stays as it is.
	SaysNothing Saying = iota
	// SaysValue: the value is there, null for a field that is emptied.
	SaysValue
	// SaysMore: the change speaks of the field, of a part of it, or of what it is part of,
	// and has no value for it: the name of a person account comes in parts, a compound
	// field can be named as a whole. Whoever reads the field must not take it for absent.
	SaysMore
)

// Says is what the change says of the field at path, which is written as in
// changedFields: "BillingAddress.Street" for a component of a compound field.
func (c *Said) Says(path string) (Value, Saying) {
	if v, ok := c.Fields.Lookup(path); ok {
		return v, SaysValue
	}
	for leaf, v := range c.Fields.All() {
		if !v.enriched && leaf != path && covers(leaf, path) {
			return Value{}, SaysMore
		}
	}
	for _, name := range c.Changed {
		if covers(name, path) {
			return Value{}, SaysMore
		}
	}
	return Value{}, SaysNothing
}

// PersonName composes the name of a person account, which comes as a compound field:
// FirstName, MiddleName, LastName and Suffix, as Salesforce composes Account.Name
// (Object Reference, "Account", Name). ok is false unless the change says all of them:
// a full state does, an update only where it names and has all four.
func (c *Said) PersonName(path string) (name string, ok bool) {
	full := c.Type == Create || c.Type == Undelete
	var parts []string
	for _, part := range [...]string{"FirstName", "MiddleName", "LastName", "Suffix"} {
		v, said := c.Fields.Lookup(path + "." + part)
		if !said && !full {
			return "", false
		}
		if !said || v.Null() {
			if part == "LastName" { // no person is without one
				return "", false
			}
			continue
		}
		text, err := v.Text()
		if err != nil {
			return "", false
		}
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " "), true
}
