// Package sinktest is the HTTP sink contract (docs/reference/http-sink.openapi.yaml) as
// tests: RunSink for an ERP that answers it, RunConnector for a connector that
// speaks it.
package sinktest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fixture is what an ERP has to know before it can take stock: a product and a warehouse
// for tests, whose quantity the suite sets and leaves at zero.
type Fixture struct{ SKU, Warehouse string }

// RunSink checks the sink at baseURL, which takes the bearer key. It makes customers and
// stock of its own, in orgs that no Salesforce has. Whatever a test made it retires when
// it ends, passed or not: a customer by DELETE, stock, which has none, by a quantity of
// zero; what the sink does not let go of fails the test. It may run again and again on the
// same sink, and waits for nothing.
//
// Without a Fixture it makes up products and warehouses. An ERP that answers 424 to those
// has its tests of stock skipped, and failed where CI is "true". With one, stock is tried
// for that product only.
func RunSink(t *testing.T, baseURL, key string, known ...Fixture) {
	t.Helper()
	client := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *sinkUnderTest)
	}{
		{"PUT creates, then updates", putCreates},
		{"the same key again changes nothing", sameKey},
		{"only the last key is remembered", onlyLastKey},
		{"a lower epoch is fenced off", fenced},
		{"an older full state is refused", olderVersion},
		{"an equal version is taken", equalVersion},
		{"a refused version still raises the epoch", refusedRaisesEpoch},
		{"the epoch comes before the version and the key", epochFirst},
		{"PATCH creates what is missing", patchCreates},
		{"PATCH neither compares nor raises the version", patchAndVersion},
		{"PATCH clears with null", patchClears},
		{"DELETE retires, PUT and PATCH bring back the same id", deleteAndRevive},
		{"DELETE of nothing is remembered", deleteOfNothing},
		{"an older DELETE is refused", olderDelete},
		{"epochs are exact beyond 2^53", exactEpoch},
		{"orgs and kinds are apart", apart},
		{"stock keys are percent-encoded", stockKeys},
		{"many at once apply once", atOnce},
		{"credentials", credentials},
		{"what is not well formed", malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sinkUnderTest{base: strings.TrimRight(baseURL, "/"), key: key, client: client, known: known, made: map[record]reached{}}
			t.Cleanup(func() { s.retire(t) })
			c.run(t, s)
		})
	}
}

// sinkUnderTest is the sink as one test meets it.
type sinkUnderTest struct {
	base, key string
	client    *http.Client
	known     []Fixture

	mu   sync.Mutex
	made map[record]reached
}

// reached is how far the epoch and the version of a record have come.
type reached struct {
	epoch   int64
	version int
}

// noted remembers what the sink took, for the end.
func (s *sinkUnderTest) noted(r record, q request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, made := s.made[r]
	if took := status == http.StatusOK || status == http.StatusCreated; took || made && status == http.StatusPreconditionFailed {
		s.made[r] = reached{max(at.epoch, q.epoch), max(at.version, q.version)}
	}
}

// retire leaves no record of the test behind that a person would come across.
func (s *sinkUnderTest) retire(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	made := maps.Clone(s.made)
	s.mu.Unlock()
	for r, at := range made {
		q := request{method: remove, epoch: at.epoch + 1, version: at.version + 1}
		if r.kind == "stock" {
			q.method, q.body = put, level(r.sku, r.warehouse, "0")
		}
		if a, err := s.try(r, q); err != nil || a.status != http.StatusOK && a.status != http.StatusCreated {
			t.Errorf("%s %s/%s/%s stays behind: %s = %d %s, %v", r.kind, r.kind, r.org, r.key, q.method, a.status, a.Reason, err)
		}
	}
}

// newRecord names a customer that the sink has never seen.
func newRecord() record {
	return record{kind: "customer", org: "00DTEST00000000EAA", key: "001" + rand.Text()[:15]}
}

type record struct {
	kind, org, key string
	sku, warehouse string // of stock
}

// stockOf names stock of a product in the words of the contract.
func stockOf(org, sku, warehouse string) record {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return record{"stock", org, escape(sku) + "@" + escape(warehouse), sku, warehouse}
}

// newStock names stock that the ERP knows, or made-up stock. from is where its versions
// and epochs begin.
func (s *sinkUnderTest) newStock() (r record, from int) {
	if len(s.known) > 0 {
		return stockOf("00DTEST00000000EAA", s.known[0].SKU, s.known[0].Warehouse), int(time.Now().UnixMicro())
	}
	return stockOf("00DTEST00000000EAA", rand.Text(), rand.Text()), 0
}

