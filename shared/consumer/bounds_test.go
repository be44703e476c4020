package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
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
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// counted is a store that counts what it is asked.
type counted struct {
	guard.Store
	asked *atomic.Int64
}

func (c counted) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	c.asked.Add(1)
	return c.Store.Write(ctx, w)
}

func (c counted) Read(ctx context.Context, key string) (guard.Record, error) {
	c.asked.Add(1)
	return c.Store.Read(ctx, key)
}

// spent is what one invocation took.
type spent struct {
	parked, parkedBytes int64 // messages
	asked               int64 // requests to the guard's table
	allocated           int64 // bytes
	logged              int64 // bytes
	response            *consumer.Response
	err                 error
}

type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) { c.n.Add(int64(len(b))); return len(b), nil }

// spend lets a consumer work on a payload.
func spend(tb testing.TB, def consumer.Definition, payload []byte) (s spent) {
	tb.Helper()
	var parked, size, asked atomic.Int64
	var log counter
	h, err := consumer.New(def, consumer.Env{
		Store: counted{&memory.Store{}, &asked}, Log: telemetry.New(&log, "test", 0), ClientName: "sfrelay",
		Park: func(_ context.Context, body []byte) error { parked.Add(1); size.Add(int64(len(body))); return nil },
		Now:  func() time.Time { return consumertest.Now },
	})
	if err != nil {
		tb.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it empties the pools of the packages at moments of its own
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.response, s.err = h.Handle(tb.Context(), payload)
	runtime.ReadMemStats(&after)
	s.parked, s.parkedBytes, s.asked, s.allocated, s.logged = parked.Load(), size.Load(), asked.Load(), int64(after.TotalAlloc-before.TotalAlloc), log.n.Load()
	return s
}

// silent is accounts at a sink that takes everything and keeps nothing.
func silent() consumer.Record[Account] {
	def := accounts(fenced())
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) { return sink.Receipt{}, nil }
	def.Patch = def.Put
	def.Delete = func(context.Context, sink.Ref, string) (sink.Receipt, error) { return sink.Receipt{}, nil }
	return def
}

// What one message may cost: twenty bytes of memory for each of its bytes and some for
// what happens once, fifty parked messages, and what the guard needs for a change.
const (
	perByte   = 20
	perBody   = 256 << 10
	perAsked  = 24 << 10
	perBodyIn = 50
)

// bounded holds the price of a body that came with an event of its own, and as a message
// of a queue.
func bounded(t *testing.T, what string, body []byte) {
	t.Helper()
	quoted, err := json.Marshal(string(body))
	if err != nil {
		t.Fatal(err)
	}
	for way, payload := range map[string][]byte{
		"direct": body,
		"queue":  []byte(`{"Records":[{"messageId":"m1","receiptHandle":"r","body":` + string(quoted) + `,"attributes":{},"messageAttributes":{}}]}`),
	} {
		s := spend(t, silent(), payload)
		if most := perByte*int64(len(payload)) + perBody + perAsked*s.asked; s.allocated > most && !raced {
			t.Errorf("%s, %s: %d KB allocated for %d KB and %d requests", what, way, s.allocated>>10, len(payload)>>10, s.asked)
		}
		// A batch that Lambda itself is called with is as many messages as it says.
		if way == "queue" && s.parked > perBodyIn {
			t.Errorf("%s, %s: %d messages parked", what, way, s.parked)
		}
		if s.parkedBytes > perByte*int64(len(payload))+perBody {
			t.Errorf("%s, %s: %d KB parked for %d KB", what, way, s.parkedBytes>>10, len(payload)>>10)
		}
		if testing.Verbose() {
			t.Logf("%s, %s: %d KB: %d KB allocated, %d parked with %d KB, %d requests, %d KB logged", what, way, len(payload)>>10, s.allocated>>10, s.parked, s.parkedBytes>>10, s.asked, s.logged>>10)
		}
	}
}

// list is n texts as JSON.
func list(n int, text func(i int) string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = text(i)
	}
	b, _ := json.Marshal(texts)
	return string(b)
}

