package orgsandbox

import (
	"slices"
	"strings"
)

// object is an sObject as describe shows it.
type object struct {
	name, label, plural string
	prefix              string // of its ids
	event               bool   // a platform event: published, never stored
	publish             string // when; empty: after the commit
	setup               bool   // kept by Salesforce itself: clients cannot write it
	fields              []*field
	children            []child
}

// field is one field of an object.
type field struct {
	name     string
	kind     string // type as describe names it
	length   int
	parent   string // object that a reference leads to
	relation string // name of the reference in a query
	compound string // field that shows it with others
	readOnly bool
	required bool
}

// child is a relationship that a sub-select follows.
type child struct{ relation, object, field string }

// field finds a field; names of fields have no case in SOQL.
func (o *object) field(name string) *field {
	for _, f := range o.fields {
		if strings.EqualFold(f.name, name) {
			return f
		}
	}
	return nil
}

func (o *object) reference(relation string) *field {
	for _, f := range o.fields {
		if f.relation != "" && strings.EqualFold(f.relation, relation) {
			return f
		}
	}
	return nil
}

func text(length int, names ...string) (fields []*field) {
	for _, n := range names {
		fields = append(fields, &field{name: n, kind: "string", length: length})
	}
	return fields
}

func typed(kind string, names ...string) (fields []*field) {
	for _, n := range names {
		fields = append(fields, &field{name: n, kind: kind})
	}
	return fields
}

func lookup(name, parent string) []*field {
	return []*field{{name: name, kind: "reference", length: 18, parent: parent, relation: strings.TrimSuffix(name, "Id")}}
}

// address is a compound field and the parts that REST serves beside it.
func address(name string) []*field {
	fields := []*field{{name: name + "Address", kind: "address", readOnly: true}}
	for _, part := range []string{"Street", "City", "State", "PostalCode", "Country"} {
		kind := "string"
		if part == "Street" {
			kind = "textarea"
		}
		fields = append(fields, &field{name: name + part, kind: kind, length: 255, compound: name + "Address"})
	}
	return fields
}

// required marks fields that an insert must set.
func required(fields []*field) []*field {
	for _, f := range fields {
		f.required = true
	}
	return fields
}

func readOnly(fields []*field) []*field {
	for _, f := range fields {
		f.readOnly = true
	}
	return fields
}

// record fields that Salesforce keeps itself, in every object with rows.
func system() []*field {
	fields := []*field{{name: "Id", kind: "id", length: 18, readOnly: true}, {name: "IsDeleted", kind: "boolean", readOnly: true}}
	for _, f := range []*field{{name: "CreatedDate", kind: "datetime"}, lookup("CreatedById", "User")[0], {name: "LastModifiedDate", kind: "datetime"},
		lookup("LastModifiedById", "User")[0], {name: "SystemModstamp", kind: "datetime"}} {
		f.readOnly = true
		fields = append(fields, f)
	}
	return fields
}

// lasting is system in an object whose rows are never deleted.
func lasting() []*field {
	return slices.DeleteFunc(system(), func(f *field) bool { return f.name == "IsDeleted" })
}

func joined(lists ...[]*field) (fields []*field) {
	for _, l := range lists {
		fields = append(fields, l...)
	}
	return fields
}

