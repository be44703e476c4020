package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sfrelay/shared/config"
	"sfrelay/shared/notify"
	"sfrelay/shared/notify/webhook"
	"sfrelay/shared/sandbox/faults"
	webhooksandbox "sfrelay/shared/sandbox/webhook"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

const (
	org       = "00D000000000001EAA"
	recordID  = "003000000000001AAA"
	accountID = "001000000000001AAA"
	version   = "019aa0000000000000000000000000010000aaaa"
)

// secret is a signing secret of n bytes, made of a readable text.
func secret(text string, n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(text+" ", 80)[:n]))
}

var first, second, third = secret("the first", 24), secret("the second", 32), secret("the third", 64)

var ref = sink.Ref{Consumer: "contact-notify", Org: org, Subject: "Contact/" + recordID + "/1", Version: version, Epoch: 7}

func change() notify.Notification {
	return notify.Notification{Object: "Contact", RecordID: recordID, AccountID: accountID, Kind: notify.Updated,
		Fields: []string{"Phone", "MailingCity"}, At: time.UnixMilli(1763800000120), Version: version}
}

func connect(t *testing.T, url string, read sinkhttp.ReadKey) *webhook.Client {
	t.Helper()
	c, err := webhook.New(read, url, webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// receiver keeps what it got and answers in one way.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	seen []request
}

type request struct {
	method, uri, body string
	header            http.Header
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	s := new(receiver)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.seen = append(s.seen, request{r.Method, r.RequestURI, string(b), r.Header.Clone()})
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *receiver) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func yes(http.ResponseWriter, *http.Request) {}

func TestWhatIsSent(t *testing.T) {
	s := receive(t, yes)
	text := "5 <\"Straße\">\n& \u2028"
	gone := notify.Notification{Object: "Order_Item__c", RecordID: recordID, Kind: notify.Deleted, Partial: true,
		Fields: []string{}, At: time.Date(2026, 11, 27, 9, 30, 0, 0, time.FixedZone("CET", 3600)), Version: version, Values: map[string]*string{}}
	valued := change()
	valued.Values = map[string]*string{"Phone": &text, "Email": nil}
	for _, c := range []struct {
		n    notify.Notification
		want string
	}{
		{change(), `{"type":"contact.updated","timestamp":"2025-11-22T08:26:40.120Z","data":{"org":"00D000000000001EAA","object":"Contact","id":"003000000000001AAA","account":"001000000000001AAA","change":"updated","fields":["Phone","MailingCity"],"committedAt":"2025-11-22T08:26:40.120Z","version":"019aa0000000000000000000000000010000aaaa"}}`},
		{gone, `{"type":"order_item__c.deleted","timestamp":"2026-11-27T08:30:00.000Z","data":{"org":"00D000000000001EAA","object":"Order_Item__c","id":"003000000000001AAA","change":"deleted","partial":true,"fields":[],"committedAt":"2026-11-27T08:30:00.000Z","version":"019aa0000000000000000000000000010000aaaa","values":{}}}`},
		{valued, `{"type":"contact.updated","timestamp":"2025-11-22T08:26:40.120Z","data":{"org":"00D000000000001EAA","object":"Contact","id":"003000000000001AAA","account":"001000000000001AAA","change":"updated","fields":["Phone","MailingCity"],"committedAt":"2025-11-22T08:26:40.120Z","version":"019aa0000000000000000000000000010000aaaa","values":{"Email":null,"Phone":"5 <\"Straße\">\n& ` + "\u2028" + `"}}}`},
	} {
		before := time.Now().Unix()
		if _, err := connect(t, s.URL+"/hooks/sfrelay/?tenant=a%2Fb", sinkhttp.Static(first)).Tell(t.Context(), ref, c.n); err != nil {
			t.Fatal(err)
		}
		after := time.Now().Unix()
		got := s.requests()[len(s.requests())-1]
		if got.method != "POST" || got.uri != "/hooks/sfrelay/?tenant=a%2Fb" || got.header.Get("Content-Type") != "application/json" || got.body != c.want {
			t.Errorf("%s %s %v\n%s, want\n%s", got.method, got.uri, got.header, got.body, c.want)
		}
		at, err := strconv.ParseInt(got.header.Get("webhook-timestamp"), 10, 64)
		if err != nil || at < before || at > after {
			t.Errorf("webhook-timestamp %q is not the time of the attempt", got.header.Get("webhook-timestamp"))
		}
		for name := range got.header {
			if !slices.Contains([]string{"Content-Type", "Content-Length", "User-Agent", "Accept-Encoding", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}, name) {
				t.Errorf("the header %s is sent", name)
			}
		}
	}
}

// The id is about the event: the same however often it is told, another one for any other.
func TestTheID(t *testing.T) {
	s := receive(t, yes)
	c := connect(t, s.URL, sinkhttp.Static(first))
	again, consumer, foreign, subject := ref, ref, ref, ref
	again.Epoch, again.Version, again.InDoubt, again.Link = 99, "", true, "x"
	consumer.Consumer, foreign.Org, subject.Subject = "other-notify", "00D000000000002EAA", "Contact/"+recordID+"/2"
	for _, r := range []sink.Ref{ref, again, consumer, foreign, subject} {
		if _, err := c.Tell(t.Context(), r, change()); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, r := range s.requests() {
		id := r.header.Get("webhook-id")
		if strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || len(id) < 20 {
			t.Errorf("the id %q", id)
		}
		ids = append(ids, id)
	}
	if ids[0] != ids[1] || s.requests()[0].body != s.requests()[1].body {
		t.Error("the same call again has another id or body")
	}
	slices.Sort(ids)
	if different := len(slices.Compact(ids)); different != 4 {
		t.Errorf("%d ids of four events", different)
	}
}

// The library of Standard Webhooks, which a receiver may use, takes what is signed with
// either of two secrets.
func TestBothSecretsSign(t *testing.T) {
	for given, takers := range map[string][]string{
		first: {first}, first + "\n": {first}, first + " " + second: {first, second}, "\t" + second + "\r\n\r\n" + third + "\n": {second, third},
	} {
		s := receive(t, yes)
		if _, err := connect(t, s.URL, sinkhttp.Static(given)).Tell(t.Context(), ref, change()); err != nil {
			t.Fatal(err)
		}
		got := s.requests()[0]
		for _, known := range []string{first, second, third} {
			receiver, err := standardwebhooks.NewWebhook(known)
			if err != nil {
				t.Fatal(err)
			}
			err = receiver.Verify([]byte(got.body), got.header)
			if takes := slices.Contains(takers, known); (err == nil) != takes {
				t.Errorf("a receiver takes it: %v, want %v: %v", err == nil, takes, err)
			}
		}
		if n := len(strings.Fields(got.header.Get("webhook-signature"))); n != len(takers) {
			t.Errorf("%d signatures of %d secrets", n, len(takers))
		}
	}
}

func TestASecretOfAnotherForm(t *testing.T) {
	s := receive(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	bare := strings.TrimPrefix(first, "whsec_")
	for name, bad := range map[string]string{
		"nothing": "", "blanks": " \n", "without its prefix": bare, "another prefix": "whsk_" + bare, "no base64": "whsec_marker!", "cut": first[:len(first)-1],
		"too short": secret("marker", 23), "too long": secret("marker", 65), "empty": "whsec_", "three": first + " " + second + " " + third,
		"a comma": first + "," + second + "," + third, "one of two is bad": first + " marker", "JSON": `{"secret": "` + first + `"}`, "not ASCII": "whsec_Märker",
	} {
		_, err := connect(t, s.URL, sinkhttp.Static(bad)).Tell(t.Context(), ref, change())
		e, ok := errors.AsType[*sink.Error](err)
		if !ok || e.Class != verdict.Auth || e.Applied != sink.No || !strings.Contains(err.Error(), "whsec_ and the base64 of 24 to 64") {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), bare) || strings.Contains(err.Error(), "arker") {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
}

func TestSecretsAreReadLateKeptAndRenewedOnce(t *testing.T) {
	sandbox, err := webhooksandbox.New(webhooksandbox.Options{Secrets: []string{second}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sandbox)
	defer server.Close()
	reads := 0
	c := connect(t, server.URL, func(context.Context) (string, error) {
		reads++
		return []string{"not a secret", first, second}[min(reads, 3)-1], nil
	})
	if reads != 0 {
		t.Fatal("the secret was read before the first call")
	}
	// A bad one is read again as a refused one is; at most once a minute, and so once here.
	if _, err := c.Tell(t.Context(), ref, change()); sink.ClassOf(err) != verdict.Auth || reads != 2 {
		t.Errorf("a secret that is no longer the receiver's: %v, after %d reads", err, reads)
	}
	reads = 1
	c = connect(t, server.URL, func(context.Context) (string, error) {
		reads++
		return []string{"", first, second}[min(reads, 3)-1], nil
	})
	for range 3 {
		if _, err := c.Tell(t.Context(), ref, change()); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 3 {
		t.Errorf("the secret was read %d times, want 2", reads-1)
	}
	if st := sandbox.State(); len(st.Messages) != 1 || st.Messages[0].Repeats != 2 {
		t.Errorf("%+v", st.Messages)
	}
	unreadable := connect(t, server.URL, func(context.Context) (string, error) { return "", errors.New("denied") })
	if _, err := unreadable.Tell(t.Context(), ref, change()); sink.ClassOf(err) != verdict.Auth {
		t.Errorf("an unreadable secret = %v", err)
	}
}

// What each answer means, by hand, from the table in docs/connect-a-receiver.md.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status  int
		class   verdict.Class
		applied sink.Applied
		waits   bool
		says    string
	}{
		{200, "", 0, false, ""}, {201, "", 0, false, ""}, {202, "", 0, false, ""}, {204, "", 0, false, ""}, {299, "", 0, false, ""},
		{300, "permanent/receiver-redirects", sink.No, false, "NOTIFY_URL"}, {301, "permanent/receiver-redirects", sink.No, false, "NOTIFY_URL"},
		{307, "permanent/receiver-redirects", sink.No, false, "NOTIFY_URL"}, {304, "permanent/receiver-redirects", sink.No, false, "NOTIFY_URL"},
		{401, "auth", sink.No, true, "clock"}, {403, "auth", sink.No, true, "clock"},
		{408, "throttled", sink.No, true, ""}, {425, "throttled", sink.No, true, ""}, {429, "throttled", sink.No, true, ""}, {503, "throttled", sink.No, true, ""},
		{410, "permanent/receiver-gone", sink.No, false, "NOTIFY_URL"},
		{400, "permanent/receiver-refused", sink.No, false, "log"}, {404, "permanent/receiver-refused", sink.No, false, "log"}, {405, "permanent/receiver-refused", sink.No, false, "log"},
		{409, "permanent/receiver-refused", sink.No, false, "log"}, {413, "permanent/receiver-refused", sink.No, false, "log"}, {422, "permanent/receiver-refused", sink.No, false, "log"},
		{451, "permanent/receiver-refused", sink.No, false, "log"}, {499, "permanent/receiver-refused", sink.No, false, "log"},
		{500, "unknown", sink.Maybe, true, ""}, {502, "unknown", sink.Maybe, true, ""}, {504, "unknown", sink.Maybe, true, ""}, {599, "unknown", sink.Maybe, true, ""}, {600, "unknown", sink.Maybe, true, ""},
	} {
		s := receive(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "77")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			if c.status != 204 && c.status != 304 {
				_, _ = io.WriteString(w, "marker of the answer")
			}
		})
		receipt, err := connect(t, s.URL, sinkhttp.Static(first)).Tell(t.Context(), ref, change())
		if c.class == "" {
			if err != nil || receipt.Link != "" {
				t.Errorf("%d: %+v, %v", c.status, receipt, err)
			}
			continue
		}
		e, ok := errors.AsType[*sink.Error](err)
		if !ok || e.Class != c.class || e.Applied != c.applied || (e.RetryAfter == 77*time.Second) != c.waits || !c.waits && e.RetryAfter != 0 ||
			!strings.Contains(err.Error(), strconv.Itoa(c.status)) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "marker") {
			t.Errorf("%d: %+v", c.status, err)
		}
		for _, r := range s.requests() {
			if r.uri != "/" || len(s.requests()) != 1 {
				t.Errorf("%d: %d requests, one of them to %s", c.status, len(s.requests()), r.uri)
			}
		}
	}
}

// A status is an answer, whatever becomes of the body.
func TestTheBodyOfAnAnswerSaysNothing(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, "{")
		},
		"longer than what is read of it": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(make([]byte, 64<<10))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // the rest never comes, until the caller leaves
		},
	} {
		if _, err := connect(t, receive(t, answer).URL, sinkhttp.Static(first)).Tell(t.Context(), ref, change()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("marker", 20<<10))
	})
	_, err := connect(t, s.URL, sinkhttp.Static(first)).Tell(t.Context(), ref, change())
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe || strings.Contains(err.Error(), "marker") {
		t.Errorf("%v", err)
	}
}