// missing ends a test of stock where the sink says 424: it has no such product.
func (s *sinkUnderTest) missing(t *testing.T, r record, a answer) {
	t.Helper()
	if a.status != http.StatusFailedDependency {
		return
	}
	const way = "make a product and a warehouse for tests in the ERP, and name them: ERP_SKU and ERP_WAREHOUSE, or sinktest.Fixture"
	if len(s.known) > 0 || os.Getenv("CI") == "true" {
		t.Fatalf("the ERP answers 424 to stock of %q in %q: %s", r.sku, r.warehouse, way)
	}
	t.Skipf("stock was not tried, the ERP answers 424 to products that are made up: %s", way)
}

// version n sorts like n.
func version(n int) string { return fmt.Sprintf("%040x", n) }

// request is what a test varies; zero values are filled in with what is right.
type request struct {
	method         string
	version        int
	epoch          int64
	idempotencyKey string
	body           string
	header         http.Header // replaces; an empty list removes
	rawBody        bool
}

type answer struct {
	status  int
	problem bool
	Outcome string `json:"outcome"`
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Epoch   int64  `json:"epoch"`
	Version string `json:"version"`
}

func (s *sinkUnderTest) try(r record, q request) (answer, error) {
	var body io.Reader
	if q.method != http.MethodDelete || q.rawBody {
		if q.body == "" && !q.rawBody {
			q.body = `{"name":"Test"}`
		}
		body = bytes.NewReader([]byte(q.body))
	}
	req, err := http.NewRequest(q.method, s.base+"/"+r.kind+"/"+r.org+"/"+r.key, body)
	if err != nil {
		return answer{}, err
	}
	if q.idempotencyKey == "" {
		q.idempotencyKey = rand.Text()
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Idempotency-Key", q.idempotencyKey)
	req.Header.Set("Sfrelay-Version", version(q.version))
	req.Header.Set("Sfrelay-Epoch", strconv.FormatInt(q.epoch, 10))
	switch q.method {
	case http.MethodPut:
		req.Header.Set("Content-Type", "application/json")
	case http.MethodPatch:
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for name, values := range q.header {
		req.Header.Del(name)
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	res, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return answer{}, err
	}
	s.noted(r, q, res.StatusCode)
	a := answer{status: res.StatusCode}
	contentType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	a.problem = contentType == "application/problem+json"
	if a.status < 300 || a.status == http.StatusPreconditionFailed {
		if err := json.Unmarshal(b, &a); err != nil {
			return a, fmt.Errorf("%s answered %d with a body that is not JSON: %w", q.method, a.status, err)
		}
	}
	return a, nil
}

func (s *sinkUnderTest) do(t *testing.T, r record, q request) answer {
	t.Helper()
	a, err := s.try(r, q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// taken wants a 200 or 201 with one of the outcomes and returns the id.
func (s *sinkUnderTest) taken(t *testing.T, r record, q request, outcomes ...string) string {
	t.Helper()
	a := s.do(t, r, q)
	if r.kind == "stock" {
		s.missing(t, r, a)
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		t.Fatalf("%s version %d epoch %d = %d %s, want it taken", q.method, q.version, q.epoch, a.status, a.Reason)
	}
	for _, o := range outcomes {
		if a.Outcome == o {
			if a.ID == "" && a.Outcome != "unchanged" {
				t.Fatalf("%s = %s without an id", q.method, a.Outcome)
			}
			return a.ID
		}
	}
	t.Fatalf("%s version %d epoch %d: outcome %q, want one of %q", q.method, q.version, q.epoch, a.Outcome, outcomes)
	return ""
}

func (s *sinkUnderTest) fenced(t *testing.T, r record, q request, epoch int64) {
	t.Helper()
	if a := s.do(t, r, q); a.status != http.StatusPreconditionFailed || a.Reason != "epoch" || a.Epoch != epoch {
		t.Fatalf("%s version %d epoch %d = %d reason %q epoch %d, want 412, epoch, %d", q.method, q.version, q.epoch, a.status, a.Reason, a.Epoch, epoch)
	}
}

func (s *sinkUnderTest) stale(t *testing.T, r record, q request, v int) {
	t.Helper()
	if a := s.do(t, r, q); a.status != http.StatusPreconditionFailed || a.Reason != "version" || a.Version != version(v) {
		t.Fatalf("%s version %d epoch %d = %d reason %q version %q, want 412, version, %s", q.method, q.version, q.epoch, a.status, a.Reason, a.Version, version(v))
	}
}

const (
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

func putCreates(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	id := s.taken(t, r, request{method: put, version: 5, epoch: 10, body: `{"name":"A","billingAddress":{"city":"York"}}`}, "created")
	if again := s.taken(t, r, request{method: put, version: 6, epoch: 11, body: `{"name":"B"}`}, "updated"); again != id {
		t.Errorf("id %q became %q", id, again)
	}
}

func sameKey(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	first := request{method: put, version: 5, epoch: 10, idempotencyKey: rand.Text()}
	id := s.taken(t, r, first, "created")
	again := first
	again.epoch = 20
	if other := s.taken(t, r, again, "unchanged"); other != id {
		t.Errorf("id %q became %q", id, other)
	}
	// The repetition raised the epoch.
	s.fenced(t, r, request{method: put, version: 9, epoch: 19}, 20)
	s.fenced(t, r, first, 20)
}

func onlyLastKey(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	a := request{method: patch, version: 5, epoch: 10, idempotencyKey: rand.Text(), body: `{"name":"A"}`}
	s.taken(t, r, a, "created")
	s.taken(t, r, request{method: patch, version: 6, epoch: 11, body: `{"name":"B"}`}, "updated")
	a.epoch = 12
	s.taken(t, r, a, "updated")
}

func fenced(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10}, "created")
	for _, method := range []string{put, patch, remove} {
		s.fenced(t, r, request{method: method, version: 9, epoch: 9}, 10)
	}
	s.taken(t, r, request{method: patch, version: 6, epoch: 10, body: `{"name":"B"}`}, "updated") // equal is taken
}

func olderVersion(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10}, "created")
	s.stale(t, r, request{method: put, version: 4, epoch: 11}, 5)
	s.taken(t, r, request{method: put, version: 6, epoch: 12, body: `{"name":"B"}`}, "updated")
	s.stale(t, r, request{method: put, version: 5, epoch: 13}, 6)
}

func equalVersion(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10, body: `{"name":"A"}`}, "created")
	s.taken(t, r, request{method: put, version: 5, epoch: 11, body: `{"name":"B"}`}, "updated")
}

