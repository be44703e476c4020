// Package verdicts reads what became of each change at each consumer: the one line
// that a consumer logs per change, out of CloudWatch Logs.
package verdicts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"sfrelay/shared/verdict"
)

// Line is what became of one change at one consumer, as it was logged.
type Line struct {
	Time     time.Time       `json:"time"`
	Consumer string          `json:"consumer"`
	EventID  string          `json:"eventId"`  // EventBridge's id; empty where the event could not be read
	EventKey string          `json:"eventKey"` // the change's own identity
	Subject  string          `json:"subject"`
	Verdict  verdict.Verdict `json:"verdict"`
	Class    verdict.Class   `json:"class,omitempty"`
	Error    string          `json:"error,omitempty"`
	Attempt  int64           `json:"attempt,omitempty"`

	Org           string   `json:"org,omitempty"`
	DetailType    string   `json:"detailType,omitempty"`
	RecordVersion string   `json:"recordVersion,omitempty"` // that of the fields that it set
	Fields        []string `json:"fields,omitempty"`
	Stale         []string `json:"staleFields,omitempty"`
	Redrive       string   `json:"redrive,omitempty"`
}

// Settled reports whether the change comes again by itself (false), or not: it is
// done, or parked.
func (l Line) Settled() bool { return l.Verdict.Acknowledged() }

// Reader follows the logs of some functions. It is not safe for concurrent use.
type Reader struct {
	client   *cloudwatchlogs.Client
	groups   []group
	pattern  string // of CloudWatch; empty: every line
	patience time.Duration
	overdue  func(ctx context.Context, consumers []string) error
}

// WhenOverdue has Await call ask whenever it has seen no line for as long as patience,
// with the consumers that it waits for: some emulators have to be asked for their lines.
func (r *Reader) WhenOverdue(patience time.Duration, ask func(ctx context.Context, consumers []string) error) {
	r.patience, r.overdue = patience, ask
}

// Ask does at once what Await does where lines are overdue.
func (r *Reader) Ask(ctx context.Context, consumers []string) error {
	if r.overdue == nil {
		return nil
	}
	return r.overdue(ctx, consumers)
}

// Only has CloudWatch choose lines by a filter pattern. Emulators know none: what it lets
// through may be more.
func (r *Reader) Only(pattern string) { r.pattern = pattern }

type group struct {
	name string
	from time.Time       // nothing older was left unread
	seen map[string]bool // ids of log events at or after from
}

// Open follows the functions from since on. It needs lambda:GetFunctionConfiguration
// and logs:FilterLogEvents.
func Open(ctx context.Context, cfg aws.Config, functions []string, since time.Time) (*Reader, error) {
	r := &Reader{client: cloudwatchlogs.NewFromConfig(cfg)}
	client := lambda.NewFromConfig(cfg)
	for _, f := range functions {
		out, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &f})
		if err != nil {
			return nil, fmt.Errorf("the log group of %s: %w", f, err)
		}
		name := "/aws/lambda/" + aws.ToString(out.FunctionName)
		if out.LoggingConfig != nil && aws.ToString(out.LoggingConfig.LogGroup) != "" {
			name = *out.LoggingConfig.LogGroup
		}
		r.groups = append(r.groups, group{name: name, from: since, seen: map[string]bool{}})
	}
	return r, nil
}

// CloudWatch shows a line some time after its timestamp, and lines of several
// streams in no common order: what is younger than this is asked for again.
const overlap = time.Minute

// Next returns the lines that were not returned before, in the order of their time.
func (r *Reader) Next(ctx context.Context) ([]Line, error) {
	var lines []Line
	for i := range r.groups {
		fresh, err := r.next(ctx, &r.groups[i])
		if err != nil {
			return nil, fmt.Errorf("log group %s: %w", r.groups[i].name, err)
		}
		lines = append(lines, fresh...)
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return a.Time.Compare(b.Time) })
	return lines, nil
}

