package stripesandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Line is one line of an invoice.
type Line struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	Amount      int64             `json:"amount"`
	Currency    string            `json:"currency"`
	Description *string           `json:"description"`
	Quantity    int64             `json:"quantity"`
	Metadata    map[string]string `json:"metadata"`
}

// Invoice is Stripe's invoice as far as the sandbox knows it.
type Invoice struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Created          int64             `json:"created"`
	Status           string            `json:"status"`
	Number           *string           `json:"number"`
	Customer         string            `json:"customer"`
	Currency         string            `json:"currency"`
	Subtotal         int64             `json:"subtotal"`
	NetTotal         int64             `json:"total_excluding_tax"`
	Total            int64             `json:"total"`
	AmountDue        int64             `json:"amount_due"`
	About            *string           `json:"description"`
	CollectionMethod string            `json:"collection_method"`
	AutoAdvance      bool              `json:"auto_advance"`
	AutomaticTax     AutomaticTax      `json:"automatic_tax"`
	DueDate          *int64            `json:"due_date"`
	Metadata         map[string]string `json:"metadata"`
	Lines            Lines             `json:"lines"`
	Livemode         bool              `json:"livemode"`

	Sent int `json:"sandbox_sent,omitempty"` // how often; Stripe does not tell

	daysUntilDue int64
}

// Lines is the list within an invoice.
type Lines struct {
	Object  string `json:"object"`
	URL     string `json:"url"`
	HasMore bool   `json:"has_more"`
	Data    []Line `json:"data"`
}

func (i *Invoice) clone() Invoice {
	k := *i
	k.Metadata = maps.Clone(i.Metadata)
	k.Lines.Data = slices.Clone(i.Lines.Data)
	return k
}

// view is the invoice as an answer: at most ten lines are embedded (Stripe API,
// "Invoice object", lines).
func (i *Invoice) view() Invoice {
	v := i.clone()
	if len(v.Lines.Data) > 10 {
		v.Lines.Data, v.Lines.HasMore = v.Lines.Data[:10], true
	}
	return v
}

// maxLines is the most lines the sandbox takes in one call and on one invoice.
const maxLines = 250

var invoiceParams = []string{"customer", "currency", "auto_advance", "automatic_tax", "collection_method", "days_until_due",
	"description", "discounts", "metadata", "pending_invoice_items_behavior"}

func (s *Sandbox) createInvoice(p map[string]any) answer {
	for name := range p {
		if !slices.Contains(invoiceParams, name) && name != "expand" {
			return badParam("parameter_unknown", name, "The sandbox does not know this parameter of an invoice.")
		}
	}
	id := text(p, "customer")
	if id == "" {
		return badParam("parameter_missing", "customer", "Missing required param: customer.")
	}
	c := s.customer(id)
	if c == nil || c.Deleted {
		return missing("customer", id, "customer")
	}
	currency := text(p, "currency")
	switch {
	case len(currency) != 3 || strings.ToLower(currency) != currency:
		return badParam("parameter_missing", "currency", "The sandbox wants the currency named, in small letters.")
	case !slices.Contains(currencies, currency):
		return badParam("invalid_currency", "currency", "Invalid currency.")
	}
	if v, _ := p["auto_advance"].(bool); v || p["auto_advance"] == nil {
		return badParam("", "auto_advance", "The sandbox takes drafts only with auto_advance=false: otherwise Stripe finalizes them by itself.")
	}
	tax, _ := p["automatic_tax"].(map[string]any)
	taxed, _ := tax["enabled"].(bool)
	if taxed && !c.located() {
		return unlocated()
	}
	if text(p, "pending_invoice_items_behavior") == "include" {
		return badParam("", "pending_invoice_items_behavior", "The sandbox knows no pending items.")
	}
	days, hasDays := integer(p, "days_until_due")
	if method := text(p, "collection_method"); method != "send_invoice" {
		return badParam("", "collection_method", "The sandbox knows only collection_method=send_invoice.")
	} else if !hasDays || days < 0 {
		return badParam("parameter_missing", "days_until_due", "send_invoice needs days_until_due, zero or more.")
	}
	// Stripe's words, without a code, as many have quoted them. Whether it says so of the
	// draft or of finalizing is not known for sure: the sandbox does at the first chance.
	if c.Email == nil {
		return badParam("", "", "Missing email. In order to create invoices that are sent to the customer, the customer must have a valid email.")
	}
	metadata, a, ok := mergeMetadata(map[string]string{}, p)
	if !ok {
		return a
	}
	i := &Invoice{
		ID: s.newID("in"), Object: "invoice", Created: s.options.Now().Unix(), Status: "draft",
		Customer: id, Currency: currency, About: filled(p["description"]),
		CollectionMethod: "send_invoice", Metadata: metadata, daysUntilDue: days, AutomaticTax: AutomaticTax{Enabled: taxed},
	}
	i.Lines = Lines{Object: "list", URL: "/v1/invoices/" + i.ID + "/lines", Data: []Line{}}
	s.invoices = append(s.invoices, i)
	return reply(i.view())
}

