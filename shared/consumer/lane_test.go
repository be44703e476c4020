package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// lane is a consumer with its buffer on a clock of its own: EventBridge calls the function
// or feeds the buffer, SQS brings ten messages at a time and keeps those away that the
// function defers, Lambda tries a direct invocation three times.
type lane struct {
	consumer.Handler
	t   *testing.T
	mu  sync.Mutex
	now time.Time
	consumertest.Buffer
	puts      int // messages that the function put into its buffer
	parked    []transport.Parked
	parkedAt  []time.Time
	log       bytes.Buffer
	full      bool // the buffer takes nothing
	queueDown bool // the failure queue takes nothing
	timeout   time.Duration
	onPut     func() // after a put
	store     countingStore
}

// countingStore counts the requests to it.
type countingStore struct {
	memory.Store
	requests atomic.Int64
	down     atomic.Bool // writes fail
}

func (s *countingStore) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	if s.requests.Add(1); s.down.Load() {
		return guard.Record{}, false, errors.New("made up by the test")
	}
	return s.Store.Write(ctx, w)
}

func (s *countingStore) Read(ctx context.Context, key string) (guard.Record, error) {
	s.requests.Add(1)
	return s.Store.Read(ctx, key)
}

func newLane(t *testing.T, def consumer.Definition) *lane {
	t.Helper()
	l := &lane{t: t, now: consumertest.Now, timeout: consumertest.Timeout}
	var err error
	l.Handler, err = consumer.New(def, consumer.Env{
		Store: &l.store, Log: telemetry.New(lockedLog{l}, "test", 0), Now: l.clock,
		Sleep: func(_ <-chan struct{}, d time.Duration) bool { l.pass(d); return true },
		Park: func(_ context.Context, body []byte) error {
			p, err := transport.DecodeParked(body)
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.queueDown {
				return errors.New("made up by the test")
			}
			l.parked, l.parkedAt = append(l.parked, p), append(l.parkedAt, l.now)
			return err
		},
		Lane: func(_ context.Context, messages [][]byte, delay time.Duration) error {
			if delay < 0 || delay > 15*time.Minute {
				t.Errorf("a delay of %v", delay)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.full {
				return errors.New("made up by the test")
			}
			for _, m := range messages {
				l.Put(l.now, string(m), delay)
				l.puts++
			}
			if l.onPut != nil {
				l.onPut()
			}
			return nil
		},
		Defer: func(_ context.Context, messages []consumer.Deferral) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.Defer(l.now, messages)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type lockedLog struct{ l *lane }

func (w lockedLog) Write(b []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	return w.l.log.Write(b)
}

func (l *lane) clock() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.now }

func (l *lane) pass(d time.Duration) { l.mu.Lock(); defer l.mu.Unlock(); l.now = l.now.Add(d) }

func (l *lane) invoke(payload []byte) (*consumer.Response, error) {
	return l.Handle(till{l.t.Context(), l.clock().Add(l.timeout)}, payload)
}

// send is EventBridge: directly, or through the buffer.
func (l *lane) send(buffered bool, events ...[]byte) {
	l.t.Helper()
	for _, e := range events {
		if buffered {
			l.mu.Lock()
			l.Put(l.now, string(e), 0)
			l.mu.Unlock()
			continue
		}
		if _, err := l.invoke(e); err != nil {
			l.t.Errorf("Lambda has to try again: %v", err)
		}
	}
}

// receive lets SQS bring the next batch; time passes to when one is visible. It reports
// false when the buffer is empty.
func (l *lane) receive() bool {
	l.mu.Lock()
	next, ok := l.Next()
	if next.After(l.now) {
		l.now = next
	}
	payload, received := l.Receive(l.now)
	l.mu.Unlock()
	if !ok {
		return false
	}
	resp, err := l.invoke(payload)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Settle(received, resp)
	return true
}

// settle lets SQS bring messages until the buffer is empty.
func (l *lane) settle() {
	l.t.Helper()
	for range 100_000 {
		if !l.receive() {
			return
		}
	}
	l.t.Fatalf("%d messages never settle", len(l.Messages))
}

// outage is a sink that is down until a time, and counts calls meanwhile.
type outage struct {
	l      *lane
	mu     sync.Mutex
	until  time.Time
	answer func(recordID string) error // nil: takes it
	calls  int
	holds  map[string]string // names by record
}

func (o *outage) put(_ context.Context, _ sink.Ref, id string, all Account) (sink.Receipt, error) {
	now := o.l.clock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.until) {
		o.calls++
		return sink.Receipt{}, sink.NotYet(verdict.Throttled, "made up by the test")
	}
	if o.answer != nil {
		if err := o.answer(id); err != nil {
			o.calls++
			return sink.Receipt{}, err
		}
	}
	if all.Name.Present {
		o.holds[id] = all.Name.Value
	}
	return sink.Receipt{}, nil
}

// down is accounts at such a sink, with its lane.
func down(t *testing.T, d time.Duration) (*lane, *outage) {
	o := &outage{holds: map[string]string{}}
	def := accounts(fenced())
	def.Put, def.Patch = o.put, o.put
	o.l = newLane(t, def)
	o.until = o.l.now.Add(d)
	return o.l, o
}

// An outage of hours leaves nothing to do: what came meanwhile waits in the buffer, and
// the sink ends in the newest state.
func TestAnOutageOfHoursLeavesNothingToDo(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		l, o := down(t, 2*time.Hour)
		ids := accountIDs(40)
		for i, account := range ids {
			l.send(buffered, change("CREATE", 1, id(account), "[]", `"Name":"old"`))
			l.send(buffered, change("UPDATE", 2, id(account), `["Name"]`, fmt.Sprintf(`"Name":"new %d"`, i)))
		}
		l.send(buffered, change("UPDATE", 3, id(ids...), `["Phone"]`, `"Phone":"1"`)) // one event about all
		l.settle()
		if len(l.parked) != 0 {
			t.Errorf("buffered %v: %d parked, first %+v", buffered, len(l.parked), l.parked[0].Class)
		}
		for i, account := range ids {
			if want := fmt.Sprintf("new %d", i); o.holds[account] != want {
				t.Errorf("buffered %v: %s is %q, want %q", buffered, account, o.holds[account], want)
			}
		}
		// How long the longest has failed is in the log, which alarms can look at.
		longest := 0
		for line := range strings.Lines(l.log.String()) {
			var m struct{ WaitedMS int }
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, m.WaitedMS)
		}
		if waited := time.Duration(longest) * time.Millisecond; waited < 90*time.Minute || waited > l.now.Sub(consumertest.Now) {
			t.Errorf("buffered %v: the longest wait in the log is %v", buffered, waited)
		}
		if l.now.Sub(consumertest.Now) > 2*time.Hour+30*time.Minute {
			t.Errorf("buffered %v: healed %v after the outage began", buffered, l.now.Sub(consumertest.Now))
		}
		t.Logf("buffered %v: %d calls in two hours of outage, for %d changes of %d records; %d messages put", buffered, o.calls, 3*len(ids), len(ids), l.puts)
		if most := 3 * len(ids) * 22; o.calls > most { // doubling from 2 s to 15 min makes 22 tries of two hours at most
			t.Errorf("buffered %v: %d calls, at most %d", buffered, o.calls, most)
		}
	}
}

