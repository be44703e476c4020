package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

func create(account, name string) []byte {
	return change("CREATE", 1, id(account), "[]", fmt.Sprintf(`"Name":%q`, name))
}

// opened is a lane at a sink that answers everything with the error, whose breaker has just
// opened; the buffer is empty. asked are the accounts that the sink has been asked about.
func opened(t *testing.T, answer error) (l *lane, o *outage, asked func() []string) {
	t.Helper()
	l, o = down(t, 0)
	var mu sync.Mutex
	var ids []string
	o.answer = func(id string) error {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, id)
		return answer
	}
	asked = func() []string {
		mu.Lock()
		defer mu.Unlock()
		was := ids
		ids = nil
		return was
	}
	for i := range 3 {
		l.send(false, create(ids3[i], "x"))
	}
	if got := asked(); len(got) != 3 {
		t.Fatalf("asked %v before it is open", got)
	}
	l.Messages = nil
	return l, o, asked
}

var (
	ids3   = accountIDs(3)
	fourth = accountIDs(10)[3]
	fifth  = accountIDs(10)[4]
)

// A sink that is down for two hours is asked by what was under way when it went down, and
// then by one probe after the other. When it is back, everything gets there soon.
//
// By hand: two failures leave it closed, and then at most eight subjects are under way, so
// 10 calls open it. Probes follow each other after at least half of 5, 10, 20, 40, 80, 160,
// 320 s, then 300 s: the first seven take 317.5 s or more, and the remaining 6882.5 s have
// room for 22. That makes 39 calls.
func TestADownSinkIsLeftAlone(t *testing.T) {
	const most = 10 + 7 + 22
	records := []int{40, 400}
	if testing.Short() {
		records = records[:1]
	}
	for _, n := range records {
		for _, buffered := range []bool{false, true} {
			l, o := down(t, 2*time.Hour)
			ids := accountIDs(n)
			for i, account := range ids {
				l.send(buffered, create(account, fmt.Sprintf("name %d", i)))
			}
			l.send(buffered, change("UPDATE", 3, id(ids...), `["Phone"]`, `"Phone":"1"`)) // one event about all
			l.settle()
			if len(l.parked) != 0 {
				t.Errorf("%d records, buffered %v: %d parked, first %+v", n, buffered, len(l.parked), l.parked[0].Class)
			}
			for i, account := range ids {
				if want := fmt.Sprintf("name %d", i); o.holds[account] != want {
					t.Errorf("%d records, buffered %v: %s is %q, want %q", n, buffered, account, o.holds[account], want)
				}
			}
			took := l.now.Sub(consumertest.Now) - 2*time.Hour
			t.Logf("%d records, buffered %v: %d calls in two hours of outage, healed %v after it, %d requests to the guard", n, buffered, o.calls, took, l.store.requests.Load())
			if o.calls > most || o.calls < 10 {
				t.Errorf("%d records, buffered %v: %d calls, want 10 to %d", n, buffered, o.calls, most)
			}
			if took > 21*time.Minute { // 10 to the next probe, 5 to its message, 5 to the last message, some seconds
				t.Errorf("%d records, buffered %v: healed %v after the outage", n, buffered, took)
			}
		}
	}
}

// One change that fails all night holds none of fifty others, whatever comes before it.
func TestOnePoisonHoldsNobody(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		l, o := down(t, 0)
		o.answer = func(id string) error {
			if id == account {
				return sink.NotYet(verdict.Throttled, "made up by the test")
			}
			return nil
		}
		l.send(buffered, create(account, "poison"))
		for range 12 { // a quiet night
			l.receive()
		}
		if o.calls < 10 {
			t.Fatalf("buffered %v: %d failures", buffered, o.calls)
		}
		poison, began := l.Messages, l.now
		l.Messages = nil
		for _, healthy := range accountIDs(50) {
			l.send(buffered, create(healthy, "healthy"))
		}
		l.settle()
		if len(o.holds) != 50 || l.now != began || len(poison) != 1 {
			t.Errorf("buffered %v: %d of 50 applied after %v", buffered, len(o.holds), l.now.Sub(began))
		}
		if strings.Contains(l.log.String(), "the sink is not asked") {
			t.Errorf("buffered %v: opened", buffered)
		}
	}
}

