package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/cmd/sfrelay/internal/stack"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// On a local stack the org's relays lead to its account, and no other program speaks for
// EventBridge.
func TestTheOrgOfAStack(t *testing.T) {
	for dir, want := range map[string]struct {
		region string
		status int
	}{"": {orgsandbox.Region, 200}, "somewhere": {stack.Region, 403}} {
		c := sandboxCommand{OrgID: "00D000000000001", RelayTo: dir}
		org, err := c.org()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := org.Insert("Account", map[string]any{"Name": "A"}); err != nil {
			t.Fatal(err)
		}
		var e struct{ Region, Source string }
		if err := json.Unmarshal(org.Events(0)[0].JSON, &e); err != nil || e.Region != want.region || !strings.Contains(e.Source, "/00D000000000001EAA/") {
			t.Errorf("%+v, %v", e, err)
		}
		for path, status := range map[string]int{"/aws": want.status, "//aws/": want.status, "/_sandbox/aws": 200} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader("{}"))
			r.URL.Path = path
			r.Header.Set("X-Amz-Target", "AWSEvents.ListEventSources")
			w := httptest.NewRecorder()
			c.behindTheStack(org).ServeHTTP(w, r)
			if w.Code != status {
				t.Errorf("%q: %s: %d, want %d", dir, path, w.Code, status)
			}
		}
	}
	if _, err := (&sandboxCommand{OrgID: "nobody"}).org(); err == nil || !strings.Contains(err.Error(), "--org-id") {
		t.Errorf("%v", err)
	}
}

// An event that no rule wants is gone; one that cannot be delivered waits.
func TestWhatNoRuleWants(t *testing.T) {
	for answer, gone := range map[string]bool{`{"Rules":[]}`: true, `{"__type":"ResourceNotFoundException"}`: true, `{"__type":"AccessDeniedException"}`: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if strings.Contains(answer, "Exception") {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = io.WriteString(w, answer)
		}))
		at := bus.New(aws.Config{Region: stack.Region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
		err := toBus(t.Context(), at, orgsandbox.Event{Source: "aws.partner/x", JSON: []byte(`{"id":"1","source":"aws.partner/x","detail-type":"AccountChangeEvent","detail":{}}`)})
		if (err == nil) != gone {
			t.Errorf("%s: %v", answer, err)
		}
		server.Close()
	}
}
