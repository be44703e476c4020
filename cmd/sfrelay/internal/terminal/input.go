package terminal

import (
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Input is where people answer.
type Input struct {
	in   io.Reader
	live bool // a terminal
}

// OpenInput returns an Input for a file, which may be a terminal.
func OpenInput(f *os.File) *Input { return &Input{f, term.IsTerminal(int(f.Fd()))} }

// Typed returns an Input that takes what it reads for typed by a person.
func Typed(r io.Reader) *Input { return &Input{r, true} }

// Live reports whether there is a terminal, and so somebody who can answer.
func (i *Input) Live() bool { return i != nil && i.live }

// Line is the next line, without its end; io.EOF where the input ends before the line
// does. It reads no further, and gives up when ctx ends.
func (i *Input) Line(ctx context.Context) (string, error) {
	const most = 1000 // no answer is as long
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // a read of a terminal cannot be cancelled; this one ends with the program
		var line strings.Builder
		b := make([]byte, 1)
		for line.Len() < most {
			if _, err := io.ReadFull(i.in, b); err != nil {
				answered <- answer{"", err}
				return
			}
			if b[0] == '\n' {
				break
			}
			line.WriteByte(b[0])
		}
		answered <- answer{strings.TrimSuffix(line.String(), "\r"), nil}
	}()
	select {
	case a := <-answered:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
