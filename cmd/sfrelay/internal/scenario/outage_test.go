package scenario

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"sfrelay/cmd/sfrelay/internal/stack"
	erpsandbox "sfrelay/shared/sandbox/erp"
)

// Only what comes between the fault and its removal is counted, and a second fault is part
// of the same outage.
func TestOutagesAreCounted(t *testing.T) {
	server := httptest.NewServer(erpsandbox.New(erpsandbox.Options{}))
	defer server.Close()
	p := &play{Runner: Runner{Stack: &stack.Stack{ERPURL: server.URL}}, outages: map[string]outage{}}
	ask := func() {
		resp, err := http.Get(server.URL + "/records/stock/o/k")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	fault := &Step{Sandbox: "erp", Fault: json.RawMessage(`{"kind":"unavailable","times":-1}`)}
	ask()
	for _, step := range []*Step{{Sandbox: "erp"}, fault, fault, {Sandbox: "erp"}, {Sandbox: "erp"}} {
		if err := p.sandbox(t.Context(), step); err != nil {
			t.Fatal(err)
		}
		ask()
	}
	if got := p.result.Outages; len(got) != 1 || got[0].Sink != "erp" || got[0].Calls != 2 {
		t.Errorf("outages %+v, want one with 2 calls", got)
	}
}
