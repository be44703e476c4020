package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
)

// stow puts a message about a body into the failure queue, and the body into the bucket.
func stow(t *testing.T, q *queues, bucket map[string]string, id, consumer, body string) string {
	t.Helper()
	s, err := transport.Store(consumer, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	bucket[s.Key()] = body
	q.put(failureURL, id, string(s.Encode()), nil)
	return string(s.Encode())
}

// fetching is a Fetch of bodies by their keys. It says which keys it was asked for.
func fetching(bucket map[string]string, asked *[]string) func(context.Context, transport.Stored) ([]byte, error) {
	return func(_ context.Context, s transport.Stored) ([]byte, error) {
		*asked = append(*asked, s.Key())
		body, ok := bucket[s.Key()]
		if !ok {
			return nil, &transport.Error{Name: "object-gone", Where: "/key", What: "save the record in Salesforce again"}
		}
		return []byte(body), nil
	}
}

// What lies in the bucket is listed, judged and redriven like what lies in the queue, and
// the function gets the message that names it.
func TestWhatLiesInTheBucketIsRedriven(t *testing.T) {
	q, bucket, asked := newQueues(t), map[string]string{}, []string{}
	message := stow(t, q, bucket, "m1", "customer-erp", parked("customer-erp", "throttled", change("e1", one, two), two))
	stow(t, q, bucket, "m2", "customer-erp", parked("customer-erp", "changed-after-done", change("e2", one)))
	o, f := stackOf(q)
	o.Fetch = fetching(bucket, &asked)
	list, err := o.Read(t.Context(), deadletter.Query{Filter: deadletter.Filter{ID: "m1"}})
	found := list.Messages
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %+v", err, found)
	}
	if m := found[0]; m.Consumer != "customer-erp" || m.Class != "throttled" || m.Reason != "why not" || m.Form != transport.ParkedMessage || m.Unfetched != "" ||
		len(m.Events) != 1 || !slices.Equal(m.Events[0].Subjects, []string{"Account/" + two}) || m.Body != message {
		t.Errorf("%+v", m)
	}
	f.answer = func(function, payload string) (*lambda.InvokeOutput, error) {
		if function != "fn-customer-erp" || !strings.HasSuffix(payload, `,"message":`+message+"}") {
			t.Errorf("%s gets %s", function, payload)
		}
		return took(), nil
	}
	results, err := redrive(t, t.Context(), o)
	if err != nil || results["m1"].Outcome != deadletter.Taken || len(f.invoked) != 1 || !slices.Equal(q.left(failureURL), []string{"m2"}) {
		t.Errorf("%v, %+v, invoked %v", err, results["m1"], f.invoked)
	}
	if r := results["m2"]; r.Outcome != deadletter.Refused || !strings.Contains(r.Reason, "must not be done twice") {
		t.Errorf("%s: %s", r.Outcome, r.Reason)
	}
}

// What cannot be read is refused with what to do, and stays.
func TestWhatCannotBeFetchedIsNotRedriven(t *testing.T) {
	down := func(context.Context, transport.Stored) ([]byte, error) { return nil, errors.New("S3 is down") }
	for what, c := range map[string]struct {
		consumer string
		fetch    func(context.Context, transport.Stored) ([]byte, error)
		says     string
	}{
		"it is gone":            {"customer-erp", fetching(nil, &[]string{}), "save the record in Salesforce again"},
		"S3 is down":            {"customer-erp", down, "S3 is down"},
		"another body is there": {"customer-erp", func(context.Context, transport.Stored) ([]byte, error) { return []byte("x"), nil }, "invalid-stored"},
		"no bucket":             {"customer-erp", nil, "make deploy"},
		"a stranger's":          {"stranger", down, `no consumer "stranger"`},
	} {
		q := newQueues(t)
		message := stow(t, q, map[string]string{}, "m1", c.consumer, parked(c.consumer, "throttled", change("e1", one)))
		o, f := stackOf(q)
		o.Fetch, o.TrustSender = c.fetch, true
		results, err := redrive(t, t.Context(), o)
		r := results["m1"]
		if err != nil || r.Outcome != deadletter.Refused || !strings.Contains(r.Reason, c.says) || len(f.invoked) > 0 || len(q.left(failureURL)) != 1 {
			t.Errorf("%s: %v, %s: %s, invoked %v", what, err, r.Outcome, r.Reason, f.invoked)
		}
		if m := r.Message; m.Consumer != c.consumer || m.Unfetched == "" || len(m.Events) != 1 || string(m.Events[0].JSON) != message || m.Events[0].Refused != "" {
			t.Errorf("%s: %+v", what, m)
		}
	}
}

// The sender of a message is compared with the consumer of the object's key, and that with
// the consumer in the object.
func TestWhoseObjectIsRedriven(t *testing.T) {
	for _, c := range []struct{ sender, key, inside, says string }{
		{erpRole, "customer-erp", "customer-erp", ""},
		{inventoryRole, "customer-erp", "customer-erp", "foreign-sender"},
		{erpRole, "inventory-erp", "customer-erp", "invalid-stored"},
		{erpRole, "customer-erp", "inventory-erp", "invalid-stored"},
	} {
		q, bucket, asked := newQueues(t), map[string]string{}, []string{}
		stow(t, q, bucket, "m1", c.key, parked(c.inside, "throttled", change("e1", one)))
		q.messages[failureURL][0].system["SenderId"] = c.sender + ":fn"
		o, f := stackOf(q)
		o.Fetch = fetching(bucket, &asked)
		results, err := redrive(t, t.Context(), o)
		r := results["m1"]
		if err != nil || (r.Outcome == deadletter.Taken) != (c.says == "") || !strings.Contains(r.Reason, c.says) || (len(f.invoked) == 1) != (c.says == "") {
			t.Errorf("%s: %v, %s: %s, invoked %v", fmt.Sprint(c), err, r.Outcome, r.Reason, f.invoked)
		}
	}
}
