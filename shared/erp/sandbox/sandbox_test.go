package sandbox_test

import (
	"net/http/httptest"
	"testing"

	"sfrelay/shared/erp/sandbox"
	"sfrelay/shared/erp/sinktest"
)

func TestSandboxKeepsTheContract(t *testing.T) {
	server := httptest.NewServer(sandbox.New(sandbox.Options{Key: "test-key"}))
	defer server.Close()
	for _, run := range []string{"fresh", "again"} {
		t.Run(run, func(t *testing.T) { sinktest.RunSink(t, server.URL, "test-key") })
	}
}
