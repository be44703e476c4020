package webhooksandbox_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sfrelay/shared/notify"
	"sfrelay/shared/notify/receivertest"
	"sfrelay/shared/notify/webhook"
	"sfrelay/shared/sandbox/faults"
	webhooksandbox "sfrelay/shared/sandbox/webhook"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
)

// secret is a signing secret, made of a readable text.
func secret(text string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(text+" of a test, long enough"))
}

func serve(t *testing.T, secrets ...string) (*webhooksandbox.Sandbox, string) {
	t.Helper()
	s, err := webhooksandbox.New(webhooksandbox.Options{Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func TestReceiverHoldsTheSuite(t *testing.T) {
	s, url := serve(t, secret("first"), secret("second"))
	for _, run := range []string{"fresh", "again"} {
		t.Run(run, func(t *testing.T) {
			receivertest.Run(t, receivertest.Receiver{URL: url + "/hooks", Secrets: []string{secret("first"), secret("second")},
				Acted: func(_ context.Context, record string) (int, error) {
					r, _ := s.Record("00DTEST00000000EAA", "Contact", record)
					return r.Acted, nil
				}})
		})
	}
}

// Of one record the newest version stays, and every id is one message however often it came.
func TestWhatIsKept(t *testing.T) {
	s, url := serve(t, secret("first"))
	c, err := webhook.New(sinkhttp.Static(secret("first")), url, webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	phone := []string{"1", "2", "3"}
	tell := func(n int, kind notify.Kind) {
		t.Helper()
		v := strings.Repeat("0", 39) + phone[n-1]
		_, err := c.Tell(t.Context(), sink.Ref{Consumer: "contact-notify", Org: "00D000000000001EAA", Subject: "Contact/003000000000001AAA/" + v},
			notify.Notification{Object: "Contact", RecordID: "003000000000001AAA", Kind: kind, Fields: []string{"Phone"}, At: time.UnixMilli(1763800000000),
				Version: v, Values: map[string]*string{"Phone": &phone[n-1]}})
		if err != nil {
			t.Fatal(err)
		}
	}
	tell(2, notify.Updated)
	tell(1, notify.Created) // late
	tell(2, notify.Updated) // again
	tell(3, notify.Deleted)
	tell(3, notify.Deleted)
	st := s.State()
	if len(st.Messages) != 3 || st.Messages[0].Repeats != 1 || !st.Messages[1].Dropped || st.Messages[0].Dropped || st.Messages[2].Repeats != 1 || st.Messages[2].Type != "contact.deleted" {
		t.Errorf("messages %+v", st.Messages)
	}
	if len(st.Records) != 1 || st.Records[0].Acted != 2 || st.Records[0].Change != "deleted" || *st.Records[0].Values["Phone"] != "3" {
		t.Errorf("records %+v", st.Records)
	}
	if len(st.Requests) != 5 || st.Requests[0].Status != 200 || st.Requests[0].Signatures != 1 {
		t.Errorf("requests %+v", st.Requests)
	}
}

// net/http would send a request again whose kept connection breaks, and take the fault that
// was ordered for a dead connection.
func TestAFaultIsNotHiddenByAKeptConnection(t *testing.T) {
	s, url := serve(t, secret("first"))
	c, err := webhook.New(sinkhttp.Static(secret("first")), url, webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tell := func() error {
		_, err := c.Tell(t.Context(), sink.Ref{Consumer: "contact-notify", Org: "00D000000000001EAA", Subject: "Contact/003000000000001AAA/1"},
			notify.Notification{Object: "Contact", RecordID: "003000000000001AAA", Kind: notify.Updated, At: time.UnixMilli(1763800000000), Version: strings.Repeat("0", 40)})
		return err
	}
	if err := tell(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []faults.Kind{faults.Down, faults.LostResponse} {
		if err := s.Faults.Add(faults.Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		if err := tell(); err == nil {
			t.Errorf("%s was not seen", kind)
		}
	}
	if st := s.State(); len(st.Requests) != 3 || st.Requests[1].Status != 0 || st.Messages[0].Repeats != 1 {
		t.Errorf("%+v", st)
	}
}

// What people order and read over HTTP.
func TestOverHTTP(t *testing.T) {
	s, url := serve(t, secret("first"))
	do := func(method, path, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, url+path, strings.NewReader(body))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, _ := do("POST", "/_sandbox/faults", `{"kind":"gone"}`); code != 204 {
		t.Errorf("a fault = %d", code)
	}
	if code, _ := do("POST", "/", "{}"); code != http.StatusGone {
		t.Errorf("gone = %d", code)
	}
	if code, says := do("POST", "/", "{}"); code != http.StatusUnauthorized || !strings.Contains(says, "missing") {
		t.Errorf("no headers = %d %s", code, says)
	}
	if code, _ := do("GET", "/", ""); code != http.StatusMethodNotAllowed {
		t.Errorf("GET = %d", code)
	}
	code, body := do("GET", "/_sandbox/state", "")
	var st webhooksandbox.State
	if err := json.Unmarshal([]byte(body), &st); err != nil || code != 200 || len(st.Requests) != 3 || st.Requests[0].Status != 410 {
		t.Errorf("state = %d %s, %v", code, body, err)
	}
	if code, _ := do("POST", "/_sandbox/reset", ""); code != 204 || len(s.State().Requests) != 0 {
		t.Errorf("reset = %d", code)
	}
	if code, _ := do("GET", "/_sandbox/nothing", ""); code != 404 {
		t.Errorf("nothing = %d", code)
	}
}

func TestSecrets(t *testing.T) {
	for _, bad := range [][]string{nil, {""}, {"whsec_"}, {"whsec_!"}, {"bare"}, {secret("first"), "bare"}} {
		if _, err := webhooksandbox.New(webhooksandbox.Options{Secrets: bad}); err == nil {
			t.Errorf("%q are taken", bad)
		}
	}
}

// Both ends of the tolerance, to the second. The signature is the library's of Standard
// Webhooks.
func TestTolerance(t *testing.T) {
	at := time.Unix(1763800000, 0)
	key, err := standardwebhooks.NewWebhook(secret("first"))
	if err != nil {
		t.Fatal(err)
	}
	body := `{"type":"contact.updated","data":{"id":"003000000000001AAA","version":"1"}}`
	signature, err := key.Sign("msg_1", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for off, want := range map[time.Duration]int{
		0: 200, 5 * time.Minute: 200, 5*time.Minute + time.Second: 401, -5 * time.Minute: 200, -5*time.Minute - time.Second: 401,
	} {
		s, err := webhooksandbox.New(webhooksandbox.Options{Secrets: []string{secret("first")}, Now: func() time.Time { return at.Add(off) }})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("webhook-id", "msg_1")
		r.Header.Set("webhook-timestamp", "1763800000")
		r.Header.Set("webhook-signature", signature)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%v later: %d %s, want %d", off, w.Code, w.Body, want)
		}
	}
}
