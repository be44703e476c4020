package deadletter_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/deadletter"
)

// A long reading meets its first messages again before it has seen the last ones: it goes
// on, knows them by their newest handle, and shows them all at once in the end.
func TestALongReadingShowsItsMessagesAgain(t *testing.T) {
	q := newQueues(t)
	for i := range 80 { // three a second, each hidden for twenty
		q.put(failureURL, fmt.Sprintf("m%02d", i), parked("customer-erp", "in-doubt", change(fmt.Sprint("e", i), one)), nil)
	}
	o, _ := stackOf(q)
	if n := len(read(t, o, deadletter.Filter{}, 0)); n != 80 {
		t.Errorf("%d messages, want 80", n)
	}
	if n := len(q.left(failureURL)); n != 80 {
		t.Errorf("%d messages lie in the queue", n)
	}
}

// Many messages that are not for a redrive stand before the others again and again, unless
// they are held for longer: the redrive reaches the last one, and ends.
func TestManyRefusedMessagesDoNotStopARedrive(t *testing.T) {
	q := newQueues(t)
	for i := range 80 {
		q.put(failureURL, fmt.Sprintf("m%02d", i), parked("customer-erp", "in-doubt", change(fmt.Sprint("e", i), one)), nil)
	}
	q.put(failureURL, "z", parked("customer-erp", "unknown", change("last", one)), nil)
	o, f := stackOf(q)
	results, err := redrive(t, t.Context(), o)
	if err != nil || len(results) != 81 || results["z"].Outcome != deadletter.Taken || len(f.invoked) != 1 {
		t.Errorf("%v, %d results, %+v", err, len(results), results["z"])
	}
	if n := len(q.left(failureURL)); n != 80 {
		t.Errorf("%d messages lie in the queue", n)
	}
}

// What another reader took over meanwhile is that one's to show: no error for us.
func TestAnotherReaderTakesOver(t *testing.T) {
	q := newQueues(t)
	fill(q)
	o, _ := stackOf(q)
	o.List = o.List[:1]
	q.fail = func(call string) error {
		if call == "visibility" {
			for _, m := range q.messages[failureURL] {
				m.handle = "of the other reader"
			}
		}
		return nil
	}
	if found, err := o.Read(t.Context(), deadletter.Query{}); err != nil || len(found.Messages) != 6 || len(found.Warnings) > 0 {
		t.Errorf("%v, %d messages, %v", err, len(found.Messages), found.Warnings)
	}
}

// What is not JSON never reaches Lambda, which would refuse the request and end the
// redrive: it is told, and the others go on.
func TestAMessageThatIsNotJSONStopsNoOther(t *testing.T) {
	q := newQueues(t)
	q.put(deliveryURL, "m1", "by hand", undelivered(lambdaARN+"fn-inventory-erp"))
	q.put(deliveryURL, "m2", change("e2", one), undelivered(lambdaARN+"fn-inventory-erp"))
	o, f := stackOf(q)
	results, err := redrive(t, t.Context(), o)
	if err != nil || results["m1"].Outcome != deadletter.Refused || results["m2"].Outcome != deadletter.Taken || !slices.Equal(f.invoked, []string{"fn-inventory-erp e2"}) {
		t.Errorf("%v, %+v, invoked were %q", err, results, f.invoked)
	}
}

// The clock of SQS says when a redrive began, that of an operator may be hours off.
func TestTheClockOfSQSCounts(t *testing.T) {
	const receive = `{"Messages":[{"MessageId":"old","ReceiptHandle":"h1","Body":%q,"Attributes":{"SentTimestamp":"1795420799000"}},` +
		`{"MessageId":"new","ReceiptHandle":"h2","Body":%q,"Attributes":{"SentTimestamp":"1795421100000"}}]}`
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Mon, 23 Nov 2026 08:00:00 GMT") // 1795420800
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "ReceiveMessage") {
			_, _ = io.WriteString(w, "{}")
			return
		}
		if asked++; asked > 1 {
			_, _ = io.WriteString(w, "{}")
			return
		}
		_, _ = fmt.Fprintf(w, receive, parked("customer-erp", "unknown", change("e1", one)), parked("customer-erp", "unknown", change("e2", one)))
	}))
	defer server.Close()
	o, f := stackOf(newQueues(t))
	o.List, o.TrustSender = o.List[:1], true // the senders are not its subject
	o.SQS = sqs.New(sqs.Options{BaseEndpoint: &server.URL, Region: "eu-west-2", Credentials: aws.AnonymousCredentials{}, DisableMessageChecksumValidation: true})
	o.Now = func() time.Time { return time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC) }
	results, err := redrive(t, t.Context(), o)
	if err != nil || len(results) != 1 || results["old"].Outcome != deadletter.Taken || !slices.Equal(f.invoked, []string{"fn-customer-erp e1"}) {
		t.Errorf("%v, %+v, invoked were %q", err, results, f.invoked)
	}
}
