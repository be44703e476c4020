package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
)

// rounds is how often each figure is taken, contender after contender; the best of
// them counts, since noise only ever adds.
const rounds = 3

// sample is one contender over one run of events.
type sample struct {
	wall, cpu time.Duration
	allocs    int
	latencies []time.Duration
	seen      counts
}

// sample runs events through a contender, some at a time.
func (p *proxy) sample(tb testing.TB, do protocol, subjects []string, atOnce int, want string) sample {
	tb.Helper()
	p.take()
	s := sample{latencies: make([]time.Duration, len(subjects))}
	var before, after runtime.MemStats
	next := make(chan int)
	var wg sync.WaitGroup
	runtime.ReadMemStats(&before)
	cpu, began := processTime(tb), time.Now()
	for range atOnce {
		wg.Go(func() {
			for i := range next {
				at := time.Now()
				if got, err := do(context.Background(), subjects[i], yes); got != want {
					tb.Errorf("%s: %s: %v", subjects[i], got, err)
				}
				s.latencies[i] = time.Since(at)
			}
		})
	}
	for i := range subjects {
		next <- i
	}
	close(next)
	wg.Wait()
	s.wall, s.cpu = time.Since(began), processTime(tb)-cpu
	runtime.ReadMemStats(&after)
	s.allocs = int(after.Mallocs - before.Mallocs)
	s.seen = p.take()
	slices.Sort(s.latencies)
	return s
}

func (s *sample) percentile(p int) time.Duration {
	return s.latencies[(len(s.latencies)-1)*p/100]
}

// processTime is what this process, not the proxy, has spent on a processor.
func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkComparison prints the tables of docs/reference/performance.md: all contenders in one
// run, taking turns.
func BenchmarkComparison(b *testing.B) {
	if b.N > 1 {
		return // one run is all; b.N means nothing here
	}
	p := start(b)
	name := table(b, p.url)
	open := make([]protocol, len(contenders))
	for i, c := range contenders {
		var err error
		if open[i], err = c.open(config(p.url), name); err != nil {
			b.Fatal(err)
		}
	}
	serial := 0
	fresh := func(which, n int) []string {
		subjects := make([]string, n)
		for i := range subjects {
			serial++
			subjects[i] = record(which, serial)
		}
		return subjects
	}
	for which, do := range open { // the Java on the other side warms up too
		p.sample(b, do, fresh(which, 300), 4, applied)
	}
	cost(b, p, open, fresh)
	throughput(b, p, open, fresh)
}

// BenchmarkTraps prints what three defaults of the SDK and of net/http cost.
func BenchmarkTraps(b *testing.B) {
	if b.N > 1 {
		return
	}
	p := start(b)
	name := table(b, p.url)
	lost(b, p, name)
	reconnects(b, p, name)
	warnings(b, p, name)
}

func cost(b *testing.B, p *proxy, open []protocol, fresh func(int, int) []string) {
	const events = 300
	for _, path := range []string{"fresh", "duplicate"} {
		out := row("\n"+path, "requests", "write units", "bytes out", "bytes in", "client CPU µs", "ratio", "allocations", "p50 ms", "p99 ms") + row(slices.Repeat([]string{"---"}, 10)...)
		best := make([]sample, len(open))
		units := make([]float64, len(open))
		for round := range rounds + 1 {
			for which, do := range open {
				if contenders[which].floor && path == "duplicate" {
					continue
				}
				subjects, want := fresh(which, events), applied
				if path == "duplicate" {
					p.sample(b, do, subjects, 4, applied)
					want = known
				}
				if round == rounds { // the last round is for the units alone: they change the requests
					p.set(settings{Units: true})
					units[which] = p.sample(b, do, subjects, 4, want).seen.Units / events
					p.set(settings{})
					continue
				}
				s := p.sample(b, do, subjects, 1, want)
				if best[which].wall == 0 || s.cpu < best[which].cpu {
					best[which] = s
				}
			}
		}
		for which, s := range best {
			if s.wall == 0 {
				continue
			}
			out += row(contenders[which].name, per(s.seen.total(), events), fmt.Sprintf("%.2f", units[which]), per(int(s.seen.Out), events), per(int(s.seen.In), events),
				per(int(s.cpu.Microseconds()), events), fmt.Sprintf("%.2f", float64(s.cpu)/float64(best[0].cpu)), per(s.allocs, events),
				millis(s.percentile(50)), millis(s.percentile(99)))
		}
		fmt.Print(out)
	}
}

