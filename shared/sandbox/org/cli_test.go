package orgsandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// project is a relay in the source format of Salesforce's own tools.
var project = map[string]string{
	"sfdx-project.json": `{"packageDirectories":[{"path":"force-app","default":true}],"namespace":"","sourceApiVersion":"66.0"}`,
	"force-app/main/default/platformEventChannels/Changes__chn.platformEventChannel-meta.xml": `<?xml version="1.0" encoding="UTF-8"?>
<PlatformEventChannel xmlns="http://soap.sforce.com/2006/04/metadata"><channelType>data</channelType><label>Changes</label></PlatformEventChannel>
`,
	"force-app/main/default/platformEventChannelMembers/Changes_Account.platformEventChannelMember-meta.xml": `<?xml version="1.0" encoding="UTF-8"?>
<PlatformEventChannelMember xmlns="http://soap.sforce.com/2006/04/metadata"><eventChannel>Changes__chn</eventChannel><selectedEntity>AccountChangeEvent</selectedEntity></PlatformEventChannelMember>
`,
	"force-app/main/default/eventRelays/Changes.eventRelay-meta.xml": `<?xml version="1.0" encoding="UTF-8"?>
<EventRelayConfig xmlns="http://soap.sforce.com/2006/04/metadata"><destinationResourceName>callout:AWS</destinationResourceName><eventChannel>Changes__chn</eventChannel><label>Changes</label><state>STOP</state></EventRelayConfig>
`,
}

// sf is the command line of Salesforce in a home and a project of its own.
type sf struct {
	*testing.T
	program, cli, dir string
}

// call is what one command prints.
func (s *sf) call(args ...string) ([]byte, error) {
	s.Helper()
	ctx, stop := context.WithTimeout(s.Context(), 10*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, s.program, append([]string{s.cli}, args...)...)
	cmd.Dir = s.dir
	// Nothing of the caller's environment: it may hold an org.
	cmd.Env = []string{"PATH=" + filepath.Dir(s.program) + ":/usr/bin:/bin", "HOME=" + s.dir, "SF_USE_GENERIC_UNIX_KEYCHAIN=true", "SF_DISABLE_TELEMETRY=true", "SF_AUTOUPDATE_DISABLE=true", "SF_SKIP_NEW_VERSION_CHECK=true"}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, problems.String())
	}
	return out, err
}

// run is one command: its result, or the name and the message of its error.
func (s *sf) run(args ...string) (any, string) {
	s.Helper()
	out, err := s.call(args...)
	var answer struct {
		Status        int
		Result        any
		Name, Message string
	}
	if e := json.Unmarshal(out, &answer); e != nil {
		s.Fatalf("%q: %v, %v: %s", args, err, e, out)
	}
	if answer.Name != "" || err != nil {
		return nil, answer.Name + ": " + answer.Message
	}
	return answer.Result, ""
}

// at looks into a result: names of members and, as a number, places in a list.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func TestJudgedBySalesforceCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute; without -short it runs")
	}
	program, dir := node(t)
	org, env := judged(t, false)
	url := strings.TrimPrefix(env[0], "ORG_URL=")
	s := &sf{t, program, filepath.Join(dir, "node_modules", "@salesforce", "cli", "bin", "run.js"), t.TempDir()}
	credentials := org.Credentials()
	key := filepath.Join(s.dir, "jwt.key")
	if err := os.WriteFile(key, []byte(credentials.PrivateKey), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range project {
		file := filepath.Join(s.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login := func(user string) []string {
		return []string{"org", "login", "jwt", "--client-id", credentials.ConsumerKey, "--jwt-key-file", key, "--username", user, "--instance-url", url, "--set-default"}
	}
	for _, c := range []struct {
		args []string
		path []any
		want any
		err  string
	}{
		{login("nobody@sfrelay.example"), nil, nil, "user hasn't approved this consumer"},
		{login(credentials.Username), []any{"orgId"}, "00D5f000005KcCnEAK", ""},
		{[]string{"org", "display"}, []any{"connectedStatus"}, "Connected", ""},
		{[]string{"org", "list", "limits"}, []any{0, "max"}, 15000., ""},
		{[]string{"data", "query", "-q", "SELECT Name FROM Account WHERE Id = '" + alpha + "'"}, []any{"records", 0, "Name"}, "Alpha Example Ltd", ""},
		{[]string{"data", "query", "-q", "SELECT Id FROM Account"}, []any{"totalSize"}, 4500., ""},
		{[]string{"data", "query", "-q", "SELECT Nope FROM Account"}, nil, nil, "INVALID_FIELD: \nSELECT Nope FROM Account\n       ^\nERROR at Row:1:Column:8\nNo such column 'Nope' on entity 'Account'."},
		{[]string{"data", "query", "-q", "SELECT Id FROM PlatformEventChannel", "--use-tooling-api"}, []any{"totalSize"}, 0., ""},
		{[]string{"data", "get", "record", "--sobject", "Account", "--record-id", alpha}, []any{"Name"}, "Alpha Example Ltd", ""},
		{[]string{"data", "update", "record", "--sobject", "Account", "--record-id", alpha, "--values", "Phone=1"}, []any{"success"}, true, ""},
		{[]string{"data", "create", "record", "--sobject", "Inventory_Update__e", "--values", "SKU__c=SKU-1 Warehouse__c=BER"}, []any{"errors", 0, "statusCode"}, "OPERATION_ENQUEUED", ""},
		{[]string{"sobject", "describe", "--sobject", "Account"}, []any{"keyPrefix"}, "001", ""},
		{[]string{"project", "convert", "source", "--output-dir", "mdapi"}, []any{"location"}, filepath.Join(s.dir, "mdapi"), ""},
		{[]string{"project", "deploy", "start", "--source-dir", "force-app"}, []any{"files", 2, "state"}, "Created", ""},
		{[]string{"project", "deploy", "validate", "--source-dir", "force-app"}, []any{"status"}, "Succeeded", ""},
	} {
		result, problem := s.run(append(c.args, "--json")...)
		if got := at(result, c.path...); !strings.Contains(problem, c.err) || (problem == "") != (c.err == "") || c.err == "" && !reflect.DeepEqual(got, c.want) {
			t.Errorf("sf %q: %v, %q; want %v, %q", c.args, got, problem, c.want, c.err)
		}
	}
	left(t, org, "AccountChangeEvent", "Inventory_Update__e")
	// What the org refuses is said as sf says it, file by file.
	relay := filepath.Join(s.dir, "force-app", "main", "default", "eventRelays", "Changes.eventRelay-meta.xml")
	if err := os.WriteFile(relay, []byte(strings.Replace(project["force-app/main/default/eventRelays/Changes.eventRelay-meta.xml"], "STOP", "STOPPED", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.call("project", "deploy", "validate", "--source-dir", "force-app"); err == nil || !strings.Contains(string(out), "'STOPPED' is not a valid value for the enum 'EventRelayConfigState'") || !strings.Contains(string(out), "EventRelayConfig │ Changes") {
		t.Errorf("%v: %s", err, out)
	}
}
