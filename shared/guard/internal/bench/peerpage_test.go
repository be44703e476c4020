package bench_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBesidePowertools sets sfrelay beside Powertools and prints the tables of
// docs/reference/performance.md; with UPDATE=1 it writes them there.
func TestBesidePowertools(t *testing.T) {
	if os.Getenv("COMPARE") == "" {
		t.Skip("installs Powertools and takes minutes: run make compare")
	}
	if raced {
		t.Fatal("the race detector costs only one of the contenders: run make compare")
	}
	python, typescript := powertools(t)
	page := versions(t, &python, &typescript) + costTables(t, []*peer{goPeer("repeat"), &python, &typescript}) + faultTable(t, python, typescript)
	t.Logf("\n%s", page)
	if os.Getenv("UPDATE") != "" {
		writePage(t, page)
	}
}

// versions says what was measured, when and where.
func versions(t *testing.T, python, typescript *peer) string {
	t.Helper()
	say := func(name string, args ...string) string {
		out, err := exec.CommandContext(t.Context(), name, args...).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("Measured on %s by `make compare` on %s/%s with %d processors, against DynamoDB Local. sfrelay: %s. Python: %s, aws-lambda-powertools %s, boto3 %s. "+
		"TypeScript: Node.js %s, @aws-lambda-powertools/idempotency %s, AWS SDK %s, one bundle.\n\n",
		time.Now().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		strings.TrimPrefix(say(python.args[0], "--version"), "Python "), pinned(t, "peers.in", powertoolsPython), pinned(t, "peers.in", `boto3==(.*)`),
		strings.TrimPrefix(say(typescript.args[0], "--version"), "v"), pinned(t, "peers/package.json", powertoolsTypeScript), pinned(t, "peers/package.json", `client-dynamodb": "(.*?)"`))
}

// pinned is a version that .ci/ pins.
func pinned(t *testing.T, file, expression string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, ".ci", file))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(expression).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s names no version", file)
	}
	return string(m[1])
}

// The tables are those of the versions that are pinned.
func TestComparedVersionsArePinned(t *testing.T) {
	page, err := os.ReadFile(comparePage)
	if err != nil {
		t.Fatal(err)
	}
	m := compared.FindSubmatch(page)
	if m == nil {
		t.Fatalf("%s has no tables of make compare", comparePage)
	}
	for _, version := range []string{
		"aws-lambda-powertools " + pinned(t, "peers.in", powertoolsPython), "@aws-lambda-powertools/idempotency " + pinned(t, "peers/package.json", powertoolsTypeScript),
	} {
		if !strings.Contains(string(m[2]), version+",") {
			t.Errorf("%s has no tables of %s: UPDATE=1 make compare", comparePage, version)
		}
	}
}

// What .ci/ pins, in its files.
const (
	powertoolsPython     = `aws-lambda-powertools==(.*)`
	powertoolsTypeScript = `idempotency": "(.*?)"`
)

// costTables are what an event costs, and a start.
func costTables(t *testing.T, peers []*peer) string {
	t.Helper()
	got := costs(t, peers)
	out := row("an event", "", "sfrelay", "Python", "TypeScript") + row(slices.Repeat([]string{"---"}, 5)...)
	for _, path := range peerPaths {
		ours := got[0][path]
		for _, figure := range []struct {
			name string
			of   func(c peerCost) string
		}{
			{"requests to DynamoDB", func(c peerCost) string { return fmt.Sprintf("%.4g", c.requests) }},
			{"write units", func(c peerCost) string { return fmt.Sprintf("%.4g", c.units) }},
			{"messages to a buffer", func(c peerCost) string { return fmt.Sprintf("%.4g", c.sent) }},
			{"bytes out, in", func(c peerCost) string { return fmt.Sprintf("%.0f, %.0f", c.out, c.in) }},
			{"client CPU, µs", func(c peerCost) string { return fmt.Sprint(c.cpu.Microseconds()) }},
			{"CPU, ratio", func(c peerCost) string { return fmt.Sprintf("%.1f", float64(c.cpu)/float64(ours.cpu)) }},
		} {
			if figure.name == "messages to a buffer" && ours.sent == 0 {
				continue
			}
			cells := []string{path, figure.name}
			for i := range peers {
				cells = append(cells, figure.of(got[i][path]))
			}
			out += row(cells...)
		}
	}
	begun := starts(t, peers)
	out += row("\na start", "sfrelay", "Python", "TypeScript") + row(slices.Repeat([]string{"---"}, 4)...)
	for _, figure := range []struct {
		name string
		of   func(s peerStart) string
	}{
		{"process start to first event done, ms, median of 11", func(s peerStart) string { return millis(s.wall) }},
		{"the fastest, ms", func(s peerStart) string { return millis(s.least) }},
		{"CPU of it, ms, median", func(s peerStart) string { return millis(s.cpu) }},
		{"peak memory, MB", func(s peerStart) string { return fmt.Sprint(s.memory) }},
	} {
		cells := []string{figure.name}
		for _, s := range begun {
			cells = append(cells, figure.of(s))
		}
		out += row(cells...)
	}
	ours, py, whole, ts := sizes(t, peers[1], peers[2])
	return out + row("package, MB zipped", mb(ours), fmt.Sprintf("%s (%s with boto3)", mb(py), mb(whole)), mb(ts)) + "\n"
}

