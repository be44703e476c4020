package deadletter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// hold is how long a message is hidden from others, should we be killed before it is shown
	// again. It is longer than any function of ours may run.
	hold = 2 * time.Minute
	// longHold is the same of what a long sweep has met a second time; twice that a third time, and so
	// on, so that every sweep comes to an end.
	longHold    = 15 * time.Minute
	longestHold = 4 * time.Hour
	// emptyReads is after how many receives that bring nothing new a queue counts as
	// read: SQS may answer "nothing" although there is something.
	emptyReads = 3
	// moreRounds is how often a queue is read once more that should have more messages by SQS's own
	// count, which lags behind.
	moreRounds = 2
	// mostMessages bounds what is read of a queue; SQS hides no more than 120,000.
	mostMessages = 100_000
	// perCall is how many messages one call of SQS brings, or changes.
	perCall = 10
	// lostReleases is after how many calls in a row that fail no further message is shown again.
	lostReleases = 3
)

// HeldFor is for how long at most a message stays hidden of which nobody says anything any
// more, because its reader was killed.
const HeldFor = longHold

// sweep goes over one queue once. SQS cannot be asked for certain messages: it takes what
// comes, several readers side by side, until nothing new does. What it does not want is
// hidden from it until the end.
type sweep struct {
	*Queues
	q Queue
	// window gets what one receive has brought for the first time. What it returns stays hidden
	// and is shown again in the end; the rest is gone, or its time is over and it comes again.
	window func(ctx context.Context, began time.Time, fresh []received) error
	enough func() bool // the rest of the queue does not matter; nil: it does
	most   int         // messages to look at; 0: mostMessages

	mu         sync.Mutex
	held       map[string]string // id to its newest receipt handle: what is shown again in the end
	seen       map[string]int    // how often
	began      time.Time         // by the clock of SQS, in whole seconds
	nothingNew int
	receiving  int // calls that are under way
	err        error
}

// received is a message that we hold.
type received struct {
	types.Message
	until time.Time
}

func (m received) id() string     { return aws.ToString(m.MessageId) }
func (m received) handle() string { return aws.ToString(m.ReceiptHandle) }

// run is the sweep. Its error is that of a window or of SQS. warning says that some messages
// stay hidden for a while.
func (s *sweep) run(ctx context.Context) (count Count, warning, err error) {
	s.held, s.seen = map[string]string{}, map[string]int{}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range 1 + moreRounds {
		s.round(ctx, cancel)
		s.mu.Lock()
		ended := s.err != nil || s.nothingNew < emptyReads // it was enough
		if count = (Count{Queue: s.q}); !ended {
			count = s.count(ctx, s.q, len(s.held))
			s.nothingNew = 0
		}
		s.mu.Unlock()
		if ended || count.Visible == 0 {
			count.Whole = !ended
			break
		}
	}
	count.Seen = len(s.seen)
	return count, s.release(ctx, s.q, slices.Collect(maps.Values(s.held))), s.err
}

// round is as many readers as there may be, until nothing new comes.
func (s *sweep) round(ctx context.Context, cancel context.CancelCauseFunc) {
	var group sync.WaitGroup
	for range s.readers() {
		group.Go(func() {
			for s.more() {
				if err := s.receiveOnce(ctx); err != nil {
					s.fail(err)
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func (s *sweep) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// more reports whether another receive may bring something that matters, and begins it.
func (s *sweep) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.nothingNew >= emptyReads || !s.room() || s.enough != nil && s.enough() {
		return false
	}
	s.receiving++
	return true
}

// room reports whether one more receive looks at no more messages than it may.
func (s *sweep) room() bool {
	if s.most > 0 {
		return len(s.seen)+s.receiving*perCall <= s.most-perCall
	}
	return len(s.seen) < mostMessages
}

func (s *sweep) receiveOnce(ctx context.Context) error {
	asked := s.now()
	out, err := s.receive(ctx, s.q)
	if err != nil {
		return err
	}
	fresh, again, times := s.sort(out, asked)
	if len(again) > 0 && s.away(ctx, s.q, again, s.longer(times)) == nil {
		s.mu.Lock()
		s.nothingNew = 0 // it stands no longer before those that we have not seen
		s.mu.Unlock()
	}
	if len(fresh) == 0 {
		return nil
	}
	s.mu.Lock()
	began := s.began
	s.mu.Unlock()
	return s.window(ctx, began, fresh)
}

// longer is how long what was met so many times is hidden.
func (s *sweep) longer(times int) time.Duration {
	if s.most > 0 { // a short sweep, of which nothing stays hidden for long
		return hold
	}
	return min(longHold<<min(times-2, 8), longestHold)
}

// sort takes down what was received: what is new, and the handles of what was met before, at most
// so many times.
func (s *sweep) sort(out *sqs.ReceiveMessageOutput, asked time.Time) (fresh []received, again []string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiving--
	if s.began.IsZero() {
		s.began = s.clock(out).Truncate(time.Second)
	}
	for _, m := range out.Messages {
		r := received{m, asked.Add(hold)}
		s.held[r.id()] = r.handle()
		if s.seen[r.id()]++; s.seen[r.id()] > 1 {
			again, times = append(again, r.handle()), max(times, s.seen[r.id()])
			continue
		}
		fresh = append(fresh, r)
	}
	if s.nothingNew++; len(fresh) > 0 {
		s.nothingNew = 0
	}
	return fresh, again, times
}

// gone says that the message is deleted.
func (s *sweep) gone(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, id)
}

// lost says that the queue shows the message to everybody again: it may come once more.
func (s *sweep) lost(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, id)
	delete(s.seen, id)
}

func (qs *Queues) receive(ctx context.Context, q Queue) (*sqs.ReceiveMessageOutput, error) {
	wait := int32(1) // asks all servers, not some
	if qs.OneServer {
		wait = 0
	}
	out, err := qs.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.URL, MaxNumberOfMessages: perCall, VisibilityTimeout: int32(hold / time.Second),
		WaitTimeSeconds:             wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("reading the %s queue: %w", q.Name, err)
	}
	return out, nil
}

// clock is SQS's own: those of operators go wrong.
func (qs *Queues) clock(out *sqs.ReceiveMessageOutput) time.Time {
	if t, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		return t
	}
	return qs.now()
}

func (qs *Queues) now() time.Time {
	if qs.Now != nil {
		return qs.Now()
	}
	return time.Now()
}

// release shows messages to everybody again, also when ctx has ended: then for a minute at
// most. What it says is no more than a warning: SQS shows them by itself.
func (qs *Queues) release(ctx context.Context, q Queue, handles []string) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
	}
	var mu sync.Mutex
	var first error
	hidden, lost := 0, 0
	slots := make(chan struct{}, qs.readers())
	var group sync.WaitGroup
	for batch := range slices.Chunk(handles, perCall) {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			mu.Lock()
			giveUp := lost >= lostReleases
			mu.Unlock()
			err := errors.New("")
			if !giveUp {
				err = qs.away(ctx, q, batch, 0)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				lost = 0
				return
			}
			hidden, lost = hidden+len(batch), lost+1
			if first == nil {
				first = err
			}
		})
	}
	group.Wait()
	if first == nil {
		return nil
	}
	return fmt.Errorf("about %d messages of the %s queue could not be shown to others again: %w; SQS does it by itself, within %d minutes", hidden, q.Name, first, int(longHold.Minutes()))
}

