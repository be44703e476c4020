package salesforce_test

import (
	"testing"

	"sfrelay/shared/salesforce"
)

const updateContact = `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":"ContactChangeEvent",
 "source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","time":"2025-04-24T13:18:27Z","detail":{"payload":
{"LastModifiedDate":"2025-04-24T13:18:26.000Z",
 "Name":{"LastName":"Youngest"},
 "ChangeEventHeader":{"commitNumber":1745500706683617281,"commitUser":"005ak00000EpjsfAAB","sequenceNumber":1,
  "entityName":"Contact","changeType":"UPDATE","changedFields":["LastModifiedDate","Name.LastName"],
  "changeOrigin":"com/salesforce/api/soap/63.0;client=SfdcInternalAPI/",
  "transactionKey":"0000be70-a756-e601-9202-32967602a6be","commitTimestamp":1745500706000,
  "recordIds":["003ak00000IiFInAAN"]}}}}`

func TestDecodeUpdate(t *testing.T) {
	e, err := salesforce.Decode([]byte(updateContact), salesforce.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := e.Changes[0]
	// 1745500706000 ms, 1745500706683617281, 1
	if got, want := c.Version.String()[:32], "019667f314d0183943a5091200010001"; got != want {
		t.Errorf("version %s, want %s", got, want)
	}
	if v, ok := c.Fields.Lookup("Name.LastName"); !ok || v.Raw() != `"Youngest"` {
		t.Errorf("Name.LastName = %s, %v", v.Raw(), ok)
	}
}
