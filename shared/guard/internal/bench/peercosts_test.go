package bench_test

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// peerPaths are the ways of an event whose effect is nothing, so that only the guard and what
// is around it is measured.
var peerPaths = []string{"fresh", "duplicate", "failed, then retried"}

// peerCost is what an event costs a contender on one path.
type peerCost struct {
	requests, out, in, units float64
	sent                     float64 // messages to its own buffer
	cpu                      time.Duration
}

// costBench is one worker with one slot, and the buffer of sfrelay's.
type costBench struct {
	tb     testing.TB
	peer   *peer
	worker *process
	serial int

	mu     sync.Mutex
	bodies [][]byte
}

func newCostBench(tb testing.TB, p *peer, px *proxy, number int) *costBench {
	tb.Helper()
	b := &costBench{tb: tb, peer: p, serial: number * 100_000}
	server := httptest.NewServer(b)
	tb.Cleanup(server.Close)
	b.worker = p.spawn(tb, px.url, server.URL, table(tb, px.url), 1)
	return b
}

// ours reports whether what fails goes into a buffer and comes back out of it.
func (b *costBench) ours() bool { return b.peer.name == "sfrelay" }

// ServeHTTP takes what goes into the buffer.
func (b *costBench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m, ok := queueMessage(body)
	if err != nil || !ok || r.URL.Path != "/lane" {
		http.NotFound(w, r)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies = append(b.bodies, m.Bodies...)
}

// next is a change of three fields of a record of its own.
func (b *costBench) next() *event {
	b.serial++
	return &event{name: "AccountChangeEvent", uuid: b.serial, at: time.Now().Add(-time.Minute), record: recordID(b.serial),
		fields: map[string]string{"Name": "Beta Example Ltd", "Phone": "+49 30 0000 01", "Website": "https://beta.example"}}
}

func (b *costBench) do(e *event, effect string, fails bool) {
	b.tb.Helper()
	if d := b.worker.call(job{To: "fields", Effect: effect, Event: e.encode()}); (d.Error != "") != fails {
		b.tb.Fatalf("%s: %q\n%s", b.peer.name, d.Error, b.worker.said())
	}
}

// walk takes so many events along a path; before is what has to be done for it, uncounted.
func (b *costBench) walk(path string, n int, begin func()) {
	b.tb.Helper()
	events := make([]*event, n)
	for i := range events {
		events[i] = b.next()
		if path == "duplicate" {
			b.do(events[i], "none", false)
		}
	}
	begin()
	for _, e := range events {
		if path != "failed, then retried" {
			b.do(e, "none", false)
			continue
		}
		b.do(e, "fail", !b.ours())
		if b.ours() { // it lies in the buffer, and comes back out of it
			b.mu.Lock()
			body := b.bodies[len(b.bodies)-1]
			b.mu.Unlock()
			now := time.Now()
			if d := b.worker.call(job{To: "fields", Effect: "none", Event: batchOfOne(b.tb, body, now, now, 1)}); d.Error != "" || string(d.Answer) != `{"batchItemFailures":[]}` {
				b.tb.Fatalf("the retry: %s %q\n%s", d.Answer, d.Error, b.worker.said())
			}
			continue
		}
		b.do(e, "none", false)
	}
}

// clock is what the worker has used of a processor.
func (b *costBench) clock() time.Duration {
	return time.Duration(b.worker.call(job{To: "clock"}).CPU) * time.Microsecond
}

// costs measures all contenders in turns: processor time as the least of some rounds, counts
// exactly.
func costs(tb testing.TB, peers []*peer) []map[string]peerCost {
	tb.Helper()
	const warm, many, few = 400, 300, 20
	px := start(tb)
	benches := make([]*costBench, len(peers))
	all := make([]map[string]peerCost, len(peers))
	for i, p := range peers {
		benches[i], all[i] = newCostBench(tb, p, px, i+1), map[string]peerCost{}
		benches[i].walk("fresh", warm, func() {})
		benches[i].walk("duplicate", warm/2, func() {})
	}
	for round := range rounds {
		for _, path := range peerPaths {
			for i, b := range benches {
				var began time.Duration
				b.walk(path, many, func() { px.take(); b.bodies = nil; began = b.clock() })
				c, seen := all[i][path], px.take()
				if failed := path == "failed, then retried"; b.ours() && (len(b.bodies) > 0) != failed {
					tb.Fatalf("%s: %d messages went to the buffer\n%s", path, len(b.bodies), b.worker.said())
				}
				if cpu := (b.clock() - began) / many; round == 0 || cpu < c.cpu {
					c.cpu = cpu
				}
				c.requests, c.sent = float64(seen.total())/many, float64(len(b.bodies))/many
				c.out, c.in = float64(seen.Out)/many, float64(seen.In)/many
				all[i][path] = c
			}
		}
	}
	for _, path := range peerPaths {
		for i, b := range benches {
			b.walk(path, few, func() { px.set(settings{Units: true}) })
			c := all[i][path]
			c.units = px.take().Units / few
			all[i][path] = c
			px.set(settings{})
		}
	}
	return all
}

// peerStart is what a process takes from its start to the end of its first event.
type peerStart struct {
	wall, least, cpu time.Duration
	memory           int64 // peak, MB
}

// starts measures them in turns.
func starts(tb testing.TB, peers []*peer) []peerStart {
	tb.Helper()
	const times = 11
	px := start(tb)
	name := table(tb, px.url)
	walls, cpus, all := make([][]time.Duration, len(peers)), make([][]time.Duration, len(peers)), make([]peerStart, len(peers))
	for n := range times + 1 {
		for i, p := range peers {
			e := &event{name: "AccountChangeEvent", uuid: 900_000 + n*10 + i, at: time.Now().Add(-time.Minute), record: recordID(90_000 + n*10 + i), fields: map[string]string{"Name": "Beta Example Ltd"}}
			began := time.Now()
			w := p.spawn(tb, px.url, "http://127.0.0.1:9", name, 1)
			d := w.call(job{To: "fields", Effect: "none", Event: e.encode()})
			wall := time.Since(began)
			if d.Error != "" {
				tb.Fatalf("%s: %s\n%s", p.name, d.Error, w.said())
			}
			w.stop()
			if n == 0 {
				continue // brings files into memory, and Python's byte code onto the disk
			}
			u := w.cmd.ProcessState
			walls[i], cpus[i] = append(walls[i], wall), append(cpus[i], u.UserTime()+u.SystemTime())
			if r, ok := u.SysUsage().(*syscall.Rusage); ok {
				all[i].memory = max(all[i].memory, r.Maxrss/1024) // KB on Linux
			}
		}
	}
	for i := range peers {
		slices.Sort(walls[i])
		slices.Sort(cpus[i])
		all[i].wall, all[i].least, all[i].cpu = walls[i][times/2], walls[i][0], cpus[i][times/2]
	}
	return all
}

// counted is how many bytes were written.
type counted int64

func (c *counted) Write(b []byte) (int, error) { *c += counted(len(b)); return len(b), nil }

// zipped is the size of files as a function's package has them.
func zipped(tb testing.TB, root string, take func(path string) bool) float64 {
	tb.Helper()
	var n counted
	z := zip.NewWriter(&n)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || !take(filepath.ToSlash(name)) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	})
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return float64(n) / 1e6
}

