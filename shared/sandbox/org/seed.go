package orgsandbox

import (
	"encoding/json"
	"fmt"
	"maps"
)

// seed makes the org's own rows and, unless it shall be empty, the customers and deals
// of events/ as those events leave them. It emits nothing: the past is not told.
func (s *Org) seed() {
	s.mustCommit("Organization", OrgID, map[string]any{"Name": "sfrelay sandbox", "OrganizationType": "Developer Edition", "InstanceName": "EUX1", "IsSandbox": true})
	s.mustCommit("User", UserID, map[string]any{"Username": username, "Name": "Integration User", "Email": "integration@sfrelay.example", "IsActive": true})
	if s.options.Empty {
		return
	}
	for i, a := range customers {
		account := map[string]any{
			"Name": a.name, "AccountNumber": fmt.Sprintf("A-10%02d", a.number), "Phone": a.phone, "Website": a.website, "CurrencyIsoCode": "EUR", "Status__c": a.status,
			"Tax_Number__c": "DE000000000", "Email__c": a.email, "BillingStreet": a.street, "BillingCity": "Berlin", "BillingPostalCode": "10115", "BillingCountry": "DE",
			"ShippingStreet": "2 Sample Street", "ShippingCity": a.city, "ShippingPostalCode": a.postal, "ShippingCountry": "DE", "OwnerId": UserID}
		maps.DeleteFunc(account, func(_ string, v any) bool { return v == "" })
		s.mustCommit("Account", fmt.Sprintf("0015f00002%05dAAA", a.number), account)
		s.mustCommit("Contact", fmt.Sprintf("0035f00004%05dAAA", i+1), map[string]any{
			"AccountId": fmt.Sprintf("0015f00002%05dAAA", a.number), "FirstName": "Robin", "LastName": "Example", "Email": a.email, "OwnerId": UserID})
	}
	line := 0
	for _, d := range deals {
		id := fmt.Sprintf("0065f00003%05dAAA", d.number)
		s.mustCommit("Opportunity", id, map[string]any{
			"AccountId": fmt.Sprintf("0015f00002%05dAAA", d.account), "Name": d.name, "StageName": "Closed Won", "Amount": d.amount, "Probability": json.Number("100"),
			"CloseDate": "2026-11-21", "CurrencyIsoCode": "EUR", "Payment_Terms_Days__c": json.Number("30"), "OwnerId": UserID})
		for _, l := range d.lines {
			line++
			s.mustCommit("OpportunityLineItem", fmt.Sprintf("00k5f00005%05dAAA", line), map[string]any{
				"OpportunityId": id, "ProductCode": l.sku, "Description": l.description, "Quantity": l.quantity, "UnitPrice": l.price})
		}
	}
	s.events = nil
}

type customer struct {
	number                                                    int
	name, phone, website, status, email, street, city, postal string
}

type deal struct {
	number, account int
	name            string
	amount          json.Number
	lines           []dealLine
}

type dealLine struct {
	sku, description string
	quantity, price  json.Number
}

var customers = []customer{
	{1, "Alpha Example Ltd", "+49 30 0000 50", "https://alpha.example", "Preferred", "billing@alpha.example", "50 Sample Street", "Hamburg", "20095"},
	{2, "Beta Example Holding Ltd", "+49 30 0000 47", "", "Preferred", "accounts@beta.example", "1 Sample Street", "Berlin", "10115"},
	{3, "Gamma Example Ltd", "+49 30 0000 35", "https://gamma.example", "Preferred", "billing@gamma.example", "1 Sample Street", "Berlin", "10115"},
	{5, "Epsilon Example Ltd", "+49 30 0000 01", "https://epsilon.example", "Active", "billing@epsilon.example", "1 Sample Street", "Berlin", "10115"},
	{6, "Zeta Example Ltd", "+49 30 0000 01", "https://zeta.example", "Active", "billing@zeta.example", "1 Sample Street", "Berlin", "10115"},
	{7, "Eta Example Ltd", "+49 30 0000 01", "https://eta.example", "Active", "billing@eta.example", "1 Sample Street", "Berlin", "10115"},
}

var deals = []deal{
	{1, 1, "Alpha widgets", "1250.50", []dealLine{{"SKU-100", "Example widget", "10", "100.00"}, {"SKU-200", "Example service", "1", "250.50"}}},
	{2, 2, "Beta widgets", "990.00", []dealLine{{"SKU-100", "Example widget", "9", "110.00"}}},
	{3, 5, "Epsilon widgets", "99.90", []dealLine{{"SKU-100", "Example widget", "1", "99.90"}}},
	{4, 7, "Eta widgets", "99.90", []dealLine{{"SKU-100", "Example widget", "1", "99.90"}}},
}
