package salesforce_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"sfrelay/shared/salesforce"
)

// Account changes of 3 KB with 40 fields, as an org with a few custom fields sends
// them. No two have the same values: the JSON package remembers short strings.
var accountCreates = func() (events [64][]byte) {
	for i := range events {
		events[i] = []byte(accountCreate(i))
	}
	return events
}()

func accountCreate(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa4%02d","detail-type":"AccountChangeEvent",`+
		`"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012","time":"2026-11-21T10:15:30Z",`+
		`"region":"eu-west-2","resources":[],"detail":{"schemaId":"UIovjRagY-xEDIJ1Ehzafg","id":"e981b488-81f3-4fcc-bd6f-f7033c9d7a%02d","payload":{`+
		`"ChangeEventHeader":{"entityName":"Account","recordIds":["0015f00002%05dAAA"],"changeType":"CREATE",`+
		`"changeOrigin":"com/salesforce/api/rest/66.0;client=crm","transactionKey":"0001ade9-3f74-0b99-dbc4-42e73424b7%02d","sequenceNumber":1,`+
		`"commitTimestamp":17637201290%02d,"commitNumber":17637201296836172%02d,"commitUser":"0055f000005mc66AAA"},`, n, n, n, n, n, n)
	fmt.Fprintf(&b, `"Name":"Example %02d Ltd","AccountNumber":"A-10%02d","Phone":"+44 20 0000 00%02d","Website":"https://example.com/%02d","Industry":"Manufacturing",`+
		`"CreatedDate":"2026-11-21T10:15:29.0%02dZ","CreatedById":"0055f000005mc66AAA","LastModifiedDate":"2026-11-21T10:15:29.0%02dZ",`+
		`"LastModifiedById":"0055f000005mc66AAA","OwnerId":"0055f000005mc66AAA","CleanStatus":"Pending","NumberOfEmployees":1%02d,"AnnualRevenue":12500%02d.50,`+
		`"BillingAddress":{"Street":"%02d Example Street","City":"London","State":"Greater London","PostalCode":"EC1A %02d","Country":"GB"},`+
		`"ShippingAddress":{"Street":"%02d Sample Street","City":"Leeds","State":"West Yorkshire","PostalCode":"LS1 %02d","Country":"GB"}`,
		n, n, n, n, n, n, n, n, n, n, n, n)
	for i := range 20 {
		fmt.Fprintf(&b, `,"Custom_Field_%02d__c":"value %02d of field %02d, as long as those that forms collect"`, i, n, i)
	}
	b.WriteString(`}}}`)
	return b.String()
}

// The same event as somebody would write it down who needs nothing of what the
// decoder is for.
type typedAccount struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     struct {
		SchemaID string `json:"schemaId"`
		ID       string `json:"id"`
		Payload  struct {
			Header struct {
				EntityName      string   `json:"entityName"`
				RecordIDs       []string `json:"recordIds"`
				ChangeType      string   `json:"changeType"`
				ChangeOrigin    string   `json:"changeOrigin"`
				TransactionKey  string   `json:"transactionKey"`
				SequenceNumber  int64    `json:"sequenceNumber"`
				CommitTimestamp int64    `json:"commitTimestamp"`
				CommitNumber    uint64   `json:"commitNumber"`
				CommitUser      string   `json:"commitUser"`
			} `json:"ChangeEventHeader"`
			Name, AccountNumber, Phone, Website, Industry                                      string
			CreatedDate, CreatedById, LastModifiedDate, LastModifiedById, OwnerId, CleanStatus string
			NumberOfEmployees                                                                  int64
			AnnualRevenue                                                                      float64
			BillingAddress, ShippingAddress                                                    struct{ Street, City, State, PostalCode, Country string }
			C00                                                                                string `json:"Custom_Field_00__c"`
			C01                                                                                string `json:"Custom_Field_01__c"`
			C02                                                                                string `json:"Custom_Field_02__c"`
			C03                                                                                string `json:"Custom_Field_03__c"`
			C04                                                                                string `json:"Custom_Field_04__c"`
			C05                                                                                string `json:"Custom_Field_05__c"`
			C06                                                                                string `json:"Custom_Field_06__c"`
			C07                                                                                string `json:"Custom_Field_07__c"`
			C08                                                                                string `json:"Custom_Field_08__c"`
			C09                                                                                string `json:"Custom_Field_09__c"`
			C10                                                                                string `json:"Custom_Field_10__c"`
			C11                                                                                string `json:"Custom_Field_11__c"`
			C12                                                                                string `json:"Custom_Field_12__c"`
			C13                                                                                string `json:"Custom_Field_13__c"`
			C14                                                                                string `json:"Custom_Field_14__c"`
			C15                                                                                string `json:"Custom_Field_15__c"`
			C16                                                                                string `json:"Custom_Field_16__c"`
			C17                                                                                string `json:"Custom_Field_17__c"`
			C18                                                                                string `json:"Custom_Field_18__c"`
			C19                                                                                string `json:"Custom_Field_19__c"`
		} `json:"payload"`
	} `json:"detail"`
}

func BenchmarkDecode(b *testing.B) {
	run := func(name string, decode func(raw []byte) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(accountCreates[0])))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if err := decode(accountCreates[n%len(accountCreates)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("sfrelay", func(raw []byte) error {
		_, err := salesforce.Decode(raw, salesforce.Options{})
		return err
	})
	run("typed-struct", func(raw []byte) error {
		var a typedAccount
		return json.Unmarshal(raw, &a)
	})
}

// The price of what the decoder does beyond plain unmarshalling. Time belongs into
// the benchmark; allocations are the same on every machine.
func TestDecodeAllocations(t *testing.T) {
	if n := len(accountCreates[0]); n < 2900 || n > 3300 {
		t.Fatalf("the event has %d bytes, want about 3 KB", n)
	}
	var a typedAccount
	if err := json.Unmarshal(accountCreates[0], &a); err != nil || a.Detail.Payload.C19 == "" {
		t.Fatal("the struct does not fit the event", err)
	}
	plain := testing.AllocsPerRun(10, func() {
		for _, raw := range accountCreates {
			var a typedAccount
			_ = json.Unmarshal(raw, &a)
		}
	})
	ours := testing.AllocsPerRun(10, func() {
		for _, raw := range accountCreates {
			_, _ = salesforce.Decode(raw, salesforce.Options{})
		}
	})
	t.Logf("allocations for %d events: %v, plain unmarshalling %v", len(accountCreates), ours, plain)
	if ours > 1.5*plain {
		t.Errorf("decoding allocates %v times, plain unmarshalling %v times: want at most 1.5 times as often", ours, plain)
	}
}
