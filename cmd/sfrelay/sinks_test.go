package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/sandbox/door"
	"sfrelay/shared/sandbox/faults"
)

// sandboxOf is what a sandbox answers beside its API, and what it was told.
type sandboxOf struct {
	said   []string
	faults string
	then   func() // after a fault was ordered
}

func (s *sandboxOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get(door.KeyHeader) != "key" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.said = append(s.said, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
	if r.Method == http.MethodPost && s.then != nil {
		defer s.then()
	}
	if r.URL.Path == "/_sandbox/faults" {
		_, _ = io.WriteString(w, s.faults)
		return
	}
	_, _ = io.WriteString(w, `{"customers":[{"name":"Example"}],"records":[{"kind":"stock","key":"SKU-1@BER"}]}`)
}

func TestSinksShowAndSwitch(t *testing.T) {
	sandbox := &sandboxOf{faults: `[{"kind":"unavailable","times":-1}]`}
	server := httptest.NewServer(sandbox)
	defer server.Close()
	d := sandboxes{key: "key", urls: map[string]string{"erp": server.URL}}
	s, out, _ := testScreen()
	c := &sinksCommand{Sink: "erp"}
	if err := c.show(t.Context(), s.Out, d, "erp"); err != nil || !strings.Contains(out.String(), "SKU-1@BER") || !strings.Contains(out.String(), "erp is broken: unavailable. Repair it with: sfrelay sinks erp up") {
		t.Errorf("%v, %s", err, out)
	}
	for is, want := range map[string]string{"up": "", "down": `{"kind":"down","times":-1}`, "slow": `{"kind":"latency","times":-1,"latencyMs":5000}`} {
		sandbox.said = nil
		if err := (&sinksCommand{Sink: "erp", Is: is}).set(t.Context(), s, d); err != nil {
			t.Error(err)
		}
		told := strings.TrimPrefix(strings.Join(sandbox.said, " "), "DELETE /_sandbox/faults")
		if strings.TrimPrefix(told, " POST /_sandbox/faults ") != want {
			t.Errorf("%s: %q", is, sandbox.said)
		}
	}
	if err := c.show(t.Context(), s.Out, d, "billing"); err == nil || !strings.Contains(err.Error(), "no sandbox of billing") {
		t.Error(err)
	}
	if err := c.show(t.Context(), s.Out, sandboxes{key: "x", urls: d.urls}, "erp"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
}

// What is broken for a while is repaired in the end, also after Ctrl-C.
func TestASinkIsRepairedInTheEnd(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		sandbox := &sandboxOf{}
		server := httptest.NewServer(sandbox)
		d := sandboxes{key: "key", urls: map[string]string{"erp": server.URL}}
		s, out, _ := testScreen()
		ctx, stop := context.WithCancel(t.Context())
		c := &sinksCommand{Sink: "erp", Is: "down", For: time.Millisecond}
		if interrupted {
			c.For = time.Hour
			sandbox.then = stop
		}
		err := c.set(ctx, s, d)
		stop()
		server.Close()
		if err != nil || len(sandbox.said) < 3 || sandbox.said[len(sandbox.said)-1] != "DELETE /_sandbox/faults" || !strings.HasSuffix(out.String(), "erp is up.\n") {
			t.Errorf("interrupted %t: %v, %v, %s", interrupted, err, sandbox.said, out)
		}
	}
}

// Every word of the command is a fault that the sandboxes know.
func TestEverySwitchIsAFault(t *testing.T) {
	for word, f := range switches {
		if f == nil {
			continue
		}
		var plan faults.Plan
		if err := plan.Add(*f); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}
