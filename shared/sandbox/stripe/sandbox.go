// Package stripesandbox is a Stripe with a memory, for tests and the local stack: what
// a billing consumer does to customers and invoices, and all that can go wrong on
// the way.
//
// Every request is checked against Stripe's own OpenAPI description (that inside
// stripe-mock), then carried out: idempotency keys with their 24 hours and their
// comparison of parameters, remembered errors, immediately consistent lists, the
// life of an invoice. Where Stripe's documents leave room the sandbox is the
// stricter of the two; what it does not know it refuses. Search is refused
// outright: at Stripe it lags behind, so nothing may rely on it.
//
// Beside Stripe's API there are /_sandbox/state (GET), /_sandbox/faults (GET,
// POST, DELETE; package faults) and /_sandbox/reset (POST).
package stripesandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sfrelay/shared/sandbox/faults"
)

// Options of a sandbox; the zero value works.
type Options struct {
	// Now is the clock of keys and of created; nil is time.Now.
	Now func() time.Time
	// Key is the only API key that is let in; empty lets any in.
	Key string
	// MergeAddresses makes an update of part of an address keep the other parts.
	// Stripe's documents do not say which it is; without it they are cleared.
	MergeAddresses bool
	// TaxInclusive makes amounts include their tax, where an invoice has automatic tax: the
	// account's default tax behavior, which no line of ours overrides.
	TaxInclusive bool
}

// KeyLife is how long an idempotency key is remembered. Stripe may forget it
// "once it is at least 24 hours old"; the sandbox does so at once.
const KeyLife = 24 * time.Hour

// Sandbox is an http.Handler, safe for concurrent use.
type Sandbox struct {
	options Options
	Faults  faults.Plan // what shall go wrong

	mu        sync.Mutex
	sequence  int
	requests  []Request
	customers []*Customer // oldest first, deleted ones included
	invoices  []*Invoice  // oldest first, deleted ones excluded
	keys      map[string]*remembered
}

// Request is one line of the sandbox's log.
type Request struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Key      string `json:"idempotencyKey,omitempty"`
	Status   int    `json:"status"` // 0: the connection was broken
	Replayed bool   `json:"replayed,omitempty"`
}

// maxRequests is how long the log grows; then it starts again.
const maxRequests = 100_000

// New is an empty sandbox. It panics where the description inside stripe-mock
// cannot be read, which a test of this package rules out.
func New(o Options) *Sandbox {
	if o.Now == nil {
		o.Now = time.Now
	}
	if _, err := validators(); err != nil {
		panic(err)
	}
	s := &Sandbox{options: o}
	s.Reset()
	return s
}

// Reset empties the sandbox: objects, keys, faults, log.
func (s *Sandbox) Reset() {
	s.Faults.Clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.customers, s.invoices = nil, nil, nil
	s.keys = make(map[string]*remembered)
}

// State is all that the sandbox holds. Creation order; deleted customers are
// there, deleted invoices are not.
type State struct {
	Customers []Customer `json:"customers"`
	Invoices  []Invoice  `json:"invoices"`
	Requests  []Request  `json:"requests"`
}

// State is a copy of what the sandbox holds.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{
		Customers: make([]Customer, 0, len(s.customers)),
		Invoices:  make([]Invoice, 0, len(s.invoices)),
		Requests:  append([]Request{}, s.requests...),
	}
	for _, c := range s.customers {
		st.Customers = append(st.Customers, c.clone())
	}
	for _, i := range s.invoices {
		st.Invoices = append(st.Invoices, i.clone())
	}
	return st
}

// answer is what Stripe would send.
type answer struct {
	status int
	body   []byte
}

// remembered is what is stored under an idempotency key.
type remembered struct {
	since   time.Time
	request string // method, path and parameters
	answer  answer
	running bool
}

