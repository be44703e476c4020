package scenario

import (
	"encoding/json"
	"fmt"
	"strings"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// printHoldings writes what the sinks hold, as far as a reader wants to see it. The states
// were decoded from JSON: what does not fit is shown empty.
func (r *Result) printHoldings(p *terminal.Printer) {
	printBilling(p, r.Billing)
	printERP(p, r.ERP)
	printReceiver(p, r.Receiver)
	p.Printf("\n")
}

func printBilling(p *terminal.Printer, state any) {
	var billing struct {
		Customers []struct {
			ID, Name, Email, Phone string
			Deleted                bool
			Metadata               map[string]string
		}
		Invoices []struct {
			Customer, Status, Currency string
			Total                      int64
			Lines                      struct{ Data []struct{} }
		}
	}
	_ = convert(state, &billing)
	p.Printf("Billing holds\n")
	var rows [][]terminal.Cell
	names := map[string]string{}
	for _, c := range billing.Customers {
		names[c.ID] = c.Name
		rows = append(rows, terminal.Row("customer", c.Name, c.Email, c.Phone, strings.Join(labels(c.Metadata), " ")))
	}
	for _, i := range billing.Invoices {
		total := fmt.Sprintf("%d.%02d %s", i.Total/100, i.Total%100, strings.ToUpper(i.Currency))
		rows = append(rows, terminal.Row("invoice", names[i.Customer], total, i.Status, fmt.Sprintf("%d lines", len(i.Lines.Data))))
	}
	p.Table(2, rows...)
}

func printERP(p *terminal.Printer, state any) {
	var erp struct {
		Records []struct {
			Kind, Key, ID string
			Retired       bool
			Fields        map[string]any
		}
	}
	_ = convert(state, &erp)
	p.Printf("The ERP holds\n")
	var rows [][]terminal.Cell
	for _, record := range erp.Records {
		words := values(record.Fields)
		switch {
		case record.ID == "":
			words = append(words, "deleted before it ever came")
		case record.Retired:
			words = append(words, "retired")
		}
		rows = append(rows, terminal.Row(record.Kind, record.Key, strings.Join(words, " · ")))
	}
	p.Table(2, rows...)
}

func printReceiver(p *terminal.Printer, state any) {
	var receiver struct {
		Messages []struct {
			Type    string
			Repeats int
			Body    struct{ Data struct{ ID string } }
		}
	}
	if _ = convert(state, &receiver); len(receiver.Messages) == 0 {
		return
	}
	p.Printf("The webhook was told\n")
	var rows [][]terminal.Cell
	for _, m := range receiver.Messages {
		again := ""
		if m.Repeats > 0 {
			again = fmt.Sprintf("and %d times again", m.Repeats)
		}
		rows = append(rows, terminal.Row(m.Type, m.Body.Data.ID, again))
	}
	p.Table(2, rows...)
}

// labels are the number and status that the customer carries.
func labels(metadata map[string]string) []string {
	var all []string
	for _, name := range []string{"sf_number", "sf_status", "sf_website"} {
		if v := metadata[name]; v != "" {
			all = append(all, v)
		}
	}
	return all
}

// values are the fields that tell records apart for a reader.
func values(fields map[string]any) []string {
	var all []string
	for _, name := range []string{"name", "number", "status", "phone", "website", "email", "quantity", "unit"} {
		if v, ok := fields[name].(string); ok && v != "" {
			all = append(all, v)
		}
	}
	return all
}

func convert(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}
