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
	var known []sinktest.Fixture
	if sku, warehouse := os.Getenv("ERP_SKU"), os.Getenv("ERP_WAREHOUSE"); sku != "" && warehouse != "" {
		known = append(known, sinktest.Fixture{SKU: sku, Warehouse: warehouse})
	}
	sinktest.RunSink(t, url, key, known...)
}
