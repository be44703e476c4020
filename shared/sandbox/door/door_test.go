package door_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/sandbox/door"
	erpsandbox "sfrelay/shared/sandbox/erp"
	"sfrelay/shared/sandbox/faults"
	stripesandbox "sfrelay/shared/sandbox/stripe"
)

const key = "the key"

// Both sandboxes as they are served: what a page, another user, or a name that was rebound
// to loopback (DNS rebinding) sends is refused before anything is done.
func TestOnlyOwnProgramsComeIn(t *testing.T) {
	stripe, erp := stripesandbox.New(stripesandbox.Options{}), erpsandbox.New(erpsandbox.Options{})
	for name, sandbox := range map[string]struct {
		handler http.Handler
		faults  *faults.Plan
	}{"stripe": {stripe, &stripe.Faults}, "erp": {erp, &erp.Faults}} {
		server := httptest.NewUnstartedServer(nil)
		server.Config.Handler = door.Before(sandbox.handler, server.Listener.Addr(), key)
		server.Start()
		defer server.Close()
		own := server.Listener.Addr().String()
		_, port, err := net.SplitHostPort(own)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			host, origin, key, path string
			want                    int
		}{
			{own, "", key, "/_sandbox/state", 200},
			{"localhost:" + port, "", key, "/_sandbox/state", 200},
			{own, "", key, "/_sandbox/faults", 200},

			{own, "", "", "/_sandbox/state", 403},
			{own, "", "test-key", "/_sandbox/state", 403},
			{own, "", "", "/_sandbox/faults", 403},
			{own, "", "", "/_sandbox/reset", 403},
			{own, "", "", "/%5fsandbox/state", 403},
			{"example.com", "", key, "/_sandbox/state", 403},
			{"example.com:" + port, "", key, "/_sandbox/state", 403},
			{"127.0.0.1", "", key, "/_sandbox/state", 403},
			{"127.0.0.1:1", "", key, "/_sandbox/state", 403},
			{"localhost", "", key, "/_sandbox/state", 403},
			{"localhost.example.com:" + port, "", key, "/_sandbox/state", 403},
			{own + ".example.com", "", key, "/_sandbox/state", 403},
			{own, "http://example.com", key, "/_sandbox/state", 403},
			{own, "http://" + own, key, "/_sandbox/state", 403},
			{own, "null", key, "/_sandbox/state", 403},
			{own, "empty", key, "/_sandbox/state", 403},

			// The APIs ask for their own keys, and are no page's either.
			{own, "", "", "/v1/customers", 401},
			{"example.com", "", "", "/v1/customers", 403},
			{own, "http://example.com", "", "/v1/customers", 403},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", strings.TrimPrefix(c.origin, "empty"))
			}
			if c.key != "" {
				r.Header.Set("Sandbox-Key", c.key)
			}
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("%s: %+v = %d", name, c, resp.StatusCode)
			}
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/_sandbox/faults", strings.NewReader(`{"kind":"down"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if len(sandbox.faults.List()) > 0 {
			t.Errorf("%s: a fault was ordered without the key", name)
		}
	}
}

// Who forgets the key opens nothing.
func TestAnEmptyKeyOpensNothing(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	reached := false
	h := door.Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), at, "")
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:1/_sandbox/state", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || reached {
		t.Errorf("%d, %v", w.Code, reached)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://127.0.0.1:1/", nil))
	if !reached {
		t.Error("the API is closed too")
	}
}

// Every request of a function waits; what people ask of the sandbox itself does not.
func TestDelayed(t *testing.T) {
	waited, served := 0, 0
	h := door.Delayed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if served++; waited == 0 {
			t.Error("served before it waited")
		}
	}), func() { waited++ })
	for _, path := range []string{"/v1/customers", "/records/stock", "/v1/customers", "/_sandbox/state", "/_sandbox/faults"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	if waited != 3 || served != 5 {
		t.Errorf("of 5 requests %d were served, %d after a wait; want 5 and 3", served, waited)
	}
}