func refusedRaisesEpoch(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10}, "created")
	s.stale(t, r, request{method: put, version: 4, epoch: 20}, 5)
	s.fenced(t, r, request{method: put, version: 9, epoch: 15}, 20)
}

func epochFirst(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	last := request{method: put, version: 5, epoch: 10, idempotencyKey: rand.Text()}
	s.taken(t, r, last, "created")
	s.fenced(t, r, request{method: put, version: 4, epoch: 9}, 10)
	last.epoch = 9
	s.fenced(t, r, last, 10)
	// A fenced request is not accepted: its key is not the last one.
	late := request{method: put, version: 6, epoch: 9, idempotencyKey: rand.Text(), body: `{"name":"B"}`}
	s.fenced(t, r, late, 10)
	late.epoch = 11
	s.taken(t, r, late, "updated")
}

func patchCreates(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	id := s.taken(t, r, request{method: patch, version: 5, epoch: 10, body: `{"phone":"1"}`}, "created")
	if again := s.taken(t, r, request{method: put, version: 1, epoch: 11, body: `{"name":"A"}`}, "updated"); again != id {
		t.Errorf("id %q became %q", id, again)
	}
}

func patchAndVersion(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10, body: `{"name":"A"}`}, "created")
	s.taken(t, r, request{method: patch, version: 3, epoch: 11, body: `{"name":"B"}`}, "updated") // older, and taken
	s.taken(t, r, request{method: patch, version: 9, epoch: 12, body: `{"name":"C"}`}, "updated")
	s.taken(t, r, request{method: put, version: 7, epoch: 13, body: `{"name":"D"}`}, "updated") // between 5 and 9
	s.stale(t, r, request{method: put, version: 6, epoch: 14}, 7)
}

func patchClears(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10, body: `{"name":"A","phone":"1","billingAddress":{"city":"York","state":null}}`}, "created")
	s.taken(t, r, request{method: patch, version: 6, epoch: 11, body: `{"phone":null,"billingAddress":{"city":null,"street":"1 High St"}}`}, "updated")
	s.taken(t, r, request{method: patch, version: 7, epoch: 12, body: `{"billingAddress":null}`}, "updated")
}

