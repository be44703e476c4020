package orgsandbox_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/sandbox/door"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// Clients that nobody here wrote judge the org: each plays its flows in a process of its
// own, against the org as sfrelay serves it. What they must say is written by hand.
//
// The tools come from .ci/tools. Where they are missing the test is skipped and says how
// to get them; with CI=true it fails.

const root = "../../.."

// tool is where .ci/tools put something, by the locks that it is made from.
func tool(t *testing.T, name string, locks ...string) string {
	t.Helper()
	var all []byte
	for _, l := range locks {
		text, err := os.ReadFile(filepath.Join(root, ".ci", l))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	dir, err := filepath.Abs(filepath.Join(root, ".cache", fmt.Sprintf("%s-%x", name, sha256.Sum256(all))[:len(name)+13]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
		missing(t, err)
	}
	return dir
}

func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v; run make tools", err)
	}
	t.Skipf("%v; run make tools", err)
}

// judged serves an org of 4,500 accounts, and one that is deleted, to a client.
func judged(t *testing.T, tls bool) (*orgsandbox.Org, []string) {
	t.Helper()
	org := orgsandbox.New(orgsandbox.Options{})
	for i := range 4494 {
		id, err := org.Insert("Account", map[string]any{"Name": fmt.Sprintf("Account %d", i)})
		if err == nil && i == 0 {
			err = org.Delete(id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = door.Before(org, server.Listener.Addr(), "")
	var env []string
	scheme := "http://"
	if tls {
		l, certificate, err := orgsandbox.Secure(server.Listener)
		if err != nil {
			t.Fatal(err)
		}
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, certificate, 0o600); err != nil {
			t.Fatal(err)
		}
		scheme, server.Listener, env = "https://", l, append(env, "ORG_CA="+ca)
	}
	server.Start()
	t.Cleanup(server.Close)
	credentials, err := json.Marshal(org.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	return org, append(env, "ORG_URL="+scheme+server.Listener.Addr().String(), "ORG_CREDENTIALS="+string(credentials))
}

// expected is what a flow has to say: the JSON of its result, or a part of its error.
type expected struct{ flow, result, err string }

// plays runs a client and compares its lines, one for each flow.
func plays(t *testing.T, env []string, want []expected, program string, args ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), append(env, "HTTP_PROXY=", "HTTPS_PROXY=", "http_proxy=", "https_proxy=", "CGO_ENABLED=0")...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, problems.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for n := 0; lines.Scan(); n++ {
		var got struct {
			Flow, Error string
			Result      json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil || n >= len(want) {
			t.Fatalf("line %d: %s", n, lines.Bytes())
		}
		w := want[n]
		if got.Flow != w.flow {
			t.Fatalf("flow %d is %q, want %q", n, got.Flow, w.flow)
		}
		if (got.Error != "") != (w.err != "") || !strings.Contains(got.Error, w.err) || w.err == "" && string(got.Result) != w.result {
			t.Errorf("%s: %s\nwant %s%s", w.flow, lines.Bytes(), w.result, w.err)
		}
		if n == len(want)-1 {
			t.Logf("%d flows", len(want))
			return
		}
	}
	t.Errorf("the client ended early: %s", problems.String())
}

// left looks at the org after a client: the rows that it wrote, and their events.
func left(t *testing.T, org *orgsandbox.Org, want ...string) {
	t.Helper()
	var names []string
	for _, e := range org.Events(4495) { // those of judged
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != strings.Join(want, " ") {
		t.Errorf("events of the client: %s", got)
	}
}

func TestJudgedBySimpleSalesforce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Python, which takes seconds; without -short it runs")
	}
	python := filepath.Join(tool(t, "clients", "uv.lock", "clients.lock"), "bin", "python")
	org, env := judged(t, true)
	plays(t, env, []expected{
		{"client credentials", `{"token": true, "instance": true}`, ""},
		{"client credentials refused", "", "SalesforceAuthenticationFailed: Authentication failed (code: invalid_client): invalid client credentials"},
		{"jwt", `{"token": true, "instance": true}`, ""},
		{"jwt refused", "", "SalesforceAuthenticationFailed: Authentication failed (code: invalid_grant): user hasn't approved this consumer"},
		{"soap login", `{"token": true, "instance": true}`, ""},
		{"soap login refused", "", "INVALID_LOGIN: Invalid username, password, security token; or user locked out."},
		{"query", `["Alpha Example Ltd"]`, ""},
		{"query in pages", `4500`, ""},
		{"queryAll in pages", `4502`, ""},
		{"query of a wrong field", "", "SalesforceMalformedRequest"},
		{"get", `"Alpha Example Ltd"`, ""},
		{"get what is missing", "", "SalesforceResourceNotFound"},
		{"describe", `"address"`, ""},
		{"global describe", `true`, ""},
		{"limits", `15000`, ""},
		{"limit info", `15000`, ""},
		{"many by id", `["Alpha Example Ltd", null]`, ""},
		{"update", `204`, ""},
		{"updated", `true`, ""},
		{"deleted", `1`, ""},
		{"tooling create", `18`, ""},
		{"tooling duplicate", "", "DUPLICATE_DEVELOPER_NAME"},
		{"tooling query", `["Python"]`, ""},
		{"bulk query", `4500`, ""},
		{"publish", `"OPERATION_ENQUEUED"`, ""},
		{"deploy", `{"length": 18, "state": "Queued", "then": "Succeeded", "deployed": "2"}`, ""},
	}, python, "testdata/clients/simple_salesforce_flows.py")
	left(t, org, "AccountChangeEvent", "Inventory_Update__e")
}

func TestJudgedByCumulusCI(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Python, which takes seconds; without -short it runs")
	}
	python := filepath.Join(tool(t, "cumulusci", "uv.lock", "cumulusci.lock"), "bin", "python")
	org, env := judged(t, true)
	plays(t, append(env, "HOME="+t.TempDir()), []expected{
		{"jwt", `{"keys": ["access_token", "api_instance_url", "id", "instance_url", "issued_at", "scope", "signature", "token_type"], "instance": true, "type": "Bearer"}`, ""},
		{"jwt of a stranger", "", `SalesforceCredentialsException: Error retrieving access token: {"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`},
		{"jwt of another app", "", `"error":"invalid_client_id"`},
		{"newest version", `"67.0"`, ""},
		{"org id", `"00D5f000005KcCnEAK"`, ""},
		{"user id", `"0055f0000100001AAA"`, ""},
		{"userinfo", `"00D5f000005KcCnEAK"`, ""},
		{"organization", `["Developer Edition", true, "EUX1", null]`, ""},
		{"expires", `"Persistent"`, ""},
		{"person accounts", `false`, ""},
		{"many currencies", `false`, ""},
		{"counts by composite", `{"Account": 4500, "Opportunity": 4}`, ""},
		{"count of what is no object", `[[400, "INVALID_TYPE"]]`, ""},
		{"deploy by REST", `"Deployment Succeeded"`, ""},
		{"deploy by SOAP", `"Success"`, ""},
	}, python, "testdata/clients/cumulusci_flows.py")
	left(t, org)
}

// node is Node.js and where its packages are.
func node(t *testing.T) (program, dir string) {
	t.Helper()
	dir = tool(t, "node", "clients/package-lock.json")
	machine := runtime.GOARCH
	if machine == "amd64" {
		machine = "x64"
	}
	program = filepath.Join(dir, "node_modules", "node-"+runtime.GOOS+"-"+machine, "bin", "node")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) { // npm brings Node to Linux only
		if program, err = exec.LookPath("node"); err != nil {
			missing(t, err)
		}
	}
	return program, dir
}

