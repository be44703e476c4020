package scenario

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Print writes the result as a table for people.
func (r *Result) Print(w io.Writer) {
	r.printEvents(w)
	r.printHoldings(w)
	for _, name := range []string{"delivery", "failure"} {
		messages := r.Queues[name]
		if len(messages) == 0 {
			fmt.Fprintf(w, "%s queue: empty\n", name)
			continue
		}
		fmt.Fprintf(w, "%s queue: %d\n", name, len(messages))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, m := range messages {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", m.Event, m.Consumer, m.Class, m.Form)
		}
		_ = t.Flush()
	}
	fmt.Fprintln(w)
}

func (r *Result) printEvents(w io.Writer) {
	lines := [][]string{{"#", "what it is", "verdicts", "event"}}
	open := false
	for _, row := range r.Rows {
		open = open || row.open()
		lines = append(lines, []string{fmt.Sprint(row.Number), row.What, row.verdicts(r.Consumers), row.Name})
	}
	widths := make([]int, len(lines[0]))
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for i, cells := range lines {
		if i > 0 && r.Rows[i-1].Say != "" {
			fmt.Fprintf(w, "\n%s\n", r.Rows[i-1].Say)
		}
		for j, c := range cells {
			cells[j] = c + strings.Repeat(" ", widths[j]-utf8.RuneCountInString(c))
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "  "), " "))
	}
	fmt.Fprintln(w)
	if open {
		fmt.Fprintf(w, "* which one of several concurrent changes comes first decides; the result is the same.\n\n")
	}
}

func (row Row) open() bool {
	for _, cell := range row.Verdicts {
		if cell.Open {
			return true
		}
	}
	return false
}

// verdicts says what came of the event, e.g. "applied: customer-billing, customer-erp".
func (row Row) verdicts(consumers []string) string {
	var texts []string
	by := map[string][]string{} // text -> consumers
	for _, consumer := range consumers {
		cell, ok := row.Verdicts[consumer]
		if !ok {
			continue
		}
		text := cell.Text
		switch {
		case cell.Wrong && text == "":
			text = "✘ nothing"
		case cell.Wrong:
			text = "✘ " + text
		case cell.Open:
			text += " *"
		}
		if by[text] == nil {
			texts = append(texts, text)
		}
		by[text] = append(by[text], consumer)
	}
	if len(texts) == 0 {
		return "no rule takes it"
	}
	for i, text := range texts {
		texts[i] = text + ": " + strings.Join(by[text], ", ")
	}
	return strings.Join(texts, "; ")
}
