package stack

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// emulator starts ministack alone, as Up does, in a directory that did not exist.
func emulator(t *testing.T) *Stack {
	t.Helper()
	tools := filepath.Dir(installed(t))
	s := &Stack{dir: filepath.Join(t.TempDir(), "stack")}
	for _, dir := range []string{s.dir, s.file("tmp")} {
		if err := ownDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := s.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := s.startEmulator(t.Context(), tools); err != nil {
		b, _ := os.ReadFile(s.file("ministack.log"))
		t.Fatalf("%v\n%s", err, b)
	}
	return s
}

// installed is the Python that runs the emulator. Where it is missing the test is skipped,
// and fails in CI.
func installed(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts programs in Python, which takes seconds; run it without -short")
	}
	found, _ := filepath.Glob("../../../../.cache/python-*/bin/python")
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("the emulator is not installed: run make tools")
		}
		t.Skip("the emulator is not installed: run make tools")
	}
	python, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return python
}

// ask sends a request to the emulator that says an access key, signed by nobody: the
// emulator does not check the signature of its root.
func (s *Stack) ask(t *testing.T, key, method, path, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	ca, err := os.ReadFile(s.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), method, s.Endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Amz-Date", "20261127T000000Z")
	if key != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20261127/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00")
	}
	if change != nil {
		change(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// key is the access key that the stack's profile says.
func (s *Stack) key(t *testing.T) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, s.file("aws-config")), "aws_access_key_id = ")
	key, _, _ := strings.Cut(rest, "\n")
	if !ok || len(key) != 20 {
		t.Fatalf("the key is %q", key)
	}
	return key
}

const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

