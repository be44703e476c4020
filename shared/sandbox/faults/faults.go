// Package faults is what can go wrong at a sink, on order: the sandboxes of
// billing and ERP take their faults from a Plan, which tests fill in process and
// people fill over HTTP.
package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"
)

// Kind is one way to fail.
type Kind string

// The kinds. "Remembered" says whether a sink with idempotency keys stores the
// answer under the key and gives it again.
const (
	Down         Kind = "down"          // the connection breaks, nothing was done
	Unavailable  Kind = "unavailable"   // 503, nothing was done, not remembered
	Throttled    Kind = "throttled"     // 429, nothing was done, not remembered
	ErrorBefore  Kind = "error-before"  // 500, nothing was done, remembered
	ErrorAfter   Kind = "error-after"   // 500 although it was done, remembered
	LostResponse Kind = "lost-response" // done and remembered, then the connection breaks
	Latency      Kind = "latency"       // done after a while, whether the caller waits or not
)

// Kinds lists those that every sink has.
var Kinds = []Kind{Down, Unavailable, Throttled, ErrorBefore, ErrorAfter, LostResponse, Latency}

// The kinds that only a receiver of notifications has. Nothing was done.
const (
	Unauthorized Kind = "unauthorized" // 401
	Refused      Kind = "refused"      // 400
	Gone         Kind = "gone"         // 410
	Redirect     Kind = "redirect"     // 307, to another path of the same receiver
)

// OfReceivers lists them.
var OfReceivers = []Kind{Unauthorized, Refused, Gone, Redirect}

// MaxLatency is the longest wait a fault may ask for.
const MaxLatency = time.Minute

// Fault is one order: the next requests that match fail in this way.
type Fault struct {
	Kind   Kind   `json:"kind"`
	Method string `json:"method,omitempty"` // empty: any
	Path   string `json:"path,omitempty"`   // pattern of path.Match, e.g. /v1/invoices/*/finalize; empty: any
	Skip   int    `json:"skip,omitempty"`   // so many matching requests pass first
	Times  int    `json:"times,omitempty"`  // how often; 0: once; negative: until removed

	LatencyMS  int `json:"latencyMs,omitempty"`  // of Latency
	RetryAfter int `json:"retryAfter,omitempty"` // seconds, sent with 429 and 503; 0: no header

	Hold *Hold `json:"-"` // of Latency, instead of a time: for tests that must not depend on one
}

// Hold stops a request within the sink until the test lets it go.
type Hold struct {
	Reached chan struct{} // closed when a request is being held
	Release chan struct{} // to be closed by the test
	once    sync.Once
}

// NewHold is a hold for one fault.
func NewHold() *Hold {
	return &Hold{Reached: make(chan struct{}), Release: make(chan struct{})}
}

// Plan holds orders. The zero value is an empty one; it is safe for concurrent use.
type Plan struct {
	Also []Kind // what may be ordered beside Kinds

	mu     sync.Mutex
	faults []*Fault
}

// Add puts orders at the end of the plan.
func (p *Plan) Add(faults ...Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range faults {
		if known := slices.Concat(Kinds, p.Also); !slices.Contains(known, f.Kind) {
			return fmt.Errorf("unknown kind of fault %q: use one of %q", f.Kind, known)
		}
		if _, err := path.Match(f.Path, "/"); err != nil {
			return fmt.Errorf("path %q of the fault: %w", f.Path, err)
		}
		if f.Skip < 0 || f.LatencyMS < 0 || f.RetryAfter < 0 || time.Duration(f.LatencyMS)*time.Millisecond > MaxLatency {
			return fmt.Errorf("numbers of the fault %q: skip, retryAfter and latencyMs are not negative, latencyMs is at most %d", f.Kind, MaxLatency.Milliseconds())
		}
		if f.Times == 0 {
			f.Times = 1
		}
		p.faults = append(p.faults, &f)
	}
	return nil
}

// Clear removes all orders.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// List is what is still ordered.
func (p *Plan) List() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Fault, len(p.faults))
	for i, f := range p.faults {
		list[i] = *f
	}
	return list
}

// Take is the first order that the request meets; the zero Fault is none.
func (p *Plan) Take(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.faults {
		if f.Method != "" && f.Method != r.Method {
			continue
		}
		if ok, _ := path.Match(f.Path, r.URL.Path); !ok && f.Path != "" {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		taken := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				p.faults = slices.Delete(p.faults, i, i+1)
			}
		}
		return taken
	}
	return Fault{}
}

// Wait waits for as long as the fault asks for.
func (f Fault) Wait() {
	switch {
	case f.Kind != Latency:
	case f.Hold != nil:
		f.Hold.once.Do(func() { close(f.Hold.Reached) })
		select {
		case <-f.Hold.Release:
		case <-time.After(MaxLatency):
		}
	default:
		time.Sleep(time.Duration(f.LatencyMS) * time.Millisecond)
	}
}

// Break ends the connection within the answer, of which nothing can be read. It
// does not return. (Ending it before the answer would be hidden by net/http, which
// by itself repeats a request with an idempotency key on a kept connection.)
func Break(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(http.StatusOK)
	fmt.Fprint(w, "{")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// ServeHTTP lets people order: POST one fault or a list of them, GET what is
// still ordered, DELETE to clear.
func (p *Plan) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		faults, err := decode(r)
		if err == nil {
			err = p.Add(faults...)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.List()) // the caller may be gone: that is its business
	case http.MethodDelete:
		p.Clear()
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "use GET, POST or DELETE", http.StatusMethodNotAllowed)
	}
}

func decode(r *http.Request) ([]Fault, error) {
	var raw json.RawMessage
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(&raw); err != nil {
		return nil, fmt.Errorf("the body must be a fault or a list of faults: %w", err)
	}
	if len(raw) > 0 && raw[0] == '[' {
		var many []Fault
		err := json.Unmarshal(raw, &many)
		return many, err
	}
	var one Fault
	err := json.Unmarshal(raw, &one)
	return []Fault{one}, err
}
