package bench_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// peer is a contender that runs in processes of its own.
type peer struct {
	name  string
	sink  string // keyed, look-up, nothing; of sfrelay: its policy, where the sink offers nothing
	keyed bool   // the sink drops a key that it knows
	lease time.Duration
	args  []string // of the process
	env   []string
}

// protocolOnly is a worker with the protocol of the peers, written here.
const protocolOnly = "four calls"

// goPeer is sfrelay at a sink, or the four calls: a worker of this binary, set as template.yaml
// sets a function.
func goPeer(kind string) *peer {
	p := &peer{name: "sfrelay", sink: kind, keyed: kind == "keyed", lease: mayTake, args: []string{os.Args[0]},
		env: []string{peerVariable + "=" + kind, "GOMAXPROCS=1", "GOGC=400"}}
	if kind == protocolOnly {
		p.name = kind
	}
	return p
}

// process is one worker that runs.
type process struct {
	tb   testing.TB
	cmd  *exec.Cmd
	log  *os.File
	free chan struct{} // slots

	mu      sync.Mutex
	in      io.WriteCloser
	waiting map[int]chan done
	last    int
	over    bool
}

// died is the end of an invocation whose process has ended.
const died = "the process has ended"

// spawn starts a worker for as long as the test lasts.
func (p *peer) spawn(tb testing.TB, endpoint, sink, table string, slots int) *process {
	tb.Helper()
	cmd := exec.Command(p.args[0], p.args[1:]...) //nolint:gosec // a worker of these tests
	cmd.Env = append(os.Environ(), "ENDPOINT="+endpoint, "SINK="+sink, "TABLE="+table, fmt.Sprintf("SLOTS=%d", slots),
		fmt.Sprintf("TIMEOUT_MS=%d", p.lease.Milliseconds()), "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true", "AWS_NEW_RETRIES_2026=true")
	cmd.Env = append(cmd.Env, p.env...)
	w := &process{tb: tb, cmd: cmd, free: make(chan struct{}, slots), waiting: map[int]chan done{}}
	var err error
	if w.log, err = os.CreateTemp(tb.TempDir(), "worker"); err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = w.log
	if w.in, err = cmd.StdinPipe(); err != nil { // a worker ends when this closes, however the tests end
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.read(bufio.NewReader(out))
	}()
	tb.Cleanup(func() { w.stop(); <-read })
	return w
}

func (w *process) read(out *bufio.Reader) {
	for {
		line, err := out.ReadBytes('\n')
		var d done
		if err == nil {
			err = json.Unmarshal(line, &d)
		}
		w.mu.Lock()
		if err != nil {
			w.over = true
			for _, c := range w.waiting {
				c <- done{Error: died}
			}
			w.waiting = nil
			w.mu.Unlock()
			return
		}
		c := w.waiting[d.ID]
		delete(w.waiting, d.ID)
		w.mu.Unlock()
		if c != nil {
			c <- d
		}
	}
}

// call hands an invocation over and waits for its end.
func (w *process) call(j job) done {
	w.free <- struct{}{}
	defer func() { <-w.free }()
	answer := make(chan done, 1)
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return done{Error: died}
	}
	w.last++
	j.ID = w.last
	w.waiting[j.ID] = answer
	line, err := json.Marshal(j)
	if err == nil {
		_, err = w.in.Write(append(line, '\n'))
	}
	w.mu.Unlock()
	if err != nil {
		return done{Error: died}
	}
	const longest = 3 * time.Minute
	select {
	case d := <-answer:
		return d
	case <-time.After(longest):
		w.tb.Errorf("a worker has not answered for %v:\n%s", longest, w.said())
		return done{Error: "no answer"}
	}
}

// stop ends the process by itself; its figures stand in cmd.ProcessState then.
func (w *process) stop() {
	_ = w.in.Close()
	if w.cmd.ProcessState == nil {
		_ = w.cmd.Wait()
	}
	_ = w.log.Close()
}

// kill ends it as a crash does.
func (w *process) kill() { _ = w.cmd.Process.Kill() }

func (w *process) said() string {
	b, _ := os.ReadFile(w.log.Name())
	return string(b[max(0, len(b)-2000):])
}

const repository = "../../../.."

