package bench_test

import (
	"io"
	"testing"

	"sfrelay/shared/consumer"
	"sfrelay/shared/guard/dynamo"
)

// TestABatchOfOneRecordCostsTwoRequests: ten changes of one record in one batch are two
// requests and one call of the sink, and each has its own verdict; a change of what the
// consumer does not read is none.
func TestABatchOfOneRecordCostsTwoRequests(t *testing.T) {
	p := start(t)
	store := dynamo.New(dynamo.NewClient(config(p.url)), table(t, p.url))
	erp := &ledger{}
	var log verdicts
	a := customer(t, store, erp, io.Writer(&log), consumer.Env{})
	const record = "0015f0000200001AAA"
	var changes, unread []*message
	for i, n := range []int{3, 1, 2, 7, 5, 4, 6, 10, 9, 8} {
		changes = append(changes, newMessage(i, update(record, n, "Phone", "Website")))
		unread = append(unread, newMessage(i, update(record, n, "NumberOfEmployees")))
	}
	for _, step := range []struct {
		what            string
		messages        []*message
		requests, calls int
		verdict         string
		times           int
	}{
		{"changes of nothing it reads", unread, 0, 0, "ignored", 10},
		{"ten changes", changes, 2, 1, "applied", 1},
		{"the same ten again", changes, 1, 1, "duplicate", 1},
	} {
		p.take()
		log.count = nil
		resp, err := a.Handle(t.Context(), batch(t, step.messages))
		if err != nil || len(resp.BatchItemFailures) > 0 {
			t.Fatalf("%s: %v %v", step.what, resp, err)
		}
		sum := 0
		for _, n := range log.count {
			sum += n
		}
		if n := p.take(); n.total() != step.requests || erp.calls != step.calls || log.count[step.verdict] != step.times || sum != 10 {
			t.Errorf("%s: %v, %d calls of the sink, verdicts %v; want %d requests, %d calls, %d times %s",
				step.what, n.Requests, erp.calls, log.count, step.requests, step.calls, step.times, step.verdict)
		}
	}
	if erp.holds.Phone.Value != "0010" {
		t.Errorf("the sink holds phone %q", erp.holds.Phone.Value)
	}
}
