package consumer

import "strings"

// addresses are the compound address fields of standard objects. Change events name
// their components "BillingAddress.Street"; queries and pages say BillingStreet.
var addresses = []string{"Billing", "Shipping", "Mailing", "Other", "PersonMailing", "PersonOther"}

var components = []string{
	"Street", "City", "State", "StateCode", "PostalCode", "Country", "CountryCode", "Latitude", "Longitude", "GeocodeAccuracy",
}

// leafOf is what change events call a field that the reader named as queries do; empty
// where they call it the same. A field by its other name would never be found, and
// never be missed.
func leafOf(path string) string {
	for _, address := range addresses {
		part, ok := strings.CutPrefix(path, address)
		if !ok {
			continue
		}
		for _, c := range components {
			if part == c {
				return address + "Address." + c
			}
		}
	}
	switch {
	case path == "FirstName" || path == "MiddleName" || path == "LastName" || path == "Salutation" || path == "Suffix":
		return "Name." + path
	case strings.HasSuffix(path, "__Latitude__s"):
		return strings.TrimSuffix(path, "__Latitude__s") + "__c.Latitude"
	case strings.HasSuffix(path, "__Longitude__s"):
		return strings.TrimSuffix(path, "__Longitude__s") + "__c.Longitude"
	case strings.HasSuffix(path, "__pc"):
		return strings.TrimSuffix(path, "__pc") + "__c of ContactChangeEvent"
	default:
		return ""
	}
}