// ServeHTTP serves Stripe's API and the endpoints of the sandbox itself.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_sandbox/"); ok {
		s.serveSelf(w, r, rest)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		write(w, refuse(http.StatusRequestEntityTooLarge, "invalid_request_error", "", "The request is too large.", ""))
		return
	}
	log := Request{Method: r.Method, Path: r.URL.Path, Key: r.Header.Get("Idempotency-Key")}
	fault := s.Faults.Take(r)
	a := s.serve(r, body, fault, &log)
	lost := fault.Kind == faults.Down || fault.Kind == faults.LostResponse
	if !lost {
		log.Status = a.status
	}
	s.log(log)
	if lost {
		faults.Break(w)
	}
	if log.Replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	if log.Key != "" {
		w.Header().Set("Idempotency-Key", log.Key)
	}
	if fault.Kind == faults.Throttled {
		w.Header().Set("Stripe-Rate-Limited-Reason", "endpoint-rate")
	}
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
	write(w, a)
}

func (s *Sandbox) log(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= maxRequests {
		s.requests = nil
	}
	s.requests = append(s.requests, r)
}

// serve is one request, in the order Stripe works it off: limiters, credentials,
// idempotency, parameters, execution.
func (s *Sandbox) serve(r *http.Request, body []byte, fault faults.Fault, log *Request) answer {
	switch fault.Kind {
	case faults.Down:
		return answer{}
	case faults.Unavailable:
		return refuse(http.StatusServiceUnavailable, "api_error", "", "The service is unavailable.", "")
	case faults.Throttled:
		return refuse(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "Too many requests hit the API too quickly.", "")
	}
	if a, ok := s.authenticate(r); !ok {
		return a
	}
	operation, id, ok := route(r.Method, r.URL.Path)
	if !ok {
		return refuse(http.StatusNotFound, "invalid_request_error", "", "The sandbox does not serve this URL and method.", "")
	}
	all, err := validators()
	if err != nil {
		return refuse(http.StatusInternalServerError, "api_error", "", err.Error(), "")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	params, invalid := all[operation].params(r)

	if log.Key != "" && len(log.Key) > 255 {
		return refuse(http.StatusBadRequest, "idempotency_error", "", "Idempotency keys are at most 255 characters long.", "")
	}
	if r.Method != http.MethodPost || log.Key == "" {
		if invalid != nil {
			return invalidParams(invalid)
		}
		fault.Wait()
		return s.execute(operation, id, params, fault)
	}

	m, a, fresh := s.claim(log.Key, r, body)
	if !fresh {
		log.Replayed = m != nil
		return a
	}
	if invalid != nil {
		s.forget(log.Key)
		return invalidParams(invalid)
	}
	fault.Wait()
	a = s.execute(operation, id, params, fault)
	s.remember(m, a)
	return a
}

func invalidParams(err error) answer {
	return refuse(http.StatusBadRequest, "invalid_request_error", "parameter_unknown", "Request validation error: "+err.Error(), "")
}

func (s *Sandbox) authenticate(r *http.Request) (answer, bool) {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		key, _, _ = r.BasicAuth()
	}
	if key == "" || (s.options.Key != "" && key != s.options.Key) {
		return refuse(http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided.", ""), false
	}
	if v := r.Header.Get("Stripe-Version"); v != "" && !strings.HasSuffix(v, ".dahlia") {
		return refuse(http.StatusBadRequest, "invalid_request_error", "", "The sandbox speaks only the dahlia versions of the API.", ""), false
	}
	return answer{}, true
}

// claim takes the key for this request. When the key is known it returns the
// answer to give instead; m is set only when that is a replay.
func (s *Sandbox) claim(key string, r *http.Request, body []byte) (m *remembered, a answer, fresh bool) {
	request := r.Method + " " + r.URL.Path + "?" + r.URL.RawQuery + "\n" + string(body)
	now := s.options.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.keys[key]
	switch {
	case !known || (!m.running && now.Sub(m.since) >= KeyLife):
		m = &remembered{since: now, request: request, running: true}
		s.keys[key] = m
		return m, answer{}, true
	case m.request != request:
		return nil, refuse(http.StatusBadRequest, "idempotency_error", "",
			"Keys for idempotent requests can only be used with the same parameters they were first used with.", ""), false
	case m.running:
		return nil, refuse(http.StatusConflict, "idempotency_error", "idempotency_key_in_use",
			"There is currently another in-progress request using this idempotency key.", ""), false
	default:
		return m, m.answer, false
	}
}

func (s *Sandbox) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
}

