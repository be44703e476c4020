package bench_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/transport"
)

// faultKind is one of the nine classes, with the number of cases of an earlier comparison: a
// history of 1,000 source events.
type faultKind struct {
	code, name string
	cases      int
	to         string // which consumer: act, state, fields
	play       func(*history)
}

var faultKinds = []faultKind{
	{"a", "duplicate with a new EventBridge id", 210, "act", (*history).twice},
	{"b", "three full states out of order", 50, "state", (*history).shuffled},
	{"c", "five partial changes out of order", 40, "fields", (*history).shuffled},
	{"d1", "worker dies after the effect", 60, "act", (*history).dies},
	{"d0", "worker dies before the effect", 30, "act", (*history).dies},
	{"e1", "the same event twice at once", 100, "act", (*history).atOnce},
	{"e2", "two full states at once, the older one slow", 50, "state", (*history).atOnce},
	{"f1", "answer of the claim lost", 75, "act", (*history).once},
	{"f2", "answer of the completion lost", 75, "act", (*history).once},
}

// history is one case: what happens to it, and what became of it at the sink.
type history struct {
	*stage
	kind   *faultKind
	id     string
	events []*event
	want   map[string]string // of a state: what the sink has to hold in the end
	worker *process          // takes its invocations

	mu      sync.Mutex
	effects int
	keys    map[string]bool
	holds   map[string]string
	arrived int
	hold    chan struct{} // of e1, e2: the first request takes effect when it closes
	first   chan struct{} // closes with the first request
	lost    []json.RawMessage
	parked  [][]byte
	buffer  sync.WaitGroup
}

// stage is everything around a contender: the sink, the queues, its workers.
type stage struct {
	tb    testing.TB
	peer  *peer
	sink  string
	table string
	// One proxy loses nothing, one of every item the first answer, one the second.
	proxies [3]*proxy
	workers [4]*process // one behind each proxy, and one for what comes at once
	serial  int
	all     map[string]*history
	drops   bool // the sink drops known keys
	few     chan struct{}
	failed  atomic.Int64 // invocations that answered an error
}

const (
	slots       = 24
	togetherAre = 8 // cases of e1 and e2 at a time: each needs two slots
	lambdaTries = 3
	receives    = 60              // of one message of the buffer
	hiddenFor   = 8 * time.Second // of the buffer: two minutes
	toArrive    = 2 * time.Minute // an invocation at the sink
	crashed     = 10              // cases whose worker dies together: they are many instances in one process
	afterLeases = time.Second     // margin before the redrive, which comes when every lease has ended
)

// newStage is a stage for one contender.
func newStage(tb testing.TB, p *peer, proxies [3]*proxy) *stage {
	tb.Helper()
	s := &stage{tb: tb, peer: p, proxies: proxies, all: map[string]*history{}, drops: p.keyed, few: make(chan struct{}, togetherAre)}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	s.sink, s.table = server.URL, table(tb, proxies[0].url)
	for i := range s.workers {
		s.workers[i] = p.spawn(tb, proxies[i%len(proxies)].url, s.sink, s.table, slots)
	}
	return s
}

// add makes case n of a class.
func (s *stage) add(kind *faultKind, n int) *history {
	h := &history{stage: s, kind: kind, id: fmt.Sprintf("%s-%d", kind.code, n), keys: map[string]bool{}, holds: map[string]string{},
		first: make(chan struct{}), worker: s.workers[0]}
	if strings.HasPrefix(kind.code, "e") {
		h.hold, h.worker = make(chan struct{}), s.workers[3]
	}
	switch kind.code {
	case "f1":
		h.worker = s.workers[1]
	case "f2":
		h.worker = s.workers[2]
	}
	begin := time.Now().Add(-time.Minute)
	many := map[string]int{"b": 3, "c": 5, "e2": 2}[kind.code]
	names := []string{"Name", "Phone", "Website"}
	random := rand.New(rand.NewPCG(uint64(n), uint64(len(s.all)))) //nolint:gosec // a case that can be played again
	record := recordID(len(s.all))
	for i := range max(many, 1) {
		s.serial++
		e := &event{uuid: s.serial, at: begin.Add(time.Duration(i) * time.Second)}
		value := fmt.Sprintf("v%d", i+1)
		switch kind.to {
		case "act":
			e.name, e.fields = "Order__e", map[string]string{"Case__c": h.id}
		case "state":
			e.name, e.fields = "Level__e", map[string]string{"Case__c": h.id, "Level__c": value, "Modified_At__c": e.at.UTC().Format("2006-01-02T15:04:05.000Z")}
			h.want = map[string]string{"Level": value}
		case "fields":
			e.name, e.record, e.fields = "AccountChangeEvent", record, map[string]string{}
			for _, k := range random.Perm(3)[:1+random.IntN(2)] {
				e.fields[names[k]] = value
			}
			if h.want == nil {
				h.want = map[string]string{}
			}
			maps.Copy(h.want, e.fields)
		}
		h.events = append(h.events, e)
	}
	s.all[h.id] = h
	return h
}

