package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

const (
	account = "0015f00002J9YYEAA3"
	other   = "0015f00002J9YYFAA3"
)

// Account is read from change events and from a platform event.
type Account struct {
	Name  sink.Field[string] `guard:"n" cdc:"Name" event:"Name__c"`
	Phone sink.Field[string] `guard:"p" cdc:"Phone" event:"Phone__c"`
	City  sink.Field[string] `guard:"c" cdc:"BillingAddress.City" event:"City__c"`
}

// accounts keeps accounts at the sink.
func accounts(s *consumertest.Sink) consumer.Record[Account] {
	return consumer.Record[Account]{
		Name: "accounts", Object: "Account", Changes: true,
		Events: []consumer.PlatformEvent{{
			Name: "Account_Sync__e", Record: "Record_Id__c", Operation: "Operation__c", ModifiedAt: "Modified__c", Style: "Style__c",
		}},
		To: s,
		Put: func(_ context.Context, ref sink.Ref, id string, all Account) (sink.Receipt, error) {
			return s.Put(ref, id, all)
		},
		Patch: func(_ context.Context, ref sink.Ref, id string, some Account) (sink.Receipt, error) {
			return s.Patch(ref, id, some)
		},
		Delete: func(_ context.Context, ref sink.Ref, id string) (sink.Receipt, error) { return s.Delete(ref, id) },
	}
}

func fenced() *consumertest.Sink { return consumertest.NewSink(sink.Contract{Fenced: true}) }

// answering is accounts at a sink that answers everything with err.
func answering(c sink.Contract, err error) consumer.Record[Account] {
	def := accounts(consumertest.NewSink(c))
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) { return sink.Receipt{}, err }
	def.Patch = def.Put
	return def
}

// change is a change event of accounts: ids, changedFields and body are written as JSON.
func change(kind string, second int, ids, changed, body string) []byte {
	c := consumertest.Change{Object: "Account", Kind: kind, Second: second}
	if err := errors.Join(json.Unmarshal([]byte(ids), &c.IDs), json.Unmarshal([]byte(changed), &c.Changed),
		json.Unmarshal([]byte("{"+body+"}"), &c.Fields)); err != nil {
		panic(err)
	}
	return c.Event()
}

var timeOf = regexp.MustCompile(`,"time":"[^"]*"`)

// takenAt12 is the event as EventBridge took it at 12:00, whenever it says it happened.
func takenAt12(event []byte) []byte {
	return timeOf.ReplaceAll(event, []byte(`,"time":"2026-11-22T12:00:00Z"`))
}

func id(ids ...string) string {
	b, _ := json.Marshal(ids)
	return string(b)
}

func TestChangeEvents(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.Send(
		change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd","Phone":"1"`),
		change("UPDATE", 3, id(account), `["Phone","LastModifiedDate"]`, `"Phone":null`),
		change("UPDATE", 2, id(account), `["Phone","BillingAddress.City"]`, `"Phone":"2","BillingAddress":{"City":"Bern"}`),
		change("UPDATE", 2, id(account), `["Phone","BillingAddress.City"]`, `"Phone":"2","BillingAddress":{"City":"Bern"}`),
		change("UPDATE", 4, id(account), `["Industry"]`, `"Industry":"Energy"`),
		change("DELETE", 5, id(account), "[]", ""),
	)
	k.Want(verdict.Applied, verdict.Applied, verdict.PartlyStale, verdict.Stale, verdict.Ignored, verdict.Applied)
	got := k.Took()
	if len(got) != 4 {
		t.Fatalf("the sink took %d requests", len(got))
	}
	first := Account{Name: sink.Set("Example Ltd"), Phone: sink.Set("1"), City: sink.Clear[string]()}
	if got[0].Body != first || got[0].Method != "PUT" || got[0].Key != account || got[0].Ref.Subject != "Account/"+account {
		t.Errorf("create: %+v", got[0])
	}
	if (got[1].Body != Account{Phone: sink.Clear[string]()}) || got[1].Method != "PATCH" || got[1].Ref.Link != "link-"+account {
		t.Errorf("update: %+v", got[1])
	}
	if (got[2].Body != Account{City: sink.Set("Bern")}) {
		t.Errorf("late update: %+v", got[2])
	}
	if got[3].Method != "DELETE" {
		t.Errorf("delete: %+v", got[3])
	}
	if l := k.Lines()[4]; l.GuardRequests != 0 || l.Subject != "Account/"+account {
		t.Errorf("an ignored change: %+v", l)
	}
	// 40 hex digits: commit time, commit number, sequence, tie
	if l := k.Lines()[0]; len(l.RecordVersion) != 40 || !strings.HasPrefix(l.RecordVersion, fmt.Sprintf("%012x%016x0001", 1_795_348_741_000, int64(1745500706683600001))) {
		t.Errorf("version %s", l.RecordVersion)
	}
}

