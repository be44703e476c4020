package account_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
)

// The emulator as far as it matters here: the line of a function is shown only after
// that function was invoked again.
func TestFollowLocalAsksForLinesThatAreHeldBack(t *testing.T) {
	start := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	invoked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		parts := strings.Split(r.URL.Path, "/") // /2015-03-31/functions/<name>/{configuration,invocations}
		switch {
		case strings.HasSuffix(r.URL.Path, "/configuration"):
			_ = json.NewEncoder(w).Encode(map[string]any{"FunctionName": parts[3]})
		case strings.HasSuffix(r.URL.Path, "/invocations"):
			invoked[parts[3]]++
			if string(body) != `{"Records":[]}` {
				t.Errorf("%s is invoked with %s", parts[3], body)
			}
			_, _ = w.Write([]byte(`{"batchItemFailures":[]}`))
		default:
			var in struct{ LogGroupName string }
			_ = json.Unmarshal(body, &in)
			events := []any{}
			if f := strings.TrimPrefix(in.LogGroupName, "/aws/lambda/"); invoked[f] > 0 {
				events = append(events, map[string]any{"timestamp": start.UnixMilli(), "logStreamName": "s", "message": fmt.Sprintf(
					`{"time":%q,"consumer":"late","eventId":"e","subject":"s","verdict":"applied"}`, start.Format(time.RFC3339))})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"events": events})
		}
	}))
	defer server.Close()
	cfg := aws.Config{Region: "eu-west-2", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	consumers := []deadletter.Consumer{{Name: "late", Function: "f-late"}, {Name: "other", Function: "f-other"}}
	reader, err := account.FollowLocal(t.Context(), cfg, consumers, start)
	if err != nil {
		t.Fatal(err)
	}
	lines, pending, err := reader.Await(t.Context(), []verdicts.Awaited{{EventID: "e", Consumer: "late", Since: start}}, time.Minute, nil)
	if err != nil || len(pending) != 0 || len(lines) != 1 {
		t.Errorf("lines %v, pending %v, %v", lines, pending, err)
	}
	if invoked["f-other"] != 0 || invoked["f-late"] == 0 {
		t.Errorf("invoked %v", invoked)
	}
}