// What is held is not begun: no request to the guard, no attempt, no first failure; the
// line says why, with the class that opened it.
func TestWhatIsHeldIsNotBegun(t *testing.T) {
	for class, answer := range map[verdict.Class]error{
		verdict.Throttled: sink.NotYet(verdict.Throttled, "made up by the test"),
		verdict.Auth:      sink.NotYet(verdict.Auth, "made up by the test"),
		verdict.Unknown:   sink.InDoubt(errors.New("made up by the test")),
	} {
		l, _, asked := opened(t, answer)
		requests := l.store.requests.Load()
		l.log.Reset()
		l.send(false, create(fourth, "x"))
		if got := l.store.requests.Load(); got != requests || len(asked()) != 0 {
			t.Errorf("%s: %d requests to the guard", class, got-requests)
		}
		line := l.log.String()
		for _, want := range []string{`"verdict":"failed"`, fmt.Sprintf(`"class":%q`, class), "the sink is not asked"} {
			if !strings.Contains(line, want) {
				t.Errorf("%s: %s is not in %s", class, want, line)
			}
		}
		if len(l.Messages) != 1 || !strings.Contains(l.Messages[0].Body, `"firstAt":null`) {
			t.Fatalf("%s: in the buffer: %+v", class, l.Messages)
		}
		if wait := l.Messages[0].Visible.Sub(l.now); wait < time.Second || wait > 10*time.Second {
			t.Errorf("%s: it waits for %v", class, wait)
		}
	}
}

// What says that the sink is alive does not open it, and closes it.
func TestAnAnswerClosesTheBreaker(t *testing.T) {
	for what, answer := range map[string]error{
		"success":            nil,
		"conflict":           sink.NotYet(verdict.Conflict, "made up by the test"),
		"dependency-missing": sink.NotYet(verdict.DependencyMissing, "made up by the test"),
		"permanent":          sink.Refuse("made-up", "by the test"),
	} {
		l, o := down(t, 0)
		o.answer = func(string) error { return answer }
		for _, account := range accountIDs(6) {
			l.send(false, create(account, "x"))
		}
		if strings.Contains(l.log.String(), "the sink is not asked") {
			t.Errorf("%s opens it", what)
		}
		l, o, _ = opened(t, sink.NotYet(verdict.Throttled, "made up by the test"))
		o.answer = func(string) error { return answer }
		l.pass(10 * time.Second)
		l.send(false, create(fourth, "x"))
		l.log.Reset()
		l.send(false, create(fifth, "x"), create(account, "x"))
		if strings.Contains(l.log.String(), "the sink is not asked") {
			t.Errorf("%s does not close it", what)
		}
	}
}

// Failures with an answer between are no outage.
func TestAnAnswerBetweenKeepsItClosed(t *testing.T) {
	l, o := down(t, 0)
	ill := sink.NotYet(verdict.Throttled, "made up by the test")
	n := 0
	o.answer = func(string) error {
		if n++; n%3 == 0 {
			return nil
		}
		return ill
	}
	for _, account := range accountIDs(12) {
		l.send(false, create(account, "x"))
	}
	if n != 12 {
		t.Errorf("asked %d times, want 12", n)
	}
}

// What was missing of our own says nothing of the sink: it opens nothing, and a probe that
// ends so keeps the others waiting.
func TestSomethingOfOurOwnIsNoAnswer(t *testing.T) {
	own := sink.NotYet(verdict.Unfinished, "made up by the test")
	l, o := down(t, 0)
	o.answer = func(string) error { return own }
	for _, account := range accountIDs(6) {
		l.send(false, create(account, "x"))
	}
	if o.calls != 6 {
		t.Errorf("asked %d times, want 6", o.calls)
	}
	l, o, _ = opened(t, sink.NotYet(verdict.Throttled, "made up by the test"))
	o.answer, o.calls = func(string) error { return own }, 0
	l.pass(10 * time.Second)
	l.send(false, create(fourth, "x"), create(fifth, "x"))
	if o.calls != 1 {
		t.Errorf("asked %d times, want 1", o.calls)
	}
}

