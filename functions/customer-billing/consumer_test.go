package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
)

const account = "0015f00002J9YYEAA3"

// register is a billing system without versions: the guard alone keeps order.
type register struct {
	name, phone sink.Field[string]
	links       []string
	retired     bool
}

func (r *register) Contract() sink.Contract { return sink.Contract{KeyWindow: 72e12, Lookup: true} }

func (r *register) Save(_ context.Context, ref sink.Ref, id string, c billing.Customer) (sink.Receipt, error) {
	if id != account {
		return sink.Receipt{}, fmt.Errorf("unexpected account")
	}
	r.links = append(r.links, ref.Link)
	if c.Name.Present {
		r.name = c.Name
	}
	if c.Phone.Present {
		r.phone = c.Phone
	}
	r.retired = false
	return sink.Receipt{Link: "cus_1"}, nil
}

func (r *register) Retire(context.Context, sink.Ref, string) (sink.Receipt, error) {
	r.retired = true
	return sink.Receipt{}, nil
}

func envelope(detailType, payload string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":%q,
		"source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","account":"123456789012",
		"time":"2026-11-22T11:00:59Z","region":"eu-west-1","resources":[],"detail":{"payload":%s}}`, detailType, payload)
}

// update is a change event of the phone number in the given second.
func update(second int, phone string) []byte {
	return envelope("AccountChangeEvent", fmt.Sprintf(`{"ChangeEventHeader":{"entityName":"Account","recordIds":[%q],
		"changeType":"UPDATE","changedFields":["Phone"],"changeOrigin":"","transactionKey":"0001ade9-3f74-0b99-dbc4-42e73424b77%d",
		"sequenceNumber":1,"commitTimestamp":17953452%02d000,"commitNumber":1745500706683617%03d,
		"commitUser":"0055f000005mc66AAA"},"Phone":%q}`, account, second, second, second, phone))
}

// customerSync is a platform event with the name and phone of the given second (of
// 2026-11-22T11:00, which is commitTimestamp 1795345200000).
func customerSync(second int, name, phone string) []byte {
	return envelope("Cloud_Customer_Sync__e", fmt.Sprintf(`{"CreatedDate":"2026-11-22T11:00:%02d.700Z",
		"Event_Id__c":"e981b488-81f3-4fcc-bd6f-f7033c9d7a%02d","Record_Id__c":%q,"Operation__c":"UPSERT",
		"Record_Modified_At__c":"2026-11-22T11:00:%02d.000Z","Name__c":%q,"Phone__c":%q}`, second, second, account, second, name, phone))
}

func TestBothSourcesFeedOneCustomer(t *testing.T) {
	for seed := range uint64(50) {
		r := &register{}
		consumertest.New(t, customer(r)).Duplicate(2).Shuffle(seed).Send(
			customerSync(1, "Example Ltd", "1"), update(2, "2"), customerSync(3, "Example AG", "3"), update(4, "4"),
			// Within a second the change event wins: it says what was committed.
			update(5, "five"), customerSync(5, "Example AG", "5"),
		)
		if r.name != sink.Set("Example AG") || r.phone != sink.Set("five") {
			t.Fatalf("seed %d: billing ends with %+v", seed, r)
		}
	}
}

func TestTheLinkIsRememberedInTheItem(t *testing.T) {
	r := &register{}
	consumertest.New(t, customer(r)).Send(customerSync(1, "Example Ltd", "1"), update(2, "2"))
	if fmt.Sprint(r.links) != "[ cus_1]" {
		t.Fatalf("links handed to the connector: %q", r.links)
	}
}

func TestAThinEventIsParkedForAFetch(t *testing.T) {
	kit := consumertest.New(t, customer(&register{}))
	kit.Send(envelope("Cloud_Customer_Sync__e", `{"CreatedDate":"2026-11-22T11:00:01.000Z","Event_Id__c":"e981b488-81f3-4fcc-bd6f-f7033c9d7a01",
		"Record_Id__c":"`+account+`","Operation__c":"UPSERT","Payload_Style__c":"THIN","Record_Modified_At__c":"2026-11-22T11:00:00.000Z"}`))
	kit.Want("parked")
	if p := kit.Parked()[0]; p.Class != "needs-fetch" {
		t.Fatalf("parked %+v", p)
	}
}

func TestAPlatformEventPublishedTwoMinutesLate(t *testing.T) {
	// Saved at :10, published two minutes later; the phone changed at :30.
	late := bytes.Replace(customerSync(10, "Example Ltd", "old"), []byte("11:00:10.700Z"), []byte("11:02:10.700Z"), 1)
	for seed := range uint64(20) {
		r := &register{}
		consumertest.New(t, customer(r)).Shuffle(seed).Send(late, update(30, "new"))
		if r.phone != sink.Set("new") || r.name != sink.Set("Example Ltd") {
			t.Fatalf("seed %d: billing ends with %+v", seed, r)
		}
	}
}

func TestAGapInTheSecondOfAnotherChange(t *testing.T) {
	gap := bytes.ReplaceAll(update(5, "x"), []byte(`"UPDATE","changedFields":["Phone"]`), []byte(`"GAP_UPDATE"`))
	gap = bytes.Replace(gap, []byte(`,"Phone":"x"`), nil, 1)
	for seed := range uint64(20) {
		r := &register{}
		kit := consumertest.New(t, customer(r)).Shuffle(seed)
		kit.Send(customerSync(1, "Example Ltd", "1"), update(5, "five"), gap)
		if r.phone != sink.Set("five") {
			t.Fatalf("seed %d: billing ends with %+v", seed, r)
		}
		if p := kit.Parked(); len(p) != 1 || p[0].Class != "needs-fetch" {
			t.Fatalf("seed %d: parked %+v", seed, p)
		}
	}
}
