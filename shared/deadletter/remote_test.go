package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/shared/deadletter"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// remote is SQS and Lambda over a line with a round trip, on the clock of a synctest bubble, for
// as many callers as there are. It brings messages in no order.
type remote struct {
	trip, runs time.Duration

	mu      sync.Mutex
	rnd     *rand.Rand
	all     []*lying
	byID    map[string]*lying
	calls   int
	most    int // invocations side by side
	running int
	applied map[string]int // messages that the consumer has done, by id
	// dies lets a call fail: before it took effect, or after.
	dies   func(call int) (before, after bool)
	refuse func(id string) string // the answer of a consumer; empty: taken
	deaf   bool                   // nothing is shown again
	blind  bool                   // nothing is counted
}

type lying struct {
	id, body string
	sent     time.Time
	until    time.Time
	handle   string
	receives int
	gone     bool
}

var errDead = errors.New("killed")

func newRemote(trip time.Duration) *remote {
	return &remote{trip: trip, runs: 100 * time.Millisecond, byID: map[string]*lying{}, rnd: rand.New(rand.NewPCG(1, 2)), applied: map[string]int{}}
}

func (r *remote) put(n int, class verdict.Class) {
	for range n {
		id := fmt.Sprintf("%08d", len(r.all))
		m := &lying{id: id, body: parked("customer-erp", class, change(id, one)), sent: time.Now().Add(-time.Hour)}
		r.all, r.byID[id] = append(r.all, m), m
	}
}

// pass is one call: a round trip, in the middle of which do takes effect.
func (r *remote) pass(ctx context.Context, do func() error) error {
	select {
	case <-time.After(r.trip / 2):
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	r.calls++
	before, after := false, false
	if r.dies != nil {
		before, after = r.dies(r.calls)
	}
	err := errDead
	if !before {
		err = do()
	}
	r.mu.Unlock()
	if after {
		return errDead
	}
	if err != nil {
		return err
	}
	time.Sleep(r.trip / 2)
	return nil
}

func (r *remote) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := &sqs.ReceiveMessageOutput{}
	err := r.pass(ctx, func() error {
		start := 0
		if len(r.all) > 0 {
			start = r.rnd.IntN(len(r.all))
		}
		for i := range r.all {
			m := r.all[(start+i)%len(r.all)]
			if m.gone || m.until.After(time.Now()) {
				continue
			}
			m.receives++
			m.handle = m.id + "/" + strconv.Itoa(m.receives)
			m.until = time.Now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
			out.Messages = append(out.Messages, types.Message{MessageId: &m.id, Body: &m.body, ReceiptHandle: aws.String(m.handle), Attributes: map[string]string{
				"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10), "SenderId": erpRole + ":fn-customer-erp", "ApproximateReceiveCount": strconv.Itoa(m.receives),
			}})
			if len(out.Messages) == int(in.MaxNumberOfMessages) {
				break
			}
		}
		return nil
	})
	if err == nil && len(out.Messages) == 0 {
		time.Sleep(time.Duration(in.WaitTimeSeconds) * time.Second)
	}
	return out, err
}

func (r *remote) held(handle string) *lying {
	id, _, _ := strings.Cut(handle, "/")
	if m := r.byID[id]; m != nil && m.handle == handle && !m.gone && m.until.After(time.Now()) {
		return m
	}
	return nil
}

func (r *remote) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	return out, r.pass(ctx, func() error {
		if r.deaf {
			return errors.New("the line is cut")
		}
		for _, e := range in.Entries {
			if m := r.held(*e.ReceiptHandle); m == nil {
				out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, SenderFault: true, Code: aws.String("MessageNotInflight")})
			} else {
				m.until = time.Now().Add(time.Duration(e.VisibilityTimeout) * time.Second)
			}
		}
		return nil
	})
}

func (r *remote) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	return &sqs.DeleteMessageOutput{}, r.pass(ctx, func() error {
		m := r.held(*in.ReceiptHandle)
		if m == nil {
			return &types.ReceiptHandleIsInvalid{}
		}
		m.gone = true
		return nil
	})
}

