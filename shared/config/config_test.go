package config_test

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/config"
)

func environment(pairs ...string) config.Env {
	m := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		m[name] = value
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// least is what every function needs.
var least = []string{"GUARD_TABLE=guard", "FAILURE_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/failure", "FAILURE_BUCKET=failures", "SALESFORCE_ORGS=00D5f000005KcCnEAK"}

func TestDefaults(t *testing.T) {
	r := config.NewReader(environment(least...))
	got := r.Common()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		GuardTable: "guard", FailureQueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/failure", FailureBucket: "failures",
		Orgs:     []string{"00D5f000005KcCnEAK"},
		RetryFor: 6 * time.Hour, TimeScale: 1, LogLevel: slog.LevelInfo, ServiceName: "sfrelay",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEveryVariable(t *testing.T) {
	r := config.NewReader(environment(append(least,
		"SALESFORCE_ORGS= 00D5f000005KcCn , 00D000000000001EAA,",
		"BUFFER_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/buffer",
		"GUARD_RESTORED_AT=1795348800123",
		"SALESFORCE_CLIENT_NAME=sfrelay", "RETRY_HOURS=48", "TIME_SCALE=0.033333",
		"ACCOUNT_FIELDS=Email__c=Mail__c, Status__c=State__c",
		"LOG_LEVEL=debug", "SERVICE_NAME=crm", "STAGE=test",
		"ERP=http", "ERP_URL=https://erp.example.com/sfrelay/", "ERP_SECRET= erp-key ", "STAGES=Closed Won, Gewonnen,",
	)...))
	got := r.Common()
	r.Only("ERP", "http", "the ERP's protocol")
	url, secret := r.URL("ERP_URL", "its URL"), r.Required("ERP_SECRET", "its secret")
	stages, absent := r.List("STAGES", "Closed Won"), r.List("OTHER_STAGES", "Closed Won")
	if base := r.OptionalURL("STRIPE_API_BASE"); base != "" {
		t.Errorf("a base %q", base)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		GuardTable: "guard", FailureQueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/failure", FailureBucket: "failures",
		BufferQueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/buffer",
		Orgs:           []string{"00D5f000005KcCn", "00D000000000001EAA"},
		RestoredAt:     time.Date(2026, 11, 22, 12, 0, 0, 123e6, time.UTC).Local(),
		ClientName:     "sfrelay", RetryFor: 48 * time.Hour, TimeScale: 0.033333,
		AccountFields: map[string]string{"Email__c": "Mail__c", "Status__c": "State__c"},
		LogLevel:      slog.LevelDebug, ServiceName: "crm", Stage: "test",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if url != "https://erp.example.com/sfrelay" || secret != "erp-key" {
		t.Errorf("ERP: %q, %q", url, secret)
	}
	if !reflect.DeepEqual(stages, []string{"Closed Won", "Gewonnen"}) || !reflect.DeepEqual(absent, []string{"Closed Won"}) {
		t.Errorf("lists %q, %q", stages, absent)
	}
}

func TestAllMistakesInOneMessage(t *testing.T) {
	r := config.NewReader(environment(
		"FAILURE_QUEUE_URL=failure", "BUFFER_QUEUE_URL=buffer", "SALESFORCE_ORGS= , ,",
		"GUARD_RESTORED_AT=yesterday", "RETRY_HOURS=soon", "TIME_SCALE=1.5", "ACCOUNT_FIELDS=Email__c,A=B,A=C",
		"LOG_LEVEL=LOUD", "BILLING=paper", "STRIPE_API_BASE=ftp://127.0.0.1", "ERP=soap", "ERP_URL=https://user:hidden@erp.example.com",
	))
	r.Common()
	r.Only("BILLING", "stripe", "the billing system")
	r.Required("STRIPE_SECRET", "the name or ARN of the secret")
	r.OptionalURL("STRIPE_API_BASE")
	r.Only("ERP", "http", "the ERP's protocol")
	r.URL("ERP_URL", "the base URL")
	r.Only("ERP_SECRET", "x", "something")
	r.Check("SALESFORCE_ORGS", nil)
	r.Check("SALESFORCE_ORGS", errors.New("found by somebody else"))
	err := r.Err()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{
		"18 mistakes in the environment:",
		"GUARD_TABLE is missing", "FAILURE_QUEUE_URL is not a URL", "FAILURE_BUCKET is missing", "BUFFER_QUEUE_URL is not a URL",
		`ACCOUNT_FIELDS has "Email__c"`, `ACCOUNT_FIELDS has "A=C"`,
		`RETRY_HOURS is "soon"`, `TIME_SCALE is "1.5"`, "SALESFORCE_ORGS is missing", `GUARD_RESTORED_AT is "yesterday"`,
		`LOG_LEVEL is "LOUD"`, `BILLING is "paper"`, "STRIPE_SECRET is missing", "STRIPE_API_BASE is not a URL",
		`ERP is "soap"`, "ERP_URL is not a URL", "ERP_SECRET is missing", "SALESFORCE_ORGS: found by somebody else",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%v", len(lines), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q…", i, lines[i], want[i])
		}
	}
	if strings.Contains(err.Error(), "hidden") {
		t.Error("a password is in the message")
	}
}

func TestNumbersAtTheirLimits(t *testing.T) {
	for _, tc := range []struct {
		pair string
		ok   bool
	}{
		{"RETRY_HOURS=0", false}, {"RETRY_HOURS=1", true}, {"RETRY_HOURS=96", true}, {"RETRY_HOURS=97", false}, {"RETRY_HOURS=", true},
		{"TIME_SCALE=1", true}, {"TIME_SCALE=0", false}, {"TIME_SCALE=-1", false}, {"TIME_SCALE=NaN", false}, {"TIME_SCALE=0.001", true},
		{"GUARD_RESTORED_AT=0", false}, {"GUARD_RESTORED_AT=1", true}, {"GUARD_RESTORED_AT=", true},
	} {
		r := config.NewReader(environment(append(least, tc.pair)...))
		r.Common()
		if err := r.Err(); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.pair, err)
		}
	}
}
