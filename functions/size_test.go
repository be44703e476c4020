package functions_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/guard/dynamo/dynamotest"
	"sfrelay/shared/salesforce"
)

// Each function is compared with a program that only links what it has to link.
const (
	floor       = "functions/testdata/floor"
	floorStripe = "functions/testdata/floor-stripe"
)

// mostAbove is the budget of docs/reference/performance.md, in bytes, zipped.
const mostAbove = 750_000

// floorOf is the floor of a function: that with Stripe's client where it links that.
func floorOf(tb testing.TB, function string) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-deps", "./"+function).Output()
	if err != nil {
		tb.Fatalf("go list: %v", err)
	}
	if bytes.Contains(out, []byte("github.com/stripe/stripe-go")) {
		return floorStripe
	}
	return floor
}

// decided is the first sample event of a consumer, and an item of the guard table that
// decides it already: such an event needs no secret and no sink.
func decided(tb testing.TB, def consumer.Definition) (event []byte, item map[string]types.AttributeValue) {
	tb.Helper()
	files, err := filepath.Glob("../events/[0-9]*.json")
	if err != nil {
		tb.Fatal(err)
	}
	d := def.Describe()
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		e, err := salesforce.Decode(raw, salesforce.Options{})
		if err != nil || len(e.Changes) == 0 {
			continue
		}
		if look := def.Look(e, &e.Changes[0]); look.Takes && look.Err == nil {
			item = map[string]types.AttributeValue{
				dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: guard.Key(d.Name, e.Org, look.Subject)},
				"d":                 &types.AttributeValueMemberB{Value: bytes.Repeat([]byte{0xff}, 20)}, // newer than any event
				"u":                 &types.AttributeValueMemberN{Value: "0"},
			}
			if d.Policy == guard.EachOnce {
				item["s"] = &types.AttributeValueMemberN{Value: "4"} // done
			}
			return raw, item
		}
	}
	tb.Fatalf("no file of events/ is an event that %s takes", d.Name)
	return nil, nil
}

// build makes the bootstrap of a package with the flags that make and sam use: it runs
// the Makefile's own command with another package.
func build(tb testing.TB, pkg string) string {
	tb.Helper()
	dir := tb.TempDir()
	mk := exec.Command("make", "--no-print-directory", "-n", "build-InventoryErp", "BIN="+dir)
	mk.Dir = ".."
	command, err := mk.Output()
	if err != nil {
		tb.Fatalf("make -n: %v", err)
	}
	const known = `"./functions/$f"`
	if !strings.Contains(string(command), known) {
		tb.Fatalf("the Makefile builds no %s: %s", known, command)
	}
	sh := exec.Command("sh", "-c", strings.Replace(string(command), known, "./"+pkg, 1))
	sh.Dir = ".."
	sh.Env = append(os.Environ(), "FUNCTION=InventoryErp", "ARTIFACTS_DIR="+dir, "OS="+runtime.GOOS, "ARCH="+runtime.GOARCH)
	if out, err := sh.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", pkg, err, out)
	}
	return filepath.Join(dir, "bootstrap")
}

// zipped is the size of the file as Lambda gets it.
func zipped(tb testing.TB, file string) int {
	tb.Helper()
	in, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = io.Copy(w, in)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Len()
}

// TestBootstrapsAreSmall compares on the architecture of this machine.
func TestBootstrapsAreSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds six programs")
	}
	floors := map[string]int{}
	for _, d := range all() {
		floor := floorOf(t, d.Name)
		if floors[floor] == 0 {
			floors[floor] = zipped(t, build(t, floor))
		}
		size := zipped(t, build(t, "functions/"+d.Name))
		above := size - floors[floor]
		t.Logf("%-20s %.2f MB zipped, %.2f above %s (%s/%s)", d.Name, float64(size)/1e6, float64(above)/1e6, filepath.Base(floor), runtime.GOOS, runtime.GOARCH)
		if above > mostAbove {
			t.Errorf("%s: %d bytes above its floor, at most %d", d.Name, above, mostAbove)
		}
	}
}

