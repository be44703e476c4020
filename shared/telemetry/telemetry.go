// Package telemetry writes the one line that every change leaves behind at every
// consumer: JSON for people and queries, with CloudWatch's embedded metrics in the
// same line (CloudWatch User Guide, "Embedded metric format specification"). It
// never sees field values.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"time"

	"sfrelay/shared/verdict"
)

// Namespace is the CloudWatch namespace of all metrics.
const Namespace = "sfrelay"

// Line is what became of one change at one consumer.
type Line struct {
	Consumer      string
	EventKey      string // the change's identity
	IdentityFrom  string // where it came from; "envelope.id" is the last resort
	EventID       string // EventBridge's id of this delivery
	DetailType    string
	Subject       string
	RecordVersion string // 40 hex digits; empty without one
	Verdict       verdict.Verdict
	Class         verdict.Class
	Error         string
	Attempt       int64
	Epoch         int64
	InDoubt       bool
	Changed       string // for a duplicate of what happens once: whether its content differed
	Form          string // what brought it
	Records       int    // more than 0 when one line speaks of several records
	At            time.Time
	Lag           time.Duration // from the change in Salesforce to now; negative: unknown
	Sink          time.Duration // spent in the sink
	Waited        time.Duration // since the first failure, of what comes again out of the buffer
	GuardRequests int
	OrgRequests   int    // that Salesforce was asked; of a batch they stand in one line
	Read          string // of a record that was read: "current", or "old" where the read is behind its change
	EpochRaised   bool

	Org       string   // 18 characters
	RequestID string   // Lambda's, of the invocation
	Redrive   string   // who ordered the redrive that brought it; empty: none did
	Fields    []string // names of the fields that the change carries, never values
	Stale     []string // those of them that were older than what is known
	// The hops: from the commit in Salesforce to when EventBridge took the event, from then to the
	// invocation, and in the guard. Zero: not known.
	Publish, Queue, Guard time.Duration
}

// Log writes lines. It is safe for concurrent use.
type Log struct {
	handler slog.Handler
	service string
	stage   string // empty: no line names one
}

// New writes to w, whole lines only, from the given level up.
func New(w io.Writer, service string, level slog.Level) *Log {
	return &Log{handler: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), service: service}
}

// InStage is the log with the stage in every line.
func (l *Log) InStage(stage string) *Log { return &Log{l.handler, l.service, stage} }

// Logger is for what does not concern a single change, e.g. start-up.
func (l *Log) Logger() *slog.Logger { return slog.New(l.handler) }

// bad verdicts are warnings: somebody has to look at the queue, or will.
var bad = map[verdict.Verdict]bool{verdict.Failed: true, verdict.Parked: true, verdict.Zombie: true}

// Write writes the line.
func (l *Log) Write(line Line) {
	level := slog.LevelInfo
	if bad[line.Verdict] {
		level = slog.LevelWarn
	}
	r := slog.NewRecord(line.At, level, "change", 0)
	text := func(name, v string) {
		if v != "" {
			r.AddAttrs(slog.String(name, v))
		}
	}
	number := func(name string, v int64) {
		if v != 0 {
			r.AddAttrs(slog.Int64(name, v))
		}
	}
	r.AddAttrs(
		slog.String("service", l.service),
		slog.String("consumer", line.Consumer),
		slog.String("eventKey", line.EventKey),
		slog.String("identityFrom", line.IdentityFrom),
		slog.String("subject", line.Subject),
		slog.String("recordVersion", line.RecordVersion),
		slog.String("verdict", string(line.Verdict)),
		slog.Int64("attempt", line.Attempt),
		slog.Int64("epoch", line.Epoch),
		slog.Int64("lagMs", max(line.Lag, 0).Milliseconds()),
		slog.Int64("sinkMs", line.Sink.Milliseconds()),
		slog.String("class", string(line.Class)),
		slog.String("error", line.Error),
		slog.String("eventId", line.EventID),
		slog.String("detailType", line.DetailType),
	)
	text("stage", l.stage)
	text("form", line.Form)
	text("changed", line.Changed)
	line.way(&r)
	if line.InDoubt {
		r.AddAttrs(slog.Bool("inDoubt", true))
	}
	number("records", int64(line.Records))
	number("waitedMs", line.Waited.Milliseconds())
	if line.Class == verdict.Auth {
		number("credentialsRefused", 1)
	}
	number("guardRequests", int64(line.GuardRequests))
	number("orgRequests", int64(line.OrgRequests))
	text("read", line.Read)
	if line.EpochRaised {
		number("epochRaised", 1)
	}
	number("changes", int64(max(line.Records, 1)))
	r.AddAttrs(slog.Any("_aws", l.metrics(line)))
	// Whatever the level: the line is the record of the change, and its metrics.
	_ = l.handler.Handle(context.Background(), r)
}

type embedded struct {
	Timestamp         int64       `json:"Timestamp"`
	CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
}

type directive struct {
	Namespace  string     `json:"Namespace"`
	Dimensions [][]string `json:"Dimensions"`
	Metrics    []metric   `json:"Metrics"`
}

type metric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// The dimensions are few on purpose: every combination of their values is a metric
// that costs money. Record ids and classes stay in the line.
var (
	byVerdict  = [][]string{{"service", "consumer", "verdict"}}
	byConsumer = [][]string{{"service", "consumer"}}
	// What alarms look at is there for the stack as a whole, too: an alarm cannot search.
	byService = [][]string{{"service"}, {"service", "consumer"}}
)

// through reports whether the change got through at once. The lag of what came twice, waited for
// a sink, was redriven or came out of an archive says nothing of the way; the line has it.
func (line *Line) through() bool {
	return (line.Verdict == verdict.Applied || line.Verdict == verdict.PartlyStale) && line.Redrive == "" && line.Waited == 0 && line.Form != "replay"
}

func (l *Log) metrics(line Line) embedded {
	perConsumer := []metric{{"guardRequests", "Count"}}
	if line.Lag >= 0 && line.through() {
		perConsumer = append(perConsumer, metric{"lagMs", "Milliseconds"})
	}
	if line.Sink > 0 {
		perConsumer = append(perConsumer, metric{"sinkMs", "Milliseconds"})
	}
	if line.EpochRaised {
		perConsumer = append(perConsumer, metric{"epochRaised", "Count"})
	}
	if line.GuardRequests == 0 {
		perConsumer = perConsumer[1:]
	}
	m := embedded{line.At.UnixMilli(), []directive{{Namespace, byVerdict, []metric{{"changes", "Count"}}}}}
	if len(perConsumer) > 0 {
		m.CloudWatchMetrics = append(m.CloudWatchMetrics, directive{Namespace, byConsumer, perConsumer})
	}
	var alarming []metric
	if line.Waited > 0 {
		alarming = append(alarming, metric{"waitedMs", "Milliseconds"})
	}
	if line.Class == verdict.Auth {
		alarming = append(alarming, metric{"credentialsRefused", "Count"})
	}
	if len(alarming) > 0 {
		m.CloudWatchMetrics = append(m.CloudWatchMetrics, directive{Namespace, byService, alarming})
	}
	return m
}