func throughput(b *testing.B, p *proxy, open []protocol, fresh func(int, int) []string) {
	crowds := []int{1, 8, 32}
	out := row("\nevents/s", "added latency", "1 at once", "8", "32", "ratio at 32") + row(slices.Repeat([]string{"---"}, 6)...)
	for _, latency := range []time.Duration{0, 3 * time.Millisecond} {
		p.set(settings{Latency: latency})
		best := make([][]float64, len(open))
		for range rounds {
			for which, do := range open {
				best[which] = slices.Grow(best[which], len(crowds))[:len(crowds)]
				for i, atOnce := range crowds {
					s := p.sample(b, do, fresh(which, 100+50*min(atOnce, 8)), atOnce, applied)
					best[which][i] = max(best[which][i], float64(len(s.latencies))/s.wall.Seconds())
				}
			}
		}
		for which, rate := range best {
			out += row(contenders[which].name, latency.String(), fmt.Sprintf("%.0f", rate[0]), fmt.Sprintf("%.0f", rate[1]),
				fmt.Sprintf("%.0f", rate[2]), fmt.Sprintf("%.2f", rate[2]/best[0][2]))
		}
	}
	p.set(settings{})
	fmt.Print(out)
}

// lost is the first trap: what a lost answer costs with the client of this repository
// and with the SDK's own retries.
func lost(b *testing.B, p *proxy, name string) {
	const tries = 15
	out := row("\nanswer lost", "claim, median ms", "most", "completion, median ms", "most") + row(slices.Repeat([]string{"---"}, 5)...)
	for _, client := range []struct {
		name string
		make func(aws.Config, ...func(*dynamodb.Options)) *dynamodb.Client
	}{{"this client", dynamo.NewClient}, {"the SDK's retries", plain}} {
		g, err := guard.New(dynamo.New(client.make(config(p.url)), name), guard.Config{Consumer: "lost", Policy: guard.EachOnce, Random: random})
		if err != nil {
			b.Fatal(err)
		}
		cells := []string{client.name}
		for lose := 1; lose <= 2; lose++ {
			var extra []time.Duration
			for i := range tries {
				for _, s := range []settings{{}, {Lose: lose}} {
					p.set(s)
					began := time.Now()
					g.Do(b.Context(), guard.Call{Org: org, Subject: fmt.Sprint(client.name, lose, i, s.Lose), Changes: []guard.Change{{}}},
						func(context.Context, guard.Attempt) guard.Outcome { return guard.Outcome{Effect: guard.Took} })
					took := time.Since(began)
					if s.Lose == 0 {
						extra = append(extra, -took)
					} else {
						extra[i] += took
					}
				}
			}
			slices.Sort(extra)
			cells = append(cells, millis(extra[tries/2]), millis(extra[tries-1]))
		}
		out += row(cells...)
	}
	p.set(settings{})
	fmt.Print(out)
}

// plain is the SDK's client as it comes, but for the checksum of DynamoDB Local.
func plain(cfg aws.Config, opts ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, append(opts, func(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true })...)
}

// reconnects is the second: connections per 1,000 requests of 32 at once, with this
// repository's transport and with Go's own two idle connections a host.
func reconnects(b *testing.B, p *proxy, name string) {
	const events = 500
	out := row("\nconnections for 1,000 requests", "0 ms", "2 ms") + row("---", "---", "---")
	few := awsclient.HTTPClient().GetTransport()
	few.MaxIdleConnsPerHost = 0 // the default of net/http
	for _, transport := range []struct {
		name   string
		client aws.HTTPClient
	}{{"this client", awsclient.HTTPClient()}, {"net/http's two idle connections", &http.Client{Transport: few}}} {
		cells := []string{transport.name}
		for _, latency := range []time.Duration{0, 2 * time.Millisecond} {
			cfg := config(p.url)
			cfg.HTTPClient = transport.client
			do, err := contenders[0].open(cfg, name)
			if err != nil {
				b.Fatal(err)
			}
			p.set(settings{Latency: latency})
			subjects := make([]string, events)
			for i := range subjects {
				subjects[i] = fmt.Sprint(transport.name, latency, i)
			}
			s := p.sample(b, do, subjects, 32, applied)
			cells = append(cells, fmt.Sprint(s.seen.Connections*1000/s.seen.total()))
		}
		out += row(cells...)
	}
	p.set(settings{})
	fmt.Print(out)
}

