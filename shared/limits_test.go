package shared_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// No file of the product is longer than one sitting, no function than one screen. What
// grows beyond has more than one idea: cut it along them.
const (
	mostLines         = 500 // of a file
	mostFunctionLines = 60
)

// unlimited are folders that no function and no operator links: kits, proofs, and
// systems to break. Their scripts of cases read best in one piece.
var unlimited = []string{
	"shared/consumer/consumertest",
	"shared/erp/sinktest",
	"shared/guard/dynamo/dynamotest",
	"shared/guard/guardtest",
	"shared/guard/internal",
	"shared/notify/receivertest",
	"shared/sandbox",
}

func TestFilesAndFunctionsStayShort(t *testing.T) {
	files := 0
	for _, root := range []string{"shared", "functions", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			if d.IsDir() && (d.Name() == "testdata" || slices.Contains(unlimited, name)) {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			files++
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found, err := tooLong(name, src)
			for _, f := range found {
				t.Error(f)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 60 {
		t.Fatalf("only %d files found", files)
	}
}

func TestTheLimitsHold(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\t_ = 0\n", n) }
	for _, c := range []struct {
		name, src string
		want      int
	}{
		{"a function of 60 lines", "package p\n\nfunc f() {\n" + lines(58) + "}\n", 0},
		{"a function of 61", "package p\n\nfunc f() {\n" + lines(59) + "}\n", 1},
		{"a method of 61", "package p\n\nfunc (t) f() {\n" + lines(59) + "}\n", 1},
		{"a file of 500", "package p\n" + strings.Repeat("\n", 499), 0},
		{"a file of 501", "package p\n" + strings.Repeat("\n", 500), 1},
	} {
		got, err := tooLong("p.go", []byte(c.src))
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// tooLong names what is over a limit.
func tooLong(name string, src []byte) (found []string, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, src, 0)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(src), "\n"); n > mostLines {
		found = append(found, fmt.Sprintf("%s: %d lines, at most %d", name, n, mostLines))
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from := set.Position(f.Pos()).Line
		if n := set.Position(f.End()).Line - from + 1; n > mostFunctionLines {
			found = append(found, fmt.Sprintf("%s:%d: %s has %d lines, at most %d", name, from, f.Name.Name, n, mostFunctionLines))
		}
	}
	return found, nil
}
