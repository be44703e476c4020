package sinkhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "1.5": 0, "soon": 0,
		"99999999999999999999": 0, "86401": 24 * time.Hour,
		"Mon, 02 Nov 2026 09:01:30 GMT": 90 * time.Second,
		"Mon, 02 Nov 2026 08:00:00 GMT": 0,
		"Mon, 02 Nov 2036 09:00:00 GMT": 24 * time.Hour,
	} {
		if got := sinkhttp.RetryAfter(in, now); got != want {
			t.Errorf("RetryAfter(%q) = %s, want %s", in, got, want)
		}
	}
}

func get(t *testing.T, ctx context.Context, url string) (*sinkhttp.Exchange, []byte, error) {
	t.Helper()
	ctx, x := sinkhttp.Watch(ctx)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := sinkhttp.NewClient().Do(r)
	if err != nil {
		return x, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return x, b, err
}

func TestExchange(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/exact":
			io.CopyN(w, zeros{}, sinkhttp.MaxBody)
		case "/long":
			io.CopyN(w, zeros{}, sinkhttp.MaxBody+1)
		default:
			w.Header().Set("X-Test", "1")
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer s.Close()
	x, _, err := get(t, t.Context(), s.URL)
	if err != nil || !x.Sent() || x.Status() != http.StatusTeapot || x.Header("x-test") != "1" {
		t.Errorf("exchange = %v, %v, %d", err, x.Sent(), x.Status())
	}
	if x, _, _ := get(t, t.Context(), s.URL+"/redirect"); x.Status() != http.StatusFound {
		t.Errorf("a redirect was followed: %d", x.Status())
	}
	if _, b, err := get(t, t.Context(), s.URL+"/exact"); err != nil || len(b) != sinkhttp.MaxBody {
		t.Errorf("the longest body = %d bytes, %v", len(b), err)
	}
	if _, b, err := get(t, t.Context(), s.URL+"/long"); !errors.Is(err, sinkhttp.ErrTooLong) || len(b) != sinkhttp.MaxBody {
		t.Errorf("a longer body = %d bytes, %v, want ErrTooLong", len(b), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLost(t *testing.T) {
	x, _, err := get(t, t.Context(), "http://127.0.0.1:1/secret?secret=1") // nobody listens there
	if e := x.Lost("PUT customer", err); e.Applied != sink.No || e.Class != verdict.Unknown || strings.Contains(e.Error(), "secret") {
		t.Errorf("a refused connection = %v, applied %s", e, e.Applied)
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	x, _, err = get(t, t.Context(), untrusted.URL+"/secret")
	if e := x.Lost("PUT customer", err); e.Applied != sink.No || !strings.Contains(e.Error(), "certificate") || strings.Contains(e.Error(), "secret") {
		t.Errorf("a certificate that nobody trusts = %v, applied %s", e, e.Applied)
	}
	ctx, end := context.WithCancelCause(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		end(context.DeadlineExceeded) // it passes when the request is there
		<-r.Context().Done()
	}))
	defer s.Close()
	x, _, err = get(t, ctx, s.URL+"/secret")
	if e := x.Lost("PUT customer", err); e.Applied != sink.Maybe || !errors.Is(e, context.DeadlineExceeded) || strings.Contains(e.Error(), "secret") {
		t.Errorf("a deadline = %v, applied %s", e, e.Applied)
	}
}

type passing struct{}

func (passing) Error() string   { return "try again" }
func (passing) Temporary() bool { return true }

func TestKey(t *testing.T) { synctest.Test(t, testKey) } // on a clock of its own

func testKey(t *testing.T) {
	var mu sync.Mutex
	reads, value, fails := 0, "one", error(nil)
	k := sinkhttp.NewKey(func(context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		reads++
		return value, fails
	})
	set := func(v string, err error) { mu.Lock(); value, fails = v, err; mu.Unlock() }

	for range 3 {
		if v, err := k.Get(t.Context()); v != "one" || err != nil {
			t.Fatalf("Get = %q, %v", v, err)
		}
	}
	if reads != 1 {
		t.Fatalf("%d reads, want 1", reads)
	}
	if _, changed, err := k.Renew(t.Context(), "one"); changed || err != nil {
		t.Errorf("Renew of the same = changed %v, %v", changed, err)
	}
	set("two\n", nil)
	time.Sleep(59 * time.Second)
	if v, changed, err := k.Renew(t.Context(), "one"); v != "one" || changed || err != nil || reads != 2 {
		t.Errorf("Renew within a minute = %q, changed %v, %v, after %d reads", v, changed, err, reads)
	}
	time.Sleep(time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, changed, err := k.Renew(t.Context(), "one"); v != "two" || !changed || err != nil {
				t.Errorf("Renew = %q, %v, %v", v, changed, err)
			}
		})
	}
	wg.Wait()
	if reads != 3 {
		t.Errorf("%d reads, want 3: of many refused callers one reads", reads)
	}
	set("", errors.New("denied"))
	time.Sleep(time.Minute)
	if _, changed, err := k.Renew(t.Context(), "two"); changed || sink.ClassOf(err) != verdict.Auth {
		t.Errorf("Renew = %v, %v, want class auth", changed, err)
	}
	if v, err := k.Get(t.Context()); v != "two" || err != nil {
		t.Errorf("a failed renewal forgot the key: %q, %v", v, err)
	}
	// One that failed counts too: nobody asks the secret's store again and again.
	set("three", nil)
	if _, changed, err := k.Renew(t.Context(), "two"); changed || err != nil || reads != 4 {
		t.Errorf("Renew right after one that failed = changed %v, %v, after %d reads", changed, err, reads)
	}
	time.Sleep(time.Minute)
	if v, changed, err := k.Renew(t.Context(), "two"); v != "three" || !changed || err != nil || reads != 5 {
		t.Errorf("Renew a minute later = %q, changed %v, %v, after %d reads", v, changed, err, reads)
	}
}

func TestWhatIsNoKey(t *testing.T) {
	// What passes by itself is no matter of credentials.
	for name, err := range map[string]error{"a time-out of ours": context.DeadlineExceeded, "a fault of the service": passing{}} {
		ctx, cancel := context.WithCancel(t.Context())
		if name == "a time-out of ours" {
			cancel()
		}
		k := sinkhttp.NewKey(func(context.Context) (string, error) { return "", err })
		if _, err := k.Get(ctx); sink.ClassOf(err) != verdict.Unfinished {
			t.Errorf("%s: %v, want class unfinished", name, err)
		}
		cancel()
	}
	for _, bad := range []string{"", " \n", "two words", "tab\tbed", "line\nbreak", "ümlaut", `{"key": "x"}`} {
		if v, err := sinkhttp.NewKey(sinkhttp.Static(bad)).Get(t.Context()); sink.ClassOf(err) != verdict.Auth || (bad != "" && strings.Contains(err.Error(), strings.TrimSpace(bad)) && strings.TrimSpace(bad) != "") {
			t.Errorf("Get of %q = %q, %v, want class auth without the value", bad, v, err)
		}
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	k := sinkhttp.NewKey(sinkhttp.Static("marker-of-the-key"))
	if _, err := k.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p"} {
		for what, printed := range map[string]string{"alone": fmt.Sprintf(verb, k), "inside": fmt.Sprintf(verb, struct{ Key *sinkhttp.Key }{k})} {
			if strings.Contains(printed, "marker") || strings.Contains(printed, fmt.Sprintf("%x", "marker")) {
				t.Errorf("%s, %s: %s", verb, what, printed)
			}
		}
	}
}
