package bootstrap_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// spread are the samples of a time.
type spread []time.Duration

func (s spread) String() string {
	slices.Sort(s)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.1f | %.1f | %.1f", ms(s[0]), ms(s[len(s)/2]), ms(s[len(s)-1]))
}

// BenchmarkFunction prints the times of a function, TLS and all, on this machine: of its
// start, its first event, later ones, and a batch of ten whose sink takes 50 ms.
func BenchmarkFunction(b *testing.B) {
	if b.N > 1 {
		return // one run is all; b.N means nothing here
	}
	const (
		starts = 15
		later  = 20 // events after the first one
		sink   = 50 * time.Millisecond
	)
	var ahead, first, next, together, cpu spread
	peaks := make([]int, 0, starts)
	for range starts {
		w := newWorld(b)
		began := time.Now()
		p := start(b, w.environment())
		p.started()
		ahead = append(ahead, time.Since(began))
		first = append(first, p.took(event(1)))
		peaks = append(peaks, p.peak())
		for i := range later {
			next = append(next, p.took(event(2+i)))
		}
		w.erp.answers(func(yes reply) reply {
			return func(r *http.Request, body []byte) (int, string) {
				time.Sleep(sink)
				return yes(r, body)
			}
		})
		together = append(together, p.took(batch(events(100, 10)...)))
		applied(b, p.stop(), 1+later+10)
		cpu = append(cpu, p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime())
	}
	fmt.Printf("\n| %d starts of customer-erp, ms | fastest | median | slowest |\n| --- | --- | --- | --- |\n"+
		"| from the start of the process until it asks for an event | %v |\n| the first event | %v |\n| each of the next %d | %v |\n"+
		"| a batch of ten at once, the sink takes %v | %v |\n| processor time of all that | %v |\n| peak memory after the first event, MB | %d | | %d |\n",
		starts, ahead, first, later, next, sink, together, cpu, slices.Min(peaks), slices.Max(peaks))
}

// took is how long the function took for an event.
func (p *process) took(event []byte) time.Duration {
	began := time.Now()
	p.take(event)
	return time.Since(began)
}