// A change that fails for six hours is parked once, with its class, and holds nobody up.
func TestAChangeIsParkedByAge(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		l, o := down(t, 0)
		o.answer = func(id string) error {
			if id == account {
				return sink.NotYet(verdict.Throttled, "made up by the test")
			}
			return nil
		}
		l.send(buffered, change("CREATE", 1, id(account), "[]", `"Name":"poison"`), change("CREATE", 1, id(other), "[]", `"Name":"healthy"`))
		l.settle()
		if len(l.parked) != 1 || l.parked[0].Class != verdict.Throttled || o.holds[other] != "healthy" {
			t.Fatalf("buffered %v: %d parked, %v", buffered, len(l.parked), o.holds)
		}
		if age := l.parkedAt[0].Sub(consumertest.Now); age < 6*time.Hour || age > 6*time.Hour+20*time.Minute {
			t.Errorf("buffered %v: parked after %v", buffered, age)
		}
		if o.calls > 60 { // nine pauses up to 15 minutes, then one of 7.5 minutes at least
			t.Errorf("buffered %v: %d attempts", buffered, o.calls)
		}
		if first := l.parked[0].FirstAt; first.Sub(consumertest.Now) > time.Minute {
			t.Errorf("buffered %v: first failure at %v", buffered, first)
		}
	}
}

