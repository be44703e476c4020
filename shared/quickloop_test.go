package shared_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// aModule has packages that use each other like letters that follow each other: b uses a; c uses b in a test only; e has a
// file compiled in, and f uses it; lone is used by none.
var aModule = map[string]string{
	"go.mod":         "module m\n\ngo 1.26\n",
	"a/a.go":         "package a\n\nconst A = 1\n",
	"a/gone.go":      "package a\n",
	"a/a_test.go":    "package a_test\n",
	"b/b.go":         "package b\n\nimport \"m/a\"\n\nconst B = a.A\n",
	"c/c_test.go":    "package c_test\n\nimport \"m/b\"\n\nconst c int = b.B\n",
	"e/e.go":         "package e\n\nimport _ \"embed\"\n\n//go:embed text\nvar E string\n",
	"e/text":         "text",
	"e/other":        "text",
	"f/f.go":         "package f\n\nimport \"m/e\"\n\nvar F = e.E\n",
	"lone/lone.go":   "package lone\n",
	"lone/in/in.go":  "package in\n",
	"template.yaml":  "",
	".ci/ignored.go": "package main\n",
}

// make check tests everything but what only uses a change that is not committed. Of that it says at once what does not
// compile any more, each mistake once; the compiler says it of the rest.
func TestTheQuickLoop(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program; run it without -short")
	}
	program, dir := filepath.Join(t.TempDir(), "quick"), t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=.ci/tools.mod", "-o", program, ".ci/quick.go")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", args[0], err, out)
		}
	}
	quick := func() (tested, said string, err error) {
		var errs strings.Builder
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Dir, cmd.Stderr = dir, &errs
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir)) // no repository around it
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), errs.String(), err
	}
	for name, text := range aModule {
		write(name, text)
	}
	const all = "./a ./b ./c ./e ./f ./lone ./lone/in"
	if tested, said, err := quick(); err != nil || tested != all || said != "" {
		t.Errorf("without a repository: %s, %s, %v", tested, said, err)
	}
	git("init", "--quiet")
	git("add", "--all")
	git("commit", "--quiet", "--message", "test")
	for what, c := range map[string]struct {
		edit   map[string]string
		tested string
		edited string // "": nothing is left out
	}{
		"nothing":                     {nil, all, ""},
		"code":                        {map[string]string{"a/a.go": "package a\n\nconst A = 2\n"}, "./a ./e ./f ./lone ./lone/in", "(./a)"},
		"a file that is new":          {map[string]string{"a/new.go": "package a\n"}, "./a ./e ./f ./lone ./lone/in", "(./a)"},
		"a file that is gone":         {map[string]string{"a/gone.go": "gone"}, "./a ./e ./f ./lone ./lone/in", "(./a)"},
		"what is used, and its user":  {map[string]string{"a/new.go": "package a\n", "b/new.go": "package b\n"}, "./a ./b ./e ./f ./lone ./lone/in", "(./a, ./b)"},
		"what is used, and a test":    {map[string]string{"a/new.go": "package a\n", "c/c_test.go": "package c_test\n"}, "./a ./c ./e ./f ./lone ./lone/in", "(./a)"},
		"what is used, and its data":  {map[string]string{"a/new.go": "package a\n", "b/testdata/in/x": ""}, "./a ./b ./e ./f ./lone ./lone/in", "(./a)"},
		"a file that is compiled in":  {map[string]string{"e/text": "another"}, "./a ./b ./c ./e ./lone ./lone/in", "(./e)"},
		"a file that is not":          {map[string]string{"e/other": "another", "template.yaml": "a: b\n"}, all, ""},
		"a test":                      {map[string]string{"a/a_test.go": "package a_test\n\nconst x = 1\n"}, all, ""},
		"what nobody uses":            {map[string]string{"lone/lone.go": "package lone\n\nconst L = 1\n", ".ci/ignored.go": "package main\n\n"}, all, ""},
		"a package that is new":       {map[string]string{"new/new.go": "package new\n", "new/new_test.go": "package new_test\n\nimport _ \"m/a\"\n"}, all + " ./new", ""},
		"a name with a space and ü":   {map[string]string{"e/an ü.go": "package e\n"}, "./a ./b ./c ./e ./lone ./lone/in", "(./e)"},
		"a rename":                    {map[string]string{"a/gone.go": "gone", "lone/gone.go": "package lone\n"}, "./a ./e ./f ./lone ./lone/in", "(./a, ./lone)"},
		"a type's mistake of a user":  {map[string]string{"a/a.go": "package a\n\nconst A = `one`\n"}, "", "c/c_test.go:5:15"},
		"a type's mistake, twice met": {map[string]string{"a/a.go": "package a\n\nvar A int = ``\n"}, "", "a/a.go:3:13"},
		"half a file":                 {map[string]string{"a/a.go": "package a\n\nfunc"}, "", "expected '('"},
	} {
		for name, text := range c.edit {
			if text == "gone" {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			} else {
				write(name, text)
			}
		}
		tested, said, err := quick()
		left := len(strings.Fields(all)) - len(strings.Fields(tested))
		saysWhy := strings.Contains(said, c.edited) && strings.Contains(said, "make check ALL=1") && strings.Contains(said, fmt.Sprintf("packages: %d;", left))
		switch {
		case (err != nil) != (c.tested == "") || tested != c.tested:
			t.Errorf("%s: tested are %s, want %s; %v, %s", what, tested, c.tested, err, said)
		case err != nil && strings.Count(said, c.edited) != 1:
			t.Errorf("%s: want one line about %s\n%s", what, c.edited, said)
		case err == nil && c.edited == "" && said != "":
			t.Errorf("%s: it says %s", what, said)
		case err == nil && c.edited != "" && !saysWhy:
			t.Errorf("%s, %d left out: it says %s", what, left, said)
		}
		git("add", "--all")
		git("reset", "--quiet", "--hard")
	}
}
