// Command customer-erp keeps the ERP's customers equal to Salesforce's accounts.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) consumer.Definition {
		f.AskOrg()
		return functions.CustomerERP(httpsink.FromEnv(f.Reader, f.Secret).Customers(), f.List("ACCOUNT_EXTRA_FIELDS", "")...)
	})
}
