package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// limitedSink takes so many calls a second, a second's worth of them at once, and refuses the
// others as refuse says.
type limitedSink struct {
	perSecond float64
	refuse    func() error
	takes     time.Duration

	mu      sync.Mutex
	tokens  float64
	at      time.Time
	took    map[string]int
	refused []time.Time
	asked   map[string]bool
	calls   int
	again   int // that were about a record that was asked about before
}

func (*limitedSink) Contract() sink.Contract { return sink.Contract{Fenced: true} }

func (s *limitedSink) patch(_ context.Context, _ sink.Ref, id string, _ limitedAccount) (sink.Receipt, error) {
	time.Sleep(max(s.takes, 20*time.Millisecond))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.asked[id] {
		s.again++
	}
	s.asked[id] = true
	now := time.Now()
	s.tokens = min(max(s.perSecond, 1), s.tokens+now.Sub(s.at).Seconds()*s.perSecond)
	if s.at = now; s.tokens < 1 {
		s.refused = append(s.refused, now)
		return sink.Receipt{}, s.refuse()
	}
	s.tokens--
	s.took[id]++
	return sink.Receipt{}, nil
}

type limitedAccount struct {
	Name sink.Field[string] `cdc:"Name" guard:"n"`
}

// limitedRun is one process of a consumer in front of the sink, with its buffer.
type limitedRun struct {
	t       *testing.T
	handler consumer.Handler
	store   countingStore
	buffer  consumertest.Buffer
	mu      sync.Mutex
	log     strings.Builder
	parked  int
	put     []string      // into the buffer
	longest time.Duration // that a message was kept away
}

func newLimitedRun(t *testing.T, s *limitedSink, change func(*consumer.Env)) *limitedRun {
	t.Helper()
	time.Sleep(time.Until(consumertest.Start.Add(time.Minute)))
	s.took, s.asked, s.at, s.tokens = map[string]int{}, map[string]bool{}, time.Now(), s.perSecond
	r := &limitedRun{t: t}
	env := consumer.Env{
		Store: &r.store, Log: telemetry.New(r, "test", 0),
		Park: func(context.Context, []byte) error { r.mu.Lock(); defer r.mu.Unlock(); r.parked++; return nil },
		Lane: func(_ context.Context, messages [][]byte, delay time.Duration) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, m := range messages {
				r.buffer.Put(time.Now(), string(m), delay)
				r.put = append(r.put, string(m))
			}
			r.longest = max(r.longest, delay)
			return nil
		},
		Defer: func(_ context.Context, messages []consumer.Deferral) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.buffer.Defer(time.Now(), messages)
			for _, m := range messages {
				r.longest = max(r.longest, m.For)
			}
			return nil
		},
	}
	if change != nil {
		change(&env)
	}
	var put func(context.Context, sink.Ref, string, limitedAccount) (sink.Receipt, error)
	if env.Org != nil {
		put = s.patch
	}
	var err error
	r.handler, err = consumer.New(consumer.Record[limitedAccount]{
		Name: "limited", Object: "Account", Changes: true, To: s, Put: put, Patch: s.patch,
		Delete: func(context.Context, sink.Ref, string) (sink.Receipt, error) {
			return sink.Receipt{}, errors.New("nothing is deleted here")
		},
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Write implements io.Writer: the log.
func (r *limitedRun) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

func (r *limitedRun) invoke(payload []byte) *consumer.Response {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), consumertest.Timeout)
	defer cancel()
	resp, err := r.handler.Handle(ctx, payload)
	if err != nil {
		r.t.Errorf("Lambda has to try again: %v", err)
	}
	return resp
}

// drain works on the buffer until it is empty, for so long at most.
func (r *limitedRun) drain(longest time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(longest); time.Now().Before(end); {
		r.mu.Lock()
		at, ok := r.buffer.Next()
		r.mu.Unlock()
		if !ok {
			return
		}
		time.Sleep(max(time.Until(at), 0))
		r.mu.Lock()
		payload, received := r.buffer.Receive(time.Now())
		r.mu.Unlock()
		if len(received) == 0 {
			r.t.Fatal("a message that is there is not received")
		}
		resp := r.invoke(payload)
		r.mu.Lock()
		r.buffer.Settle(received, resp)
		r.mu.Unlock()
	}
}

