package sinktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/decimal"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Connect makes a connector to the sink at url that takes the key.
type Connect func(t *testing.T, url, key string) (erp.Customers, erp.Stock)

// RunConnector checks a connector: what it sends, and what it makes of each answer
// that the contract knows and of those it does not know.
func RunConnector(t *testing.T, connect Connect) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, Connect)
	}{
		{"requests", requests},
		{"idempotency keys", idempotencyKeys},
		{"stock keys", connectorStockKeys},
		{"answers", answers},
		{"refused epoch and version", refusals},
		{"retry after", retryAfter},
		{"a redirect is not followed", redirect},
		{"no answer", noAnswer},
		{"bad arguments are not sent", badArguments},
		{"errors hold no values", noValues},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, connect) })
	}
}

const (
	testKey   = "test-key"
	orgID     = "00D000000000001EAA"
	accountID = "001000000000001AAA"
	hex40     = "019aa0000000000000000000000000010000aaaa"
	hex40next = "019aa0000000000000000000000000020000aaaa"
)

func ref() sink.Ref {
	return sink.Ref{Consumer: "customer-erp", Org: orgID, Subject: "Account/" + accountID, Version: hex40, Epoch: 1763800000001}
}

// seen is one request as the server got it.
type seen struct {
	method, path, body string
	header             http.Header
}

// server answers every request in one way and keeps what it got.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		s.mu.Lock()
		s.seen = append(s.seen, seen{r.Method, r.URL.EscapedPath(), string(b), r.Header.Clone()})
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen{}, s.seen...)
}

