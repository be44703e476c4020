package faults_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/sandbox/faults"
)

func request(method, path string) *http.Request { return httptest.NewRequest(method, path, nil) }

func TestTake(t *testing.T) {
	var p faults.Plan
	if err := p.Add(
		faults.Fault{Kind: faults.Down, Method: "POST", Path: "/v1/invoices/*/finalize"},
		faults.Fault{Kind: faults.Throttled, Method: "GET", Skip: 1, Times: 2},
		faults.Fault{Kind: faults.Latency, Path: "/always", Times: -1},
	); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		method, path string
		want         faults.Kind
	}{
		{"POST", "/v1/invoices", ""}, {"GET", "/v1/invoices/in_1/finalize", ""}, {"POST", "/v1/invoices/in_1/finalize", faults.Down}, {"POST", "/v1/invoices/in_1/finalize", ""},
		{"GET", "/a", faults.Throttled}, {"GET", "/b", faults.Throttled}, {"GET", "/a", ""},
		{"PUT", "/always", faults.Latency}, {"PUT", "/always", faults.Latency},
	} {
		if got := p.Take(request(c.method, c.path)).Kind; got != c.want {
			t.Errorf("%d: %s %s meets %q, want %q", i, c.method, c.path, got, c.want)
		}
	}
	if l := p.List(); len(l) != 1 || l[0].Kind != faults.Latency {
		t.Errorf("left: %+v", l)
	}
	p.Clear()
	if l := p.List(); len(l) != 0 {
		t.Errorf("left: %+v", l)
	}
}

// What only some sinks have is refused by the others, rather than taken and never done.
func TestKindsOfSomeSinks(t *testing.T) {
	var every faults.Plan
	receiver := faults.Plan{Also: faults.OfReceivers}
	for _, kind := range []faults.Kind{"unauthorized", "refused", "gone", "redirect"} {
		if every.Add(faults.Fault{Kind: kind}) == nil {
			t.Errorf("every sink takes %s", kind)
		}
		if err := receiver.Add(faults.Fault{Kind: kind}, faults.Fault{Kind: faults.Down}); err != nil {
			t.Error(err)
		}
	}
}

func TestOrderingOverHTTP(t *testing.T) {
	var p faults.Plan
	for body, want := range map[string]int{
		`{"kind":"down"}`: 204, `[{"kind":"down"},{"kind":"latency","latencyMs":5}]`: 204,
		`{"kind":"flood"}`: 400, `[{"kind":"down","path":"["}]`: 400, `{"kind":"latency","latencyMs":60001}`: 400, `{"kind":"down","skip":-1}`: 400,
		``: 400, `"down"`: 400, `[`: 400,
	} {
		p.Clear()
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("POST %s = %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
	p.Clear()
	if err := p.Add(faults.Fault{Kind: faults.Down}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, request("GET", "/"))
	if got := strings.TrimSpace(w.Body.String()); got != `[{"kind":"down","times":1}]` {
		t.Errorf("GET = %s", got)
	}
	p.ServeHTTP(httptest.NewRecorder(), request("DELETE", "/"))
	if len(p.List()) != 0 {
		t.Error("DELETE left orders")
	}
	w = httptest.NewRecorder()
	p.ServeHTTP(w, request("PUT", "/"))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT = %d", w.Code)
	}
}