func TestOneRecordOfManyFailsByItself(t *testing.T) {
	def := accounts(fenced())
	put := def.Put
	def.Put = func(ctx context.Context, ref sink.Ref, id string, all Account) (sink.Receipt, error) {
		if id == other {
			return sink.Receipt{}, sink.Refuse("test", "not this one")
		}
		return put(ctx, ref, id, all)
	}
	k := consumertest.New(t, def)
	k.Send(change("CREATE", 1, id(account, other), "[]", `"Name":"Example Ltd"`))
	verdicts := map[string]string{} // side by side: in no order
	for _, l := range k.Lines() {
		verdicts[l.Subject] = l.Verdict
	}
	if len(verdicts) != 2 || verdicts["Account/"+account] != "applied" || verdicts["Account/"+other] != "parked" {
		t.Fatalf("verdicts %v", verdicts)
	}
	if p := k.Parked(); len(p) != 1 || len(p[0].Records) != 1 || p[0].Records[0] != other || p[0].Class != "permanent/test" || p[0].Consumer != "accounts" {
		t.Fatalf("parked %+v", p)
	}
}

func TestPlatformEvents(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	event := sync1
	k.Send(
		event(1, `,"Name__c":"Example Ltd","Phone__c":"1"`), // part of the fields: a partial state
		event(2, `,"Name__c":"Example Ltd","Phone__c":"1","City__c":null`),
		event(3, `,"Operation__c":"DELETE"`),
		event(4, `,"Operation__c":"MERGE"`),
		event(5, `,"Style__c":"THIN"`),
		consumertest.PlatformEvent("Account_Sync__e", 59, map[string]any{"Name__c": "x"}),
	)
	k.Want(verdict.Applied, verdict.Applied, verdict.Applied, verdict.Parked, verdict.Parked, verdict.Parked)
	got := k.Took()
	if got[0].Method != "PATCH" || got[1].Method != "PUT" || got[2].Method != "DELETE" || got[0].Key != account {
		t.Fatalf("%+v", got)
	}
	for i, want := range []string{"permanent/unknown-operation", "needs-fetch", "permanent/missing-field"} {
		if p := k.Parked()[i]; string(p.Class) != want {
			t.Errorf("parked %+v, want %s", p, want)
		}
	}
}

func TestWhatTheBodyCannotTellIsParkedForAFetch(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.Send(
		change("GAP_UPDATE", 1, id(account), "[]", ""),
		change("UPDATE", 2, id(account), `["Phone"]`, ""),                                          // named, absent
		change("UPDATE", 3, id(account), `["Industry","Phone"]`, `"Phone":{"diff":"--- \n+++ x"}`), // a diff
		change("UPDATE", 4, id(account), `["Description__c","Phone"]`, `"Phone":"4"`),              // what is absent is not read here
		change("GAP_OVERFLOW", 5, id("000000000000000AAA"), "[]", ""),
		change("UPDATE", 6, `["001*"]`, `["Old__c"]`, ""),
	)
	k.Want(verdict.Parked, verdict.Parked, verdict.Parked, verdict.Applied, verdict.Parked, verdict.Parked)
	for _, p := range k.Parked() {
		if p.Class != "needs-fetch" {
			t.Errorf("parked %+v", p)
		}
	}
	// The reason names the field.
	for i, want := range map[int]string{1: "named-field-absent (Phone)", 2: "text-diff (Phone)"} {
		if p := k.Parked()[i]; !strings.Contains(p.Error, want) {
			t.Errorf("parked because %q, want %q", p.Error, want)
		}
	}
}

