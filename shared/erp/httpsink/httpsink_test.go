package httpsink_test

import (
	"testing"

	"sfrelay/shared/erp"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/erp/sinktest"
	"sfrelay/shared/sink/wire"
)

func TestConnectorKeepsTheContract(t *testing.T) {
	sinktest.RunConnector(t, func(t *testing.T, url, key string) (erp.Customers, erp.Stock) {
		c, err := httpsink.New(wire.Static(key), url)
		if err != nil {
			t.Fatal(err)
		}
		return c.Customers(), c.Stock()
	})
}
