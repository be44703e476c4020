package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printHoldings writes what the sinks hold, as far as a reader wants to see it.
func (r *Result) printHoldings(w io.Writer) {
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

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Billing holds")
	names := map[string]string{}
	for _, c := range billing.Customers {
		names[c.ID] = c.Name
		fmt.Fprintf(t, "  customer\t%s\t%s\t%s\t%s\n", c.Name, c.Email, c.Phone, strings.Join(labels(c.Metadata), " "))
	}
	for _, i := range billing.Invoices {
		fmt.Fprintf(t, "  invoice\t%s\t%d.%02d %s\t%s\t%d lines\n",
			names[i.Customer], i.Total/100, i.Total%100, strings.ToUpper(i.Currency), i.Status, len(i.Lines.Data))
	}
	_ = t.Flush()
	fmt.Fprintln(w, "The ERP holds")
	for _, record := range erp.Records {
		words := values(record.Fields)
		switch {
		case record.ID == "":
			words = append(words, "deleted before it ever came")
		case record.Retired:
			words = append(words, "retired")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", record.Kind, record.Key, strings.Join(words, " · "))
	}
	_ = t.Flush()
	fmt.Fprintln(w)
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