func (s *Sandbox) remember(m *remembered, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.answer, m.running = a, false
}

// execute carries an operation out, or fails as ordered before or after it.
func (s *Sandbox) execute(operation, id string, params map[string]any, fault faults.Fault) answer {
	failed := refuse(http.StatusInternalServerError, "api_error", "", "An error happened on our side.", "")
	if fault.Kind == faults.ErrorBefore {
		return failed
	}
	s.mu.Lock()
	a := s.operate(operation, id, params)
	s.mu.Unlock()
	if fault.Kind == faults.ErrorAfter {
		return failed
	}
	return a
}

// operate is one operation under the lock.
func (s *Sandbox) operate(operation, id string, p map[string]any) answer {
	switch operation {
	case "POST /v1/customers":
		return s.createCustomer(p)
	case "GET /v1/customers":
		return s.listCustomers(p)
	case "GET /v1/customers/{customer}":
		return s.getCustomer(id, p)
	case "POST /v1/customers/{customer}/tax_ids":
		return s.createTaxID(id, p)
	case "DELETE /v1/customers/{customer}/tax_ids/{id}":
		customer, taxID, _ := strings.Cut(id, "/")
		return s.deleteTaxID(customer, taxID)
	case "POST /v1/customers/{customer}":
		return s.updateCustomer(id, p)
	case "DELETE /v1/customers/{customer}":
		return s.deleteCustomer(id)
	case "POST /v1/invoices":
		return s.createInvoice(p)
	case "GET /v1/invoices":
		return s.listInvoices(p)
	case "GET /v1/invoices/{invoice}":
		return s.getInvoice(id)
	case "DELETE /v1/invoices/{invoice}":
		return s.deleteInvoice(id)
	case "POST /v1/invoices/{invoice}/add_lines":
		return s.addLines(id, p)
	case "GET /v1/invoices/{invoice}/lines":
		return s.listLines(id, p)
	case "POST /v1/invoices/{invoice}/finalize":
		return s.finalize(id, p)
	case "POST /v1/invoices/{invoice}/send":
		return s.send(id)
	case "POST /v1/invoices/{invoice}":
		return s.updateInvoice(id, p)
	case "POST /v1/invoices/{invoice}/void":
		return s.settle(id, "void")
	case "POST /v1/invoices/{invoice}/pay":
		return s.settle(id, "paid")
	default:
		return refuse(http.StatusBadRequest, "invalid_request_error", "",
			"The sandbox refuses search: at Stripe it lags behind writes. List with a created window and compare metadata.", "")
	}
}

// route finds the operation of a URL. "search" is no id.
func route(method, path string) (operation, id string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	if !strings.HasPrefix(path, "/v1/") || len(parts) > 4 {
		return "", "", false
	}
	operation = method + " /v1/" + parts[0]
	if len(parts) > 1 {
		if parts[1] == "search" {
			operation += "/search"
		} else {
			operation += "/{" + strings.TrimSuffix(parts[0], "s") + "}"
			id = parts[1]
		}
	}
	if len(parts) > 2 {
		operation += "/" + parts[2]
	}
	if len(parts) > 3 { // id is both
		operation, id = operation+"/{id}", id+"/"+parts[3]
	}
	all, err := validators()
	if err != nil {
		return "", "", false
	}
	_, ok = all[operation]
	return operation, id, ok
}

func (s *Sandbox) serveSelf(w http.ResponseWriter, r *http.Request, what string) {
	switch {
	case what == "faults":
		s.Faults.ServeHTTP(w, r)
	case what == "state" && r.Method == http.MethodGet:
		b, err := json.MarshalIndent(s.State(), "", "  ")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		write(w, answer{http.StatusOK, b})
	case what == "reset" && r.Method == http.MethodPost:
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "use GET /_sandbox/state, GET|POST|DELETE /_sandbox/faults or POST /_sandbox/reset", http.StatusNotFound)
	}
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_sandbox")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the caller may be gone: that is its business
}

