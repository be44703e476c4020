// Package newconsumer_test adds a consumer as README.md says, in a copy of the checkout.
package newconsumer_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

// step is one step of the README's "Add a consumer".
type step struct {
	file      string // that the README's step begins with
	do        func(c *checkout)
	forgotten string // what a failing test says without it
}

// renamed makes of what belongs to inventory-erp the same for returns-erp.
var renamed = strings.NewReplacer(
	"InventoryUpdate", "StockReturn", "InventoryERP", "ReturnsERP", "InventoryErp", "ReturnsErp", "inventory-erp", "returns-erp",
	"Inventory_Update__e", "Stock_Return__e", `, Sequence: "Sequence__c", Fields: "Fields__c"`, "", `KeyOf("stock"`, `KeyOf("return"`, "{Id: m5,", "{Id: m6,",
	"newShelf", "newCounter", "shelf", "counter", "onHand", "returned", "levels()", "returns()", "TestTheNewestQuantity", "TestTheNewestReturn",
	"TestWhatIsMissingOfALevel", "TestWhatIsMissingOfAReturn",
)

var steps = []step{
	{"functions/returns.go", func(c *checkout) {
		c.write("functions/returns.go", renamed.Replace(c.read("functions/inventory.go")))
		c.replace("functions/all.go", "		InventoryERP(p.Stock),\n", "		InventoryERP(p.Stock),\n		ReturnsERP(p.Stock),\n")
	}, "undefined: functions.ReturnsERP"},
	{"functions/returns-erp/main.go", func(c *checkout) {
		c.write("functions/returns-erp/main.go", renamed.Replace(c.read("functions/inventory-erp/main.go")))
	}, `consumer "returns-erp" has no functions/returns-erp/main.go`},
	{"functions/names.json", func(c *checkout) {
		c.replace("functions/names.json", `"inventory-erp": {},`, `"inventory-erp": {},`+"\n"+`  "returns-erp": {},`)
	}, `add "returns-erp" to names.json`},
	{"functions/returns_test.go", func(c *checkout) {
		c.write("functions/returns_test.go", renamed.Replace(c.read("functions/inventory_test.go")))
		c.replace("functions/holds_test.go", "	\"opportunity-billing\":", "	\"returns-erp\": func(t *testing.T) { consumertest.New(t, functions.ReturnsERP(newCounter())).Holds(returns()...) },\n	\"opportunity-billing\":")
	}, "no line of holds_test.go plays returns-erp"},
	{"events/51-stock-return.json", func(c *checkout) {
		ids := strings.NewReplacer("000000000034", "000000000051")
		c.write("events/51-stock-return.json", ids.Replace(renamed.Replace(c.read("events/34-inventory-first.json"))))
		want := strings.ReplaceAll(renamed.Replace(c.read("events/explain/34-inventory-first.json")), `"stock/`, `"return/`)
		c.write("events/explain/51-stock-return.json", ids.Replace(want))
	}, "returns-erp takes Stock_Return__e, and no file of events/ is one"},
	{"template.yaml", func(c *checkout) {
		c.write("template.yaml", withReturns(c.read("template.yaml")))
		c.write("functions/testdata/logical-ids.txt", withReturnsIDs(c.read("functions/testdata/logical-ids.txt")))
	}, "returns-erp takes [Stock_Return__e], and the rules of ReturnsErp in template.yaml bring []"},
	{"README.md", func(c *checkout) {
		row := regexp.MustCompile("(?m)^\\| `inventory-erp` .*\n").FindString(c.read("README.md"))
		c.replace("README.md", row, row+renamed.Replace(row))
	}, "returns-erp"},
}

// Half of a step is named as well.
var halves = []step{
	{"functions/all.go", func(c *checkout) { c.drop("functions/all.go", "		ReturnsERP(p.Stock),\n") }, "functions/returns-erp is no consumer of functions.All"},
	{"events/explain/51-stock-return.json", func(c *checkout) { c.remove("events/explain/51-stock-return.json") }, "write down what sfrelay explain --json shall say of it"},
	{"functions/testdata/logical-ids.txt", func(c *checkout) { c.drop("functions/testdata/logical-ids.txt", "AWS::Lambda::Function ReturnsErp\n") }, "AWS::Lambda::Function ReturnsErp is new"},
	{"the rule's detail-type", func(c *checkout) {
		c.replace("template.yaml", "Events: [Stock_Return__e]", "Events: [Inventory_Update__e]")
	}, "the rules of ReturnsErp in template.yaml bring [Inventory_Update__e]"},
}