func TestBadInputIsParkedWholeAndStopsNothing(t *testing.T) {
	huge := bytes.Replace(consumertest.PlatformEvent("Account_Sync__e", 1, map[string]any{"x": strings.Repeat("y", 1<<20)}), []byte("Account_Sync__e"), []byte("AccountChangeEvent"), 1)
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for _, tc := range []struct {
		name, class string
		event       []byte
	}{
		{"truncated", "permanent/invalid-json", []byte(`{"version":"0","id":`)},
		{"not JSON", "permanent/invalid-json", []byte("hello")},
		{"empty", "permanent/invalid-json", nil},
		{"deep", "", bytes.Repeat([]byte("["), 10_000)},
		{"deep payload", "", bytes.Replace(change("CREATE", 1, id(account), "[]", `"Name":"x"`), []byte(`"Name":"x"`), []byte(`"Name":`+deep), 1)},
		{"1 MB without a header", "", huge},
		{"unknown event", "permanent/unknown-event", consumertest.PlatformEvent("Nobody__e", 1, nil)},
		{"far future", "permanent/version-in-future", takenAt12(change("CREATE", 86_400, id(account), "[]", `"Name":"x"`))},
		{"far future, no time", "permanent/version-in-future",
			timeOf.ReplaceAll(change("CREATE", 86_400, id(account), "[]", `"Name":"x"`), nil)},
		{"wrong type", "permanent/invalid-field", change("CREATE", 1, id(account), "[]", `"Phone":["1"]`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := consumertest.New(t, accounts(fenced()))
			k.Send(tc.event, change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
			k.Want(verdict.Parked, verdict.Applied)
			p := k.Parked()[0]
			if !bytes.Equal(p.Event, tc.event) {
				t.Errorf("the parked event has %d bytes, want the %d that came", len(p.Event), len(tc.event))
			}
			if tc.class != "" && string(p.Class) != tc.class || !p.Class.IsPermanent() || p.Error == "" {
				t.Errorf("class %q, error %q", p.Class, p.Error)
			}
		})
	}
	t.Run("in a batch", func(t *testing.T) {
		k := consumertest.New(t, accounts(fenced()))
		k.SendBatch([]byte("{"), change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
		k.Want(verdict.Parked, verdict.Applied)
	})
	t.Run("a foreign org", func(t *testing.T) {
		k := consumertest.New(t, accounts(fenced()), consumertest.In(func(s *consumer.Env) { s.Orgs = salesforce.OrgList{"00D000000000001EAA"} }))
		k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
		k.Want(verdict.Parked)
		if p := k.Parked()[0]; p.Class != "permanent/foreign-org" {
			t.Errorf("parked %+v", p)
		}
	})
}

func TestRetriesAndRedrive(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.LoseRequest().LoseAnswer().Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Failed, verdict.Failed, verdict.Applied)
	if got := k.Took(); len(got) != 2 || !got[1].Ref.InDoubt || got[0].Ref.StateKey("PUT", nil) != got[1].Ref.StateKey("PUT", nil) {
		t.Fatalf("got %+v", got)
	}

	k = consumertest.New(t, accounts(fenced()))
	for range 100 {
		k.Refuse(verdict.Throttled)
	}
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	tried := len(k.Lines())
	if len(k.Parked()) != 1 || tried < 20 || tried > 100 { // six hours of pauses up to 15 minutes
		t.Fatalf("%d parked after %d tries", len(k.Parked()), tried)
	}
	for range 100 - tried {
		k.Redrive()
	}
	if len(k.Parked()) != 1 {
		t.Fatal("what answers an error stays in its queue")
	}
	k.Redrive()
	if l := k.Lines()[100]; l.Verdict != "applied" || l.Attempt != 1 || len(k.Parked()) != 0 {
		t.Fatalf("line %+v", l)
	}
}

func TestBatch(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.SendBatch(
		change("UPDATE", 4, id(account), `["Phone"]`, `"Phone":"4"`),
		change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`),
		change("UPDATE", 3, id(account), `["Name"]`, `"Name":"Example AG"`),
		change("UPDATE", 3, id(account), `["Name"]`, `"Name":"Example AG"`),
	)
	k.Want(verdict.Applied, verdict.PartlyStale, verdict.Applied, verdict.Duplicate)
	want := Account{Name: sink.Set("Example AG"), Phone: sink.Set("4"), City: sink.Clear[string]()}
	if got := k.Took(); len(got) != 1 || got[0].Body != want || got[0].Method != "PATCH" {
		t.Fatalf("one request of everything: %+v", got)
	}
	requests := int64(0)
	for _, l := range k.Lines() {
		requests += l.GuardRequests
	}
	if requests != 2 {
		t.Fatalf("%d requests to the guard, want 2 for the whole batch", requests)
	}
	k.Refuse(verdict.Conflict)
	k.SendBatch(change("UPDATE", 5, id(account), `["Name"]`, `"Name":"x"`), change("UPDATE", 5, id(other), `["Name"]`, `"Name":"y"`))
	failed := 0
	for _, l := range k.Lines()[4:] {
		if l.Verdict == "failed" {
			failed++
		}
	}
	if failed != 1 || len(k.Lines()) != 7 {
		t.Fatalf("one message comes again: %+v", k.Lines()[4:])
	}
}

// Versions without a lane parked the portions of an event of many records.
func TestAFanOutOfAnEarlierVersionIsRead(t *testing.T) {
	ids := accountIDs(60)
	k := consumertest.New(t, accounts(fenced()))
	k.Send(parkedAs("fan-out", change("CREATE", 1, id(ids...), "[]", `"Name":"Example Ltd"`), id(ids[25:50]...)))
	if took := k.Took(); len(took) != 25 || len(k.Parked()) != 0 {
		t.Fatalf("the sink got %d records, %d parked", len(took), len(k.Parked()))
	}
}

func TestMessageOfAnotherConsumerStaysWhereItIs(t *testing.T) {
	a := build(t, accounts(fenced()), &bytes.Buffer{})
	_, err := a.Handle(t.Context(), []byte(`{"event":{},"consumer":"orders","class":"unknown","error":"","attempts":1,"firstAt":"2026-11-22T12:00:00Z","lastAt":"2026-11-22T12:00:00Z","records":null}`))
	if e, ok := errors.AsType[*consumer.RetryError](err); !ok || e.Class != "permanent/foreign-consumer" {
		t.Fatalf("err = %v", err)
	}
}

func TestAnActionPerEvent(t *testing.T) {
	type notice struct {
		Text string `event:"Text__c"`
	}
	s := consumertest.NewSink(sink.Contract{UniqueKey: true})
	k := consumertest.New(t, consumer.Action[notice]{
		Name: "notices", Events: []consumer.PlatformEvent{{Name: "Notice__e"}}, Once: consumer.PerEvent(), To: s,
		Do: func(_ context.Context, ref sink.Ref, c consumer.Change[notice]) (sink.Receipt, error) {
			return s.Do(ref, ref.Subject, c.Content)
		},
	})
	event := func(published, eventID string) []byte {
		return consumertest.PlatformEvent("Notice__e", 0, map[string]any{"CreatedDate": published, "Event_Id__c": eventID, "Text__c": "x"})
	}
	const a, b, c = "f0000000-0000-4000-8000-00000000000a", "f0000000-0000-4000-8000-00000000000b", "f0000000-0000-4000-8000-00000000000c"
	k.Send(event("2026-11-22T11:00:00.000Z", a), event("2026-11-22T11:00:00.000Z", b), event("2026-11-22T11:00:00.000Z", a), event("2026-10-01T11:00:00.000Z", c))
	k.Want(verdict.Applied, verdict.Applied, verdict.Duplicate, verdict.Parked)
	if l := k.Lines(); l[0].Subject != "event/"+a || l[3].Class != "too-old" {
		t.Fatalf("lines %+v", l)
	}
}

func TestEchoes(t *testing.T) {
	def := accounts(fenced())
	def.WriteBack = []string{"Billing_Customer__c"}
	k := consumertest.New(t, def, consumertest.In(func(s *consumer.Env) { s.ClientName = "sfrelay" }))
	own := func(changed, body string) []byte {
		return bytes.Replace(change("UPDATE", 2, id(account), changed, body), []byte(`"changeOrigin":""`), []byte(`"changeOrigin":"com/salesforce/api/rest/66.0;client=sfrelay"`), 1)
	}
	k.Send(own(`["Billing_Customer__c","LastModifiedDate"]`, `"Billing_Customer__c":"c"`), own(`["Billing_Customer__c","Phone"]`, `"Billing_Customer__c":"c","Phone":"2"`))
	if v := k.Lines()[0].Verdict; v != "echo" {
		t.Errorf("verdict %q of our own write", v)
	}
	if v := k.Lines()[1].Verdict; v != "applied" {
		t.Errorf("verdict %q of a change that a flow hid in our own write", v)
	}
}

func TestConcurrentInvocations(t *testing.T) {
	sink := fenced()
	a := build(t, accounts(sink), &bytes.Buffer{})
	var wg sync.WaitGroup
	for _, rec := range []string{account, other} {
		for s := range 8 {
			wg.Go(func() {
				for range 20 { // busy ones come again
					if _, err := a.Handle(t.Context(), change("UPDATE", s, id(rec), `["Phone"]`, fmt.Sprintf(`"Phone":"%d"`, s))); err == nil {
						return
					}
				}
				t.Errorf("change %d of %s never got through", s, rec)
			})
		}
	}
	wg.Wait()
	if want := account + `: Phone="7"` + "\n" + other + `: Phone="7"` + "\n"; sink.State() != want {
		t.Fatalf("the sink ends with\n%s", sink.State())
	}
}

func TestLineHasNoFieldValues(t *testing.T) {
	var log bytes.Buffer
	a := build(t, accounts(fenced()), &log)
	secret := "Confidential Name"
	_, _ = a.Handle(t.Context(), change("CREATE", 1, id(account), "[]", `"Name":"`+secret+`","Phone":["`+secret+`"]`))
	_, _ = a.Handle(t.Context(), change("CREATE", 2, id(account), "[]", `"Name":"`+secret+`"`))
	if strings.Contains(log.String(), secret) {
		t.Fatalf("a field value is in the log:\n%s", log.String())
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Fatalf("%d lines for two changes", n)
	}
	var line struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	last := log.String()[strings.Index(log.String(), "\n")+1:]
	var root map[string]any
	if err := errors.Join(json.Unmarshal([]byte(last), &line), json.Unmarshal([]byte(last), &root)); err != nil {
		t.Fatal(err)
	}
	// CloudWatch User Guide, embedded metric format: dimensions and metrics are members of the root.
	if line.AWS.Timestamp == 0 || len(line.AWS.CloudWatchMetrics) == 0 {
		t.Fatalf("no metrics in %s", last)
	}
	for _, d := range line.AWS.CloudWatchMetrics {
		for _, set := range d.Dimensions {
			for _, name := range set {
				if _, ok := root[name].(string); !ok {
					t.Errorf("dimension %q is not a text of the line", name)
				}
			}
		}
		for _, m := range d.Metrics {
			if _, ok := root[m.Name].(float64); !ok {
				t.Errorf("metric %q is not a number of the line", m.Name)
			}
		}
	}
}

// sync1 is a platform event of the account, with more fields written as JSON.
func sync1(second int, rest string) []byte {
	fields := map[string]any{"Record_Id__c": "0015f00002J9YYE", "Modified__c": consumertest.At(second)}
	if err := json.Unmarshal([]byte("{"+strings.TrimPrefix(rest, ",")+"}"), &fields); err != nil {
		panic(err)
	}
	return consumertest.PlatformEvent("Account_Sync__e", second, fields)
}

// parkedAs is the message by which a change event was parked.
func parkedAs(class string, event []byte, records string) []byte {
	return fmt.Appendf(nil, `{"event":%s,"records":%s,"consumer":"accounts","class":%q,"error":"","attempts":1,"firstAt":"2026-11-22T12:00:00Z","lastAt":"2026-11-22T12:00:00Z"}`, event, records, class)
}

func TestAnEventWithoutAnyFieldStopsNoOther(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.SendBatch(sync1(1, ""), sync1(2, `,"Name__c":"Example Ltd"`)) // one subject: one group
	k.Want(verdict.Parked, verdict.Applied)
	if p := k.Parked(); p[0].Class != "needs-fetch" {
		t.Fatalf("parked %+v", p)
	}
}

func TestAPanicBeforeTheGuardStopsNoOther(t *testing.T) {
	s := consumertest.NewSink(sink.Contract{UniqueKey: true})
	type greeted struct {
		Name sink.Field[string] `cdc:"Name"`
	}
	k := consumertest.New(t, consumer.Action[greeted]{
		Name: "greetings", Object: "Account", Changes: true, Once: consumer.PerRecord("greeting"), To: s,
		When: func(c consumer.Change[greeted]) consumer.Decision {
			if c.RecordID == other {
				panic(c.Content.Name.Value)
			}
			return consumer.Act
		},
		Do: func(_ context.Context, ref sink.Ref, c consumer.Change[greeted]) (sink.Receipt, error) {
			return s.Do(ref, c.RecordID, c.Content)
		},
	})
	k.SendBatch(change("CREATE", 1, id(other), "[]", `"Name":"Confidential"`), change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Parked, verdict.Applied)
	p := k.Parked()[0]
	if p.Class != "permanent/consumer-panicked" || len(p.Records) != 1 || p.Records[0] != other || strings.Contains(p.Error, "Confidential") {
		t.Fatalf("parked %+v", p)
	}
}

func TestAMessageAboutRecordsThatItsEventLacksIsNotDropped(t *testing.T) {
	create := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	for records, want := range map[string][]verdict.Verdict{
		id(other):          {verdict.Parked},
		id(account, other): {verdict.Parked, verdict.Applied},
		"[]":               {verdict.Parked},
	} {
		k := consumertest.New(t, accounts(fenced()))
		k.Send(parkedAs("unknown", create, records))
		k.Want(want...)
		if p := k.Parked()[0]; p.Class != "permanent/unknown-record" || records != "[]" && (len(p.Records) != 1 || p.Records[0] != other) {
			t.Errorf("records %s: parked %+v", records, p)
		}
	}
}

// What a zombie may have overwritten is only mended by reading the record: until
// somebody can, the message must outlive every redrive.
func TestWhatMayBeOverwrittenStaysParked(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	create := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	k.Send(create, parkedAs("overwrote-newer", create, id(account)))
	k.Want(verdict.Applied, verdict.Parked)
	if p := k.Parked()[0]; p.Class != "overwrote-newer" || len(p.Records) != 1 {
		t.Fatalf("parked %+v", p)
	}
}

// mail is a batch of one message, delivered for the n-th time.
func mail(event []byte, n int) []byte {
	b, _ := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"messageId": "m1", "receiptHandle": "r1", "body": string(event), "eventSource": "aws:sqs",
		"eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:buffer",
		"attributes":     map[string]string{"ApproximateReceiveCount": fmt.Sprint(n)},
	}}})
	return b
}

// FollowLocal in cmd/sfrelay relies on it.
func TestAnEmptyBatchIsNoWork(t *testing.T) {
	var log bytes.Buffer
	a, err := consumer.New(accounts(fenced()), consumer.Env{
		Store: &memory.Store{}, Log: telemetry.New(&log, "test", 0),
		Park: func(context.Context, []byte) error { return errors.New("nothing is to be parked") },
	})
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.Handle(t.Context(), []byte(`{"Records":[]}`))
	if err != nil || response == nil || len(response.BatchItemFailures) != 0 || log.Len() != 0 {
		t.Errorf("response %v, error %v, log %q", response, err, log.String())
	}
}

func TestABufferWaitsLongerWithEveryFailure(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		tries  int
		scale  float64
		random byte
		want   time.Duration
	}{
		// A second for the clocks, the wait that the item holds, and half of 2, 4, 8… s with a random part.
		{"refused", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 1, 1, 0, 2 * time.Second},
		{"refused, the longest", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 1, 1, 255, 3 * time.Second},
		{"refused, fourth try", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 4, 1, 0, 9 * time.Second},
		{"refused, hundredth try", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 100, 1, 255, 15*time.Minute + time.Second},
		{"refused, with a time", &sink.Error{Class: verdict.Throttled, Applied: sink.No, RetryAfter: time.Minute}, 1, 1, 0, 62 * time.Second},
		{"in doubt: settle 20 s, margin 2 s", &sink.Error{Class: verdict.Unknown}, 1, 1, 0, 24 * time.Second},
		{"scaled", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 100, 0.1, 255, 91 * time.Second},
	} {
		var deferred []time.Duration
		down := answering(sink.Contract{Lookup: true, Settle: 20 * time.Second}, tc.err)
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		a, err := consumer.New(down, consumer.Env{
			Store: &memory.Store{}, Log: telemetry.New(&bytes.Buffer{}, "test", 0), Scale: tc.scale,
			Park:   func(context.Context, []byte) error { return nil },
			Now:    func() time.Time { return now },
			Random: func() (r [10]byte) { r[9] = tc.random; return r },
			Defer: func(_ context.Context, messages []consumer.Deferral) error {
				for _, m := range messages {
					if m.ReceiptHandle != "r1" {
						t.Errorf("deferred %s", m.ReceiptHandle)
					}
					deferred = append(deferred, m.For)
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := a.Handle(t.Context(), mail(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`), tc.tries))
		if err != nil || len(resp.BatchItemFailures) != 1 {
			t.Fatalf("%s: %+v, %v", tc.name, resp, err)
		}
		if len(deferred) != 1 || deferred[0] != tc.want {
			t.Errorf("%s: deferred by %v, want %v", tc.name, deferred, tc.want)
		}
	}
}