// deliver is a rule's: Lambda tries an event three times, the second and third after one and
// two minutes, and puts it into a dead-letter queue. after runs when the first try has ended.
func (h *history) deliver(raw json.RawMessage, by *process, after func()) {
	for try := range lambdaTries {
		time.Sleep(time.Duration(try) * minute)
		d := by.call(job{To: h.kind.to, Case: h.id, Effect: "post", Event: raw})
		by = h.worker
		if after != nil {
			after()
			after = nil
		}
		if d.Error == "" {
			return
		}
		if d.Error != died {
			h.failed.Add(1)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = append(h.lost, raw)
}

// once is one delivery.
func (h *history) once() { h.deliver(h.events[0].encode(), h.worker, nil) }

// twice is the same event again, with a new id of EventBridge's.
func (h *history) twice() {
	h.once()
	h.once()
}

// shuffled delivers all of them one after the other, in any order.
func (h *history) shuffled() {
	random := rand.New(rand.NewPCG(uint64(h.events[0].uuid), 1)) //nolint:gosec // a case that can be played again
	for _, i := range random.Perm(len(h.events)) {
		h.deliver(h.events[i].encode(), h.worker, nil)
	}
}

// atOnce delivers the second while the first is at the sink, which takes it when the second's
// first try has ended.
func (h *history) atOnce() {
	h.few <- struct{}{}
	second := h.events[len(h.events)-1]
	var both sync.WaitGroup
	both.Go(func() { h.deliver(h.events[0].encode(), h.worker, nil) })
	h.atSink()
	h.deliver(second.encode(), h.worker, func() {
		close(h.hold)
		<-h.few // what Lambda tries again is not at once any more
	})
	both.Wait()
}

// atSink waits until the first request is there.
func (h *history) atSink() {
	select {
	case <-h.first:
	case <-time.After(toArrive):
		h.tb.Errorf("%s, %s: nothing came to the sink:\n%s", h.peer.name, h.id, h.worker.said())
	}
}

// dies is one delivery to a worker that is killed when all that share it are at the sink.
func (h *history) dies() { h.tb.Errorf("%s: is played by crash", h.id) }

// crash delivers to one worker, which is to be killed: all are at the sink.
func (s *stage) crash(together []*history) (*sync.WaitGroup, *process) {
	w := s.peer.spawn(s.tb, s.proxies[0].url, s.sink, s.table, len(together))
	var all sync.WaitGroup
	for _, h := range together {
		all.Go(func() { h.deliver(h.events[0].encode(), w, nil) })
	}
	for _, h := range together {
		h.atSink()
	}
	return &all, w
}

// ServeHTTP is the sink, and the queues of a function.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	what, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if what == "lane" || what == "park" {
		s.queue(w, what, body)
		return
	}
	h := s.all[id]
	if h == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.effects == 0 {
			http.NotFound(w, r)
		}
		return
	}
	h.mu.Lock()
	h.arrived++
	number := h.arrived
	h.mu.Unlock()
	if number == 1 {
		switch h.kind.code {
		case "d0":
			close(h.first)
			<-r.Context().Done()
			return
		case "d1":
			h.effect(r, body)
			close(h.first)
			<-r.Context().Done()
			return
		case "e1", "e2":
			close(h.first)
			select {
			case <-h.hold:
			case <-time.After(h.peer.longestHold()):
			}
		}
	}
	h.effect(r, body)
}

// longestHold is for how long the sink keeps a request of e1 and e2: shorter than a call may take
// and than a lease. What is there for its mistakes keeps no such time, and is to make them on a
// machine where the second is late.
func (p *peer) longestHold() time.Duration {
	if p.name == protocolOnly {
		return toArrive
	}
	return time.Second
}