// What was not received for hours, because the function was throttled, has failed for no
// hour yet.
func TestTheAgeOfAChangeIsNotThatOfItsMessage(t *testing.T) {
	l, _ := down(t, 100*time.Hour)
	l.send(true, change("CREATE", 1, id(account), "[]", `"Name":"x"`))
	l.pass(7 * time.Hour)
	l.settle()
	if len(l.parked) != 1 {
		t.Fatalf("%d parked", len(l.parked))
	}
	if age := l.parkedAt[0].Sub(consumertest.Now); age < 13*time.Hour || age > 13*time.Hour+20*time.Minute {
		t.Errorf("parked after %v", age)
	}
}

// Whose answers get lost is parked after an hour if the sink takes others meanwhile: then
// it is not the sink that is ill.
func TestALostAnswerIsParkedSoonerWhereOthersAreTaken(t *testing.T) {
	for _, alone := range []bool{true, false} {
		l, o := down(t, 0)
		o.answer = func(id string) error {
			if id == account {
				return sink.InDoubt(errors.New("made up by the test"))
			}
			return nil
		}
		l.send(false, change("CREATE", 1, id(other), "[]", `"Name":"taken before"`))
		l.pass(time.Minute)
		l.send(false, change("CREATE", 1, id(account), "[]", `"Name":"x"`))
		for i := range 200 {
			if !l.receive() {
				break
			}
			if !alone {
				l.send(false, change("UPDATE", 10+i, id(other), `["Name"]`, `"Name":"y"`))
			}
		}
		l.settle()
		if len(l.parked) != 1 || l.parked[0].Class != verdict.Unknown {
			t.Fatalf("alone %v: %+v", alone, l.parked)
		}
		age, from := l.parkedAt[0].Sub(consumertest.Now.Add(time.Minute)), time.Hour
		if alone {
			from = 6 * time.Hour
		}
		if age < from || age > from+20*time.Minute {
			t.Errorf("alone %v: parked after %v", alone, age)
		}
	}
}

// An event of many records is worked on for as long as there is time; the rest goes to the
// buffer in at most eight portions, once, and nothing is parked.
func TestManyRecordsGoThroughTheLane(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		l, o := down(t, 0)
		slow := func(string) error { l.pass(20 * time.Millisecond); return nil }
		o.answer = slow
		ids := accountIDs(2_000)
		l.send(buffered, change("CREATE", 1, id(ids...), "[]", `"Name":"x"`))
		l.settle()
		if len(l.parked) != 0 || len(o.holds) != len(ids) {
			t.Errorf("buffered %v: %d parked, %d of %d applied", buffered, len(l.parked), len(o.holds), len(ids))
		}
		if l.puts == 0 || l.puts > 8 {
			t.Errorf("buffered %v: %d portions", buffered, l.puts)
		}
	}
}

