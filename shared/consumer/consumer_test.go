package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
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

const (
	orgID   = "00D5f000005KcCnEAK"
	account = "0015f00002J9YYEAA3"
	other   = "0015f00002J9YYFAA3"
)

// Account is read from change events and from a platform event.
type Account struct {
	Name  sink.Field[string] `guard:"n" cdc:"Name" event:"Name__c"`
	Phone sink.Field[string] `guard:"p" cdc:"Phone" event:"Phone__c"`
	City  sink.Field[string] `guard:"c" cdc:"BillingAddress.City" event:"City__c"`
}

func accounts() consumer.Consumer[Account] {
	return consumer.Consumer[Account]{
		Name: "accounts",
		Takes: []consumer.Source{
			consumer.ChangeEvents("Account"),
			{Event: "Account_Sync__e", Object: "Account", Record: "Record_Id__c", Operation: "Operation__c",
				ModifiedAt: "Modified__c", Style: "Style__c"},
		},
		Policy: guard.FieldMerge,
		Sink:   sink.Contract{Fenced: true},
		Apply: func(context.Context, consumer.Attempt[Account]) (sink.Receipt, error) {
			return sink.Receipt{Link: "remote-1"}, nil
		},
	}
}

func envelope(detailType, payload string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"5c42b99e-c214-4a9c-8fbd-1a41e5faa44a","detail-type":%q,`+
		`"source":"aws.partner/salesforce.com/%s/0YL5f000000CabWGAS","account":"123456789012","time":"2026-11-22T12:00:00Z",`+
		`"region":"eu-west-1","resources":[],"detail":{"payload":%s}}`, detailType, orgID, payload)
}

// change is a change event of an account, second s of the minute.
func change(kind string, s int, ids, changed, body string) []byte {
	if body != "" {
		body = "," + body
	}
	return envelope("AccountChangeEvent", fmt.Sprintf(`{"ChangeEventHeader":{"entityName":"Account","recordIds":%s,"changeType":%q,`+
		`"changedFields":%s,"changeOrigin":"","transactionKey":"0001ade9-3f74-0b99-dbc4-%012d","sequenceNumber":1,`+
		`"commitTimestamp":%d,"commitNumber":17455007066836%05d,"commitUser":"0055f000005mc66AAA"}%s}`,
		ids, kind, changed, s, 1_795_348_740_000+1000*s, s, body))
}

func id(ids ...string) string {
	b, _ := json.Marshal(ids)
	return string(b)
}

func TestChangeEvents(t *testing.T) {
	k := consumertest.New(t, accounts())
	k.Send(
		change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd","Phone":"1"`),
		change("UPDATE", 3, id(account), `["Phone","LastModifiedDate"]`, `"Phone":null`),
		change("UPDATE", 2, id(account), `["Phone","BillingAddress.City"]`, `"Phone":"2","BillingAddress":{"City":"Bern"}`),
		change("UPDATE", 2, id(account), `["Phone","BillingAddress.City"]`, `"Phone":"2","BillingAddress":{"City":"Bern"}`),
		change("UPDATE", 4, id(account), `["Industry"]`, `"Industry":"Energy"`),
		change("DELETE", 5, id(account), "[]", ""),
	)
	k.Want(verdict.Applied, verdict.Applied, verdict.PartlyStale, verdict.Stale, verdict.Ignored, verdict.Applied)
	got := k.Got()
	if len(got) != 4 {
		t.Fatalf("the sink took %d requests", len(got))
	}
	first := Account{Name: sink.Set("Example Ltd"), Phone: sink.Set("1"), City: sink.Clear[string]()}
	if got[0].Content != first || !got[0].Whole || got[0].RecordID != account || got[0].Ref.Subject != "Account/"+account {
		t.Errorf("create: %+v", got[0])
	}
	if (got[1].Content != Account{Phone: sink.Clear[string]()}) || got[1].Whole || got[1].Ref.Link != "remote-1" {
		t.Errorf("update: %+v", got[1])
	}
	if (got[2].Content != Account{City: sink.Set("Bern")}) {
		t.Errorf("late update: %+v", got[2])
	}
	if !got[3].Deleted {
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
	def := accounts()
	def.Apply = func(_ context.Context, a consumer.Attempt[Account]) (sink.Receipt, error) {
		if a.RecordID == other {
			return sink.Receipt{}, &sink.Error{Class: verdict.Permanent("test"), Applied: sink.No}
		}
		return sink.Receipt{}, nil
	}
	k := consumertest.New(t, def)
	k.Send(change("CREATE", 1, id(account, other), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Applied, verdict.Parked)
	if p := k.Parked(); len(p) != 1 || len(p[0].Records) != 1 || p[0].Records[0] != other || p[0].Class != "permanent/test" || p[0].Consumer != "accounts" {
		t.Fatalf("parked %+v", p)
	}
}

func TestPlatformEvents(t *testing.T) {
	k := consumertest.New(t, accounts())
	event := func(s int, rest string) []byte {
		return envelope("Account_Sync__e", fmt.Sprintf(`{"CreatedDate":"2026-11-22T11:59:%02d.500Z","Record_Id__c":"0015f00002J9YYE","Modified__c":"2026-11-22T11:59:%02d.000Z"%s}`, s, s, rest))
	}
	k.Send(
		event(1, `,"Name__c":"Example Ltd","Phone__c":"1"`), // part of the fields: a partial state
		event(2, `,"Name__c":"Example Ltd","Phone__c":"1","City__c":null`),
		event(3, `,"Operation__c":"DELETE"`),
		event(4, `,"Operation__c":"MERGE"`),
		event(5, `,"Style__c":"THIN"`),
		envelope("Account_Sync__e", `{"CreatedDate":"2026-11-22T11:59:59.500Z","Name__c":"x"}`),
	)
	k.Want(verdict.Applied, verdict.Applied, verdict.Applied, verdict.Parked, verdict.Parked, verdict.Parked)
	got := k.Got()
	if got[0].Whole || !got[1].Whole || !got[2].Deleted || got[0].RecordID != account {
		t.Fatalf("%+v", got)
	}
	for i, want := range []verdict.Class{"permanent/unknown-operation", "needs-fetch", "permanent/missing-field"} {
		if p := k.Parked()[i]; p.Class != want {
			t.Errorf("parked %+v, want %s", p, want)
		}
	}
}

func TestWhatTheBodyCannotTellIsParkedForAFetch(t *testing.T) {
	k := consumertest.New(t, accounts())
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
}

func TestBadInputIsParkedWholeAndStopsNothing(t *testing.T) {
	huge := envelope("AccountChangeEvent", `{"x":"`+strings.Repeat("y", 1<<20)+`"}`)
	for _, tc := range []struct {
		name  string
		class verdict.Class
		event []byte
	}{
		{"truncated", "permanent/invalid-json", []byte(`{"version":"0","id":`)},
		{"not JSON", "permanent/invalid-json", []byte("hello")},
		{"empty", "permanent/invalid-json", nil},
		{"deep", "", bytes.Repeat([]byte("["), 10_000)},
		{"deep payload", "", envelope("AccountChangeEvent", strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000))},
		{"1 MB without a header", "", huge},
		{"unknown event", "permanent/unknown-event", envelope("Nobody__e", `{"CreatedDate":"2026-11-22T11:59:00.000Z"}`)},
		{"far future", "permanent/version-in-future", change("CREATE", 86_400, id(account), "[]", `"Name":"x"`)},
		{"far future, no time", "permanent/version-in-future",
			bytes.Replace(change("CREATE", 86_400, id(account), "[]", `"Name":"x"`), []byte(`"time":"2026-11-22T12:00:00Z",`), nil, 1)},
		{"wrong type", "permanent/invalid-field", change("CREATE", 1, id(account), "[]", `"Phone":["1"]`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := consumertest.New(t, accounts())
			k.Send(tc.event, change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
			k.Want(verdict.Parked, verdict.Applied)
			p := k.Parked()[0]
			if !bytes.Equal(p.Event, tc.event) {
				t.Errorf("the parked event has %d bytes, want the %d that came", len(p.Event), len(tc.event))
			}
			if tc.class != "" && p.Class != tc.class || !p.Class.IsPermanent() || p.Error == "" {
				t.Errorf("class %q, error %q", p.Class, p.Error)
			}
		})
	}
	t.Run("in a batch", func(t *testing.T) {
		k := consumertest.New(t, accounts())
		k.SendBatch([]byte("{"), change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
		k.Want(verdict.Parked, verdict.Applied)
	})
	t.Run("a foreign org", func(t *testing.T) {
		k := consumertest.New(t, accounts(), func(s *consumer.Surroundings) { s.Orgs = salesforce.OrgList{"00D000000000001EAA"} })
		k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
		k.Want(verdict.Parked)
		if p := k.Parked()[0]; p.Class != "permanent/foreign-org" {
			t.Errorf("parked %+v", p)
		}
	})
}

func TestLambdaRetriesAndRedrive(t *testing.T) {
	k := consumertest.New(t, accounts())
	k.LoseRequest().LoseAnswer().Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Failed, verdict.Failed, verdict.Applied)
	if got := k.Got(); len(got) != 2 || !got[1].Ref.InDoubt || got[0].Ref.StateKey("PUT", nil) != got[1].Ref.StateKey("PUT", nil) {
		t.Fatalf("got %+v", got)
	}

	k = consumertest.New(t, accounts())
	k.Refuse(verdict.Throttled).Refuse(verdict.Throttled).Refuse(verdict.Throttled).Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Failed, verdict.Failed, verdict.Parked)
	k.Redrive()
	k.Want(verdict.Failed, verdict.Failed, verdict.Parked, verdict.Applied)
	if l := k.Lines()[3]; l.Attempt != 1 {
		t.Fatalf("line %+v", l)
	}
}