// Whatever happens to the first attempt, the second one leaves one message, acted on once.
func TestToldAgainAfterEveryFault(t *testing.T) {
	for kind, want := range map[faults.Kind]struct {
		class   verdict.Class
		applied sink.Applied
		repeats int
	}{
		faults.Down:         {"unknown", sink.Maybe, 0},
		faults.Unavailable:  {"throttled", sink.No, 0},
		faults.Throttled:    {"throttled", sink.No, 0},
		faults.ErrorBefore:  {"unknown", sink.Maybe, 0},
		faults.ErrorAfter:   {"unknown", sink.Maybe, 1},
		faults.LostResponse: {"unknown", sink.Maybe, 1},
		faults.Unauthorized: {"auth", sink.No, 0},
		faults.Refused:      {"permanent/receiver-refused", sink.No, 0},
		faults.Gone:         {"permanent/receiver-gone", sink.No, 0},
		faults.Redirect:     {"permanent/receiver-redirects", sink.No, 0},
	} {
		sandbox, err := webhooksandbox.New(webhooksandbox.Options{Secrets: []string{first}})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(sandbox)
		c := connect(t, server.URL, sinkhttp.Static(first))
		if err := sandbox.Faults.Add(faults.Fault{Kind: kind, RetryAfter: 3}); err != nil {
			t.Fatal(err)
		}
		_, err = c.Tell(t.Context(), ref, change())
		e, ok := errors.AsType[*sink.Error](err)
		if !ok || e.Class != want.class || e.Applied != want.applied || want.class == "throttled" && e.RetryAfter != 3*time.Second {
			t.Errorf("%s: first = %+v, want %s, applied %s", kind, err, want.class, want.applied)
		}
		if _, err := c.Tell(t.Context(), ref, change()); err != nil {
			t.Errorf("%s: second = %v", kind, err)
		}
		st := sandbox.State()
		if len(st.Messages) != 1 || st.Messages[0].Repeats != want.repeats || len(st.Records) != 1 || st.Records[0].Acted != 1 || len(st.Requests) != 2 {
			t.Errorf("%s: %+v", kind, st)
		}
		server.Close()
	}
}

