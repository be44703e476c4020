package telemetry

import (
	"context"
	"log/slog"
	"time"
)

// Measure is a number of a line that is about no change.
type Measure struct {
	Name  string
	Unit  string // of CloudWatch: Count, Milliseconds, Percent, None
	Value float64
	By    [][]string // dimensions, each a text of the line
}

// Measured writes a line that is about no change, with its numbers as metrics.
func (l *Log) Measured(at time.Time, level slog.Level, msg string, attrs []slog.Attr, measures []Measure) {
	r := slog.NewRecord(at, level, msg, 0)
	r.AddAttrs(slog.String("service", l.service))
	if l.stage != "" {
		r.AddAttrs(slog.String("stage", l.stage))
	}
	r.AddAttrs(attrs...)
	m := embedded{Timestamp: at.UnixMilli()}
	for _, one := range measures {
		r.AddAttrs(slog.Float64(one.Name, one.Value))
		m.CloudWatchMetrics = append(m.CloudWatchMetrics, directive{Namespace, one.By, []metric{{one.Name, one.Unit}}})
	}
	r.AddAttrs(slog.Any("_aws", m))
	// Whatever the level: the line is the record, and its metrics.
	_ = l.handler.Handle(context.Background(), r)
}
