package bench_test

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"sfrelay/shared/awsclient"
)

// record is a subject of its own for each contender and event, as long as a real one.
func record(which, i int) string { return fmt.Sprintf("Account/001%d%014d", which, i) }

func yes() bool { return true }
func no() bool  { return false }

// The budgets of docs/reference/performance.md. Bytes are those of an event without a session
// token, which is as long as AWS makes it.
const (
	mostBytes     = 2500 // on the wire, out, a fresh change
	mostFresh     = 740  // allocations
	mostDuplicate = 480
	// User space, a fresh change; only counted where there is a callgrind.
	mostInstructions = 1_300_000
)

// TestRequestsAndUnits holds 2 / 1 / 4: fresh, duplicate or stale, failed and retried.
func TestRequestsAndUnits(t *testing.T) {
	p := start(t)
	name := table(t, p.url)
	for i, c := range contenders {
		if c.floor {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			do, err := c.open(config(p.url), name)
			if err != nil {
				t.Fatal(err)
			}
			p.set(settings{Units: true})
			for _, step := range []struct {
				path, subject string
				effect        func() bool
				want          string
				requests      int
			}{
				{"fresh", "a", yes, applied, 2},
				{"duplicate", "a", yes, known, 1},
				{"failed", "b", no, failed, 2},
				{"retried", "b", yes, applied, 2},
			} {
				got, err := do(t.Context(), fmt.Sprint(step.subject, i), step.effect)
				n := p.take()
				if got != step.want || n.total() != step.requests || n.Units != float64(step.requests) {
					t.Errorf("%s: %s (%v) with %v and %v write units, want %s with %d", step.path, got, err, n.Requests, n.Units, step.want, step.requests)
				}
				if n.Requests["GetItem"]+n.Requests["Query"] > 0 {
					t.Errorf("%s: reads: %v", step.path, n.Requests)
				}
			}
		})
	}
}

// TestALostAnswerIsAskedForOnceMore: whichever of the two answers gets lost, the same
// write is sent once more and the change is applied.
func TestALostAnswerIsAskedForOnceMore(t *testing.T) {
	p := start(t)
	name := table(t, p.url)
	for i, c := range contenders[:3] {
		do, err := c.open(config(p.url), name)
		if err != nil {
			t.Fatal(err)
		}
		for lose := 1; lose <= 2; lose++ {
			p.set(settings{Lose: lose})
			effects := 0
			got, err := do(t.Context(), fmt.Sprint("lost", i, lose), func() bool { effects++; return true })
			if n := p.take(); got != applied || effects != 1 || n.Lost != 1 || n.total() != 3 {
				t.Errorf("%s, answer %d lost: %s (%v), %d effects, %d lost, %v; want applied, 1, 1, 3 requests", c.name, lose, got, err, effects, n.Lost, n.Requests)
			}
		}
	}
}

// TestSilenceEndsATry: the client gives up a connection that stays open without an
// answer, and asks again.
func TestSilenceEndsATry(t *testing.T) {
	p := start(t)
	cfg := config(p.url)
	client := awsclient.HTTPClient()
	if limit := client.GetTransport().ResponseHeaderTimeout; limit <= 0 || limit > 2*time.Second {
		t.Errorf("a try waits %v for its answer, want at most 2s", limit)
	}
	cfg.HTTPClient = client.WithTransportOptions(func(tr *http.Transport) { tr.ResponseHeaderTimeout = time.Second })
	do, err := contenders[0].open(cfg, table(t, p.url))
	if err != nil {
		t.Fatal(err)
	}
	p.set(settings{Lose: 2, Silent: true})
	got, err := do(t.Context(), "silent", yes)
	if n := p.take(); got != applied || n.Lost != 1 || n.total() < 3 {
		t.Errorf("%s (%v) with %d lost answers and %v, want applied with at least 3 requests", got, err, n.Lost, n.Requests)
	}
}

// TestBytes holds what a fresh change sends.
func TestBytes(t *testing.T) {
	p := start(t)
	name := table(t, p.url)
	for which, c := range contenders {
		do, err := c.open(config(p.url), name)
		if err != nil {
			t.Fatal(err)
		}
		p.take()
		const events = 20
		for i := range events {
			if got, err := do(t.Context(), record(which, i), yes); got != applied {
				t.Fatalf("%s: %s: %v", c.name, got, err)
			}
		}
		n := p.take()
		t.Logf("%s: %d bytes out, %d in", c.name, n.Out/events, n.In/events)
		if own := c.name != "four calls" && !c.floor; own && n.Out/events > mostBytes {
			t.Errorf("%s: %d bytes out a fresh change, at most %d", c.name, n.Out/events, mostBytes)
		}
	}
}

// TestAllocations holds what guard, store and SDK allocate together.
func TestAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds; without -short it runs")
	}
	p := start(t)
	name := table(t, p.url)
	for which, c := range contenders {
		do, err := c.open(config(p.url), name)
		if err != nil {
			t.Fatal(err)
		}
		const events, warm = 200, 50
		subjects := make([]string, warm+events)
		for i := range subjects {
			subjects[i] = record(which, i)
		}
		ctx := t.Context()
		take := func(want string, subjects []string) int {
			return allocations(func() {
				for _, s := range subjects {
					if got, err := do(ctx, s, yes); got != want {
						t.Fatalf("%s: %s: %v", c.name, got, err)
					}
				}
			}) / len(subjects)
		}
		take(applied, subjects[:warm])
		fresh := take(applied, subjects[warm:])
		duplicate := 0
		if !c.floor {
			duplicate = take(known, subjects[warm:])
		}
		t.Logf("%s: %d allocations fresh, %d duplicate", c.name, fresh, duplicate)
		if own := c.name != "four calls" && !c.floor; own && !raced && (fresh > mostFresh || duplicate > mostDuplicate) {
			t.Errorf("%s: %d allocations fresh and %d duplicate, at most %d and %d", c.name, fresh, duplicate, mostFresh, mostDuplicate)
		}
	}
}

// allocations are those of the whole process: net/http works in goroutines of its own.
func allocations(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.Mallocs - before.Mallocs)
}
