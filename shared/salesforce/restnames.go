package salesforce

import "strings"

// compound is a field that change events send as an object and REST as flat fields.
type compound struct {
	name   string
	prefix string // of the flat fields
	object string // that has such flat fields; empty: any, the prefix tells
	parts  []string
}

// RESTField is what REST and SOQL call a leaf of the change events of an object, e.g.
// BillingStreet for BillingAddress.Street. Most leaves are called the same.
func RESTField(object, leaf string) string {
	name, part, dotted := strings.Cut(leaf, ".")
	if !dotted {
		return leaf
	}
	for _, c := range compounds {
		if c.name == name && c.has(part) && (c.object == "" || c.object == object) {
			return c.prefix + part
		}
	}
	if custom, ok := strings.CutSuffix(name, "__c"); ok && (part == "Latitude" || part == "Longitude") {
		return custom + "__" + part + "__s"
	}
	return leaf
}

// ChangeLeaf is what the change events of an object call a field of REST: the reverse of
// RESTField.
func ChangeLeaf(object, field string) string {
	for _, c := range compounds {
		if part, ok := strings.CutPrefix(field, c.prefix); ok && c.has(part) && (c.object == "" || c.object == object) {
			return c.name + "." + part
		}
	}
	for _, part := range [...]string{"Latitude", "Longitude"} {
		if custom, ok := strings.CutSuffix(field, "__"+part+"__s"); ok {
			return custom + "__c." + part
		}
	}
	return field
}

// DependsOnOrg reports whether a standard field of REST is not there in every org: only with
// several currencies, with state and country picklists (Object Reference, "CurrencyIsoCode"
// and "Address Compound Fields"), or since a later version of the API. Rights are no reason:
// currencies have none, and codes those of their address.
func DependsOnOrg(field string) bool {
	if field == "CurrencyIsoCode" || field == "LastStageChangeDate" {
		return true
	}
	for _, c := range compounds {
		if part, ok := strings.CutPrefix(field, c.prefix); ok && c.has(part) && (part == "StateCode" || part == "CountryCode") {
			return true
		}
	}
	return false
}

// PersonField is the field of Account that holds a leaf of ContactChangeEvent where the
// contact is that of a person account. ok is false for what Account has no field for.
func PersonField(leaf string) (field string, ok bool) {
	name, part, dotted := strings.Cut(leaf, ".")
	if custom, is := strings.CutSuffix(leaf, "__c"); is {
		return custom + "__pc", true
	}
	if field = RESTField("Contact", leaf); dotted && name == "Name" && field == part {
		return field, true // Account has it under the same name
	}
	for _, p := range personFields {
		if p == field {
			return "Person" + field, true
		}
	}
	for _, c := range compounds { // Contact's addresses
		if dotted && c.name == "Person"+name && c.has(part) {
			return c.prefix + part, true
		}
	}
	return "", false
}

func (c compound) has(part string) bool {
	for _, p := range c.parts {
		if p == part {
			return true
		}
	}
	return false
}