// lines are those of the log with a verdict.
func (r *limitedRun) lines(v verdict.Verdict) (all []struct {
	Class   string
	Error   string
	Records int
}) {
	r.t.Helper()
	for text := range strings.Lines(r.log.String()) {
		var l struct {
			Verdict verdict.Verdict
			Class   string
			Error   string
			Records int
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			r.t.Fatal(err)
		}
		if l.Verdict == v {
			all = append(all, struct {
				Class   string
				Error   string
				Records int
			}{l.Class, l.Error, l.Records})
		}
	}
	return all
}

// merged is an event that sets the name of so many accounts.
func merged(n int) []byte {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = limitedID(i)
	}
	return consumertest.Change{Object: "Account", IDs: ids, Second: 1, Kind: "CREATE", Fields: map[string]any{"Name": "Beta Example Ltd"}}.Event()
}

func limitedID(i int) string { return fmt.Sprintf("0015f0000%06dAAA", i) }

func oneTooMany() error { return sink.TooMany(0, "made up by the test") }

// TestASinkThatTakesSoManyASecond: of 400 records that come at once, a sink takes 20 a second,
// the first 20 at once: it could have all after 19 s. It has them before 25 s, refuses one in
// five at most, and hardly any claim is made in vain. Without a pace three refusals in a row
// would stop the process for seconds, and every refusal would cost a claim and a release.
func TestASinkThatTakesSoManyASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{perSecond: 20, refuse: oneTooMany}
		r := newLimitedRun(t, s, nil)
		began := time.Now()
		r.invoke(merged(400))
		r.drain(time.Hour)
		took, requests := time.Since(began), r.store.requests.Load()
		t.Logf("%v, %d refused, %d requests", took, len(s.refused), requests)
		if len(s.took) != 400 || r.parked > 0 {
			t.Errorf("the sink has %d of 400, %d are parked", len(s.took), r.parked)
		}
		for id, n := range s.took {
			if n != 1 {
				t.Errorf("%s was taken %d times", id, n)
			}
		}
		if took > 25*time.Second || len(s.refused) > 80 || requests > 880 {
			t.Errorf("%v, %d refused, %d requests; at most 25 s, 80 and 880", took, len(s.refused), requests)
		}
	})
}

// TestWhatHadNoTurnHasOneLine: 200 records at one a second. What the first invocation has no
// time for comes again, and one line says of how many records.
func TestWhatHadNoTurnHasOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{perSecond: 1, refuse: oneTooMany}
		r := newLimitedRun(t, s, nil)
		r.invoke(merged(200))
		left := 0
		for _, l := range r.lines(verdict.Failed) {
			if l.Class == "unfinished" {
				left++
				if l.Records != 200-len(r.lines(verdict.Applied))-(len(r.lines(verdict.Failed))-1) {
					t.Errorf("a line of %d records, beside %d applied and %d others", l.Records, len(r.lines(verdict.Applied)), len(r.lines(verdict.Failed))-1)
				}
				if !strings.Contains(l.Error, "before this one's turn") {
					t.Errorf("it says %q", l.Error)
				}
			}
		}
		if left != 1 {
			t.Errorf("%d lines of what was not begun, want 1", left)
		}
		r.drain(time.Hour)
		if len(s.took) != 200 || r.parked > 0 {
			t.Errorf("the sink has %d of 200, %d are parked", len(s.took), r.parked)
		}
	})
}

// TestWhatHadNoTimeHasOneLine: the same at a sink that takes three seconds a call. An
// invocation of 20 s begins sixteen calls at 0, 3 and 6 s; after 7 s there is no room for one.
func TestWhatHadNoTimeHasOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLimitedRun(t, &limitedSink{perSecond: 1e6, takes: 3 * time.Second}, nil)
		r.invoke(merged(200))
		left := r.lines(verdict.Failed)
		if n := len(r.lines(verdict.Applied)); n != 48 || len(left) != 1 || left[0].Records != 152 || left[0].Class != "unfinished" {
			t.Errorf("%d applied and %+v, want 48 and one line of 152 that are unfinished", n, left)
		}
	})
}