// effect is what a request does: a state takes what comes last, field by field. A request that
// its caller has given up does nothing any more: the sink's contract promises so.
func (h *history) effect(r *http.Request, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Context().Err() != nil {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if h.drops && h.keys[key] {
		return
	}
	h.keys[key] = true
	h.effects++
	var some map[string]string
	if err := json.Unmarshal(body, &some); err != nil {
		h.tb.Errorf("%s: %q: %v", h.id, body, err)
	}
	maps.Copy(h.holds, some)
}

// queue takes messages: into the function's buffer, which brings them back, or into the
// failure queue.
func (s *stage) queue(w http.ResponseWriter, which string, body []byte) {
	m, _ := queueMessage(body)
	h := s.all[m.Case]
	if h == nil {
		http.Error(w, "nobody's message", http.StatusBadRequest)
		return
	}
	for _, b := range m.Bodies {
		if which == "park" {
			h.mu.Lock()
			h.parked = append(h.parked, b)
			h.mu.Unlock()
			continue
		}
		sent := time.Now()
		h.buffer.Go(func() { h.bring(b, sent, m.Delay) })
	}
}

// bring is SQS and Lambda: a message comes until the response does not name it.
func (h *history) bring(body []byte, sent time.Time, delay time.Duration) {
	time.Sleep(delay)
	first := time.Now()
	for n := range receives {
		d := h.worker.call(job{To: h.kind.to, Case: h.id, Effect: "post", Event: batchOfOne(h.tb, body, sent, first, n+1)})
		var resp consumer.Response
		if d.Error == "" {
			if err := json.Unmarshal(d.Answer, &resp); err == nil && len(resp.BatchItemFailures) == 0 {
				return
			}
		}
		time.Sleep(hiddenFor)
	}
	h.tb.Errorf("%s, %s: a message came %d times", h.peer.name, h.id, receives)
}

// queueMessage reads what a worker has put into a queue.
func queueMessage(body []byte) (m queued, ok bool) {
	err := json.Unmarshal(body, &m)
	return m, err == nil
}

// batchOfOne is a batch of one message, received for the n-th time.
func batchOfOne(tb testing.TB, body []byte, sent, first time.Time, n int) json.RawMessage {
	batch, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"messageId": "m", "receiptHandle": "m", "body": string(body), "eventSource": "aws:sqs",
		"eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:buffer",
		"attributes": map[string]string{"ApproximateReceiveCount": fmt.Sprint(n), "SentTimestamp": fmt.Sprint(sent.UnixMilli()),
			"ApproximateFirstReceiveTimestamp": fmt.Sprint(first.UnixMilli())},
	}}})
	if err != nil {
		tb.Error(err)
	}
	return batch
}

// redrive sends what lies in the queues again, once: an event of the dead-letter queue as it
// came, a message of sfrelay's as sfrelay dlq redrive does.
func (h *history) redrive() {
	h.mu.Lock()
	lost, parked := h.lost, h.parked
	h.lost, h.parked = nil, nil
	h.mu.Unlock()
	for _, raw := range lost {
		h.deliver(raw, h.worker, nil)
	}
	for _, body := range parked {
		order := transport.Redrive{By: "arn:aws:iam::123456789012:user/ada", At: time.Now()}
		d := h.worker.call(job{To: h.kind.to, Case: h.id, Effect: "post", Event: order.Around(body)})
		var resp consumer.Response
		err := json.Unmarshal(d.Answer, &resp)
		if d.Error != "" || err != nil || len(resp.Verdicts) == 0 {
			h.tb.Errorf("%s, %s: a redrive answered %q, %v", h.peer.name, h.id, d.Error, err)
		}
		if slices.ContainsFunc(resp.Verdicts, func(a consumer.Answer) bool { return !a.Verdict.Acknowledged() }) {
			h.mu.Lock()
			h.parked = append(h.parked, body)
			h.mu.Unlock()
		}
	}
	h.buffer.Wait()
}

// outcome counts cases: more than one effect, another state than Salesforce's, in a queue.
type outcome struct{ double, wrong, left, undone int }

func (o *outcome) add(p outcome) {
	o.double, o.wrong, o.left, o.undone = o.double+p.double, o.wrong+p.wrong, o.left+p.left, o.undone+p.undone
}

func (h *history) outcome() (o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.kind.to == "act" && h.effects > 1:
		o.double = 1
	case h.kind.to == "act" && h.effects == 0:
		o.undone = 1
	case h.want != nil && !maps.Equal(h.holds, h.want):
		o.wrong = 1
	}
	if len(h.lost)+len(h.parked) > 0 {
		o.left = 1
	}
	if o.undone > o.left {
		h.tb.Errorf("%s, %s: lost: neither done nor in a queue", h.peer.name, h.id)
	}
	return o
}