func (r *remote) GetQueueAttributes(ctx context.Context, _ *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	out := &sqs.GetQueueAttributesOutput{}
	return out, r.pass(ctx, func() error {
		if r.blind {
			return errors.New("not allowed")
		}
		visible, hidden := 0, 0
		for _, m := range r.all {
			switch {
			case m.gone:
			case m.until.After(time.Now()):
				hidden++
			default:
				visible++
			}
		}
		out.Attributes = map[string]string{"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden)}
		return nil
	})
}

func (r *remote) Invoke(ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	answer := `{"batchItemFailures":[],"verdicts":[{"verdict":"applied"}]}`
	err := r.pass(ctx, func() error {
		b, err := transport.Open(in.Payload)
		if err != nil || b.Redrive == nil {
			return fmt.Errorf("%w: %s", err, in.Payload)
		}
		_, rest, _ := strings.Cut(string(b.Messages[0].Event), `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		r.running++
		r.most = max(r.most, r.running)
		if r.refuse != nil && r.refuse(id) != "" {
			answer = r.refuse(id)
		} else {
			r.applied[id]++
		}
		return nil
	})
	if err == nil {
		time.Sleep(r.runs)
		r.mu.Lock()
		r.running--
		r.mu.Unlock()
	}
	return &lambda.InvokeOutput{StatusCode: 200, Payload: []byte(answer)}, err
}

// left are the messages that lie there, and how many of them nobody sees.
func (r *remote) left() (n, hidden int) {
	for _, m := range r.all {
		if !m.gone {
			n++
			if m.until.After(time.Now()) {
				hidden++
			}
		}
	}
	return n, hidden
}

func (r *remote) queues() *deadletter.Queues {
	return &deadletter.Queues{SQS: r, Lambda: r, List: []deadletter.Queue{{Name: "failure", URL: "u"}},
		Consumers: []deadletter.Consumer{{Name: "customer-erp", Function: "fn-customer-erp", RoleID: erpRole}}}
}

// Ten thousand messages over a slow line: all of them are listed, and shown to others again,
// within two minutes.
func TestTenThousandMessagesAreListed(t *testing.T) {
	for _, trip := range []time.Duration{5 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := newRemote(trip)
			r.put(10_000, "throttled")
			began := time.Now()
			found, err := r.queues().Read(t.Context(), deadletter.Query{Lean: true})
			took := time.Since(began)
			if err != nil || len(found.Messages) != 10_000 || len(found.Warnings) != 0 {
				t.Fatalf("%v: %v, %d messages, %v", trip, err, len(found.Messages), found.Warnings)
			}
			if c := found.Counts[0]; !c.Whole || !c.Known || c.Seen != 10_000 || c.Visible != 0 || c.InFlight != 0 {
				t.Errorf("%v: %+v", trip, c)
			}
			if n, hidden := r.left(); n != 10_000 || hidden != 0 {
				t.Errorf("%v: %d lie there, %d hidden", trip, n, hidden)
			}
			if ids := distinct(found.Messages); ids != 10_000 {
				t.Errorf("%v: %d different messages", trip, ids)
			}
			t.Logf("a round trip of %v: %v", trip, took)
			if trip == 100*time.Millisecond && took > time.Minute {
				t.Errorf("at %v a call it takes %v", trip, took)
			}
		})
	}
}

// A long sweep meets its first messages again before it has seen the last ones: it hides them for
// longer, comes to an end, and shows them all at once.
func TestALongSweepHidesWhatItMeetsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(2 * time.Second)
		r.put(1500, "in-doubt")
		r.put(1, "throttled")
		r.dies = func(call int) (bool, bool) { return call > 5000, false } // this does not end
		qs := r.queues()
		qs.Readers = 1
		outcomes := map[deadletter.Outcome]int{}
		_, err := qs.Redrive(t.Context(), order(deadletter.Filter{}, outcomes))
		if n, hidden := r.left(); err != nil || outcomes[deadletter.Refused] != 1500 || outcomes[deadletter.Taken] != 1 || n != 1500 || hidden != 0 {
			t.Errorf("%v, %v, %d left, %d hidden", err, outcomes, n, hidden)
		}
	})
}

func distinct(all []deadletter.Message) int {
	ids := map[string]bool{}
	for _, m := range all {
		ids[m.ID] = true
	}
	return len(ids)
}

// What cannot be shown again is a warning, and takes nothing from the list.
func TestAFailedReleaseIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(100 * time.Millisecond)
		r.put(500, "throttled")
		r.deaf = true
		found, err := r.queues().Read(t.Context(), deadletter.Query{})
		if err != nil || len(found.Messages) != 500 || len(found.Warnings) != 1 || !strings.Contains(found.Warnings[0].Error(), "about 500 messages") {
			t.Errorf("%v, %d messages, %v", err, len(found.Messages), found.Warnings)
		}
	})
}

// What others hold is not there to see, and is counted.
func TestWhatOthersHoldIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(100 * time.Millisecond)
		r.put(30, "throttled")
		for _, m := range r.all[:7] {
			m.until = time.Now().Add(time.Hour)
		}
		found, err := r.queues().Read(t.Context(), deadletter.Query{})
		if c := found.Counts[0]; err != nil || c.Seen != 23 || c.InFlight != 7 || !c.Whole || found.Empty() {
			t.Errorf("%v, %+v", err, c)
		}
		for _, m := range r.all[7:] {
			m.gone = true
		}
		if found, err = r.queues().Read(t.Context(), deadletter.Query{}); err != nil || found.Empty() || len(found.Messages) != 0 {
			t.Errorf("seven are held: %v, %+v", err, found)
		}
		for _, m := range r.all {
			m.gone = true
		}
		if found, err = r.queues().Read(t.Context(), deadletter.Query{}); err != nil || !found.Empty() {
			t.Errorf("nothing is there: %v, %+v", err, found)
		}
		r.blind = true
		if found, err = r.queues().Read(t.Context(), deadletter.Query{}); err != nil || found.Empty() {
			t.Errorf("nobody knows: %v, %+v", err, found)
		}
	})
}

// A queue that does not come to an end in the reading says so.
func TestAReadingThatEndsEarlySaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(100 * time.Millisecond)
		r.put(300, "throttled")
		found, err := r.queues().Read(t.Context(), deadletter.Query{Limit: 20})
		if c := found.Counts[0]; err != nil || !found.Limited || len(found.Messages) != 20 || c.Whole || found.Empty() {
			t.Errorf("%v, %d messages, %+v", err, len(found.Messages), c)
		}
		if _, hidden := r.left(); hidden != 0 {
			t.Errorf("%d are hidden", hidden)
		}
	})
}

// order is a redrive by somebody, of which the results are counted.
func order(f deadletter.Filter, outcomes map[deadletter.Outcome]int) deadletter.Order {
	return deadletter.Order{Filter: f, By: "ada", Parallel: 8, Report: func(r deadletter.Result) { outcomes[r.Outcome]++ }}
}

// Ten thousand messages are redriven in windows, side by side.
func TestTenThousandMessagesAreRedriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(100 * time.Millisecond)
		r.put(10_000, "throttled")
		outcomes := map[deadletter.Outcome]int{}
		began := time.Now()
		sum, err := r.queues().Redrive(t.Context(), order(deadletter.Filter{}, outcomes))
		took := time.Since(began)
		if n, _ := r.left(); err != nil || outcomes[deadletter.Taken] != 10_000 || n != 0 || len(r.applied) != 10_000 || r.most != 8 {
			t.Errorf("%v, %v, %d left, %d done, %d at once", err, outcomes, n, len(r.applied), r.most)
		}
		if !sum.Counts[0].Whole || len(sum.Warnings) != 0 {
			t.Errorf("%+v", sum)
		}
		t.Log(took)
		if took > 15*time.Minute {
			t.Errorf("it takes %v", took)
		}
	})
}

// The chosen ones are found among thousands of others, refused ones in front of them too.
func TestTheChosenAreFoundAmongThousands(t *testing.T) {
	for _, others := range []verdict.Class{"throttled", "in-doubt", "permanent/x"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRemote(100 * time.Millisecond)
			r.put(5_000, others)
			r.put(2, "auth")
			r.put(5_000, others)
			outcomes := map[deadletter.Outcome]int{}
			if _, err := r.queues().Redrive(t.Context(), order(deadletter.Filter{Class: "auth"}, outcomes)); err != nil || outcomes[deadletter.Taken] != 2 || len(outcomes) != 1 {
				t.Errorf("among %s: %v, %v", others, err, outcomes)
			}
			if n, hidden := r.left(); n != 10_000 || hidden != 0 {
				t.Errorf("among %s: %d left, %d hidden", others, n, hidden)
			}
			outcomes = map[deadletter.Outcome]int{}
			if _, err := r.queues().Redrive(t.Context(), order(deadletter.Filter{ID: "00009876"}, outcomes)); err != nil || outcomes[deadletter.Taken]+outcomes[deadletter.Refused] != 1 || len(outcomes) != 1 {
				t.Errorf("one among %s: %v, %v", others, err, outcomes)
			}
		})
	}
}

// No more messages a second go than the rate allows.
func TestARateBoundsARedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(10 * time.Millisecond)
		r.put(100, "throttled")
		o := order(deadletter.Filter{}, map[deadletter.Outcome]int{})
		o.Rate = 5
		began := time.Now()
		_, err := r.queues().Redrive(t.Context(), o)
		if took := time.Since(began); err != nil || took < 19*time.Second || took > 25*time.Second || len(r.applied) != 100 {
			t.Errorf("%v, %v, %d done", err, took, len(r.applied))
		}
	})
}

// A redrive of which too much fails stops, and the rest was never sent.
func TestARedriveStopsWhenTooMuchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(10 * time.Millisecond)
		r.put(1000, "throttled")
		asked := 0
		r.refuse = func(string) string {
			if asked++; asked%3 == 0 {
				return ""
			}
			return `{"verdicts":[{"verdict":"failed","class":"throttled"}]}`
		}
		outcomes := map[deadletter.Outcome]int{}
		o := order(deadletter.Filter{}, outcomes)
		o.Parallel, o.StopAbove = 1, 0.5
		_, err := r.queues().Redrive(t.Context(), o)
		if !errors.Is(err, deadletter.ErrStopped) || outcomes[deadletter.Taken]+outcomes[deadletter.Left] > 30 {
			t.Errorf("%v, %v", err, outcomes)
		}
		if n, hidden := r.left(); n+len(r.applied) != 1000 || hidden != 0 {
			t.Errorf("%d left, %d done, %d hidden", n, len(r.applied), hidden)
		}
	})
}

// A redrive that is killed at any of its calls, before the call or after it, loses nothing: run
// again when SQS shows the messages, it takes the rest.
func TestARedriveIsKilledAtEachStep(t *testing.T) {
	const messages = 23
	for _, after := range []bool{false, true} {
		for step := 1; ; step++ {
			killed := false
			synctest.Test(t, func(t *testing.T) {
				r := newRemote(100 * time.Millisecond)
				r.put(messages, "throttled")
				r.dies = func(call int) (bool, bool) { // the process is gone: nothing of it reaches SQS any more
					killed = killed || call >= step
					return call > step || call == step && !after, call >= step
				}
				outcomes := map[deadletter.Outcome]int{}
				_, err := r.queues().Redrive(t.Context(), order(deadletter.Filter{}, outcomes))
				if killed && !errors.Is(err, errDead) && len(r.applied) < messages {
					t.Errorf("step %d: error %v", step, err)
				}
				r.dies = nil
				lost(t, r, step)
				time.Sleep(deadletter.HeldFor)
				_, err = r.queues().Redrive(t.Context(), order(deadletter.Filter{}, outcomes))
				if n, _ := r.left(); err != nil || n != 0 || len(r.applied) != messages {
					t.Errorf("step %d: run again %v, %d left, %d done", step, err, n, len(r.applied))
				}
			})
			if !killed {
				break
			}
		}
	}
}

// lost fails the test for a message that is gone and was not done.
func lost(t *testing.T, r *remote, step int) {
	t.Helper()
	for _, m := range r.all {
		if m.gone && r.applied[m.id] == 0 {
			t.Errorf("step %d: message %s is lost", step, m.id)
		}
	}
}

// Interrupted at any moment, a redrive shows what it held at once, and run again takes the rest.
func TestARedriveIsInterruptedAtEachStep(t *testing.T) {
	const messages = 23
	for step := 1; ; step++ {
		interrupted := false
		synctest.Test(t, func(t *testing.T) {
			r := newRemote(100 * time.Millisecond)
			r.put(messages, "throttled")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r.dies = func(call int) (bool, bool) {
				if call == step {
					interrupted = true
					stop()
				}
				return false, false
			}
			outcomes := map[deadletter.Outcome]int{}
			_, err := r.queues().Redrive(ctx, order(deadletter.Filter{}, outcomes))
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("step %d: error %v", step, err)
			}
			r.dies = nil
			lost(t, r, step)
			if _, hidden := r.left(); hidden > 10 { // of a receive whose answer did not come
				t.Errorf("step %d: %d messages stay hidden", step, hidden)
			}
			time.Sleep(deadletter.HeldFor)
			_, err = r.queues().Redrive(t.Context(), order(deadletter.Filter{}, outcomes))
			if n, _ := r.left(); err != nil || n != 0 || len(r.applied) != messages {
				t.Errorf("step %d: run again %v, %d left, %d done", step, err, n, len(r.applied))
			}
		})
		if !interrupted {
			break
		}
	}
}

// The filter of what failed: record, object, org, time and text.
func TestFilterByWhatAMessageIsAbout(t *testing.T) {
	q := newQueues(t)
	fill(q)
	q.put(failureURL, "p1", parked("inventory-erp", "throttled", `{"version":"0","id":"e8","detail-type":"Inventory_Update__e","source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabXGAS","time":"2026-11-21T10:15:30Z",`+
		`"detail":{"schemaId":"x","id":"d","payload":{"CreatedDate":"2026-11-21T10:15:29Z","Sku__c":"SKU-1"}}}`), nil)
	o, _ := stackOf(q)
	o.Subject = func(consumer string, e *salesforce.Event, _ *salesforce.Change) string {
		if consumer == "inventory-erp" && e.DetailType == "Inventory_Update__e" {
			return "stock/SKU-1@BER"
		}
		return ""
	}
	for what, c := range map[string]struct {
		f    deadletter.Filter
		want []string
	}{
		"a record":          {deadletter.Filter{Record: two}, []string{"m1"}},
		"its short id":      {deadletter.Filter{Record: two[:15]}, []string{"m1"}},
		"a beginning of it": {deadletter.Filter{Record: two[:14]}, nil},
		"a subject":         {deadletter.Filter{Record: "Account/" + two}, []string{"m1"}},
		"a key":             {deadletter.Filter{Record: "SKU-1@BER"}, []string{"p1"}},
		"an object":         {deadletter.Filter{Object: "stock"}, []string{"p1"}},
		"an object, small":  {deadletter.Filter{Object: "account", Class: "in-doubt"}, []string{"m3"}},
		"an org":            {deadletter.Filter{Org: "00D5f000005KcCn", Class: "permanent"}, []string{"m1"}},
		"another org":       {deadletter.Filter{Org: "00D5f000005KcCnEAL"}, nil},
		"since":             {deadletter.Filter{Since: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Consumer: "customer-erp"}, []string{"m2", "m8"}},
		"until":             {deadletter.Filter{Until: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Class: "permanent"}, []string{"m1", "m5"}},
		"a text":            {deadletter.Filter{Text: "sku-1"}, []string{"p1"}},
		"a reason":          {deadletter.Filter{Text: "NOT ALLOWED", Consumer: "inventory-erp"}, []string{"m7"}},
	} {
		var got []string
		for id := range read(t, o, c.f, 0) {
			got = append(got, id)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

func TestPattern(t *testing.T) {
	for reason, want := range map[string]string{
		`PUT customer: the ERP answered 503`:                               `PUT customer: the ERP answered 503`,
		`the account "Ada" of 0015f00002J9YYEAA3 has 12.50`:                `the account … of … has …`,
		"Stripe answered 400, request req_1aB":                             "Stripe answered 400, request …",
		"abcdefghijklmno is a word\nof two   lines":                        "abcdefghijklmno is a word of two lines",
		"object customer-erp/b6b4a3f2-0c1e-7a5d-9a51-4c1f0f7f2b11 is gone": "object customer-erp/… is gone",
		strings.Repeat("é", 200):                                           strings.Repeat("é", 160),
	} {
		if got := deadletter.Pattern(reason); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