func reply(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

var yes = reply(http.StatusOK, "application/json", `{"outcome":"updated","id":"C-1"}`)

func requests(t *testing.T, connect Connect) {
	s := serve(t, yes)
	customers, stock := connect(t, s.URL+"/sfrelay", testKey)
	full := erp.Customer{
		Name: sink.Set(`A & "B" <C>`), Phone: sink.Clear[string](),
		BillingAddress: erp.Address{City: sink.Set("York"), State: sink.Clear[string]()},
	}
	calls := []struct {
		do                              func() (sink.Receipt, error)
		method, path, contentType, body string
	}{
		{func() (sink.Receipt, error) { return customers.Put(t.Context(), ref(), accountID, full) },
			"PUT", "/sfrelay/customer/" + orgID + "/" + accountID, "application/json",
			`{"name":"A & \"B\" <C>","phone":null,"billingAddress":{"city":"York","state":null}}`},
		{func() (sink.Receipt, error) {
			return customers.Patch(t.Context(), ref(), accountID, erp.Customer{TaxNumber: sink.Set("GB1"), ShippingAddress: erp.Address{PostalCode: sink.Set("YO1")}})
		},
			"PATCH", "/sfrelay/customer/" + orgID + "/" + accountID, "application/merge-patch+json",
			`{"taxNumber":"GB1","shippingAddress":{"postalCode":"YO1"}}`},
		{func() (sink.Receipt, error) { // an empty text is no value
			return customers.Patch(t.Context(), ref(), accountID, erp.Customer{Phone: sink.Set(""), ShippingAddress: erp.Address{Street: sink.Set("")}})
		},
			"PATCH", "/sfrelay/customer/" + orgID + "/" + accountID, "application/merge-patch+json",
			`{"phone":null,"shippingAddress":{"street":null}}`},
		{func() (sink.Receipt, error) { return customers.Delete(t.Context(), ref(), accountID) },
			"DELETE", "/sfrelay/customer/" + orgID + "/" + accountID, "", ""},
		{func() (sink.Receipt, error) {
			return stock.Set(t.Context(), ref(), erp.Level{SKU: "W-1", Warehouse: "North", Quantity: decimal.Must("12.50"), Unit: "pcs"})
		},
			"PUT", "/sfrelay/stock/" + orgID + "/W-1@North", "application/json",
			`{"sku":"W-1","warehouse":"North","quantity":"12.5","unit":"pcs"}`},
	}
	for i, c := range calls {
		r, err := c.do()
		if err != nil {
			t.Fatalf("%s: %v", c.method, err)
		}
		if r != (sink.Receipt{Link: "C-1", Outcome: sink.Updated}) {
			t.Errorf("%s: receipt %+v", c.method, r)
		}
		all := s.requests()
		if len(all) != i+1 {
			t.Fatalf("%s: %d requests so far, want %d: one call is one request", c.method, len(all), i+1)
		}
		got := all[i]
		if got.method != c.method || got.path != c.path {
			t.Errorf("request %s %s, want %s %s", got.method, got.path, c.method, c.path)
		}
		if !sameJSON(got.body, c.body) {
			t.Errorf("%s body %s, want %s", c.method, got.body, c.body)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer " + testKey, "Content-Type": c.contentType,
			"Sfrelay-Version": hex40, "Sfrelay-Epoch": "1763800000001",
		} {
			if v := got.header.Values(name); strings.Join(v, ",") != want {
				t.Errorf("%s %s: %q, want %q", c.method, name, v, want)
			}
		}
		if k := got.header.Get("Idempotency-Key"); k == "" || len(k) > 255 {
			t.Errorf("%s Idempotency-Key: %q", c.method, k)
		}
	}
}

// sameJSON compares two bodies as JSON, so that a connector may spell it as it
// likes. Two empty bodies are the same.
func sameJSON(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func idempotencyKeys(t *testing.T, connect Connect) {
	s := serve(t, yes)
	customers, _ := connect(t, s.URL, testKey)
	name := func(v string) erp.Customer { return erp.Customer{Name: sink.Set(v)} }
	later, again, other := ref(), ref(), ref()
	later.Version = hex40next
	again.Epoch++
	other.Subject += "x"
	var keys []string
	for _, do := range []func() (sink.Receipt, error){
		func() (sink.Receipt, error) { return customers.Put(t.Context(), ref(), accountID, name("A")) },
		func() (sink.Receipt, error) { return customers.Put(t.Context(), again, accountID, name("A")) }, // the next attempt
		func() (sink.Receipt, error) { return customers.Put(t.Context(), ref(), accountID, name("B")) },
		func() (sink.Receipt, error) { return customers.Patch(t.Context(), ref(), accountID, name("A")) },
		func() (sink.Receipt, error) { return customers.Put(t.Context(), later, accountID, name("A")) },
		func() (sink.Receipt, error) { return customers.Put(t.Context(), other, accountID, name("A")) },
		func() (sink.Receipt, error) { return customers.Delete(t.Context(), ref(), accountID) },
	} {
		if _, err := do(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.requests() {
		keys = append(keys, r.header.Get("Idempotency-Key"))
	}
	if keys[0] != keys[1] {
		t.Error("the same change with the same body got another key in the next attempt")
	}
	for i := range keys {
		for j := range i {
			if keys[i] == keys[j] && (i != 1 || j != 0) {
				t.Errorf("requests %d and %d differ and share a key", j, i)
			}
		}
	}
}

func connectorStockKeys(t *testing.T, connect Connect) {
	for sku, path := range map[string]string{
		"A/B": "A%2FB", "A B": "A%20B", "A%2FB": "A%252FB", "Ä": "%C3%84", "A+B?#": "A%2BB%3F%23", "..": "..", "A;B:C": "A%3BB%3AC",
	} {
		s := serve(t, yes)
		_, stock := connect(t, s.URL, testKey)
		if _, err := stock.Set(t.Context(), ref(), erp.Level{SKU: sku, Warehouse: "W 1"}); err != nil {
			t.Fatalf("%s: %v", sku, err)
		}
		if got, want := s.requests()[0].path, "/stock/"+orgID+"/"+path+"@W%201"; !strings.EqualFold(got, want) {
			t.Errorf("%s: path %s, want %s", sku, got, want)
		}
	}
}

// answers by hand from the contract, "Answers".
func answers(t *testing.T, connect Connect) {
	const problem, js = "application/problem+json", "application/json"
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		receipt sink.Receipt
		class   string // pattern; empty: no error
		applied sink.Applied
	}{
		"created":           {reply(201, js, `{"outcome":"created","id":"C-1"}`), sink.Receipt{Link: "C-1", Outcome: sink.Created}, "", sink.No},
		"unchanged":         {reply(200, js, `{"outcome":"unchanged","id":""}`), sink.Receipt{Outcome: sink.Unchanged}, "", sink.No},
		"400":               {reply(400, problem, `{}`), sink.Receipt{}, `permanent/.+`, sink.No},
		"401":               {reply(401, problem, `{}`), sink.Receipt{}, `auth`, sink.No},
		"403":               {reply(403, "text/html", `<html>`), sink.Receipt{}, `auth`, sink.No},
		"404":               {reply(404, "text/plain", `not found`), sink.Receipt{}, `permanent/.+`, sink.No},
		"409":               {reply(409, problem, `{}`), sink.Receipt{}, `conflict`, sink.No},
		"413":               {reply(413, "", ``), sink.Receipt{}, `permanent/.+`, sink.No},
		"422":               {reply(422, problem, `{}`), sink.Receipt{}, `permanent/.+`, sink.No},
		"424":               {reply(424, problem, `{}`), sink.Receipt{}, `dependency-missing`, sink.No},
		"425":               {reply(425, problem, `{}`), sink.Receipt{}, `conflict|throttled`, sink.No},
		"429":               {reply(429, problem, `{}`), sink.Receipt{}, `throttled`, sink.No},
		"503":               {reply(503, problem, `{}`), sink.Receipt{}, `throttled`, sink.No},
		"200 not JSON":      {reply(200, js, `<html>`), sink.Receipt{}, `unknown`, sink.Maybe},
		"200 empty":         {reply(200, js, ``), sink.Receipt{}, `unknown`, sink.Maybe},
		"200 other outcome": {reply(200, js, `{"outcome":"done","id":"C-1"}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"200 without id":    {reply(200, js, `{"outcome":"created"}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"202":               {reply(202, js, `{"outcome":"created","id":"C-1"}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"204":               {reply(204, "", ``), sink.Receipt{}, `unknown`, sink.Maybe},
		"405":               {reply(405, problem, `{}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"408":               {reply(408, problem, `{}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"418":               {reply(418, problem, `{}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"500":               {reply(500, problem, `{}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"502":               {reply(502, "text/html", `<html>`), sink.Receipt{}, `unknown`, sink.Maybe},
		"412 without sense": {reply(412, problem, `{}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"412 not JSON":      {reply(412, "text/html", `<html>`), sink.Receipt{}, `unknown`, sink.Maybe},
		"412 bad version":   {reply(412, problem, `{"reason":"version","version":"12"}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"412 no epoch":      {reply(412, problem, `{"reason":"epoch"}`), sink.Receipt{}, `unknown`, sink.Maybe},
		"endless body": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			for range 1 << 10 {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<14)); err != nil {
					return
				}
			}
		}, sink.Receipt{}, `unknown`, sink.Maybe},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.answer)
			customers, stock := connect(t, s.URL, testKey)
			for op, do := range map[string]func() (sink.Receipt, error){
				"Put":    func() (sink.Receipt, error) { return customers.Put(t.Context(), ref(), accountID, erp.Customer{}) },
				"Delete": func() (sink.Receipt, error) { return customers.Delete(t.Context(), ref(), accountID) },
				"Set": func() (sink.Receipt, error) {
					return stock.Set(t.Context(), ref(), erp.Level{SKU: "W", Warehouse: "N"})
				},
			} {
				before := len(s.requests())
				r, err := do()
				if n := len(s.requests()) - before; n != 1 {
					t.Errorf("%s: %d requests, want 1: the queue is the only one that retries", op, n)
				}
				if c.class == "" {
					if err != nil || r != c.receipt {
						t.Errorf("%s = %+v, %v, want %+v", op, r, err, c.receipt)
					}
					continue
				}
				e, ok := errors.AsType[*sink.Error](err)
				if !ok || !regexp.MustCompile(`^(`+c.class+`)$`).MatchString(string(e.Class)) || e.Applied != c.applied {
					t.Errorf("%s = %v, want class %s, applied %s", op, err, c.class, c.applied)
				}
			}
		})
	}
}

func refusals(t *testing.T, connect Connect) {
	s := serve(t, reply(412, "application/problem+json", `{"type":"about:blank","reason":"epoch","epoch":9007199254740993}`))
	customers, stock := connect(t, s.URL, testKey)
	for op, do := range map[string]func() (sink.Receipt, error){
		"Put":    func() (sink.Receipt, error) { return customers.Put(t.Context(), ref(), accountID, erp.Customer{}) },
		"Patch":  func() (sink.Receipt, error) { return customers.Patch(t.Context(), ref(), accountID, erp.Customer{}) },
		"Delete": func() (sink.Receipt, error) { return customers.Delete(t.Context(), ref(), accountID) },
		"Set": func() (sink.Receipt, error) {
			return stock.Set(t.Context(), ref(), erp.Level{SKU: "W", Warehouse: "N"})
		},
	} {
		_, err := do()
		if e, ok := errors.AsType[*sink.FencedError](err); !ok || e.Epoch != 9007199254740993 {
			t.Errorf("%s = %v, want a FencedError of 9007199254740993", op, err)
		}
	}
	s = serve(t, reply(412, "application/json", `{"reason":"version","version":"`+hex40next+`"}`))
	customers, stock = connect(t, s.URL, testKey)
	for op, do := range map[string]func() (sink.Receipt, error){
		"Put":    func() (sink.Receipt, error) { return customers.Put(t.Context(), ref(), accountID, erp.Customer{}) },
		"Delete": func() (sink.Receipt, error) { return customers.Delete(t.Context(), ref(), accountID) },
		"Set": func() (sink.Receipt, error) {
			return stock.Set(t.Context(), ref(), erp.Level{SKU: "W", Warehouse: "N"})
		},
	} {
		_, err := do()
		if e, ok := errors.AsType[*sink.RefusedVersionError](err); !ok || e.Version != hex40next {
			t.Errorf("%s = %v, want a RefusedVersionError of %s", op, err, hex40next)
		}
	}
	// A PATCH is never stale: taking this for "done" would lose fields.
	_, err := customers.Patch(t.Context(), ref(), accountID, erp.Customer{})
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Applied != sink.No || !e.Class.IsPermanent() {
		t.Errorf("Patch = %v, want a permanent error", err)
	}
}

func retryAfter(t *testing.T, connect Connect) {
	for _, status := range []int{409, 425, 429, 503} {
		for value, want := range map[string]time.Duration{"7": 7 * time.Second, "": 0, "soon": 0, "-3": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if value != "" {
					w.Header().Set("Retry-After", value)
				}
				w.WriteHeader(status)
			})
			customers, _ := connect(t, s.URL, testKey)
			_, err := customers.Delete(t.Context(), ref(), accountID)
			if e, ok := errors.AsType[*sink.Error](err); !ok || e.RetryAfter != want {
				t.Errorf("%d with Retry-After %q = %+v, want %s", status, value, err, want)
			}
		}
	}
}

func redirect(t *testing.T, connect Connect) {
	elsewhere := serve(t, yes)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL+r.URL.Path)
			w.WriteHeader(status)
		})
		customers, _ := connect(t, s.URL, testKey)
		_, err := customers.Put(t.Context(), ref(), accountID, erp.Customer{})
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe {
			t.Errorf("%d = %v, want unknown", status, err)
		}
	}
	if n := len(elsewhere.requests()); n != 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
}

func noAnswer(t *testing.T, connect Connect) {
	release, late := make(chan struct{}), deadline{t.Context(), make(chan struct{})}
	var once sync.Once
	s := serve(t, func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(late.passed) })
		<-release
	})
	t.Cleanup(func() { close(release) }) // before the server closes
	customers, _ := connect(t, s.URL, testKey)
	_, err := customers.Put(late, ref(), accountID, erp.Customer{})
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer before the deadline = %v, want unknown, maybe, because of the deadline", err)
	}

	broken := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(200)
		fmt.Fprint(w, `{"outcome":"created","id":"C-1"`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	customers, _ = connect(t, broken.URL, testKey)
	_, err = customers.Put(t.Context(), ref(), accountID, erp.Customer{})
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe {
		t.Errorf("an answer that breaks off = %v, want unknown, maybe", err)
	}

	customers, _ = connect(t, "http://127.0.0.1:1", testKey) // nobody listens there
	_, err = customers.Put(t.Context(), ref(), accountID, erp.Customer{})
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.No {
		t.Errorf("a refused connection = %v, want unknown, certainly not applied", err)
	}
}

// deadline is a context whose deadline passes when passed is closed.
type deadline struct {
	context.Context
	passed chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.passed }

func (d deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func badArguments(t *testing.T, connect Connect) {
	s := serve(t, yes)
	customers, stock := connect(t, s.URL, testKey)
	noEpoch, noVersion := ref(), ref()
	noEpoch.Epoch, noVersion.Version = 0, "12"
	for name, do := range map[string]func() (sink.Receipt, error){
		"epoch":   func() (sink.Receipt, error) { return customers.Delete(t.Context(), noEpoch, accountID) },
		"version": func() (sink.Receipt, error) { return customers.Delete(t.Context(), noVersion, accountID) },
		"account": func() (sink.Receipt, error) { return customers.Delete(t.Context(), ref(), "../../x") },
		"sku": func() (sink.Receipt, error) {
			return stock.Set(t.Context(), ref(), erp.Level{SKU: "a@b", Warehouse: "c"})
		},
		"empty": func() (sink.Receipt, error) { return stock.Set(t.Context(), ref(), erp.Level{SKU: "a"}) },
		"control": func() (sink.Receipt, error) {
			return stock.Set(t.Context(), ref(), erp.Level{SKU: "a\n", Warehouse: "c"})
		},
	} {
		_, err := do()
		if e, ok := errors.AsType[*sink.Error](err); !ok || !e.Class.IsPermanent() || e.Applied != sink.No {
			t.Errorf("%s = %v, want a permanent error", name, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func noValues(t *testing.T, connect Connect) {
	for _, status := range []int{400, 422, 500} {
		s := serve(t, reply(status, "application/problem+json", `{"type":"urn:x secret","title":"secret","detail":"secret"}`))
		customers, stock := connect(t, s.URL, testKey)
		_, err := customers.Put(t.Context(), ref(), accountID, erp.Customer{Name: sink.Set("secret")})
		_, err2 := stock.Set(t.Context(), ref(), erp.Level{SKU: "secret", Warehouse: "secret"})
		for _, err := range []error{err, err2} {
			if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), testKey) {
				t.Errorf("%d: error %v, want one that repeats neither content nor answer", status, err)
			}
		}
	}
}
