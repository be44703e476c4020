package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// screens are the verbs whose output docs/reference/screens.md shows, in its order.
var screens = [][]string{
	{"whoami", "--aws"},
	{"status", "--aws"},
	{"dlq", "list", "--aws"},
	{"dlq", "list", "--all", "--aws"},
	{"dlq", "show", "aaaaaaaa", "--aws"},
	{"dlq", "redrive", "--class", "throttled", "--dry-run", "--aws"},
	{"dlq", "redrive", "--class", "throttled", "--yes", "--aws"},
	{"dlq", "export", "FILE", "--aws"},
	{"dlq", "drop", "--class", "throttled", "--reason", "billed by hand", "--yes", "--aws"},
	{"dlq", "import", "FILE", "--dry-run", "--aws"},
	{"record", "stock/SKU-100@BER", "--aws"},
	{"tail", "--for", "1ms", "--since", "1h", "--aws"},
	{"sinks"},
	{"sinks", "erp", "down"},
	{"sinks", "erp", "down", "--for", "1ms"},
}

var moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// still is a text in which what the clock says of today is always the same.
func still(text string, now time.Time) string {
	return moments.ReplaceAllStringFunc(text, func(s string) string {
		at, err := time.Parse(time.RFC3339, s)
		if err == nil && now.Sub(at) < 2*time.Hour && at.Sub(now) < time.Hour {
			return "2026-11-27T09:00:00Z"
		}
		return s
	})
}

// screen80 is what a verb says to a terminal of 80 columns.
func screen80(t *testing.T, args []string) string {
	t.Helper()
	a := newAccount(t)
	a.lines = []any{
		logged(`{"time":"2026-11-22T12:00:01Z","consumer":"inventory-erp","verdict":"applied","subject":"stock/SKU-100@BER","recordVersion":"` + stockVersion + `","eventId":"e0000000-0000-4000-8000-000000000034","detailType":"Inventory_Update__e","org":"00D5f000005KcCnEAK"}`),
		logged(`{"time":"2026-11-22T12:05:00Z","consumer":"inventory-erp","verdict":"parked","class":"throttled","error":"PUT stock: the ERP answered 503","subject":"stock/SKU-100@BER","recordVersion":"01a2031fbb99183943a50911bc8100012f878633","eventId":"e0000000-0000-4000-8000-000000000035","detailType":"Inventory_Update__e","org":"00D5f000005KcCnEAK"}`),
	}
	var out bytes.Buffer
	p := terminal.Sized(&out, 80)
	file := filepath.Join(t.TempDir(), "failed.jsonl")
	given := append([]string{}, args...)
	for i, arg := range given {
		if arg == "FILE" {
			given[i] = file
			if args[1] == "import" {
				given[i] = "testdata/export-1.jsonl"
			}
		}
	}
	if code := played(t, given, &screen{Out: p, Err: p}); code != done {
		t.Errorf("%v: code %d\n%s", args, code, out.String())
	}
	said := strings.ReplaceAll(still(out.String(), time.Now()), file, "failed.jsonl")
	for line := range strings.Lines(said) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && !strings.Contains(line, "sfrelay ") && !strings.Contains(line, `"`) {
			t.Errorf("%v: %d columns: %s", args, n, line)
		}
	}
	return said
}

// sandboxesOf are the three of a local stack, with what they hold and, at the ERP, a fault.
func sandboxesOf(t *testing.T) sandboxes {
	t.Helper()
	d := sandboxes{key: "key", urls: map[string]string{}}
	for name, of := range map[string]*sandboxOf{
		"billing":  {faults: `[]`, holds: `{"customers":[{"id":"cus_1","name":"Alpha Example Ltd","email":"billing@alpha.example","phone":"+49 30 0000 01","metadata":{"sf_number":"A-1001","sf_status":"Active","sf_website":"https://alpha.example"}}],"invoices":[]}`},
		"erp":      {faults: `[{"kind":"unavailable","times":-1}]`, holds: `{"records":[{"kind":"stock","key":"SKU-100@BER","id":"stock-1","fields":{"quantity":"40","sku":"SKU-100","unit":"PCE","warehouse":"BER"}}]}`},
		"receiver": {faults: `[]`, holds: `{"messages":[{"type":"contact.created","body":{"type":"contact.created","data":{"id":"0035f0000300001AAA"}}}]}`},
	} {
		server := httptest.NewServer(of)
		t.Cleanup(server.Close)
		d.urls[name] = server.URL
	}
	return d
}

// played runs a command; sinks without a local stack on sandboxes of the test.
func played(t *testing.T, args []string, s *screen) int {
	t.Helper()
	if args[0] != "sinks" {
		return run(t.Context(), args, s)
	}
	c := &sinksCommand{}
	parser, err := kong.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args[1:]); err != nil {
		t.Fatal(err)
	}
	if err := c.on(t.Context(), s, sandboxesOf(t)); err != nil {
		t.Fatal(err)
	}
	return done
}

const screensHead = `# Screens

What the commands of operators print on a terminal of 80 columns, against an account and sandboxes that the tests play. A test writes this page
(` + "`UPDATE=1 go test -run TestScreens ./cmd/sfrelay`" + `) and compares it with what the commands print. A command to type next is never broken.

`

// The page shows what the program prints.
func TestScreens(t *testing.T) {
	var page strings.Builder
	page.WriteString(screensHead)
	for i, args := range screens {
		var typed []string
		for _, a := range args {
			if a == "FILE" {
				a = "failed.jsonl"
			}
			typed = append(typed, shellWord(a))
		}
		if i > 0 {
			page.WriteString("\n")
		}
		page.WriteString("## `sfrelay " + strings.Join(typed, " ") + "`\n\n```\n" + screen80(t, args) + "```\n")
	}
	samePage(t, "screens.md", page.String())
}

// samePage compares a page of docs/reference with what the test makes of it; with UPDATE in
// the environment it writes the page.
func samePage(t *testing.T, name, page string) {
	t.Helper()
	file := "../../docs/reference/" + name
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil { //nolint:gosec // a page for all
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page {
		is, was := firstDifference(page, string(have))
		t.Errorf("%s has %q, the commands print %q: UPDATE=1 go test -run %s ./cmd/sfrelay", file, was, is, t.Name())
	}
}

// firstDifference is the first line in which two texts differ.
func firstDifference(a, b string) (inA, inB string) {
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(linesA), len(linesB)) {
		inA, inB = "", ""
		if i < len(linesA) {
			inA = linesA[i]
		}
		if i < len(linesB) {
			inB = linesB[i]
		}
		if inA != inB {
			break
		}
	}
	return inA, inB
}
