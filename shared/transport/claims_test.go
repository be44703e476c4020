package transport_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/transport"
)

// What a sender says of attempts and times is held against what can be true. A first
// failure that is older than the queue keeps messages is true after a redrive.
func TestWhatAMessageClaimsIsHeldAgainstSQS(t *testing.T) {
	const sentMS = "1795256130000" // 2026-11-21 10:15:30 UTC
	day := 24 * time.Hour
	for _, c := range []struct {
		what, firstAt, sent string
		want                time.Time // zero: unknown
	}{
		{"in the future of the queue", "2199-01-01T00:00:00Z", sentMS, sent},
		{"a second after the sending", "2026-11-21T10:15:31Z", sentMS, sent},
		{"a moment before it", "2026-11-21T10:15:29.999Z", sentMS, sent.Add(-time.Millisecond)},
		{"60 days before: it was redriven four times", "2026-09-22T10:15:30Z", sentMS, sent.Add(-60 * day)},
		{"before there was an Event Relay", "1970-01-01T00:00:00Z", sentMS, sent},
		{"older than that, and no queue", "1970-01-01T00:00:00Z", "", time.Time{}},
		{"no queue to ask", "2027-01-01T00:00:00Z", "", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"a time that cannot be written down", "9999-12-31T23:59:59-23:59", "", time.Time{}},
		{"a queue of the year 292277026", "2026-09-22T10:15:30Z", "9223372036854775807", sent.Add(-60 * day)},
		{"a queue that does not say", "2026-09-22T10:15:30Z", "x", sent.Add(-60 * day)},
	} {
		body := strings.Replace(parked(event), "2026-11-21T10:13:30Z", c.firstAt, 1)
		m := transport.OpenSQS(transport.SQSMessage{ID: "m1", Body: body, Attributes: map[string]string{"SentTimestamp": c.sent}})
		if len(m) != 1 || m[0].Err != nil || !m[0].FirstAt.Equal(c.want) {
			t.Errorf("%s: %+v, want %s", c.what, m, c.want)
			continue
		}
		m[0].Event = nil // its times can be written down again
		transport.Parked{Consumer: "c", Class: "unknown", FirstAt: m[0].FirstAt, LastAt: m[0].LastAt}.Encode()
	}
	m := transport.OpenSQS(transport.SQSMessage{ID: "m1", Body: strings.Replace(parked(event), "2026-11-21T10:14:30.25Z", "2199-01-01T00:00:00Z", 1),
		Attributes: map[string]string{"SentTimestamp": sentMS}})
	if !m[0].LastAt.Equal(sent) {
		t.Errorf("the last failure is %s, want %s", m[0].LastAt, sent)
	}
}

func TestATimeThatJSONCannotHoldIsLeftOut(t *testing.T) {
	p := transport.Parked{Consumer: "c", Class: "unknown", FirstAt: time.UnixMilli(1 << 60), LastAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if got := string(p.Encode()); !strings.HasSuffix(got, `"attempts":0,"firstAt":null,"lastAt":null}`) {
		t.Errorf("%s", got)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	for _, c := range []struct {
		said string
		want int
	}{
		{"0", 0}, {"2", 2}, {"-1", 0}, {"-9223372036854775808", 0}, {"1000000", 1_000_000}, {"1000001", 1_000_000}, {"9223372036854775807", 1_000_000},
	} {
		for what, raw := range map[string]string{
			"parked":     strings.Replace(parked(event), `"attempts":2`, `"attempts":`+c.said, 1),
			"on-failure": strings.Replace(onFailure(event), `"approximateInvokeCount":3`, `"approximateInvokeCount":`+c.said, 1),
			"rule-dlq":   batch(record("m1", event, strings.Replace(ruleDLQ, `"185"`, fmt.Sprintf("%q", c.said), 1))),
		} {
			b, err := transport.Open([]byte(raw))
			if err != nil || len(b.Messages) != 1 || b.Messages[0].Err != nil || b.Messages[0].Attempts != c.want {
				t.Errorf("%s says %s: %v, %+v, want %d", what, c.said, err, b.Messages, c.want)
			}
		}
	}
	const most = 1<<63 - 1
	for _, c := range []struct {
		a, b int64
		want int
	}{{2, 3, 5}, {most, most, 1_000_000}, {999_999, 2, 1_000_000}, {-most, 3, 3}, {1, -1, 1}} {
		if got := transport.Attempts(c.a, c.b); got != c.want {
			t.Errorf("%d and %d attempts are %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
