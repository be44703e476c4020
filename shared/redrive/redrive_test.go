package redrive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/config"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/telemetry"
)

// A stack's template writes the list of consumers, and this reads it.
func TestConsumersOf(t *testing.T) {
	all, err := consumersOf("customer-erp fn-erp AROAEXAMPLE buffer-erp,inventory-erp fn-inv AROAEXAMPLE2 buffer-inv")
	if err != nil || len(all) != 2 || all[1] != (deadletter.Consumer{Name: "inventory-erp", Function: "fn-inv", RoleID: "AROAEXAMPLE2", Buffer: "buffer-inv"}) {
		t.Errorf("%+v, %v", all, err)
	}
	for _, list := range []string{"", "customer-erp fn", "customer-erp fn role buffer,"} {
		if _, err := consumersOf(list); err == nil {
			t.Errorf("%q is read", list)
		}
	}
}

// Every mistake in the environment is named at once.
func TestTheEnvironment(t *testing.T) {
	env := map[string]string{"REDRIVE_EVERY": "1s"}
	r := config.NewReader(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	_, err := newScheduled(t.Context(), r)
	for _, name := range []string{"FAILURE_QUEUE_URL", "DELIVERY_QUEUE_URL", "CONSUMERS", "FAILURE_BUCKET", "REDRIVE_EVERY"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
	for name, value := range map[string]string{
		"FAILURE_QUEUE_URL": "https://q/f", "DELIVERY_QUEUE_URL": "https://q/d", "CONSUMERS": "a b c d", "FAILURE_BUCKET": "bucket", "REDRIVE_EVERY": "15m",
		"SALESFORCE_URL": "https://example.my.salesforce.com",
	} {
		env[name] = value
		t.Setenv("AWS_REGION", "eu-west-2")
	}
	s, err := newScheduled(t.Context(), config.NewReader(func(name string) (string, bool) { v, ok := env[name]; return v, ok }))
	if err != nil || s.every != 15*time.Minute || !s.queues.ReadsOrg || s.queues.TrustSender || s.queues.TooOld || s.queues.Resolved || !s.queues.List[1].FromRules {
		t.Errorf("%+v, %v", s, err)
	}
}

// down is SQS that does not answer.
type down struct{ deadletter.SQS }

var errDown = errors.New("no network")

func (down) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	return nil, errDown
}

func (down) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return nil, errDown
}

// empty is SQS with nothing in it.
type empty struct{ down }

func (empty) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	return &sqs.ReceiveMessageOutput{}, nil
}

// A run leaves one line, whatever happens, and is never an error: a record of it would lie in
// the queue that it empties.
func TestARunLeavesOneLine(t *testing.T) {
	for _, c := range []struct {
		sqs   deadletter.SQS
		level string
		says  string
	}{{empty{}, "INFO", ""}, {down{}, "ERROR", "no network"}} {
		var out bytes.Buffer
		s := &scheduled{every: 15 * time.Minute, now: time.Now, log: telemetry.New(&out, "sfrelay", slog.LevelInfo).InStage("test"),
			queues: &deadletter.Queues{SQS: c.sqs, List: []deadletter.Queue{{Name: "failure", URL: "u"}}}}
		if err := s.run(t.Context(), json.RawMessage(`{"time":"2026-11-27T09:00:00Z"}`)); err != nil {
			t.Error(err)
		}
		var line struct {
			Level, Msg, Service, Stage, At, Error string
			OldestFailedSeconds                   *float64
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 || line.Level != c.level || line.Msg != "redrive" ||
			line.Service != "sfrelay" || line.Stage != "test" || line.At != "2026-11-27T09:00:00Z" || !strings.Contains(line.Error, c.says) {
			t.Errorf("%v, %s", err, out.String())
		}
		if got := line.OldestFailedSeconds; (got == nil) != (c.level == "ERROR") || got != nil && *got != 0 { // what was not seen has no age
			t.Errorf("%s", out.String())
		}
	}
}

func TestTheAgeOfTheOldest(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	if got := Oldest(age(now.Add(-72*time.Hour), now)); got.Value != 259200 || got.Name != "oldestFailedSeconds" || got.Unit != "Seconds" {
		t.Errorf("%+v", got)
	}
	if age(time.Time{}, now) != 0 || age(now.Add(time.Second), now) != 0 {
		t.Error("an empty queue has an age, or a message of the future")
	}
}