// TestWaitingForATurnHasNoAge: at a sink that takes one call in ten seconds records wait for
// longer than RetryFor. They have not failed, and none is parked.
func TestWaitingForATurnHasNoAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{perSecond: 0.2, refuse: oneTooMany}
		r := newLimitedRun(t, s, func(e *consumer.Env) { e.RetryFor = time.Second })
		r.invoke(merged(40))
		r.drain(time.Hour)
		if len(s.took) != 40 || r.parked > 0 {
			t.Errorf("the sink has %d of 40, %d are parked", len(s.took), r.parked)
		}
	})
}

// TestWhatWaitsForItsTurnComesSoon: at a sink that takes one call in two seconds, attempts end
// without a turn. Nothing of that is a failure: no message says that it has failed, the breaker
// stays closed, and the message comes again within half a minute, however often it has come.
func TestWhatWaitsForItsTurnComesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{perSecond: 0.5, refuse: oneTooMany}
		r := newLimitedRun(t, s, nil)
		r.invoke(merged(200))
		r.drain(time.Hour)
		if len(s.took) != 200 {
			t.Errorf("the sink has %d of 200", len(s.took))
		}
		if r.longest > 32*time.Second || len(r.put) < 2 {
			t.Errorf("a message stayed away for %v, of %d", r.longest, len(r.put))
		}
		limited := 0
		for _, l := range r.lines(verdict.Failed) {
			if l.Class == "throttled" {
				limited++
			}
			if strings.Contains(l.Error, "the sink is not asked") {
				t.Errorf("the breaker opened: %s", l.Error)
			}
		}
		for _, m := range r.put {
			if !strings.Contains(m, `"firstAt":null`) {
				t.Errorf("a message says that it has failed: %s", m[max(len(m)-100, 0):])
			}
		}
		if limited == 0 {
			t.Error("every attempt had its turn: the test shows nothing")
		}
	})
}

// TestARefusalKeepsNobodyAwayForLong: a message that has come twenty times stays away for a
// quarter of an hour after a failure. After a refusal of one call too many it comes after half
// a minute.
func TestARefusalKeepsNobodyAwayForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deferred []time.Duration
		r := newLimitedRun(t, &limitedSink{refuse: oneTooMany}, func(e *consumer.Env) {
			e.Defer = func(_ context.Context, messages []consumer.Deferral) error {
				for _, m := range messages {
					deferred = append(deferred, m.For)
				}
				return nil
			}
		})
		r.invoke(fmt.Appendf(nil, `{"Records":[{"messageId":"m","receiptHandle":"h","body":%q,"attributes":{"ApproximateReceiveCount":"20"},`+
			`"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:123456789012:limited"}]}`, merged(1)))
		if len(deferred) != 1 || deferred[0] < time.Second || deferred[0] > 32*time.Second {
			t.Errorf("it stays away for %v, want 1 to 32 s", deferred)
		}
	})
}

// TestASinkThatTakesMoreIsAskedMore: after ten seconds at ten calls a second a sink takes any
// number. Of 800 records 700 are left then. At the old distance they would take 70 s more.
func TestASinkThatTakesMoreIsAskedMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{perSecond: 10, refuse: oneTooMany}
		r := newLimitedRun(t, s, nil)
		began := time.Now()
		time.AfterFunc(10*time.Second, func() { s.mu.Lock(); s.perSecond = 1e6; s.mu.Unlock() })
		r.invoke(merged(800))
		r.drain(time.Hour)
		if took := time.Since(began); len(s.took) != 800 || took > 65*time.Second {
			t.Errorf("the sink has %d of 800 after %v, want all before 65 s", len(s.took), took)
		}
	})
}

