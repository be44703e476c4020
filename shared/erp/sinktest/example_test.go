package sinktest_test

import (
	"os"
	"testing"

	"sfrelay/shared/erp/sinktest"
)

// TestYourERP checks the ERP at ERP_URL against every rule of the contract.
func TestYourERP(t *testing.T) {
	url, key := os.Getenv("ERP_URL"), os.Getenv("ERP_KEY")
	if url == "" || key == "" {
		t.Skip("set ERP_URL and ERP_KEY to the address and the bearer key of an ERP for tests")
	}
	sinktest.RunSink(t, url, key)
}
