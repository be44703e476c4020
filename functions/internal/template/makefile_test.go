package template_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every way out of a shell's word that sh knows (POSIX, Shell Command Language, 2), and
// make's own: whichever works makes the file injected.
const words = `x;touch injected;&touch injected&|touch injected|$(touch injected)` + "`touch injected`" +
	`'"'";touch injected;'\ #$(shell touch injected)$$(touch injected)${x} $x *<in>out`

// stub is a program that says how it was called, one line an argument, and with which
// environment.
const stub = `#!/bin/sh
{ echo "program $0"; for a; do echo "argument $a"; done; env; } >>"$CALLS"
case "$1 $2" in
"list ./...") echo ./a ;;
"test -list") echo FuzzA ;;
"env GOHOSTOS") echo linux ;;
"env GOHOSTARCH") echo amd64 ;;
python*) echo "$PWD/stubs" ;;
esac
`

// What a user writes into a variable of make is text: it arrives as it is, in the
// environment or as one argument, and nothing of it is run. So in CI, where somebody else
// may have written it.
func TestVariablesOfMakeAreText(t *testing.T) {
	if testing.Short() {
		t.Skip("starts make 68 times; run it without -short")
	}
	for _, c := range []struct{ goal, variable, arrives string }{
		{"up", "ERP_URL", "ERP_URL="},
		{"up", "DELIVERY_MODE", "DELIVERY_MODE="},
		{"up", "SALESFORCE_ORGS", "SALESFORCE_ORGS="},
		{"run", "DELIVERY_MODE", "DELIVERY_MODE="},
		{"deploy", "ENV", "argument "},
		{"deploy", "ARCH", "ARCH="},
		{"deploy", "NEW_TABLE", "NEW_TABLE="},
		{"undeploy", "ENV", "argument "},
		{"undeploy", "LEAVE_MESSAGES", "LEAVE_MESSAGES="},
		{"build", "ARCH", "GOARCH="},
		{"build", "OS", "GOOS="},
		{"build-CustomerBilling", "ARCH", "GOARCH="},
		{"build-CustomerBilling", "OS", "GOOS="},
		{"build-CustomerBilling", "ARTIFACTS_DIR", "ARTIFACTS_DIR="},
		{"fuzz", "FUZZTIME", "argument "},
		{"mutants", "MUTANTS", "MUTANTS="},
		{"prove", "LONG", "LONG="},
	} {
		for _, value := range []string{words, "x\ntouch injected\n\ttouch injected"} {
			for _, from := range []string{"the command line", "the environment"} {
				dir, calls := workshop(t)
				mk := exec.Command("make", "--no-print-directory", c.goal)
				mk.Dir = dir
				mk.Env = append(withoutMake(os.Environ()), "PATH="+filepath.Join(dir, "stubs")+":"+os.Getenv("PATH"), "CALLS="+calls)
				if from == "the environment" {
					mk.Env = append(mk.Env, c.variable+"="+value)
				} else {
					mk.Args = append(mk.Args, c.variable+"="+value)
				}
				out, _ := mk.CombinedOutput() // cp finds nothing to copy
				if _, err := os.Stat(filepath.Join(dir, "injected")); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("make %s ran a part of %s from %s: %v", c.goal, c.variable, from, err)
				}
				said, err := os.ReadFile(calls)
				if err != nil || !strings.Contains(string(said), "\n"+c.arrives+value+"\n") {
					t.Errorf("make %s: %s from %s did not arrive as it is\n%s", c.goal, c.variable, from, out)
				}
			}
		}
	}
}

// Where nothing is said the defaults arrive.
func TestVariablesOfMakeHaveDefaults(t *testing.T) {
	for goal, wants := range map[string][]string{
		"build":  {"GOOS=linux", "GOARCH=arm64"},
		"deploy": {"argument default", "ARCH=arm64", "OS=linux"},
		"fuzz":   {"argument 10s"},
		"local":  {"OS=linux", "ARCH=amd64"}, // of this machine, as the stub of go says
	} {
		dir, calls := workshop(t)
		mk := exec.Command("make", "--no-print-directory", goal)
		mk.Dir = dir
		mk.Env = append(withoutMake(os.Environ()), "PATH="+filepath.Join(dir, "stubs")+":"+os.Getenv("PATH"), "CALLS="+calls)
		out, _ := mk.CombinedOutput()
		said, err := os.ReadFile(calls)
		for _, want := range wants {
			if err != nil || !strings.Contains(string(said), "\n"+want+"\n") {
				t.Errorf("make %s: %q did not arrive\n%s", goal, want, out)
			}
		}
	}
}

// workshop is a checkout with the Makefile, and stubs for what it calls.
func workshop(t *testing.T) (dir, calls string) {
	t.Helper()
	dir = t.TempDir()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"Makefile": string(makefile), "functions/customer-billing/main.go": "",
		".ci/tools": stub, "dist/sfrelay": stub, "stubs/sam": stub, "stubs/python": stub, "stubs/go": stub,
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(dir, "calls")
}

// withoutMake drops what the make that runs these tests says, and the variables of the
// reader.
func withoutMake(env []string) []string {
	var kept []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "ARCH", "OS", "ENV", "FUZZTIME", "MUTANTS", "LONG", "DELIVERY_MODE", "ERP_URL", "SALESFORCE_ORGS", "ARTIFACTS_DIR", "NEW_TABLE", "LEAVE_MESSAGES", "MFLAGS":
			continue
		}
		if !strings.HasPrefix(name, "MAKE") {
			kept = append(kept, kv)
		}
	}
	return kept
}
