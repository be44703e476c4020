// Code generated from testdata/describe.tsv by RESTNAMES=write go test -run TestTheTableIsThatOfTheDescribes; DO NOT EDIT.

package salesforce

var addressParts = []string{"City", "Country", "CountryCode", "GeocodeAccuracy", "Latitude", "Longitude", "PostalCode", "State",
	"StateCode", "Street"}

var nameParts = []string{"FirstName", "LastName", "MiddleName", "Salutation", "Suffix"}

// compounds are those of standard objects.
var compounds = [...]compound{
	{"Name", "", "", nameParts},
	{"Address", "", "Lead", addressParts},
	{"BillingAddress", "Billing", "", addressParts},
	{"MailingAddress", "Mailing", "", addressParts},
	{"OtherAddress", "Other", "", addressParts},
	{"PersonMailingAddress", "PersonMailing", "", addressParts},
	{"PersonOtherAddress", "PersonOther", "", addressParts},
	{"ShippingAddress", "Shipping", "", addressParts},
}

// personFields are fields of Contact that Account has with the prefix Person.
var personFields = [...]string{"AssistantName", "AssistantPhone", "Birthdate", "Department", "DoNotCall", "Email", "EmailBouncedDate", "EmailBouncedReason",
	"GenderIdentity", "HasOptedOutOfEmail", "HasOptedOutOfFax", "HomePhone", "IndividualId", "LastCURequestDate", "LastCUUpdateDate", "LeadSource",
	"MobilePhone", "OtherPhone", "Pronouns", "Title"}