// hostile are bodies of up to a megabyte.
func hostile(t testing.TB) map[string][]byte {
	const megabyte = 1 << 20
	ids := func(n int, prefix string) string {
		return list(n, func(i int) string {
			full, err := salesforce.ID18(fmt.Sprintf("%s%010d", prefix, i))
			if err != nil {
				t.Fatal(err)
			}
			return full
		})
	}
	accounts, same := ids(10_000, "0015f"), func(name string) func(int) string { return func(int) string { return name } }
	numbered := func(i int) string { return fmt.Sprintf("Field_%d__c", i) }
	body := func(kind, ids, changed, fields string) []byte { return change(kind, 1, ids, changed, fields) }
	var fields strings.Builder
	for i := range 9_990 {
		fmt.Fprintf(&fields, `,"Field_%d__c":"--- \n+++ \n%060d"`, i, i)
	}
	keys := "{" + strings.TrimSuffix(strings.Repeat(`"a":1,"b":2,"c":3,"messageId":4,`, megabyte/32), ",") + "}"
	distinct := "{" + list(60_000, numbered)
	distinct = "{" + strings.ReplaceAll(strings.Trim(distinct, "{[]"), ",", `:1,`) + ":1}"
	nested := consumertest.Create("Account", account, 1, map[string]any{"Name": strings.Repeat("x", 100_000)})
	for range 7 {
		nested = []byte(`{"version":"1.0","requestContext":{"functionArn":"f"},"responsePayload":{},"requestPayload":` + string(nested) + `}`)
	}
	wrapped := consumertest.Create("Account", account, 1, map[string]any{"Name": strings.Repeat("x", 100_000)})
	for range 4 {
		quoted, _ := json.Marshal(string(wrapped))
		wrapped = []byte(`{"Records":[{"messageId":"m","body":` + string(quoted) + `}]}`)
	}
	return map[string][]byte{
		"ids times changed fields nobody reads": body("UPDATE", accounts, list(10_000, same("z")), ""),
		"ids times changed fields of ours":      body("UPDATE", accounts, list(10_000, same("Phone")), `"Phone":["1"]`),
		"ids times fields that are missing":     body("UPDATE", accounts, list(10_000, numbered), `"Phone":"1"`),
		"ids times fields with diffs":           body("UPDATE", ids(2_000, "0015f"), list(9_990, numbered), fields.String()[1:]),
		"ids times fields, all applied":         body("CREATE", ids(500, "0015f"), "[]", `"Phone":"1"`+fields.String()),
		"our own echo":                          bytes.Replace(body("UPDATE", accounts, list(9_000, same("LastModifiedDate")), ""), []byte(`"changeOrigin":""`), []byte(`"changeOrigin":"x;client=sfrelay"`), 1),
		"ids of contacts":                       body("UPDATE", ids(10_000, "0035f"), `["Phone"]`, `"Phone":"1"`),
		"ids of anything": body("UPDATE", list(10_000, func(i int) string {
			full, _ := salesforce.ID18(fmt.Sprintf("%03d5f%010d", i%1000, i))
			return full
		}), `["Phone"]`, `"Phone":"1"`),
		"gaps":                          body("GAP_UPDATE", accounts, "[]", ""),
		"more ids than a transaction":   body("UPDATE", ids(48_000, "0015f"), `["Phone"]`, `"Phone":"1"`),
		"more changed fields than any":  body("UPDATE", id(account), list(170_000, same("z")), ""),
		"batch of nothing":              []byte(`{"Records":[` + strings.TrimSuffix(strings.Repeat("{},", megabyte/3-10), ",") + `]}`),
		"small batch of nothing":        []byte(`{"Records":[` + strings.TrimSuffix(strings.Repeat("{},", 9_999), ",") + `]}`),
		"received messages of nothing":  []byte(`{"Messages":[` + strings.TrimSuffix(strings.Repeat("{},", 9_999), ",") + `]}`),
		"an object of keys":             []byte(keys),
		"an object of distinct keys":    []byte(distinct),
		"an event of distinct keys":     []byte(`{"detail-type":"AccountChangeEvent","source":"s",` + distinct[1:]),
		"a detail of distinct keys":     []byte(`{"detail-type":"AccountChangeEvent","source":"s","detail":` + distinct + `}`),
		"a payload of distinct keys":    bytes.Replace(body("CREATE", id(account), "[]", `"X":1`), []byte(`"X":1`), []byte(distinct[1:len(distinct)-1]), 1),
		"brackets":                      bytes.Repeat([]byte("["), 400_000),
		"on-failure records in others":  nested,
		"batches in others":             wrapped,
		"parked for strangers":          []byte(`{"event":` + string(body("UPDATE", ids(1_000, "0015f"), `["Phone"]`, `"Phone":"1"`)) + `,"consumer":"accounts","class":"unknown","records":` + ids(40_000, "0015g") + `}`),
		"one long text":                 consumertest.Create("Account", account, 1, map[string]any{"Name": strings.Repeat("x", megabyte)}),
		"one long text, many records":   body("CREATE", ids(2_000, "0015f"), "[]", `"Name":["`+strings.Repeat("x", megabyte-100_000)+`"]`),
		"a long text, two hundred":      body("CREATE", ids(200, "0015f"), "[]", `"Name":["`+strings.Repeat("x", megabyte-100_000)+`"]`),
		"an unknown object of many":     bytes.ReplaceAll(body("UPDATE", accounts, `["Phone"]`, `"Phone":"1"`), []byte("Account"), []byte("Contact")),
		"a wildcard among many":         body("UPDATE", strings.Replace(accounts, account[:3], "001*\",\"001", 1), `["Phone"]`, `"Phone":"1"`),
		"text that is no JSON":          bytes.Repeat([]byte("x"), megabyte),
		"quotes and slashes":            bytes.Repeat([]byte(`\"`), megabyte/2),
		"a platform event of many keys": bytes.Replace(consumertest.PlatformEvent("Account_Sync__e", 1, map[string]any{"X": 1}), []byte(`"X":1`), []byte(distinct[1:len(distinct)-1]), 1),
	}
}

