package bootstrap_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// merged is one event about n accounts, from the given one on, that were changed alike.
func merged(from, n int) []byte {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%q", account(from+i))
	}
	return bytes.Replace(event(from), fmt.Appendf(nil, "[%q]", account(from)), []byte("["+strings.Join(ids, ",")+"]"), 1)
}

// BenchmarkRecord is the processor time, user and system, of a record of a merged event and of
// an event of its own: functions/internal/bulk reckons with it.
func BenchmarkRecord(b *testing.B) {
	const records, each = 4000, 200
	var single, together [][]byte
	for i := range records / each {
		together = append(together, merged(i*each, each))
	}
	single = events(0, records)
	for _, way := range []struct {
		name   string
		events [][]byte
	}{{"merged", together}, {"alone", single}, {"batch", [][]byte{batch(together[:10]...), batch(together[10:]...)}}} {
		b.Run(way.name, func(b *testing.B) {
			for range b.N {
				used := processorTime(b, way.events) - processorTime(b, nil)
				b.ReportMetric(used*1e3/records, "cpu-ms/record")
			}
		})
	}
}

// processorTime is what a process takes from its start to the last answer, in seconds.
func processorTime(b *testing.B, events [][]byte) float64 {
	b.Helper()
	p := start(b, newWorld(b).environment())
	p.started()
	for _, e := range events {
		p.take(e)
	}
	p.stop()
	s := p.cmd.ProcessState
	return (s.UserTime() + s.SystemTime()).Seconds()
}
