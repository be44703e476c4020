package template_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeAWS is an account as the scripts beside the Makefile ask it: one stack at most, tables and queues.
type fakeAWS struct {
	parameters, outputs map[string]string // of the stack sfrelay; both nil: there is none
	made                string            // the table that it made
	tables              map[string]string // name -> what DescribeTable says beside the name
	counts              map[string]int    // URL of a queue -> messages
	denies              bool
}

func (a *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct{ TableName, QueueUrl string }
	_ = json.Unmarshal(body, &in)
	_, action, rpc := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	form, _ := url.ParseQuery(string(body))
	if !rpc {
		action = form.Get("Action")
	}
	if a.denies {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`)
		return
	}
	missing := func(what string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse><Error><Code>ValidationError</Code><Message>%s does not exist</Message></Error></ErrorResponse>`, what)
	}
	switch action {
	case "DescribeStacks":
		if a.parameters == nil && a.outputs == nil || form.Get("StackName") != "sfrelay" {
			missing("Stack with id sfrelay")
			return
		}
		members := func(of map[string]string, key, value string) (b string) {
			for name, v := range of {
				b += fmt.Sprintf("<member><%s>%s</%s><%s>%s</%s></member>", key, name, key, value, v, value)
			}
			return b
		}
		fmt.Fprintf(w, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>sfrelay</StackName><StackStatus>CREATE_COMPLETE</StackStatus>`+
			`<CreationTime>2026-11-22T07:00:00Z</CreationTime><Parameters>%s</Parameters><Outputs>%s</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
			members(a.parameters, "ParameterKey", "ParameterValue"), members(a.outputs, "OutputKey", "OutputValue"))
	case "DescribeStackResource":
		if a.made == "" || form.Get("LogicalResourceId") != "GuardTable" {
			missing("Resource GuardTable")
			return
		}
		fmt.Fprintf(w, `<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><LogicalResourceId>GuardTable</LogicalResourceId>`+
			`<PhysicalResourceId>%s</PhysicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType><LastUpdatedTimestamp>2026-11-22T07:00:00Z</LastUpdatedTimestamp>`+
			`<ResourceStatus>CREATE_COMPLETE</ResourceStatus></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`, a.made)
	case "ListTables":
		names, _ := json.Marshal(append([]string{}, keys(a.tables)...))
		fmt.Fprintf(w, `{"TableNames":%s}`, names)
	case "DescribeTable":
		if a.tables[in.TableName] == "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no such table"}`)
			return
		}
		fmt.Fprintf(w, `{"Table":{"TableName":%q,%s}}`, in.TableName, a.tables[in.TableName])
	case "DescribeTimeToLive":
		fmt.Fprint(w, `{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}`)
	case "DescribeContinuousBackups":
		fmt.Fprint(w, `{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"DISABLED"}}}`)
	case "GetQueueAttributes":
		// Of what is there one half is visible and one is not, the odd one is delayed.
		n := a.counts[in.QueueUrl]
		fmt.Fprintf(w, `{"Attributes":{"ApproximateNumberOfMessages":"%d","ApproximateNumberOfMessagesNotVisible":"%d","ApproximateNumberOfMessagesDelayed":"%d"}}`, n/2, n/2, n%2)
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

// runScript runs a script of .ci as make does, against an account, in a directory with these files.
func runScript(t *testing.T, aws *fakeAWS, files map[string][]byte, env []string, script string, args ...string) (string, error) {
	t.Helper()
	load(t) // skips where SAM is not installed
	python, err := python()
	if err != nil {
		t.Fatal(err)
	}
	if script, err = filepath.Abs(filepath.Join(root, ".ci", script)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(aws)
	defer server.Close()
	cmd := exec.Command(python, append([]string{script}, args...)...)
	cmd.Dir = dir
	// Nothing of the reader's settings, which may lead to an account.
	cmd.Env = slices.Concat([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL=" + server.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_DEFAULT_REGION=eu-west-2", "PYTHONDONTWRITEBYTECODE=1",
	}, env)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
