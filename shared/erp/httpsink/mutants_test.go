package httpsink_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/erp"
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

// The contract's id has at most 255 characters. What is longer is no id, and would be
// stored with every record.
func TestAnIDThatIsTooLong(t *testing.T) {
	for length, fits := range map[int]bool{255: true, 256: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"outcome":"created","id":"`+strings.Repeat("x", length)+`"}`)
		}))
		t.Cleanup(server.Close)
		r, err := connect(t, server.URL, sinkhttp.Static("test-key")).Customers().Put(t.Context(), ref(1, 1), accountID, named("A"))
		e, ok := errors.AsType[*sink.Error](err)
		if fits && (err != nil || len(r.Link) != length) || !fits && (!ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe || r.Link != "") {
			t.Errorf("an id of %d characters: %+v, %v", length, r, err)
		}
	}
}

// A delete character is a control character as those below the blank are.
func TestADeleteCharacterIsInNoKey(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }))
	t.Cleanup(server.Close)
	for _, l := range []erp.Level{{SKU: "W\x7f", Warehouse: "Hull"}, {SKU: "W", Warehouse: "Hu\x7fll"}} {
		_, err := connect(t, server.URL, sinkhttp.Static("test-key")).Stock().Set(t.Context(), ref(1, 1), l)
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Permanent("invalid-key") || e.Applied != sink.No {
			t.Errorf("%q: %v", l, err)
		}
	}
}