// The README's steps are those that are played here, in the same order.
func TestTheREADMEHasTheSteps(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "\n## Add a consumer\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for _, m := range regexp.MustCompile("(?m)^\\d+\\. `([^`]+)`").FindAllStringSubmatch(section, -1) {
		got = append(got, m[1])
	}
	for _, s := range steps {
		want = append(want, s.file)
	}
	if !ok || !slices.Equal(got, want) {
		t.Errorf("the README's steps begin with %q, played are %q", got, want)
	}
}

// TestAddingAConsumer does what the README says, in a copy of this checkout, to a green
// make check ALL=1; then it forgets each step, and some test has to name it.
func TestAddingAConsumer(t *testing.T) {
	if testing.Short() {
		t.Skip("plays make check; run it without -short")
	}
	if tools, err := filepath.Glob(filepath.Join(root, ".cache", "python-*", ".complete")); err != nil || len(tools) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("the template's tools are not installed: run make tools")
		}
		t.Skip("the template's tools are not installed: run make tools")
	}
	c := newCheckout(t)
	for _, s := range steps {
		s.do(c)
	}
	if out, err := c.run("gofmt", "-w", "functions"); err != nil { // an author's editor does
		t.Fatal(out)
	}
	if out, err := c.run("make", "--no-print-directory", "check", "ALL=1"); err != nil {
		t.Fatalf("after all steps make check ALL=1 says\n%s", out)
	}
	for i, forgotten := range steps {
		t.Run("without "+forgotten.file, func(t *testing.T) {
			c.restore()
			for j, s := range steps {
				if j != i {
					s.do(c)
				}
			}
			c.named(t, forgotten.forgotten)
		})
	}
	for _, half := range halves {
		t.Run("without "+half.file, func(t *testing.T) {
			c.restore()
			for _, s := range steps {
				s.do(c)
			}
			half.do(c)
			c.named(t, half.forgotten)
		})
	}
}

// named runs the tests that look at consumers, which have to fail and say what is missing.
func (c *checkout) named(t *testing.T, says string) {
	t.Helper()
	const look = "^(TestEvery|TestNames|TestRules|TestLogicalIDs|TestTemplateKeeps|TestEvents$|TestTheReadme)"
	// The mutations of the template's rules take most of the time, and no consumer is named there.
	out, err := c.run("go", "test", "-short", "-skip", "^TestEveryRuleRefusesItsMutations$", "-run", look, "./functions/...", "./cmd/sfrelay/internal/explain", "./docs")
	if err == nil || !strings.Contains(out, says) {
		t.Errorf("no test says %q:\n%s", says, out)
	}
}

// inList is inventory-erp as the last of a list in one line.
var inList = regexp.MustCompile(`, !GetAtt InventoryErp[A-Za-z]*\.Arn\]`)

// withReturns writes in a template, wherever inventory-erp is named, the same for
// returns-erp.
func withReturns(template string) string {
	var out, block []string
	depth := -1
	for _, line := range append(strings.Split(template, "\n"), "") {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if depth >= 0 && line != "" && indent > depth {
			block = append(block, line)
			continue
		}
		if depth >= 0 { // the function or the row ends
			out = append(append(out, block...), renamed.Replace(strings.Join(block, "\n")))
			block, depth = nil, -1
		}
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "InventoryErp:"):
			block, depth = []string{line}, indent
		case strings.Contains(line, ", InventoryErp]"):
			out = append(out, strings.Replace(line, ", InventoryErp]", ", InventoryErp, ReturnsErp]", 1))
		case inList.MatchString(line):
			out = append(out, inList.ReplaceAllStringFunc(line, func(last string) string {
				last = strings.TrimSuffix(last, "]")
				return last + renamed.Replace(last) + "]"
			}))
		case strings.Contains(line, "InventoryErp"):
			out = append(out, line, renamed.Replace(line))
		default:
			out = append(out, line)
		}
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"
}

// withReturnsIDs adds the logical ids that the row of returns-erp makes.
func withReturnsIDs(ids string) string {
	lines := strings.Split(strings.TrimSpace(ids), "\n")
	for _, line := range lines {
		if strings.Contains(line, " InventoryErp") {
			lines = append(lines, renamed.Replace(line))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// checkout is a copy of this one, to be changed.
type checkout struct {
	t     *testing.T
	dir   string
	files map[string][]byte // as they were; nil: there was none
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	c := &checkout{t: t, dir: t.TempDir(), files: map[string][]byte{}}
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		source := filepath.Join(root, name)
		info, err := os.Stat(source)
		if os.IsNotExist(err) {
			continue // deleted, not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		c.put(name, b, info.Mode().Perm())
	}
	for _, tool := range []string{"python-*", "dynamodb-local-*", "clients-*", "cumulusci-*", "node-*"} {
		found, err := filepath.Glob(filepath.Join(root, ".cache", tool))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			target, err := filepath.EvalSymlinks(f)
			if err == nil {
				target, err = filepath.Abs(target)
			}
			if err == nil {
				err = os.MkdirAll(filepath.Join(c.dir, ".cache"), 0o755)
			}
			if err == nil {
				err = os.Symlink(target, filepath.Join(c.dir, ".cache", filepath.Base(f)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

func (c *checkout) put(name string, b []byte, mode os.FileMode) {
	c.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, b, mode); err != nil {
		c.t.Fatal(err)
	}
}

func (c *checkout) read(name string) string {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

func (c *checkout) keep(name string) {
	c.t.Helper()
	if _, kept := c.files[name]; kept {
		return
	}
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	c.files[name] = b
}

func (c *checkout) write(name, text string) {
	c.t.Helper()
	c.keep(name)
	c.put(name, []byte(text), 0o644)
}

func (c *checkout) replace(name, old, text string) {
	c.t.Helper()
	was := c.read(name)
	if old == "" || !strings.Contains(was, old) {
		c.t.Fatalf("%s has no %q to be replaced", name, old)
	}
	c.write(name, strings.Replace(was, old, text, 1))
}

func (c *checkout) drop(name, text string) { c.t.Helper(); c.replace(name, text, "") }

func (c *checkout) remove(name string) {
	c.t.Helper()
	c.keep(name)
	if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

// restore makes the copy what it was.
func (c *checkout) restore() {
	c.t.Helper()
	for name, b := range c.files {
		if b != nil {
			c.put(name, b, 0o644)
		} else if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
			c.t.Fatal(err)
		}
	}
	// Folders that only held what is gone would still be functions.
	_ = os.Remove(filepath.Join(c.dir, "functions", "returns-erp"))
	clear(c.files)
}

func (c *checkout) run(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "CGO_ENABLED=0") // as make check compiles
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return fmt.Sprint(out.String()), err
}
