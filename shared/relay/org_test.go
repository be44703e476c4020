package relay_test

import (
	"context"
	"errors"
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

// A session that has ended is renewed once; a request that is refused with a new one is refused.
func TestASessionIsRenewedOnce(t *testing.T) {
	logins, calls, refuse := 0, 0, 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/services/oauth2/token" {
			logins++
			_, _ = io.WriteString(w, `{"access_token":"t","instance_url":"http://`+r.Host+`"}`)
			return
		}
		if calls++; calls <= refuse {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	defer server.Close()
	org, err := relay.NewOrg(server.URL, func(context.Context) (string, error) { return `{"clientId":"a","clientSecret":"b"}`, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := org.Call(t.Context(), "limits", http.MethodGet, "limits", nil, nil); err != nil || logins != 2 || calls != 2 {
		t.Errorf("%v after %d logins and %d calls", err, logins, calls)
	}
	refuse = 100
	err = org.Call(t.Context(), "limits", http.MethodGet, "limits", nil, nil)
	if no, ok := errors.AsType[*relay.Refused](err); !ok || no.Code != "INVALID_SESSION_ID" || calls != 4 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
