package httpsink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sandbox/faults"
	"sfrelay/shared/sink"
)

// contact is what this test's consumer reads of an account.
type contact struct {
	Name  sink.Field[string] `guard:"n" cdc:"Name"`
	Phone sink.Field[string] `guard:"p" cdc:"Phone"`
	City  sink.Field[string] `guard:"c" cdc:"BillingAddress.City"`
}

// event is the n-th change of the record as the relay sends it: CREATE, UPDATE,
// DELETE or UNDELETE, with the fields it set, nil for null.
func event(n int, kind string, c map[string]any) []byte {
	fields := map[string]any{}
	for name, v := range c {
		if name == "City" {
			name = "BillingAddress.City"
		}
		fields[name] = v
	}
	return consumertest.Change{Object: "Account", Kind: kind, IDs: []string{accountID}, Second: n, Fields: fields}.Event()
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
			write := func(c contact) erp.Customer {
				return erp.Customer{Name: c.Name, Phone: c.Phone, BillingAddress: erp.Address{City: c.City}}
			}
			kit := consumertest.New(t, consumer.Record[contact]{
				Name: "customer-erp", Object: "Account", Changes: true, To: customers,
				Put: func(ctx context.Context, ref sink.Ref, id string, c contact) (sink.Receipt, error) {
					return customers.Put(ctx, ref, id, write(c))
				},
				Patch: func(ctx context.Context, ref sink.Ref, id string, c contact) (sink.Receipt, error) {
					return customers.Patch(ctx, ref, id, write(c))
				},
				Delete: customers.Delete,
			}, consumertest.WithoutDeadline())

			// What is committed, and what it comes to in the order of the commits.
			full := func(n int) map[string]any {
				return map[string]any{"Name": fmt.Sprintf("Acme %d", n), "Phone": fmt.Sprint(n), "City": fmt.Sprintf("City %d", n)}
			}
			want, retired := full(0), false
			events := [][]byte{event(0, "CREATE", want)}
			for n := 1; n < 8; n++ {
				if retired {
					want, retired = full(n), false
					events = append(events, event(n, "UNDELETE", want))
					continue
				}
				if r.IntN(4) == 0 {
					retired = true
					events = append(events, event(n, "DELETE", nil))
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
				events = append(events, event(n, "UPDATE", c))
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
			got, _ := s.Record("customer", consumertest.Org, accountID)
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
