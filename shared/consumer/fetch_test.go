package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
)

// shop is a consumer of accounts with a failure bucket.
type shop struct {
	consumer.Handler
	fetch    func(ctx context.Context, s transport.Stored) ([]byte, error)
	fetched  []string // keys
	parked   []transport.Parked
	took     []string // names
	deferred map[string]time.Duration
	log      bytes.Buffer
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{deferred: map[string]time.Duration{}}
	def := accounts(fenced())
	def.Put = func(_ context.Context, _ sink.Ref, _ string, a Account) (sink.Receipt, error) {
		name := a.Name.Value
		s.took = append(s.took, name[:min(len(name), 10)])
		return sink.Receipt{}, nil
	}
	var err error
	s.Handler, err = consumer.New(def, consumer.Env{
		Store: &memory.Store{}, Log: telemetry.New(&s.log, "test", 0), Now: func() time.Time { return consumertest.Now },
		Park: func(_ context.Context, body []byte) error {
			p, err := transport.DecodeParked(body)
			s.parked = append(s.parked, p)
			return err
		},
		Fetch: func(ctx context.Context, st transport.Stored) ([]byte, error) {
			s.fetched = append(s.fetched, st.Key())
			if end, limited := ctx.Deadline(); !limited || time.Until(end) > 5*time.Second {
				t.Errorf("a fetch may last until %v", end)
			}
			return s.fetch(ctx, st)
		},
		Defer: func(_ context.Context, messages []consumer.Deferral) error {
			for _, m := range messages {
				s.deferred[m.ReceiptHandle] = m.For
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// storedAccount is the message about a creation that waits, and its object.
func storedAccount(t *testing.T, record, name string) (message, object []byte) {
	t.Helper()
	w := transport.Waiting{Event: change("CREATE", 1, id(record), "[]", `"Name":"`+name+`"`), Consumer: accounts(fenced()).Name, Class: "throttled"}
	object = w.EncodeAround(w.Event)
	s, err := transport.Store(w.Consumer, object)
	if err != nil {
		t.Fatal(err)
	}
	return s.Encode(), object
}

// fromBuffer is a batch with a receipt handle for each message, r0, r1 and so on.
func fromBuffer(t *testing.T, bodies ...[]byte) []byte {
	t.Helper()
	var b struct{ Records []map[string]any }
	for i, body := range bodies {
		b.Records = append(b.Records, map[string]any{"messageId": fmt.Sprint("m", i), "receiptHandle": fmt.Sprint("r", i), "body": string(body),
			"attributes": map[string]string{"ApproximateReceiveCount": "2"}})
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestWhatLiesInTheBucketIsTaken(t *testing.T) {
	message, object := storedAccount(t, account, "x")
	s := newShop(t)
	s.fetch = func(context.Context, transport.Stored) ([]byte, error) { return object, nil }
	r, err := s.Handle(t.Context(), fromBuffer(t, message))
	if err != nil || len(r.BatchItemFailures) != 0 || !slices.Equal(s.took, []string{"x"}) || len(s.fetched) != 1 || len(s.parked) != 0 {
		t.Errorf("%v, %+v, took %v, parked %+v", err, r, s.took, s.parked)
	}
}

// What cannot be fetched for the time being comes again after a pause, and is not parked;
// its neighbours are done.
func TestABucketThatIsDown(t *testing.T) {
	message, _ := storedAccount(t, account, "x")
	s := newShop(t)
	s.fetch = func(context.Context, transport.Stored) ([]byte, error) { return nil, errors.New("S3 is down") }
	r, err := s.Handle(t.Context(), fromBuffer(t, message, change("CREATE", 1, id(other), "[]", `"Name":"y"`)))
	if err != nil || len(r.BatchItemFailures) != 1 || r.BatchItemFailures[0].ItemIdentifier != "m0" || !slices.Equal(s.took, []string{"y"}) || len(s.parked) != 0 ||
		s.deferred["r0"] < time.Second {
		t.Errorf("%v, %+v, took %v, parked %+v, deferred %v", err, r, s.took, s.parked, s.deferred)
	}
	if line := s.log.String(); !strings.Contains(line, `"class":"unfinished"`) || !strings.Contains(line, "S3 is down") {
		t.Error(line)
	}
	// A redrive hears it, and its message stays where it is.
	_, err = s.Handle(t.Context(), message)
	if e, ok := errors.AsType[*consumer.RetryError](err); !ok || e.Class != "unfinished" || !strings.Contains(e.Error(), "S3 is down") || len(s.parked) != 0 {
		t.Errorf("%v, parked %+v", err, s.parked)
	}
}

// What is gone for good is parked as the message that names it, with the reason.
func TestAnObjectThatIsGone(t *testing.T) {
	message, _ := storedAccount(t, account, "x")
	s := newShop(t)
	s.fetch = func(context.Context, transport.Stored) ([]byte, error) {
		return nil, &transport.Error{Name: "object-gone", What: "after 30 days"}
	}
	r, err := s.Handle(t.Context(), fromBuffer(t, message))
	if err != nil || len(r.BatchItemFailures) != 0 || len(s.parked) != 1 || s.parked[0].Class != "permanent/object-gone" ||
		!strings.Contains(s.parked[0].Error, "after 30 days") || !bytes.Equal(s.parked[0].Event, message) {
		t.Errorf("%v, %+v, parked %+v", err, r, s.parked)
	}
}

// Nobody makes a consumer read what another one has put into the bucket.
func TestAForeignObjectIsNotFetched(t *testing.T) {
	message, object := storedAccount(t, account, "x")
	foreign := bytes.Replace(message, []byte(accounts(fenced()).Name+"/"), []byte("other-erp/"), 1)
	s := newShop(t)
	s.fetch = func(context.Context, transport.Stored) ([]byte, error) { return object, nil }
	_, err := s.Handle(t.Context(), foreign)
	if e, ok := errors.AsType[*consumer.RetryError](err); !ok || e.Class != "permanent/foreign-consumer" || len(s.fetched)+len(s.parked)+len(s.took) != 0 {
		t.Errorf("%v, fetched %v, parked %+v, took %v", err, s.fetched, s.parked, s.took)
	}
}

// One invocation holds 8 MiB of the bucket at most. The rest comes again at once.
func TestABatchOfLargeObjects(t *testing.T) {
	const large = 3 << 20
	var messages [][]byte
	objects := map[string][]byte{}
	for _, record := range []string{account, other, "0015f00002J9YYHAA3"} {
		message, object := storedAccount(t, record, strings.Repeat("x", large))
		messages = append(messages, message)
		var s struct{ Key string }
		if err := json.Unmarshal(message, &s); err != nil {
			t.Fatal(err)
		}
		objects[s.Key] = object
	}
	s := newShop(t)
	s.fetch = func(_ context.Context, st transport.Stored) ([]byte, error) { return objects[st.Key()], nil }
	r, err := s.Handle(t.Context(), fromBuffer(t, messages...))
	if err != nil || len(r.BatchItemFailures) != 1 || r.BatchItemFailures[0].ItemIdentifier != "m2" || len(s.took) != 2 || len(s.fetched) != 2 || len(s.parked) != 0 {
		t.Fatalf("%v, %+v, took %d, fetched %d, parked %+v", err, r, len(s.took), len(s.fetched), s.parked)
	}
	if d, ok := s.deferred["r2"]; !ok || d != 0 {
		t.Errorf("deferred %v", s.deferred)
	}
}

// A message whose object cannot be had is parked before its queue forgets it, and names it
// then.
func TestAMessageAboutAnObjectIsParkedBeforeItsQueueForgetsIt(t *testing.T) {
	message, _ := storedAccount(t, account, "x")
	s := newShop(t)
	s.fetch = func(context.Context, transport.Stored) ([]byte, error) { return nil, errors.New("S3 is down") }
	batch := bytes.Replace(fromBuffer(t, message), []byte(`"ApproximateReceiveCount":"2"`), []byte(`"ApproximateReceiveCount":"990"`), 1)
	r, err := s.Handle(t.Context(), batch)
	if err != nil || len(r.BatchItemFailures) != 0 || len(s.parked) != 1 || s.parked[0].Class != "unfinished" || !bytes.Equal(s.parked[0].Event, message) {
		t.Errorf("%v, %+v, parked %+v", err, r, s.parked)
	}
}
