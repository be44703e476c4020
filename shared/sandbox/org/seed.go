package orgsandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// seed makes the org's own rows and, unless it shall be empty, the customers and deals
// of events/ as those events leave them. It emits nothing: the past is not told.
func (s *Org) seed() {
	s.mustCommit("Organization", s.options.OrgID, map[string]any{"Name": "sfrelay sandbox", "OrganizationType": "Developer Edition", "InstanceName": "EUX1", "IsSandbox": true})
	s.mustCommit("User", UserID, map[string]any{"Username": username, "Name": "Integration User", "Email": "integration@sfrelay.example", "IsActive": true})
	s.seedRights()
	if s.options.Empty {
		return
	}
	for i, a := range customers {
		account := map[string]any{
			"Name": a.name, "AccountNumber": fmt.Sprintf("A-10%02d", a.number), "Phone": a.phone, "Website": a.website, "CurrencyIsoCode": "EUR", "Status__c": a.status,
			"Tax_Number__c": "DE000000000", "Email__c": a.email, "BillingStreet": a.street, "BillingCity": "Berlin", "BillingPostalCode": "10115", "BillingCountry": "DE",
			"ShippingStreet": a.delivery, "ShippingCity": a.city, "ShippingPostalCode": a.postal, "ShippingCountry": "DE", "OwnerId": UserID}
		maps.DeleteFunc(account, func(_ string, v any) bool { return v == "" })
		id := fmt.Sprintf("0015f00002%05dAAA", a.number)
		s.was("Account", id, a.created, a.modified, account)
		s.mustCommit("Contact", fmt.Sprintf("0035f00004%05dAAA", i+1), map[string]any{
			"AccountId": id, "FirstName": "Robin", "LastName": "Example", "Email": a.email, "OwnerId": UserID})
	}
	s.was("Account", "0015f0000200004AAA", "09:00:05", "09:00:05", map[string]any{"Name": "Delta Example Ltd", "OwnerId": UserID})
	s.apply(s.objects["Account"], change{kind: "DELETE", id: "0015f0000200004AAA"}, clock("09:54:00"), s.past("09:54:00"))
	line := 0
	for _, d := range deals {
		id := fmt.Sprintf("0065f00003%05dAAA", d.number)
		s.was("Opportunity", id, d.modified, d.modified, map[string]any{
			"AccountId": fmt.Sprintf("0015f00002%05dAAA", d.account), "Name": d.name, "StageName": "Closed Won", "Amount": d.amount, "Probability": json.Number("100"),
			"CloseDate": "2026-11-21", "CurrencyIsoCode": "EUR", "Payment_Terms_Days__c": json.Number("30"), "OwnerId": UserID})
		for _, l := range d.lines {
			line++
			s.was("OpportunityLineItem", fmt.Sprintf("00k5f00005%05dAAA", line), d.modified, d.modified, map[string]any{
				"OpportunityId": id, "Product2Id": s.product(l, d.modified), "ProductCode": l.sku, "Description": l.description, "Quantity": l.quantity, "UnitPrice": l.price})
		}
	}
	s.events = nil
}

// product is the id of the product of a line, which is made when it is first sold.
func (s *Org) product(l dealLine, at string) string {
	id := "01t5f0000600001AAA"
	if l.sku != "SKU-100" {
		id = "01t5f0000600002AAA"
	}
	if s.records[id] == nil {
		s.was("Product2", id, at, at, map[string]any{"Name": l.description, "ProductCode": l.sku})
	}
	return id
}

// clock is a time of the day of events/.
func clock(at string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-21 "+at)
	if err != nil {
		panic(err) // all are constants
	}
	return t
}

// past is when a write of that day is seen: at once in an org whose own clock is behind it.
func (s *Org) past(at string) time.Time {
	if t := clock(at); t.Before(s.now()) {
		return t
	}
	return s.now()
}

// was makes a row as an event of that day left it: it has the event's time, so that what is
// read of it is neither older nor newer than the event says.
func (s *Org) was(object, id, created, modified string, values map[string]any) {
	values["CreatedDate"] = clock(created)
	s.apply(s.objects[object], change{kind: "CREATE", id: id, values: values}, clock(modified), s.past(modified))
}

type customer struct {
	number                                                              int
	created, modified                                                   string // times of the day of events/
	name, phone, website, status, email, street, delivery, city, postal string
}

type deal struct {
	number, account int
	modified        string
	name            string
	amount          json.Number
	lines           []dealLine
}

type dealLine struct {
	sku, description string
	quantity, price  json.Number
}

var customers = []customer{
	{1, "09:00:00", "09:50:00", "Alpha Example Ltd", "+49 30 0000 50", "https://alpha.example", "Preferred", "billing@alpha.example", "50 Sample Street", "51 Sample Street", "Hamburg", "20095"},
	{2, "09:00:05", "09:53:00", "Beta Example Holding Ltd", "+49 30 0000 47", "", "Preferred", "accounts@beta.example", "1 Sample Street", "2 Sample Street", "Berlin", "10115"},
	{3, "09:00:05", "09:48:30", "Gamma Example Ltd", "+49 30 0000 35", "https://gamma.example", "Preferred", "billing@gamma.example", "1 Sample Street", "2 Sample Street", "Berlin", "10115"},
	{5, "10:14:00", "10:20:00", "Epsilon Example Ltd", "+49 30 0000 01", "https://epsilon.example", "Active", "billing@epsilon.example", "1 Sample Street", "2 Sample Street", "Berlin", "10115"},
	{6, "11:20:00", "11:20:00", "Zeta Example Ltd", "+49 30 0000 01", "https://zeta.example", "Active", "billing@zeta.example", "1 Sample Street", "2 Sample Street", "Berlin", "10115"},
	{8, "08:00:00", "09:58:00", "Theta Example Ltd", "+49 30 0000 63", "https://theta.example", "Active", "billing@theta.example", "1 Sample Street", "2 Sample Street", "Berlin", "10115"},
	{7, "11:10:00", "11:12:00", "Eta Example Ltd", "+49 30 0000 01", "https://eta.example", "Active", "billing@eta.example", "1 Sample Street", "2 Sample Street", "Berlin", "10115"},
}

var deals = []deal{
	{1, 1, "10:06:00", "Alpha widgets", "1000.00", []dealLine{{"SKU-100", "Example widget", "10", "100.00"}}},
	{2, 2, "10:12:00", "Beta widgets", "990.00", []dealLine{{"SKU-100", "Example widget", "9", "110.00"}}},
	{3, 5, "10:15:00", "Epsilon widgets", "99.90", []dealLine{{"SKU-100", "Example widget", "1", "99.90"}}},
	{4, 7, "11:11:00", "Eta widgets", "99.90", []dealLine{{"SKU-100", "Example widget", "1", "99.90"}}},
}