// What lies in the lane is never put there anew, whatever happens to it.
func TestTheLaneIsFedOnce(t *testing.T) {
	l, _ := down(t, 3*time.Hour)
	l.send(false, change("CREATE", 1, id(accountIDs(60)...), "[]", `"Name":"x"`))
	puts := l.puts
	if puts < 3 || puts > 4 { // of 25 records at most, what was tried and what was not begun apart
		t.Fatalf("%d messages put", puts)
	}
	l.settle()
	if l.puts != puts {
		t.Errorf("%d messages put in the end, %d before", l.puts, puts)
	}
	// Portions of more than 25 records are not split again.
	l, _ = down(t, 3*time.Hour)
	l.send(false, change("CREATE", 1, id(accountIDs(400)...), "[]", `"Name":"x"`))
	l.settle()
	if l.puts != 9 {
		t.Errorf("%d messages put, want 8 of about 50 records that were not begun and one of those that were", l.puts)
	}
	// A rule's event in the buffer is put as portions with its first receipt only.
	l, _ = down(t, 3*time.Hour)
	l.send(true, change("CREATE", 1, id(accountIDs(60)...), "[]", `"Name":"x"`))
	l.full = true
	l.receive()
	l.full = false
	l.settle()
	if l.puts != 0 || len(l.parked) != 0 {
		t.Errorf("%d messages put after the first receipt, %d parked", l.puts, len(l.parked))
	}
	// A function that dies after every put: Lambda delivers an event three times, so a
	// change is put three times at most.
	l, o := down(t, time.Hour)
	for range 3 {
		if _, err := l.invoke(change("CREATE", 1, id(account), "[]", `"Name":"x"`)); err != nil {
			t.Fatal(err)
		}
	}
	if l.puts != 3 {
		t.Errorf("%d puts of three deliveries", l.puts)
	}
	l.settle()
	if o.holds[account] != "x" || len(l.parked) != 0 {
		t.Errorf("%v, %d parked", o.holds, len(l.parked))
	}
}

// What has waited for the function for half an hour goes to the buffer untried: Lambda would
// drop it after six. What is older than anything on its way was sent from an archive, or is
// a sample.
func TestALateEventGoesToTheLaneUntried(t *testing.T) {
	for age, late := range map[time.Duration]bool{
		29 * time.Minute: false, 31 * time.Minute: true, 29 * time.Hour: true, 31 * time.Hour: false,
	} {
		for _, event := range [][]byte{
			change("CREATE", 1, id(accountIDs(60)...), "[]", `"Name":"x"`),
			consumertest.PlatformEvent("Account_Sync__e", 1, map[string]any{"Record_Id__c": account, "Name__c": "x", "Modified__c": "2026-11-22T10:00:00Z"}),
		} {
			l, o := down(t, 0)
			l.now = l.now.Add(age - time.Minute + 2*time.Second) // the event was taken at its second + 1
			l.send(false, event)
			if tried := len(o.holds) > 0; tried == late || late != (l.puts > 0) {
				t.Errorf("after %v: %d applied, %d put", age, len(o.holds), l.puts)
			}
			l.settle()
			if len(o.holds) == 0 || len(l.parked) > 0 {
				t.Errorf("after %v: %d applied in the end, %d parked", age, len(o.holds), len(l.parked))
			}
		}
	}
}

// Where the buffer takes nothing, Lambda's own retries have to do: the error says so.
func TestABufferThatIsDown(t *testing.T) {
	l, _ := down(t, time.Hour)
	l.full = true
	_, err := l.invoke(change("CREATE", 1, id(account), "[]", `"Name":"x"`))
	e, ok := errors.AsType[*consumer.RetryError](err)
	if !ok || e.Class != verdict.Throttled || !strings.Contains(e.Cause, "the buffer did not take it") {
		t.Errorf("%v", err)
	}
}

// A redrive uses no lane: what fails answers, and its message stays in the failure queue.
func TestARedriveUsesNoLane(t *testing.T) {
	l, _ := down(t, time.Hour)
	event := change("CREATE", 1, id(account), "[]", `"Name":"x"`)
	for what, body := range map[string][]byte{
		"parked":     parkedAs("throttled", event, id(account)),
		"on-failure": []byte(`{"requestContext":{"functionArn":"f"},"responsePayload":{},"requestPayload":` + string(event) + `}`),
	} {
		_, err := l.invoke(body)
		if _, ok := errors.AsType[*consumer.RetryError](err); !ok || l.puts != 0 || len(l.parked) != 0 {
			t.Errorf("%s: %v, %d put, %d parked", what, err, l.puts, len(l.parked))
		}
	}
}

