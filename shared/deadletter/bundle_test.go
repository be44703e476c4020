package deadletter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sfrelay/shared/deadletter"
)

// bundle is a batch of SQS records as one message.
func bundle(bodies ...string) string {
	var records []string
	for _, b := range bodies {
		quoted, _ := json.Marshal(b)
		records = append(records, `{"messageId":"r","body":`+string(quoted)+`}`)
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

// A function takes a message whole, so one member that must not be redriven holds back
// all, wherever it stands.
func TestABundleIsRefusedIfAnyMemberIs(t *testing.T) {
	good := parked("customer-erp", "throttled", change("e1", one))
	for _, c := range []struct {
		what, body, says string // says is empty where the bundle is taken
	}{
		{"two that may go", bundle(good, parked("customer-erp", "unknown", change("e2", two))), ""},
		{"a batch that failed as a whole", onFailure("fn-customer-erp", bundle(change("e1", one), change("e2", two))), ""},
		{"changed after done, second", bundle(good, parked("customer-erp", "changed-after-done", change("e2", two))), "must not be done twice"},
		{"in doubt, third", bundle(good, good, parked("customer-erp", "in-doubt", change("e2", two))), "may have been done"},
		{"overwrote newer, first", bundle(parked("customer-erp", "overwrote-newer", change("e2", two)), good), "cannot repair"},
		{"too old, second", bundle(good, parked("customer-erp", "too-old", change("e2", two))), "older than the guard remembers"},
		{"a bundle in the bundle", bundle(good, bundle(good, parked("customer-erp", "in-doubt", change("e2", two)))), "may have been done"},
		{"of another consumer, second", bundle(good, parked("inventory-erp", "throttled", change("e2", two))), `"customer-erp" and "inventory-erp"`},
		{"of nobody, second", bundle(good, change("e2", two)), `"customer-erp" and ""`},
		{"empty", `{"Records":[]}`, "does not name its consumer"},
	} {
		q := newQueues(t)
		q.put(failureURL, "m1", c.body, nil)
		o, f := stackOf(q)
		results, err := redrive(t, t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		want := deadletter.Refused
		if c.says == "" {
			want = deadletter.Taken
		}
		if r := results["m1"]; r.Outcome != want || !strings.Contains(r.Reason, c.says) {
			t.Errorf("%s: %s (%s), want %s: %s", c.what, r.Outcome, r.Reason, want, c.says)
		}
		if lies, invoked := len(q.left(failureURL)) == 1, len(f.invoked) > 0; lies == (c.says == "") || invoked != (c.says == "") {
			t.Errorf("%s: it lies there: %t, the function was called: %t", c.what, lies, invoked)
		}
	}
}