// warnings is the third: what the SDK logs about DynamoDB Local's checksums.
func warnings(b *testing.B, p *proxy, name string) {
	out := row("\nwarnings for 20 duplicates", "logged") + row("---", "---")
	for _, client := range []struct {
		name string
		make func(aws.Config, ...func(*dynamodb.Options)) *dynamodb.Client
	}{{"this client", dynamo.NewClient}, {"the SDK's checks", dynamodb.NewFromConfig}} {
		var log bytes.Buffer
		cfg := config(p.url)
		cfg.Logger = logging.NewStandardLogger(&log)
		g, err := guard.New(dynamo.New(client.make(cfg), name), guard.Config{Consumer: "warned", Policy: guard.EachOnce, Random: random})
		if err != nil {
			b.Fatal(err)
		}
		for range 21 {
			g.Do(b.Context(), guard.Call{Org: org, Subject: client.name, Changes: []guard.Change{{}}},
				func(context.Context, guard.Attempt) guard.Outcome { return guard.Outcome{Effect: guard.Took} })
		}
		out += row(client.name, strconv.Itoa(strings.Count(log.String(), "\n")))
	}
	fmt.Print(out)
}

// BenchmarkInstructions counts with callgrind, where there is one: user space, one
// processor, a static binary, the proxy answering from memory.
func BenchmarkInstructions(b *testing.B) {
	if b.N > 1 {
		return
	}
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		b.Fatalf("%v: install the package valgrind (apt-get install valgrind, dnf install valgrind)", err)
	}
	p := start(b)
	name := table(b, p.url)
	binary := filepath.Join(b.TempDir(), "bench")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	count := func(which, events int) int {
		cmd := exec.Command(valgrind, "--tool=callgrind", "--callgrind-out-file="+os.DevNull, binary)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1",
			fmt.Sprintf("%s=%d %d %s %s", loopVariable, which, events, p.url, name))
		text, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
		m := regexp.MustCompile(`Collected : (\d+)`).FindSubmatch(text)
		if m == nil {
			b.Fatalf("no count in\n%s", text)
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	out := row("\ninstructions", "fresh", "ratio") + row("---", "---", "---")
	first := 0
	for which, c := range contenders {
		do, err := c.open(config(p.url), name)
		if err != nil {
			b.Fatal(err)
		}
		p.set(settings{})
		if got, err := do(b.Context(), fmt.Sprint("last", which), yes); got != applied { // what the proxy repeats: a done write
			b.Fatal(got, err)
		}
		p.set(settings{Replay: true})
		const few, many = 200, 700
		n := (count(which, many) - count(which, few)) / (many - few)
		if which == 0 {
			first = n
		}
		if strings.HasPrefix(c.name, "guard") && n > mostInstructions {
			b.Errorf("%s: %d instructions a fresh event, at most %d", c.name, n, mostInstructions)
		}
		out += row(c.name, fmt.Sprintf("%d k", n/1000), fmt.Sprintf("%.2f", float64(n)/float64(first)))
		p.set(settings{})
	}
	fmt.Print(out)
}

func row(cells ...string) string {
	lead := ""
	if s, ok := strings.CutPrefix(cells[0], "\n"); ok {
		lead, cells[0] = "\n", s
	}
	return lead + "| " + strings.Join(cells, " | ") + " |\n"
}

// per is a figure for one event, with digits only where they say something.
func per(n, events int) string {
	if n%events == 0 || n/events >= 100 {
		return strconv.Itoa(n / events)
	}
	return fmt.Sprintf("%.2f", float64(n)/float64(events))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