// Whatever a megabyte holds, it costs memory in proportion to its size, and few messages.
func TestWorkIsBoundedByBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second; without -short it runs")
	}
	for what, body := range hostile(t) {
		if len(body) > 1_200_000 {
			t.Fatalf("%s has %d bytes", what, len(body))
		}
		bounded(t, what, body)
	}
}

// FuzzWork holds the same of everything.
func FuzzWork(f *testing.F) {
	for _, body := range hostile(f) {
		if len(body) < 100_000 {
			f.Add(body)
		}
	}
	f.Add(change("UPDATE", 1, id(accountIDs(60)...), `["Phone","Name"]`, `"Phone":"1","Name":{"LastName":"x"}`))
	f.Add(change("UPDATE", 1, id(account, other), `["Phone"]`, `"Phone":["1"]`))
	f.Add(batchOf([]byte(`{"Records":[{},{}]}`), change("GAP_UPDATE", 1, id(account, other), `[]`, ``)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) && bytes.ContainsRune(body, 0xFFFD) {
			return
		}
		bounded(t, "fuzzed", body)
	})
}

func accountIDs(n int) (ids []string) {
	for i := range n {
		full, _ := salesforce.ID18(fmt.Sprintf("0015f%010d", i))
		ids = append(ids, full)
	}
	return ids
}

// times counts how often it is read.
type times string

var timesRead atomic.Int64

func (r *times) UnmarshalText(b []byte) error {
	timesRead.Add(1)
	*r = times(b)
	return nil
}

// However many records an event names, it is read once.
func TestAnEventIsReadOnce(t *testing.T) {
	type notice struct {
		Phone times `cdc:"Phone"`
	}
	for _, n := range []int{1, 40, 400} {
		timesRead.Store(0)
		s := consumertest.NewSink(sink.Contract{Fenced: true})
		var done atomic.Int64
		sent := spend(t, consumer.Action[notice]{
			Name: "notices", Object: "Account", Changes: true, Once: consumer.PerRecord("notice"), To: s,
			When: func(consumer.Change[notice]) consumer.Decision { return consumer.Act },
			Do: func(context.Context, sink.Ref, consumer.Change[notice]) (sink.Receipt, error) {
				done.Add(1)
				return sink.Receipt{}, nil
			},
		}, batchOf(change("CREATE", 1, id(accountIDs(n)...), "[]", `"Phone":"1"`)))
		if sent.err != nil || done.Load() != int64(n) || timesRead.Load() != 1 {
			t.Errorf("%d records: %d done, read %d times, %v", n, done.Load(), timesRead.Load(), sent.err)
		}
	}
}

