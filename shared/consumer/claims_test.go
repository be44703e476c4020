package consumer_test

import (
	"strings"
	"testing"
	"time"

	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
)

// Parking again adds to what the message says of itself, and never takes it for later
// than it can be.
func TestAParkedMessageCannotMakeItselfYounger(t *testing.T) {
	create := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		firstAt  string
		attempts string
		want     time.Time
		wantN    int
	}{
		{`"2026-11-22T11:00:00Z"`, "2", time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC), 3},
		{`"2199-01-01T00:00:00Z"`, "9223372036854775807", now, 1_000_000},
		{`null`, "-7", now, 1},
	} {
		k := consumertest.New(t, answering(sink.Contract{Fenced: true}, sink.Refuse("test", "no")), consumertest.From(now))
		raw := string(parkedAs("unknown", create, "null"))
		raw, _, _ = strings.Cut(raw, `,"attempts":`)
		k.Send([]byte(raw + `,"attempts":` + c.attempts + `,"firstAt":` + c.firstAt + `,"lastAt":null}`))
		p := k.Parked()
		if len(p) != 1 || p[0].Attempts != c.wantN || p[0].FirstAt.Sub(c.want).Abs() > time.Minute {
			t.Errorf("firstAt %s, attempts %s: parked %+v, want %s and %d", c.firstAt, c.attempts, p, c.want, c.wantN)
		}
	}
}