// A probe is of another subject than the one before: that one may be what is ill. Only
// where no other has come for as long again it may be the same.
func TestAProbeIsOfAnotherSubject(t *testing.T) {
	l, _, asked := opened(t, sink.NotYet(verdict.Throttled, "made up by the test"))
	l.pass(5 * time.Second) // the pause at the longest
	l.send(false, create(ids3[2], "again"), create(fourth, "x"), create(fifth, "x"))
	if got := asked(); len(got) != 1 || got[0] != fourth {
		t.Errorf("probed %v, want %s", got, fourth)
	}
	l.pass(10 * time.Second) // the second pause at the longest
	l.send(false, create(fourth, "again"), create(fifth, "x"))
	if got := asked(); len(got) != 1 || got[0] != fifth {
		t.Errorf("probed %v, want %s", got, fifth)
	}
	l.pass(40 * time.Second) // the third, twice
	l.send(false, create(fifth, "again"))
	if got := asked(); len(got) != 1 || got[0] != fifth {
		t.Errorf("probed %v, want %s", got, fifth)
	}
}

// One probe at a time, however many changes are under way in the process.
func TestOneProbeAtATime(t *testing.T) {
	var calls atomic.Int64
	inside, leave := make(chan struct{}), make(chan struct{})
	def := accounts(fenced())
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
		if calls.Add(1) == 4 {
			close(inside)
			<-leave
		}
		return sink.Receipt{}, sink.NotYet(verdict.Throttled, "made up by the test")
	}
	def.Patch = def.Put
	l := newLane(t, def)
	for _, account := range ids3 {
		l.send(false, create(account, "x"))
	}
	l.pass(5 * time.Second)
	var group sync.WaitGroup
	group.Go(func() { l.send(false, create(fourth, "x")) })
	<-inside
	l.send(false, create(fifth, "x"))
	if got := calls.Load(); got != 4 {
		t.Errorf("%d calls while a probe is under way, want 4", got)
	}
	close(leave)
	group.Wait()
	l.pass(10 * time.Second) // the second pause
	l.send(false, create(fifth, "x"))
	if got := calls.Load(); got != 5 {
		t.Errorf("%d calls after it, want 5", got)
	}
}

// A change that somebody has done meanwhile is no probe: it says nothing of the sink, and
// the next one is let through at once.
func TestADuplicateIsNoProbe(t *testing.T) {
	l, o := down(t, 0)
	l.send(false, create(fourth, "x"))
	ill := func(string) error { return sink.NotYet(verdict.Throttled, "made up by the test") }
	o.answer = ill
	for _, account := range ids3 {
		l.send(false, create(account, "x"))
	}
	l.pass(5 * time.Second)
	l.send(false, create(fourth, "x"), create(fifth, "x"))
	if o.calls != 4 {
		t.Errorf("%d calls, want 4", o.calls)
	}
}

// The sink is left alone for as long as it asks for, whichever failure told it, but for no
// longer than a quarter of an hour.
func TestTheBreakerKeepsRetryAfter(t *testing.T) {
	for told, want := range map[time.Duration]time.Duration{10 * time.Minute: 10 * time.Minute, time.Hour: 15 * time.Minute} {
		l, o := down(t, 0)
		first := true
		o.answer = func(string) error {
			e := &sink.Error{Class: verdict.Throttled, Applied: sink.No}
			if first {
				e.RetryAfter, first = told, false
			}
			return e
		}
		for _, account := range ids3 {
			l.send(false, create(account, "x"))
		}
		l.Messages = nil
		l.pass(want - time.Second)
		l.send(false, create(fourth, "x"))
		if o.calls != 3 {
			t.Errorf("told %v: asked before %v", told, want)
		}
		l.Messages = nil
		l.send(true, create(fifth, "x"))
		l.receive() // held
		if wait := l.Messages[0].Visible.Sub(l.now); wait < time.Second {
			t.Errorf("told %v: it comes again after %v", told, wait)
		}
		l.pass(time.Second)
		l.send(false, create(fourth, "x"))
		if o.calls != 4 {
			t.Errorf("told %v: not asked after %v", told, want)
		}
	}
	// A probe is told, too; a message that is held stays away until then.
	l, o, _ := opened(t, &sink.Error{Class: verdict.Throttled, Applied: sink.No, RetryAfter: 10 * time.Minute})
	l.pass(10 * time.Minute)
	o.calls = 0
	l.send(false, create(fourth, "x"))
	l.Messages = nil
	l.send(true, create(fifth, "x"))
	l.receive()
	if wait := l.Messages[0].Visible.Sub(l.now); o.calls != 1 || wait < 10*time.Minute || wait > 15*time.Minute {
		t.Errorf("%d calls, it comes again after %v", o.calls, wait)
	}
}

