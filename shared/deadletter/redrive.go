package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/transport"
)

// Outcome is what became of a message in a redrive.
type Outcome string

// The outcomes.
const (
	Taken       Outcome = "taken"        // each of its changes got through, the message is deleted
	ParkedAgain Outcome = "parked again" // the same, and a new message says what somebody has to look at
	Left        Outcome = "left"         // it lies where it lay
	Refused     Outcome = "refused"      // it is not for a redrive
)

// Result is the outcome of one message.
type Result struct {
	Message Message
	Outcome Outcome
	Reason  string // of all but Taken
	Class   string // of Left and ParkedAgain: why, as far as the consumer says
}

// Order is a redrive.
type Order struct {
	Filter
	Limit    int    // most messages; 0: all
	By       string // who orders it: an ARN, or transport.ByFunction
	Parallel int    // messages at once; 0: 8
	// Rate is how many messages a second are handed over at most; 0: no bound.
	Rate float64
	// StopAbove ends the redrive when more than this share of at least 20 messages was left; 0: never.
	StopAbove float64
	// MostSeen bounds how many messages of a queue are looked at; 0: no bound.
	MostSeen int
	// Due decides beside the filter, nil: no more.
	Due func(Message) bool

	// Report hears of each chosen message once, and Progress of each message; neither is called
	// side by side. Progress may be nil.
	Report   func(Result)
	Progress func(Progress)
}

// Progress is how far a redrive is.
type Progress struct {
	Queued int // messages in the queues when it began, as SQS counts; 0: not known
	Seen   int
	Chosen int
	Done   int // of those
}

// Summary is what a redrive leaves behind.
type Summary struct {
	Outcomes map[Outcome]int
	Counts   []Count // of the queues it went over
	Warnings []error
	Oldest   time.Time // of a scheduled run: when the oldest message that it saw was sent
}

// ErrStopped ends a redrive of which too much fails.
var ErrStopped = errors.New("the redrive stopped, because too many messages were left")

const (
	defaultParallel = 8
	// giveUpAfter is how often in a row a consumer may fail before a redrive leaves the
	// rest of its messages alone: its sink is down.
	giveUpAfter = 5
	// enoughToStop is of how many messages a share says something.
	enoughToStop = 20
)

// Redrive goes over the queues once. What the order chooses it hands to the consumers, and
// reports on each exactly once. A message is deleted after the consumer acknowledged each of
// its changes, and only then. What is sent into the queues while it runs is left alone.
//
// It may be interrupted, or killed, and run again at any time. The error is ErrStopped, or one
// of SQS or Lambda themselves, and ends the redrive; that a consumer fails is a result.
func (qs *Queues) Redrive(ctx context.Context, order Order) (*Summary, error) {
	p := pass{Queues: qs, order: order, failures: map[string]int{}, out: &Summary{Outcomes: map[Outcome]int{}}}
	if p.order.Parallel <= 0 {
		p.order.Parallel = defaultParallel
	}
	p.slots = make(chan struct{}, p.order.Parallel)
	for _, c := range qs.Counts(ctx) {
		if c.Known {
			p.progress.Queued += c.Visible + c.InFlight
		}
	}
	// The failure queue last: what is decided of a message out of another one is parked there.
	for _, q := range slices.Backward(qs.List) {
		if err := p.over(ctx, q); err != nil {
			return p.out, err
		}
	}
	return p.out, nil
}

// pass is one Redrive.
type pass struct {
	*Queues
	order Order
	slots chan struct{}

	mu       sync.Mutex
	next     time.Time // when the rate allows the next message
	progress Progress
	failures map[string]int // of a consumer, in a row
	tried    int
	left     int
	stopped  bool // too much fails
	out      *Summary
}

// over redrives one queue.
func (p *pass) over(ctx context.Context, q Queue) error {
	in := queued{pass: p, q: q, missed: map[string]Message{}}
	in.sweep = &sweep{Queues: p.Queues, q: q, window: in.window, enough: p.enough, most: p.order.MostSeen}
	count, warning, err := in.sweep.run(ctx)
	p.mu.Lock()
	p.out.Counts = append(p.out.Counts, count)
	if warning != nil {
		p.out.Warnings = append(p.out.Warnings, warning)
	}
	p.mu.Unlock()
	for _, m := range in.missed {
		p.report(Result{Message: m, Outcome: Left, Reason: "another reader has hidden or deleted the message; redrive again in " + fmt.Sprint(int(HeldFor.Minutes())) + " minutes"})
	}
	return err
}

// enough reports whether the rest of the queues does not matter.
func (p *pass) enough() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order.Limit > 0 && p.progress.Chosen >= p.order.Limit
}

