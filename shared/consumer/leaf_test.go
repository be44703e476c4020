package consumer

import "testing"

// Written by hand: Change Data Capture Developer Guide, "Compound Fields in Change Events".
func TestLeafOf(t *testing.T) {
	for _, tc := range [][3]string{
		{"Account", "BillingStreet", "BillingAddress.Street"},
		{"Account", "PersonMailingCity", "PersonMailingAddress.City"},
		{"Contact", "LastName", "Name.LastName"},
		{"Lead", "Street", "Address.Street"},
		{"Account", "Place__Latitude__s", "Place__c.Latitude"},
		{"Account", "Gender__pc", "Gender__c of ContactChangeEvent"},
		{"Account", "Street", ""},
		{"Account", "Name", ""},
		{"Account", "BillingAddress.Street", ""},
		{"Account", "Place__c.Latitude", ""},
		{"Account", "PersonEmail", ""},
		{"Account", "Email__c", ""},
	} {
		if got := leafOf(tc[0], tc[1]); got != tc[2] {
			t.Errorf("%s.%s is the leaf %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}
