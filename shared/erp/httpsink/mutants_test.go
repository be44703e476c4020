package httpsink_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// A refusal that broke off may have said something else in the rest: nobody knows.
func TestARefusalThatBrokeOffIsNoRefusal(t *testing.T) {
	for _, body := range []string{`{"reason":"epoch","epoch":7}`, `{"reason":"version","version":"019aa0000000000000000000000000020000aaaa"}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		_, err := connect(t, server.URL, sinkhttp.Static("test-key")).Customers().Put(t.Context(), ref(1, 1), accountID, named("A"))
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe {
			t.Errorf("%s and no end: %v", body, err)
		}
	}
}

// An answer in doubt comes from something that does not know the contract: what it says
// of waiting is not followed. A refusal's is.
func TestAnAnswerInDoubtDoesNotSayWhen(t *testing.T) {
	for status, waits := range map[int]bool{500: false, 502: false, 504: false, 429: true, 503: true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		_, err := connect(t, server.URL, sinkhttp.Static("test-key")).Customers().Put(t.Context(), ref(1, 1), accountID, named("A"))
		if e, ok := errors.AsType[*sink.Error](err); !ok || (e.RetryAfter > 0) != waits {
			t.Errorf("%d with Retry-After: %+v", status, err)
		}
	}
}

// A yes whose id cannot be kept is not what the contract wants: nobody knows what it is.
func TestAYesWithAnIDThatCannotBeShownIsInDoubt(t *testing.T) {
	for _, id := range []string{`C\u001b[2J`, `C\n1`, `C\u202e1`, strings.Repeat("x", 256)} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"outcome":"created","id":"`+id+`"}`)
		}))
		_, err := connect(t, server.URL, sinkhttp.Static("test-key")).Customers().Put(t.Context(), ref(1, 1), accountID, named("A"))
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe {
			t.Errorf("id %s: %v", id, err)
		}
		server.Close()
	}
}
