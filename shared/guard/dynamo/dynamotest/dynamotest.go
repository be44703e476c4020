// Package dynamotest starts DynamoDB Local, Amazon's own, for tests: the oracle of
// the guard's conditions.
//
// It is proprietary and comes from npm, so it is never in the repository: make
// tools puts it into .cache/. One process serves a whole test binary and ends with
// it, however the binary ends. It listens on all interfaces (it knows no other
// way) on a port that is free, holds its tables in memory and sends no telemetry.
package dynamotest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/freeport"
)

// EndpointVariable names a DynamoDB that is already running, to be used instead,
// e.g. that of the local stack.
const EndpointVariable = "DYNAMODB_ENDPOINT"

const howTo = "run make tools (needs Java 17 and npm), or set " + EndpointVariable

// Start returns the endpoint of a DynamoDB for this test. All tests of a binary
// share it: name tables after the test. Where there is none, the test is skipped
// and says how to get it; with CI=true, and of a benchmark, it fails instead: who asks for
// figures must not be told that all is well.
func Start(t testing.TB) string {
	t.Helper()
	if endpoint := os.Getenv(EndpointVariable); endpoint != "" {
		return endpoint
	}
	endpoint, err := start()
	switch {
	case err == nil:
		return endpoint
	case os.Getenv("CI") == "true" || measures(t):
		t.Fatalf("DynamoDB Local: %v; %s", err, howTo)
	default:
		t.Skipf("DynamoDB Local: %v; %s", err, howTo)
	}
	return ""
}

func measures(t testing.TB) bool {
	_, ok := t.(*testing.B)
	return ok
}

var start = sync.OnceValues(func() (string, error) {
	dir, err := installed()
	if err != nil {
		return "", err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", errors.New("java is missing")
	}
	return run(java, dir)
})

// run starts one process under a shell that waits for the end of its standard
// input, which is ours: it closes when this process ends, even when killed, and
// the shell then ends the one process it started.
func run(java, dir string) (string, error) {
	port, release, err := freeport.Reserve()
	if err != nil {
		return "", err
	}
	defer release()
	cmd := exec.Command("sh", "-c", `"$@" </dev/null & server=$!; cat >/dev/null; kill $server`, "sh",
		java, "-Xmx256m", "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar",
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DDB_LOCAL_TELEMETRY=0")
	hold, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	endpoint := fmt.Sprintf("http://127.0.0.1:%d", port)
	if err := ready(endpoint); err != nil {
		return "", errors.Join(err, hold.Close(), cmd.Wait())
	}
	keep = append(keep, hold) // else the collector would close it
	return endpoint, nil
}

var keep []any

// ready waits until the endpoint answers as DynamoDB does: with 400 to a request
// without credentials.
func ready(endpoint string) error {
	client := http.Client{Timeout: 10 * time.Second}
	const tries, pause = 1200, 100 * time.Millisecond // Java begins in two seconds, on a busy machine in a minute
	for range tries {
		resp, err := client.Get(endpoint)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusBadRequest {
				return nil
			}
		}
		time.Sleep(pause)
	}
	return fmt.Errorf("no answer from %s after %s", endpoint, tries*pause)
}

// installed finds what .ci/tools put into .cache/ of the module's root.
func installed() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
	// The version is looked up where it is pinned, not in .cache/: go test would forget its results
	// whenever something else is put there.
	tools, err := os.ReadFile(filepath.Join(dir, ".ci", "tools"))
	if err != nil {
		return "", err
	}
	version := pinned.FindSubmatch(tools)
	if version == nil {
		return "", errors.New(".ci/tools names no version")
	}
	dir = filepath.Join(dir, ".cache", "dynamodb-local-"+string(version[1]))
	if _, err := os.Stat(filepath.Join(dir, "DynamoDBLocal.jar")); err != nil {
		return "", errors.New("not installed")
	}
	return dir, nil
}

var pinned = regexp.MustCompile(`(?m)^\tversion=(\S+) # DynamoDB Local`)
