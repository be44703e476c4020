package terminal

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLinesAreReadOneByOne(t *testing.T) {
	rest := strings.NewReader("yes\r\nsecond\nno end")
	in := Typed(rest)
	for _, want := range []string{"yes", "second"} {
		if got, err := in.Line(t.Context()); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if got, err := in.Line(t.Context()); got != "" || !errors.Is(err, io.EOF) {
		t.Errorf("a line without an end: %q, %v", got, err)
	}
	if got, err := Typed(strings.NewReader(strings.Repeat("y", 5000))).Line(t.Context()); len(got) > 1000 || err != nil {
		t.Errorf("%d characters of a line without an end, %v", len(got), err)
	}
}

// Who waits for an answer can be interrupted.
func TestALineIsGivenUp(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Typed(r).Line(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOnlyATerminalAnswers(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var none *Input
	for name, in := range map[string]*Input{"a file": OpenInput(f), "a pipe": OpenInput(r), "nothing": OpenInput(null), "none": none} {
		if in.Live() {
			t.Errorf("%s is a terminal", name)
		}
	}
}
