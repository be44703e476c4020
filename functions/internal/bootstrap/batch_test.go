package bootstrap_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// TestBootstrapBatchIsOneWave: the ten messages of a batch are at the sink at once. It answers
// none before it has all.
func TestBootstrapBatchIsOneWave(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	all.Add(10)
	w.erp.answers(func(yes reply) reply {
		return func(r *http.Request, body []byte) (int, string) {
			all.Done()
			all.Wait()
			return yes(r, body)
		}
	})
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
		t.Skip("takes some seconds, and what a process has used is counted in kilobytes on Linux only; run it there without -short")
	}
	n := largestBatch / len(batch(event(1)))
	used := mostMemory + 1
	for range 3 { // the least of three: beside other work the collector comes later
		if used > mostMemory {
			used = min(used, peak(t, n))
		}
	}
	if used > mostMemory {
		t.Errorf("%d messages take more than %d MB", n, mostMemory)
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is what a function has used at most, in MB, that took one batch of n messages.
func peak(t *testing.T, n int) int {
	t.Helper()
	w := newWorld(t)
	p := start(t, w.environment())
	p.take(batch(events(1, n)...))
	used := p.peak()
	applied(t, p.stop(), n)
	t.Logf("%d messages: %d MB at most", n, used)
	return used
}

// peak is what the process has used at most so far, in MB. The kernel's account of a process
// that has ended would begin with what this one had when it started it.
func (p *process) peak() int {
	p.tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.tb.Fatal(err)
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		p.tb.Fatalf("no VmHWM in\n%s", status)
	}
	kilobytes, err := strconv.Atoi(string(m[1]))
	if err != nil {
		p.tb.Fatal(err)
	}
	return kilobytes / 1024
}
