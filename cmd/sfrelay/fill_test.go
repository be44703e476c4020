package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// TestAlarmWay is the way from an alarm to an empty queue on a local stack that runs: list, show,
// repair, redrive, with FILL messages (2,000 by make e2e) of other causes around. STACK_DIR says
// where the stack is.
func TestAlarmWay(t *testing.T) {
	dir := os.Getenv("STACK_DIR")
	if dir == "" {
		t.Skip("STACK_DIR names no stack; make e2e runs this")
	}
	n, err := strconv.Atoi(os.Getenv("FILL"))
	if err != nil {
		n = 2000
	}
	s, err := stack.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := s.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := account.Outputs(t.Context(), cfg, stack.Name)
	if err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(cfg)
	fill(t, client, outputs["FailureQueueUrl"], n, verdict.Throttled, "the ERP answered 503")
	fill(t, client, outputs["FailureQueueUrl"], 20, verdict.Auth, "the ERP answered 401")
	sfrelay := func(want int, args ...string) string {
		t.Helper()
		began := time.Now()
		code, out, said := called(t, nobody, append(args, "--stack-dir", dir)...)
		t.Logf("%s: %s", strings.Join(args, " "), time.Since(began).Round(10*time.Millisecond))
		if code != want {
			t.Fatalf("%v: code %d\n%s%s", args, code, out, said)
		}
		return out + said
	}
	began := time.Now()
	list := sfrelay(done, "dlq", "list", "--queue", "failure")
	if !strings.Contains(list, fmt.Sprintf("%5d", n)) || !strings.Contains(list, "the ERP answered 503") || strings.Contains(list, "not complete") {
		t.Errorf("the list:\n%s", list)
	}
	_, rest, _ := strings.Cut(list, "See one message:   sfrelay dlq show ")
	id, _, _ := strings.Cut(rest, "\n")
	if shown := sfrelay(done, "dlq", "show", id); !strings.Contains(shown, "it means") {
		t.Errorf("the message:\n%s", shown)
	}
	if took := sfrelay(done, "dlq", "redrive", "--queue", "failure", "--class", "auth"); !strings.Contains(took, "20 taken, 0 left") {
		t.Errorf("the chosen ones:\n%s", took)
	}
	t.Logf("list, show and redrive of 20 among %d: %s", n, time.Since(began).Round(10*time.Millisecond))
	if took := sfrelay(done, "dlq", "redrive", "--queue", "failure", "--class", "throttled", "--parallel", "16"); !strings.Contains(took, fmt.Sprintf("%d taken, 0 left", n)) {
		t.Errorf("all:\n%s", took)
	}
	if list := sfrelay(done, "dlq", "list", "--class", "throttled"); !strings.Contains(list, "No message matches") {
		t.Errorf("what is left:\n%s", list)
	}
}

// fill puts parked messages about as many SKUs into a queue.
func fill(t *testing.T, client *sqs.Client, queue string, n int, class verdict.Class, reason string) {
	t.Helper()
	event, err := os.ReadFile("../../events/34-inventory-first.json")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	var group sync.WaitGroup
	free := make(chan struct{}, 8)
	for from := 0; from < n; from += 10 {
		in := &sqs.SendMessageBatchInput{QueueUrl: &queue}
		for i := from; i < min(from+10, n); i++ {
			var e map[string]any
			if err := json.Unmarshal(event, &e); err != nil {
				t.Fatal(err)
			}
			id := uuid.NewString()
			e["id"] = id
			payload := e["detail"].(map[string]any)["payload"].(map[string]any)
			payload["Sku__c"] = fmt.Sprintf("FILL-%s-%d", class, i)
			if _, has := payload["Event_Id__c"]; has {
				payload["Event_Id__c"] = id
			}
			raw, _ := json.Marshal(e)
			body := transport.Parked{Event: raw, Consumer: "inventory-erp", Class: class, Error: reason, Attempts: 3, FirstAt: now.Add(-time.Hour), LastAt: now}.Encode()
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body))})
		}
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			if out, err := client.SendMessageBatch(t.Context(), in); err != nil || len(out.Failed) > 0 {
				t.Errorf("%v, %+v", err, out)
			}
		})
	}
	group.Wait()
}
