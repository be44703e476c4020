package transport_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/transport"
)

const event = `{"version":"0","id":"b6b4a3f2-0c1e-7a5d-9a51-4c1f0f7f2b11","detail-type":"Note__e","source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS","detail":{"payload":{"Text__c":"a \u0041 1.50"}}}`

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// record is an SQS message as Lambda hands it over, after AWS's sample.
func record(id, body, custom string) string {
	return `{"messageId":"` + id + `","receiptHandle":"handle-` + id + `","body":` + quote(body) + `,` +
		`"attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1795256130000","SenderId":"AIDAEXAMPLE","ApproximateFirstReceiveTimestamp":"1795256131000"},` +
		`"messageAttributes":{` + custom + `},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-2:123456789012:failure","awsRegion":"eu-west-2"}`
}

func batch(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

func attribute(name, value string) string {
	return `"` + name + `":{"stringValue":` + quote(value) + `,"stringListValues":[],"binaryListValues":[],"dataType":"String"}`
}

var ruleDLQ = strings.Join([]string{
	attribute("RULE_ARN", "arn:aws:events:eu-west-2:123456789012:rule/aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS/inventory-erp"),
	attribute("TARGET_ARN", "arn:aws:lambda:eu-west-2:123456789012:function:inventory-erp"),
	attribute("ERROR_CODE", "NO_PERMISSIONS"),
	attribute("ERROR_MESSAGE", "Unable to invoke the function"),
	attribute("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
	attribute("RETRY_ATTEMPTS", "185"),
}, ",")

// onFailure is Lambda's record, after AWS's sample.
func onFailure(payload string) string {
	return `{"version":"1.0","timestamp":"2026-11-21T10:14:45.123Z","requestContext":{"requestId":"5b4ec0a8-0000-4000-8000-000000000001",` +
		`"functionArn":"arn:aws:lambda:eu-west-2:123456789012:function:customer-billing:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},` +
		`"requestPayload":` + payload + `,"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},` +
		`"responsePayload":{"errorMessage":"the sink does not answer","errorType":"unknown"}}`
}

func parked(event string) string {
	return `{"event":` + event + `,"records":["0015f00002J9YYEAA3"],"consumer":"customer-erp","class":"permanent/invalid-currency","error":"the ERP refuses the currency","attempts":2,` +
		`"firstAt":"2026-11-21T10:13:30Z","lastAt":"2026-11-21T10:14:30.25Z"}`
}

var (
	sent      = time.Date(2026, 11, 21, 10, 15, 30, 0, time.UTC)
	lambdaARN = "arn:aws:lambda:eu-west-2:123456789012:function:customer-billing:$LATEST"
)

func fromSQS(m transport.Message, id string) transport.Message {
	m.ID, m.ReceiptHandle, m.ReceiveCount = id, "handle-"+id, 3
	if m.FirstAt.IsZero() {
		m.FirstAt = sent
	}
	return m
}

func TestOpen(t *testing.T) {
	replay := strings.Replace(event, `"version":"0"`, `"version":"0","replay-name":"again"`, 1)
	plainEvent := transport.Message{Form: transport.Event, Event: []byte(event)}
	failed := transport.Message{
		Form: transport.OnFailure, Event: []byte(event), Redrive: true, Target: lambdaARN,
		Class: "unknown", Reason: "the sink does not answer", Attempts: 3,
		LastAt: time.Date(2026, 11, 21, 10, 14, 45, 123e6, time.UTC),
	}
	putAside := transport.Message{
		Form: transport.ParkedMessage, Event: []byte(event), Redrive: true,
		Records: []string{"0015f00002J9YYEAA3"}, Consumer: "customer-erp", Class: "permanent/invalid-currency", Reason: "the ERP refuses the currency", Attempts: 2,
		FirstAt: time.Date(2026, 11, 21, 10, 13, 30, 0, time.UTC), LastAt: time.Date(2026, 11, 21, 10, 14, 30, 250e6, time.UTC),
	}
	undelivered := transport.Message{
		Form: transport.RuleDLQ, Event: []byte(event),
		Target: "arn:aws:lambda:eu-west-2:123456789012:function:inventory-erp",
		Class:  "NO_PERMISSIONS", Reason: "Unable to invoke the function", Attempts: 185, FirstAt: sent, LastAt: sent,
	}
	redrivenInVain := putAside
	redrivenInVain.Form, redrivenInVain.Target, redrivenInVain.Class, redrivenInVain.Reason, redrivenInVain.Attempts, redrivenInVain.LastAt =
		failed.Form, failed.Target, failed.Class, failed.Reason, failed.Attempts, failed.LastAt
	tooOld := failed
	tooOld.Class, tooOld.Reason = "EventAgeExceeded", ""
	failedReplay := failed
	failedReplay.Event = []byte(replay)

	received := func(body string) string {
		return `{"MessageId":"m1","ReceiptHandle":"handle-m1","MD5OfBody":"x","Body":` + quote(body) + `,"Attributes":{"SentTimestamp":"1795256130000","ApproximateReceiveCount":"3"},` +
			`"MessageAttributes":{` + strings.NewReplacer("stringValue", "StringValue", "stringListValues", "StringListValues", "binaryListValues", "BinaryListValues", "dataType", "DataType").Replace(ruleDLQ) + `}}`
	}
	byHand := fromSQS(undelivered, "m1")

	for _, c := range []struct {
		what, raw string
		sqs       bool
		want      []transport.Message
	}{
		{"event", event, false, []transport.Message{plainEvent}},
		{"replay", replay, false, []transport.Message{{Form: transport.Replay, Event: []byte(replay)}}},
		{"batch", batch(record("m1", event, ""), record("m2", event, "")), true, []transport.Message{fromSQS(plainEvent, "m1"), fromSQS(plainEvent, "m2")}},
		{"empty batch", batch(), true, []transport.Message{}},
		{"on-failure record", onFailure(event), false, []transport.Message{failed}},
		{"on-failure record of a replay", onFailure(replay), false, []transport.Message{failedReplay}},
		{"on-failure record in a batch", batch(record("m1", onFailure(event), "")), true, []transport.Message{fromSQS(failed, "m1")}},
		{"on-failure record of an event that grew too old", strings.Replace(strings.Replace(onFailure(event), "RetriesExhausted", "EventAgeExceeded", 1),
			`,"responsePayload":{"errorMessage":"the sink does not answer","errorType":"unknown"}`, "", 1), false, []transport.Message{tooOld}},
		{"parked message", parked(event), false, []transport.Message{putAside}},
		{"parked message in a batch", batch(record("m1", parked(event), "")), true, []transport.Message{fromSQS(putAside, "m1")}},
		{"parked message, redriven in vain", onFailure(parked(event)), false, []transport.Message{redrivenInVain}},
		{"the same in a batch", batch(record("m1", onFailure(parked(event)), "")), true, []transport.Message{fromSQS(redrivenInVain, "m1")}},
		{"batch that failed as a whole", onFailure(batch(record("m1", event, ""), record("m2", event, ""))), false, func() []transport.Message {
			m := failed
			m.FirstAt = sent
			return []transport.Message{m, m}
		}()},
		{"the same in a batch", batch(record("m9", onFailure(batch(record("m1", event, ""), record("m2", event, ""))), "")), true,
			[]transport.Message{fromSQS(failed, "m9"), fromSQS(failed, "m9")}},
		{"message of a rule's queue", batch(record("m1", event, ruleDLQ)), true, []transport.Message{fromSQS(undelivered, "m1")}},
		{"the same, as the AWS CLI reads it", `{"Messages":[` + received(event) + `]}`, false, []transport.Message{byHand}},
		{"the same, alone", received(event), false, []transport.Message{byHand}},
		{"nothing received", `{"Messages":[]}`, false, nil},
		{"broken event", event[:40], false, []transport.Message{{Form: transport.Event, Event: []byte(event[:40])}}},
		{"broken event in a batch", batch(record("m1", event[:40], "")), true, []transport.Message{fromSQS(transport.Message{Form: transport.Event, Event: []byte(event[:40])}, "m1")}},
		{"nothing", ``, false, []transport.Message{{Form: transport.Event, Event: []byte{}}}},
		{"event that pretends to be a batch", strings.Replace(event, `"version":"0"`, `"Records":[],"version":"0"`, 1), false,
			[]transport.Message{{Form: transport.Event, Event: []byte(strings.Replace(event, `"version":"0"`, `"Records":[],"version":"0"`, 1))}}},
	} {
		t.Run(c.what, func(t *testing.T) {
			b, err := transport.Open([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if b.SQS != c.sqs {
				t.Errorf("SQS is %v, want %v", b.SQS, c.sqs)
			}
			if len(b.Messages) != len(c.want) {
				t.Fatalf("%d messages, want %d", len(b.Messages), len(c.want))
			}
			for i, want := range c.want {
				got := b.Messages[i]
				got.SentAt, got.ReceivedAt = time.Time{}, time.Time{} // TestLane looks at them
				if !reflect.DeepEqual(got, want) {
					t.Errorf("message %d\ngot  %+v\nwant %+v", i, got, want)
				}
			}
		})
	}
}

// The event keeps keys that stand twice and bytes that are no UTF-8: only then the
// decoder can refuse it by name.
func TestTheEventKeepsItsFaults(t *testing.T) {
	for _, faulty := range []string{
		strings.Replace(event, `"id"`, `"id":"x","id"`, 1),
		strings.Replace(event, `\u0041`, "\xff", 1),
	} {
		for what, raw := range map[string]string{"on-failure": onFailure(faulty), "parked": parked(faulty)} {
			b, err := transport.Open([]byte(raw))
			if err != nil || len(b.Messages) != 1 || b.Messages[0].Err != nil || string(b.Messages[0].Event) != faulty {
				t.Errorf("%s: %v, %+v", what, err, b)
			}
		}
	}
}

func TestOneMemberStopsNoOther(t *testing.T) {
	deep := event
	for range 12 {
		deep = onFailure(deep)
	}
	for _, c := range []struct{ what, member, id, name, where string }{
		{"no body", `{"messageId":"m2","body":null}`, "m2", "invalid-record", "/Records/1"},
		{"body of another type", `{"messageId":"m2","body":{}}`, "m2", "invalid-record", "/Records/1/body"},
		{"id of another type", `{"messageId":7,"body":"x"}`, "", "invalid-record", "/Records/1/messageId"},
		{"no record", `17`, "", "invalid-record", "/Records/1"},
		{"too many wrappings", record("m2", deep, ""), "m2", "nested-too-deep", ""},
		{"parked message of another type", record("m2", strings.Replace(parked(event), `"attempts":2`, `"attempts":"two"`, 1), ""), "m2", "invalid-parked", "/attempts"},
		{"parked message with a broken data URL", record("m2", parked(`"data:application/octet-stream;base64,%"`), ""), "m2", "invalid-parked", "/event"},
		{"on-failure record of another type", record("m2", strings.Replace(onFailure(event), `"approximateInvokeCount":3`, `"approximateInvokeCount":[]`, 1), ""), "m2", "invalid-on-failure", "/requestContext/approximateInvokeCount"},
		{"batch of another type in a record", record("m2", `{"Records":7}`, ""), "m2", "invalid-batch", "/Records"},
		{"broken batch in a record", record("m2", batch(record("m4", event, ""), "{}", "{}"), ""), "m2", "invalid-record", "/Records/1"},
		{"eleven events in a record", record("m2", batch(slices.Repeat([]string{record("m4", event, "")}, 11)...), ""), "m2", "invalid-batch", ""},
		{"eleven events in two batches in a record", record("m2", batch(slices.Repeat([]string{record("m4",
			batch(slices.Repeat([]string{record("m5", event, "")}, 6)...), "")}, 2)...), ""), "m2", "invalid-batch", ""},
	} {
		b, err := transport.Open([]byte(batch(record("m1", event, ""), c.member, record("m3", event, ""))))
		if err != nil || !b.SQS || len(b.Messages) != 3 {
			t.Errorf("%s: %v, %d messages", c.what, err, len(b.Messages))
			continue
		}
		for _, m := range b.Messages {
			if m.ID == "m1" || m.ID == "m3" {
				if m.Err != nil {
					t.Errorf("%s: %s suffers: %v", c.what, m.ID, m.Err)
				}
				continue
			}
			e, ok := errors.AsType[*transport.Error](m.Err)
			if !ok || e.Name != c.name || e.Where != c.where || m.ID != c.id || len(m.Event) == 0 {
				t.Errorf("%s: id %q, error %+v, want %s at %s", c.what, m.ID, m.Err, c.name, c.where)
			}
		}
	}
}

// Members of a batch that are no records become one message, which answers for all of
// them and holds nothing else.
func TestMembersThatAreNoRecordsStandTogether(t *testing.T) {
	b, err := transport.Open([]byte(batch(`{"messageId":"m1"}`, record("m2", event, ""), `[ ]`, `{"messageId":"m3","body":1}`)))
	if err != nil || len(b.Messages) != 2 {
		t.Fatalf("%v, %+v", err, b)
	}
	bad := b.Messages[1]
	if want := `{"Records":[{"messageId":"m1"},[ ],{"messageId":"m3","body":1}]}`; string(bad.Event) != want {
		t.Errorf("holds %s, want %s", bad.Event, want)
	}
	if bad.ID != "m1" || !slices.Equal(bad.Others, []string{"m3"}) || bad.Err == nil {
		t.Errorf("stands for %q and %q: %v", bad.ID, bad.Others, bad.Err)
	}
}

func TestNotEvenABatch(t *testing.T) {
	for what, raw := range map[string]string{
		"records of another type":  `{"Records":{}}`,
		"messages of another type": `{"Messages":7}`,
		"10,001 messages":          batch(slices.Repeat([]string{record("m", "x", "")}, 10_001)...),
	} {
		_, err := transport.Open([]byte(raw))
		if e, ok := errors.AsType[*transport.Error](err); !ok || e.Name != "invalid-batch" {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

// A message of today, to be read for ever.
func TestEncode(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 0, 0, 999, time.FixedZone("", 3600))
	whole := transport.Parked{
		Event: []byte("{ \"detail-type\" : \"A\\u0042\",\n\"n\":1.50}"), Records: []string{"0015f00002J9YYEAA3"},
		Consumer: "customer-erp", Class: "permanent/invalid-currency", Error: "no", Attempts: 2, FirstAt: at, LastAt: at.Add(1500 * time.Millisecond),
	}
	const after = `,"records":null,"consumer":"c","class":"unknown","error":"","attempts":0,"firstAt":null,"lastAt":null}`
	small := func(event string) transport.Parked {
		return transport.Parked{Event: []byte(event), Consumer: "c", Class: "unknown"}
	}
	for _, c := range []struct {
		what string
		p    transport.Parked
		want string
	}{
		{"event, byte by byte", whole, "{\"event\":{ \"detail-type\" : \"A\\u0042\",\n\"n\":1.50}" +
			`,"records":["0015f00002J9YYEAA3"],"consumer":"customer-erp","class":"permanent/invalid-currency","error":"no","attempts":2,"firstAt":"2026-11-22T08:00:00Z","lastAt":"2026-11-22T08:00:01.5Z"}`},
		{"broken event", small(`{"a":`), `{"event":"{\"a\":"` + after},
		{"nothing", small(``), `{"event":""` + after},
		{"key that stands twice", small(`{"a":1,"a":2}`), `{"event":"{\"a\":1,\"a\":2}"` + after},
		{"text that is JSON", small(`"a"`), `{"event":"\"a\""` + after},
		{"bytes that are no UTF-8", small("\xff\x00"), `{"event":"data:application/octet-stream;base64,/wA="` + after},
		{"text that looks like a data URL", small("data:,x"), `{"event":"data:application/octet-stream;base64,ZGF0YToseA=="` + after},
		{"what SQS refuses", small("{\"a\":\"\uffff\"}"), `{"event":"data:application/octet-stream;base64,eyJhIjoi77+/In0="` + after},
		{"control characters", small("\x00\x1b"), `{"event":"\u0000\u001b"` + after},
	} {
		got := string(c.p.Encode())
		if got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.what, got, c.want)
		}
		back, err := transport.DecodeParked([]byte(c.want))
		c.p.FirstAt, c.p.LastAt = truncate(c.p.FirstAt), truncate(c.p.LastAt)
		if err != nil || !reflect.DeepEqual(back, c.p) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", c.what, err, back, c.p)
		}
		b, err := transport.Open([]byte(got))
		if err != nil || len(b.Messages) != 1 || string(b.Messages[0].Event) != string(c.p.Event) || b.Messages[0].Form != transport.ParkedMessage {
			t.Errorf("%s: opened as %+v, %v", c.what, b, err)
		}
	}
	odd := transport.Parked{Event: []byte("{}"), Consumer: "a\xff", Class: "b\uffff", Error: "c\ufffe"}
	if got := string(odd.Encode()); !strings.Contains(got, `"consumer":"a�","class":"b�","error":"c�"`) {
		t.Errorf("texts that SQS refuses: %s", got)
	}
}

func truncate(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}

func FuzzOpen(f *testing.F) {
	for _, s := range []string{
		event, batch(record("m1", event, ""), record("m2", parked(event), "")), onFailure(event), onFailure(parked(event)), onFailure(batch(record("m1", event, ""))),
		parked(event), parked(`"x"`), batch(record("m1", event, ruleDLQ)), `{"Messages":[{"MessageId":"a","Body":"{}"}]}`, `{"MessageId":"a","Body":null}`, `{"Records":[1,{"body":7}]}`, ``, `{`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := transport.Open(raw)
		if err != nil {
			if e, ok := errors.AsType[*transport.Error](err); !ok || e.Name == "" || len(b.Messages) != 0 {
				t.Fatalf("error %#v with %d messages", err, len(b.Messages))
			}
			return
		}
		for _, m := range b.Messages {
			// A byte that is no UTF-8 grows to the three of U+FFFD when a string is read.
			if m.Form == "" || m.Event == nil || len(m.Event) > 3*len(raw) {
				t.Fatalf("message %+v", m)
			}
			if _, ok := errors.AsType[*transport.Error](m.Err); m.Err != nil && !ok {
				t.Fatalf("error %#v", m.Err)
			}
		}
	})
}

// What is parked comes out again, whatever it was.
func FuzzPark(f *testing.F) {
	for _, s := range []string{event, ``, `{`, "\xff", "data:,x", `"x"`, "{\"a\":\"\uffff\"}", `{"a":1,"a":2}`, event + "\n", "\ufeff{}"} {
		f.Add([]byte(s), "customer-erp")
	}
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		body := transport.Parked{Event: raw, Consumer: text, Class: "unknown", Error: text}.Encode()
		if !json.Valid(body) {
			t.Fatalf("no JSON: %q", body)
		}
		if strings.ContainsAny(string(body), "\ufffe\uffff") {
			t.Fatalf("SQS refuses %q", body)
		}
		p, err := transport.DecodeParked(body)
		// Blanks around an event in good order are no part of it.
		if err != nil || string(p.Event) != string(raw) && string(p.Event) != strings.Trim(string(raw), " \t\r\n") {
			t.Fatalf("%q becomes %q, then %q, %v", raw, body, p.Event, err)
		}
	})
}

// What SQS itself moves out of a buffer (maxReceiveCount) is the bare event. The queue
// it came from stands in DeadLetterQueueSourceArn.
func TestWhatTheBuffersLimitMovedAwaySaysWhereItWasMeantFor(t *testing.T) {
	m := transport.OpenSQS(transport.SQSMessage{ID: "m1", Body: event, Attributes: map[string]string{
		"ApproximateReceiveCount": "1", "SentTimestamp": "1795256130000",
		"DeadLetterQueueSourceArn": "arn:aws:sqs:eu-west-2:123456789012:inventory-erp-buffer",
	}})
	if len(m) != 1 || m[0].Target != "arn:aws:sqs:eu-west-2:123456789012:inventory-erp-buffer" {
		t.Fatalf("%+v", m)
	}
}
