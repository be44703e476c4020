package stripe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sfrelay/shared/billing"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// Somebody deletes the customer at Stripe. A person takes the link away, the message is
// redriven, and there is a new customer: the way out of customer-deleted.
func TestADeletedCustomerIsMadeAgainWhenAPersonSaysSo(t *testing.T) {
	var clock func() time.Time
	s := stripesandbox.New(stripesandbox.Options{Now: func() time.Time { return clock() }})
	server := httptest.NewServer(s)
	defer server.Close()
	client := must[*stripe.Client](t)(stripe.New(sinkhttp.Static("test-key"), server.URL))
	customers := client.Customers()
	store := &memory.Store{}
	kit := consumertest.New(t, consumer.Record[contact]{
		Name: "customer-billing", Object: "Account", Changes: true, To: customers,
		Patch: func(ctx context.Context, ref sink.Ref, id string, c contact) (sink.Receipt, error) {
			return customers.Save(ctx, ref, id, billing.Customer{Name: c.Name, Phone: c.Phone, Billing: billing.Address{City: c.City}})
		},
		Delete: customers.Retire,
	}, consumertest.WithoutDeadline(), consumertest.In(func(e *consumer.Env) { clock, e.Store = e.Now, store }))
	kit.Send(event(0, change{"Name": "Example", "Phone": "0", "City": "Berlin"}))
	key := guard.Key("customer-billing", consumertest.Org, "Account/"+accountID)
	item := func() guard.Item {
		rec, err := store.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return guard.ReadItem(rec)
	}
	first := item().Link
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, server.URL+"/v1/customers/"+first, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer test-key")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	kit.Send(event(1, change{"Phone": "1"}))
	kit.Redrive()
	kit.Want(verdict.Applied, verdict.Parked, verdict.Failed)
	if p := kit.Parked(); len(p) != 1 || p[0].Class != "permanent/customer-deleted" || item().Link != first {
		t.Fatalf("%+v", p)
	}
	w, err := guard.SetLink(key, item(), "", clock())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := store.Write(t.Context(), w); !ok || err != nil {
		t.Fatal(ok, err)
	}
	kit.Redrive()
	kit.Want(verdict.Applied, verdict.Parked, verdict.Failed, verdict.Applied)
	if next := item().Link; next == "" || next == first || len(kit.Parked()) != 0 {
		t.Errorf("its link is %q", next)
	}
}
