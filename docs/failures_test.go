package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every class that the code can write on a message is explained in failures.md, and
// nothing is explained that no code writes.
func TestEveryFailureIsExplained(t *testing.T) {
	b, err := os.ReadFile("reference/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(string(b), -1) {
		for _, m := range regexp.MustCompile("`([a-z0-9/-]+)`").FindAllStringSubmatch(row[1], -1) {
			explained[strings.TrimPrefix(m[1], "permanent/")] = true
		}
	}
	written := classes(t, "../shared", "../functions")
	if len(written) < 50 {
		t.Fatalf("only %d classes found in the code: %q", len(written), written)
	}
	for _, c := range written {
		if !explained[c] {
			t.Errorf("failures.md says nothing of %q", c)
		}
		delete(explained, c)
	}
	for c := range explained {
		t.Errorf("failures.md explains %q, which no code writes", c)
	}
}

// namedBy are the functions that take a class's name, and as which argument.
var namedBy = map[string]int{"Permanent": 0, "Refuse": 0, "refuse": 0, "refused": 0, "unfit": 0, "no": 0, "broken": 1}

// kits are folders that no function links.
var kits = []string{"sandbox", "sinktest", "consumertest", "guardtest", "sim", "bench", "testdata"}

// classes finds them where they are written: the constants of type Class, names handed
// to those functions, and those put into an Error or a fieldError.
func classes(t *testing.T, roots ...string) []string {
	t.Helper()
	var found []string
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(s) {
				found = append(found, s)
			}
		}
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && slices.Contains(kits, d.Name()) {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Class" {
						for _, v := range n.Values {
							add(v)
						}
					}
				case *ast.CallExpr:
					name := ""
					switch f := n.Fun.(type) {
					case *ast.Ident:
						name = f.Name
					case *ast.SelectorExpr:
						name = f.Sel.Name
					}
					if i, ok := namedBy[name]; ok && len(n.Args) > i {
						add(n.Args[i])
					}
				case *ast.CompositeLit:
					id, ok := n.Type.(*ast.Ident)
					if !ok || len(n.Elts) == 0 {
						return true
					}
					switch first := n.Elts[0].(type) {
					case *ast.BasicLit:
						if id.Name == "Error" {
							add(first)
						}
					case *ast.KeyValueExpr:
						if id.Name == "fieldError" {
							add(first.Value)
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
