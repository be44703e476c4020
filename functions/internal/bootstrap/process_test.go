// Package bootstrap_test measures the functions as they are deployed: the real bootstrap of
// customer-erp between a Lambda Runtime API, a DynamoDB, a Secrets Manager and an ERP that
// answer at once and count. docs/reference/performance.md has the figures.
package bootstrap_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var quiet = log.New(io.Discard, "", 0)

// newWorld is one where everything answers, with TLS.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{authority: newAuthority(tb), bearer: "bearer"}
	w.certificate = w.authority.server(tb)
	w.roots = filepath.Join(tb.TempDir(), "roots.pem")
	if err := os.WriteFile(w.roots, w.authority.bundle(tb), 0o600); err != nil {
		tb.Fatal(err)
	}
	w.dynamo = &service{answer: func(*http.Request, []byte) (int, string) { return http.StatusOK, "{}" }}
	w.secrets = &service{}
	w.secrets.answer = func(*http.Request, []byte) (int, string) {
		w.secrets.mu.Lock()
		defer w.secrets.mu.Unlock()
		return http.StatusOK, fmt.Sprintf(`{"Name":"erp","SecretString":%q}`, w.bearer)
	}
	w.erp = &service{answer: func(*http.Request, []byte) (int, string) {
		return http.StatusOK, `{"outcome":"updated","id":"C-1"}`
	}}
	for _, s := range []*service{w.dynamo, w.secrets, w.erp} {
		s.serve(tb, &w.certificate)
	}
	return w
}

// requests are all that were made, by service.
func (w *world) requests() (dynamo, secrets, erp int) {
	d, _, _ := w.dynamo.seen()
	s, _, _ := w.secrets.seen()
	e, _, _ := w.erp.seen()
	return len(d), len(s), len(e)
}

// environment is that of template.yaml, as far as it decides what is measured.
func (w *world) environment() []string {
	return []string{
		"AWS_LAMBDA_FUNCTION_NAME=measured", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_REGION=eu-west-2",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_NEW_RETRIES_2026=true",
		"AWS_ENDPOINT_URL_DYNAMODB=" + w.dynamo.url, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + w.secrets.url, "AWS_EC2_METADATA_DISABLED=true",
		"GUARD_TABLE=guard", "SALESFORCE_ORGS=" + org, "FAILURE_QUEUE_URL=https://127.0.0.1:9/failures", "FAILURE_BUCKET=unread",
		"BUFFER_QUEUE_URL=https://127.0.0.1:9/buffer", "ERP=http", "ERP_URL=" + w.erp.url, "ERP_SECRET=erp",
		"SSL_CERT_FILE=" + w.roots, "SSL_CERT_DIR=" + filepath.Join(filepath.Dir(w.roots), "none"),
		"GOMAXPROCS=1", "GOGC=400",
	}
}

const org = "00D5f000005KcCnEAK"

// event is a change of three fields of the i-th account, committed just now.
func event(i int) []byte {
	at := time.Now().Add(-time.Second).UTC()
	return fmt.Appendf(nil, `{"version":"0","id":"c0000000-0000-4000-8000-%012d","detail-type":"AccountChangeEvent",`+
		`"source":"aws.partner/salesforce.com/%s/0YL000000000002GAA","account":"123456789012","time":%q,"region":"eu-west-2","resources":[],`+
		`"detail":{"payload":{"ChangeEventHeader":{"entityName":"Account","recordIds":[%q],"changeType":"UPDATE",`+
		`"changeOrigin":"com/salesforce/api/rest/66.0;client=crm","transactionKey":"0000be70-a756-e601-9202-%012d","sequenceNumber":1,`+
		`"commitTimestamp":%d,"commitNumber":%d,"commitUser":"0055f0000100001AAA","nulledFields":[],"diffFields":[],`+
		`"changedFields":["Name","Phone","Website","LastModifiedDate"]},"Name":"Beta Example Ltd","Phone":"+49 30 0000 01",`+
		`"Website":"https://beta.example","LastModifiedDate":%q}}}`,
		i, org, at.Format("2006-01-02T15:04:05Z"), account(i), i, at.UnixMilli(), at.UnixMicro(), at.Format("2006-01-02T15:04:05.000Z"))
}

// account is the id of the i-th account. It has no capitals, so its suffix is AAA.
func account(i int) string { return fmt.Sprintf("0015f00002%05dAAA", i) }

