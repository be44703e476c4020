package scenario

import (
	"fmt"
	"strings"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// Print writes the result as a table for people.
func (r *Result) Print(p *terminal.Printer) {
	r.printEvents(p)
	r.printHoldings(p)
	for _, name := range []string{"delivery", "failure"} {
		messages := r.Queues[name]
		if len(messages) == 0 {
			p.Printf("%s queue: empty\n", name)
			continue
		}
		p.Printf("%s queue: %d\n", name, len(messages))
		var rows [][]terminal.Cell
		for _, m := range messages {
			rows = append(rows, terminal.Row(m.Event, m.Consumer, string(m.Class), m.Form))
		}
		p.Table(2, rows...)
	}
	for _, o := range r.Outages {
		p.Printf("%s was out of order for %.0f s and got %d requests meanwhile\n", o.Sink, o.Lasted.Seconds(), o.Calls)
	}
	p.Printf("\n")
}

func (r *Result) printEvents(p *terminal.Printer) {
	rows := [][]terminal.Cell{terminal.Heading("#", "what it is", "verdicts", "event")}
	open := false
	for _, row := range r.Rows {
		open = open || row.open()
		cells := terminal.Row(fmt.Sprint(row.Number), row.What, row.verdicts(r.Consumers), row.Name)
		if row.wrong() {
			cells[2].Style = terminal.Red
		}
		rows = append(rows, cells)
	}
	widths := p.Widths(0, rows...)
	for i, cells := range rows {
		if i > 0 && r.Rows[i-1].Say != "" {
			p.Printf("\n%s\n", r.Rows[i-1].Say)
		}
		p.Rows(0, widths, cells)
	}
	p.Printf("\n")
	if open {
		p.Printf("* which one of several concurrent changes comes first decides; the result is the same.\n\n")
	}
}

func (row Row) wrong() bool {
	for _, cell := range row.Verdicts {
		if cell.Wrong {
			return true
		}
	}
	return false
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
