package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// otherMeanings says of words that are spelt like one of ours what they are.
var otherMeanings = map[string]string{
	"shared/transport/transport.go parked":            "a form of a message",
	"cmd/sfrelay/internal/explain/print.go parked":    "the same form, in words",
	"shared/guard/again.go unknown":                   "whether the content of a duplicate differs",
	"shared/guard/record.go unknown":                  "a status of an item",
	"shared/guard/internal/sim/world.go zombie":       "a fault",
	"shared/sandbox/faults/faults.go throttled":       "a fault",
	"shared/sandbox/erp/sandbox.go throttled":         "a problem's type in the HTTP contract",
	"cmd/sfrelay/internal/explain/explain.go unknown": "the name of an error",
	"cmd/sfrelay/main.go unknown":                     "a version of the command line",
	"shared/salesforce/read.go probe":                 "the mark of such an event",
	"cmd/sfrelay/probe.go probe":                      "the same mark, written",
	"cmd/sfrelay/send.go probe":                       "the same, counted",
	"cmd/sfrelay/internal/explain/print.go probe":     "the same mark, in words",
}

// expecting are kits whose words are expected values, written by hand as in a test file.
var expecting = []string{"guardtest", "sinktest"}

// The words for what became of a change have one home. Written out elsewhere, one of
// them would not be found when it is looked for, nor checked when it is mistyped.
func TestVerdictsAndClassesAreWrittenOnce(t *testing.T) {
	home, err := parser.ParseFile(token.NewFileSet(), "../shared/verdict/verdict.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	ast.Inspect(home, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Type != nil {
			for _, v := range spec.Values {
				words[literal(v)] = true
			}
		}
		return true
	})
	const verdicts, classes = 11, 19
	if len(words) != verdicts+classes-1 { // busy is both
		t.Fatalf("%d words in package verdict", len(words))
	}
	unused := maps.Clone(otherMeanings)
	for _, root := range []string{"../shared", "../functions", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && slices.Contains(expecting, d.Name()) {
				return filepath.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			if name == "shared/verdict/verdict.go" {
				return nil
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				e, _ := n.(ast.Expr)
				word := literal(e)
				if !words[word] && !strings.HasPrefix(word, "permanent/") {
					return true
				}
				if _, ok := otherMeanings[name+" "+word]; ok {
					delete(unused, name+" "+word)
					return true
				}
				t.Errorf("%s:%d: %q: take it from package verdict", name, set.Position(n.Pos()).Line, word)
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for what := range unused {
		t.Errorf("otherMeanings has %q, which is nowhere", what)
	}
}

// literal is the text of a string literal, empty for everything else.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}
