package erpsandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/erp/sinktest"
	erpsandbox "sfrelay/shared/sandbox/erp"
)

func TestSandboxKeepsTheContract(t *testing.T) {
	sandbox := erpsandbox.New(erpsandbox.Options{Key: "test-key"})
	server := httptest.NewServer(sandbox)
	defer server.Close()
	for _, run := range []string{"fresh", "again"} {
		t.Run(run, func(t *testing.T) { sinktest.RunSink(t, server.URL, "test-key") })
		leavesNothing(t, sandbox, 30)
	}
}

// An ERP that knows one product passes, again and again, and without its name it is not
// failed for the others.
func TestASinkThatKnowsOneProduct(t *testing.T) {
	sandbox := erpsandbox.New(erpsandbox.Options{Key: "test-key"})
	strange := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/stock/") && !strings.HasSuffix(r.URL.EscapedPath(), "/TEST%201@North") {
			strange++
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusFailedDependency)
			_, _ = io.WriteString(w, "{}")
			return
		}
		sandbox.ServeHTTP(w, r)
	}))
	defer server.Close()
	for _, run := range []string{"fresh", "again"} {
		t.Run(run, func(t *testing.T) {
			sinktest.RunSink(t, server.URL, "test-key", sinktest.Fixture{SKU: "TEST 1", Warehouse: "North"})
		})
	}
	if leavesNothing(t, sandbox, 30); strange > 0 {
		t.Errorf("%d requests for other products", strange)
	}
	t.Setenv("CI", "")
	t.Run("without a name", func(t *testing.T) { sinktest.RunSink(t, server.URL, "test-key") })
	if strange == 0 {
		t.Error("stock was not tried at all")
	}
}

// leavesNothing fails where a customer of the suite is live or stock is left.
func leavesNothing(t *testing.T, sandbox *erpsandbox.Sandbox, atLeast int) {
	t.Helper()
	records, live := sandbox.State().Records, 0
	for _, r := range records {
		if r.Kind == "customer" && !r.Retired || r.Kind == "stock" && r.Fields["quantity"] != "0" {
			live++
		}
	}
	if live > 0 || len(records) < atLeast {
		t.Errorf("%d of %d records are left live", live, len(records))
	}
}