func (s *Sandbox) invoice(id string) *Invoice {
	for _, i := range s.invoices {
		if i.ID == id {
			return i
		}
	}
	return nil
}

func (s *Sandbox) getInvoice(id string) answer {
	i := s.invoice(id)
	if i == nil {
		return missing("invoice", id, "id")
	}
	return reply(i.view())
}

func (s *Sandbox) listInvoices(p map[string]any) answer {
	within, customer, status := window(p), text(p, "customer"), text(p, "status")
	found := []Invoice{}
	for _, i := range slices.Backward(s.invoices) {
		if within(i.Created) && (customer == "" || i.Customer == customer) && (status == "" || i.Status == status) {
			found = append(found, i.view())
		}
	}
	return page(found, func(i Invoice) string { return i.ID }, p, "/v1/invoices")
}

func (s *Sandbox) listLines(id string, p map[string]any) answer {
	i := s.invoice(id)
	if i == nil {
		return missing("invoice", id, "id")
	}
	return page(i.Lines.Data, func(l Line) string { return l.ID }, p, i.Lines.URL)
}

func notEditable(i *Invoice) answer {
	return badParam("invoice_not_editable", "", "This invoice is no longer editable: it is "+i.Status+".")
}

func (s *Sandbox) addLines(id string, p map[string]any) answer {
	i := s.invoice(id)
	if i == nil {
		return missing("invoice", id, "id")
	}
	if i.Status != "draft" {
		return notEditable(i)
	}
	given, _ := p["lines"].([]any)
	if len(given) == 0 || len(given)+len(i.Lines.Data) > maxLines {
		return badParam("", "lines", fmt.Sprintf("An invoice has 1 to %d lines.", maxLines))
	}
	// All lines are read before the first one is written: the call is one step.
	added := make([]Line, 0, len(given))
	for n, v := range given {
		p, _ := v.(map[string]any)
		param := fmt.Sprintf("lines[%d]", n)
		for name := range p {
			if name != "amount" && name != "description" && name != "metadata" && name != "discountable" {
				return badParam("parameter_unknown", param+"["+name+"]", "The sandbox does not know this parameter of a line.")
			}
		}
		amount, ok := integer(p, "amount")
		if !ok {
			return badParam("parameter_missing", param+"[amount]", "The sandbox wants the amount of every line.")
		}
		if i.AutomaticTax.Enabled && amount < 0 {
			return badParam("", param+"[amount]", "Negative amounts cannot be added to automatic tax invoices.")
		}
		if multiple := multiples[i.Currency]; multiple > 1 && amount%multiple != 0 {
			return badParam("parameter_invalid_integer", param+"[amount]", "Amounts of this currency are multiples of "+fmt.Sprint(multiple)+".")
		}
		metadata, a, ok := mergeMetadata(map[string]string{}, p)
		if !ok {
			return a
		}
		added = append(added, Line{ID: s.newID("il"), Object: "line_item", Amount: amount, Currency: i.Currency,
			Description: filled(p["description"]), Quantity: 1, Metadata: metadata})
	}
	i.Lines.Data = append(i.Lines.Data, added...)
	s.total(i)
	return reply(i.view())
}