// away hides messages for a time; with zero it shows them. What is visible already, or gone,
// is no error.
func (qs *Queues) away(ctx context.Context, q Queue, handles []string, d time.Duration) error {
	var errs []error
	for batch := range slices.Chunk(handles, perCall) {
		failed, err := qs.changeVisibility(ctx, q, batch, d)
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range failed {
			if !notOurs(f) {
				errs = append(errs, fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message)))
			}
		}
	}
	return errors.Join(errs...)
}

func (qs *Queues) changeVisibility(ctx context.Context, q Queue, handles []string, d time.Duration) ([]types.BatchResultErrorEntry, error) {
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.URL}
	for i := range handles {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &handles[i], VisibilityTimeout: int32(d / time.Second),
		})
	}
	out, err := qs.SQS.ChangeMessageVisibilityBatch(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Failed, nil
}

// notOurs reports whether a message is no longer ours: it is visible, another reader has it,
// or it is gone (SQS API Reference, ChangeMessageVisibility, Errors).
func notOurs(f types.BatchResultErrorEntry) bool {
	return f.SenderFault
}

// keep makes sure that the message stays hidden for as long as a function may run.
func (s *sweep) keep(ctx context.Context, m *received) bool {
	if m.until.Sub(s.now()) > hold/2 {
		return true
	}
	asked := s.now()
	failed, err := s.changeVisibility(ctx, s.q, []string{m.handle()}, hold)
	if err != nil || len(failed) > 0 {
		return false
	}
	m.until = asked.Add(hold)
	return true
}

// Count is what is known of a queue after it was read. SQS's numbers are about right.
type Count struct {
	Queue    Queue
	Seen     int  // messages that were looked at
	Whole    bool // nothing new came any more, and SQS counts nothing more
	Known    bool // the numbers below were to be had
	Visible  int  // that were not looked at
	InFlight int  // that somebody else holds
}

// Empty reports whether nothing lies there.
func (c Count) Empty() bool {
	return c.Known && c.Whole && c.Seen == 0 && c.Visible == 0 && c.InFlight == 0
}

// count asks SQS how many messages there are beside those that we hold.
func (qs *Queues) count(ctx context.Context, q Queue, ours int) (c Count) {
	c.Queue = q
	const visible, inFlight = types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	out, err := qs.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{visible, inFlight}})
	if err != nil {
		return c
	}
	var errs [2]error
	c.Visible, errs[0] = strconv.Atoi(out.Attributes[string(visible)])
	c.InFlight, errs[1] = strconv.Atoi(out.Attributes[string(inFlight)])
	c.Known = errs == [2]error{}
	c.InFlight = max(c.InFlight-ours, 0)
	return c
}

// Counts asks SQS how many messages lie in the queues, without looking at any.
func (qs *Queues) Counts(ctx context.Context) []Count {
	counts := make([]Count, len(qs.List))
	for i, q := range qs.List {
		counts[i] = qs.count(ctx, q, 0)
	}
	return counts
}
