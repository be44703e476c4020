package functions_test

import (
	"bytes"
	"context"
	"encoding/json"

	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// history is an org and both consumers of accounts on one clock: what the org does, what
// its events leave out and how they arrive follows from the seed.
type history struct {
	t    testing.TB
	seed uint64
	r    *rand.Rand
	org  *historyOrg
	ends []*historyEnd

	wrong []string

	operator []time.Time // when somebody redrives all that is parked, in vain or not

	mu  sync.Mutex
	now time.Time
}

// historyEnd is one consumer, its buffer and its failure queue.
type historyEnd struct {
	name    string
	sink    *consumertest.Sink
	handler consumer.Handler
	buffer  consumertest.Buffer
	parked  []transport.Parked
	lambda  []delivery // that will be invoked
	log     bytes.Buffer
	direct  bool
}

type delivery struct {
	at    time.Time
	raw   []byte
	tries int
}

func newHistory(t testing.TB, seed uint64) *history {
	h := &history{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 23)), now: consumertest.Start}
	var ends time.Time
	h.org, ends = newHistoryOrg(seed, consumertest.Start, h.clock)
	h.operate(ends)
	r, l := newRegister(), newLedger()
	for _, end := range []struct {
		def  consumer.Definition
		sink *consumertest.Sink
	}{{functions.CustomerBilling(r), r.Sink}, {functions.CustomerERP(l), l.Sink}} {
		e := &historyEnd{name: end.def.Describe().Name, sink: end.sink, direct: h.r.IntN(2) == 0}
		h.ends = append(h.ends, e)
		var serial atomic.Uint64
		var err error
		e.handler, err = consumer.New(end.def, consumer.Env{
			Store: &memory.Store{}, Log: telemetry.New(&e.log, "test", 0), Org: h.org, Now: h.clock,
			Sleep: func(_ <-chan struct{}, d time.Duration) bool { h.to(h.clock().Add(d)); return true },
			Random: func() (b [10]byte) { // the last byte spreads waits: the same in every run
				n := serial.Add(1)
				for i := range 8 {
					b[i] = byte(n >> (8 * i))
				}
				b[9] = 128
				return b
			},
			Park: func(_ context.Context, body []byte) error {
				p, err := transport.DecodeParked(body)
				h.mu.Lock()
				defer h.mu.Unlock()
				e.parked = append(e.parked, p)
				return err
			},
			Lane: func(_ context.Context, messages [][]byte, delay time.Duration) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				for _, m := range messages {
					e.buffer.Put(h.now, string(m), delay)
				}
				return nil
			},
			Defer: func(_ context.Context, messages []consumer.Deferral) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				e.buffer.Defer(h.now, messages)
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *history) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *history) to(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = later(h.now, t)
}

// schedule lets every event arrive at every consumer: late, twice, in any order.
func (h *history) schedule() {
	for _, e := range h.ends {
		for _, ev := range h.org.events {
			for copies := 1 + h.r.IntN(5)/4; copies > 0; copies-- {
				wait := time.Duration(h.r.IntN(1000)) * time.Millisecond
				switch h.r.IntN(10) {
				case 0:
					wait += time.Duration(h.r.IntN(40)) * time.Minute
				case 1, 2, 3:
					wait += time.Duration(h.r.IntN(30)) * time.Second
				}
				e.lambda = append(e.lambda, delivery{at: ev.at.Add(wait), raw: ev.raw})
			}
		}
	}
}

// operate has somebody redrive now and then.
func (h *history) operate(ends time.Time) {
	if h.r.IntN(2) == 0 {
		return
	}
	for at := consumertest.Start; at.Before(ends); at = at.Add(time.Duration(1+h.r.IntN(600)) * time.Second) {
		h.operator = append(h.operator, at)
	}
}

// mostSteps of a history: one that needs more does not end.
const mostSteps = 20_000

// settle lets everything arrive and every buffer run empty.
func (h *history) settle() {
	for range mostSteps {
		var end *historyEnd
		var at time.Time
		buffered := false
		for _, e := range h.ends {
			for _, d := range e.lambda {
				if end == nil || d.at.Before(at) {
					end, at, buffered = e, d.at, false
				}
			}
			if next, ok := e.buffer.Next(); ok && (end == nil || next.Before(at)) {
				end, at, buffered = e, next, true
			}
		}
		if end == nil {
			return
		}
		if len(h.operator) > 0 && h.operator[0].Before(at) {
			h.to(h.operator[0])
			h.operator = h.operator[1:]
			h.redriveOnce()
			continue
		}
		h.to(at)
		if buffered {
			h.receive(end)
		} else {
			h.invoke(end)
		}
	}
	h.fail("does not end")
}

