// Package bench_test counts and measures what the guard costs on the wire: beside
// the well-known four-call protocol, and beside two bare signed requests as the floor.
// docs/reference/performance.md has the figures.
package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/guard/dynamo/dynamotest"
)

// The test binary is four programs: the tests, the proxy (a process of its own, so
// that what it allocates and computes is not counted), a bare loop of events for
// callgrind, and a worker that is set beside those of Powertools.
const (
	upstreamVariable = "GUARDBENCH_UPSTREAM"
	loopVariable     = "GUARDBENCH_LOOP"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(upstreamVariable) != "":
		if err := serveProxy(os.Getenv(upstreamVariable)); err != nil {
			fmt.Fprintln(os.Stderr, "proxy:", err)
			os.Exit(1)
		}
	case os.Getenv(peerVariable) != "":
		if err := peerWorker(os.Getenv(peerVariable)); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
	case os.Getenv(loopVariable) != "":
		if err := loop(os.Getenv(loopVariable)); err != nil {
			fmt.Fprintln(os.Stderr, "loop:", err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// settings say what the proxy does with the requests that follow.
type settings struct {
	Latency time.Duration // added to every answer
	Lose    int           // the answer of the request of this number is lost; 0: none
	LoseOf  int           // of every item: the answer of the request of this number about it is lost; 0: none
	Silent  bool          // a lost answer leaves the connection open
	Units   bool          // ask DynamoDB for the write units
	Replay  bool          // do not ask DynamoDB: repeat its last answer
}

// counts are what the proxy saw since they were last asked for.
type counts struct {
	Requests    map[string]int // by operation
	Out, In     int64          // bytes on the wire, headers and all, as the client sees them
	Units       float64        // write units, with settings.Units; a refused write is one
	Connections int
	Lost        int
}

func (c counts) total() int {
	n := 0
	for _, k := range c.Requests {
		n += k
	}
	return n
}

// proxy is the tests' hold of the process.
type proxy struct {
	tb      testing.TB
	url     string
	control string
}

// start runs a proxy before DynamoDB Local for as long as the test lasts.
func start(tb testing.TB) *proxy {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), upstreamVariable+"="+dynamotest.Start(tb))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // the proxy ends when this closes, however the tests end
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("proxy: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal("proxy: no address: ", err)
	}
	data, control, _ := strings.Cut(strings.TrimSpace(line), " ")
	return &proxy{tb: tb, url: "http://" + data, control: "http://" + control}
}

// set changes the settings and starts counting anew.
func (p *proxy) set(s settings) {
	p.tb.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.ask(bytes.NewReader(b))
}

// take returns the counts and starts anew.
func (p *proxy) take() counts {
	p.tb.Helper()
	return p.ask(nil)
}

func (p *proxy) ask(body io.Reader) (c counts) {
	p.tb.Helper()
	resp, err := http.Post(p.control, "application/json", body)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&c); err != nil {
		p.tb.Fatal(err)
	}
	return c
}

// serveProxy is the process: one listener for DynamoDB's clients, one for the tests.
func serveProxy(upstream string) error {
	data, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 128
	transport.DisableCompression = true
	s := &server{upstream: upstream, transport: transport, counts: counts{Requests: map[string]int{}}, items: map[string]int{}}
	fmt.Println(data.Addr(), control.Addr())
	failed := make(chan error, 2)
	go func() { failed <- http.Serve(countingListener{data, s}, http.HandlerFunc(s.forward)) }()
	go func() { failed <- http.Serve(control, http.HandlerFunc(s.answer)) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}

type server struct {
	upstream  string
	transport *http.Transport

	mu       sync.Mutex
	settings settings
	counts   counts
	items    map[string]int // requests about each, with settings.LoseOf
	last     answer
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *server) answer(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next settings
	switch err := json.NewDecoder(req.Body).Decode(&next); err {
	case nil:
		s.settings = next
	case io.EOF:
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(s.counts)
	s.counts = counts{Requests: map[string]int{}}
}

func (s *server) forward(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	s.mu.Lock()
	now, a := s.settings, s.last
	s.counts.Requests[operation]++
	number := 0
	for _, n := range s.counts.Requests {
		number += n
	}
	lost := number == now.Lose
	if now.LoseOf > 0 {
		key := itemOf(body)
		s.items[key]++
		lost = lost || s.items[key] == now.LoseOf
	}
	s.mu.Unlock()
	if !now.Replay {
		if a, err = s.ask(req, body, now.Units); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	time.Sleep(now.Latency)
	if lost {
		s.mu.Lock()
		s.counts.Lost++
		s.mu.Unlock()
		if now.Silent {
			<-req.Context().Done()
		}
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// itemOf names the item that a request is about.
func itemOf(body []byte) string {
	type key struct {
		PK struct{ S string } `json:"pk"`
	}
	var about struct {
		TableName string
		Key, Item key
	}
	_ = json.Unmarshal(body, &about) // what is about no item has no key
	return about.TableName + " " + about.Key.PK.S + about.Item.PK.S
}

// ask hands the request to DynamoDB. DynamoDB Local does not verify signatures, so the
// body may grow on the way.
func (s *server) ask(req *http.Request, body []byte, units bool) (answer, error) {
	if units {
		body = append([]byte(`{"ReturnConsumedCapacity":"TOTAL",`), body[1:]...)
	}
	up, err := http.NewRequest(req.Method, s.upstream+req.URL.Path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	up.Header = req.Header.Clone()
	up.Header.Del("Content-Length")
	resp, err := s.transport.RoundTrip(up)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{resp.StatusCode, resp.Header, b}
	s.mu.Lock()
	defer s.mu.Unlock()
	if units {
		var used struct {
			ConsumedCapacity struct{ CapacityUnits float64 }
		}
		if err := json.Unmarshal(b, &used); err != nil {
			return answer{}, err
		}
		if resp.StatusCode != http.StatusOK {
			used.ConsumedCapacity.CapacityUnits = 1 // billed, but not told
		}
		s.counts.Units += used.ConsumedCapacity.CapacityUnits
	}
	s.last = a
	return a, nil
}

// countingListener counts connections and their bytes, seen from the client.
type countingListener struct {
	net.Listener
	s *server
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.mu.Lock()
	l.s.counts.Connections++
	l.s.mu.Unlock()
	return countingConn{c, l.s}, nil
}

type countingConn struct {
	net.Conn
	s *server
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.mu.Lock()
	c.s.counts.Out += int64(n)
	c.s.mu.Unlock()
	return n, err
}

func (c countingConn) Write(b []byte) (int, error) {
	c.s.mu.Lock()
	c.s.counts.In += int64(len(b)) // before the client can ask for the counts
	c.s.mu.Unlock()
	return c.Conn.Write(b)
}
