package webhook_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/notify"
	"sfrelay/shared/sandbox/faults"
	webhooksandbox "sfrelay/shared/sandbox/webhook"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
)

// Guard and connector together, over a receiver that fails in every way: events come twice
// and in any order, and in the end the receiver has acted once on each of them, and holds
// of every record what its newest version says.
func TestEveryEventIsToldAndActedOnOnce(t *testing.T) {
	type notice struct {
		Version int `event:"Version__c,required"`
	}
	kinds := []faults.Kind{faults.Down, faults.Unavailable, faults.Throttled, faults.ErrorBefore, faults.ErrorAfter, faults.LostResponse}
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			s, err := webhooksandbox.New(webhooksandbox.Options{Secrets: []string{first}})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(s)
			defer server.Close()
			c := connect(t, server.URL, sinkhttp.Static(first))
			kit := consumertest.New(t, consumer.Action[notice]{
				Name: "contact-notify", Events: []consumer.PlatformEvent{{Name: "Notice__e"}}, Once: consumer.PerEvent(), To: c, InDoubt: consumer.RepeatInDoubt,
				Do: func(ctx context.Context, ref sink.Ref, n consumer.Change[notice]) (sink.Receipt, error) {
					text := fmt.Sprint(n.Content.Version)
					return c.Tell(ctx, ref, notify.Notification{Object: "Contact", RecordID: recordID, Kind: notify.Updated, At: time.UnixMilli(1763800000000),
						Version: fmt.Sprintf("%040x", n.Content.Version), Values: map[string]*string{"Number": &text}})
				},
			}, consumertest.WithoutDeadline())
			var events [][]byte
			for n := range 8 {
				events = append(events, consumertest.PlatformEvent("Notice__e", n, map[string]any{"Version__c": n}))
			}
			events = append(events, events[r.IntN(8)], events[r.IntN(8)]) // re-sent by the relay
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
			st := s.State()
			if len(st.Messages) != 8 || len(st.Records) != 1 || st.Records[0].Version != fmt.Sprintf("%040x", 7) || *st.Records[0].Values["Number"] != "7" {
				t.Errorf("%d messages, records %+v", len(st.Messages), st.Records)
			}
		})
	}
}
