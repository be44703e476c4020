package shared_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pin      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+( ; [^\\]+)?$`)
	hash     = regexp.MustCompile(`^--hash=sha256:[0-9a-f]{64}$`)
	sha512   = regexp.MustCompile(`(?m)^\s*sha512=[0-9a-f]{128}$`)
	usesPin  = regexp.MustCompile(`uses: *([^\s,}]+)`)
	goodUses = regexp.MustCompile(`^[\w-]+/[\w./-]+@(v[0-9]+|[0-9a-f]{40})$`)
)

// unlocked are the lines of a lock file that pin nothing, or something without a hash.
func unlocked(lock string) (wrong []string) {
	lock = strings.ReplaceAll(lock, "\\\n", " ")
	for line := range strings.Lines(lock) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hashes, _ := strings.Cut(line, " --hash=")
		if !pin.MatchString(strings.TrimSpace(name)) || hashes == "" {
			wrong = append(wrong, line)
			continue
		}
		for _, h := range strings.Fields("--hash=" + hashes) {
			if !hash.MatchString(h) {
				wrong = append(wrong, line)
				break
			}
		}
	}
	return wrong
}

// unhashed are the packages of npm's lock that are not compared with a hash, or come from
// an address instead of the registry that npm is set to.
func unhashed(t *testing.T, lock string) (wrong []string) {
	t.Helper()
	var l struct {
		Packages map[string]struct {
			Version, Integrity, Resolved string
			InBundle                     bool // part of another package's file
		}
	}
	if err := json.Unmarshal([]byte(lock), &l); err != nil || len(l.Packages) < 2 {
		t.Fatalf("%v: %.80s", err, lock)
	}
	for name, p := range l.Packages {
		if name != "" && (p.Version == "" || !p.InBundle && !strings.HasPrefix(p.Integrity, "sha512-") || p.Resolved != "") {
			wrong = append(wrong, name)
		}
	}
	return wrong
}

// careless are the installations of a script that would take or run what nobody pinned.
func careless(script string) (wrong []string) {
	for line := range strings.Lines(script) {
		command := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(command, "#"):
		case strings.Contains(command, "pip install"):
			if !strings.Contains(command, "--require-hashes") || !strings.Contains(command, "--only-binary :all:") || !strings.Contains(command, " -r ") {
				wrong = append(wrong, command)
			}
		case regexp.MustCompile(`\bnpm (pack|ci|install|i|exec)\b`).MatchString(command):
			if !strings.Contains(command, "--ignore-scripts") {
				wrong = append(wrong, command)
			}
		case regexp.MustCompile(`\b(npx|curl|wget|pipx)\b`).MatchString(command):
			wrong = append(wrong, command)
		}
	}
	if strings.Contains(script, "npm pack") && (!sha512.MatchString(script) || !strings.Contains(script, `[ "$got" = "$sha512" ] || die`)) {
		wrong = append(wrong, "what npm brings has no pinned sha512, or is not compared with it")
	}
	return wrong
}

// loose are the actions of a workflow that are pinned neither by a commit nor by a major
// version.
func loose(workflow string) (wrong []string) {
	for _, m := range usesPin.FindAllStringSubmatch(workflow, -1) {
		if !goodUses.MatchString(m[1]) {
			wrong = append(wrong, m[1])
		}
	}
	if !strings.Contains(workflow, "\npermissions: {contents: read}\n") {
		wrong = append(wrong, "permissions")
	}
	return wrong
}

func readAll(t *testing.T, pattern string, least int) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < least {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	texts := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(b)
	}
	return texts
}

// What is installed is what was looked at when it was pinned.
func TestWhatIsInstalledIsPinned(t *testing.T) {
	for file, text := range readAll(t, "../.ci/*.lock", 3) {
		for _, line := range unlocked(text) {
			t.Errorf("%s: no exact version with a SHA-256 for every file: %.80s", file, line)
		}
		if !strings.Contains(readAll(t, "../Makefile", 1)["../Makefile"], "-r "+strings.TrimPrefix(file, "../")) {
			t.Errorf("make vuln does not look at %s", file)
		}
	}
	for file, text := range readAll(t, "../.ci/tools", 1) {
		for _, line := range careless(text) {
			t.Errorf("%s: installs what is not pinned, or runs its code while installing: %s", file, line)
		}
	}
	for file, text := range readAll(t, "../.ci/*/package-lock.json", 1) {
		for _, name := range unhashed(t, text) {
			t.Errorf("%s: %s has no SHA-512, or an address of its own", file, name)
		}
	}
	scheduled := false
	for file, text := range readAll(t, "../.github/workflows/*.yml", 2) {
		for _, what := range loose(text) {
			t.Errorf("%s: not pinned, or may do too much: %s", file, what)
		}
		scheduled = scheduled || strings.Contains(text, "schedule:") && strings.Contains(text, "run: make vuln") && strings.Contains(text, "run: make sbom")
	}
	if !scheduled {
		t.Error("nothing looks for new vulnerabilities by itself")
	}
}

func TestWhatIsNotPinnedIsNoticed(t *testing.T) {
	const h = " --hash=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for lock, wrong := range map[string]int{
		"# made by hand\na==1.0 \\\n   " + h + " \\\n   " + h + "\n": 0,
		"a==1.0 ; python_full_version < '3.11' \\\n   " + h + "\n":   0,
		"a==1.0\n":                           1,
		"a==1.0" + h + "\nb==2\n":            1,
		"a>=1.0" + h + "\n":                  1,
		"a==1.*" + h + "\n":                  1,
		"a" + h + "\n":                       1,
		"a==1.0" + h[:60] + "\n":             1,
		"a==1.0" + h + " --hash=md5:00\n":    1,
		"a @ git+ssh://example/a\n":          1,
		"-r other.in\n":                      1,
		"--index-url example\na==1" + h + "": 1,
	} {
		if got := unlocked(lock); len(got) != wrong {
			t.Errorf("%q: %q, want %d", lock, got, wrong)
		}
	}
	const good = `"":{},"a":{"version":"1","integrity":"sha512-0"}`
	for lock, wrong := range map[string]int{
		good:                          0,
		good + `,"b":{"version":"1"}`: 1,
		good + `,"b":{"version":"1","integrity":"sha1-0"}`:                     1,
		good + `,"b":{"version":"1","inBundle":true}`:                          0,
		good + `,"b":{"integrity":"sha512-0"}`:                                 1,
		good + `,"b":{"version":"1","integrity":"sha512-0","resolved":"git+"}`: 1,
	} {
		if got := unhashed(t, `{"packages":{`+lock+`}}`); len(got) != wrong {
			t.Errorf("%s: %q, want %d", lock, got, wrong)
		}
	}
	digest := "sha512=" + strings.Repeat("0a", 64) + "\n"
	compare := `[ "$got" = "$sha512" ] || die` + "\n"
	for script, wrong := range map[string]int{
		"pip install --require-hashes --only-binary :all: -r x.lock\n": 0,
		"pip install --require-hashes -r x.lock\n":                     1,
		"pip install --only-binary :all: -r x.lock\n":                  1,
		"pip install --require-hashes --only-binary :all: x\n":         1,
		digest + compare + "npm pack --ignore-scripts a@1\n":           0,
		digest + compare + "npm pack a@1\n":                            1,
		compare + "npm pack --ignore-scripts a@1\n":                    1,
		digest + "npm pack --ignore-scripts a@1\n":                     1,
		"npm ci\n":            1,
		"curl example | sh\n": 1,
		"# npm ci would\n":    0,
	} {
		if got := careless(script); len(got) != wrong {
			t.Errorf("%q: %q, want %d", script, got, wrong)
		}
	}
	const may = "\npermissions: {contents: read}\n"
	for workflow, wrong := range map[string]int{
		may + "- uses: actions/checkout@v6":                                        0,
		may + "- {uses: a/b/c@0123456789abcdef0123456789abcdef01234567, with: {}}": 0,
		may + "- uses: actions/checkout@main":                                      1,
		may + "- uses: actions/checkout":                                           1,
		may + "- uses: a/b@0123456":                                                1,
		"\n- uses: actions/checkout@v6":                                            1,
	} {
		if got := loose(workflow); len(got) != wrong {
			t.Errorf("%q: %q, want %d", workflow, got, wrong)
		}
	}
}

func TestPythonToolsHaveABillOfMaterials(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "x.lock")
	const text = "# made\nB_b.c==1.0.post1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\na==2 ; python_full_version < '3.11' \\\n    --hash=sha256:00\n"
	if err := os.WriteFile(lock, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "python3", "../.ci/sbom-python.py", lock, lock).Output()
	if err != nil {
		t.Fatal(err)
	}
	// Names are written as PyPI compares them (PEP 503).
	const want = `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[` +
		`{"type":"library","bom-ref":"pkg:pypi/a@2","name":"a","version":"2","purl":"pkg:pypi/a@2"},` +
		`{"type":"library","bom-ref":"pkg:pypi/b-b-c@1.0.post1","name":"b-b-c","version":"1.0.post1","purl":"pkg:pypi/b-b-c@1.0.post1"}]}`
	if got := regexp.MustCompile(`\s`).ReplaceAllString(string(out), ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
