package shared_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutant is one line of the product, broken, and the test that has to notice.
type mutant struct {
	name     string
	file     string // below shared
	old, new string // old stands in the file exactly once
	test     string // of the file's folder
	protects string // what is lost without that line
	same     string // instead of test and protects: why nobody can notice
}

const (
	mostOfOne    = 10 * time.Minute // with compiling, beside a whole test run
	mostOfSample = 45 * time.Second // no mutant is begun later
)

// TestMutants compares the list with the code. What it does beyond, the environment says:
//
//	MUTANTS=all          tries every mutant
//	MUTANTS=sample       tries one after the other from different folders, for 45 seconds
//	MUTANTS="name name"  tries these
//
// The tree is left alone: the compiler gets the broken file as an overlay.
func TestMutants(t *testing.T) {
	wanted := os.Getenv("MUTANTS")
	chosen := chosenMutants(t, wanted)
	broken := make(map[string]string, len(chosen)) // by name
	for _, m := range mutants {
		src, err := m.broken()
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		broken[m.name] = src
	}
	if t.Failed() || wanted == "" {
		return
	}
	soundTests(t, chosen)
	began := time.Now()
	killed, same, lived := 0, 0, []string{}
	for _, m := range chosen {
		if wanted == "sample" && time.Since(began) > mostOfSample {
			break
		}
		from := time.Now()
		by, err := m.try(t, broken[m.name])
		took := time.Since(from).Round(time.Second)
		switch {
		case t.Context().Err() != nil:
			t.Fatal("interrupted")
		case err != nil:
			t.Errorf("%s: %v", m.name, err)
		case m.same != "" && by == "":
			same++
			fmt.Printf("same    %s (%s): %s\n", m.name, took, m.same)
		case m.same != "":
			t.Errorf("%s is said to change nothing, and %s notices: let it name that test", m.name, by)
		case by == "":
			lived = append(lived, m.name)
			fmt.Printf("LIVED   %s (%s): %s lets it pass; %s\n", m.name, took, m.test, m.protects)
		default:
			killed++
			fmt.Printf("killed  %s (%s) by %s\n", m.name, took, by)
		}
	}
	fmt.Printf("%d mutants of shared/: %d killed, %d change nothing, %d lived\n", killed+same+len(lived), killed, same, len(lived))
	for _, name := range lived {
		t.Errorf("no test notices %s: MUTANTS=%s go test -run TestMutants ./shared", name, name)
	}
}

// chosenMutants are those to try, those of one folder apart from each other.
func chosenMutants(t *testing.T, wanted string) []mutant {
	t.Helper()
	if wanted == "" || wanted == "all" {
		return mutants
	}
	var chosen []mutant
	if wanted == "sample" {
		byFolder, most := map[string][]mutant{}, 0
		var folders []string
		for _, m := range mutants {
			f := m.folder()
			if byFolder[f] == nil {
				folders = append(folders, f)
			}
			byFolder[f] = append(byFolder[f], m)
			most = max(most, len(byFolder[f]))
		}
		for i := range most {
			for _, f := range folders {
				if i < len(byFolder[f]) && byFolder[f][i].same == "" {
					chosen = append(chosen, byFolder[f][i])
				}
			}
		}
		return chosen
	}
	for _, name := range strings.Fields(wanted) {
		i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == name })
		if i < 0 {
			t.Fatalf("there is no mutant %q", name)
		}
		chosen = append(chosen, mutants[i])
	}
	return chosen
}

// folder is the package, as go test wants it.
func (m mutant) folder() string { return "./" + filepath.ToSlash(filepath.Dir(m.file)) }

// broken is the file with its line broken.
func (m mutant) broken() (string, error) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	switch n := strings.Count(string(src), m.old); {
	case n != 1:
		return "", fmt.Errorf("%q stands in shared/%s %d times, not once: state it against the code of today", m.old, m.file, n)
	case m.same == "" && (m.test == "" || m.protects == ""), m.same != "" && m.test != "":
		return "", errors.New("it needs a test and what that protects, or why it changes nothing")
	case m.old == m.new:
		return "", errors.New("nothing is broken")
	}
	return strings.Replace(string(src), m.old, m.new, 1), nil
}

// soundTests runs the named tests on the code as it is: what fails anyway kills nobody.
func soundTests(t *testing.T, chosen []mutant) {
	t.Helper()
	byFolder := map[string][]string{}
	for _, m := range chosen {
		if m.test != "" && !slices.Contains(byFolder[m.folder()], m.test) {
			byFolder[m.folder()] = append(byFolder[m.folder()], m.test)
		}
	}
	for folder, tests := range byFolder {
		out, err := goTest(t, folder, tests, "", mostOfOne)
		for _, name := range tests {
			if !strings.Contains(out, "=== RUN   "+name+"\n") {
				t.Fatalf("%s has no test %s", folder, name)
			}
		}
		if err != nil {
			t.Fatalf("%s fails without any mutant:\n%s", folder, out)
		}
	}
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// try says which test notices; empty: none.
func (m mutant) try(t *testing.T, src string) (by string, err error) {
	t.Helper()
	dir := t.TempDir()
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	file, list := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: file}})
	if err := errors.Join(err, os.WriteFile(file, []byte(src), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return "", err
	}
	var tests []string // a mutant that changes nothing has to get past all of them
	if m.test != "" {
		tests = []string{m.test}
	}
	out, err := goTest(t, m.folder(), tests, list, 20*time.Second) // what waits for ever is noticed
	switch failed := failedTest.FindStringSubmatch(out); {
	case err == nil:
		return "", nil
	case failed != nil:
		return failed[1], nil
	case strings.Contains(out, "panic: "):
		return m.test + ", which panics", nil
	default:
		return "", fmt.Errorf("it cannot be tried:\n%s", out)
	}
}

// goTest runs tests of a folder, all of them for none.
func goTest(t *testing.T, folder string, tests []string, overlay string, most time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mostOfOne)
	defer cancel()
	args := []string{"test", "-short", "-vet=off", "-v", "-timeout", most.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if len(tests) > 0 {
		args = append(args, "-run", "^("+strings.Join(tests, "|")+")$")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, folder)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends its children
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}