// A caller that gives up while the receiver works does not know what became of it.
func TestTimeOut(t *testing.T) {
	sandbox, err := webhooksandbox.New(webhooksandbox.Options{Secrets: []string{first}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sandbox)
	hold := faults.NewHold()
	if err := sandbox.Faults.Add(faults.Fault{Kind: faults.Latency, Hold: hold}); err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	go func() { <-hold.Reached; giveUp() }()
	_, err = connect(t, server.URL, sinkhttp.Static(first)).Tell(ctx, ref, change())
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe {
		t.Errorf("%v", err)
	}
	close(hold.Release)
	server.Close()
	// Nobody listens there: certainly nothing was sent.
	_, err = connect(t, "http://127.0.0.1:1", sinkhttp.Static(first)).Tell(t.Context(), ref, change())
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.No {
		t.Errorf("%v", err)
	}
}

// A frozen function wakes up with connections that the receiver has closed long ago.
func TestAConnectionThatDiedIsNoFailure(t *testing.T) {
	n := 0
	s := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 2 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		}
	})
	c := connect(t, s.URL, sinkhttp.Static(first))
	for range 2 {
		if _, err := c.Tell(t.Context(), ref, change()); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.requests(); len(got) != 3 || got[1].header.Get("webhook-id") != got[2].header.Get("webhook-id") || got[1].body != got[2].body {
		t.Errorf("%d requests", len(got))
	}
}

