package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quaint are words that readers of an error at night stumble over. Write correct, repair,
// should, recreate, happen.
var quaint = regexp.MustCompile(`(?i)\b(mend(s|ed|ing)?|ought|in vain|(be|been) had again|comes? about|lies? about)\b`)

// What the program says is plain: errors, help texts, and the descriptions of alarms.
func TestTextsArePlain(t *testing.T) {
	for _, root := range []string{"../cmd", "../shared", "../functions"} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool { // help texts are tags, which are literals too
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && quaint.MatchString(lit.Value) {
					t.Errorf("%s: %q in %s", set.Position(lit.Pos()), quaint.FindString(lit.Value), lit.Value)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	alarms := 0
	for _, file := range []string{"../template.yaml", "../Makefile"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			says := strings.Contains(line, "AlarmDescription:") || strings.Contains(line, "Says:")
			if says {
				alarms++
			}
			if (says || strings.Contains(line, "echo")) && quaint.MatchString(line) {
				t.Errorf("%s: %q in %s", file, quaint.FindString(line), line)
			}
		}
	}
	if alarms < 8 {
		t.Errorf("%d descriptions of alarms; has template.yaml another form?", alarms)
	}
}
