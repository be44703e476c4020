package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
)

// account is what the consumer of these tests reads.
type account struct {
	Name    sink.Field[string] `cdc:"Name" guard:"n"`
	Phone   sink.Field[string] `cdc:"Phone" guard:"p"`
	Website sink.Field[string] `cdc:"Website" guard:"w"`
}

// ledger is a sink that takes 50 ms, refuses old epochs and keeps the last value of
// every field.
type ledger struct {
	takes time.Duration
	mu    sync.Mutex
	epoch int64
	calls int
	holds account
}

// Contract implements sink.Port.
func (l *ledger) Contract() sink.Contract { return sink.Contract{Fenced: true} }

func (l *ledger) patch(ctx context.Context, ref sink.Ref, _ string, some account) (sink.Receipt, error) {
	select {
	case <-time.After(l.takes):
	case <-ctx.Done():
		return sink.Receipt{}, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ref.Epoch < l.epoch {
		return sink.Receipt{}, &sink.FencedError{Epoch: l.epoch}
	}
	l.epoch = ref.Epoch
	l.calls++
	for _, f := range []struct{ to, from *sink.Field[string] }{
		{&l.holds.Name, &some.Name}, {&l.holds.Phone, &some.Phone}, {&l.holds.Website, &some.Website},
	} {
		if f.from.Present {
			*f.to = *f.from
		}
	}
	return sink.Receipt{}, nil
}

// customer is a consumer of change events that writes to the ledger.
func customer(tb testing.TB, store guard.Store, l *ledger, log io.Writer, env consumer.Env) consumer.Handler {
	tb.Helper()
	env.Store = store
	env.Log = telemetry.New(log, "bench", slog.LevelInfo)
	if env.Park == nil {
		env.Park = func(_ context.Context, body []byte) error {
			tb.Errorf("parked: %s", body)
			return nil
		}
	}
	a, err := consumer.New(consumer.Record[account]{
		Name: "customer-erp", Object: "Account", Changes: true, To: l, Patch: l.patch,
		Delete: func(context.Context, sink.Ref, string) (sink.Receipt, error) {
			tb.Error("nothing is deleted here")
			return sink.Receipt{}, nil
		},
	}, env)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// update is a change event of one account: the n-th, one a second, setting the named
// fields to n.
func update(record string, n int, fields ...string) string {
	values := map[string]any{}
	for _, f := range fields {
		values[f] = fmt.Sprintf("%04d", n)
	}
	return string(consumertest.Update("Account", record, n, values))
}

// message is one message of a queue that a rule writes to.
type message struct {
	ID         string            `json:"messageId"`
	Handle     string            `json:"receiptHandle"`
	Body       string            `json:"body"`
	Source     string            `json:"eventSource"`
	ARN        string            `json:"eventSourceARN"`
	Attributes map[string]string `json:"attributes"`

	sent, first, visible time.Time
	received             int
	gone                 bool
}

func newMessage(i int, body string) *message {
	id := fmt.Sprintf("m%04d", i)
	return &message{ID: id, Handle: "handle-" + id, Body: body, Source: "aws:sqs",
		ARN: "arn:aws:sqs:eu-west-1:123456789012:customer-erp"}
}

func batch(tb testing.TB, ms []*message) []byte {
	tb.Helper()
	for _, m := range ms {
		m.Attributes = map[string]string{"ApproximateReceiveCount": fmt.Sprint(m.received)}
		if !m.sent.IsZero() {
			m.Attributes["SentTimestamp"] = fmt.Sprint(m.sent.UnixMilli())
			m.Attributes["ApproximateFirstReceiveTimestamp"] = fmt.Sprint(m.first.UnixMilli())
		}
	}
	b, err := json.Marshal(map[string]any{"Records": ms})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// verdicts counts the log's lines by verdict.
type verdicts struct {
	mu    sync.Mutex
	count map[string]int
}

func (v *verdicts) Write(line []byte) (int, error) {
	var l struct{ Verdict string }
	if err := json.Unmarshal(line, &l); err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.count == nil {
		v.count = map[string]int{}
	}
	v.count[l.Verdict]++
	return len(line), nil
}