func deleteAndRevive(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	id := s.taken(t, r, request{method: put, version: 5, epoch: 10}, "created")
	gone := request{method: remove, version: 6, epoch: 11, idempotencyKey: rand.Text()}
	s.taken(t, r, gone, "updated", "unchanged")
	gone.epoch = 12
	s.taken(t, r, gone, "unchanged")
	s.stale(t, r, request{method: put, version: 5, epoch: 13}, 6)
	if again := s.taken(t, r, request{method: put, version: 7, epoch: 14}, "created", "updated"); again != id {
		t.Errorf("PUT after DELETE: id %q became %q", id, again)
	}
	s.taken(t, r, request{method: remove, version: 8, epoch: 15}, "updated", "unchanged")
	if again := s.taken(t, r, request{method: patch, version: 9, epoch: 16}, "created", "updated"); again != id {
		t.Errorf("PATCH after DELETE: id %q became %q", id, again)
	}
	s.stale(t, r, request{method: put, version: 7, epoch: 17}, 8) // the PATCH did not raise the version
	s.taken(t, r, request{method: remove, version: 10, epoch: 18}, "updated", "unchanged")
}

func deleteOfNothing(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: remove, version: 5, epoch: 10}, "unchanged", "updated")
	s.fenced(t, r, request{method: put, version: 6, epoch: 9}, 10)
	s.stale(t, r, request{method: put, version: 4, epoch: 11}, 5)
	s.taken(t, r, request{method: put, version: 6, epoch: 12}, "created", "updated")
}

func olderDelete(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	s.taken(t, r, request{method: put, version: 5, epoch: 10}, "created")
	s.stale(t, r, request{method: remove, version: 4, epoch: 11}, 5)
	s.taken(t, r, request{method: remove, version: 5, epoch: 12}, "updated", "unchanged")
}

func exactEpoch(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	const big = 1<<53 + 1
	s.taken(t, r, request{method: put, version: 5, epoch: big}, "created")
	s.fenced(t, r, request{method: put, version: 6, epoch: big - 1}, big)
	s.taken(t, r, request{method: patch, version: 6, epoch: big + 1, body: `{"name":"B"}`}, "updated")
}

func apart(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	other := r
	other.org = "00DTEST00000001EAA"
	id := s.taken(t, r, request{method: put, version: 5, epoch: 10}, "created")
	if same := s.taken(t, other, request{method: put, version: 1, epoch: 1}, "created"); same == id {
		t.Errorf("two orgs share the record %q", id)
	}
	t.Run("stock", func(t *testing.T) {
		stock, from := s.newStock()
		s.taken(t, stock, request{method: put, version: from + 1, epoch: int64(from + 1), body: level(stock.sku, stock.warehouse, "0")}, "created", "updated", "unchanged")
	})
}