// Records that are refused for one reason share a message; each has its line while they
// are few, and all have one where they are many.
func TestRecordsRefusedAlikeShareAMessage(t *testing.T) {
	for _, n := range []int{2, 50, 51, 1_000} {
		k := consumertest.New(t, accounts(fenced()))
		k.SendBatch(change("CREATE", 1, id(accountIDs(n)...), "[]", `"Phone":["1"]`))
		p := k.Parked()
		if len(p) != 1 || p[0].Class != "permanent/invalid-field" || !slices.Equal(p[0].Records, accountIDs(n)) {
			t.Fatalf("%d records: %d messages, first %+v", n, len(p), p[0].Class)
		}
		want := n
		if n > 50 {
			want = 1
		}
		total := int64(0)
		for _, l := range k.Lines() {
			total += max(l.Records, 1)
			if l.Verdict != "parked" || l.Class != "permanent/invalid-field" || !strings.HasPrefix(l.Subject, "Account/0015f") || len(l.RecordVersion) != 40 {
				t.Errorf("%d records: line %+v", n, l)
			}
		}
		if len(k.Lines()) != want || total != int64(n) {
			t.Errorf("%d records: %d lines that speak of %d", n, len(k.Lines()), total)
		}
	}
}

// Those that differ do not share one: an id of a contact among accounts is parked by
// itself, and the others are applied.
func TestRecordsRefusedAloneStandAlone(t *testing.T) {
	contact, err := salesforce.ID18("0035f0000000001")
	if err != nil {
		t.Fatal(err)
	}
	k := consumertest.New(t, accounts(fenced()))
	k.SendBatch(change("CREATE", 1, id(account, contact, other), "[]", `"Phone":"1"`))
	if p := k.Parked(); len(p) != 1 || p[0].Class != "permanent/invalid-record-id" || !slices.Equal(p[0].Records, []string{contact}) {
		t.Fatalf("%+v", p)
	}
	if n := len(k.Took()); n != 2 {
		t.Errorf("%d applied", n)
	}
}

// An event of many records becomes eight portions at most, of which each holds it whole.
func TestPortionsAreBounded(t *testing.T) {
	for _, tc := range []struct{ records, text, portions int }{
		{51, 0, 3}, {200, 0, 8}, {201, 0, 8}, {10_000, 0, 8}, {2_000, 900_000, 8},
	} {
		event := change("CREATE", 1, id(accountIDs(tc.records)...), "[]", `"Name":"`+strings.Repeat("x", tc.text)+`"`)
		l := newLane(t, silent())
		l.now = l.now.Add(40 * time.Minute) // late: it is put untried
		l.send(false, event)
		if l.puts != tc.portions {
			t.Errorf("%d records and a text of %d: %d portions of an event of %d bytes, want %d", tc.records, tc.text, l.puts, len(event), tc.portions)
		}
	}
}

