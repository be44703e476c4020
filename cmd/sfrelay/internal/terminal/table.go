package terminal

import (
	"strings"
	"unicode/utf8"
)

// Style is how a cell looks where there is colour.
type Style string

// The styles. Their values are the parameters of the escape sequence (ECMA-48, SGR).
const (
	Plain  Style = ""
	Bold   Style = "1"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Cell is one cell of a table.
type Cell struct {
	Text  string
	Style Style
}

// Row is a row of plain cells.
func Row(texts ...string) []Cell {
	row := make([]Cell, len(texts))
	for i, text := range texts {
		row[i].Text = text
	}
	return row
}

// Heading is a row of bold cells.
func Heading(texts ...string) []Cell {
	row := Row(texts...)
	for i := range row {
		row[i].Style = Bold
	}
	return row
}

const gap = 2 // between columns

// Table writes rows in columns. Where they do not fit, the widest columns become narrower
// and their cells go on in the next line.
func (p *Printer) Table(indent int, rows ...[]Cell) {
	p.Rows(indent, p.Widths(indent, rows...), rows...)
}

// Widths are those of the columns of rows, for tables of which some rows come later.
func (p *Printer) Widths(indent int, rows ...[]Cell) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(Escape(cell.Text)))
		}
	}
	total := indent - gap
	for _, w := range widths {
		total += w + gap
	}
	for ; total > p.width; total-- {
		widest := 0
		for i, w := range widths {
			if w >= widths[widest] {
				widest = i
			}
		}
		if widths[widest] == 1 {
			break
		}
		widths[widest]--
	}
	return widths
}

// Rows writes rows in columns of these widths.
func (p *Printer) Rows(indent int, widths []int, rows ...[]Cell) {
	for _, row := range rows {
		cells := make([][]string, len(row))
		height := 0
		for i, cell := range row {
			cells[i] = wrap(Escape(cell.Text), max(1, widths[i]))
			height = max(height, len(cells[i]))
		}
		for y := range height {
			var line strings.Builder
			blank := indent
			for i, parts := range cells {
				part := ""
				if y < len(parts) {
					part = parts[y]
				}
				if part != "" {
					line.WriteString(strings.Repeat(" ", blank))
					line.WriteString(p.painted(row[i].Style, part))
					blank = 0
				}
				blank += widths[i] - utf8.RuneCountInString(part) + gap
			}
			_ = p.Raw([]byte(line.String() + "\n")) // the cells are escaped, the colours are ours; see Err
		}
	}
}

func (p *Printer) painted(s Style, text string) string {
	if !p.colour || s == Plain {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// wrap breaks a text into lines of at most width characters: at a space in the second half
// of the line, or after another separator there, or else anywhere.
func wrap(s string, width int) []string {
	r := []rune(strings.TrimRight(s, " "))
	var lines []string
	for len(r) > width {
		cut := width
		for _, at := range []func(i int) bool{
			func(i int) bool { return r[i] == ' ' },
			func(i int) bool { return strings.ContainsRune("-/,:;", r[i-1]) },
		} {
			i := width
			for i > width/2 && !at(i) {
				i--
			}
			if i > width/2 {
				cut = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(r[:cut]), " "))
		for cut < len(r) && r[cut] == ' ' {
			cut++
		}
		r = r[cut:]
	}
	return append(lines, string(r))
}