// Whoever does not have the keys of this stack finds nothing but a sign of life.
func TestTheStackIsNoDoor(t *testing.T) {
	s := emulator(t)
	key, another := s.key(t), emulator(t).key(t)
	cfg, err := s.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil); err != nil || *me.Arn != "arn:aws:iam::000000000000:root" {
		t.Errorf("with its profile: %v, %v", me, err)
	}
	if status, body := s.ask(t, key, "POST", "/", whoAmI, nil); status != 200 {
		t.Errorf("with its key: %d %s", status, body)
	}
	if status, body := s.ask(t, "", "GET", "/_ministack/health", "", nil); status != 200 {
		t.Errorf("health: %d %s", status, body)
	}
	port := s.Endpoint[strings.LastIndex(s.Endpoint, ":"):]
	if status, body := s.ask(t, key, "POST", "/", whoAmI, func(r *http.Request) { r.URL.Host, r.Host = "localhost"+port, "localhost"+port }); status != 200 {
		t.Errorf("as a container calls it: %d %s", status, body)
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	mine := "AWS4-HMAC-SHA256 Credential=" + key + "/20261127/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00"
	for name, c := range map[string]struct {
		key, method, path, body string
		change                  func(*http.Request)
	}{
		"the key of every stack before": {key: "local", method: "POST", body: whoAmI},
		"the key of another stack":      {key: another, method: "POST", body: whoAmI},
		"the emulator's default key":    {key: "test", method: "POST", body: whoAmI},
		"the account":                   {key: Account, method: "POST", body: whoAmI},
		"another account":               {key: "111111111111", method: "POST", body: whoAmI},
		"no key":                        {method: "POST", body: whoAmI},
		"another key":                   {key: strings.Repeat("A", 20), method: "POST", body: whoAmI},
		"a key in the query":            {method: "POST", path: "/?AWSAccessKeyId=test", body: whoAmI},
		"a presigned key":               {method: "GET", path: "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test/20261127/us-east-1/s3/aws4_request"},
		"signed otherwise":              {method: "POST", body: whoAmI, change: header("Authorization", "AWS test:00")},
		"two keys":                      {key: "test", method: "POST", body: whoAmI, change: header("Authorization", mine)},
		"two keys, the other first":     {key: key, method: "POST", body: whoAmI, change: header("Authorization", "AWS test:00")},
		"a key behind another":          {method: "POST", body: whoAmI, change: header("Authorization", "AWS4-HMAC-SHA256 Credential=test/x, Credential="+key+"/")},
		"reset":                         {method: "POST", path: "/_ministack/reset"},
		"configuration":                 {method: "POST", path: "/_ministack/config", body: "{}"},
		"messages":                      {method: "GET", path: "/_ministack/sqs/messages"},
		"code":                          {method: "GET", path: "/_ministack/lambda-code/f"},
		"another name of it":            {key: key, method: "POST", body: whoAmI, change: host("stack.example.com")},
		"without its port":              {key: key, method: "POST", body: whoAmI, change: host("127.0.0.1")},
		"localhost without its port":    {key: key, method: "POST", body: whoAmI, change: host("localhost")},
		"a page in a browser":           {key: key, method: "POST", body: whoAmI, change: header("Origin", "https://example.com")},
		"health for a page":             {method: "GET", path: "/_ministack/health", change: header("Origin", s.Endpoint)},
	} {
		if status, body := s.ask(t, c.key, c.method, c.path, c.body, c.change); status != http.StatusForbidden || !strings.Contains(body, "AccessDenied") {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	onlyMine(t, s.dir)
	for name, b := range map[string]string{"ministack.log": read(t, s.file("ministack.log")), "state.json": read(t, s.file("state.json"))} {
		if strings.Contains(b, key) {
			t.Errorf("%s says the key", name)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onlyMine fails where somebody else can read what lies in dir.
func onlyMine(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 && d.Type()&fs.ModeSymlink == 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		files++
		return nil
	})
	if err != nil || files < 7 {
		t.Errorf("%d files, %v", files, err)
	}
}

// inside runs a program in the place of the emulator, with what the door has changed in it.
func inside(t *testing.T, program string) string {
	t.Helper()
	s := &Stack{dir: t.TempDir()}
	if err := ownDir(s.file("tmp")); err != nil {
		t.Fatal(err)
	}
	const start = "sys.exit(emulator.main())\n"
	if !strings.HasSuffix(door, start) {
		t.Fatal("door.py does not end with the start of the emulator")
	}
	cmd := s.python(filepath.Dir(installed(t)), strings.TrimSuffix(door, start)+program, "1", "key", "secret")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return string(out)
}

// The keys that the emulator gives to a function's role follow from its name alone.
func TestKeysOfARoleCannotBeGuessed(t *testing.T) {
	const program = `
config = {"FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f", "Role": "arn:aws:iam::000000000000:role/r"}
print(lambda_svc.execution_credentials(config)["AWS_ACCESS_KEY_ID"], sts._sessions[lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"]]["Arn"])`
	said := []string{inside(t, program), inside(t, program)}
	guess := fmt.Sprintf("%X", sha256.Sum256([]byte("arn:aws:lambda:us-east-1:000000000000:function:f:arn:aws:iam::000000000000:role/r")))[:16]
	for _, line := range said {
		if !strings.HasSuffix(line, " arn:aws:sts::000000000000:assumed-role/r/f\n") || strings.Contains(line, guess) {
			t.Errorf("%s", line)
		}
	}
	if said[0] == said[1] {
		t.Errorf("the same twice: %s", said[0])
	}
}

// What a role may ask for is a source or a bus, as AWS names them, and everything else as the
// emulator does.
func TestSourcesAndBusesAreNoRules(t *testing.T) {
	said := inside(t, `
for target, body in (("DescribeEventSource", b'{"Name": "aws.partner/a"}'), ("DescribeEventBus", b'{"Name": "aws.partner/a"}'), ("DescribeEventBus", b"{}"), ("DescribeRule", b'{"Name": "r"}')):
    print(iam_actions.extract_resource_arn("events", "POST", "/", {"x-amz-target": "AWSEvents." + target}, body, {}, "us-east-1", "000000000000"))
print(iam_actions.extract_resource_arn("s3", "PUT", "/bucket/key", {}, bytes([0xb5, 1]), {}, "us-east-1", "000000000000"))`)
	const want = "arn:aws:events:us-east-1::event-source/aws.partner/a\narn:aws:events:us-east-1:000000000000:event-bus/aws.partner/a\n*\n" +
		"arn:aws:events:us-east-1:000000000000:rule/default/r\narn:aws:s3:::bucket/key\n"
	if said != want {
		t.Errorf("%s, want %s", said, want)
	}
}

// What a role may do with an item depends on its key, which the emulator does not say.
func TestKeysOfItemsAreConditions(t *testing.T) {
	said := inside(t, `
for body in (b'{"TableName": "t", "Key": {"pk": {"S": "a#1"}}}', b'{"TableName": "t", "Item": {"pk": {"S": "relay#1"}, "x": {"N": "1"}}}', b'{"TableName": "t"}', b'{"TableName": "t", "Key": {"other": {"S": "a"}}}', b"[]", bytes([0xb5])):
    print(iam_actions.dynamodb_service_context(body).get("dynamodb:LeadingKeys"))`)
	if want := "['a#1']\n['relay#1']\nNone\nNone\nNone\nNone\n"; said != want {
		t.Errorf("%s, want %s", said, want)
	}
}

// A function asks for its events at a port that everybody can ask at. Only what is in its
// environment is answered.
func TestEventsAreForTheirFunctionOnly(t *testing.T) {
	said := inside(t, `
import threading, urllib.error, urllib.request
from http.server import HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if "/runtime/invocation/next" in self.path else 404)
        self.end_headers()
    do_POST = do_GET
    def log_message(self, *args):
        pass
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
config = {"FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f", "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "provided.al2023"}
own = lambda_svc._provided_worker_env(config, ".", port)["AWS_LAMBDA_RUNTIME_API"]
def status(address, method):
    try:
        request = urllib.request.Request(f"http://{address}/2018-06-01/runtime/invocation/next", method=method)
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as e:
        return e.code
print(status(own, "GET"), *(status(a, m) for a in (f"127.0.0.1:{port}", f"127.0.0.1:{port}/x") for m in ("GET", "POST")))`)
	if said != "200 403 403 403 403\n" {
		t.Errorf("%s, want 200 and then 403 only", said)
	}
}

// The table is slow, and nothing else of AWS is.
func TestEveryCallOfTheTableWaits(t *testing.T) {
	said := inside(t, `
STORE_DELAY, waited = 0.3, []
async def wait(seconds):
    waited.append(seconds)
asyncio.sleep = wait
async def nothing(*args):
    pass
def call(key, target):
    headers = [(b"host", HOST), (b"authorization", b"AWS4-HMAC-SHA256 Credential=" + key + b"/x"), (b"X-Amz-Target", target)]
    coroutine = door({"type": "http", "method": "POST", "path": "/", "headers": headers}, nothing, nothing, nothing)
    try:
        coroutine.send(None)
    except StopIteration:
        pass
for target in (b"DynamoDB_20120810.UpdateItem", b"DynamoDB_20120810.GetItem", b"AmazonSQS.SendMessage", b"secretsmanager.GetSecretValue"):
    call(ROOT, target)
call(b"other", b"DynamoDB_20120810.UpdateItem")
print(waited, "STORE_DELAY" in os.environ)`)
	if said != "[0.3, 0.3] False\n" {
		t.Errorf("%s, want two waits, and the functions do not see it", said)
	}
}

// The emulator's own places for state are in /tmp, under names that anybody can take first.
func TestNothingLiesOutsideOfTheDirectory(t *testing.T) {
	s := &Stack{dir: t.TempDir()}
	places := map[string]bool{"HOME": true, "TMPDIR": true, "STATE_DIR": true, "S3_DATA_DIR": true}
	for _, kv := range s.python("tools", door, "1", "key", "secret").Env {
		name, value, _ := strings.Cut(kv, "=")
		if places[name] && strings.HasPrefix(value, s.file("tmp")) {
			delete(places, name)
		}
	}
	if len(places) > 0 {
		t.Errorf("not in the stack's directory: %v", places)
	}
}

func TestKeysAreNew(t *testing.T) {
	a, b := NewKey(), NewKey()
	if len(a) != 20 || len(b) != 20 || a == b {
		t.Errorf("%q, %q", a, b)
	}
}

func TestOwnDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stack")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 || !Owns(info, os.Getuid()) || Owns(info, os.Getuid()+1) {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	file := filepath.Join(dir, "log")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(file, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || read(t, file) != "new" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 1, 1); err != nil {
			t.Fatal(err)
		}
		if err := ownDir(dir); err == nil || !strings.Contains(err.Error(), "--dir") {
			t.Errorf("a directory of another user: %v", err)
		}
	}
}
