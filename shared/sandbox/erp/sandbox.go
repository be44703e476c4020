// Package erpsandbox is the reference sink of the HTTP contract
// (docs/reference/http-sink.openapi.yaml): an ERP in memory, for tests and the local stack.
// It keeps customers and stock levels, and refuses whatever the contract does not
// allow.
//
// Beside the contract there are /_sandbox/state (GET), /_sandbox/faults (GET,
// POST, DELETE; package faults) and /_sandbox/reset (POST).
package erpsandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sfrelay/shared/sandbox/faults"
)

// Options of a sandbox; the zero value works.
type Options struct {
	// Key is the only bearer key that is let in; empty lets any in.
	Key string
}

// Sandbox is an http.Handler, safe for concurrent use.
type Sandbox struct {
	options Options
	Faults  faults.Plan // what shall go wrong

	mu       sync.Mutex
	sequence int
	records  map[string]*Record
	requests []Request
}

// Record is one (kind, org, key) with what the contract makes a sink remember.
type Record struct {
	Kind    string         `json:"kind"`
	Org     string         `json:"org"`
	Key     string         `json:"key"`
	ID      string         `json:"id,omitempty"` // empty: only deleted, never there
	Epoch   int64          `json:"epoch"`
	Version string         `json:"version,omitempty"` // of the last PUT or DELETE
	LastKey string         `json:"lastIdempotencyKey"`
	Retired bool           `json:"retired,omitempty"`
	Fields  map[string]any `json:"fields"`  // objects, texts; cleared fields are not there
	Applied int            `json:"applied"` // requests that were applied
}

// Request is one line of the sandbox's log.
type Request struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Key     string `json:"idempotencyKey,omitempty"`
	Version string `json:"version,omitempty"`
	Epoch   string `json:"epoch,omitempty"`
	Status  int    `json:"status"` // 0: the connection was broken
}

// maxRequests is how long the log grows; then it starts again.
const maxRequests = 100_000

// New is an empty sandbox.
func New(o Options) *Sandbox {
	s := &Sandbox{options: o}
	s.Reset()
	return s
}

// Reset empties the sandbox: records, faults, log.
func (s *Sandbox) Reset() {
	s.Faults.Clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.requests = make(map[string]*Record), nil
}

// State is all that the sandbox holds; records by kind, org and key.
type State struct {
	Records  []Record  `json:"records"`
	Requests []Request `json:"requests"`
}

// State is a copy of what the sandbox holds.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Records: []Record{}, Requests: append([]Request{}, s.requests...)}
	for _, name := range slices.Sorted(maps.Keys(s.records)) {
		r := *s.records[name]
		r.Fields = cloneFields(r.Fields)
		st.Records = append(st.Records, r)
	}
	return st
}

// Record is a copy of one record; ok is false where no request was ever taken.
func (s *Sandbox) Record(kind, org, key string) (r Record, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.records[kind+"/"+org+"/"+key]
	if !ok {
		return Record{}, false
	}
	r = *p
	r.Fields = cloneFields(r.Fields)
	return r, true
}

func cloneFields(m map[string]any) map[string]any {
	c := make(map[string]any, len(m))
	for k, v := range m {
		if sub, ok := v.(map[string]any); ok {
			v = cloneFields(sub)
		}
		c[k] = v
	}
	return c
}

// answer is what the sink would send.
type answer struct {
	status int
	body   any
}

type receipt struct {
	Outcome string `json:"outcome"`
	ID      string `json:"id"`
}

type superseded struct {
	Reason  string `json:"reason"`
	Epoch   int64  `json:"epoch,omitempty"`
	Version string `json:"version,omitempty"`
}

type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func refuse(status int, kind, detail string) answer {
	return answer{status, problem{"urn:sfrelay:sandbox:" + kind, http.StatusText(status), status, detail}}
}

// ServeHTTP serves the contract and the endpoints of the sandbox itself.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_sandbox/"); ok {
		s.serveSelf(w, r, rest)
		return
	}
	line := Request{Method: r.Method, Path: r.URL.EscapedPath(), Key: r.Header.Get("Idempotency-Key"),
		Version: r.Header.Get("Sfrelay-Version"), Epoch: r.Header.Get("Sfrelay-Epoch")}
	fault := s.Faults.Take(r)
	var a answer
	switch fault.Kind {
	case faults.Down:
	case faults.Unavailable:
		a = refuse(http.StatusServiceUnavailable, "unavailable", "")
	case faults.Throttled:
		a = refuse(http.StatusTooManyRequests, "throttled", "")
	case faults.ErrorBefore:
		a = refuse(http.StatusInternalServerError, "error", "")
	default:
		a = s.serve(r, fault)
	}
	if fault.Kind == faults.ErrorAfter {
		a = refuse(http.StatusInternalServerError, "error", "")
	}
	lost := fault.Kind == faults.Down || fault.Kind == faults.LostResponse
	if !lost {
		line.Status = a.status
	}
	s.log(line)
	if lost {
		faults.Break(w)
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

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	if a.status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the caller may be gone: that is its business
}

