package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/stack"
)

// Bulk is a bulk load of new accounts: each change event names several records, as
// Salesforce merges the changes of one transaction that are alike.
type Bulk struct {
	Events, Records int           // events, and records of each
	AtMost          time.Duration // longest time until all is done
	Progress        func(BulkState)
}

// BulkState is how far a bulk load has come.
type BulkState struct {
	Took              time.Duration
	ERP, Billing      int // records that the sinks hold
	ERPCalls, Stripe  int // requests that they got
	Buffered, Waiting int // messages in the buffers; in the failure and the delivery queue
}

// events are the events of the load, committed at a time. Their names, and with them
// what the sinks shall hold, follow from their numbers.
func (b Bulk) events(at time.Time) ([]bus.Event, error) {
	var all []json.RawMessage
	for n := range b.Events {
		var ids []string
		for i := range b.Records {
			ids = append(ids, bulkID(n*b.Records+i))
		}
		body, err := json.Marshal(map[string]any{
			"version": "0", "id": uuid.NewString(), "detail-type": "AccountChangeEvent",
			"source":  "aws.partner/salesforce.com/" + stack.DefaultOrg + "/bulk",
			"account": stack.Account, "region": stack.Region, "resources": []string{}, "time": at.UTC().Format(time.RFC3339),
			"detail": map[string]any{"payload": map[string]any{
				"ChangeEventHeader": map[string]any{
					"entityName": "Account", "recordIds": ids, "changeType": "CREATE", "changeOrigin": "com/salesforce/api/bulk/66.0;client=load",
					"transactionKey": uuid.NewString(), "sequenceNumber": 1, "commitUser": "0055f0000100001AAA",
					"commitTimestamp": at.UnixMilli(), "commitNumber": at.UnixMilli()*1_000_000 + int64(n),
				},
				"Name": bulkName(n), "Status__c": "Active", "CurrencyIsoCode": "EUR", "Email__c": "billing@bulk.example",
				"CreatedDate": at.UTC().Format("2006-01-02T15:04:05.000Z"), "LastModifiedDate": at.UTC().Format("2006-01-02T15:04:05.000Z"),
			}},
		})
		if err != nil {
			return nil, err
		}
		all = append(all, body)
	}
	body, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	return bus.Read(strings.NewReader(string(body)))
}

func bulkID(n int) string   { return fmt.Sprintf("0015f0000%06dAAA", 300_000+n) }
func bulkName(n int) string { return fmt.Sprintf("Bulk %03d Example Ltd", n) }

// Bulk sends a bulk load and waits until it is done. Its mistakes are how the sinks and
// queues differ from what they shall hold: every record once, and nothing in a queue.
func (r Runner) Bulk(ctx context.Context, b Bulk) (last BulkState, mistakes []string, err error) {
	cfg, err := r.Stack.Config(ctx)
	if err != nil {
		return last, nil, err
	}
	p := &play{Runner: r, bus: bus.New(cfg), delivered: map[string][]bus.Delivery{}}
	if p.outputs, err = account.Outputs(ctx, cfg, stack.Name); err != nil {
		return last, nil, err
	}
	p.consumers, p.queues = account.Consumers(p.outputs), queuesOf(cfg, p.outputs)
	began := time.Now()
	events, err := b.events(began)
	if err != nil {
		return last, nil, err
	}
	var steps []Step
	for i, e := range events {
		steps = append(steps, Step{Name: strconv.Itoa(i), event: e})
	}
	if err := p.send(ctx, steps); err != nil {
		return last, nil, err
	}
	const between, quiet = 2 * time.Second, 15 * time.Second // longer than Lambda's scaled pauses
	var held holdings
	changed := time.Now()
	for time.Since(began) < b.AtMost {
		state, h, err := p.bulkState(ctx)
		if err != nil {
			return last, nil, err
		}
		now := time.Now()
		if same := last; same != state.since(same.Took) {
			changed, last, held = now, state.since(now.Sub(began)), h
		}
		b.Progress(last)
		if last.done(b) && now.Sub(changed) >= quiet {
			break
		}
		if err := pause(ctx, between); err != nil {
			return last, nil, err
		}
	}
	return last, append(b.compare(held), last.mistakes(b)...), nil
}