// installed is where .ci/tools put something, by the locks that it is made from.
func installed(tb testing.TB, name string, locks ...string) string {
	tb.Helper()
	var all []byte
	for _, l := range locks {
		text, err := os.ReadFile(filepath.Join(repository, ".ci", l))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, text...)
	}
	dir, err := filepath.Abs(filepath.Join(repository, ".cache", fmt.Sprintf("%s-%x", name, sha256.Sum256(all))[:len(name)+13]))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
		tb.Fatalf("%v: run make compare", err)
	}
	return dir
}

// powertools are Powertools for Python and for TypeScript as users run them: the one with its
// packages in a folder, the other in one bundle of esbuild's.
func powertools(tb testing.TB) (python, typescript peer) {
	tb.Helper()
	python = peer{name: "Python", lease: shortLease, args: []string{filepath.Join(installed(tb, "peers", "uv.lock", "peers.lock"), "bin", "python"), "testdata/peers/worker.py"}}
	modules := filepath.Join(installed(tb, "peersjs", "peers/package-lock.json"), "node_modules")
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	node := filepath.Join(installed(tb, "node", "clients/package-lock.json"), "node_modules", "node-"+runtime.GOOS+"-"+arch, "bin", "node")
	if _, err := os.Stat(node); err != nil {
		tb.Logf("%v: the node of the path is taken", err)
		node = "node"
	}
	bundle := filepath.Join(tb.TempDir(), "worker.js")
	cmd := exec.Command(node, filepath.Join(modules, "esbuild", "bin", "esbuild"), "testdata/peers/worker.js",
		"--bundle", "--minify", "--platform=node", "--target=node20", "--log-level=warning", "--outfile="+bundle) //nolint:gosec // its folder is the lock's
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	typescript = peer{name: "TypeScript", lease: shortLease, args: []string{node, bundle}}
	return python, typescript
}

// with is the peer at a sink.
func (p peer) with(sink string) *peer {
	p.sink, p.keyed = sink, sink == "keyed"
	return &p
}

// event is one as the relay sends it: a change of an account where fields are given, else a
// platform event. Copies of one event have one UUID, and each an id of EventBridge's own.
type event struct {
	name   string // its detail-type
	uuid   int
	copies int
	at     time.Time // committed
	fields map[string]string
	record string
}

func (e *event) encode() json.RawMessage {
	e.copies++
	const stamp = "2006-01-02T15:04:05.000Z"
	payload := map[string]any{}
	for k, v := range e.fields {
		payload[k] = v
	}
	if e.record == "" {
		payload["CreatedDate"] = e.at.UTC().Format(stamp)
	} else {
		changed := []string{"LastModifiedDate"}
		for k := range e.fields {
			changed = append(changed, k)
		}
		payload["LastModifiedDate"] = e.at.UTC().Format(stamp)
		payload["ChangeEventHeader"] = map[string]any{
			"entityName": "Account", "recordIds": []string{e.record}, "changeType": "UPDATE", "changeOrigin": "com/salesforce/api/rest/66.0;client=crm",
			"transactionKey": fmt.Sprintf("0000be70-a756-e601-9202-%012d", e.uuid), "sequenceNumber": 1, "commitTimestamp": e.at.UnixMilli(),
			"commitNumber": e.at.UnixMicro(), "commitUser": "0055f0000100001AAA", "nulledFields": []string{}, "diffFields": []string{}, "changedFields": changed,
		}
	}
	b, err := json.Marshal(map[string]any{
		"version": "0", "id": fmt.Sprintf("c0000000-0000-4000-8%03d-%012d", e.copies, e.uuid), "detail-type": e.name,
		"source": "aws.partner/salesforce.com/" + org + "/0YL000000000002GAA", "account": "123456789012", "region": region,
		"time": e.at.Add(time.Second).UTC().Format("2006-01-02T15:04:05Z"), "resources": []string{},
		"detail": map[string]any{"event": map[string]any{"EventUuid": fmt.Sprintf("e0000000-0000-4000-8000-%012d", e.uuid), "replayId": e.uuid}, "payload": payload},
	})
	if err != nil {
		panic(fmt.Errorf("an event of texts: %w", err)) // cannot be
	}
	return b
}

// recordID is the id of the n-th account. It has no capitals, so its suffix is AAA.
func recordID(n int) string { return fmt.Sprintf("0015f000%07dAAA", n) }
