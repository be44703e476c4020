package template_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// linters is the folder of checkov and cfn-lint with its serverless rules.
func linters(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, ".cache", "linters-*", ".complete"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("checkov is not installed: run make tools")
		}
		t.Skip("checkov is not installed: run make tools")
	}
	bin, err := filepath.Abs(filepath.Join(filepath.Dir(found[len(found)-1]), "bin"))
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// judge runs a linter over the translated template. That it finds something is its exit code.
func judge(t *testing.T, template string, into any, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(linters(t), program), append(args, template)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1", "BC_SKIP_MAPPING=TRUE", "LOG_LEVEL=ERROR")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if json.Unmarshal(out, into) != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, said.String(), out)
	}
}

// linted are the findings of both linters, as "CHECK of a resource type": names of resources.
func linted(t *testing.T, translated []byte) map[string][]string {
	t.Helper()
	template := filepath.Join(t.TempDir(), "template.json")
	if err := os.WriteFile(template, translated, 0o600); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	add := func(check, kind, name string) {
		key := check + " of " + kind
		if !slices.Contains(found[key], name) {
			found[key] = append(found[key], name)
		}
	}
	var tmpl struct {
		Resources map[string]struct{ Type string }
	}
	if err := json.Unmarshal(translated, &tmpl); err != nil {
		t.Fatal(err)
	}
	var checkov struct {
		Summary struct{ Passed int }
		Results struct {
			Failed []struct {
				Check    string `json:"check_id"`
				Resource string
			} `json:"failed_checks"`
		}
	}
	judge(t, template, &checkov, "checkov", "--framework", "cloudformation", "--compact", "--quiet", "--skip-download", "-o", "json", "-f")
	if checkov.Summary.Passed < 100 { // 112 with the first five consumers
		t.Errorf("checkov passes only %d checks: it does not read the template", checkov.Summary.Passed)
	}
	for _, f := range checkov.Results.Failed {
		kind, name, _ := strings.Cut(f.Resource, ".")
		add(f.Check, kind, name)
	}
	var rules []struct {
		Rule struct {
			ID string `json:"Id"`
		}
		Location struct{ Path []any }
	}
	judge(t, template, &rules, "cfn-lint", "--format", "json", "-a", "cfn_lint_serverless.rules", "-t")
	for _, r := range rules {
		if id := r.Rule.ID; len(id) > 2 && id[1] == 'S' { // its own rules are those of sam validate
			name := fmt.Sprint(r.Location.Path[1])
			add(id, tmpl.Resources[name].Type, name)
		}
	}
	return found
}

// Whatever the linters find is mended, or answered in the template with the reason; and an
// answer that nobody asks for any more is taken out.
func TestLintersFindWhatIsAnswered(t *testing.T) {
	if testing.Short() {
		t.Skip("the linters take 10 s; run it without -short")
	}
	load(t)
	b, err := translated()
	if err != nil {
		t.Fatal(err)
	}
	var tmpl struct {
		Metadata struct{ Answered map[string]string }
	}
	if err := json.Unmarshal(b, &tmpl); err != nil {
		t.Fatal(err)
	}
	found := linted(t, b)
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if len(tmpl.Metadata.Answered[key]) < 20 {
			t.Errorf("%s: %v; mend it, or say why not in Metadata, Answered", key, found[key])
		}
	}
	for key := range tmpl.Metadata.Answered {
		if found[key] == nil {
			t.Errorf("Metadata, Answered: no linter finds %s any more; take it out", key)
		}
	}
}

// The linters see what they are there for.
func TestLintersSeeAnOpenBucket(t *testing.T) {
	if testing.Short() {
		t.Skip("the linters take 10 s; run it without -short")
	}
	load(t)
	b, err := translated()
	if err != nil {
		t.Fatal(err)
	}
	var tmpl map[string]any
	if err := json.Unmarshal(b, &tmpl); err != nil {
		t.Fatal(err)
	}
	resources := tmpl["Resources"].(map[string]any)
	delete(resources["FailureBucket"].(map[string]any)["Properties"].(map[string]any), "PublicAccessBlockConfiguration")
	delete(resources["CustomerErp"].(map[string]any)["Properties"].(map[string]any), "MemorySize")
	if b, err = json.Marshal(tmpl); err != nil {
		t.Fatal(err)
	}
	found := linted(t, b)
	if !slices.Contains(found["CKV_AWS_53 of AWS::S3::Bucket"], "FailureBucket") {
		t.Error("checkov does not see a bucket that lets the public in")
	}
	if !slices.Contains(found["WS1005 of AWS::Lambda::Function"], "CustomerErp") && !slices.Contains(found["ES1005 of AWS::Lambda::Function"], "CustomerErp") {
		t.Errorf("cfn-lint's serverless rules do not see a function without its memory: %v", slices.Sorted(maps.Keys(found)))
	}
}