// finalize takes auto_advance=true, which lets Stripe send and remind by itself.
func (s *Sandbox) finalize(id string, p map[string]any) answer {
	i := s.invoice(id)
	switch {
	case i == nil:
		return missing("invoice", id, "id")
	case i.Status != "draft":
		return notEditable(i)
	case len(i.Lines.Data) == 0:
		return badParam("invoice_no_customer_line_items", "", "Nothing to invoice for customer.")
	}
	if s.total(i); i.AutomaticTax.Status != nil && *i.AutomaticTax.Status == requiresLocation {
		return unlocated()
	}
	s.sequence++
	number := fmt.Sprintf("SANDBOX-%04d", s.sequence)
	due := s.options.Now().Unix() + i.daysUntilDue*86400
	i.Number, i.DueDate, i.Status = &number, &due, "open"
	i.AutoAdvance, _ = p["auto_advance"].(bool)
	if i.Total <= 0 {
		i.AutoAdvance = false
		i.Status = "paid" // Stripe API, "Invoice status transitions": nothing is due
	}
	if c := s.customer(i.Customer); c != nil && c.Currency == nil {
		c.Currency = &i.Currency
	}
	return reply(i.view())
}

// send is refused for drafts, which Stripe would finalize: that is for finalize to do.
func (s *Sandbox) send(id string) answer {
	i := s.invoice(id)
	switch {
	case i == nil:
		return missing("invoice", id, "id")
	case i.Status != "open" && i.Status != "paid":
		return badParam("", "", "The sandbox sends open and paid invoices only.")
	}
	i.Sent++
	return reply(i.view())
}

// updateInvoice changes metadata, of finalized invoices too, and nothing else.
func (s *Sandbox) updateInvoice(id string, p map[string]any) answer {
	i := s.invoice(id)
	if i == nil {
		return missing("invoice", id, "id")
	}
	for name := range p {
		if name != "metadata" && name != "expand" {
			return badParam("parameter_unknown", name, "The sandbox changes only the metadata of an invoice.")
		}
	}
	merged, a, ok := mergeMetadata(i.Metadata, p)
	if !ok {
		return a
	}
	i.Metadata = merged
	return reply(i.view())
}

// settle voids or pays an open invoice.
func (s *Sandbox) settle(id, status string) answer {
	i := s.invoice(id)
	if i == nil {
		return missing("invoice", id, "id")
	}
	if i.Status != "open" {
		return notEditable(i)
	}
	i.Status = status
	return reply(i.view())
}

func (s *Sandbox) deleteInvoice(id string) answer {
	i := s.invoice(id)
	if i == nil {
		return missing("invoice", id, "id")
	}
	if i.Status != "draft" {
		return notEditable(i)
	}
	s.invoices = slices.DeleteFunc(s.invoices, func(o *Invoice) bool { return o == i })
	return reply(map[string]any{"id": id, "object": "invoice", "deleted": true})
}

// multiples: currencies whose last digits must be zero (docs.stripe.com/currencies).
var multiples = map[string]int64{"bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10, "isk": 100}

// currencies are some that Stripe takes, with at least one of each number of
// decimal places. ZWL and the like are refused as Stripe refuses them.
var currencies = []string{"aed", "aud", "bhd", "brl", "cad", "chf", "clp", "cny", "czk", "dkk", "eur", "gbp", "hkd", "huf", "ils",
	"inr", "isk", "jod", "jpy", "krw", "kwd", "mxn", "nok", "nzd", "omr", "pln", "ron", "sek", "sgd", "thb", "tnd", "try", "twd", "usd",
	"vnd", "xaf", "xof", "xpf", "zar"}