// batch is what Lambda makes of messages of a queue.
func batch(events ...[]byte) []byte {
	records := make([]string, len(events))
	for i, e := range events {
		records[i] = fmt.Sprintf(`{"messageId":"00000000-0000-4000-8000-%012d","receiptHandle":"handle-%d","body":%s,"attributes":`+
			`{"ApproximateReceiveCount":"1","SentTimestamp":"%d","SenderId":"AIDA","ApproximateFirstReceiveTimestamp":"%d"},"messageAttributes":{},`+
			`"md5OfBody":"","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-2:123456789012:buffer","awsRegion":"eu-west-2"}`,
			i, i, strconv.Quote(string(e)), time.Now().UnixMilli(), time.Now().UnixMilli())
	}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

// built is the bootstrap as the Makefile makes it for the functions, for this machine.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bootstrap")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("make", "--no-print-directory", "build-CustomerErp", "BIN="+dir)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "ARTIFACTS_DIR="+dir, "OS="+runtime.GOOS, "ARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if os.Getenv(loopVariable) != "" {
		if err := loop(os.Getenv(loopVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if dir, _ := built(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// lambda is a Runtime API (AWS Lambda Developer Guide, "Using the Lambda runtime API") that
// hands out events and notes the answers.
type lambda struct {
	events  chan []byte
	answers chan string // "" for a yes, else what the function said
	over    chan struct{}
	ready   chan struct{} // the function has asked for its first event
	once    sync.Once
	yes     string // the last yes
}

func (l *lambda) serve(tb testing.TB) (address string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l.events, l.answers, l.over, l.ready = make(chan []byte), make(chan string), make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, _ *http.Request) {
		l.once.Do(func() { close(l.ready) })
		select {
		case e := <-l.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "c0000000-0000-4000-8000-000000000001")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(15*time.Minute).UnixMilli(), 10))
			_, _ = w.Write(e)
		case <-l.over:
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.yes = string(body)
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		l.answers <- ""
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		why, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		l.answers <- r.URL.Path + " " + string(why)
	})
	server := &http.Server{Handler: mux, ErrorLog: quiet}
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(func() { close(l.over); _ = server.Close() })
	return listener.Addr().String()
}

// process is a bootstrap that runs.
type process struct {
	tb     testing.TB
	lambda lambda
	cmd    *exec.Cmd
	log    bytes.Buffer
	ended  bool
}

// longest is the time for anything, under valgrind and on a busy machine.
const longest = 2 * time.Minute

// start runs the bootstrap in the world, below the given command and its arguments.
func start(tb testing.TB, environment []string, below ...string) *process {
	tb.Helper()
	dir, err := built()
	if err != nil {
		tb.Fatalf("the bootstrap cannot be built: %v", err)
	}
	p := &process{tb: tb}
	args := append(below, filepath.Join(dir, "bootstrap"))
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(environment, "AWS_LAMBDA_RUNTIME_API="+p.lambda.serve(tb))
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.stop() })
	return p
}

// stop ends the process and returns what it has written.
func (p *process) stop() string {
	if !p.ended {
		p.ended = true
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait() // says that it was ended
	}
	return p.log.String()
}

// started waits until the process asks for its first event.
func (p *process) started() {
	p.tb.Helper()
	select {
	case <-p.lambda.ready:
	case <-time.After(longest):
		p.tb.Fatalf("the function asks for no event:\n%s", p.stop())
	}
}

// held looks while the process stands still: what it has sent arrives, and nothing follows.
func (p *process) held(look func()) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.tb.Fatal(err)
	}
	defer func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }() // else it would not even end
	look()
}

// take hands an event over and waits for its answer, which has to be a yes.
func (p *process) take(event []byte) {
	p.tb.Helper()
	if said := p.hand(event); said != "" {
		p.tb.Fatalf("%s\n%s", said, p.stop())
	}
}

func (p *process) hand(event []byte) (said string) {
	p.tb.Helper()
	select {
	case p.lambda.events <- event:
	case <-time.After(longest):
		p.tb.Fatalf("the function takes no event:\n%s", p.stop())
	}
	select {
	case said = <-p.lambda.answers:
	case <-time.After(longest):
		p.tb.Fatalf("the function does not answer:\n%s", p.stop())
	}
	return said
}

// applied fails unless the log has so many applied changes and no other ones.
func applied(tb testing.TB, log string, n int) {
	tb.Helper()
	if got, lines := strings.Count(log, `"verdict":"applied"`), strings.Count(log, `"verdict":"`); got != n || lines != n {
		tb.Fatalf("%d of %d lines say applied, want %d:\n%.4000s", got, lines, n, log)
	}
}

// valgrind is its path. Without it a test is skipped outside of CI, and fails in CI.
func valgrind(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("valgrind")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatalf("%v: %s", err, howToGetValgrind)
	default:
		tb.Skipf("%v: %s", err, howToGetValgrind)
	}
	return path
}

func callgrind(tb testing.TB) []string {
	return []string{valgrind(tb), "--tool=callgrind", "--callgrind-out-file=" + os.DevNull}
}

const howToGetValgrind = "instructions are counted with valgrind, on Linux: install the package valgrind (apt-get install valgrind, dnf install valgrind)"

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions runs a bootstrap through events and returns those it took in user space, from
// the start of the process to the answer to the last event. started is called when it asks for
// its first event, and the process stands still meanwhile.
func instructions(tb testing.TB, environment []string, started func(), events ...[]byte) (n int, log string) {
	tb.Helper()
	p := start(tb, append(environment, "GODEBUG=asyncpreemptoff=1"), callgrind(tb)...)
	p.started()
	p.held(started)
	for _, e := range events {
		p.take(e)
	}
	return counted(tb, p)
}

// counted ends the process and reads callgrind's count.
func counted(tb testing.TB, p *process) (n int, log string) {
	tb.Helper()
	log = p.stop()
	m := collected.FindStringSubmatch(log)
	if m == nil {
		tb.Fatalf("callgrind counted nothing:\n%s", log)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		tb.Fatal(err)
	}
	return n, log
}
