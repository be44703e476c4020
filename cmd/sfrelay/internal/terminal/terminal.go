// Package terminal is how every command writes to people. Whatever a command prints may
// have come from a queue, a log or a file that others wrote, so the Printer escapes all
// text: nothing but its own colours can move the cursor, change colours or turn text around,
// and no value can add a line. Only JSON and Raw write bytes as they are. Tables fit the
// width of the terminal. Colour is only for a terminal, and never where NO_COLOR is set.
package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	defaultWidth = 80
	leastWidth   = 40
	noWidth      = math.MaxInt32 // of a pipe or a file: what reads it wants ids and lines whole
)

// Printer writes text. The first error of its writer stays; see Err.
type Printer struct {
	out    io.Writer
	width  int
	colour bool
	live   bool // a terminal
	err    error
}

// Open returns a Printer for a file, which may be a terminal.
func Open(f *os.File) *Printer {
	p := To(f)
	fd := int(f.Fd())
	if p.live = term.IsTerminal(fd); !p.live {
		return p
	}
	p.width = defaultWidth
	if width, _, err := term.GetSize(fd); err == nil && width > 0 {
		p.width = max(width, leastWidth)
	}
	p.colour = wantsColour()
	return p
}

// wantsColour follows https://no-color.org.
func wantsColour() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

// Sized returns a Printer that writes as for a terminal of that width, without colour: what
// the documents show.
func Sized(w io.Writer, width int) *Printer { return &Printer{out: w, width: width, live: false} }

// Status shows on a terminal, in the place of what it showed before, how far something is;
// nothing takes it away. Elsewhere it shows nothing.
func (p *Printer) Status(format string, args ...any) {
	if !p.live || os.Getenv("TERM") == "dumb" {
		return
	}
	shown := make([]any, len(args))
	for i, a := range args {
		shown[i] = escaped(a)
	}
	text := []rune(fmt.Sprintf(format, shown...))
	_ = p.Raw([]byte("\r\x1b[K" + string(text[:min(len(text), p.width-1)]))) // ours, and what is not is escaped
}

// To returns a Printer for what is no terminal.
func To(w io.Writer) *Printer { return &Printer{out: w, width: noWidth} }

// Err is the first error of writing.
func (p *Printer) Err() error { return p.err }

// Live reports whether it is a terminal that reads what is written.
func (p *Printer) Live() bool { return p.live }

// Write makes a Printer an io.Writer for text of several lines. It escapes all but line breaks.
func (p *Printer) Write(b []byte) (int, error) {
	lines := strings.Split(string(b), "\n")
	for i, line := range lines {
		lines[i] = Escape(line)
	}
	if err := p.Raw([]byte(strings.Join(lines, "\n"))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Raw writes bytes as they are: what programs read, and what was escaped before.
func (p *Printer) Raw(b []byte) error {
	_, err := p.out.Write(b)
	if err != nil && p.err == nil {
		p.err = err
	}
	return err
}

// JSON writes v as one line for machines.
func (p *Printer) JSON(v any) error {
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(v); err != nil {
		return err
	}
	return p.Raw(line.Bytes())
}

// Printf formats as package fmt does. A line break in an argument is escaped, one in the
// format is not.
func (p *Printer) Printf(format string, args ...any) {
	shown := make([]any, len(args))
	for i, a := range args {
		shown[i] = escaped(a)
	}
	fmt.Fprintf(p, format, shown...)
}

func escaped(a any) any {
	switch v := a.(type) {
	case error:
		return Escape(v.Error())
	case fmt.Stringer:
		return Escape(v.String())
	}
	if v := reflect.ValueOf(a); v.CanInt() || v.CanUint() || v.CanFloat() {
		return a
	}
	return Escape(fmt.Sprint(a))
}

// Error writes an error after the name of the program, each of several joined ones on a
// line of its own. An error with a method Lines has more lines than one.
func (p *Printer) Error(name string, err error) {
	for _, lines := range errorLines(err) {
		for i, line := range lines {
			prefix := "  "
			if i == 0 {
				prefix = name + ": "
			}
			p.wrapped(prefix, line)
		}
	}
}

// wrapped writes a line. On a terminal what does not fit goes on in an indented line, so
// that no value can be long enough to begin one.
func (p *Printer) wrapped(prefix, line string) {
	width := p.width - utf8.RuneCountInString(prefix)
	if !p.live || width < 1 {
		p.Printf("%s%s\n", prefix, line)
		return
	}
	for i, part := range wrap(Escape(line), width) {
		if i > 0 {
			prefix = "  "
		}
		p.Printf("%s%s\n", prefix, part)
	}
}

func errorLines(err error) [][]string {
	if several, ok := err.(interface{ Lines() []string }); ok {
		return [][]string{several.Lines()}
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all [][]string
		var texts []string
		for _, e := range joined.Unwrap() {
			all = append(all, errorLines(e)...)
			texts = append(texts, e.Error())
		}
		if strings.Join(texts, "\n") == err.Error() { // errors.Join, not fmt.Errorf
			return all
		}
	}
	return [][]string{{err.Error()}}
}

// Escape shows what is not graphic (control characters, line breaks, characters that
// change the direction of text, invalid UTF-8) as it is written in Go and JSON.
func Escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsGraphic(r):
			b.WriteString(s[i : i+size])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}
