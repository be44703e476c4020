package relay_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/relay"
)

// answering is an org that answers every request but the login with this.
func answering(t *testing.T, status int, answer string) *relay.Org {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = io.WriteString(w, `{"access_token":"x","instance_url":"http://`+r.Host+`","token_type":"Bearer"}`)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	org, err := relay.NewOrg(server.URL, func(context.Context) (string, error) { return `{"clientId":"app","clientSecret":"word"}`, nil })
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// Only the answer that Salesforce gives for an unknown object says that it is not there.
func TestAnEventIsThereOrNot(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		there  bool
		err    string
	}{
		{200, `{"name":"Note__e"}`, true, ""},
		{404, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`, false, ""},
		{403, `[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]`, false, "REQUEST_LIMIT_EXCEEDED"},
		{503, `<html>`, false, "503"},
	} {
		there, err := answering(t, c.status, c.answer).IsThere(t.Context(), "Note__e")
		if there != c.there || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%d: %v, %v", c.status, there, err)
		}
	}
}
