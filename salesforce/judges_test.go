package salesforce_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/sandbox/door"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// Programs that nobody here wrote judge the project, without an org. They come from
// .ci/tools. Where they are missing the test is skipped and says how to get them; with
// CI=true it fails.

// tool is where .ci/tools put what the lock in a folder lists.
func tool(t *testing.T, name, folder string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Java and Node.js; without -short it runs")
	}
	lock, err := os.ReadFile(filepath.Join("..", ".ci", folder, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(filepath.Join("..", ".cache", fmt.Sprintf("%s-%x", name, sha256.Sum256(lock))[:len(name)+13]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v; run make tools", err)
		}
		t.Skipf("%v; run make tools", err)
	}
	return dir
}

// node is the program that the clients bring, and their folder.
func node(t *testing.T) (program, dir string) {
	t.Helper()
	dir = tool(t, "node", "clients")
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	return filepath.Join(dir, "node_modules", "node-"+runtime.GOOS+"-"+arch, "bin", "node"), dir
}

// run is what a program prints, and whether it ended well.
func run(t *testing.T, dir string, env []string, program string, args ...string) (string, bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	// Nothing of the caller's environment: it may hold an org.
	cmd.Env = append([]string{"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil && !isExit(err) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

func isExit(err error) bool {
	_, is := errors.AsType[*exec.ExitError](err)
	return is
}

// copied is a copy of the project, to change.
func copied(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "salesforce")
	for _, name := range []string{"force-app"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sfdx-project.json", ".forceignore"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func replace(t *testing.T, dir, name, from, to string) {
	t.Helper()
	file := filepath.Join(dir, "force-app", "main", "default", filepath.FromSlash(name))
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), from) != 1 {
		t.Fatalf("%s: %d times %q, %v", name, strings.Count(string(text), from), from, err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// apex-ls compiles Apex against the standard objects and those of the project.
func TestApexCompiles(t *testing.T) {
	jars := filepath.Join(tool(t, "judges", "judges"), "node_modules", "@salesforce", "code-analyzer-pmd-engine", "dist", "java-lib", "*")
	java, err := exec.LookPath("java")
	if err != nil {
		t.Fatal("missing: Java 17")
	}
	check := func(dir string) string {
		out, _ := run(t, dir, nil, java, "-cp", jars, "io.github.apexdevtools.apexls.CheckForIssues", "--workspace", dir, "--detail", "warnings")
		return out
	}
	if out := check(copied(t)); strings.TrimSpace(out) != "" {
		t.Errorf("the project: %s", out)
	}
	// It takes any field of a standard object to which the workspace adds one. Without what
	// we add it knows them all, and misses only what is ours.
	closed := func() string {
		dir := copied(t)
		if err := os.RemoveAll(filepath.Join(dir, "force-app", "main", "default", "objects", "Opportunity")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dir := closed()
	if n := strings.Count(check(dir), "Missing: "); n != strings.Count(check(dir), "'Payment_Terms_Days__c' on SObject 'Schema.Opportunity'") || n != 2 {
		t.Errorf("without our field of Opportunity: %s", check(dir))
	}
	const handler = "classes/OpportunityWonHandler.cls"
	for _, planted := range [][2]string{
		{"record.IsWon && record.AccountId", "record.IsWon && record.AccountNo"}, // no field of Opportunity
		{"Close_Date__c =", "Closing_Date__c ="},                                 // no field of our event
		{"EventBus.publish(", "EventBus.publishLater("},                          // no method of EventBus
	} {
		replace(t, dir, handler, planted[0], planted[1])
	}
	out := check(dir)
	for _, want := range []string{"AccountNo", "Closing_Date__c", "publishLater"} {
		if !strings.Contains(out, want) {
			t.Errorf("the planted mistake %s is not found in: %s", want, out)
		}
	}
}

// The rules of PMD that Salesforce's Code Analyzer recommends.
func TestCodeAnalyzer(t *testing.T) {
	modules := tool(t, "judges", "judges")
	program, _ := node(t)
	script, err := filepath.Abs("../.ci/judges/analyze.cjs")
	if err != nil {
		t.Fatal(err)
	}
	out, done := run(t, ".", nil, program, script, modules, "force-app")
	if m := regexp.MustCompile(`^([0-9]+) rules\n$`).FindStringSubmatch(out); !done || m == nil || len(m[1]) < 2 {
		t.Errorf("want ten rules and more, and no finding: %s", out)
	}
	dir := copied(t)
	replace(t, dir, "classes/OpportunityWonHandler.cls", "                won.put(record.Id, record);", "                won.put(record.Id, record);\n                update record;")
	if out, _ := run(t, ".", nil, program, script, modules, filepath.Join(dir, "force-app")); !strings.Contains(out, "OperationWithLimitsInLoop") {
		t.Errorf("a statement for each record is not found: %s", out)
	}
}

// Salesforce's scanner of flows.
func TestFlowScanner(t *testing.T) {
	scanner := filepath.Join(tool(t, "judges", "judges"), "node_modules", "@salesforce", "code-analyzer-flow-engine", "FlowScanner")
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("missing: Python")
	}
	scan := func(dir string) map[string]any {
		report := filepath.Join(t.TempDir(), "flows.json")
		out, _ := run(t, dir, []string{"PYTHONPATH=" + scanner, "PYTHONDONTWRITEBYTECODE=1"}, python, "-m", "flowtest", "-d", "force-app", "--no_log", "-j", report)
		text, err := os.ReadFile(report)
		var found struct{ Results map[string]any }
		if err == nil {
			err = json.Unmarshal(text, &found)
		}
		if err != nil || !strings.Contains(out, "found 1 flows") {
			t.Fatalf("%v: %s", err, out)
		}
		return found.Results
	}
	if found := scan(copied(t)); len(found) != 0 {
		t.Errorf("%v", found)
	}
}

func TestFilesAreFormatted(t *testing.T) {
	modules := filepath.Join(tool(t, "judges", "judges"), "node_modules")
	program, _ := node(t)
	if out, done := run(t, ".", nil, program, filepath.Join(modules, "prettier", "bin", "prettier.cjs"),
		"--plugin", filepath.Join(modules, "prettier-plugin-apex", "dist", "src", "index.js"),
		"--plugin", filepath.Join(modules, "@prettier", "plugin-xml", "src", "plugin.js"), "--check", "**/*.{cls,trigger,xml,json}"); !done {
		t.Error(out)
	}
}

// element is any XML.
type element struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Members []element `xml:",any"`
}

// literal is an element as a literal of TypeScript.
func (e element) literal() string {
	if len(e.Members) == 0 {
		if text := strings.TrimSpace(e.Text); text == "true" || text == "false" {
			return text
		}
		text, _ := json.Marshal(strings.TrimSpace(e.Text))
		return string(text)
	}
	var names []string
	values := map[string][]string{}
	for _, m := range e.Members {
		if values[m.XMLName.Local] == nil {
			names = append(names, m.XMLName.Local)
		}
		values[m.XMLName.Local] = append(values[m.XMLName.Local], m.literal())
	}
	var b strings.Builder
	for _, n := range names {
		v := values[n][0]
		if len(values[n]) > 1 {
			v = "[" + strings.Join(values[n], ",") + "]"
		}
		fmt.Fprintf(&b, "%s:%s,", n, v)
	}
	return "{" + b.String() + "}"
}

// Every member and every value of every file fits the types that Salesforce publishes.
func TestMetadataHasItsTypes(t *testing.T) {
	modules := filepath.Join(tool(t, "judges", "judges"), "node_modules")
	program, _ := node(t)
	check := func(extra string) string {
		dir := t.TempDir()
		var b strings.Builder
		b.WriteString(`import type * as M from "@salesforce/types/metadata";
type Loose<T> = T extends (infer U)[] ? Loose<U> | Loose<U>[] : T extends number ? ` + "`${number}`" + ` : T extends string | boolean ? T : T extends object ? { [K in keyof T]?: Loose<T[K]> } : T;
`)
		files := 0
		for _, file := range metadata(t) {
			var e element
			text, err := os.ReadFile(file)
			if err == nil {
				err = xml.Unmarshal(text, &e)
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			files++
			fmt.Fprintf(&b, "export const f%d: Loose<M.%s> = %s; // %s\n", files, e.XMLName.Local, e.literal(), file)
		}
		b.WriteString(extra)
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "check.ts"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := run(t, dir, nil, program, filepath.Join(modules, "typescript", "bin", "tsc"), "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022",
			"--module", "node16", "--moduleResolution", "node16", "check.ts")
		return out
	}
	if out := check(""); out != "" {
		t.Error(out)
	}
	for wrong, want := range map[string]string{`state:"STOPPED"`: `"STOPPED"`, `estate:"STOP"`: "estate"} {
		if out := check("export const x: Loose<M.EventRelayConfig> = {" + wrong + "};\n"); strings.Count(out, "error TS") != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: %s", wrong, out)
		}
	}
}

// The command line of Salesforce converts the project, and deploys it to the org sandbox.
func TestSalesforceCLITakesIt(t *testing.T) {
	program, dir := node(t)
	cli := filepath.Join(dir, "node_modules", "@salesforce", "cli", "bin", "run.js")
	org := orgsandbox.New(orgsandbox.Options{})
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = door.Before(org, server.Listener.Addr(), "")
	server.Start()
	defer server.Close()
	project, home := copied(t), t.TempDir()
	credentials := org.Credentials()
	key := filepath.Join(home, "jwt.key")
	if err := os.WriteFile(key, []byte(credentials.PrivateKey), 0o600); err != nil {
		t.Fatal(err)
	}
	sf := func(args ...string) any {
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		cmd := exec.CommandContext(ctx, program, append(append([]string{cli}, args...), "--json")...)
		cmd.Dir = project
		cmd.Env = []string{"PATH=" + filepath.Dir(program) + ":/usr/bin:/bin", "HOME=" + home, "SF_USE_GENERIC_UNIX_KEYCHAIN=true", "SF_DISABLE_TELEMETRY=true",
			"SF_AUTOUPDATE_DISABLE=true", "SF_SKIP_NEW_VERSION_CHECK=true"}
		var problems bytes.Buffer
		cmd.Stderr = &problems
		out, err := cmd.Output()
		var answer struct{ Result any }
		if e := json.Unmarshal(out, &answer); e != nil || err != nil {
			t.Fatalf("sf %q: %v, %v: %s %s", args, err, e, out, problems.String())
		}
		return answer.Result
	}
	sf("project", "convert", "source", "--output-dir", "mdapi")
	for _, want := range []string{"objects/Opportunity_Won__e.object", "eventRelays/Sfrelay_Changes.eventRelay", "platformEventChannelMembers/Sfrelay_Changes_chn_AccountChangeEvent.platformEventChannelMember",
		"externalClientApps/Sfrelay.eca", "flows/Sfrelay_Customer_Sync.flow", "classes/OpportunityWonHandler.cls", "triggers/OpportunityWon.trigger"} {
		if _, err := os.Stat(filepath.Join(project, "mdapi", filepath.FromSlash(want))); err != nil {
			t.Error(err)
		}
	}
	sf("org", "login", "jwt", "--client-id", credentials.ConsumerKey, "--jwt-key-file", key, "--username", credentials.Username, "--instance-url", server.URL, "--set-default")
	if r, ok := sf("project", "deploy", "validate", "--source-dir", "force-app").(map[string]any); !ok || r["status"] != "Succeeded" || r["numberComponentErrors"] != 0. {
		t.Errorf("deploy validate: %v", r)
	}
}