// Records of one event that the sink refuses for one reason share a message, and each has
// its line; another reason is another message.
func TestRecordsThatTheSinkRefusesShareAMessage(t *testing.T) {
	for n, want := range map[int]int{1: 1, 25: 2, 1_000: 6} {
		l, o := down(t, 0)
		ids := accountIDs(n)
		o.answer = func(id string) error {
			if id == ids[0] && n > 1 {
				return sink.Refuse("test", "another reason")
			}
			return sink.Refuse("test", "made up by the test")
		}
		l.send(true, change("CREATE", 1, id(ids...), "[]", `"Name":"x"`))
		l.settle()
		var records []string
		for _, p := range l.parked {
			if len(p.Records) > 200 || p.Class != "permanent/test" || p.Attempts != 1 || !p.FirstAt.Equal(consumertest.Now) {
				t.Errorf("%d records: %d in a message, %+v", n, len(p.Records), p.Class)
			}
			records = append(records, p.Records...)
		}
		slices.Sort(records)
		slices.Sort(ids)
		if len(l.parked) != want || !slices.Equal(records, ids) {
			t.Errorf("%d records: %d messages about %d of them, want %d", n, len(l.parked), len(records), want)
		}
		if lines := strings.Count(l.log.String(), `"verdict":"parked"`); lines != n {
			t.Errorf("%d records: %d lines", n, lines)
		}
	}
}

// No claim is held for longer than two seconds to share a message.
func TestAMessageDoesNotWaitForItsLikeForEver(t *testing.T) {
	l, o := down(t, 0)
	o.answer = func(string) error {
		l.pass(300 * time.Millisecond)
		return sink.Refuse("test", "made up by the test")
	}
	l.send(true, change("CREATE", 1, id(accountIDs(24)...), "[]", `"Name":"x"`))
	l.settle()
	if n := len(l.parked); n < 2 || n > 8 { // 24 times 300 ms: a part for each wave at least, at most one for two seconds and what came in between
		t.Errorf("%d messages", n)
	}
}

// Whose message the failure queue does not take is parked when it comes again, and so are
// all that share it.
func TestASharedMessageThatTheQueueRefuses(t *testing.T) {
	l, o := down(t, 0)
	o.answer = func(string) error { return sink.Refuse("test", "made up by the test") }
	l.queueDown = true
	l.send(true, change("CREATE", 1, id(accountIDs(20)...), "[]", `"Name":"x"`))
	l.receive()
	if len(l.parked) != 0 || len(l.Messages) != 1 {
		t.Fatalf("%d parked, %d in the buffer", len(l.parked), len(l.Messages))
	}
	l.queueDown = false
	l.settle()
	if len(l.parked) != 1 || len(l.parked[0].Records) != 20 {
		t.Errorf("%d parked", len(l.parked))
	}
}

// So it is after a wait for another who holds the record: here one that never ended its claim,
// which lasts for half a second more. An invocation of 15 s waits for up to 2 s, one of a little less
// than 13.5 s no longer than it has room.
func TestAWaitLeavesTimeToPutOff(t *testing.T) {
	for timeout, begun := range map[time.Duration]bool{15 * time.Second: true, 13*time.Second + 499*time.Millisecond: false} {
		l, o := down(t, 0)
		claimed := l.now
		o.answer = func(string) error { l.store.down.Store(true); return nil } // its end is lost
		l.send(false, change("CREATE", 1, id(account), "[]", `"Name":"x"`))
		l.store.down.Store(false)
		o.answer = nil
		l.pass(claimed.Add(guard.Config{}.Lease() - 500*time.Millisecond).Sub(l.now))
		l.timeout, l.puts = timeout, 0
		l.send(false, change("UPDATE", 2, id(account), `["Name"]`, `"Name":"y"`))
		if (o.holds[account] == "y") != begun || (l.puts == 0) != begun {
			t.Errorf("%v: the sink has %q, %d put", timeout, o.holds[account], l.puts)
		}
	}
}

