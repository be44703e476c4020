package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// answeringWith keeps accounts at a sink that answers for each record.
func answeringWith(answer func(recordID string) error) consumer.Record[Account] {
	def := accounts(consumertest.NewSink(sink.Contract{Fenced: true}))
	def.Put = func(_ context.Context, _ sink.Ref, recordID string, _ Account) (sink.Receipt, error) {
		return sink.Receipt{}, answer(recordID)
	}
	def.Patch = def.Put
	return def
}

// ordered is a payload as a redrive sends it.
func ordered(by string, body []byte) []byte {
	return transport.Redrive{By: by, At: consumertest.Now}.Around(body)
}

const somebody = "arn:aws:sts::123456789012:assumed-role/operator/ada"

// A redrive is answered change by change. Whatever does not get through stays in the queue it
// is in: nothing is parked, nothing goes to the lane.
func TestARedriveAnswersEachChange(t *testing.T) {
	direct := change("CREATE", 1, id(account), "[]", `"Name":"x"`)
	broken := change("CREATE", 1, id(account), "[]", `"Name":"x"`)[1:]
	var why error
	def := answeringWith(func(string) error { return why })
	for _, c := range []struct {
		what  string
		body  []byte
		why   error
		want  verdict.Verdict
		class verdict.Class
	}{
		{"a parked message", parkedAs("throttled", direct, "null"), nil, verdict.Applied, ""},
		{"a bare event", direct, nil, verdict.Applied, ""},
		{"Lambda's record", []byte(`{"requestContext":{"functionArn":"f"},"responsePayload":{},"requestPayload":` + string(direct) + `}`), nil, verdict.Applied, ""},
		{"refused for good", parkedAs("throttled", direct, "null"), sink.Refuse("test", "no"), verdict.Failed, "permanent/test"},
		{"refused for good, bare", direct, sink.Refuse("test", "no"), verdict.Failed, "permanent/test"},
		{"the sink is down", direct, sink.NotYet("throttled", "no"), verdict.Failed, "throttled"},
		{"the answer got lost", direct, sink.InDoubt(errors.New("no")), verdict.Failed, "unknown"},
		{"it cannot be read", broken, nil, verdict.Failed, "permanent/invalid-json"},
		{"what it changed nobody knows", change("GAP_UPDATE", 2, id(account), "[]", `"Name":"x"`), nil, verdict.Failed, "needs-fetch"},
		{"another consumer's", []byte(`{"event":{},"consumer":"orders","class":"unknown"}`), nil, verdict.Failed, "permanent/foreign-consumer"},
	} {
		why = c.why
		b := newBench(t, def, func(e *consumer.Env) {
			e.Lane = func(context.Context, [][]byte, time.Duration) error {
				t.Errorf("%s goes to the lane", c.what)
				return nil
			}
		})
		resp, err := b.Handle(t.Context(), ordered(somebody, c.body))
		if err != nil || len(resp.Verdicts) != 1 || resp.Verdicts[0].Verdict != c.want || resp.Verdicts[0].Class != c.class || len(resp.BatchItemFailures) > 0 {
			t.Errorf("%s: %+v, %v", c.what, resp, err)
			continue
		}
		if a := resp.Verdicts[0]; (a.Error != "") != (c.class != "") {
			t.Errorf("%s: %+v", c.what, a)
		}
		if len(b.parked) > 0 {
			t.Errorf("%s lies in the failure queue twice: %+v", c.what, b.parked)
		}
		if text, err := json.Marshal(resp); err != nil || !json.Valid(text) {
			t.Error(err)
		}
	}
}

// The changes of one event have their own answers: those that failed come first.
func TestARedriveOfManyRecordsNamesThoseThatFailed(t *testing.T) {
	ids := manyIDs(t, 5)
	def := answeringWith(func(recordID string) error {
		if recordID == ids[3] {
			return sink.Refuse("test", "no")
		}
		return nil
	})
	b := newBench(t, def, func(*consumer.Env) {})
	body := parkedAs("throttled", change("CREATE", 1, id(ids...), "[]", `"Name":"x"`), "null")
	for _, first := range []bool{true, false} {
		resp, err := b.Handle(t.Context(), ordered(somebody, body))
		if err != nil || len(resp.Verdicts) != 5 || len(b.parked) != 0 {
			t.Fatalf("%+v, %v, parked %+v", resp, err, b.parked)
		}
		if a := resp.Verdicts[0]; a.Subject != "Account/"+ids[3] || a.Verdict != verdict.Failed || a.Class != "permanent/test" {
			t.Errorf("%+v", resp.Verdicts)
		}
		want := verdict.Applied
		if !first {
			want = verdict.Duplicate
		}
		if slices.ContainsFunc(resp.Verdicts[1:], func(a consumer.Answer) bool { return a.Verdict != want }) {
			t.Errorf("the others are not %s: %+v", want, resp.Verdicts)
		}
	}
}

