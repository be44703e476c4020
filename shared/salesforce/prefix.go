package salesforce

import (
	"fmt"
	"strings"
)

// prefixes are the first three characters of the ids of standard objects (Salesforce
// Help, article 000385203, "Standard Field Record ID Prefix Decoder"). The ids of
// custom objects begin differently in every org.
var prefixes = [...]struct{ object, prefix string }{
	{"Account", "001"}, {"Asset", "02i"}, {"Campaign", "701"}, {"Case", "500"}, {"Contact", "003"}, {"Contract", "800"}, {"Event", "00U"},
	{"Lead", "00Q"}, {"Opportunity", "006"}, {"OpportunityLineItem", "00k"}, {"Order", "801"}, {"OrderItem", "802"}, {"Pricebook2", "01s"},
	{"PricebookEntry", "01u"}, {"Product2", "01t"}, {"Quote", "0Q0"}, {"Task", "00T"}, {"User", "005"},
}

// RecordID is the 18-character form of the id of a record of the object. The id of
// another standard object is refused (invalid-record-id): it says which one it is.
// Of custom objects only the form is checked.
func RecordID(object, id string) (string, error) {
	full, err := ID18(id)
	if err != nil {
		return "", refuse("invalid-record-id", "", "is no record id of 15 or 18 characters")
	}
	if IsRecordID(object, full) {
		return full, nil
	}
	is := "another object"
	for _, p := range prefixes {
		if p.prefix == full[:3] {
			is = p.object
		}
	}
	return "", refuse("invalid-record-id", "", fmt.Sprintf("begins with %s, so it is the id of %s; an id of %s begins with %s", full[:3], article(is), article(object), prefixOf(object)))
}

// IsRecordID reports whether an id of 18 characters may be that of a record of the object:
// those of standard objects tell themselves apart.
func IsRecordID(object, id string) bool {
	want := prefixOf(object)
	return want == "" || strings.HasPrefix(id, want)
}

// prefixOf is empty for a custom object.
func prefixOf(object string) string {
	for _, p := range prefixes {
		if p.object == object {
			return p.prefix
		}
	}
	return ""
}

func article(object string) string {
	switch {
	case object == "another object":
		return object
	case strings.ContainsRune("AEO", rune(object[0])):
		return "an " + object
	default:
		return "a " + object
	}
}