// What cannot even be read, while the failure queue is down, waits in the lane for it.
func TestWhatCannotBeParkedWaitsInTheLane(t *testing.T) {
	for _, event := range []string{"no JSON", string(change("CREATE", 1, id(account), "[]", `"Phone":["1"]`))} {
		l, _ := down(t, 0)
		l.queueDown = true
		l.send(false, []byte(event))
		if len(l.parked) != 0 || l.puts != 1 {
			t.Fatalf("%s: %d parked, %d put", event, len(l.parked), l.puts)
		}
		l.receive()
		l.queueDown = false
		l.settle()
		if len(l.parked) != 1 || string(l.parked[0].Event) != event {
			t.Errorf("%s: %d parked", event, len(l.parked))
		}
	}
}

// A message of another consumer is not put into our buffer.
func TestAForeignMessageIsNotPutIntoTheLane(t *testing.T) {
	l, _ := down(t, 0)
	w := transport.Waiting{Event: change("CREATE", 1, id(account), "[]", `"Name":"x"`), Consumer: "orders"}
	if _, err := l.invoke(w.EncodeAround(w.Event)); err == nil || l.puts != 0 {
		t.Errorf("%v, %d put", err, l.puts)
	}
}

// What was never tried, because somebody else holds the record, is parked before the queue
// forgets it, with the class that held it.
func TestWhatIsNeverTriedIsParkedAfterFiveDays(t *testing.T) {
	l, _ := down(t, 0)
	l.timeout = 5 * time.Second // too little for an attempt
	l.send(true, change("CREATE", 1, id(account), "[]", `"Name":"x"`))
	for range 5 * 24 {
		l.receive()
		l.pass(time.Hour)
	}
	if len(l.parked) != 0 {
		t.Fatalf("parked after %v", l.parkedAt[0].Sub(consumertest.Now))
	}
	l.pass(time.Hour)
	l.receive()
	if len(l.parked) != 1 || l.parked[0].Class != verdict.Unfinished || len(l.Messages) != 0 {
		t.Errorf("%+v, %d in the queue", l.parked, len(l.Messages))
	}
}

// Of a message of which one record fails, the others are done: the same process does not
// ask for them again.
func TestWhatIsFinishedIsNotAskedFor(t *testing.T) {
	l, o := down(t, 0)
	ids := accountIDs(20)
	o.answer = func(id string) error {
		if id == ids[7] && o.calls < 5 {
			return sink.NotYet(verdict.Throttled, "made up by the test")
		}
		return nil
	}
	l.send(true, change("CREATE", 1, id(ids...), "[]", `"Name":"x"`))
	l.receive()
	if n := l.store.requests.Swap(0); n != 40 {
		t.Fatalf("%d requests for 20 records, want a claim and an end each", n)
	}
	l.settle()
	if n := l.store.requests.Load(); n != 10 || len(o.holds) != 20 || len(l.parked) != 0 {
		t.Errorf("%d requests for five tries of one record, %d of 20 applied, %d parked", n, len(o.holds), len(l.parked))
	}
	// A message that a person sent again asks.
	l.store.requests.Store(0)
	parked := transport.Parked{Event: change("CREATE", 1, id(ids...), "[]", `"Name":"x"`), Records: ids, Consumer: "accounts"}
	l.Put(l.now, string(parked.Encode()), 0)
	l.receive()
	if n := l.store.requests.Load(); n != 20 {
		t.Errorf("%d requests of a redrive of 20 records, want one each", n)
	}
}

// An attempt is begun only where there is time for its effect (10 s where the port says
// nothing), for the end of the claim (2 s), and to put off what is not done (1 s).
func TestTimeIsLeftToPutOff(t *testing.T) {
	for timeout, begun := range map[time.Duration]bool{13 * time.Second: true, 13*time.Second - time.Millisecond: false} {
		l, o := down(t, 0)
		l.timeout = timeout
		l.send(false, change("CREATE", 1, id(account), "[]", `"Name":"x"`))
		if (len(o.holds) == 1) != begun || (l.puts == 0) != begun {
			t.Errorf("%v: %d applied, %d put", timeout, len(o.holds), l.puts)
		}
	}
}