// sizes are the packages in MB: sfrelay's customer-erp for arm64; Powertools for Python
// without boto3, which Lambda has, and with it; the TypeScript bundle with the client of the
// SDK that it uses.
func sizes(tb testing.TB, python, typescript *peer) (ours, py, pyWhole, ts float64) {
	tb.Helper()
	dir := tb.TempDir()
	cmd := exec.Command("make", "--no-print-directory", "build-CustomerErp", "BIN="+dir)
	cmd.Dir, cmd.Env = repository, append(os.Environ(), "ARTIFACTS_DIR="+dir, "OS=linux", "ARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	ours = zipped(tb, dir, func(name string) bool { return name == "bootstrap" })
	found, err := filepath.Glob(filepath.Join(filepath.Dir(python.args[0]), "..", "lib", "python3*", "site-packages"))
	if err != nil || len(found) != 1 {
		tb.Fatalf("%q, %v", found, err)
	}
	source := func(name string) bool {
		return !strings.Contains(name, "__pycache__") && !strings.HasPrefix(name, "_virtualenv")
	}
	pyWhole = zipped(tb, found[0], source)
	py = zipped(tb, found[0], func(name string) bool {
		first, _, _ := strings.Cut(name, "/")
		return source(name) && slices.ContainsFunc([]string{"aws_lambda_powertools", "jmespath", "typing_extensions"}, func(p string) bool { return strings.HasPrefix(first, p) })
	})
	bundle := filepath.Base(typescript.args[1])
	ts = zipped(tb, filepath.Dir(typescript.args[1]), func(name string) bool { return name == bundle })
	return ours, py, pyWhole, ts
}

func mb(size float64) string { return fmt.Sprintf("%.2f", size) }
