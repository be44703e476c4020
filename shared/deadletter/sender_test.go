package deadletter_test

import (
	"strings"
	"testing"

	"sfrelay/shared/deadletter"
)

// A message is somebody's word. SQS says whose, and that cannot be forged.
func TestWhatAnotherThanItsConsumerSentIsNotRedriven(t *testing.T) {
	forUs := parked("customer-erp", "throttled", change("e1", one))
	const bufferARN = "arn:aws:sqs:eu-west-2:123456789012:buffer-"
	for _, c := range []struct {
		what, url, body, sender, movedFrom string
		custom                             map[string]string
		taken                              bool
	}{
		{what: "its consumer's role", url: failureURL, body: forUs, sender: erpRole + ":fn-customer-erp", taken: true},
		{what: "Lambda, with the function's role", url: failureURL, body: onFailure("fn-customer-erp", change("e1", one)), sender: erpRole + ":awslambda_1", taken: true},
		{what: "another consumer's role", url: failureURL, body: forUs, sender: inventoryRole + ":fn-inventory-erp"},
		{what: "another consumer's role, as a record of Lambda", url: failureURL, body: onFailure("fn-customer-erp", change("e1", one)), sender: inventoryRole + ":fn-inventory-erp"},
		{what: "a record of Lambda around what is another's", url: failureURL, body: onFailure("fn-inventory-erp", forUs), sender: inventoryRole + ":fn-inventory-erp"},
		{what: "a stranger's role", url: failureURL, body: forUs, sender: "AROAEXAMPLESTRANGER000:" + erpRole},
		{what: "a role whose id only begins so", url: failureURL, body: forUs, sender: erpRole + "2:fn-customer-erp"},
		{what: "a user who is called so", url: failureURL, body: forUs, sender: erpRole},
		{what: "a user", url: failureURL, body: forUs, sender: "AIDAEXAMPLESOMEBODY000"},
		{what: "nobody", url: failureURL, body: forUs, sender: ""},
		{what: "a stranger who writes as EventBridge does", url: failureURL, body: change("e1", one), sender: "AROAEXAMPLESTRANGER000:x",
			custom: undelivered(lambdaARN + "fn-customer-erp")},
		{what: "EventBridge", url: deliveryURL, body: change("e1", one), sender: eventBridge, custom: undelivered(lambdaARN + "fn-customer-erp"), taken: true},
		{what: "SQS, out of its consumer's buffer", url: failureURL, body: change("e1", one), sender: eventBridge, movedFrom: bufferARN + "customer-erp", taken: true},
		{what: "SQS, out of another consumer's buffer", url: failureURL, body: forUs, sender: inventoryRole + ":fn-inventory-erp", movedFrom: bufferARN + "inventory-erp"},
		{what: "SQS, out of a stranger's queue", url: failureURL, body: forUs, sender: eventBridge, movedFrom: bufferARN + "of-somebody"},
	} {
		for _, trust := range []bool{false, true} {
			q := newQueues(t)
			q.put(c.url, "m1", c.body, c.custom)
			system := q.messages[c.url][0].system
			system["SenderId"] = c.sender
			if c.movedFrom != "" {
				system["DeadLetterQueueSourceArn"] = c.movedFrom
			}
			o, f := stackOf(q)
			o.TrustSender = trust
			results, err := redrive(t, t.Context(), o)
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			r, want := results["m1"], deadletter.Refused
			if c.taken || trust {
				want = deadletter.Taken
			}
			if r.Outcome != want || (want == deadletter.Refused) != strings.HasPrefix(r.Reason, "foreign-sender: ") {
				t.Errorf("%s, trusted %t: %s (%s), want %s", c.what, trust, r.Outcome, r.Reason, want)
			}
			if want == deadletter.Refused && (len(f.invoked) > 0 || len(q.left(c.url)) != 1 || !strings.Contains(r.Reason, "--trust-sender")) {
				t.Errorf("%s: invoked %v, %d messages are left, %s", c.what, f.invoked, len(q.left(c.url)), r.Reason)
			}
		}
	}
}

// A stack of an earlier version does not say which roles it has.
func TestWithoutTheRoleNoSenderIsTrusted(t *testing.T) {
	q := newQueues(t)
	q.put(failureURL, "m1", parked("customer-erp", "throttled", change("e1", one)), nil)
	q.messages[failureURL][0].system["SenderId"] = ":"
	o, f := stackOf(q)
	o.Consumers[0].RoleID = ""
	results, err := redrive(t, t.Context(), o)
	if r := results["m1"]; err != nil || r.Outcome != deadletter.Refused || !strings.Contains(r.Reason, "make deploy") || len(f.invoked) > 0 {
		t.Errorf("%v, %+v, invoked %v", err, r, f.invoked)
	}
	o.TrustSender = true
	if results, err := redrive(t, t.Context(), o); err != nil || results["m1"].Outcome != deadletter.Taken {
		t.Errorf("trusted: %v, %+v", err, results["m1"])
	}
}
