package erpsandbox_test

import (
	"net/http/httptest"
	"testing"

	"sfrelay/shared/erp/sinktest"
	erpsandbox "sfrelay/shared/sandbox/erp"
)

func TestSandboxKeepsTheContract(t *testing.T) {
	server := httptest.NewServer(erpsandbox.New(erpsandbox.Options{Key: "test-key"}))
	defer server.Close()
	for _, run := range []string{"fresh", "again"} {
		t.Run(run, func(t *testing.T) { sinktest.RunSink(t, server.URL, "test-key") })
	}
}
