// Command inventory-erp keeps the ERP's quantities on hand equal to Salesforce's.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) consumer.Definition {
		return functions.InventoryERP(httpsink.FromEnv(f.Reader, f.Secret).Stock())
	})
}
