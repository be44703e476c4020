// Package shared_test holds what is true of the whole tree: which way imports go, and
// how long files and functions get.
package shared_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the import path of the repository's root.
const module = "sfrelay/"

// layer says what the packages below a folder may import of ours and of others, test
// files aside. The first rule that fits a package counts.
type layer struct {
	folder string
	ours   []string // folders; with a "." in the end just the folder itself
	others []string // prefixes of foreign modules; the standard library is always allowed
}

const (
	awsSDK = "github.com/aws/aws-sdk-go-v2"
	smithy = "github.com/aws/smithy-go"
	json2  = "github.com/go-json-experiment/json"
	// The tokens only: reading into structs by reflection weighs 200 KB in a function.
	jsontext = "github.com/go-json-experiment/json/jsontext"
	stripeGo = "github.com/stripe/stripe-go"
	// What signs and verifies as Standard Webhooks says: one file over the standard library.
	standardWebhooks = "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

var layers = []layer{
	// Test kits may use what they test and the tools for it.
	{"shared/guard/guardtest", []string{"shared/guard", "shared/order", "shared/verdict"}, nil},
	{"shared/guard/dynamo/dynamotest", []string{"shared/freeport"}, []string{awsSDK}},
	{"shared/freeport", nil, nil},
	{"shared/erp/sinktest", []string{"shared"}, nil},
	{"shared/notify/receivertest", nil, nil},
	{"shared/consumer/consumertest", []string{"shared"}, []string{jsontext}},
	// Systems to break, for tests and the local stack.
	{"shared/sandbox/stripe", []string{"shared"}, []string{"github.com/stripe", "github.com/lestrrat-go", json2}},
	{"shared/sandbox", []string{"shared"}, nil},
	// The heart: the standard library and nothing else.
	{"shared/order", nil, nil},
	{"shared/verdict", nil, nil},
	{"shared/lane", []string{"shared/verdict"}, nil},
	{"shared/guard/internal", []string{"shared/guard", "shared/lane", "shared/order", "shared/verdict"}, nil},
	{"shared/guard/dynamo", []string{"shared/guard", "shared/awsclient", "shared/connect"}, []string{awsSDK, smithy}},
	{"shared/guard", []string{"shared/guard.", "shared/order", "shared/verdict"}, nil},
	{"shared/connect", nil, nil},
	{"shared/sink", []string{"shared/sink", "shared/connect", "shared/verdict"}, nil},
	{"shared/decimal", nil, nil},
	{"shared/config", nil, nil},
	{"shared/awsclient", []string{"shared/connect"}, []string{awsSDK, smithy}},
	{"shared/telemetry", []string{"shared/verdict"}, nil},
	{"shared/salesforce/login", []string{"shared/jsonobject"}, []string{jsontext}},
	{"shared/salesforce/api", []string{"shared/config", "shared/jsonobject", "shared/salesforce.", "shared/salesforce/login"}, []string{jsontext}},
	{"shared/salesforce/sweep", []string{"shared/jsonobject", "shared/salesforce.", "shared/salesforce/api", "shared/salesforce/login"}, nil},
	{"shared/salesforce", []string{"shared/decimal", "shared/order"}, []string{jsontext}},
	{"shared/jsonobject", nil, []string{jsontext}},
	{"shared/failurebucket/buckettest", nil, nil},
	{"shared/failurebucket", []string{"shared/transport"}, []string{awsSDK}},
	{"shared/transport", []string{"shared/jsonobject", "shared/verdict"}, []string{jsontext}},
	// Ports and connectors.
	{"shared/billing/stripe", []string{"shared/billing", "shared/config", "shared/sink", "shared/verdict", "shared/decimal"}, []string{stripeGo}},
	{"shared/billing", []string{"shared/sink", "shared/decimal"}, nil},
	{"shared/erp/httpsink", []string{"shared/erp", "shared/config", "shared/sink", "shared/verdict"}, nil},
	{"shared/erp", []string{"shared/erp", "shared/sink", "shared/verdict", "shared/decimal"}, nil},
	{"shared/notify/webhook", []string{"shared/notify.", "shared/config", "shared/sink", "shared/verdict"}, []string{jsontext, standardWebhooks}},
	{"shared/notify", []string{"shared/sink"}, nil},
	// What joins them.
	{"shared/consumer", []string{"shared/decimal", "shared/guard", "shared/lane", "shared/order", "shared/salesforce", "shared/salesforce/api", "shared/sink", "shared/transport", "shared/telemetry", "shared/verdict"},
		[]string{"github.com/google/uuid"}},
	{"shared/deadletter", []string{"shared/transport", "shared/salesforce", "shared/verdict"}, []string{awsSDK}},
	{"shared/relay", []string{"shared/salesforce.", "shared/salesforce/login"}, []string{awsSDK, smithy}},
	{"shared/relaymonitor", []string{"shared"}, []string{awsSDK, "github.com/aws/aws-lambda-go"}},
	{"shared/redrive", []string{"shared"}, []string{awsSDK, "github.com/aws/aws-lambda-go"}},
	{"shared/function", []string{"shared"}, []string{awsSDK, "github.com/aws/aws-lambda-go"}},
	{"shared", nil, nil}, // a new folder needs a rule of its own
	// Definitions know ports and no connector: all of them are in every binary.
	{"functions.", []string{"shared/billing.", "shared/erp.", "shared/consumer.", "shared/sink.", "shared/decimal", "shared/jsonobject", "shared/verdict", "shared/notify.", "shared/salesforce"}, []string{jsontext}},
	{"functions", []string{"functions.", "shared"}, []string{}},
	{"docs", nil, nil},
	{"cmd", []string{"functions.", "shared", "cmd", "docs"}, []string{"github.com", "gopkg.in", "golang.org", "go.yaml.in"}},
}

func TestImportsGoInOneDirection(t *testing.T) {
	for _, p := range packages(t) {
		rel := strings.TrimPrefix(p.ImportPath, module)
		if rel == p.ImportPath {
			continue
		}
		i := slices.IndexFunc(layers, func(l layer) bool { return within(rel, l.folder) })
		if i < 0 {
			if len(p.Imports) > 0 {
				t.Errorf("%s: no rule says what it may import", rel)
			}
			continue
		}
		for _, imp := range p.Imports {
			if reason := layers[i].refuses(imp); reason != "" {
				t.Errorf("%s imports %s: %s", rel, imp, reason)
			}
		}
	}
}

func (l layer) refuses(imp string) string {
	if own := strings.TrimPrefix(imp, module); own != imp {
		if slices.ContainsFunc(l.ours, func(f string) bool { return within(own, f) }) {
			return ""
		}
		return fmt.Sprintf("packages in %s may import %v of ours", l.folder, l.ours)
	}
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") {
		return "" // standard library
	}
	if slices.ContainsFunc(l.others, func(m string) bool { return within(imp, m) }) {
		return ""
	}
	return fmt.Sprintf("packages in %s may import %v of others", l.folder, l.others)
}

