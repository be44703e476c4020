package stripe_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
)

// contact is what this test's consumer reads of an account.
type contact struct {
	Name  sink.Field[string] `guard:"n" cdc:"Name"`
	Phone sink.Field[string] `guard:"p" cdc:"Phone"`
	City  sink.Field[string] `guard:"c" cdc:"BillingAddress.City"`
}

// change is one committed change: which fields it set, nil for null.
type change map[string]any

// event is a change as the relay sends it, the n-th of the record.
func event(n int, c change) []byte {
	if n == 0 {
		return consumertest.Create("Account", accountID, n, path(c))
	}
	return consumertest.Update("Account", accountID, n, path(c))
}

// path names the city as change events do.
func path(c change) map[string]any {
	fields := map[string]any{}
	for name, v := range c {
		if name == "City" {
			name = "BillingAddress.City"
		}
		fields[name] = v
	}
	return fields
}

// Guard and connector together, over a Stripe that fails in every way: changes come
// twice and in any order, and in the end there is one customer of which every field
// is what the newest change made it.
func TestGuardedCustomerEndsInTheNewest(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var clock func() time.Time
			s := stripesandbox.New(stripesandbox.Options{Now: func() time.Time { return clock() }})
			server := httptest.NewServer(s)
			defer server.Close()
			client := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), server.URL))
			customers := client.Customers()
			kit := consumertest.New(t, consumer.Record[contact]{
				Name: "customer-billing", Object: "Account", Changes: true, To: customers,
				Patch: func(ctx context.Context, ref sink.Ref, id string, c contact) (sink.Receipt, error) {
					return customers.Save(ctx, ref, id, billing.Customer{Name: c.Name, Phone: c.Phone, Billing: billing.Address{City: c.City}})
				},
				Delete: customers.Retire,
			}, consumertest.WithoutDeadline(), consumertest.In(func(s *consumer.Env) { clock = s.Now }))

			// What is committed, and what it comes to in the order of the commits.
			want := change{"Name": "Acme 0", "Phone": "0", "City": "City 0"}
			events := [][]byte{event(0, want)}
			for n := 1; n < 6; n++ {
				c := change{}
				for _, name := range []string{"Name", "Phone", "City"} {
					switch r.IntN(4) {
					case 0:
						c[name] = fmt.Sprintf("%s %d", name, n)
					case 1:
						if name != "Name" {
							c[name] = nil
						}
					}
				}
				if len(c) == 0 {
					c["Phone"] = fmt.Sprint(n)
				}
				events = append(events, event(n, c))
				for name, v := range c {
					want[name] = v
				}
			}
			events = append(events, events[r.IntN(len(events))], events[r.IntN(len(events))]) // re-sent by the relay
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			for _, e := range events {
				for range r.IntN(3) {
					w := faults.Fault{Kind: chaosKinds[r.IntN(len(chaosKinds))], Skip: r.IntN(3), Times: 1 + r.IntN(4)}
					if err := s.Faults.Add(w); err != nil {
						t.Fatal(err)
					}
				}
				kit.Send(e)
				s.Faults.Clear()
				if r.IntN(4) == 0 {
					kit.Pass(25 * time.Hour) // keys are forgotten meanwhile
				}
			}
			for range 5 {
				kit.Pass(2 * time.Hour)
				kit.Redrive()
			}
			if n := len(kit.Parked()) + kit.Failed(); n > 0 {
				t.Fatalf("%d changes are still in the failure queue: %+v", n, kit.Parked())
			}
			all := s.State().Customers
			if len(all) != 1 {
				t.Fatalf("%d customers, want one", len(all))
			}
			got := all[0]
			text := func(v any) string {
				if v == nil {
					return "<null>"
				}
				return v.(string)
			}
			city := "<null>"
			if got.Address != nil {
				city = deref(got.Address.City)
			}
			if deref(got.Name) != text(want["Name"]) || deref(got.Phone) != text(want["Phone"]) || city != text(want["City"]) {
				t.Errorf("customer %s, %s, %s, want %v", deref(got.Name), deref(got.Phone), city, want)
			}
		})
	}
}

// won is what this test's consumer reads of a won opportunity.
type won struct {
	Amount decimal.Decimal `event:"Amount__c,required"`
}

// The same for a won opportunity that is published again and again: one invoice.
func TestGuardedInvoiceIsOne(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			var clock func() time.Time
			s := stripesandbox.New(stripesandbox.Options{Now: func() time.Time { return clock() }})
			server := httptest.NewServer(s)
			defer server.Close()
			client := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), server.URL))
			invoices := client.Invoices()
			link := ""
			kit := consumertest.New(t, consumer.Action[won]{
				Name: "opportunity-billing", Object: "Opportunity", Once: consumer.PerRecord("invoice"), To: invoices,
				Events: []consumer.PlatformEvent{{Name: "Opportunity_Won__e", Record: "Record_Id__c", ModifiedAt: "Record_Modified_At__c"}},
				Do: func(ctx context.Context, ref sink.Ref, c consumer.Change[won]) (sink.Receipt, error) {
					inv := invoice(link)
					inv.OpportunityID, inv.Lines = c.RecordID, nil
					inv.Total.Amount = c.Content.Amount
					return invoices.Issue(ctx, ref, inv)
				},
			}, consumertest.WithoutDeadline(), consumertest.In(func(s *consumer.Env) { clock = s.Now }))
			link = must[sink.Receipt](t)(client.Customers().Save(t.Context(), customerRef(1), accountID, acme())).Link
			tried := map[int64]bool{}
			for n := range 4 {
				for range r.IntN(4) {
					f := faults.Fault{Kind: chaosKinds[r.IntN(len(chaosKinds))], Skip: r.IntN(4), Times: 1 + r.IntN(4)}
					if err := s.Faults.Add(f); err != nil {
						t.Fatal(err)
					}
				}
				cents := int64(100 + r.IntN(2)) // sometimes the amount was changed since
				tried[cents] = true
				b := consumertest.PlatformEvent("Opportunity_Won__e", n, map[string]any{
					"Record_Id__c": opportunity, "Record_Modified_At__c": consumertest.At(n), "Amount__c": decimal.FromMinor(cents, 2).String(),
				})
				kit.Send(b)
				s.Faults.Clear()
				kit.Pass([]time.Duration{time.Minute, 25 * time.Hour}[r.IntN(2)])
			}
			kit.Redrive()
			all := s.State().Invoices
			if len(all) != 1 || all[0].Status != "open" || !tried[all[0].Total] {
				t.Errorf("invoices = %+v, want one, open, of %v", all, tried)
			}
		})
	}
}
