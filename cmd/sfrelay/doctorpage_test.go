package main

import (
	"bytes"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/doctor"
	"sfrelay/cmd/sfrelay/internal/relaytest"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

const doctorHead = `# What doctor finds

What ` + "`sfrelay doctor`" + ` prints for set-ups that a test breaks on [the org sandbox](org-sandbox.md), one after the other, on a terminal of 100 columns. The test
writes this page (` + "`UPDATE=1 go test -run TestDoctorPage ./cmd/sfrelay`" + `) and compares it with what the command prints. No real org or account was asked.

`

// diagnosis is what doctor prints of a world.
func diagnosis(w *relaytest.World) string {
	v, err := doctor.Look(w.Context(), w.Org, w.Events, nil, w.Now)
	if err != nil {
		w.Fatal(err)
	}
	var out bytes.Buffer
	p := terminal.Sized(&out, 100)
	showFindings(&screen{Out: p, Err: p}, v, v.Findings(w.Place))
	return "```\n" + out.String() + "```\n"
}

// The page shows what the program prints.
func TestDoctorPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(doctorHead)
	good := relaytest.New(t)
	good.Good()
	page.WriteString("## A good one\n\n" + diagnosis(good))
	for _, b := range relaytest.Broken {
		w := relaytest.New(t)
		b.Breaks(w, w.Good())
		page.WriteString("\n## " + strings.ToUpper(b.Name[:1]) + b.Name[1:] + "\n\n" + diagnosis(w))
	}
	page.WriteString("\n## The login is refused\n\nNothing else can be seen then. This is what Salesforce answers, and what `doctor` and every command of `relay` say of it.\n")
	for _, answer := range []string{
		`{"error":"invalid_client","error_description":"app must be installed into org"}`, `{"error":"invalid_client_id","error_description":"client identifier invalid"}`,
		`{"error":"invalid_client","error_description":"invalid client credentials"}`, `{"error":"invalid_grant","error_description":"no client credentials user enabled"}`,
		`{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`, `{"error":"invalid_grant","error_description":"request not supported on this domain"}`,
	} {
		w := relaytest.New(t)
		w.Login = answer
		_, err := doctor.Look(t.Context(), w.Org, w.Events, nil, w.Now)
		if err == nil {
			t.Fatalf("%s is no refusal", answer)
		}
		page.WriteString("\n```\n" + answer + "\nsfrelay: " + err.Error() + "\n```\n")
	}
	samePage(t, "doctor.md", page.String())
}