// At its limit of 1000 the queue itself would move the bare event away, without the
// consumer and the reason.
func TestABufferGivesUpBeforeItsQueueDoes(t *testing.T) {
	def := answering(sink.Contract{Fenced: true}, sink.NotYet(verdict.DependencyMissing, "made up by the test")) // never counts as an attempt
	var parked []byte
	a, err := consumer.New(def, consumer.Env{
		Store: &memory.Store{}, Log: telemetry.New(&bytes.Buffer{}, "test", 0),
		Park: func(_ context.Context, body []byte) error { parked = body; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	create := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	for _, n := range []int{989, 990} {
		resp, err := a.Handle(t.Context(), mail(create, n))
		if err != nil || len(resp.BatchItemFailures) != 990-n {
			t.Fatalf("delivery %d: %+v, %v", n, resp, err)
		}
	}
	p, err := transport.DecodeParked(parked)
	if err != nil || p.Consumer != "accounts" || p.Class != "dependency-missing" || !bytes.Equal(p.Event, create) || len(p.Records) != 1 {
		t.Fatalf("parked %s: %+v, %v", parked, p, err)
	}
}

func build(t *testing.T, def consumer.Definition, log *bytes.Buffer) consumer.Handler {
	t.Helper()
	a, err := consumer.New(def, consumer.Env{
		Store: &memory.Store{}, Log: telemetry.New(log, "test", 0), Scale: 0.05,
		Park: func(context.Context, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
