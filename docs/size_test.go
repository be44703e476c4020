package docs_test

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
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/guard/dynamo/dynamotest"
)

// Each function is compared with a program that only links what it has to link.
const (
	floor       = "docs/testdata/floor"
	floorStripe = "docs/testdata/floor-stripe"
)

// mostAbove is the budget of docs/performance.md, in bytes, zipped.
const mostAbove = 600_000

// measured is one function: an event that needs no secret because an item already
// decides it, and the item.
type measured struct {
	function, floor string
	event           string // in events/
	item            map[string]types.AttributeValue
}

const (
	org      = "00D5f000005KcCnEAK"
	accounts = "#" + org + "#Account/0015f0000200001AAA"
)

var functions = []measured{
	{"customer-billing", floorStripe, "04-account-update-phone.json", newer("customer-billing" + accounts)},
	{"customer-erp", floor, "04-account-update-phone.json", newer("customer-erp" + accounts)},
	{"inventory-erp", floor, "34-inventory-first.json", newer("inventory-erp#" + org + "#stock/SKU-100@BER")},
	{"opportunity-billing", floorStripe, "26-opportunity-won.json", map[string]types.AttributeValue{
		dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: "opportunity-billing#" + org + "#Opportunity/0065f0000300001AAA/invoice"},
		"s":                 &types.AttributeValueMemberN{Value: "4"},
		"u":                 &types.AttributeValueMemberN{Value: "0"},
	}},
}

// newer is an item whose last full state is newer than any event.
func newer(key string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: key},
		"d":                 &types.AttributeValueMemberB{Value: bytes.Repeat([]byte{0xff}, 20)},
		"u":                 &types.AttributeValueMemberN{Value: "0"},
	}
}

// build makes the bootstrap of a package with the flags that make and sam use: it runs
// the Makefile's own command with another package.
func build(tb testing.TB, pkg string) string {
	tb.Helper()
	dir := tb.TempDir()
	mk := exec.Command("make", "--no-print-directory", "-n", "build-InventoryErp", "ARTIFACTS_DIR="+dir, "BIN="+dir, "OS="+runtime.GOOS, "ARCH="+runtime.GOARCH)
	mk.Dir = ".."
	command, err := mk.Output()
	if err != nil {
		tb.Fatalf("make -n: %v", err)
	}
	const known = "./functions/inventory-erp"
	if !strings.Contains(string(command), known) {
		tb.Fatalf("the Makefile builds no %s: %s", known, command)
	}
	sh := exec.Command("sh", "-c", strings.Replace(string(command), known, "./"+pkg, 1))
	sh.Dir = ".."
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
	known, err := filepath.Glob("../functions/*/main.go")
	if err != nil || len(known) != len(functions) {
		t.Fatalf("%d functions, %d of them measured here: %v", len(known), len(functions), err)
	}
	floors := map[string]int{}
	for _, f := range functions {
		if floors[f.floor] == 0 {
			floors[f.floor] = zipped(t, build(t, f.floor))
		}
		size := zipped(t, build(t, "functions/"+f.function))
		above := size - floors[f.floor]
		t.Logf("%-20s %.2f MB zipped, %.2f above %s (%s/%s)", f.function, float64(size)/1e6, float64(above)/1e6, filepath.Base(f.floor), runtime.GOOS, runtime.GOARCH)
		if above > mostAbove {
			t.Errorf("%s: %d bytes above its floor, at most %d", f.function, above, mostAbove)
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
	table := guardTable(b, endpoint)
	fmt.Print("\n| process start to first decided event | ms, median | above its floor | fastest | above | CPU ms, median | above | peak MB |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, f := range functions {
		event, err := os.ReadFile("../events/" + f.event)
		if err != nil {
			b.Fatal(err)
		}
		bins := [2]string{build(b, f.floor), build(b, "functions/"+f.function)}
		var wall, cpu [2][]time.Duration
		var peak int64
		for range starts {
			for i, bin := range bins {
				w, used := firstEvent(b, bin, endpoint, table, event)
				wall[i], cpu[i] = append(wall[i], w), append(cpu[i], used.UserTime()+used.SystemTime())
				if i == 1 {
					peak = max(peak, used.SysUsage().(*syscall.Rusage).Maxrss) // KB on Linux
				}
			}
		}
		row := "| " + f.function + " |"
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
		fmt.Printf("%s %d |\n", row, peak/1024)
	}
}

// guardTable is a table with the items that decide the events.
func guardTable(b *testing.B, endpoint string) string {
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
	items := []map[string]types.AttributeValue{{dynamo.KeyAttribute: &types.AttributeValueMemberS{Value: "floor"}}}
	for _, f := range functions {
		items = append(items, f.item)
	}
	for _, item := range items {
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
		"AWS_ENDPOINT_URL_DYNAMODB=" + endpoint, "GUARD_TABLE=" + table, "SALESFORCE_ORGS=" + org,
		"FAILURE_QUEUE_URL=http://127.0.0.1:9/queue", "ERP=http", "ERP_URL=http://127.0.0.1:9", "ERP_SECRET=unread",
		"BILLING=stripe", "STRIPE_SECRET=unread", "GOMAXPROCS=1", "GOGC=400", // the last two as in the template
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
	if verdict := log.String(); problem != "" || strings.Contains(verdict, `"verdict"`) && !strings.Contains(verdict, `"verdict":"stale"`) && !strings.Contains(verdict, `"verdict":"duplicate"`) {
		b.Fatalf("%s: %s\n%s", bin, problem, verdict)
	}
	return wall, cmd.ProcessState
}
