// Command customer-erp keeps the ERP's customers equal to Salesforce's accounts.
package main

import (
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/function"
)

func main() {
	function.Main(func(f *function.Function) (function.Handler, error) {
		env := f.ERP()
		client, err := httpsink.New(f.Secret(env.Secret), env.URL)
		if err != nil {
			return nil, err
		}
		return consumer.New(customer(client.Customers()), f.Surroundings())
	})
}