func level(sku, warehouse, quantity string) string {
	b, err := json.Marshal(map[string]string{"sku": sku, "warehouse": warehouse, "quantity": quantity})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func stockKeys(t *testing.T, s *sinkUnderTest) {
	if len(s.known) > 0 {
		r, from := s.newStock()
		s.levels(t, r, from, "3", "5")
		return
	}
	for _, sku := range []string{"A/B", "A B", "A%2FB", "Ä-1", "A+B?#"} {
		s.levels(t, stockOf("00DTEST00000000EAA", sku+rand.Text(), "W 1"), 0, "12.5", "-3")
	}
}

// levels sets two quantities, one after the other.
func (s *sinkUnderTest) levels(t *testing.T, r record, from int, first, second string) {
	t.Helper()
	id := s.taken(t, r, request{method: put, version: from + 5, epoch: int64(from + 10), body: level(r.sku, r.warehouse, first)}, "created", "updated")
	again := s.taken(t, r, request{method: put, version: from + 6, epoch: int64(from + 11), body: level(r.sku, r.warehouse, second)}, "updated")
	if again != id {
		t.Errorf("%s: id %q became %q", r.sku, id, again)
	}
	s.stale(t, r, request{method: put, version: from + 5, epoch: int64(from + 12), body: level(r.sku, r.warehouse, first)}, from+6)
	s.fenced(t, r, request{method: put, version: from + 7, epoch: int64(from + 11), body: level(r.sku, r.warehouse, first)}, int64(from+12))
}

func atOnce(t *testing.T, s *sinkUnderTest) {
	const n = 16
	r := newRecord()
	same := request{method: put, version: 5, epoch: 10, idempotencyKey: rand.Text()}
	answers := make([]answer, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { answers[i], errs[i] = s.try(r, same) })
	}
	wg.Wait()
	created, id := 0, ""
	for i, a := range answers {
		switch {
		case errs[i] != nil:
			t.Fatal(errs[i])
		case a.status == http.StatusConflict || a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests || a.status == http.StatusTooEarly:
			continue // "not applied, later again" is allowed
		case a.Outcome == "created":
			created++
		case a.Outcome != "unchanged":
			t.Errorf("request %d: %d %q", i, a.status, a.Outcome)
		}
		if id == "" {
			id = a.ID
		}
		if a.ID != id {
			t.Errorf("two ids: %q and %q", id, a.ID)
		}
	}
	if created != 1 {
		t.Errorf("%d of %d requests created, want 1", created, n)
	}

	// Full states in any order: whatever was taken last is the newest.
	for i := range n {
		wg.Go(func() {
			answers[i], errs[i] = s.try(r, request{method: put, version: 100 + i, epoch: 20, body: fmt.Sprintf(`{"name":"N%d"}`, i)})
		})
	}
	wg.Wait()
	for i := range n {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
	}
	if a := answers[n-1]; a.status == http.StatusOK {
		s.stale(t, r, request{method: put, version: 99, epoch: 21}, 100+n-1)
	}
}

func credentials(t *testing.T, s *sinkUnderTest) {
	r := newRecord()
	for name, header := range map[string][]string{"none": {}, "another": {"Bearer wrong-" + rand.Text()}, "basic": {"Basic dGVzdDp0ZXN0"}} {
		a := s.do(t, r, request{method: put, version: 5, epoch: 10, header: http.Header{"Authorization": header}})
		if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
			t.Errorf("%s credentials = %d, want 401 or 403", name, a.status)
		}
	}
	s.taken(t, r, request{method: put, version: 1, epoch: 1}, "created") // nothing was applied before
}

func malformed(t *testing.T, s *sinkUnderTest) {
	long := strings.Repeat("x", 256)
	for name, q := range map[string]request{
		"no key":           {header: http.Header{"Idempotency-Key": {}}},
		"long key":         {header: http.Header{"Idempotency-Key": {long}}},
		"no version":       {header: http.Header{"Sfrelay-Version": {}}},
		"short version":    {header: http.Header{"Sfrelay-Version": {"00ff"}}},
		"version not hex":  {header: http.Header{"Sfrelay-Version": {strings.Repeat("g", 40)}}},
		"no epoch":         {header: http.Header{"Sfrelay-Epoch": {}}},
		"epoch not number": {header: http.Header{"Sfrelay-Epoch": {"ten"}}},
		"negative epoch":   {header: http.Header{"Sfrelay-Epoch": {"-1"}}},
		"no body":          {rawBody: true},
		"cut body":         {body: `{"name":`},
		"a list":           {body: `[]`},
		"wrong type":       {body: `{"name":1}`},
		"unknown field":    {body: `{"nmae":"A"}`},
		"address is text":  {body: `{"billingAddress":"A"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecord()
			q.method, q.version, q.epoch = put, 5, 10
			a := s.do(t, r, q)
			if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
				t.Fatalf("= %d, want 400 or 422", a.status)
			}
			if !a.problem {
				t.Error("the answer is not application/problem+json")
			}
			s.taken(t, r, request{method: put, version: 1, epoch: 1}, "created") // nothing was applied or remembered
		})
	}
	r := newRecord()
	r.kind = "no-such-kind"
	if a := s.do(t, r, request{method: put, version: 5, epoch: 10}); a.status != http.StatusNotFound {
		t.Errorf("an unknown kind = %d, want 404", a.status)
	}
	t.Run("quantities", func(t *testing.T) {
		for _, quantity := range []string{"", "1e3", "1,5", "NaN", "+1", "01"} {
			stock, from := s.newStock()
			a := s.do(t, stock, request{method: put, version: from + 5, epoch: int64(from + 10), body: level(stock.sku, stock.warehouse, quantity)})
			if s.missing(t, stock, a); a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
				t.Errorf("quantity %q = %d, want 400 or 422", quantity, a.status)
			}
		}
	})
}