// faultTable plays the nine classes to all.
func faultTable(t *testing.T, python, typescript peer) string {
	t.Helper()
	const nothing = "offers nothing"
	long := python
	long.lease = 15 * minute
	columns := []struct {
		peer *peer
		head string
	}{
		{goPeer("keyed"), "sfrelay: keyed sink"}, {goPeer("look-up"), "look-up"}, {goPeer("repeat"), "nothing, repeat"}, {goPeer("park"), "nothing, park"},
		{python.with("keyed"), "Python: keyed sink"}, {python.with(nothing), "nothing"}, {long.with(nothing), "nothing, 15 minutes"},
		{typescript.with("keyed"), "TypeScript: keyed sink"}, {typescript.with(nothing), "nothing"},
	}
	proxies := lossy(t)
	total, cells := 0, make([][]string, len(faultKinds))
	head, rule := []string{"fault (cases)"}, []string{"---"}
	var sums, errors []string
	for _, k := range faultKinds {
		total += k.cases
	}
	for _, c := range columns {
		head, rule = append(head, c.head), append(rule, "---")
		began := time.Now()
		got, failed := faults(t, c.peer, proxies, func(k *faultKind) int { return k.cases })
		t.Logf("%s %s: %v", c.peer.name, c.peer.sink, time.Since(began).Round(time.Second))
		var sum fate
		for i, k := range faultKinds {
			f := got[k.code]
			cells[i] = append(cells[i], f.String())
			sum.before.add(f.before)
			sum.after.add(f.after)
			if c.peer.keyed || c.peer.sink == "look-up" {
				if c.peer.name == "sfrelay" && f != (fate{}) {
					t.Errorf("sfrelay, %s: %s: %v", c.peer.sink, k.name, f)
				}
			}
		}
		errors = append(errors, fmt.Sprint(failed))
		sums = append(sums, fmt.Sprintf("**%s**", sum.wrongs()))
	}
	out := row(head...) + row(rule...)
	for i, k := range faultKinds {
		out += row(append([]string{fmt.Sprintf("%s %s (%d)", k.code, k.name, k.cases)}, cells[i]...)...)
	}
	out += row(append([]string{fmt.Sprintf("**doubled or wrong of %d**", total)}, sums...)...)
	return out + row(append([]string{"invocations that answered an error"}, errors...)...)
}

// wrongs is the sum of a column.
func (f fate) wrongs() string {
	say := func(o outcome) string {
		if o.left > 0 {
			return fmt.Sprintf("%d, %d L", o.double+o.wrong, o.left)
		}
		return fmt.Sprint(o.double + o.wrong)
	}
	if before, after := say(f.before), say(f.after); before != after {
		return before + " → " + after
	}
	return say(f.after)
}

const comparePage = repository + "/docs/reference/performance.md"

// compared is what make compare writes.
var compared = regexp.MustCompile(`(?s)(<!-- make compare UPDATE=1 writes from here -->\n)(.*)(<!-- to here -->\n)`)

func writePage(t *testing.T, tables string) {
	t.Helper()
	have, err := os.ReadFile(comparePage)
	if err != nil {
		t.Fatal(err)
	}
	if !compared.Match(have) {
		t.Fatalf("%s has no place for the tables", comparePage)
	}
	page := compared.ReplaceAllFunc(have, func(all []byte) []byte {
		m := compared.FindSubmatch(all)
		return slices.Concat(m[1], []byte(tables), m[3])
	})
	if err := os.WriteFile(comparePage, page, 0o644); err != nil { //nolint:gosec // a page for all
		t.Fatal(err)
	}
}