// since is the state with another time.
func (s BulkState) since(took time.Duration) BulkState { s.Took = took; return s }

// done reports whether every record has arrived and nothing is on its way.
func (s BulkState) done(b Bulk) bool {
	return s.ERP >= b.Events*b.Records && s.Billing >= b.Events*b.Records && s.Buffered == 0
}

func (s BulkState) mistakes(b Bulk) (all []string) {
	if s.Waiting > 0 {
		all = append(all, fmt.Sprintf("%d messages in the failure and the delivery queue", s.Waiting))
	}
	if !s.done(b) {
		all = append(all, fmt.Sprintf("not done after %s; %d messages are in the buffers", b.AtMost, s.Buffered))
	}
	return all
}

// holdings are the names of the records that the sinks hold, by record. A sink that took a
// record twice has it twice.
type holdings struct{ erp, billing map[string][]string }

// compare says how the sinks differ from what the load says.
func (b Bulk) compare(h holdings) (mistakes []string) {
	const most = 20
	for _, sink := range []struct {
		name string
		held map[string][]string
	}{{"erp", h.erp}, {"billing", h.billing}} {
		for n := range b.Events * b.Records {
			want := []string{bulkName(n / b.Records)}
			if got := sink.held[bulkID(n)]; !slices.Equal(got, want) && len(mistakes) < most {
				mistakes = append(mistakes, fmt.Sprintf("%s: %s: want %q once, is %q", sink.name, bulkID(n), want[0], got))
			}
		}
		if extra := len(sink.held) - b.Events*b.Records; extra > 0 {
			mistakes = append(mistakes, fmt.Sprintf("%s: %d records that nobody sent", sink.name, extra))
		}
	}
	return mistakes
}

// bulkState asks sinks and queues.
func (p *play) bulkState(ctx context.Context) (s BulkState, h holdings, err error) {
	var erp struct {
		Records []struct {
			Key     string
			Applied int
			Fields  struct{ Name string }
		}
		Requests []struct{}
	}
	var billing struct {
		Customers []struct {
			Name     string
			Metadata map[string]string
		}
		Requests []struct{}
	}
	for name, into := range map[string]any{"erp": &erp, "billing": &billing} {
		b, err := p.ask(ctx, http.MethodGet, p.sandboxURL(name)+"/_sandbox/state", nil)
		if err != nil {
			return s, h, err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return s, h, fmt.Errorf("the state of %s: %w", name, err)
		}
	}
	h = holdings{map[string][]string{}, map[string][]string{}}
	for _, r := range erp.Records {
		for range r.Applied {
			h.erp[r.Key] = append(h.erp[r.Key], r.Fields.Name)
		}
	}
	for _, c := range billing.Customers {
		id := c.Metadata["sf_id"]
		h.billing[id] = append(h.billing[id], c.Name)
	}
	s = BulkState{ERP: len(h.erp), Billing: len(h.billing), ERPCalls: len(erp.Requests), Stripe: len(billing.Requests)}
	for _, c := range p.consumers {
		n, err := p.inQueue(ctx, c.Buffer)
		if err != nil {
			return s, h, err
		}
		s.Buffered += n
	}
	for _, q := range p.queues.List {
		n, err := p.inQueue(ctx, q.URL)
		if err != nil {
			return s, h, err
		}
		s.Waiting += n
	}
	return s, h, nil
}

// inQueue is how many messages a queue has: those that can be received, are held, or are delayed.
func (p *play) inQueue(ctx context.Context, url string) (n int, err error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	out, err := p.queues.SQS.(*sqs.Client).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(url), AttributeNames: names})
	if err != nil {
		return 0, fmt.Errorf("asking %s for its messages: %w", url, err)
	}
	for _, name := range names {
		k, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("%s says %s = %q", url, name, out.Attributes[string(name)])
		}
		n += k
	}
	return n, nil
}