// A person who sends something again wants to know: the sink is asked, and what it answers
// counts.
func TestARedriveIsAlwaysLetThrough(t *testing.T) {
	ill := sink.NotYet(verdict.Throttled, "made up by the test")
	l, o := down(t, 0)
	o.answer = func(string) error { return ill }
	again := func(account string) {
		_, _ = l.invoke(parkedAs("throttled", create(account, "x"), id(account)))
	}
	for _, account := range ids3 {
		again(account)
	}
	l.send(false, create(fourth, "x"))
	if o.calls != 3 {
		t.Errorf("%d calls, want 3: failures of a redrive open it", o.calls)
	}
	again(fourth)
	if o.calls != 4 {
		t.Errorf("%d calls, want 4: it is open, and somebody asks", o.calls)
	}
	o.answer = nil
	again(fourth)
	l.send(false, create(fifth, "x"))
	if o.holds[fourth] != "x" || o.holds[fifth] != "x" {
		t.Errorf("%v: a success of a redrive closes it", o.holds)
	}
}

// An outage that outlasts RetryHours parks what fails after them, which are the probes, and
// nothing that is only held.
func TestALongOutageParksProbesOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("plays ten hours, which takes a second; without -short it runs")
	}
	l, o := down(t, 8*time.Hour)
	for _, account := range accountIDs(400) {
		l.send(true, create(account, "x"))
	}
	l.settle()
	if n := len(l.parked); n == 0 || n > 24 { // a probe in five minutes at most, for two hours
		t.Errorf("%d parked", n)
	}
	for i, p := range l.parked {
		if age := l.parkedAt[i].Sub(consumertest.Now); p.Attempts < 1 || p.Class != verdict.Throttled || age < 6*time.Hour || age > 8*time.Hour {
			t.Errorf("parked after %v, %d attempts, %s", age, p.Attempts, p.Class)
		}
	}
	if len(l.parked)+len(o.holds) != 400 {
		t.Errorf("%d parked, %d applied", len(l.parked), len(o.holds))
	}
}

// However often a message was held, it comes again within five minutes of the next probe.
func TestWhatIsHeldComesSoonAfterTheNextProbe(t *testing.T) {
	l, _, _ := opened(t, &sink.Error{Class: verdict.Throttled, Applied: sink.No, RetryAfter: 10 * time.Minute})
	for range 20 { // a random part may be short by chance
		l.Messages = nil
		l.send(true, create(account, "x"))
		l.Messages[0].Count = 20
		l.receive()
		if wait := l.Messages[0].Visible.Sub(l.now); wait < 12*time.Minute || wait > 15*time.Minute+time.Second {
			t.Errorf("it comes again after %v", wait)
		}
	}
}

// What was never let through is parked before its queue forgets it, with the class that
// opened the breaker.
func TestWhatIsOnlyHeldIsParkedAfterFiveDays(t *testing.T) {
	l, o, _ := opened(t, sink.NotYet(verdict.Auth, "made up by the test"))
	l.send(true, create(account, "x"))
	held := l.Messages[0]
	began, others := l.now, accountIDs(200)[10:]
	for hour := range 121 {
		// Taken just now: a late one would go to the buffer untried.
		l.send(false, timeOf.ReplaceAll(create(others[hour], "a probe that fails"), []byte(`,"time":"`+l.now.Format(time.RFC3339)+`"`)))
		l.Messages = []*consumertest.Message{held}
		l.receive()
		if len(l.parked) > 0 {
			break
		}
		l.pass(began.Add(time.Duration(hour+1) * time.Hour).Sub(l.now))
	}
	if len(l.parked) != 1 || l.parked[0].Class != verdict.Auth || len(l.Messages) != 0 {
		t.Fatalf("%+v", l.parked)
	}
	if age := l.parkedAt[0].Sub(began); age < 5*24*time.Hour || age > 5*24*time.Hour+time.Hour {
		t.Errorf("parked after %v", age)
	}
	if o.holds[account] != "" {
		t.Errorf("%v", o.holds)
	}
}

// Something of the consumer's own code that panics with every change opens it, too.
func TestAPanicOpensTheBreaker(t *testing.T) {
	var calls int
	def := accounts(fenced())
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
		calls++
		panic("made up by the test")
	}
	l := newLane(t, def)
	for _, account := range accountIDs(6) {
		l.send(false, create(account, "x"))
	}
	if calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
}