func TestJudgedByJSforce(t *testing.T) {
	node, dir := node(t)
	org, env := judged(t, false)
	plays(t, append(env, "ORG_MODULES="+dir), []expected{
		{"client credentials", `"00D5f000005KcCnEAK"`, ""},
		{"client credentials refused", "", "invalid_client: invalid client credentials"},
		{"jwt", `"0055f0000100001AAA"`, ""},
		{"jwt refused", "", "invalid_grant: audience is invalid"},
		{"identity", `"integration@sfrelay.example"`, ""},
		{"query", `"Alpha Example Ltd"`, ""},
		{"query in pages", `4500`, ""},
		{"query of a wrong field", "", "INVALID_FIELD"},
		{"query with children", `1`, ""},
		{"retrieve one", `"Alpha Example Ltd"`, ""},
		{"retrieve many", `["Alpha Example Ltd","Beta Example Holding Ltd"]`, ""},
		{"retrieve what is missing", "", "NOT_FOUND: The requested resource does not exist"},
		{"many by id", `["Alpha Example Ltd",null]`, ""},
		{"many by id, a wrong field", "", "INVALID_FIELD: No such column 'Nope' on sobject of type Account"},
		{"describe", `["User"]`, ""},
		{"global describe", `true`, ""},
		{"limits", `15000`, ""},
		{"limit info", `15000`, ""},
		{"update", `true`, ""},
		{"updated", `true`, ""},
		{"deleted", `1`, ""},
		{"tooling create", `18`, ""},
		{"tooling duplicate", "", "DUPLICATE_DEVELOPER_NAME"},
		{"tooling query", `1`, ""},
		{"feedback", `0`, ""},
		{"publish", `"OPERATION_ENQUEUED"`, ""},
		{"bulk query", `4500`, ""},
		{"metadata describe", `true`, ""},
		{"soap login", `"00D5f000005KcCnEAK"`, ""},
		{"soap login refused", "", "INVALID_LOGIN"},
	}, node, "testdata/clients/jsforce.mjs")
	left(t, org, "AccountChangeEvent", "Inventory_Update__e")
}

func TestJudgedByGoSalesforce(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the client; without -short it runs")
	}
	org, env := judged(t, false)
	plays(t, env, []expected{
		{"client credentials refused", "", "400 Bad Request: failed authentication"},
		{"client credentials", `true`, ""},
		{"query", `[{"Id":"0015f0000200001AAA","Name":"Alpha Example Ltd"}]`, ""},
		{"query in pages", `4500`, ""},
		{"query of a wrong field", "", "INVALID_FIELD"},
		{"insert", `18`, ""},
		{"update", `null`, ""},
		{"query what was updated", `true`, ""},
		{"delete", `null`, ""},
	}, "go", "run", "-modfile="+root+"/.ci/clients.mod", "./testdata/clients/gosalesforce")
	left(t, org, "AccountChangeEvent", "AccountChangeEvent", "AccountChangeEvent")
}