func reply(v any) answer {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sandbox: %T does not marshal: %v", v, err))
	}
	return answer{http.StatusOK, b}
}

func refuse(status int, kind, code, message, param string) answer {
	var e struct {
		Error struct {
			Type    string `json:"type"`
			Code    string `json:"code,omitempty"`
			Message string `json:"message"`
			Param   string `json:"param,omitempty"`
		} `json:"error"`
	}
	e.Error.Type, e.Error.Code, e.Error.Message, e.Error.Param = kind, code, message, param
	a := reply(e)
	a.status = status
	return a
}

// missing is 404 for an object that the URL names and 400 for one that a parameter
// names.
func missing(what, id, param string) answer {
	status := http.StatusNotFound
	if param != "id" {
		status = http.StatusBadRequest
	}
	return refuse(status, "invalid_request_error", "resource_missing", "No such "+what+": '"+id+"'", param)
}

func badParam(code, param, message string) answer {
	return refuse(http.StatusBadRequest, "invalid_request_error", code, message, param)
}

// newID is unique within the sandbox.
func (s *Sandbox) newID(prefix string) string {
	s.sequence++
	return fmt.Sprintf("%s_sandbox%08d", prefix, s.sequence)
}

func text(p map[string]any, name string) string {
	v, _ := p[name].(string)
	return v
}

func integer(p map[string]any, name string) (int64, bool) {
	v, ok := p[name].(int)
	return int64(v), ok
}

// window is a filter on created: a moment or a range.
func window(p map[string]any) func(int64) bool {
	if exact, ok := integer(p, "created"); ok {
		return func(t int64) bool { return t == exact }
	}
	limits, _ := p["created"].(map[string]any)
	return func(t int64) bool {
		for name, limit := range map[string]func(int64) bool{
			"gt": func(l int64) bool { return t > l }, "gte": func(l int64) bool { return t >= l },
			"lt": func(l int64) bool { return t < l }, "lte": func(l int64) bool { return t <= l },
		} {
			if l, ok := integer(limits, name); ok && !limit(l) {
				return false
			}
		}
		return true
	}
}

// page cuts a list, newest first, as limit and starting_after ask.
func page[T any](all []T, id func(T) string, p map[string]any, url string) answer {
	limit, given := integer(p, "limit")
	if !given {
		limit = 10
	}
	if limit < 1 || limit > 100 {
		return badParam("parameter_invalid_integer", "limit", "limit is between 1 and 100.")
	}
	if text(p, "ending_before") != "" {
		return badParam("parameter_unknown", "ending_before", "The sandbox pages forward only.")
	}
	if after := text(p, "starting_after"); after != "" {
		found := false
		for i, v := range all {
			if id(v) == after {
				all, found = all[i+1:], true
				break
			}
		}
		if !found {
			return badParam("resource_missing", "starting_after", "No such object: '"+after+"'")
		}
	}
	more := int64(len(all)) > limit
	if more {
		all = all[:limit]
	}
	if all == nil {
		all = []T{}
	}
	return reply(map[string]any{"object": "list", "url": url, "has_more": more, "data": all})
}

// mergeMetadata merges as Stripe does: an empty value removes a key, an empty
// hash removes all.
func mergeMetadata(old map[string]string, p map[string]any) (map[string]string, answer, bool) {
	given, ok := p["metadata"]
	if !ok {
		return old, answer{}, true
	}
	merged := map[string]string{}
	changes, isMap := given.(map[string]any)
	if isMap {
		for k, v := range old {
			merged[k] = v
		}
	}
	for k, v := range changes {
		value, _ := v.(string)
		switch {
		case k == "" || len(k) > 40:
			return nil, badParam("parameter_invalid_string_blank", "metadata", "Metadata keys have 1 to 40 characters."), false
		case len([]rune(value)) > 500:
			return nil, badParam("", "metadata["+k+"]", "Metadata values have at most 500 characters."), false
		case value == "":
			delete(merged, k)
		default:
			merged[k] = value
		}
	}
	if len(merged) > 50 {
		return nil, badParam("", "metadata", "An object has at most 50 metadata keys."), false
	}
	return merged, answer{}, true
}