func within(path, folder string) bool {
	if only, ok := strings.CutSuffix(folder, "."); ok {
		return path == only
	}
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// TestTheRulesRefuse shows the rules what they must not let through.
func TestTheRulesRefuse(t *testing.T) {
	for _, tc := range []struct{ pkg, imp string }{
		{"shared/guard", "github.com/aws/aws-sdk-go-v2/service/dynamodb"},
		{"shared/guard", "sfrelay/shared/sink"},
		{"shared/guard", "sfrelay/shared/guard/dynamo"},
		{"shared/awsclient", "sfrelay/shared/guard/dynamo"},
		{"shared/consumer", "sfrelay/functions/inventory-erp"},
		{"shared/consumer", "github.com/aws/aws-sdk-go-v2/service/sqs"},
		{"shared/salesforce", "sfrelay/shared/guard"},
		{"shared/order", "sfrelay/shared/salesforce"},
		{"shared/verdict", "sfrelay/shared/sink"},
		{"shared/util", "sfrelay/shared/guard"},
		{"functions", "sfrelay/shared/billing/stripe"},
		{"shared/notify/webhook", "github.com/go-json-experiment/json"},
		{"shared/notify/receivertest", "sfrelay/shared/notify/webhook"},
		{"functions", "sfrelay/functions/inventory-erp"},
		{"cmd/sfrelay", "sfrelay/functions/inventory-erp"},
		{"functions/inventory-erp", "github.com/aws/aws-sdk-go-v2/aws"},
	} {
		i := slices.IndexFunc(layers, func(l layer) bool { return within(tc.pkg, l.folder) })
		if layers[i].refuses(tc.imp) == "" {
			t.Errorf("%s may import %s", tc.pkg, tc.imp)
		}
	}
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}