// A message of a batch costs its neighbours nothing: whatever it holds, they are applied
// before it is.
func TestOneMessageCostsItsNeighboursNothing(t *testing.T) {
	var neighbours [][]byte
	for i := range 9 {
		neighbours = append(neighbours, change("CREATE", 1, id(accountIDs(20_000)[19_990+i]), "[]", `"Name":"x"`))
	}
	ill := hostile(t)
	ill["many records that are applied"] = change("CREATE", 1, id(accountIDs(300)...), "[]", `"Name":"y"`)
	for what, body := range ill {
		if !json.Valid(body) {
			continue // batchOf quotes as Go does
		}
		opened, _ := transport.Open(body)
		big := len(opened.Messages) > 0 && len(opened.Messages[0].Event) > 64<<10
		var mu sync.Mutex
		var healthy, before int
		def := silent()
		def.Put = func(_ context.Context, _ sink.Ref, _ string, all Account) (sink.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			if all.Name == sink.Set("x") {
				healthy++
			} else if healthy < 9 {
				before++
			}
			return sink.Receipt{}, nil
		}
		h, err := consumer.New(def, consumer.Env{
			Store: &memory.Store{}, Log: telemetry.New(io.Discard, "test", 0), Now: func() time.Time { return consumertest.Now },
			Park: func(context.Context, []byte) error {
				mu.Lock()
				defer mu.Unlock()
				if big && healthy < 9 {
					before++
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.Handle(t.Context(), asBatch(t, append([][]byte{body}, neighbours...)))
		if err != nil || healthy != 9 {
			t.Errorf("%s: %d of 9 neighbours applied, %v, %v", what, healthy, r, err)
		}
		if before > 0 {
			t.Errorf("%s came before its neighbours", what)
		}
	}
}

// asBatch is an SQS batch of bodies that need not be UTF-8.
func asBatch(t *testing.T, bodies [][]byte) []byte {
	t.Helper()
	type record struct {
		ID   string `json:"messageId"`
		Body string `json:"body"`
	}
	var b struct{ Records []record }
	for i, body := range bodies {
		b.Records = append(b.Records, record{fmt.Sprintf("m%d", i), string(body)})
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A big message that no time is left for comes again; its neighbours are done.
func TestABigMessageIsNotOpenedTooLate(t *testing.T) {
	big := change("CREATE", 1, id(other), "[]", `"Name":"`+strings.Repeat("x", 65<<10)+`"`)
	s := consumertest.NewSink(sink.Contract{Fenced: true, Effect: time.Second})
	def := accounts(s)
	now := consumertest.Now
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
		now = now.Add(8 * time.Second)
		return sink.Receipt{}, nil
	}
	var log bytes.Buffer
	h, err := consumer.New(def, consumer.Env{
		Store: &memory.Store{}, Log: telemetry.New(&log, "test", 0), Now: func() time.Time { return now },
		Park: func(context.Context, []byte) error { return errors.New("nothing is to be parked") },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := till{t.Context(), now.Add(10 * time.Second)}
	r, err := h.Handle(ctx, asBatch(t, [][]byte{big, change("CREATE", 1, id(account), "[]", `"Name":"y"`)}))
	if err != nil || len(r.BatchItemFailures) != 1 || r.BatchItemFailures[0].ItemIdentifier != "m0" {
		t.Fatalf("%+v, %v\n%s", r, err, log.Bytes())
	}
	if !strings.Contains(log.String(), "no time was left to open the message") {
		t.Errorf("log:\n%s", log.Bytes())
	}
}

type till struct {
	context.Context
	end time.Time
}

func (c till) Deadline() (time.Time, bool) { return c.end, true }

// No time of the future wins, whoever says it: it is held against the event's own time
// and against our clock.
func TestTheFutureIsHeldAgainstOurClock(t *testing.T) {
	at := func(event []byte, taken time.Time) []byte {
		return timeOf.ReplaceAll(event, []byte(`,"time":"`+taken.UTC().Format(time.RFC3339)+`"`))
	}
	// Second n of the test's events is n seconds after Start, which is a minute before Now.
	second := func(after time.Duration) int { return int((time.Minute + after) / time.Second) }
	changed := func(after time.Duration) []byte {
		return change("UPDATE", second(after), id(account), `["Phone"]`, `"Phone":"hostile"`)
	}
	synced := func(after time.Duration) []byte {
		return consumertest.PlatformEvent("Account_Sync__e", second(after), map[string]any{
			"Record_Id__c": account, "Phone__c": "hostile", "Modified__c": consumertest.Now.Add(after).Format(time.RFC3339),
		})
	}
	const year2199 = 173 * 365 * 24 * time.Hour
	now := consumertest.Now
	for _, tc := range []struct {
		what   string
		event  []byte
		future bool
	}{
		{"in four minutes", at(changed(4*time.Minute), now.Add(4*time.Minute)), false},
		{"in six minutes", at(changed(6*time.Minute), now.Add(6*time.Minute)), true},
		{"in six minutes, taken in four", at(changed(6*time.Minute), now.Add(4*time.Minute)), true},
		{"taken in six minutes", at(changed(0), now.Add(6*time.Minute)), true},
		{"in 2199", at(changed(year2199), now.Add(year2199)), true},
		{"in 2199, without a time", timeOf.ReplaceAll(changed(year2199), nil), true},
		{"in four minutes, without a time", timeOf.ReplaceAll(changed(4*time.Minute), nil), false},
		{"in four minutes, taken an hour ago", at(changed(4*time.Minute), now.Add(-time.Hour)), true},
		{"platform event in four minutes", at(synced(4*time.Minute), now.Add(4*time.Minute)), false},
		{"platform event in six minutes", at(synced(6*time.Minute), now.Add(6*time.Minute)), true},
		{"platform event of 2199", at(synced(year2199), now.Add(year2199)), true},
	} {
		k := consumertest.New(t, accounts(fenced()))
		k.Send(tc.event)
		if !tc.future {
			k.Want(verdict.Applied)
			continue
		}
		k.Want(verdict.Parked)
		if p := k.Parked()[0]; p.Class != "permanent/version-in-future" {
			t.Errorf("%s: class %s", tc.what, p.Class)
		}
		k.Send(change("UPDATE", 1, id(account), `["Phone"]`, `"Phone":"true"`))
		if got := k.Took(); len(got) != 1 || (got[0].Body != Account{Phone: sink.Set("true")}) {
			t.Errorf("%s: the true change after it: %+v", tc.what, got)
		}
	}
}

// A consumer whose own code panics while an event is read refuses that event's records, in
// one message.
func TestAPanicWhileReadingIsOneMessage(t *testing.T) {
	type broken struct {
		Phone panics `cdc:"Phone"`
	}
	s := fenced()
	k := consumertest.New(t, consumer.Action[broken]{
		Name: "broken", Object: "Account", Changes: true, Once: consumer.PerRecord("x"), To: s,
		When: func(consumer.Change[broken]) consumer.Decision { return consumer.Act },
		Do: func(context.Context, sink.Ref, consumer.Change[broken]) (sink.Receipt, error) {
			return sink.Receipt{}, nil
		},
	})
	k.SendBatch(change("CREATE", 1, id(account, other), "[]", `"Phone":"secret"`))
	p := k.Parked()
	if len(p) != 1 || p[0].Class != "permanent/consumer-panicked" || len(p[0].Records) != 2 || strings.Contains(p[0].Error, "secret") {
		t.Fatalf("%+v", p)
	}
	if want := []transport.Parked{p[0]}; want[0].Consumer != "broken" {
		t.Errorf("parked by %q", want[0].Consumer)
	}
}

type panics string

func (*panics) UnmarshalText(b []byte) error { panic(string(b)) }

// A probe finds out whether events arrive. It asks neither guard nor sink; an event with
// content that calls itself a probe is parked, and not lost.
func TestAProbeTouchesNothing(t *testing.T) {
	probe := func(detailType, payload string) []byte {
		return []byte(`{"version":"0","id":"p1","detail-type":"` + detailType + `","source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS",` +
			`"time":"2026-11-22T12:00:00Z","detail":{"probe":true,"payload":` + payload + `}}`)
	}
	published := func(payload string) []byte { // by the org
		return []byte(`{"version":"0","id":"p1","detail-type":"Account_Sync__e","source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","time":"2026-11-22T12:00:00Z",` +
			`"detail":{"id":"d0000000-0000-4000-8000-000000000007","payload":{"CreatedDate":"2026-11-22T11:59:59.000Z","Event_Id__c":"sfrelay-probe-0123456789abcdef0123",` + payload + `}}}`)
	}
	for _, tc := range []struct {
		event          []byte
		verdict, class string
	}{
		{published(`"Record_Id__c":"-","Record_Modified_At__c":"1970-01-01T00:00:00.000Z","Name__c":null`), "probe", ""},
		{published(`"Record_Id__c":"` + account + `","Name__c":"x"`), "parked", "permanent/full-probe"},
		{probe("AccountChangeEvent", `{}`), "probe", ""},
		{probe("Account_Sync__e", `{}`), "probe", ""},
		{probe("Contact_Sync__e", `{}`), "parked", "permanent/unknown-event"},
		{probe("Account_Sync__e", `{"Record_Id__c":"`+account+`","Name__c":"x"}`), "parked", "permanent/full-probe"},
	} {
		for way, payload := range map[string][]byte{"direct": tc.event, "queue": asBatch(t, [][]byte{tc.event})} {
			var log bytes.Buffer
			var asked, parked atomic.Int64
			def := accounts(fenced())
			h, err := consumer.New(def, consumer.Env{
				Store: counted{&memory.Store{}, &asked}, Log: telemetry.New(&log, "test", 0), Now: func() time.Time { return consumertest.Now },
				Park: func(context.Context, []byte) error { parked.Add(1); return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			r, err := h.Handle(t.Context(), payload)
			if err != nil || r != nil && len(r.BatchItemFailures) > 0 || asked.Load() != 0 {
				t.Errorf("%s %s: %+v, %v, %d requests", way, tc.event, r, err, asked.Load())
			}
			if line := log.String(); !strings.Contains(line, `"verdict":"`+tc.verdict+`"`) || !strings.Contains(line, `"class":"`+tc.class+`"`) || strings.Count(line, "\n") != 1 {
				t.Errorf("%s %s: %s", way, tc.event, line)
			}
			if strings.Contains(string(tc.event), "sfrelay-probe-") && tc.class == "" &&
				(!strings.Contains(log.String(), `"eventKey":"d0000000-0000-4000-8000-000000000007"`) || !strings.Contains(log.String(), `"subject":"sfrelay-probe-0123456789abcdef0123"`)) {
				t.Errorf("nobody finds the probe: %s", log.String())
			}
			if (tc.verdict == "parked") != (parked.Load() == 1) {
				t.Errorf("%s %s: %d parked", way, tc.event, parked.Load())
			}
		}
	}
}