// queued is a pass in one queue.
type queued struct {
	*pass
	sweep  *sweep
	q      Queue
	missed map[string]Message // chosen, but their time was over
}

// window decides about what came with one receive, and acts side by side.
func (in *queued) window(ctx context.Context, began time.Time, fresh []received) error {
	errs := make([]error, len(fresh))
	var group sync.WaitGroup
	for i := range fresh {
		m := in.message(ctx, in.q, fresh[i].Message)
		if !in.choose(m, began) {
			continue
		}
		if reason := in.Refusal(m); reason != "" {
			in.report(Result{Message: m, Outcome: Refused, Reason: reason})
			continue
		}
		if err := in.pace(ctx); err != nil {
			errs[i] = err
			break
		}
		in.slots <- struct{}{}
		group.Go(func() {
			defer func() { <-in.slots }()
			errs[i] = in.act(ctx, m, &fresh[i])
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// choose decides whether the message is for this redrive. One whose time was over was chosen.
func (in *queued) choose(m Message, began time.Time) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, waiting := in.missed[m.ID]; waiting {
		delete(in.missed, m.ID)
		return true
	}
	in.progress.Seen++
	late := !m.Sent.Before(began.Add(time.Second))
	full := in.order.Limit > 0 && in.progress.Chosen >= in.order.Limit
	chosen := !late && !full && in.order.Match(m) && (in.order.Due == nil || in.order.Due(m))
	if chosen {
		in.progress.Chosen++
	}
	if in.order.Progress != nil {
		in.order.Progress(in.progress)
	}
	return chosen
}

// pace waits until the rate allows one more message.
func (p *pass) pace(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.order.Rate <= 0 {
		return nil
	}
	p.mu.Lock()
	wait := time.Until(p.next)
	p.next = time.Now().Add(max(wait, 0)).Add(time.Duration(float64(time.Second) / p.order.Rate))
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// act hands a message to its consumer, if it is held for long enough.
func (in *queued) act(ctx context.Context, m Message, got *received) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if in.isStopped() {
		return nil
	}
	if in.isDown(m.Consumer) {
		in.report(Result{Message: m, Outcome: Left, Reason: fmt.Sprintf("%s failed %d times in a row; check its sink, then redrive again", m.Consumer, giveUpAfter)})
		return nil
	}
	if !in.sweep.keep(ctx, got) { // the queue shows it again: it comes once more
		in.mu.Lock()
		in.missed[m.ID] = m
		in.mu.Unlock()
		in.sweep.lost(m.ID)
		return nil
	}
	a, err := in.invoke(ctx, m, transport.Redrive{By: in.order.By, At: in.now()})
	if err != nil {
		return err
	}
	if a.reason != "" && !a.taken {
		return in.notTaken(m, a)
	}
	in.mu.Lock()
	in.failures[m.Consumer] = 0
	in.tried++
	in.mu.Unlock()
	if err := in.remove(ctx, in.q, got.handle()); err != nil {
		return fmt.Errorf("the consumer took message %s, but SQS did not delete it: %w; redrive again, the consumer will find a duplicate", m.ID, err)
	}
	in.sweep.gone(m.ID)
	r := Result{Message: m, Outcome: Taken}
	if a.reason != "" {
		r = Result{Message: m, Outcome: ParkedAgain, Reason: a.reason, Class: a.class}
	}
	in.report(r)
	return nil
}

func (p *pass) isDown(consumer string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures[consumer] >= giveUpAfter
}

func (p *pass) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// notTaken leaves a message, and ends the redrive where too many are left.
func (p *pass) notTaken(m Message, a answer) error {
	p.mu.Lock()
	p.failures[m.Consumer]++
	p.tried++
	p.left++
	tried, left, share := p.tried, p.left, p.order.StopAbove
	first := !p.stopped && share > 0 && tried >= enoughToStop && float64(left) > share*float64(tried)
	p.stopped = p.stopped || first
	p.mu.Unlock()
	p.report(Result{Message: m, Outcome: Left, Reason: a.reason, Class: a.class})
	if first {
		return fmt.Errorf("%w: %d of %d; the rest was not tried", ErrStopped, left, tried)
	}
	return nil
}

func (p *pass) report(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Outcomes[r.Outcome]++
	p.progress.Done++
	if p.order.Report != nil {
		p.order.Report(r)
	}
	if p.order.Progress != nil {
		p.order.Progress(p.progress)
	}
}

// remove deletes a message also when ctx has just ended: the consumer took it.
func (qs *Queues) remove(ctx context.Context, q Queue, handle string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := qs.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: &handle})
	return err
}

// because joins the reasons of changes into one line.
func because(class, text string) string {
	if class == "" || strings.HasPrefix(text, class) {
		return text
	}
	if text == "" {
		return class
	}
	return class + ": " + text
}