// TestASinkThatRefusesEverythingIsLeftAlone: a quota of the day is used up. Nothing gets
// through, so after ten seconds it is as good as down, and is asked once in a while. Until
// then sixteen attempts at a time ask up to five times each.
func TestASinkThatRefusesEverythingIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{refuse: oneTooMany}
		r := newLimitedRun(t, s, nil)
		r.invoke(merged(200))
		r.drain(20 * time.Minute)
		first := s.calls
		r.drain(40 * time.Minute)
		t.Logf("%d calls in twenty minutes, %d in forty more", first, s.calls-first)
		if first > 160 || s.calls-first > 20 || r.parked > 0 {
			t.Errorf("%d calls in twenty minutes, %d in forty more, %d parked; at most 160, 20 and 0", first, s.calls-first, r.parked)
		}
	})
}

// TestTheSinkSaysWhen: a sink that says with its refusal when it takes calls again is not
// asked before. Whatever is under way then may still come.
func TestTheSinkSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const told = 3 * time.Second
		s := &limitedSink{perSecond: 20, refuse: func() error { return sink.TooMany(told, "made up by the test") }}
		r := newLimitedRun(t, s, nil)
		r.invoke(merged(60))
		r.drain(time.Hour)
		if len(s.took) != 60 || len(s.refused) == 0 {
			t.Fatalf("the sink has %d of 60 and refused %d", len(s.took), len(s.refused))
		}
		for _, at := range s.refused {
			if since := at.Sub(s.refused[0]); since > 50*time.Millisecond && since < told {
				t.Errorf("asked again %v after the first refusal, which said %v", since, told)
			}
		}
	})
}

// TestASinkThatIsDownIsNotAskedAgainAtOnce: a 503 is no refusal of one call too many. Each
// attempt makes one call, and three subjects open the breaker.
func TestASinkThatIsDownIsNotAskedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedSink{perSecond: 20, refuse: func() error { return sink.NotYet(verdict.Throttled, "made up by the test") }}
		r := newLimitedRun(t, s, nil)
		r.invoke(merged(100)) // up to two rounds of sixteen are under way when the third is refused
		if len(s.took) != 20 || len(s.refused) > 32 || s.again > 0 {
			t.Errorf("the sink took %d, refused %d and was asked again about %d, want 20, at most 32 and none", len(s.took), len(s.refused), s.again)
		}
	})
}

// TestARepairWaitsForItsTurn: records that are read under the claim and sent whole wait for
// their turns as changes do. A sink that takes 20 a second, the first 20 at once, could have
// all 200 after 9 s; what is refused keeps its claim and what was read, but for one in ten.
// Were each refusal a failure, it would take 40 s and 477 failures.
func TestARepairWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		var org consumertest.Records
		s := &limitedSink{perSecond: 20, refuse: oneTooMany}
		r := newLimitedRun(t, s, org.Asked)
		began := time.Now()
		for i := range n {
			org.Put(limitedID(i), 5, map[string]any{"Name": "Beta Example Ltd"})
			change := consumertest.Change{Object: "Account", IDs: []string{limitedID(i)}, Second: 5, Kind: "UPDATE", Fields: map[string]any{"Name": "Beta Example Ltd"}}
			m := transport.Waiting{Event: change.Event(), Consumer: "limited", Class: verdict.OverwroteNewer}
			r.buffer.Put(began, string(m.EncodeAround(m.Event)), 0)
		}
		r.drain(time.Hour)
		took, asked := time.Since(began), len(org.Statements())
		t.Logf("%v, %d refused, %d questions", took, len(s.refused), asked)
		if len(s.took) != n || r.parked > 0 || s.calls-len(s.refused) != n {
			t.Errorf("the sink has %d of %d and took %d, %d are parked", len(s.took), n, s.calls-len(s.refused), r.parked)
		}
		if failed := len(r.lines(verdict.Failed)); took > 15*time.Second || asked > n+n/10 || failed > n/10 {
			t.Errorf("%v, %d questions, %d failures; at most 15 s, %d and %d", took, asked, failed, n+n/10, n/10)
		}
	})
}
