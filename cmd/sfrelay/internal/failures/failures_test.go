package failures_test

import (
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/failures"
	"sfrelay/shared/verdict"
)

func TestThePageIsRead(t *testing.T) {
	for class, want := range map[string]string{
		"throttled":                        "the sink was too busy",
		"changed-after-done":               "an action that was done once came again",
		"permanent/same-instant":           "two states of one thing",
		"permanent/customer-without-email": "the account has no e-mail address",
		"permanent/invalid-utf8":           "not JSON, or JSON that different readers",
		"Sandbox.Timedout":                 "the invocation lasted longer",
		"NO_PERMISSIONS":                   "the rule may not call the function",
		"permanent/invalid-redrive":        "AWS and sfrelay make no such wrapping",
		"permanent/receiver-gone":          "it answered 410",
	} {
		e, ok := failures.Of(verdict.Class(class))
		if !ok || !strings.HasPrefix(e.Happens, want) || strings.ContainsAny(e.Happens+e.Do+e.Of, "`[") {
			t.Errorf("%s: %+v", class, e)
		}
		if !failures.Known(class) {
			t.Errorf("%s is not known", class)
		}
	}
	if e, _ := failures.Of("changed-after-done"); !strings.HasPrefix(e.Do, "compare both") {
		t.Errorf("%+v", e)
	}
	if e, _ := failures.Of("permanent/total-mismatch"); !strings.HasPrefix(e.Of, "Correct the record in Salesforce, save it, then redrive") {
		t.Errorf("%+v", e)
	}
	if n := len(failures.Classes()); n < 100 {
		t.Errorf("%d classes", n)
	}
}

func TestAMistypedClassIsGuessed(t *testing.T) {
	for typed, want := range map[string]string{
		"throtled": "throttled", "customer-without-email": "permanent/customer-without-email", "permanet": "permanent",
		"permanent/invalid-curency": "permanent/invalid-currency", "needs-fetsh": "needs-fetch", "xyz": "",
	} {
		if got := failures.Closest(typed); got != want || failures.Known(typed) {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}
