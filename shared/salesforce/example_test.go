package salesforce_test

import (
	"errors"
	"fmt"

	"sfrelay/shared/salesforce"
)

// A change event is a delta: only the fields that it names may be applied.
func ExampleDecode() {
	event, err := salesforce.Decode([]byte(`{
		"id": "5c42b99e-c214-4a9c-8fbd-1a41e5faa44a", "detail-type": "AccountChangeEvent", "time": "2025-04-24T13:18:27Z",
		"source": "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS",
		"detail": {"payload": {
			"ChangeEventHeader": {
				"entityName": "Account", "recordIds": ["0015f00002J9YYE"], "changeType": "UPDATE",
				"changedFields": ["BillingAddress.City", "Phone"], "commitTimestamp": 1745500706000,
				"commitNumber": 1745500706683617281, "sequenceNumber": 1,
				"transactionKey": "0000be70-a756-e601-9202-32967602a6be"
			},
			"BillingAddress": {"City": "Leeds"}, "Phone": null, "External_Id__c": "X-1"
		}}}`), salesforce.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, change := range event.Changes {
		fmt.Println(change.Type, change.Entity, change.RecordID, "at", change.Version.Time())
		for _, name := range []string{"BillingAddress.City", "Phone", "External_Id__c", "Name"} {
			switch value, ok := change.Fields.Lookup(name); {
			case ok && value.Null():
				fmt.Println(name, "was emptied")
			case ok:
				text, _ := value.Text()
				fmt.Println(name, "is", text)
			case value.Enriched():
				fmt.Println(name, "was added at delivery")
			default:
				fmt.Println(name, "was not changed")
			}
		}
	}
	// Output:
	// UPDATE Account 0015f00002J9YYEAA3 at 2025-04-24 13:18:26 +0000 UTC
	// BillingAddress.City is Leeds
	// Phone was emptied
	// External_Id__c was added at delivery
	// Name was not changed
}

func ExampleDecodeError() {
	_, err := salesforce.Decode([]byte(`{"detail-type":"Note__e","source":"aws.s3","detail":{}}`), salesforce.Options{})
	if refusal, ok := errors.AsType[*salesforce.DecodeError](err); ok {
		fmt.Println(refusal.Name)
		fmt.Println(refusal.Where)
		fmt.Println(refusal.What)
	}
	// Output:
	// foreign-source
	// /source
	// want aws.partner/salesforce.com/<org id>/<channel>
}

func ExampleID18() {
	id, err := salesforce.ID18("0015f00002J9YYE")
	fmt.Println(id, err)
	_, err = salesforce.ID18("0015f00002j9yyeAA3")
	fmt.Println(err)
	// Output:
	// 0015f00002J9YYEAA3 <nil>
	// invalid-id: the last three characters do not fit the case of the first fifteen: some system on the way changed the case
}
