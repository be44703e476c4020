package deadletter_test

import (
	"testing"

	"sfrelay/shared/deadletter"
	"sfrelay/shared/verdict"
)

// Who or what gets a change through, written out: docs/operate.md says the same.
func TestWays(t *testing.T) {
	for class, want := range map[verdict.Class]deadletter.Way{
		"throttled": "transient", "conflict": "transient", "busy": "transient", "unknown": "transient", "unfinished": "transient", "auth": "transient",
		"fan-out": "transient", "org-limit": "transient", "org-down": "transient",
		"Sandbox.Timedout": "transient", "Runtime.ExitError": "transient", "EventAgeExceeded": "transient", "RetriesExhausted": "transient", "THROTTLING": "transient",
		"dependency-missing": "waits", "needs-fetch": "waits", "needs-snapshot": "waits", "record-unreadable": "waits", "overwrote-newer": "waits", "NO_PERMISSIONS": "waits",
		"changed-after-done": "person", "in-doubt": "person", "too-old": "person", "duplicate-remote": "person", "epoch-conflict": "person",
		"permanent/same-instant": "person", "permanent/customer-without-email": "person", "INVALID_JSON": "person", "Runtime.InvalidEntrypoint": "person",
		"a-class-of-tomorrow": "person", "": "person",
	} {
		if got := deadletter.WayOf(class); got != want {
			t.Errorf("%s: %s, want %s", class, got, want)
		}
	}
}

// What waits for the org goes alone only where there is one, and what another has sent never.
func TestWhatGoesAlone(t *testing.T) {
	for _, c := range []struct {
		body        string
		without, at bool // an org
	}{
		{parked("customer-erp", "throttled", change("e1", one)), true, true},
		{parked("customer-erp", "dependency-missing", change("e1", one)), true, true},
		{parked("customer-erp", "needs-fetch", change("e1", one)), false, true},
		{parked("customer-erp", "overwrote-newer", change("e1", one)), false, true},
		{parked("customer-erp", "too-old", change("e1", one)), false, false},
		{parked("customer-erp", "permanent/x", change("e1", one)), false, false},
		{parked("somebody", "throttled", change("e1", one)), false, false},
		{onFailure("fn-customer-erp", change("e1", one)), true, true},
		{bundle(parked("customer-erp", "throttled", change("e1", one)), parked("customer-erp", "in-doubt", change("e2", one))), false, false},
		{"{}", false, false},
	} {
		for _, org := range []bool{false, true} {
			q := newQueues(t)
			q.put(failureURL, "m1", c.body, nil)
			o, _ := stackOf(q)
			o.ReadsOrg = org
			want := c.without
			if org {
				want = c.at
			}
			m := read(t, o, deadletter.Filter{}, 0)["m1"]
			if got := o.Alone(m); got != want {
				t.Errorf("%s, an org %t: %t", c.body, org, got)
			}
			q.messages[failureURL][0].system["SenderId"] = "AROAEXAMPLESTRANGER000:x"
			if o.Alone(read(t, o, deadletter.Filter{}, 0)["m1"]) {
				t.Errorf("%s of a stranger goes alone", c.body)
			}
		}
	}
}

// What is in doubt is redriven when somebody names it: the guard does nothing that is not resolved.
func TestWhatIsResolvedIsRedriven(t *testing.T) {
	q := newQueues(t)
	q.put(failureURL, "m1", parked("customer-erp", "in-doubt", change("e1", one)), nil)
	o, _ := stackOf(q)
	m := read(t, o, deadletter.Filter{}, 0)["m1"]
	if o.Refusal(m) == "" || o.Alone(m) {
		t.Error("nobody has looked at the sink")
	}
	o.Resolved = true
	if reason := o.Refusal(m); reason != "" || o.Alone(m) {
		t.Errorf("refused: %q, alone: %t", reason, o.Alone(m))
	}
}
