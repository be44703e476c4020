package scenario

import (
	"bytes"
	"encoding/json"
	"testing"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

func TestPrint(t *testing.T) {
	r := Result{
		Consumers: []string{"customer-billing", "customer-erp", "inventory-erp"},
		Rows: []Row{
			{Number: 1, Say: "A customer", Name: "a", What: "a new account", Verdicts: map[string]Cell{
				"customer-billing": {Text: "applied"}, "customer-erp": {Text: "applied"},
			}},
			{Number: 2, Name: "b", What: "a count", Verdicts: map[string]Cell{"inventory-erp": {Text: "stale", Open: true}}},
			{Number: 3, Name: "c", What: "another account", Verdicts: map[string]Cell{
				"customer-billing": {Text: "applied"}, "customer-erp": {Text: "stale", Wrong: true},
			}},
			{Number: 4, Say: "The rest", Name: "d", What: "of another API"},
		},
		Queues: map[string][]queued{"failure": {{Event: "c", Consumer: "customer-erp", Class: "needs-fetch", Form: "parked"}}},
	}
	for text, state := range map[string]*any{
		`{"customers":[{"id":"cus_1","name":"Acme","email":"a@acme.example","phone":"+49 30 1","metadata":{"sf_status":"Active"}}],
		  "invoices":[{"customer":"cus_1","status":"open","currency":"eur","total":9905,"lines":{"data":[{},{}]}}]}`: &r.Billing,
		`{"records":[{"kind":"stock","key":"S@B","id":"1","fields":{"quantity":"5","unit":"PCE"}},{"kind":"customer","key":"001","id":"2","retired":true},{"kind":"customer","key":"002"}]}`: &r.ERP,
		`{"messages":[{"type":"contact.created","repeats":0,"body":{"data":{"id":"003"}}},{"type":"contact.deleted","repeats":2,"body":{"data":{"id":"004"}}}]}`:                             &r.Receiver,
	} {
		if err := json.Unmarshal([]byte(text), state); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	r.Print(terminal.To(&out))
	want := `#  what it is       verdicts                                          event

A customer
1  a new account    applied: customer-billing, customer-erp           a
2  a count          stale *: inventory-erp                            b
3  another account  applied: customer-billing; ✘ stale: customer-erp  c

The rest
4  of another API   no rule takes it                                  d

* which one of several concurrent changes comes first decides; the result is the same.

Billing holds
  customer  Acme  a@acme.example  +49 30 1  Active
  invoice   Acme  99.05 EUR       open      2 lines
The ERP holds
  stock     S@B  5 · PCE
  customer  001  retired
  customer  002  deleted before it ever came
The webhook was told
  contact.created  003
  contact.deleted  004  and 2 times again

delivery queue: empty
failure queue: 1
  c  customer-erp  needs-fetch  parked

`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}
