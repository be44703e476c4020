package functions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/telemetry"
)

// canary stands for a credential. Its form is that of a machine word, so that nothing
// leaves it out by chance.
const canary = "canary-of-the-credential"

// parrot is a sink that puts the credential into everything that it answers.
func parrot(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		for _, name := range []string{"Location", "Retry-After", "Request-Id", "Stripe-Rate-Limited-Reason", "Content-Type", "WWW-Authenticate"} {
			w.Header().Set(name, key)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "KEY", key))
	}
}

// raw answers with bytes that are no HTTP, or breaks off.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, strings.ReplaceAll(answer, "KEY", canary))
			_ = c.Close()
		}
	}
}

// parrots are all that answer, by what they do.
func parrots() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{
		"closes":             raw(""),
		"is no HTTP":         raw("KEY KEY KEY\r\n\r\n"),
		"has no status":      raw("HTTP/1.1 KEY\r\n\r\n"),
		"has a bad header":   raw("HTTP/1.1 200 OK\r\nKEY\r\n\r\n"),
		"breaks off":         raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":\"KEY"),
		"says yes in no way": parrot(http.StatusOK, `{"KEY":"KEY"`),
		"is of another form": parrot(http.StatusOK, `["KEY"]`),
	}
	for _, status := range []int{301, 307, 400, 401, 402, 403, 404, 408, 409, 412, 413, 422, 424, 425, 429, 500, 502, 503, 504} {
		for kind, body := range map[string]string{
			"Stripe":  `{"error":{"type":"invalid_request_error","code":"KEY","param":"KEY","message":"Invalid API Key provided: KEY","doc_url":"KEY"}}`,
			"type":    `{"error":{"type":"KEY","code":"KEY"}}`,
			"problem": `{"type":"urn:KEY","title":"KEY","detail":"KEY","reason":"KEY","version":"KEY","epoch":"KEY"}`,
			"text":    `KEY`,
		} {
			all[fmt.Sprintf("%d as %s", status, kind)] = parrot(status, body)
		}
	}
	return all
}

// watched is one consumer whose every word is kept.
type watched struct {
	*consumertest.Kit
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func watch(t *testing.T, def consumer.Definition) watched {
	w := watched{log: &lockedBuffer{}}
	w.Kit = consumertest.New(t, def, consumertest.WithoutDeadline(), consumertest.From(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)),
		consumertest.In(func(s *consumer.Env) { s.Log = telemetry.New(w.log, "test", slog.LevelDebug) }))
	return w
}

// said is all that the consumer lets out: its log at the lowest level, and what it parked.
func (w watched) said() string {
	s := w.log.String()
	for _, p := range w.Parked() {
		s += string(p.Encode())
	}
	return s
}

func ports(t *testing.T, key sinkhttp.ReadKey, url string) (functions.Ports, []any) {
	t.Helper()
	s, err := stripe.New(key, url)
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpsink.New(key, url)
	if err != nil {
		t.Fatal(err)
	}
	p := functions.Ports{BillingCustomers: s.Customers(), Invoices: s.Invoices(), Links: linked{}, ERPCustomers: h.Customers(), Stock: h.Stock()}
	return p, []any{s, *h, p, p.BillingCustomers, p.Invoices, p.ERPCustomers, p.Stock}
}

type linked struct{}

func (linked) Link(context.Context, string, string, consumer.Key) (string, error) {
	return "cus_example", nil
}

// askingEvents are events that make a consumer ask its sink: all ports are asked.
var askingEvents = map[string]string{
	"customer-billing": "21-customer-sync", "customer-erp": "21-customer-sync", "inventory-erp": "34-inventory-first", "opportunity-billing": "26-opportunity-won",
}

func playSample(t *testing.T, what string, p functions.Ports) {
	t.Helper()
	for _, def := range functions.All(p) {
		name := def.Describe().Name
		sample, ok := askingEvents[name]
		if !ok { // a connector is tried by the consumers that are named
			continue
		}
		event, err := os.ReadFile("../events/" + sample + ".json")
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, def)
		w.Send(event)
		said := w.said()
		if !strings.Contains(said, name) {
			t.Fatalf("%s, %s: nothing is said at all", what, name)
		}
		if strings.Contains(said, canary) {
			t.Errorf("%s, %s lets the credential out:\n%s", what, name, said)
		}
	}
}

// No credential gets out, whatever a sink answers: not into a log line of the lowest
// level, an error, a parked message, the standard log, or a client that is printed.
func TestNoCredentialGetsOut(t *testing.T) {
	standard := &lockedBuffer{}
	log.SetOutput(standard)
	slog.SetDefault(slog.New(slog.NewTextHandler(standard, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	t.Run("answers", func(t *testing.T) { // side by side: most of the time is a client's, before it tries again
		answers := parrots()
		const oneOf = 15 // in the quick loop: of the four forms of a status now this one, now that
		for i, what := range slices.Sorted(maps.Keys(answers)) {
			if testing.Short() && i%oneOf != 0 {
				continue
			}
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				letsNothingOut(t, what, answers[what])
			})
		}
		for what, secret := range map[string]string{
			"a certificate that nobody trusts": canary,
			"a secret with more than the key":  `{"key": "` + canary + `"}`,
			"a secret of two lines":            canary + "\n" + canary,
		} {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				untrusted := httptest.NewUnstartedServer(parrot(http.StatusOK, "KEY"))
				untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
				untrusted.StartTLS()
				defer untrusted.Close()
				p, _ := ports(t, sinkhttp.Static(secret), untrusted.URL)
				playSample(t, what, p)
			})
		}
	})
	if s := standard.String(); strings.Contains(s, canary) {
		t.Errorf("the standard log has the credential: %s", s)
	}
}

// letsNothingOut plays samples to sinks that answer so.
func letsNothingOut(t *testing.T, what string, answer http.HandlerFunc) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+canary {
			asked.Add(1)
		}
		answer(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	p, clients := ports(t, sinkhttp.Static(canary), server.URL)
	playSample(t, what, p)
	if n := asked.Load(); int(n) < len(askingEvents) {
		t.Errorf("%s: %d requests had the credential, so this shows nothing of some consumer", what, n)
	}
	for _, c := range clients {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if printed := fmt.Sprintf(verb, c); strings.Contains(printed, canary) {
				t.Errorf("%s prints %s", verb, printed)
			}
		}
	}
}

// panicking is a connector that panics with what it knows.
type panicking struct{ erp.Customers }

func (panicking) Put(context.Context, sink.Ref, string, erp.Customer) (sink.Receipt, error) {
	panic(errors.New("request with " + canary))
}

func (p panicking) Patch(ctx context.Context, ref sink.Ref, id string, v erp.Customer) (sink.Receipt, error) {
	return p.Put(ctx, ref, id, v)
}

func TestAPanicLetsNoCredentialOut(t *testing.T) {
	p, _ := ports(t, sinkhttp.Static(canary), "http://127.0.0.1:1")
	event, err := os.ReadFile("../events/21-customer-sync.json")
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, functions.CustomerERP(panicking{p.ERPCustomers}))
	w.Send(event)
	if said := w.said(); !strings.Contains(said, "panicked") || strings.Contains(said, canary) {
		t.Errorf("%s", said)
	}
}
