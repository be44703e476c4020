// Command customer-erp keeps the ERP's customers equal to Salesforce's accounts.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) (consumer.Definition, error) {
		env := f.ERP()
		client, err := httpsink.New(f.Secret(env.Secret), env.URL)
		if err != nil {
			return nil, err
		}
		return functions.CustomerERP(client.Customers()), nil
	})
}
