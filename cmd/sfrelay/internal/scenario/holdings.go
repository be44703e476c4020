package scenario

import (
	"encoding/json"
	"fmt"
	"strings"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// printHoldings writes what the sinks hold, as far as a reader wants to see it.
func (r *Result) printHoldings(p *terminal.Printer) {
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
	var erp struct {
		Records []struct {
			Kind, Key, ID string
			Retired       bool
			Fields        map[string]any
		}
	}
	// Both states were decoded from JSON: what does not fit is shown empty.
	_ = convert(r.Billing, &billing)
	_ = convert(r.ERP, &erp)

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
	p.Printf("The ERP holds\n")
	rows = nil
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
	p.Printf("\n")
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