func TestWhatIsNoNotification(t *testing.T) {
	s := receive(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	c := connect(t, s.URL, sinkhttp.Static(first))
	for name, spoil := range map[string]func(*sink.Ref, *notify.Notification){
		"org": func(r *sink.Ref, _ *notify.Notification) { r.Org = "00D000000000001" }, "subject": func(r *sink.Ref, _ *notify.Notification) { r.Subject = "" },
		"consumer": func(r *sink.Ref, _ *notify.Notification) { r.Consumer = "" },
		"object":   func(_ *sink.Ref, n *notify.Notification) { n.Object = "Con.tact" }, "no object": func(_ *sink.Ref, n *notify.Notification) { n.Object = "" },
		"record": func(_ *sink.Ref, n *notify.Notification) { n.RecordID = recordID[:15] + "A.A" }, "account": func(_ *sink.Ref, n *notify.Notification) { n.AccountID = "x" },
		"kind": func(_ *sink.Ref, n *notify.Notification) { n.Kind = "" }, "time": func(_ *sink.Ref, n *notify.Notification) { n.At = time.Time{} },
		"version": func(_ *sink.Ref, n *notify.Notification) { n.Version = strings.ToUpper(n.Version) },
	} {
		r, n := ref, change()
		spoil(&r, &n)
		_, err := c.Tell(t.Context(), r, n)
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != "permanent/invalid-ref" || e.Applied != sink.No {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsHoldNothingOfTheCustomer(t *testing.T) {
	value := "marker"
	n := change()
	n.Values = map[string]*string{"Phone": &value}
	for _, status := range []int{400, 401, 410, 429, 500, 302} {
		s := receive(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://marker.example.com/")
			w.Header().Set("X-Reason", "marker")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "marker")
		})
		_, err := connect(t, s.URL+"/marker?key=marker", sinkhttp.Static(first)).Tell(t.Context(), ref, n)
		if err == nil || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), first[6:]) {
			t.Errorf("%d: %v", status, err)
		}
		if _, err = connect(t, "http://127.0.0.1:1/marker?key=marker", sinkhttp.Static(first)).Tell(t.Context(), ref, n); err == nil || strings.Contains(err.Error(), "marker") {
			t.Errorf("not there: %v", err)
		}
	}
}

