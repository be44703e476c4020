package verdicts_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/verdict"
)

var start = time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)

type entry struct {
	EventID       string `json:"eventId,omitempty"`
	LogStreamName string `json:"logStreamName"`
	Message       string `json:"message"`
	Timestamp     int64  `json:"timestamp"`
}

func change(stream, eventID string, v verdict.Verdict, at time.Time) entry {
	b, _ := json.Marshal(verdicts.Line{Time: at, Consumer: "c", EventID: eventID, Subject: "s", Verdict: v})
	return entry{LogStreamName: stream, Message: string(b) + "\n", Timestamp: at.UnixMilli()}
}

// logs is CloudWatch Logs with one group, two entries to a page.
type logs struct{ entries []entry }

func (l *logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/configuration") {
		_ = json.NewEncoder(w).Encode(map[string]any{"FunctionName": "f", "LoggingConfig": map[string]string{"LogGroup": "own-group"}})
		return
	}
	var in struct {
		LogGroupName, NextToken string
		StartTime               int64
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	if in.LogGroupName != "own-group" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var page []entry
	from := len(in.NextToken) // the token is a run of as many characters as entries were shown
	shown := 0
	for _, e := range l.entries {
		if e.Timestamp < in.StartTime {
			continue
		}
		if shown++; shown > from && len(page) < 2 {
			page = append(page, e)
		}
	}
	out := map[string]any{"events": page}
	if from+len(page) < shown {
		out["nextToken"] = strings.Repeat("x", from+len(page))
	}
	_ = json.NewEncoder(w).Encode(out)
}

func open(t *testing.T, l *logs) *verdicts.Reader {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	r, err := verdicts.Open(context.Background(), aws.Config{
		Region: "eu-west-2", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, []string{"f"}, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ids(t *testing.T, r *verdicts.Reader) []string {
	t.Helper()
	lines, err := r.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, l := range lines {
		ids = append(ids, l.EventID+" "+string(l.Verdict))
	}
	return ids
}

func TestNextReturnsEveryLineOnce(t *testing.T) {
	withID := func(e entry, id string) entry { e.EventID = id; return e }
	l := &logs{entries: []entry{
		change("a", "old", "applied", start.Add(-time.Second)),
		{LogStreamName: "a", Message: "START RequestId: 1", Timestamp: start.UnixMilli()},
		{LogStreamName: "a", Message: `{"msg":"the function cannot start"}`, Timestamp: start.UnixMilli()},
		change("a", "1", "failed", start.Add(2*time.Second)),
		change("a", "1", "applied", start.Add(4*time.Second)),
		withID(change("b", "2", "applied", start.Add(3*time.Second)), "id-2"),
	}}
	r := open(t, l)
	if got, want := ids(t, r), []string{"1 failed", "2 applied", "1 applied"}; !slices.Equal(got, want) {
		t.Errorf("first %q, want %q", got, want)
	}
	// A line may show up after younger ones of another stream.
	l.entries = append(l.entries, withID(change("c", "3", "applied", start.Add(time.Second)), "id-3"))
	if got, want := ids(t, r), []string{"3 applied"}; !slices.Equal(got, want) {
		t.Errorf("then %q, want %q", got, want)
	}
	if got := ids(t, r); len(got) != 0 {
		t.Errorf("again %q", got)
	}
	l.entries = append(l.entries, change("c", "4", "applied", start.Add(time.Hour)), change("c", "5", "applied", start.Add(time.Hour)))
	if got, want := ids(t, r), []string{"4 applied", "5 applied"}; !slices.Equal(got, want) {
		t.Errorf("later %q, want %q", got, want)
	}
}

func TestAwait(t *testing.T) {
	l := &logs{entries: []entry{change("a", "1", "applied", start), change("a", "2", "busy", start)}}
	awaited := []verdicts.Awaited{{EventID: "1", Consumer: "c", Since: start}, {EventID: "2", Consumer: "c", Since: start}}

	lines, pending, err := open(t, l).Await(context.Background(), awaited, 0, nil)
	if err != nil || len(lines) != 2 || len(pending) != 1 || pending[0].EventID != "2" {
		t.Errorf("lines %v, pending %v, %v", lines, pending, err)
	}
	l.entries = append(l.entries, change("a", "2", "stale", start.Add(time.Second)))
	if _, pending, err = open(t, l).Await(context.Background(), awaited, 0, nil); err != nil || len(pending) != 0 {
		t.Errorf("pending %v, %v", pending, err)
	}
	gone := []verdicts.Awaited{{EventID: "3", Consumer: "c", Since: start}}
	_, pending, err = open(t, l).Await(context.Background(), gone, time.Minute, func(context.Context) (func(verdicts.Awaited) bool, error) {
		return func(a verdicts.Awaited) bool { return a.EventID == "3" }, nil
	})
	if err != nil || len(pending) != 0 {
		t.Errorf("what lies in a queue is pending: %v, %v", pending, err)
	}
}

func TestAwaitAsksForWhatIsOverdue(t *testing.T) {
	l := new(logs)
	r := open(t, l)
	r.WhenOverdue(time.Millisecond, func(_ context.Context, consumers []string) error { // hands the line over that was held back
		if !slices.Equal(consumers, []string{"c"}) {
			t.Errorf("asked for %q", consumers)
		}
		l.entries = append(l.entries, change("a", "1", "applied", start), change("a", "2", "applied", start))
		return nil
	})
	awaited := []verdicts.Awaited{{EventID: "1", Consumer: "c", Since: start}, {EventID: "2", Consumer: "c", Since: start}}
	if _, pending, err := r.Await(context.Background(), awaited, time.Minute, nil); err != nil || len(pending) != 0 {
		t.Errorf("pending %v, %v", pending, err)
	}
	r.WhenOverdue(time.Millisecond, func(context.Context, []string) error { return errors.New("no") })
	awaited[0].EventID = "3"
	if _, _, err := r.Await(context.Background(), awaited, time.Minute, nil); err == nil {
		t.Error("the failure to ask is not told")
	}
}

func TestSettledBy(t *testing.T) {
	now := start
	line := func(subject string, v verdict.Verdict, at time.Time) verdicts.Line {
		return verdicts.Line{EventID: "e", Consumer: "c", Subject: subject, Verdict: v, Time: at}
	}
	a := verdicts.Awaited{EventID: "e", Consumer: "c", Since: now}
	for _, c := range []struct {
		name  string
		lines []verdicts.Line
		want  bool
	}{
		{"nothing yet", nil, false},
		{"done", []verdicts.Line{line("1", "applied", now)}, true},
		{"of an earlier delivery", []verdicts.Line{line("1", "applied", now.Add(-time.Second))}, false},
		{"comes again", []verdicts.Line{line("1", "busy", now)}, false},
		{"came again", []verdicts.Line{line("1", "failed", now), line("1", "parked", now)}, true},
		{"one of two comes again", []verdicts.Line{line("1", "applied", now), line("2", "failed", now)}, false},
	} {
		if got := a.SettledBy(c.lines); got != c.want {
			t.Errorf("%s: settled %v, want %v", c.name, got, c.want)
		}
	}
}