func (o outcome) String() string {
	var cells []string
	for _, c := range []struct {
		n    int
		what string
	}{{o.double, "D"}, {o.wrong, "W"}, {o.left, "L"}} {
		if c.n > 0 {
			cells = append(cells, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if cells == nil {
		return "0"
	}
	return strings.Join(cells, ", ")
}

// fate is a class's outcome before and after the redrive.
type fate struct{ before, after outcome }

func (f fate) String() string {
	if f.before == f.after {
		return f.before.String()
	}
	return f.before.String() + " → " + f.after.String()
}

// faults plays so many cases of each class to a contender. failed is how often it answered an
// error before the redrive, so that the event had to wait for Lambda.
func faults(tb testing.TB, p *peer, proxies [3]*proxy, cases func(*faultKind) int) (fates map[string]fate, failed int) {
	tb.Helper()
	s := newStage(tb, p, proxies)
	var all []*history
	for i := range faultKinds {
		for n := range cases(&faultKinds[i]) {
			all = append(all, s.add(&faultKinds[i], n))
		}
	}
	var going sync.WaitGroup
	var doomed []*history
	for _, h := range all {
		if strings.HasPrefix(h.kind.code, "d") {
			doomed = append(doomed, h)
			continue
		}
		going.Go(func() { h.kind.play(h) })
	}
	crashes := make(chan struct{}, 2) // at a time: a start takes its processor time
	for together := range slices.Chunk(doomed, crashed) {
		going.Go(func() {
			crashes <- struct{}{}
			all, w := s.crash(together)
			<-crashes
			w.kill()
			all.Wait()
		})
	}
	going.Wait()
	for _, h := range all {
		h.buffer.Wait()
	}
	if slices.ContainsFunc(all, func(h *history) bool { return len(h.lost) > 0 }) {
		time.Sleep(p.lease + afterLeases)
	}
	fates, failed = map[string]fate{}, int(s.failed.Load())
	each := func(note func(f *fate, o outcome)) {
		for _, h := range all {
			f := fates[h.kind.code]
			note(&f, h.outcome())
			fates[h.kind.code] = f
		}
	}
	each(func(f *fate, o outcome) { f.before.add(o) })
	for _, h := range all {
		going.Go(h.redrive)
	}
	going.Wait()
	each(func(f *fate, o outcome) { f.after.add(o) })
	return fates, failed
}

// lossy are three proxies before one DynamoDB.
func lossy(tb testing.TB) (proxies [3]*proxy) {
	tb.Helper()
	for i := range proxies {
		proxies[i] = start(tb)
		proxies[i].set(settings{LoseOf: i})
	}
	return proxies
}

// TestNineFaults plays some cases of each class to sfrelay, which has to keep what it promises
// for each sink, and to the protocol of its peers, in which the harness has to see what goes
// wrong. The peers themselves are only in make compare: to install them takes a quarter of a
// minute.
func TestNineFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for Lambda's retries; without -short it runs")
	}
	proxies := lossy(t)
	const cases = 4
	peers := []*peer{goPeer("keyed"), goPeer("look-up"), goPeer("repeat"), goPeer("park"), goPeer(protocolOnly)}
	got := make([]map[string]fate, len(peers))
	var all sync.WaitGroup
	for i, p := range peers {
		all.Go(func() { got[i], _ = faults(t, p, proxies, func(*faultKind) int { return cases }) })
	}
	all.Wait()
	for i, p := range peers {
		sum := outcome{}
		for _, k := range faultKinds {
			sum.add(got[i][k.code].after)
		}
		promised := outcome{}
		switch p.sink {
		case "repeat":
			promised.double = sum.double // whatever is in doubt, on a machine that stands still for seconds too
		case "park":
			promised.left, promised.undone = sum.left, sum.undone
		case protocolOnly:
			continue
		}
		if sum != promised {
			t.Errorf("sfrelay, %s: %v after a redrive, want %v: %v", p.sink, sum, promised, got[i])
		}
	}
	// One case of each is enough.
	repeat, park, four := got[2], got[3], got[4]
	if repeat["d1"].after.double == 0 || park["d1"].after.left == 0 || park["d0"].after.undone == 0 {
		t.Errorf("no worker died where the sink offers nothing: %v, %v", repeat, park)
	}
	if four["d1"].after.double == 0 || four["e2"].after.wrong == 0 || four["b"].after.wrong == 0 || four["c"].after.wrong == 0 {
		t.Errorf("the four calls do what they do not promise: %v", four)
	}
	for i := range proxies {
		if lost := proxies[i].take().Lost; (lost > 0) != (i > 0) {
			t.Errorf("proxy %d lost %d answers", i, lost)
		}
	}
}