func TestContract(t *testing.T) {
	var r notify.Receiver = connect(t, "https://example.com", sinkhttp.Static(first))
	if got := r.Contract(); got != (sink.Contract{Effect: 10 * time.Second}) || got.Settles() {
		t.Errorf("%+v", got)
	}
}

func TestAddress(t *testing.T) {
	for address, want := range map[string]struct{ public, private bool }{
		"https://crm.example.com": {true, true}, "https://crm.example.com:8443/hooks/?a=b": {true, true}, "https://8.8.8.8/": {true, true},
		"http://127.0.0.1:9000": {true, true}, "http://localhost:9000/x": {true, true}, "http://[::1]:1": {true, true}, "https://127.0.0.1:1": {true, true},
		"http://[::ffff:127.0.0.1]:1": {true, true},
		"https://10.0.0.1":            {false, true}, "https://[fd12::1]/": {false, true}, "https://[::ffff:192.168.0.1]": {false, true},
		"https://169.254.169.254": {false, false}, "https://[fe80::1%25eth0]": {false, false}, "https://[fd00:ec2::254]": {false, false},
		"": {false, false}, "http://crm.example.com": {false, false}, "crm.example.com": {false, false}, "https://marker:marker@crm.example.com": {false, false},
		"https://marker@crm.example.com": {false, false}, "https://crm.example.com#marker": {false, false}, "ftp://crm.example.com": {false, false},
		"https://:443/": {false, false}, "http://localhost.example.com": {false, false}, "http://10.0.0.1": {false, false}, "https://crm.example.com/\x01": {false, false},
	} {
		for private, ok := range map[bool]bool{false: want.public, true: want.private} {
			_, err := webhook.New(sinkhttp.Static(first), address, webhook.Options{PrivateAddresses: private})
			if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "marker") {
				t.Errorf("New(%q, private %v) = %v", address, private, err)
			}
		}
	}
}

func TestFromEnvNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		env   map[string]string
		wrong []string // the variables, in order
	}{
		{map[string]string{"NOTIFY_SECRET": "s", "NOTIFY_URL": "https://crm.example.com/hooks/"}, nil},
		{map[string]string{"NOTIFY_SECRET": "s", "NOTIFY_URL": "https://crm.example.com/hooks/", "NOTIFY_PRIVATE_ADDRESSES": ""}, nil},
		{map[string]string{"NOTIFY_SECRET": "s", "NOTIFY_URL": "https://10.0.0.1/", "NOTIFY_PRIVATE_ADDRESSES": "true"}, nil},
		{map[string]string{"NOTIFY_SECRET": "s", "NOTIFY_URL": "https://10.0.0.1/", "NOTIFY_PRIVATE_ADDRESSES": "false"}, []string{"NOTIFY_URL"}},
		{nil, []string{"NOTIFY_URL", "NOTIFY_SECRET"}},
		{map[string]string{"NOTIFY_URL": "https://user:hidden@crm.example.com", "NOTIFY_PRIVATE_ADDRESSES": "yes"}, []string{"NOTIFY_SECRET", "NOTIFY_PRIVATE_ADDRESSES", "NOTIFY_URL"}},
		{map[string]string{"NOTIFY_SECRET": "s", "NOTIFY_URL": "https://crm.example.com/#hidden"}, []string{"NOTIFY_URL"}},
	} {
		r := config.NewReader(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		asked := ""
		client := webhook.FromEnv(r, func(name string) func(context.Context) (string, error) {
			asked = name
			return func(context.Context) (string, error) { return "", nil }
		})
		var wrong []string
		if err := r.Err(); err != nil {
			if strings.Contains(err.Error(), "hidden") {
				t.Error(err)
			}
			for _, line := range strings.Split(err.Error(), "\n")[1:] {
				name, _, _ := strings.Cut(line, " ")
				wrong = append(wrong, strings.TrimSuffix(name, ":"))
			}
		}
		if strings.Join(wrong, " ") != strings.Join(c.wrong, " ") || client == nil || asked != "" && asked != c.env["NOTIFY_SECRET"] {
			t.Errorf("%v: wrong are %q, want %q; the secret is %q", c.env, wrong, c.wrong, asked)
		}
		client.Contract() // a definition can be made all the same
	}
}