// BenchmarkStart prints how long a function takes from the start of its process to its
// first decided event, beside its floor, in turns.
func BenchmarkStart(b *testing.B) {
	if b.N > 1 {
		return // one run is all; b.N means nothing here
	}
	const starts = 15
	endpoint := dynamotest.Start(b)
	defs := functions.All(functions.Ports{})
	var items []map[string]types.AttributeValue
	var events [][]byte
	for _, def := range defs {
		event, item := decided(b, def)
		events, items = append(events, event), append(items, item)
	}
	table := guardTable(b, endpoint, items)
	fmt.Print("\n| process start to first decided event | ms, median | above its floor | fastest | above | CPU ms, median | above |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for i, def := range defs {
		name, event := def.Describe().Name, events[i]
		bins := [2]string{build(b, floorOf(b, name)), build(b, "functions/"+name)}
		var wall, cpu [2][]time.Duration
		for range starts {
			for i, bin := range bins {
				w, used := firstEvent(b, bin, endpoint, table, event)
				wall[i], cpu[i] = append(wall[i], w), append(cpu[i], used.UserTime()+used.SystemTime())
			}
		}
		row := "| " + name + " |"
		for _, of := range []struct {
			samples [2][]time.Duration
			place   int
		}{{wall, starts / 2}, {wall, 0}, {cpu, starts / 2}} {
			var ms [2]float64
			for i, s := range of.samples {
				slices.Sort(s)
				ms[i] = float64(s[of.place]) / float64(time.Millisecond)
			}
			row += fmt.Sprintf(" %.1f | %.1f |", ms[1], ms[1]-ms[0])
		}
		fmt.Println(row)
	}
}

// guardTable is a table with the items that decide the events.
func guardTable(b *testing.B, endpoint string, items []map[string]types.AttributeValue) string {
	b.Helper()
	db := dynamo.NewClient(aws.Config{
		Region: "eu-west-2", BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
	name := fmt.Sprintf("start-%d", time.Now().UnixNano())
	_, err := db.CreateTable(b.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(dynamo.KeyAttribute), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(dynamo.KeyAttribute), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, item := range append(items, map[string]types.AttributeValue{dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: "floor"}}) {
		if _, err := db.PutItem(b.Context(), &dynamodb.PutItemInput{TableName: &name, Item: item}); err != nil {
			b.Fatal(err)
		}
	}
	return name
}

// firstEvent starts the program with a Lambda Runtime API that has one event (AWS
// Lambda Developer Guide, "Using the Lambda runtime API"), and ends it after the answer.
func firstEvent(b *testing.B, bin, endpoint, table string, event []byte) (wall time.Duration, used *os.ProcessState) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	answered := make(chan string, 3)
	asked := false
	over := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, _ *http.Request) {
		if asked {
			<-over // no second event
			return
		}
		asked = true
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "c0000000-0000-4000-8000-000000000001")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(20*time.Second).UnixMilli()))
		_, _ = w.Write(event)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		answered <- ""
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue" { // read ahead
			_, _ = io.WriteString(w, `{"SecretString":"none"}`)
			return
		}
		why, _ := io.ReadAll(req.Body)
		w.WriteHeader(http.StatusAccepted)
		answered <- req.URL.Path + " " + string(why)
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	defer close(over)

	cmd := exec.Command(bin)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + l.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=measured", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_REGION=eu-west-2", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		"AWS_ENDPOINT_URL_DYNAMODB=" + endpoint, "AWS_ENDPOINT_URL_SECRETS_MANAGER=http://" + l.Addr().String(), "GUARD_TABLE=" + table, "SALESFORCE_ORGS=" + consumertest.Org,
		"FAILURE_QUEUE_URL=http://127.0.0.1:9/queue", "FAILURE_BUCKET=unread", "ERP=http", "ERP_URL=http://127.0.0.1:9", "ERP_SECRET=unread",
		"BILLING=stripe", "STRIPE_SECRET=unread", "NOTIFY_URL=https://127.0.0.1:9", "NOTIFY_SECRET=unread", "GOMAXPROCS=1", "GOGC=400", // the last two as in the template
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	problem := "no answer in 30 s"
	select {
	case problem = <-answered:
	case <-time.After(30 * time.Second):
	}
	wall = time.Since(began)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // says that it was killed
	if line := log.String(); problem != "" || strings.Contains(line, `"verdict"`) && !strings.Contains(line, `"verdict":"stale"`) && !strings.Contains(line, `"verdict":"duplicate"`) {
		b.Fatalf("%s: %s\n%s", bin, problem, line)
	}
	return wall, cmd.ProcessState
}
