package bootstrap_test

import (
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestBootstrapBatchIsOneWave: the ten messages of a batch are at the sink at once. It answers
// none before it has all.
func TestBootstrapBatchIsOneWave(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	all.Add(10)
	yes := w.erp.answer
	w.erp.answer = func(r *http.Request, body []byte) (int, string) {
		all.Done()
		all.Wait()
		return yes(r, body)
	}
	p := start(t, w.environment())
	p.take(batch(events(1, 10)...))
	applied(t, p.stop(), 10)
}

// largestBatch is what fits into the 6 MB that Lambda takes of an SQS batch (Developer Guide,
// "Lambda quotas"), of events of 900 bytes.
const largestBatch = 6 << 20

// TestBootstrapBatchMemory: the largest batch fits into a function of 256 MB, with room for
// what is not counted.
func TestBootstrapBatchMemory(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("takes some seconds, and what a process has used is counted in kilobytes on Linux only")
	}
	n := largestBatch / len(batch(event(1)))
	w := newWorld(t)
	p := start(t, w.environment())
	began := time.Now()
	p.take(batch(events(1, n)...))
	took := time.Since(began)
	applied(t, p.stop(), n)
	used := p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss / 1024
	t.Logf("%d messages: %d MB at most, in %v", n, used, took)
	if used > mostMemory {
		t.Errorf("%d messages take %d MB, at most %d", n, used, mostMemory)
	}
}
