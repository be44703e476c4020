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
	load(t) // skips where SAM is not installed
	python, err := python()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join(root, ".ci", "check-deploy.py"))
	if err != nil {
		t.Fatal(err)
	}
	elf := func(machine byte) []byte {
		header := make([]byte, 64)
		copy(header, "\x7fELF\x02\x01\x01")
		header[18] = machine
		return header
	}
	const x86, arm = 62, 183
	for _, c := range []struct {
		name, config string
		binary       []byte
		refuses      string
	}{
		{"the template's default", "", elf(arm), ""},
		{"not the template's default", "", elf(x86), "built for x86_64, but Architecture=arm64 would be deployed: say ARCH=arm64"},
		{"as configured", `parameter_overrides = ["EventBusName=b", "Architecture=x86_64"]`, elf(x86), ""},
		{"not as configured", `parameter_overrides = "EventBusName=b Architecture=x86_64"`, elf(arm), "say ARCH=amd64"},
		{"not for Linux", "", []byte("\xcf\xfa\xed\xfe" + strings.Repeat("\x00", 60)), "built for another system"},
		{"nothing built", "", nil, "run sam build first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string][]byte{
				"samconfig.toml":      []byte("version = 0.1\n[default.deploy.parameters]\n" + c.config + "\n"),
				"build/template.yaml": []byte("Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n"),
			}
			if c.binary != nil {
				files["build/Function/bootstrap"] = c.binary
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
			if (err != nil) != (c.refuses != "") || !strings.Contains(string(out), c.refuses) {
				t.Errorf("%v: %s; want %q", err, out, c.refuses)
			}
		})
	}
}
