package telemetry

import "log/slog"

// way adds where a change came through, what it carries, and how long the hops took.
func (line *Line) way(r *slog.Record) {
	for _, a := range []struct{ name, value string }{{"org", line.Org}, {"requestId", line.RequestID}, {"redrive", line.Redrive}} {
		if a.value != "" {
			r.AddAttrs(slog.String(a.name, a.value))
		}
	}
	for _, a := range []struct {
		name  string
		names []string
	}{{"fields", line.Fields}, {"staleFields", line.Stale}} {
		if len(a.names) > 0 {
			r.AddAttrs(slog.Any(a.name, a.names))
		}
	}
	for _, a := range []struct {
		name string
		ms   int64
	}{{"publishMs", line.Publish.Milliseconds()}, {"queueMs", line.Queue.Milliseconds()}, {"guardMs", line.Guard.Milliseconds()}} {
		if a.ms != 0 {
			r.AddAttrs(slog.Int64(a.name, a.ms))
		}
	}
}