// invoke delivers what is due as Lambda does, or as a rule with a queue does.
func (h *history) invoke(e *historyEnd) {
	i := 0
	for j := range e.lambda {
		if e.lambda[j].at.Before(e.lambda[i].at) {
			i = j
		}
	}
	d := e.lambda[i]
	e.lambda = slices.Delete(e.lambda, i, i+1)
	if !e.direct {
		e.buffer.Put(h.clock(), string(d.raw), 0)
		return
	}
	if _, err := e.handler.Handle(h.t.Context(), d.raw); err != nil {
		if d.tries++; d.tries == 3 {
			h.fail("%s: Lambda gave an event up: %v", e.name, err)
			return
		}
		d.at = h.clock().Add(time.Duration(d.tries) * time.Minute)
		e.lambda = append(e.lambda, d)
	}
}

func (h *history) receive(e *historyEnd) {
	payload, received := e.buffer.Receive(h.clock())
	resp, err := e.handler.Handle(h.t.Context(), payload)
	if err != nil || resp == nil {
		h.fail("%s: a batch answered %v, %v", e.name, resp, err)
		return
	}
	e.buffer.Settle(received, resp)
}

// redrive brings what is parked again, once the org is whole, until nothing moves.
func (h *history) redrive() {
	for range 8 {
		h.to(h.clock().Add(10 * time.Minute))
		left := h.redriveOnce()
		if h.settle(); left == 0 {
			return
		}
	}
}

func (h *history) redriveOnce() (left int) {
	for _, e := range h.ends {
		parked := e.parked
		e.parked = nil
		for _, p := range parked {
			if _, err := e.handler.Handle(h.t.Context(), p.Encode()); err != nil {
				e.parked = append(e.parked, p)
			}
		}
		left += len(e.parked)
	}
	return left
}

func (h *history) fail(format string, args ...any) {
	h.wrong = append(h.wrong, fmt.Sprintf("seed %d: %s", h.seed, fmt.Sprintf(format, args...)))
}

// run plays the history, and reports whether it ended as the org.
func (h *history) run() bool {
	h.schedule()
	h.settle()
	for _, s := range []span{h.org.down, h.org.limited, h.org.unseen, h.org.hidden} {
		h.to(s.to)
	}
	h.redrive()
	for _, e := range h.ends {
		for _, p := range e.parked {
			if p.Class != verdict.RecordUnreadable || !h.lost(p) {
				h.fail("%s: left in the queue is %s: %s\n%s", e.name, p.Class, p.Error, p.Event)
			}
		}
		got := states(e.sink.State())
		for _, id := range h.org.ids {
			if want := h.want(e, id); got[id] != want {
				h.fail("%s ends with %s as\n  %s\nwant\n  %s", e.name, id, got[id], want)
			}
		}
	}
	return len(h.wrong) == 0
}

// lost reports whether a parked message is about a record that nobody can read any more.
func (h *history) lost(p transport.Parked) bool {
	for _, id := range h.org.ids {
		if bytes.Contains(p.Event, []byte(id)) && h.org.rows[id].last().gone {
			return true
		}
	}
	return false
}

// want is the record as a line of a sink: nothing where the org never told of it.
func (h *history) want(e *historyEnd, id string) string {
	told := slices.ContainsFunc(h.org.events, func(ev historyEvent) bool { return slices.Contains(ev.ids, id) })
	s := h.org.rows[id].last()
	switch {
	case !told:
		return ""
	case s.deleted:
		return "gone"
	}
	address := "BillingAddress."
	if e.name == "customer-billing" {
		address = "Billing."
	}
	var b strings.Builder
	for _, f := range []struct{ name, rest string }{
		{address + "City", "BillingCity"}, {address + "Country", "BillingCountryCode"}, {"Currency", "CurrencyIsoCode"},
		{"Email", "Email__c"}, {"Name", "Name"}, {"Phone", "Phone"}, {"Website", "Website"},
	} {
		v := s.fields[f.rest]
		if f.rest == "BillingCountryCode" && !h.org.picklists {
			v = s.fields["BillingCountry"]
		}
		if v != "" {
			fmt.Fprintf(&b, " %s=%q", f.name, v)
		}
	}
	return b.String()
}

var stateField = regexp.MustCompile(` (\S+)=("[^"]*"|null)`)

// states are the lines of a sink by record, without fields that are empty.
func states(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		id, fields, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.HasPrefix(fields, " gone") {
			all[id] = "gone"
			continue
		}
		var b strings.Builder
		for _, m := range stateField.FindAllStringSubmatch(fields, -1) {
			if m[2] != "null" && m[2] != `""` {
				fmt.Fprintf(&b, " %s=%s", m[1], m[2])
			}
		}
		all[id] = b.String()
	}
	return all
}