// schema are the objects of the org: those that sfrelay's consumers read, and what
// clients ask for when they look around.
func schema() map[string]*object {
	all := []*object{
		{name: "Account", label: "Account", plural: "Accounts", prefix: "001",
			fields: joined(system(), readOnly(lookup("MasterRecordId", "Account")), required(text(255, "Name")), lookup("ParentId", "Account"), text(40, "AccountNumber"),
				typed("phone", "Phone"), typed("url", "Website"), typed("currency", "AnnualRevenue"), typed("picklist", "CurrencyIsoCode", "Industry", "Status__c"),
				typed("email", "Email__c"), text(40, "Tax_Number__c"), address("Billing"), address("Shipping"), lookup("OwnerId", "User")),
			children: []child{{"Contacts", "Contact", "AccountId"}, {"Opportunities", "Opportunity", "AccountId"}}},
		{name: "Contact", label: "Contact", plural: "Contacts", prefix: "003",
			fields: joined(system(), readOnly(lookup("MasterRecordId", "Contact")), lookup("AccountId", "Account"), text(40, "FirstName"), required(text(80, "LastName")),
				readOnly(text(121, "Name")), typed("email", "Email"), typed("phone", "Phone"), lookup("OwnerId", "User"))},
		{name: "Opportunity", label: "Opportunity", plural: "Opportunities", prefix: "006",
			fields: joined(system(), lookup("AccountId", "Account"), required(text(120, "Name")), required(typed("picklist", "StageName")), typed("currency", "Amount"),
				typed("percent", "Probability"), required(typed("date", "CloseDate")), typed("picklist", "CurrencyIsoCode"), typed("double", "Payment_Terms_Days__c"),
				readOnly(typed("boolean", "IsClosed", "IsWon")), readOnly(typed("datetime", "LastStageChangeDate")), lookup("OwnerId", "User")),
			children: []child{{"OpportunityLineItems", "OpportunityLineItem", "OpportunityId"}}},
		{name: "OpportunityLineItem", label: "Opportunity Product", plural: "Opportunity Product", prefix: "00k",
			fields: joined(system(), required(lookup("OpportunityId", "Opportunity")), lookup("Product2Id", "Product2"), text(255, "ProductCode", "Description"),
				required(typed("double", "Quantity")), typed("currency", "UnitPrice"), typed("percent", "Discount"), readOnly(typed("currency", "TotalPrice")))},
		{name: "Product2", label: "Product", plural: "Products", prefix: "01t",
			fields: joined(system(), required(text(255, "Name")), text(255, "ProductCode"))},
		{name: "User", label: "User", plural: "Users", prefix: "005", setup: true,
			fields: joined(lasting(), text(80, "Username"), text(121, "Name"), typed("email", "Email"), typed("boolean", "IsActive"))},
		{name: "Organization", label: "Organization", plural: "Organizations", prefix: "00D", setup: true,
			fields: joined(lasting(), text(80, "Name"), typed("picklist", "OrganizationType"), text(5, "InstanceName"), text(15, "NamespacePrefix"),
				typed("boolean", "IsSandbox"), typed("datetime", "TrialExpirationDate"))},
		{name: "EventRelayFeedback", label: "Event Relay Feedback", plural: "Event Relay Feedbacks", prefix: "1ER", setup: true,
			fields: joined(system(), lookup("EventRelayConfigId", "EventRelayConfig"), text(255, "EventRelayNumber"), typed("picklist", "Status"), text(128, "ErrorCode"),
				text(255, "ErrorIdentifier", "RemoteResource"), text(1024, "ErrorMessage"), typed("datetime", "ErrorTime", "LastRelayedEventTime"))},
	}
	objects := map[string]*object{}
	for _, o := range slices.Concat(all, platformEvents(), setupObjects()) {
		objects[o.name] = o
	}
	for name, fields := range relayFields {
		objects[name] = &object{name: name, label: name, plural: name, prefix: relayPrefix[name], setup: true, fields: joined(system(), text(80, "DeveloperName", "MasterLabel"), text(255, fields...))}
	}
	return objects
}

// platformEvents are those of salesforce's side of sfrelay, as events/ shows them.
func platformEvents() []*object {
	event := platformEvent
	return []*object{
		event("Cloud_Customer_Sync__e", joined(text(255, "Event_Id__c", "Record_Id__c", "Operation__c", "Payload_Style__c", "Name__c", "Account_Number__c", "Status__c", "Phone__c", "Website__c",
			"Email__c", "Tax_Number__c", "Currency__c", "Billing_Street__c", "Billing_City__c", "Billing_State__c", "Billing_Postal_Code__c", "Billing_Country__c",
			"Shipping_Street__c", "Shipping_City__c", "Shipping_State__c", "Shipping_Postal_Code__c", "Shipping_Country__c"), typed("datetime", "Record_Modified_At__c"))),
		event("Opportunity_Won__e", joined(text(255, "Event_Id__c", "Record_Id__c", "Account_Id__c", "Name__c", "Currency__c"), typed("textarea", "Lines__c"),
			typed("double", "Amount__c", "Payment_Terms_Days__c"), typed("date", "Close_Date__c"), typed("datetime", "Record_Modified_At__c"))),
		event("Inventory_Update__e", joined(text(255, "Event_Id__c", "Sku__c", "Warehouse__c", "Unit__c"), typed("double", "Quantity_On_Hand__c"), typed("datetime", "Record_Modified_At__c"))),
	}
}

func platformEvent(name string, fields []*field) *object {
	return &object{name: name, label: strings.ReplaceAll(strings.TrimSuffix(name, "__e"), "_", " "), prefix: "e01", event: true,
		fields: joined(text(36, "EventUuid", "ReplayId"), typed("datetime", "CreatedDate"), lookup("CreatedById", "User"), fields, typed("double", "Sequence__c"), typed("textarea", "Fields__c"))}
}
