package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sfrelay/functions"
)

// The README's table of consumers says what the definitions say: the names, and the
// events of each.
func TestTheReadmeListsEveryConsumer(t *testing.T) {
	want := map[string][]string{}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		for _, s := range d.Sources {
			want[d.Name] = append(want[d.Name], s.DetailType)
		}
	}
	for _, wrong := range tableMistakes(read(t, "../README.md"), want) {
		t.Error(wrong)
	}
}

func tableMistakes(readme string, want map[string][]string) (wrong []string) {
	_, table, ok := strings.Cut(readme, "\n| consumer | takes | keeps true |\n| --- | --- | --- |\n")
	if !ok {
		return []string{"README.md has no table with the columns consumer, takes, keeps true"}
	}
	listed := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			break // the table's end
		}
		name := strings.Trim(cells[1], " `")
		events, ok := want[name]
		if !ok || listed[name] {
			wrong = append(wrong, fmt.Sprintf("README.md: the table has a row for %q too many", name))
			continue
		}
		listed[name] = true
		var said []string
		for _, e := range strings.Split(cells[2], ",") {
			said = append(said, strings.Trim(e, " `"))
		}
		slices.Sort(said)
		events = slices.Sorted(slices.Values(events))
		if !slices.Equal(said, events) {
			wrong = append(wrong, fmt.Sprintf("README.md: the table says that %s takes %s; it takes %s", name, strings.Join(said, ", "), strings.Join(events, ", ")))
		}
		if strings.TrimSpace(cells[3]) == "" {
			wrong = append(wrong, fmt.Sprintf("README.md: the table does not say what %s keeps true", name))
		}
	}
	for name, events := range want {
		if !listed[name] {
			wrong = append(wrong, fmt.Sprintf("README.md: the table of consumers has no row for %s: add | `%s` | `%s` | … |", name, name, strings.Join(events, "`, `")))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestTheTableIsReadStrictly(t *testing.T) {
	const head = "\n| consumer | takes | keeps true |\n| --- | --- | --- |\n"
	want := map[string][]string{"a-b": {"X__e", "YChangeEvent"}}
	for _, tc := range []struct{ readme, says string }{
		{head + "| `a-b` | `YChangeEvent`, `X__e` | it |\n", ""},
		{"nothing", "has no table"},
		{head, "has no row for a-b: add | `a-b` | `X__e`, `YChangeEvent` | … |"},
		{head + "| `a-b` | the same | it |\n", "says that a-b takes the same; it takes X__e, YChangeEvent"},
		{head + "| `a-b` | `X__e`, `YChangeEvent` | |\n", "does not say what a-b keeps true"},
		{head + "| `a-b` | `X__e`, `YChangeEvent` | it |\n| `c` | `X__e` | it |\n", `a row for "c" too many`},
	} {
		got := strings.Join(tableMistakes(tc.readme, want), "\n")
		if tc.says == "" && got != "" || !strings.Contains(got, tc.says) {
			t.Errorf("of %q it says %q, want %q", tc.readme, got, tc.says)
		}
	}
}

// The consumer that the README shows is functions/inventory.go, from its first type on:
// the compiler reads it, and the tests play it.
func TestTheReadmeShowsAConsumer(t *testing.T) {
	const file = "../functions/inventory.go"
	source := read(t, file)
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(parsed.Decls, func(d ast.Decl) bool { g, ok := d.(*ast.GenDecl); return ok && g.Tok == token.TYPE })
	if i < 0 {
		t.Fatalf("%s has no type", file)
	}
	first := parsed.Decls[i].(*ast.GenDecl)
	begin := first.Pos()
	if first.Doc != nil {
		begin = first.Doc.Pos()
	}
	want := source[set.Position(begin).Offset:]
	_, after, ok := strings.Cut(read(t, "../README.md"), "<!-- functions/inventory.go from its first type on")
	_, after, ok2 := strings.Cut(after, "```go\n")
	got, _, ok3 := strings.Cut(after, "```\n<!-- end of functions/inventory.go -->")
	if !ok || !ok2 || !ok3 {
		t.Fatal("README.md has no Go block between the marks of functions/inventory.go")
	}
	if got != want {
		t.Errorf("README.md shows another consumer than functions/inventory.go; replace its Go block with\n%s", want)
	}
}

var shown = regexp.MustCompile("(?ms)^(<!-- from ([^ ]+) -->\n)?```go\n(.*?)^```")

// Every other Go block of the documents for tasks stands in the file that is named above
// it, so that it compiles.
func TestGoInTheDocumentsIsCode(t *testing.T) {
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, name := range documents {
		text := read(t, name)
		for _, m := range shown.FindAllStringSubmatchIndex(text, -1) {
			blocks++
			line := 1 + strings.Count(text[:m[6]], "\n")
			if m[4] < 0 {
				t.Errorf("docs/%s:%d: no file is named above this Go block: write <!-- from FILE --> there", name, line)
				continue
			}
			file := text[m[4]:m[5]]
			if block := text[m[6]:m[7]]; !strings.Contains(read(t, filepath.Join("..", file)), block) {
				t.Errorf("docs/%s:%d: %s has no such lines:\n%s", name, line, file, block)
			}
		}
	}
	if blocks < 5 {
		t.Fatalf("only %d Go blocks found", blocks)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
