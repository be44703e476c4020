package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// platform are the classes that AWS writes and no code of ours.
var platform = []string{
	// Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations": the condition
	// stands for the class where the function gave no answer.
	"EventAgeExceeded", "RetriesExhausted",
	// What Lambda answers for a function that did not.
	"Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory", "Runtime.InvalidEntrypoint",
	// EventBridge User Guide, "Using dead-letter queues to process undelivered events".
	"CONNECTION_FAILURE", "CROSS_ACCOUNT_INGESTION_FAILED", "CROSS_REGION_INGESTION_FAILED", "ERROR_FROM_TARGET",
	"EVENTS_IN_BATCH_REQUEST_REJECTED", "FAILED_TO_ASSUME_ROLE", "INTERNAL_ERROR", "INVALID_JSON", "INVALID_PARAMETER",
	"NO_PERMISSIONS", "NO_RESOURCE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_LIMIT_EXCEEDED", "RESOURCE_MODIFICATION_COLLISION",
	"SDK_CLIENT_ERROR", "THIRD_ACCOUNT_HOP_DETECTED", "THIRD_REGION_HOP_DETECTED", "THROTTLING", "TIMEOUT",
	"TRANSIENT_ASSUME_ROLE", "UNKNOWN",
}

// Every class that a message can have is explained in failures.md, and nothing is
// explained that nobody writes.
func TestEveryFailureIsExplained(t *testing.T) {
	b, err := os.ReadFile("reference/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(string(b), -1) {
		for _, m := range regexp.MustCompile("`([A-Za-z0-9/._-]+)`").FindAllStringSubmatch(row[1], -1) {
			explained[strings.TrimPrefix(m[1], "permanent/")] = true
		}
	}
	written := classes(t, "sfrelay/shared/", "sfrelay/functions")
	if len(written) < 50 || !slices.Contains(written, "refused") || !slices.Contains(written, "foreign-org") {
		t.Fatalf("%d classes found in the code: %q", len(written), written)
	}
	for _, c := range slices.Concat(written, platform) {
		if !explained[c] {
			t.Errorf("failures.md says nothing of %q", c)
		}
		delete(explained, c)
	}
	for c := range explained {
		t.Errorf("failures.md explains %q, which nobody writes", c)
	}
}

// The search follows values, not names of functions.
func TestClassesAreFoundByTheirType(t *testing.T) {
	got := classesIn(t, map[string]string{
		"sfrelay/shared/verdict": `package verdict
			type Class string
			const Busy Class = "busy"
			const prefix = "permanent/"
			func Permanent(name string) Class { return Class(prefix + name) }`,
		"sfrelay/shared/p": `package p
			import "sfrelay/shared/verdict"
			type refusal struct{ text, name string }
			func (r *refusal) class() verdict.Class { return verdict.Permanent(r.name) }
			func no(text, name string) *refusal { return &refusal{text: text, name: name} }
			func nothing() *refusal { return &refusal{"not a class", "from-a-field"} }
			func given() *refusal { return no("not a class", "from-an-argument") }
			func local(code string) verdict.Class {
				name := code
				if name == "" {
					name = "from-a-variable"
				}
				return verdict.Permanent(name)
			}
			func result(n int) string {
				if n > 0 {
					return "from-a-result"
				}
				return "another-result"
			}
			func table() (all []verdict.Class) {
				for _, row := range []struct{ name, text string }{{"from-a-table", "not a class"}} {
					all = append(all, verdict.Permanent(row.name))
				}
				refuse := func(name string) verdict.Class { return verdict.Permanent(name) }
				return append(all, refuse("from-a-closure"), verdict.Permanent(result(1)), "permanent/from-a-constant", verdict.Class("converted"))
			}
			func renamed(r *refusal) { r.name = "from-an-assignment" }`,
	})
	want := []string{"another-result", "busy", "converted", "from-a-closure", "from-a-constant", "from-a-field", "from-a-result", "from-a-table",
		"from-a-variable", "from-an-argument", "from-an-assignment"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant  %q", got, want)
	}
}

// A message may be the only place that holds the other fields of its change. So no document
// offers to delete one instead of redriving it.
func TestNobodyIsToldToDeleteInsteadOfRedriving(t *testing.T) {
	instead := regexp.MustCompile(`(?i)redrive( it)?,? or delete|delete( it| the message| this message)?,? or redrive`)
	for _, name := range []string{"operate.md", "reference/failures.md", "reference/connectors.md", "concepts.md"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := instead.FindString(strings.Join(strings.Fields(string(b)), " ")); found != "" {
			t.Errorf("%s says %q", name, found)
		}
	}
}