// What is decided and would not be said again is parked although it is a redrive, once.
func TestWhatARedriveDecidesIsParked(t *testing.T) {
	def := answeringWith(func(string) error {
		return &sink.Error{Class: verdict.DuplicateRemote, Applied: sink.Yes, Reason: "made up by the test"}
	})
	b := newBench(t, def, func(*consumer.Env) {})
	body := parkedAs("throttled", change("CREATE", 1, id(account), "[]", `"Name":"x"`), "null")
	for i, want := range []consumer.Answer{{Verdict: verdict.Applied, Class: verdict.DuplicateRemote}, {Verdict: verdict.Duplicate}} {
		resp, err := b.Handle(t.Context(), ordered(somebody, body))
		if err != nil || len(resp.Verdicts) != 1 || resp.Verdicts[0].Verdict != want.Verdict || resp.Verdicts[0].Class != want.Class {
			t.Errorf("%d: %+v, %v", i, resp, err)
		}
		if len(b.parked) != 1 || b.parked[0].Class != verdict.DuplicateRemote {
			t.Errorf("%d: parked %+v", i, b.parked)
		}
	}
}

// A wrapping that something put into a buffer redrives nothing: nobody would hear the answer.
func TestARedriveInsideOfABatchIsNone(t *testing.T) {
	b := newBench(t, answeringWith(func(string) error { return sink.NotYet("throttled", "no") }), func(*consumer.Env) {})
	resp, err := b.Handle(t.Context(), batchOf(ordered(somebody, change("CREATE", 1, id(account), "[]", `"Name":"x"`))))
	if err != nil || len(resp.BatchItemFailures) != 1 || resp.Verdicts != nil {
		t.Errorf("%+v, %v", resp, err)
	}
}

// Nobody decided on a redrive by the function: what may have been forgotten stays too old.
func TestTheRedriveFunctionDecidesNothing(t *testing.T) {
	for by, want := range map[string]verdict.Verdict{somebody: verdict.Applied, transport.ByFunction: verdict.Failed} {
		def := anything(consumertest.NewSink(sink.Contract{UniqueKey: true}), &[]string{})
		b := newBench(t, def, func(e *consumer.Env) { e.Now = func() time.Time { return consumertest.Now.AddDate(0, 0, 40) } })
		resp, err := b.Handle(t.Context(), ordered(by, parkedAs("too-old", change("CREATE", 1, id(account), "[]", `"Name":"x"`), "null")))
		if err != nil || len(resp.Verdicts) != 1 || resp.Verdicts[0].Verdict != want || (want == verdict.Failed) != (resp.Verdicts[0].Class == verdict.TooOld) {
			t.Errorf("%s: %+v, %v", by, resp, err)
		}
		if len(b.parked) > 0 {
			t.Errorf("%s: %+v", by, b.parked)
		}
	}
}

// An answer fits into what Lambda returns, however much went wrong.
func TestAnAnswerIsBounded(t *testing.T) {
	ids := manyIDs(t, 2000)
	long := fmt.Sprintf("%010000d", 0)
	b := newBench(t, answeringWith(func(string) error { return sink.Refuse("test", "%s", long) }), func(*consumer.Env) {})
	resp, err := b.Handle(t.Context(), ordered(somebody, parkedAs("throttled", change("CREATE", 1, id(ids...), "[]", `"Name":"x"`), "null")))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(resp); err != nil || len(text) > 6_000_000 || len(resp.Verdicts) != 1000 {
		t.Errorf("%d answers, %d bytes, %v", len(resp.Verdicts), len(text), err)
	}
}

// The line says where a change came through and which fields it carries, and holds no value.
func TestTheLineOfAChange(t *testing.T) {
	b := newBench(t, accounts(fenced()), func(e *consumer.Env) {
		e.Now = func() time.Time { return consumertest.Now }
		e.RequestID = func(context.Context) string { return "request-1" }
	})
	for _, payload := range [][]byte{
		change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd","Phone":"1"`),
		change("UPDATE", 3, id(account), `["Phone"]`, `"Phone":"3"`),
		ordered(somebody, change("UPDATE", 2, id(account), `["Name","Phone"]`, `"Name":"Example","Phone":"2"`)),
	} {
		if _, err := b.Handle(t.Context(), payload); err != nil {
			t.Fatal(err)
		}
	}
	var lines []map[string]any
	for text := range strings.Lines(b.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range []string{
		`[applied [Name Phone BillingAddress.City] <nil> <nil>]`,
		`[applied [Phone] <nil> <nil>]`,
		`[partly-stale [Name Phone] [Phone] ` + somebody + `]`,
	} {
		l := lines[i]
		if got := fmt.Sprint([]any{l["verdict"], l["fields"], l["staleFields"], l["redrive"]}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if l["org"] != "00D5f000005KcCnEAK" || l["requestId"] != "request-1" {
			t.Errorf("%v", l)
		}
	}
	if strings.Contains(b.log.String(), "Example") {
		t.Error("a field value stands in the log")
	}
}
