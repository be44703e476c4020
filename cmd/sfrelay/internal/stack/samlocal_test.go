package stack

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"sfrelay/shared/freeport"
)

const checkout = "../../../.."

// resolve is what the SAM CLI hands to each function with --env-vars, told by itself.
const resolve = `
import json, sys
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
stacks = SamLocalStackProvider.get_stacks(sys.argv[1])[0]
functions = SamFunctionProvider(stacks)
runner = LocalLambdaRunner(None, functions, "/", "/", env_vars_values=json.load(open(sys.argv[2])))
print(json.dumps({f.name: runner._make_env_vars(f).resolve() for f in functions.get_all()}))`

// handedOn asks the SAM CLI, as a reader with an account and settings of their own.
func handedOn(t *testing.T, template, env string) map[string]map[string]string {
	t.Helper()
	cmd := exec.Command(installed(t), "-c", resolve, template, env)
	cmd.Env = append(withoutAWS(os.Environ()), "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_ACCESS_KEY_ID=READERS", "AWS_SECRET_ACCESS_KEY=READERS", "AWS_SESSION_TOKEN=READERS", "AWS_REGION=READERS",
		"AWS_ENDPOINT_URL=READERS", "ERP_URL=READERS", "GUARD_TABLE=READERS", "SAM_CLI_TELEMETRY=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if strings.Contains(string(out), "READERS") {
		t.Errorf("something of the reader's environment reaches the functions: %s", out)
	}
	var functions map[string]map[string]string
	if err := json.Unmarshal(out, &functions); err != nil {
		t.Fatal(err)
	}
	return functions
}

// inTemplate are the logical ids of the functions of template.yaml.
func inTemplate(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, m := range regexp.MustCompile(`(?m)^  (\w+):\n    Type: AWS::Serverless::Function$`).FindAllStringSubmatch(read(t, checkout+"/template.yaml"), -1) {
		ids = append(ids, m[1])
	}
	if len(ids) < 6 {
		t.Fatalf("template.yaml has %v", ids)
	}
	return slices.Sorted(slices.Values(ids))
}

// Every function gets its variables and the local stack's door and keys, and nothing of the
// reader's environment.
func TestSAMLocalHandsOnTheStackOnly(t *testing.T) {
	s := &Stack{dir: t.TempDir(), Endpoint: "https://127.0.0.1:4566"}
	deployed := map[string]map[string]string{}
	for _, id := range inTemplate(t) {
		deployed[id] = map[string]string{"GUARD_TABLE": "table-of-" + id, "ERP_URL": "http://127.0.0.1:8080/x"}
	}
	env, template := s.samLocal(deployed, aws.Credentials{AccessKeyID: "OURS", SecretAccessKey: "OUR-SECRET"})
	for name, content := range map[string]any{samLocalEnv: env, samLocalTemplate: template} {
		b, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(s.file(name), b); err != nil {
			t.Fatal(err)
		}
	}
	functions := handedOn(t, s.file(samLocalTemplate), s.file(samLocalEnv))
	if ids := slices.Sorted(maps.Keys(functions)); !slices.Equal(ids, inTemplate(t)) {
		t.Errorf("SAM knows %v", ids)
	}
	for id, have := range functions {
		for name, want := range map[string]string{
			"GUARD_TABLE": "table-of-" + id, "ERP_URL": "http://localhost:8080/x",
			"AWS_ENDPOINT_URL": "https://localhost:4566", "AWS_CA_BUNDLE": "/var/task/ca.pem",
			"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "OURS", "AWS_SECRET_ACCESS_KEY": "OUR-SECRET", "AWS_SESSION_TOKEN": "",
		} {
			if got, ok := have[name]; !ok || got != want {
				t.Errorf("%s: %s is %q, want %q", id, name, got, want)
			}
		}
	}
}

// The files are named in both environments, and SAM stops where they are missing.
func TestSAMLocalStopsWithoutAStack(t *testing.T) {
	config, dir := read(t, checkout+"/samconfig.toml"), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "samconfig.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, environment := range []string{"default", "local"} {
		_, section, _ := strings.Cut(config, "\n["+environment+".local_invoke.parameters]\n")
		section, _, _ = strings.Cut(section, "\n[")
		for _, want := range []string{`template_file = ".cache/stack/` + samLocalTemplate + `"`, `env_vars = ".cache/stack/` + samLocalEnv + `"`, `add_host = "localhost:host-gateway"`} {
			if !strings.Contains(section, want+"\n") {
				t.Errorf("%s lacks %s", environment, want)
			}
		}
		cmd := exec.Command(installed(t), "-c", samProgram, "local", "invoke", "InventoryErp", "--config-env", environment)
		cmd.Dir = dir
		cmd.Env = append(withoutAWS(os.Environ()), "SAM_CLI_TELEMETRY=0", "HOME="+dir, "__SAM_CLI_APP_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), samLocalEnv+"' does not exist") {
			t.Errorf("%s: %v\n%s", environment, err, out)
		}
	}
}

// What SAM runs in its container runs here without one: its own emulator of Lambda's runtime,
// the binary that it would mount, the variables that it would hand on. STACK_DIR says where
// the stack is.
func TestSAMLocalRuns(t *testing.T) {
	dir := os.Getenv("STACK_DIR")
	if dir == "" || runtime.GOOS != "linux" {
		t.Skip("STACK_DIR names no stack, or this is not Linux; make e2e runs this")
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	variables := handedOn(t, s.file(samLocalTemplate), s.file(samLocalEnv))["InventoryErp"]
	task := s.file("build/InventoryErp")
	variables["AWS_CA_BUNDLE"] = strings.Replace(variables["AWS_CA_BUNDLE"], "/var/task", task, 1) // where a container has it
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(installed(t)), "../lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-"+architecture()))
	if len(found) != 1 {
		t.Fatalf("SAM brings no emulator of the runtime: %v", found)
	}
	program, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	rie := filepath.Join(t.TempDir(), "rie")
	if err := os.WriteFile(rie, program, 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	port, api := reserved(t), reserved(t)
	cmd := exec.Command(rie, "--log-level", "error", "--runtime-interface-emulator-address", "127.0.0.1:"+port,
		"--runtime-api-address", "127.0.0.1:"+api, filepath.Join(task, "bootstrap"))
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	log := filepath.Join(t.TempDir(), "log")
	p, err := spawn(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.stop(context.Background()) })
	invoke(t, "http://127.0.0.1:"+port+"/2015-03-31/functions/function/invocations", read(t, checkout+"/events/34-inventory-first.json"))
	if said := read(t, log); !regexp.MustCompile(`"verdict":"(applied|duplicate|stale)"`).MatchString(said) {
		t.Errorf("the function said\n%s", said)
	}
}

// reserved is a port for a program of the test.
func reserved(t *testing.T) string {
	t.Helper()
	number, release, err := freeport.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return strconv.Itoa(number)
}

// invoke asks until the emulator of the runtime listens, at most two minutes.
func invoke(t *testing.T, url, event string) {
	t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	for range 1200 {
		resp, err := client.Post(url, "application/json", strings.NewReader(event))
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("nothing listens at " + url)
}
