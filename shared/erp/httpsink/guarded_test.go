package httpsink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/guard"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/faults"
)

// contact is what this test's consumer reads of an account.
type contact struct {
	Name  sink.Field[string] `guard:"n" cdc:"Name"`
	Phone sink.Field[string] `guard:"p" cdc:"Phone"`
	City  sink.Field[string] `guard:"c" cdc:"BillingAddress.City"`
}

// event is the n-th change of the record as the relay sends it: CREATE, UPDATE,
// DELETE or UNDELETE, with the fields it set, nil for null.
func event(t *testing.T, n int, kind string, c map[string]any) []byte {
	t.Helper()
	at := time.Date(2026, 11, 21, 9, 0, n, 0, time.UTC)
	header := map[string]any{
		"entityName": "Account", "recordIds": []string{accountID}, "changeType": kind, "changeOrigin": "com/salesforce/api/rest/66.0;client=crm",
		"transactionKey": fmt.Sprintf("0000be70-a756-e601-9202-%012d", n), "sequenceNumber": 1,
		"commitTimestamp": at.UnixMilli(), "commitNumber": 1795251600683617000 + n, "commitUser": "0055f0000100001AAA",
	}
	payload := map[string]any{"ChangeEventHeader": header}
	changed := []string{}
	for name, v := range c {
		if name == "City" {
			changed = append(changed, "BillingAddress.City")
			payload["BillingAddress"] = map[string]any{"City": v}
			continue
		}
		changed = append(changed, name)
		payload[name] = v
	}
	if kind != "UPDATE" {
		changed = []string{}
	}
	header["changedFields"] = changed
	b, err := json.Marshal(map[string]any{
		"version": "0", "id": fmt.Sprintf("c0000000-0000-4000-8000-%012d", n), "detail-type": "AccountChangeEvent",
		"source":  "aws.partner/salesforce.com/" + org + "/0YL000000000002GAA",
		"account": "123456789012", "time": at.Add(time.Second).Format(time.RFC3339), "region": "eu-west-2", "resources": []string{},
		"detail": map[string]any{"payload": payload},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Guard and connector together, over an ERP that fails in every way: changes come
// twice and in any order, and in the end the customer is what the commits in their
// order come to, retired if the last of them is a delete.
func TestGuardedCustomerEndsInTheNewest(t *testing.T) {
	kinds := []faults.Kind{faults.Down, faults.Unavailable, faults.Throttled, faults.ErrorBefore, faults.ErrorAfter, faults.LostResponse}
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			s, _, c := newSandbox(t)
			customers := c.Customers()
			kit := consumertest.New(t, consumer.Consumer[contact]{
				Name: "customer-erp", Takes: []consumer.Source{consumer.ChangeEvents("Account")},
				Policy: guard.FieldMerge, Sink: customers.Contract(),
				Apply: func(ctx context.Context, a consumer.Attempt[contact]) (sink.Receipt, error) {
					v := erp.Customer{Name: a.Content.Name, Phone: a.Content.Phone, BillingAddress: erp.Address{City: a.Content.City}}
					switch {
					case a.Deleted:
						return customers.Delete(ctx, a.Ref, a.RecordID)
					case a.Whole:
						return customers.Put(ctx, a.Ref, a.RecordID, v)
					default:
						return customers.Patch(ctx, a.Ref, a.RecordID, v)
					}
				},
			})

			// What is committed, and what it comes to in the order of the commits.
			full := func(n int) map[string]any {
				return map[string]any{"Name": fmt.Sprintf("Acme %d", n), "Phone": fmt.Sprint(n), "City": fmt.Sprintf("City %d", n)}
			}
			want, retired := full(0), false
			events := [][]byte{event(t, 0, "CREATE", want)}
			for n := 1; n < 8; n++ {
				if retired {
					want, retired = full(n), false
					events = append(events, event(t, n, "UNDELETE", want))
					continue
				}
				if r.IntN(4) == 0 {
					retired = true
					events = append(events, event(t, n, "DELETE", nil))
					continue
				}
				c := map[string]any{}
				for name, v := range full(n) {
					switch r.IntN(4) {
					case 0:
						c[name] = v
					case 1:
						c[name] = nil
					}
				}
				if len(c) == 0 {
					c["Phone"] = fmt.Sprint(n)
				}
				events = append(events, event(t, n, "UPDATE", c))
				for name, v := range c {
					want[name] = v
				}
			}
			events = append(events, events[r.IntN(len(events))], events[r.IntN(len(events))]) // re-sent by the relay
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			for _, e := range events {
				for range r.IntN(3) {
					if err := s.Faults.Add(faults.Fault{Kind: kinds[r.IntN(len(kinds))], Times: 1 + r.IntN(3)}); err != nil {
						t.Fatal(err)
					}
				}
				kit.Send(e)
				s.Faults.Clear()
			}
			for range 5 {
				kit.Pass(2 * time.Hour)
				kit.Redrive()
			}
			if n := len(kit.Parked()) + kit.Failed(); n > 0 {
				t.Fatalf("%d changes are still in the failure queue: %+v", n, kit.Parked())
			}
			got, _ := s.Record("customer", org, accountID)
			if retired {
				// Where the delete came first of all, there never was a customer.
				if !got.Retired && got.ID != "" {
					t.Error("the customer is not retired")
				}
				return // what a retired customer was called does not matter
			}
			if got.Retired {
				t.Error("the customer is retired")
			}
			address, _ := got.Fields["billingAddress"].(map[string]any)
			for name, v := range map[string]any{"Name": got.Fields["name"], "Phone": got.Fields["phone"], "City": address["city"]} {
				if v != want[name] {
					t.Errorf("%s = %v, want %v", name, v, want[name])
				}
			}
		})
	}
}