func (s *Sandbox) serveSelf(w http.ResponseWriter, r *http.Request, what string) {
	switch {
	case what == "faults":
		s.Faults.ServeHTTP(w, r)
	case what == "state" && r.Method == http.MethodGet:
		write(w, answer{http.StatusOK, s.State()})
	case what == "reset" && r.Method == http.MethodPost:
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "use GET /_sandbox/state, GET|POST|DELETE /_sandbox/faults or POST /_sandbox/reset", http.StatusNotFound)
	}
}

// change is a request that is well formed.
type change struct {
	method, kind, org, key string
	idempotencyKey         string
	version                string
	epoch                  int64
	fields                 map[string]any
}

func (s *Sandbox) serve(r *http.Request, fault faults.Fault) answer {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || key == "" || (s.options.Key != "" && key != s.options.Key) {
		return refuse(http.StatusUnauthorized, "unauthorized", "send Authorization: Bearer with the right key")
	}
	c, a, ok := read(r)
	if !ok {
		return a
	}
	fault.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(c)
}

var (
	recordID    = regexp.MustCompile(`^[0-9A-Za-z]{18}$`)
	versionText = regexp.MustCompile(`^[0-9a-f]{40}$`)
	number      = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
)

// read checks everything that does not depend on what the sink holds.
func read(r *http.Request) (c change, a answer, ok bool) {
	bad := func(detail string, args ...any) (change, answer, bool) {
		return change{}, refuse(http.StatusBadRequest, "bad-request", fmt.Sprintf(detail, args...)), false
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	// A key may hold slashes, percent-encoded: only the first two parts are cut off.
	if len(parts) < 3 || r.URL.RawQuery != "" {
		return c, refuse(http.StatusNotFound, "not-found", "use /{kind}/{org}/{key}"), false
	}
	c = change{method: r.Method, kind: parts[0], org: parts[1], key: strings.Join(parts[2:], "/"), idempotencyKey: r.Header.Get("Idempotency-Key")}
	if escaped := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/"); len(escaped) != 3 {
		return c, refuse(http.StatusNotFound, "not-found", "a slash in a key must be percent-encoded"), false
	}
	switch {
	case c.kind != "customer" && c.kind != "stock":
		return c, refuse(http.StatusNotFound, "unknown-kind", "this sink keeps customer and stock"), false
	case !recordID.MatchString(c.org):
		return bad("the org is not an 18-character id")
	case c.kind == "customer" && !recordID.MatchString(c.key):
		return bad("the key of a customer is an 18-character id")
	case c.kind == "stock" && (strings.Count(c.key, "@") != 1 || strings.HasPrefix(c.key, "@") || strings.HasSuffix(c.key, "@")):
		return bad("the key of stock is <sku>@<warehouse>")
	case c.idempotencyKey == "" || len(c.idempotencyKey) > 255:
		return bad("Idempotency-Key is missing or longer than 255 bytes")
	}
	for _, name := range []string{"Idempotency-Key", "Sfrelay-Version", "Sfrelay-Epoch"} {
		if len(r.Header.Values(name)) != 1 {
			return bad("%s must be there once", name)
		}
	}
	if c.version = r.Header.Get("Sfrelay-Version"); !versionText.MatchString(c.version) {
		return bad("Sfrelay-Version is not 40 hex digits in small letters")
	}
	var err error
	if c.epoch, err = strconv.ParseInt(r.Header.Get("Sfrelay-Epoch"), 10, 64); err != nil || c.epoch < 1 {
		return bad("Sfrelay-Epoch is not a number above zero")
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
	if err != nil {
		return c, refuse(http.StatusRequestEntityTooLarge, "too-large", "a body has at most 1 MiB"), false
	}
	want := map[string]string{http.MethodPut: "application/json", http.MethodPatch: "application/merge-patch+json", http.MethodDelete: ""}
	contentType, known := want[c.method]
	switch {
	case !known || (c.kind == "stock" && c.method != http.MethodPut):
		return c, refuse(http.StatusMethodNotAllowed, "method", "customer takes PUT, PATCH and DELETE, stock takes PUT"), false
	case r.Header.Get("Content-Type") != contentType:
		return bad("the content type of a %s must be %q", c.method, contentType)
	case contentType == "":
		if len(body) > 0 {
			return bad("a DELETE has no body")
		}
		return c, answer{}, true
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&c.fields); err != nil || c.fields == nil || decoder.More() {
		return bad("the body is not one JSON object")
	}
	if err := check(c); err != nil {
		return c, refuse(http.StatusUnprocessableEntity, "unprocessable", err.Error()), false
	}
	return c, answer{}, true
}

var (
	customerFields = []string{"name", "number", "status", "phone", "website", "email", "taxNumber", "currency"}
	addressFields  = []string{"street", "city", "state", "postalCode", "country"}
)

// check checks the content, naming fields, never values.
func check(c change) error {
	if c.kind == "stock" {
		for _, name := range []string{"sku", "warehouse", "quantity"} {
			if v, _ := c.fields[name].(string); v == "" {
				return fmt.Errorf("%s must be a text that is not empty", name)
			}
		}
		for name, v := range c.fields {
			if _, text := v.(string); !text || (name != "unit" && name != "sku" && name != "warehouse" && name != "quantity") {
				return fmt.Errorf("unknown field %s, or not a text", name)
			}
		}
		if c.fields["sku"].(string)+"@"+c.fields["warehouse"].(string) != c.key {
			return fmt.Errorf("sku and warehouse are not those of the key")
		}
		if !number.MatchString(c.fields["quantity"].(string)) {
			return fmt.Errorf("quantity is not a decimal number")
		}
		return nil
	}
	for name, v := range c.fields {
		switch {
		case slices.Contains(customerFields, name):
			if !textOrNull(v) {
				return fmt.Errorf("%s is neither text nor null", name)
			}
		case name == "billingAddress" || name == "shippingAddress":
			address, object := v.(map[string]any)
			if !object && v != nil {
				return fmt.Errorf("%s is neither object nor null", name)
			}
			for part, v := range address {
				if !slices.Contains(addressFields, part) || !textOrNull(v) {
					return fmt.Errorf("%s.%s is unknown, or neither text nor null", name, part)
				}
			}
		case name == "extra":
			extra, object := v.(map[string]any)
			if !object && v != nil {
				return errors.New("extra is neither object nor null")
			}
			for field, v := range extra {
				if !strings.HasSuffix(field, "__c") || !textOrNull(v) {
					return errors.New("a member of extra is no custom field, or neither text nor null")
				}
			}
		default:
			return fmt.Errorf("unknown field %s", name)
		}
	}
	return nil
}

func textOrNull(v any) bool {
	_, text := v.(string)
	return text || v == nil
}

// apply is the heart of the contract, its four rules in order.
func (s *Sandbox) apply(c change) answer {
	name := c.kind + "/" + c.org + "/" + c.key
	r, known := s.records[name]
	if !known {
		r = &Record{Kind: c.kind, Org: c.org, Key: c.key, Fields: map[string]any{}}
	}
	full := c.method != http.MethodPatch
	switch {
	case c.epoch < r.Epoch:
		return answer{http.StatusPreconditionFailed, superseded{Reason: "epoch", Epoch: r.Epoch}}
	case full && c.version < r.Version:
		r.Epoch = c.epoch
		return answer{http.StatusPreconditionFailed, superseded{Reason: "version", Version: r.Version}}
	case c.idempotencyKey == r.LastKey:
		r.Epoch = c.epoch
		return answer{http.StatusOK, receipt{"unchanged", r.ID}}
	}
	s.records[name] = r
	r.Epoch, r.LastKey = c.epoch, c.idempotencyKey
	r.Applied++
	if full {
		r.Version = c.version
	}
	if c.method == http.MethodDelete {
		if r.ID == "" {
			return answer{http.StatusOK, receipt{"unchanged", ""}}
		}
		r.Retired = true
		return answer{http.StatusOK, receipt{"updated", r.ID}}
	}
	before, wasRetired := r.Fields, r.Retired
	if full {
		r.Fields = merge(map[string]any{}, c.fields)
	} else {
		r.Fields = merge(cloneFields(before), c.fields)
	}
	r.Retired = false
	switch {
	case r.ID == "":
		s.sequence++
		r.ID = fmt.Sprintf("%s-%d", c.kind, s.sequence)
		return answer{http.StatusCreated, receipt{"created", r.ID}}
	case !wasRetired && reflect.DeepEqual(before, r.Fields):
		return answer{http.StatusOK, receipt{"unchanged", r.ID}}
	default:
		return answer{http.StatusOK, receipt{"updated", r.ID}}
	}
}

// merge is RFC 7396, section 2.
func merge(target, patch map[string]any) map[string]any {
	for k, v := range patch {
		sub, object := v.(map[string]any)
		switch {
		case v == nil:
			delete(target, k)
		case object:
			old, _ := target[k].(map[string]any)
			if old == nil {
				old = map[string]any{}
			}
			target[k] = merge(old, sub)
		default:
			target[k] = v
		}
	}
	return target
}
