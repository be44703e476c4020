package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for s, want := range map[string]string{
		"":                               "",
		"Grüße, 漢字 · “é” 🙂 \\":           "Grüße, 漢字 · “é” 🙂 \\",
		"a\x1b[2Jb\x00\a\x7f":            `a\u001b[2Jb\u0000\u0007\u007f`,
		"a\nb\tc\rd":                     `a\nb\tc\rd`,
		"\u009b\u202e\u2066":             `\u009b\u202e\u2066`,
		"\u200e\u200f\u061c\ufeff\u2028": `\u200e\u200f\u061c\ufeff\u2028`,
		"\xff\xc3(":                      `\xff\xc3(`,
		"\U000e0001":                     `\U000e0001`,
		"\ufffd":                         "\ufffd",
	} {
		if got := Escape(s); got != want {
			t.Errorf("%q is %s, want %s", s, got, want)
		}
	}
}

type name string

func TestPrintfEscapesEveryArgument(t *testing.T) {
	var out bytes.Buffer
	To(&out).Printf("%s %s %v %d %v %s\n", name("a\nb"), errors.New("\x1b"), []string{"\a"}, 5, 1.5, struct{ a string }{"\x00"})
	if want := `a\nb \u001b [\u0007] 5 1.5 {\u0000}` + "\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// Others write too, such as the parser of the command line: theirs is text of several lines.
func TestWriteEscapesAllButLineBreaks(t *testing.T) {
	var out bytes.Buffer
	p := To(&out)
	if n, err := fmt.Fprint(p, "a\x1b[2J\tb\r\nc\u202e\n"); n != 14 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if want := "a\\u001b[2J\\tb\\r\nc\\u202e\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	if err := errors.Join(p.JSON("\u202e\x1b"), p.Raw([]byte("\x1b\xff"))); err != nil {
		t.Error(err)
	}
	if want := "\"\u202e\\u001b\"\n\x1b\xff"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestTableFits(t *testing.T) {
	rows := [][]Cell{
		Row("MESSAGE", "CLASS", "WHY"),
		Row("aaaaaaaa", "throttled", strings.Repeat("word ", 40)),
		Row("b", strings.Repeat("x", 200), ""),
		Row("", "", "漢字 and so on"),
	}
	for width := leastWidth; width < 200; width++ {
		var out bytes.Buffer
		p := To(&out)
		p.width = width
		p.Table(2, rows...)
		for line := range strings.SplitSeq(out.String(), "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Fatalf("at %d: %q", width, line)
			}
		}
		if n := strings.Count(out.String(), "x"); n != 200 {
			t.Fatalf("at %d: %d of 200", width, n)
		}
	}
}

// What is piped into grep or a file keeps every row, and every id, in one line.
func TestNoTerminalHasNoWidth(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id := strings.Repeat("x-", 500)
	Open(f).Table(2, Row("MESSAGE", "WHY"), Row(id, "a b"))
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if want := "  MESSAGE" + strings.Repeat(" ", len(id)-len("MESSAGE")+gap) + "WHY\n  " + id + "  a b\n"; string(got) != want {
		t.Errorf("%q", got)
	}
}

func TestWrap(t *testing.T) {
	for s, want := range map[string]string{
		"the ERP answered 503":  "the ERP|answered|503",
		"customer-billing":      "customer-|billing",
		"aaaaaaaaaaaaaaaaaaaaa": "aaaaaaaaaa|aaaaaaaaaa|a",
		"short":                 "short",
	} {
		if got := strings.Join(wrap(s, 10), "|"); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	p := To(&out)
	p.Table(0, []Cell{{"a", Red}, {"b", Plain}})
	if out.String() != "a  b\n" {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	p.colour = true
	p.Table(0, []Cell{{"a\x1b", Red}, {"b", Plain}})
	if out.String() != "\x1b[31ma\\u001b\x1b[0m  b\n" {
		t.Errorf("%q", out.String())
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p := Open(f); p.colour || p.live {
		t.Errorf("a file is %+v", p)
	}
	for _, env := range []map[string]string{{"NO_COLOR": "1", "TERM": "xterm"}, {"NO_COLOR": "", "TERM": "dumb"}} {
		for name, value := range env {
			t.Setenv(name, value)
		}
		if wantsColour() {
			t.Errorf("colour with %v", env)
		}
	}
	t.Setenv("TERM", "xterm")
	if !wantsColour() {
		t.Error("no colour on a terminal")
	}
}

type lines []string

func (l lines) Lines() []string { return l }
func (l lines) Error() string   { return strings.Join(l, "\n") }

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("a\nb"), "x: a\\nb\n"},
		{errors.Join(errors.New("a"), errors.Join(errors.New("b"), errors.New("c\n"))), "x: a\nx: b\nx: c\\n\n"},
		{fmt.Errorf("%w and %w", errors.New("a"), errors.New("b")), "x: a and b\n"},
		{lines{"two:", "a", "b\x1b"}, "x: two:\n  a\n  b\\u001b\n"},
	} {
		var out bytes.Buffer
		To(&out).Error("x", test.err)
		if out.String() != test.want {
			t.Errorf("%q, want %q", out.String(), test.want)
		}
	}
	var out bytes.Buffer
	p := To(&out)
	p.live, p.width = true, leastWidth
	p.Error("x", errors.New(strings.Repeat("y", 100)))
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if len(line) > leastWidth || i > 0 && !strings.HasPrefix(line, "  ") {
			t.Errorf("%q", line)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestErrStays(t *testing.T) {
	p := To(failing{})
	p.Printf("a")
	p.Table(0, Row("b"))
	if p.Err() == nil || p.Err().Error() != "disk full" {
		t.Error(p.Err())
	}
}