func (r *Reader) next(ctx context.Context, g *group) ([]Line, error) {
	const pages = 1000
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &g.name, StartTime: aws.Int64(g.from.UnixMilli())}
	if r.pattern != "" {
		in.FilterPattern = &r.pattern
	}
	var lines []Line
	newest := g.from
	for range pages {
		out, err := r.client.FilterLogEvents(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, e := range out.Events {
			at := time.UnixMilli(aws.ToInt64(e.Timestamp))
			if at.After(newest) {
				newest = at
			}
			// Emulators leave the id out; then stream, time and text tell lines apart.
			id := aws.ToString(e.EventId)
			if id == "" {
				id = fmt.Sprint(aws.ToString(e.LogStreamName), aws.ToInt64(e.Timestamp), aws.ToString(e.Message))
			}
			if g.seen[id] {
				continue
			}
			g.seen[id] = true
			if line, ok := parse(aws.ToString(e.Message)); ok {
				lines = append(lines, line)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if from := newest.Add(-overlap); from.After(g.from) {
		g.from = from
	}
	return lines, nil
}

// parse knows our line from the runtime's own ones by its verdict.
func parse(message string) (Line, bool) {
	message = strings.TrimSpace(message)
	if !strings.HasPrefix(message, "{") {
		return Line{}, false
	}
	var l Line
	if err := json.Unmarshal([]byte(message), &l); err != nil || l.Verdict == "" {
		return Line{}, false
	}
	return l, true
}

// Awaited is one event on its way to one consumer.
type Awaited struct {
	EventID  string
	Consumer string
	Since    time.Time // lines before it are of an earlier delivery
}

// SettledBy reports whether the lines show the event settled: at least one, and
// the last one of each subject final.
func (a Awaited) SettledBy(lines []Line) bool {
	last := map[string]Line{}
	for _, l := range lines {
		if l.EventID == a.EventID && l.Consumer == a.Consumer && !l.Time.Before(a.Since) {
			last[l.Subject] = l
		}
	}
	for _, l := range last {
		if !l.Settled() {
			return false
		}
	}
	return len(last) > 0
}

func consumersOf(pending []Awaited) []string {
	var names []string
	for _, a := range pending {
		names = append(names, a.Consumer)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Await follows the logs until all that is awaited is settled, and returns every
// line it read. What is not settled after atMost is returned as pending, which is
// no error. elsewhere, if not nil, is asked now and then about what has no line: its
// answer reports what ended in a queue without one.
func (r *Reader) Await(ctx context.Context, awaited []Awaited, atMost time.Duration,
	elsewhere func(context.Context) (func(Awaited) bool, error),
) (lines []Line, pending []Awaited, err error) {
	const pause = 100 * time.Millisecond
	deadline := time.Now().Add(atMost)
	overdue := time.Now().Add(r.patience)
	pending = slices.Clone(awaited)
	for try := 0; try == 0 || time.Now().Before(deadline); try++ {
		fresh, err := r.Next(ctx)
		if err != nil {
			return lines, pending, err
		}
		if len(fresh) > 0 {
			overdue = time.Now().Add(r.patience)
		}
		lines = append(lines, fresh...)
		pending = slices.DeleteFunc(pending, func(a Awaited) bool { return a.SettledBy(lines) })
		if len(pending) > 0 && elsewhere != nil && try%5 == 4 {
			queued, err := elsewhere(ctx)
			if err != nil {
				return lines, pending, err
			}
			pending = slices.DeleteFunc(pending, queued)
		}
		if len(pending) == 0 {
			return lines, nil, nil
		}
		if r.overdue != nil && time.Now().After(overdue) {
			if err := r.overdue(ctx, consumersOf(pending)); err != nil {
				return lines, pending, err
			}
			overdue = time.Now().Add(r.patience)
		}
		select {
		case <-ctx.Done():
			return lines, pending, ctx.Err()
		case <-time.After(pause):
		}
	}
	return lines, pending, nil
}
