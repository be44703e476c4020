package relay_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"sfrelay/shared/relay"
)

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
