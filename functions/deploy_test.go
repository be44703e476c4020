package functions_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// make deploy must refuse binaries of another architecture than the one that the
// environment of samconfig.toml deploys: an ELF header says it in e_machine, at
// offset 18 (System V ABI, "ELF Header": EM_X86_64 is 62, EM_AARCH64 is 183).
func TestDeployRefusesTheWrongArchitecture(t *testing.T) {
	elf := func(machine byte) []byte {
		header := make([]byte, 64)
		copy(header, "\x7fELF\x02\x01\x01")
		header[18] = machine
		return header
	}
	const template = "Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n"
	const x86, arm = 62, 183
	for _, c := range []struct {
		name, config string
		binary       []byte
		refuses      string
	}{
		{"the template's default", "", elf(arm), ""},
		{"not the template's default", "", elf(x86), "built for x86_64, but Architecture=arm64 would be deployed; run: make deploy ARCH=arm64"},
		{"as configured", `parameter_overrides = ["EventBusName=b", "Architecture=x86_64"]`, elf(x86), ""},
		{"not as configured", `parameter_overrides = "EventBusName=b Architecture=x86_64"`, elf(arm), "run: make deploy ARCH=amd64"},
		{"not for Linux", "", []byte("\xcf\xfa\xed\xfe" + strings.Repeat("\x00", 60)), "built for another system"},
		{"nothing built", "", nil, "run: make deploy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDeploy(t, "[default.deploy.parameters]\n"+c.config, template, c.binary, c.refuses)
		})
	}
}

// make deploy must refuse a reserved concurrency that the invocations of a buffer alone can
// use up: the events of the rules would be throttled.
func TestDeployRefusesTooLittleReservedConcurrency(t *testing.T) {
	const template = "Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n"
	arm := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	arm[18] = 183
	for _, c := range []struct{ name, parameters, refuses string }{
		{"none", `"MaxConcurrency=50"`, ""},
		{"above the default", `"ReservedConcurrency=6"`, ""},
		{"the default", `"ReservedConcurrency=5"`, "ReservedConcurrency=5 is not above MaxConcurrency=5"},
		{"above, with more digits", `"ReservedConcurrency=10", "MaxConcurrency=9"`, ""},
		{"below, with more digits", `"ReservedConcurrency=9", "MaxConcurrency=10"`, "set ReservedConcurrency in samconfig.toml to 11 or more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDeploy(t, "[default.deploy.parameters]\nparameter_overrides = ["+c.parameters+"]", template, arm, c.refuses)
		})
	}
}

// make deploy must refuse the name of a stack from which CloudFormation would have to cut
// the name of a rule: the queues would then not let that rule in.
func TestDeployRefusesLongStackNames(t *testing.T) {
	const template = `Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Architecture: {Type: String, Default: arm64}
Resources:
  ANameThatIsLongButNotThatOfARuleOrRole: {Type: AWS::SQS::Queue}
  Fn::ForEach::Rules:
    - Consumer
    - [Short, TwentyCharactersLong]
    - ${Consumer}Rule: {Type: AWS::Events::Rule}
`
	// 64 characters less 24 of TwentyCharactersLongRule, 13 random ones and two hyphens.
	const most = 25
	arm := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	arm[18] = 183
	own, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := func(length int) string {
		return "[default.global.parameters]\nstack_name = \"" + strings.Repeat("s", length) + "\""
	}
	for _, c := range []struct{ name, config, template, refuses string }{
		{"as long as can be", config(most), template, ""},
		{"a character more", config(most + 1), template, "has 26 characters: CloudFormation would cut it in the name of TwentyCharactersLongRule"},
		{"what to do", config(most + 1), template, "choose a name of at most 25 characters"},
		{"where it says so", config(most + 1), template, "the stack_name of environment default in samconfig.toml"},
		{"of sam deploy alone", strings.Replace(config(most+1), "global", "deploy", 1), template, "has 26 characters"},
		{"of another environment", strings.Replace(config(most+1), "default", "local", 1), template, ""},
		{"our own template", config(len("sfrelay-staging")), string(own), ""},
		{"our own template, too long", config(40), string(own), "in the name of OpportunityBillingChanges"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDeploy(t, c.config, c.template, arm, c.refuses)
		})
	}
}

// checkDeploy runs the check of make deploy on a directory with these files; refuses is
// empty where it has to accept them.
func checkDeploy(t *testing.T, config, template string, binary []byte, refuses string) {
	t.Helper()
	load(t) // skips where SAM is not installed
	python, err := python()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join(root, ".ci", "check-deploy.py"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string][]byte{
		"samconfig.toml":      []byte("version = 0.1\n" + config + "\n"),
		"build/template.yaml": []byte(template),
	}
	if binary != nil {
		files["build/Function/bootstrap"] = binary
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, script, "default", "build")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if (err != nil) != (refuses != "") || !strings.Contains(string(out), refuses) {
		t.Errorf("%v: %s; want %q", err, out, refuses)
	}
}
