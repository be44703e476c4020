package transport_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sfrelay/shared/transport"
)

// packed is a message as Fit makes one, made by hand.
func packed(body []byte) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body)
	_ = z.Close()
	return `{"packed":"gzip","body":"` + base64.StdEncoding.EncodeToString(b.Bytes()) + `"}`
}

// What is too large for SQS with its parked message around it is packed, and comes back
// as it was: an event of the largest size that SQS and EventBridge bring.
func TestALargeMessageIsPacked(t *testing.T) {
	var fields strings.Builder
	for i := 0; fields.Len()+len(event) < transport.MaxBody-100; i++ {
		fmt.Fprintf(&fields, `"Field_%d__c":"value %d",`, i, i*7919)
	}
	large := strings.Replace(event, `"Text__c"`, fields.String()+`"Text__c"`, 1)
	if len(large) < transport.MaxBody-100 {
		t.Fatalf("the event has %d bytes", len(large))
	}
	p := transport.Parked{Event: []byte(large), Consumer: "customer-erp", Class: "permanent/x", Records: []string{"0015f00002J9YYEAA3"}, Error: strings.Repeat("e", 300)}
	body := p.Encode()
	sent, fits := transport.Fit(body)
	if !fits || len(body) <= transport.MaxBody || len(sent) > transport.MaxBody/2 {
		t.Fatalf("%d bytes are sent as %d", len(body), len(sent))
	}
	for what, raw := range map[string]string{"redriven": string(sent), "in a queue": batch(record("m1", string(sent), "")), "failed": onFailure(string(sent))} {
		b, err := transport.Open([]byte(raw))
		if err != nil || len(b.Messages) != 1 || b.Messages[0].Err != nil || string(b.Messages[0].Event) != large || b.Messages[0].Consumer != "customer-erp" || !b.Messages[0].Redrive {
			t.Errorf("%s: %v, %d messages", what, err, len(b.Messages))
		}
	}
	w := transport.Waiting{Event: []byte(large), Consumer: "customer-erp", Class: "unknown"}
	sent, _ = transport.Fit(w.EncodeAround(transport.Quote(w.Event)))
	if m := lane(string(sent), "1795348805000", ""); len(m) != 1 || m[0].Form != transport.Lane || string(m[0].Event) != large {
		t.Errorf("%d messages", len(m))
	}
	small := p.Encode()[:1000]
	if sent, fits := transport.Fit(small); !fits || !bytes.Equal(sent, small) {
		t.Error("a small message is packed")
	}
}

// What does not shrink fits no message; nor does what nobody would unpack.
func TestWhatDoesNotShrinkDoesNotFit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	body := make([]byte, transport.MaxBody+1)
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	if got, fits := transport.Fit(body); fits {
		t.Errorf("%d bytes", len(got))
	}
	if got, fits := transport.Fit(make([]byte, 4<<20+1)); fits {
		t.Errorf("more than 4 MiB become %d bytes", len(got))
	}
	if _, fits := transport.Fit(make([]byte, 4<<20)); !fits {
		t.Error("4 MiB of nothing do not fit")
	}
}

func TestBadPackets(t *testing.T) {
	bomb := packed(make([]byte, 64<<20)) // 64 KB
	for what, body := range map[string]string{
		"a bomb":          bomb,
		"packed twice":    packed([]byte(packed([]byte(event)))),
		"another codec":   `{"packed":"zstd","body":""}`,
		"no base64":       `{"packed":"gzip","body":"%"}`,
		"no gzip":         `{"packed":"gzip","body":"AAAA"}`,
		"cut off":         packed([]byte(event))[:80] + `"}`,
		"of another type": `{"packed":"gzip","body":1}`,
	} {
		m := lane(body, "", "")
		if what == "packed twice" {
			body = packed([]byte(event)) // the inner one
		}
		if len(m) != 1 || m[0].Err == nil || !strings.HasPrefix(m[0].Err.Error(), "invalid-packed") || string(m[0].Event) != body {
			t.Errorf("%s: %d messages, %v", what, len(m), m[0].Err)
		}
	}
	if m := lane(packed([]byte(event)), "", ""); len(m) != 1 || m[0].Err != nil || string(m[0].Event) != event {
		t.Errorf("%+v", m)
	}
}

// A record of a failed invocation from which Lambda left the event out says which
// invocation it was.
func TestARecordWithoutItsEvent(t *testing.T) {
	const raw = `{"version":"1.0","timestamp":"2026-11-21T10:14:45.123Z","requestContext":{"requestId":"r-1","functionArn":"arn:aws:lambda:eu-west-2:123456789012:function:customer-erp:$LATEST",` +
		`"condition":"RetriesExhausted","approximateInvokeCount":3},"responseContext":{"statusCode":200},"responsePayload":{"errorType":"unknown","errorMessage":"no"}}`
	for what, body := range map[string]string{"direct": raw, "in a queue": batch(record("m1", raw, ""))} {
		b, err := transport.Open([]byte(body))
		if err != nil || len(b.Messages) != 1 || b.Messages[0].Err == nil {
			t.Fatalf("%s: %v, %+v", what, err, b)
		}
		m := b.Messages[0]
		if s := m.Err.Error(); !strings.HasPrefix(s, "payload-dropped") || !strings.Contains(s, "r-1") || !strings.Contains(s, "function:customer-erp") {
			t.Errorf("%s: %s", what, s)
		}
		if m.Form != transport.OnFailure || m.Target == "" || m.Class != "unknown" || m.Attempts != 3 || string(m.Event) != raw {
			t.Errorf("%s: %+v", what, m)
		}
	}
	// A request of API Gateway has a context, too, and is none.
	if b, err := transport.Open([]byte(`{"version":"2.0","rawPath":"/","requestContext":{"timeEpoch":1}}`)); err != nil || b.Messages[0].Form != transport.Event {
		t.Errorf("%v, %+v", err, b)
	}
}
