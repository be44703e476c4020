package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
)

func audited(t *testing.T, a *awsAccount) (lines []audit.Line) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, text := range a.audit {
		group, rest, _ := strings.Cut(text, " ")
		var l audit.Line
		if err := json.Unmarshal([]byte(rest), &l); err != nil || group != "sfrelay-AuditLog" || l.By != accountCaller || l.At.IsZero() {
			t.Errorf("%s: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// Each message that is dropped leaves a line that says who, why, and what it was about, and
// holds no field value.
func TestDropIsAudited(t *testing.T) {
	a := newAccount(t)
	code, out, said := called(t, "y\n", "dlq", "drop", "--aws", "--class", "throttled", "--reason", "billed by hand")
	if code != done || !strings.HasSuffix(out, "2 dropped.\n") || !strings.Contains(said, "2 messages will be deleted for ever.") || len(a.messages) != 0 {
		t.Errorf("code %d, %s%s, %v", code, out, said, a.messages)
	}
	lines := audited(t, a)
	if len(lines) != 2 || lines[0].Action != "drop" || lines[0].Reason != "billed by hand" || lines[0].Consumer != "inventory-erp" || lines[0].Class != "throttled" ||
		lines[0].Org != "00D5f000005KcCnEAK" || len(lines[0].Subjects) != 1 || lines[0].Subjects[0] != "stock/SKU-100@BER" || lines[0].Event == "" {
		t.Errorf("%+v", lines)
	}
	if text := strings.Join(a.audit, ""); strings.Contains(text, "Quantity") {
		t.Errorf("a field value: %s", text)
	}
}

// Without its audit log nothing is dropped, and without a reason or a choice nothing either.
func TestWhatDropRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--yes", "--reason", "x"}, "say which messages"},
		{[]string{"--yes", "--class", "throttled"}, "--reason"},
		{[]string{"--yes", "--class", "throttled", "--reason", " "}, "--reason is empty"},
	} {
		a := newAccount(t)
		code, out, said := called(t, nobody, append([]string{"dlq", "drop", "--aws"}, c.args...)...)
		if code != wrongUse || !strings.Contains(said, c.says) || len(a.changed()) > 0 {
			t.Errorf("%v: code %d, %s%s, changed %v", c.args, code, out, said, a.changed())
		}
	}
	a := newAccount(t)
	a.refuse = "Logs_20140328.PutLogEvents"
	code, _, said := called(t, nobody, "dlq", "drop", "--aws", "--class", "throttled", "--reason", "x", "--yes")
	if code != notDone || len(a.messages) != 2 || !strings.Contains(said, "the audit log sfrelay-AuditLog") {
		t.Errorf("code %d, %v, %s", code, a.messages, said)
	}
}

// A file of export comes back as the same messages, marked with who brought them.
func TestExportAndImport(t *testing.T) {
	a := newAccount(t)
	file := filepath.Join(t.TempDir(), "messages.jsonl")
	code, out, said := called(t, nobody, "dlq", "export", "--aws", file)
	if code != done || !strings.Contains(out, "2 messages in "+file) || len(a.messages) != 2 {
		t.Fatalf("code %d, %s%s", code, out, said)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if code, _, said := called(t, nobody, "dlq", "export", "--aws", file); code != notDone || !strings.Contains(said, "exists") {
		t.Errorf("it is written over: code %d, %s", code, said)
	}
	if code, out, _ := called(t, nobody, "dlq", "import", "--aws", "--dry-run", file); code != done || !strings.Contains(out, "2 messages can be imported") || len(a.sent) != 0 {
		t.Errorf("dry run: code %d, %s", code, out)
	}
	if code, out, said := called(t, "y\n", "dlq", "import", "--aws", file); code != done || !strings.Contains(out, "2 imported") || len(a.sent) != 2 {
		t.Fatalf("code %d, %s%s", code, out, said)
	}
	for i, body := range a.sent {
		m := transport.OpenSQS(transport.SQSMessage{Body: body})
		if len(m) != 1 || m[0].Consumer != "inventory-erp" || m[0].Class != "throttled" || !strings.HasPrefix(a.marks[i], accountCaller+" 20") {
			t.Errorf("%+v, %s", m, a.marks[i])
		}
	}
	lines := audited(t, a)
	if len(lines) != 2 || lines[0].Action != "export" || lines[1].Action != "import" || lines[0].Count != 2 || lines[0].File == "" || lines[0].File != lines[1].File {
		t.Errorf("%+v", lines)
	}
}

// Everything in a file is checked before anything is sent.
func TestWhatImportRefuses(t *testing.T) {
	consumers := []deadletter.Consumer{{Name: "inventory-erp"}}
	good, err := os.ReadFile("testdata/export-1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := imported(good, consumers); err != nil || len(all) != 1 || all[0].Queue != "failure" {
		t.Fatalf("the form of today: %v, %+v", err, all)
	}
	line := func(change func(*exported)) string {
		var e exported
		if err := json.Unmarshal(good, &e); err != nil {
			t.Fatal(err)
		}
		change(&e)
		text, _ := json.Marshal(e)
		return string(good) + string(text) + "\n"
	}
	many := map[string]string{}
	for i := range 10 {
		many[fmt.Sprint("A", i)] = "x"
	}
	for what, c := range map[string]struct{ raw, says string }{
		"nothing":            {"\n", "holds no message"},
		"no JSON":            {string(good) + "x\n", "line 2 is no exported message"},
		"something else":     {`{"event":{}}`, "line 1 is no exported message"},
		"a later form":       {line(func(e *exported) { e.Version = 2 }), "line 2, message aaaaaaaa-1111-4111-8111-111111111111: it is of form 2"},
		"no body":            {line(func(e *exported) { e.Body = "" }), "0 bytes"},
		"too large":          {line(func(e *exported) { e.Body = strings.Repeat("x", 1<<20+1) }), "1048577 bytes"},
		"a stranger's":       {line(func(e *exported) { e.Consumer = "customer-erp" }), `no consumer "customer-erp"`},
		"another's inside":   {line(func(e *exported) { e.Consumer = "" }), `its body is for "inventory-erp"`},
		"a broken wrapping":  {line(func(e *exported) { e.Body = `{"event":{},"consumer":1,"class":"x"}` }), "invalid-parked"},
		"too many of theirs": {line(func(e *exported) { e.Attributes = many }), "10 attributes"},
	} {
		if all, err := imported([]byte(c.raw), consumers); err == nil || !strings.Contains(err.Error(), c.says) || all != nil {
			t.Errorf("%s: %v, %v", what, err, all)
		}
	}
}

// A queue that an earlier stack left behind is redriven, exported and emptied with the
// functions and the audit log of a later one; without any stack it is only read.
func TestAQueueThatWasLeftBehind(t *testing.T) {
	const queue = "https://queue/old/failure"
	file := filepath.Join(t.TempDir(), "left")
	verbs := [][]string{
		{"list"},
		{"show", "aaaaaaaa"},
		{"export", file},
		{"redrive", "--message", "aaaaaaaa", "--yes"},
		{"drop", "--message", "aaaaaaaa", "--reason", "by hand", "--yes"},
	}
	for i, verb := range verbs {
		a := newAccount(t)
		code, out, said := called(t, nobody, slices.Concat([]string{"dlq"}, verb, []string{"--aws", "--queue-url", queue})...)
		if code != done {
			t.Errorf("%v: code %d, %s%s", verb, code, out, said)
		}
		if left := len(a.messages); (left == 1) != (i >= 3) {
			t.Errorf("%v left %d messages", verb, left)
		}
		if asked := strings.Join(a.order, " "); (i < 2) == strings.Contains(asked, "CloudFormation") {
			t.Errorf("%v asked: %s", verb, asked)
		}

		a = newAccount(t)
		a.stackless = true
		if i == 2 {
			verb = []string{"export", file + "2"}
		}
		code, out, said = called(t, nobody, slices.Concat([]string{"dlq"}, verb, []string{"--aws", "--queue-url", queue})...)
		if i < 2 && code != done || i >= 2 && (code == done || !strings.Contains(said, "Without a stack only list and show read a queue") || len(a.changed()) > 0) {
			t.Errorf("%v without a stack: code %d, %s%s", verb, code, out, said)
		}
	}
	if code, _, said := called(t, nobody, "dlq", "import", "--aws", "--yes", file, "--queue-url", queue); code != wrongUse || !strings.Contains(said, "leave --queue-url out") {
		t.Errorf("import: code %d, %s", code, said)
	}
}