// describe is the history for people: SEED=n go test -run TestHistories prints it.
func (h *history) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "down %v limited %v field %s unseen %v record %s hidden %v\n", h.org.down, h.org.limited, h.org.field, h.org.unseen, h.org.record, h.org.hidden)
	for _, id := range h.org.ids {
		for _, s := range h.org.rows[id].states {
			fmt.Fprintf(&b, "%s visible %s modified %s deleted %v gone %v %v\n", id, s.visible.Format("15:04:05.000"), s.modified.Format("15:04:05"), s.deleted, s.gone, s.fields)
		}
	}
	for _, ev := range h.org.events {
		payload := ev.raw[bytes.Index(ev.raw, []byte(`"payload":`)):]
		fmt.Fprintf(&b, "%s %s\n", ev.at.Format("15:04:05.000"), payload[:bytes.Index(payload, []byte(`,"detail-type"`))])
	}
	for _, e := range h.ends {
		fmt.Fprintf(&b, "%s direct=%v\n", e.name, e.direct)
		for text := range strings.Lines(e.log.String()) {
			var l struct{ Time, EventKey, Subject, RecordVersion, Verdict, Class, Read, Error string }
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				h.t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s %s %s %s %s %s %s\n", l.Time[11:], l.Subject, l.RecordVersion, l.EventKey, l.Verdict, l.Class, l.Read, l.Error)
		}
	}
	return b.String()
}

// Whatever events leave out, however they arrive and whatever the org refuses for a while:
// both sinks end as the org.
func TestHistoriesEndAsTheOrg(t *testing.T) {
	from, seeds := uint64(0), uint64(400)
	switch {
	case os.Getenv("SEED") != "":
		n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		from, seeds = n, 1
	case os.Getenv("PROVE") == "1":
		seeds = 10_000
	case testing.Short():
		seeds = 100
	}
	work := make(chan uint64)
	var wg sync.WaitGroup
	var wrong, statements, events atomic.Int64
	for range 2 {
		wg.Go(func() {
			for seed := range work {
				h := newHistory(t, seed)
				if !h.run() {
					wrong.Add(1)
					t.Error(strings.Join(h.wrong, "\n"))
				}
				if os.Getenv("SEED") != "" {
					fmt.Println(h.describe())
				}
				statements.Add(int64(h.org.statements))
				events.Add(int64(len(h.org.events)))
			}
		})
	}
	for seed := from; seed < from+seeds && wrong.Load() < 20; seed++ {
		work <- seed
	}
	close(work)
	wg.Wait()
	t.Logf("%d histories, %d events, %d questions: %d end otherwise than the org", seeds, events.Load(), statements.Load(), wrong.Load())
}

// What is asked is counted: nothing for a record that was seen whole, one question for a
// batch that needs it.
func TestQuestionsOfACustomer(t *testing.T) {
	for _, def := range []consumer.Definition{functions.CustomerBilling(newRegister()), functions.CustomerERP(newLedger())} {
		org := &consumertest.Records{}
		org.Put(account, 1, map[string]any{"Name": "Example Ltd", "Phone": "1"})
		org.Put(another, 30, map[string]any{"Name": "Other Ltd", "Phone": "30"})
		kit := consumertest.New(t, def, consumertest.In(org.Asked))
		name, seen := def.Describe().Name, 0
		costs := func(what string, verdicts []verdict.Verdict, guardRequests, orgRequests int64) {
			t.Helper()
			lines := kit.Lines()[seen:]
			seen += len(lines)
			var g, o int64
			var got []verdict.Verdict
			for _, l := range lines {
				g, o, got = g+l.GuardRequests, o+l.OrgRequests, append(got, verdict.Verdict(l.Verdict))
			}
			if !slices.Equal(got, verdicts) || g != guardRequests || o != orgRequests {
				t.Errorf("%s, %s: %v with %d requests of the guard and %d of the org, want %v with %d and %d", name, what, got, g, o, verdicts, guardRequests, orgRequests)
			}
		}
		applied := []verdict.Verdict{verdict.Applied}
		kit.Send(phone(1, "1"))
		costs("the first sight of a record", applied, 4, 1)
		kit.Send(phone(2, "2"))
		costs("a record that was seen whole", applied, 2, 0)
		kit.Send(phone(2, "2"))
		costs("a duplicate", []verdict.Verdict{verdict.Duplicate}, 1, 0)
		kit.Send(consumertest.Delete("Account", account, 3))
		costs("a deletion", applied, 2, 0)
		kit.Send(consumertest.Create("Account", account, 4, map[string]any{"Name": "Example Ltd"}))
		costs("a creation", applied, 2, 0)
		kit.Send(consumertest.Update("Account", account, 5, map[string]any{"Description": "not read here"}))
		costs("what nobody reads", []verdict.Verdict{verdict.Ignored}, 0, 0)
		kit.SendBatch(
			consumertest.Change{Object: "Account", Kind: "GAP_UPDATE", IDs: []string{another}, Second: 20}.Event(),
			consumertest.Update("Account", another, 21, map[string]any{"Phone": "21"}),
			consumertest.Change{Object: "Account", Kind: "UPDATE", IDs: []string{another}, Second: 22, Changed: []string{"Name"}}.Event(),
			consumertest.Update("Account", account, 23, map[string]any{"Phone": "23"}),
		)
		costs("a batch", []verdict.Verdict{verdict.Applied, verdict.Stale, verdict.Stale, verdict.Applied}, 2+2+2, 1)
		if got := org.Statements(); !slices.Equal(got, []string{account, another}) {
			t.Errorf("%s: asked %q", name, got)
		}
	}
}