func TestBatch(t *testing.T) {
	k := consumertest.New(t, accounts())
	k.SendBatch(
		change("UPDATE", 4, id(account), `["Phone"]`, `"Phone":"4"`),
		change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`),
		change("UPDATE", 3, id(account), `["Name"]`, `"Name":"Example AG"`),
		change("UPDATE", 3, id(account), `["Name"]`, `"Name":"Example AG"`),
	)
	k.Want(verdict.Applied, verdict.PartlyStale, verdict.Applied, verdict.Duplicate)
	want := Account{Name: sink.Set("Example AG"), Phone: sink.Set("4"), City: sink.Clear[string]()}
	if got := k.Got(); len(got) != 1 || got[0].Content != want || got[0].Whole {
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

func TestManyRecordsAreSplit(t *testing.T) {
	var ids []string
	for i := range 60 {
		full, err := salesforce.ID18(fmt.Sprintf("0015f0000%06d", i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, full)
	}
	k := consumertest.New(t, accounts())
	k.Send(change("CREATE", 1, id(ids...), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Parked, verdict.Parked, verdict.Parked)
	for i, n := range []int{25, 25, 10} {
		if p := k.Parked()[i]; p.Class != "fan-out" || len(p.Records) != n {
			t.Errorf("portion %d: %d records, class %s", i, len(p.Records), p.Class)
		}
	}
	k.Redrive()
	if len(k.Got()) != 60 {
		t.Fatalf("the sink got %d records", len(k.Got()))
	}
}

func TestMessageOfAnotherConsumerStaysWhereItIs(t *testing.T) {
	a := build(t, accounts(), &bytes.Buffer{})
	_, err := a.Handle(t.Context(), []byte(`{"event":{},"consumer":"orders","class":"unknown","error":"","attempts":1,"firstAt":"2026-11-22T12:00:00Z","lastAt":"2026-11-22T12:00:00Z","records":null}`))
	if e, ok := errors.AsType[*consumer.RetryError](err); !ok || e.Class != "permanent/foreign-consumer" {
		t.Fatalf("err = %v", err)
	}
}

func TestAnActionPerEvent(t *testing.T) {
	type notice struct {
		Text string `event:"Text__c"`
	}
	k := consumertest.New(t, consumer.Consumer[notice]{
		Name: "notices", Takes: []consumer.Source{{Event: "Notice__e"}}, Policy: guard.EachOnce, PerEvent: true,
		Sink:  sink.Contract{UniqueKey: true},
		Apply: func(context.Context, consumer.Attempt[notice]) (sink.Receipt, error) { return sink.Receipt{}, nil },
	})
	event := func(published, eventID string) []byte {
		return envelope("Notice__e", fmt.Sprintf(`{"CreatedDate":%q,"Event_Id__c":%q,"Text__c":"x"}`, published, eventID))
	}
	const a, b, c = "f0000000-0000-4000-8000-00000000000a", "f0000000-0000-4000-8000-00000000000b", "f0000000-0000-4000-8000-00000000000c"
	k.Send(event("2026-11-22T11:00:00.000Z", a), event("2026-11-22T11:00:00.000Z", b), event("2026-11-22T11:00:00.000Z", a), event("2026-10-01T11:00:00.000Z", c))
	k.Want(verdict.Applied, verdict.Applied, verdict.Duplicate, verdict.Parked)
	if l := k.Lines(); l[0].Subject != "event/"+a || l[3].Class != "too-old" {
		t.Fatalf("lines %+v", l)
	}
}

func TestEchoes(t *testing.T) {
	def := accounts()
	def.WriteBack = []string{"Billing_Customer__c"}
	k := consumertest.New(t, def, func(s *consumer.Surroundings) { s.ClientName = "sfrelay" })
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
	var mu sync.Mutex
	last := map[string]string{}
	def := accounts()
	def.Apply = func(_ context.Context, a consumer.Attempt[Account]) (sink.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		if a.Content.Phone.Present {
			last[a.RecordID] = a.Content.Phone.Value
		}
		return sink.Receipt{}, nil
	}
	a := build(t, def, &bytes.Buffer{})
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
	if last[account] != "7" || last[other] != "7" {
		t.Fatalf("the sink ends with %v", last)
	}
}

func TestLineHasNoFieldValues(t *testing.T) {
	var log bytes.Buffer
	a := build(t, accounts(), &log)
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

func sync1(s int, rest string) []byte {
	return envelope("Account_Sync__e", fmt.Sprintf(`{"CreatedDate":"2026-11-22T11:59:%02d.500Z","Record_Id__c":"0015f00002J9YYE","Modified__c":"2026-11-22T11:59:%02d.000Z"%s}`, s, s, rest))
}

// parkedAs is the message by which a change event was parked.
func parkedAs(class string, event []byte, records string) []byte {
	return fmt.Appendf(nil, `{"event":%s,"records":%s,"consumer":"accounts","class":%q,"error":"","attempts":1,"firstAt":"2026-11-22T12:00:00Z","lastAt":"2026-11-22T12:00:00Z"}`, event, records, class)
}

func TestAnEventWithoutAnyFieldStopsNoOther(t *testing.T) {
	k := consumertest.New(t, accounts())
	k.SendBatch(sync1(1, ""), sync1(2, `,"Name__c":"Example Ltd"`)) // one subject: one group
	k.Want(verdict.Parked, verdict.Applied)
	if p := k.Parked(); p[0].Class != "needs-fetch" {
		t.Fatalf("parked %+v", p)
	}
}

func TestAPanicBeforeTheGuardStopsNoOther(t *testing.T) {
	def := accounts()
	def.Triage = func(c consumer.Change[Account]) consumer.Triage {
		if c.RecordID == other {
			panic(c.Content.Name.Value)
		}
		return consumer.Process
	}
	k := consumertest.New(t, def)
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
		k := consumertest.New(t, accounts())
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
	k := consumertest.New(t, accounts())
	create := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	k.Send(create, parkedAs("overwrote-newer", create, id(account)))
	k.Want(verdict.Applied, verdict.Parked)
	if p := k.Parked()[0]; p.Class != "overwrote-newer" || len(p.Records) != 1 {
		t.Fatalf("parked %+v", p)
	}
}

func TestActionsAndNewestStatesWithDeletesAreRefused(t *testing.T) {
	type note struct {
		Text string `cdc:"Name" event:"Text__c"`
	}
	def := consumer.Consumer[note]{
		Name: "notes", Takes: []consumer.Source{consumer.ChangeEvents("Account")}, Policy: guard.EachOnce,
		Subject: func(c consumer.Change[note]) string { return "Account/" + c.RecordID + "/note" },
		Apply:   func(context.Context, consumer.Attempt[note]) (sink.Receipt, error) { return sink.Receipt{}, nil },
	}
	around := consumer.Surroundings{Store: &memory.Store{}, Log: telemetry.New(&bytes.Buffer{}, "test", 0), Park: func(context.Context, []byte) error { return nil }}
	if _, err := consumer.New(def, around); err == nil || !strings.Contains(err.Error(), "without Triage would act on deletes") {
		t.Errorf("an action on every change: %v", err)
	}
	def.Triage = func(consumer.Change[note]) consumer.Triage { return consumer.Ignore }
	if _, err := consumer.New(def, around); err != nil {
		t.Errorf("an action that sorts its changes out: %v", err)
	}
	def.Takes, def.Policy = []consumer.Source{{Event: "Note__e", Operation: "Operation__c"}}, guard.NewestWins
	if _, err := consumer.New(def, around); err == nil || !strings.Contains(err.Error(), "Note__e may be a DELETE") {
		t.Errorf("newest states that may be deletes: %v", err)
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
	a, err := consumer.New(accounts(), consumer.Surroundings{
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
	down := accounts()
	down.Sink = sink.Contract{Lookup: true, Settle: 20 * time.Second}
	for _, tc := range []struct {
		name  string
		err   error
		tries int
		scale float64
		want  time.Duration
	}{
		// A second for the clocks, the wait that the item holds, and 1, 2, 4… s.
		{"refused", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 1, 1, 2 * time.Second},
		{"refused, fourth try", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 4, 1, 9 * time.Second},
		{"refused, hundredth try", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 100, 1, 61 * time.Second},
		{"refused, with a time", &sink.Error{Class: verdict.Throttled, Applied: sink.No, RetryAfter: time.Minute}, 1, 1, 62 * time.Second},
		{"in doubt: settle 20 s, margin 2 s", &sink.Error{Class: verdict.Unknown}, 1, 1, 24 * time.Second},
		{"scaled", &sink.Error{Class: verdict.Throttled, Applied: sink.No}, 100, 0.1, 7 * time.Second},
	} {
		var deferred []time.Duration
		down.Apply = func(context.Context, consumer.Attempt[Account]) (sink.Receipt, error) { return sink.Receipt{}, tc.err }
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		a, err := consumer.New(down, consumer.Surroundings{
			Store: &memory.Store{}, Log: telemetry.New(&bytes.Buffer{}, "test", 0), Scale: tc.scale,
			Park: func(context.Context, []byte) error { return nil },
			Now:  func() time.Time { return now },
			Defer: func(_ context.Context, queue, handle string, d time.Duration) error {
				if queue != "arn:aws:sqs:eu-west-1:123456789012:buffer" || handle != "r1" {
					t.Errorf("deferred %s in %s", handle, queue)
				}
				deferred = append(deferred, d)
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
	def := accounts()
	def.Apply = func(context.Context, consumer.Attempt[Account]) (sink.Receipt, error) {
		return sink.Receipt{}, &sink.Error{Class: verdict.DependencyMissing, Applied: sink.No} // never counts as an attempt
	}
	var parked []byte
	a, err := consumer.New(def, consumer.Surroundings{
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

func TestMistakesOfADefinitionAreNamedTogether(t *testing.T) {
	type Bad struct {
		Name  string             `cdc:"Name"`
		Phone sink.Field[string] `guard:"p" cdc:"Phone"`
		City  sink.Field[string] `guard:"p" cdc:"City" event:"City__c"`
	}
	_, err := consumer.New(consumer.Consumer[Bad]{
		Takes: []consumer.Source{consumer.ChangeEvents("Account"), consumer.ChangeEvents("Account"),
			{Event: "X__e", Object: "Account"}},
		Policy: guard.FieldMerge, Sink: sink.Contract{Effect: 60e9},
	}, consumer.Surroundings{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"taken twice", "name the field with its id", "no ModifiedAt", "Apply is missing", "Store, Park and Log",
		"field Name: FieldMerge needs", "both carry", "used twice", "Consumer is empty"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in:\n%v", want, err)
		}
	}
	_, err = consumer.New(consumer.Consumer[struct {
		SKU string `cdc:"Sku__c"`
	}]{Name: "x", Takes: []consumer.Source{consumer.ChangeEvents("Stock__c")}, Policy: guard.NewestWins}, consumer.Surroundings{})
	if err == nil || !strings.Contains(err.Error(), "use FieldMerge") {
		t.Errorf("NewestWins on change events: %v", err)
	}
}

func build[T any](t *testing.T, def consumer.Consumer[T], log *bytes.Buffer) *consumer.Adapter[T] {
	t.Helper()
	a, err := consumer.New(def, consumer.Surroundings{
		Store: &memory.Store{}, Log: telemetry.New(log, "test", 0), Scale: 0.05,
		Park: func(context.Context, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
