// Package webhooksandbox is a receiver of notifications in memory, for tests and the local
// stack: it verifies them as Standard Webhooks says, acts once on every id, and of every
// record keeps what the newest version says.
//
// It verifies with code of its own, so that it and the connector cannot share a mistake.
//
// Beside the receiver, which is at every other path, there are /_sandbox/state (GET),
// /_sandbox/faults (GET, POST, DELETE; package faults) and /_sandbox/reset (POST).
package webhooksandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sfrelay/shared/sandbox/faults"
)

// Tolerance is how far the time of an attempt may be from ours.
const Tolerance = 5 * time.Minute

// maxBody is the most that is read of a notification, in bytes.
const maxBody = 4 << 20

// maxRequests is how long the log grows; then it starts again.
const maxRequests = 100_000

// Options of a sandbox.
type Options struct {
	// Secrets are the signing secrets that it knows, each whsec_ and base64. A message that is
	// signed with any of them is let in.
	Secrets []string
	Now     func() time.Time // nil: time.Now
}

// Sandbox is an http.Handler, safe for concurrent use.
type Sandbox struct {
	keys   [][]byte
	now    func() time.Time
	Faults faults.Plan // what shall go wrong

	mu       sync.Mutex
	messages map[string]*Message
	order    []string // ids as they came first
	records  map[string]Record
	requests []Request
}

// Message is one id.
type Message struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Body    json.RawMessage `json:"body"`
	Repeats int             `json:"repeats"` // how often it came again
	Dropped bool            `json:"dropped"` // it was older than what was there
}

// Record is what the newest notification of one record said.
type Record struct {
	Org     string             `json:"org"`
	Object  string             `json:"object"`
	ID      string             `json:"id"`
	Change  string             `json:"change"`
	Version string             `json:"version"`
	Values  map[string]*string `json:"values,omitempty"`
	Acted   int                `json:"acted"` // notifications that were acted on
}

// Request is one line of the sandbox's log.
type Request struct {
	ID         string `json:"id"`
	Timestamp  string `json:"timestamp"`
	Signatures int    `json:"signatures"`
	Status     int    `json:"status"` // 0: the connection was broken
	Said       string `json:"said,omitempty"`
}

// New is an empty sandbox.
func New(o Options) (*Sandbox, error) {
	s := &Sandbox{now: o.Now, Faults: faults.Plan{Also: faults.OfReceivers}}
	if s.now == nil {
		s.now = time.Now
	}
	for _, secret := range o.Secrets {
		text, prefixed := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !prefixed || err != nil || len(key) == 0 {
			return nil, fmt.Errorf("a secret of the receiver must be whsec_ and base64")
		}
		s.keys = append(s.keys, key)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("the receiver needs a secret: it would let nothing in")
	}
	s.Reset()
	return s, nil
}

// Reset empties the sandbox: messages, records, faults, log.
func (s *Sandbox) Reset() {
	s.Faults.Clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.records, s.order, s.requests = map[string]*Message{}, map[string]Record{}, nil, nil
}

// State is all that the sandbox holds: messages as they came first, records by org, object
// and id.
type State struct {
	Messages []Message `json:"messages"`
	Records  []Record  `json:"records"`
	Requests []Request `json:"requests"`
}

// State is a copy of what the sandbox holds.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Messages: []Message{}, Records: []Record{}, Requests: append([]Request{}, s.requests...)}
	for _, id := range s.order {
		st.Messages = append(st.Messages, *s.messages[id])
	}
	for _, name := range slices.Sorted(maps.Keys(s.records)) {
		r := s.records[name]
		r.Values = maps.Clone(r.Values)
		st.Records = append(st.Records, r)
	}
	return st
}

// Record is a copy of one record; ok is false where nothing was ever told of it.
func (s *Sandbox) Record(org, object, id string) (r Record, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok = s.records[org+"/"+object+"/"+id]
	r.Values = maps.Clone(r.Values)
	return r, ok
}

// ServeHTTP serves the receiver and the endpoints of the sandbox itself.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_sandbox/"); ok {
		s.serveSelf(w, r, rest)
		return
	}
	line := Request{ID: r.Header.Get("webhook-id"), Timestamp: r.Header.Get("webhook-timestamp"), Signatures: len(strings.Fields(r.Header.Get("webhook-signature")))}
	fault := s.Faults.Take(r)
	switch fault.Kind {
	case faults.Down:
	case faults.Unavailable:
		line.Status = http.StatusServiceUnavailable
	case faults.Throttled:
		line.Status = http.StatusTooManyRequests
	case faults.ErrorBefore:
		line.Status = http.StatusInternalServerError
	case faults.Unauthorized:
		line.Status = http.StatusUnauthorized
	case faults.Refused:
		line.Status = http.StatusBadRequest
	case faults.Gone:
		line.Status = http.StatusGone
	case faults.Redirect:
		line.Status = http.StatusTemporaryRedirect
		w.Header().Set("Location", "/moved")
	default:
		line.Status, line.Said = s.receive(r, fault)
	}
	switch fault.Kind {
	case faults.ErrorAfter:
		line.Status = http.StatusInternalServerError
	case faults.LostResponse:
		line.Status = 0
	}
	s.log(line)
	if line.Status == 0 {
		broken(w)
	}
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
	// A connection that was kept would be tried once more by net/http when it breaks, and
	// nobody would see the fault that was ordered.
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(line.Status)
	_, _ = io.WriteString(w, line.Said) // the caller may be gone: that is its business
}

// broken ends the connection before an answer: a status alone would be a yes. It does not
// return.
func broken(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}

func (s *Sandbox) log(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= maxRequests {
		s.requests = nil
	}
	s.requests = append(s.requests, r)
}

func (s *Sandbox) serveSelf(w http.ResponseWriter, r *http.Request, what string) {
	switch {
	case what == "faults":
		s.Faults.ServeHTTP(w, r)
	case what == "state" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.State())
	case what == "reset" && r.Method == http.MethodPost:
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "use GET /_sandbox/state, GET|POST|DELETE /_sandbox/faults or POST /_sandbox/reset", http.StatusNotFound)
	}
}

// notification is what the sandbox reads of a body. Members that it does not know are no
// reason to refuse: later versions may have more of them.
type notification struct {
	Type string `json:"type"`
	Data struct {
		Org     string             `json:"org"`
		Object  string             `json:"object"`
		ID      string             `json:"id"`
		Change  string             `json:"change"`
		Version string             `json:"version"`
		Values  map[string]*string `json:"values"`
	} `json:"data"`
}

// receive is the receiver: the status, and what it says to people.
func (s *Sandbox) receive(r *http.Request, fault faults.Fault) (status int, says string) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "use POST"
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return http.StatusRequestEntityTooLarge, "the body is too long"
	}
	if says := s.verify(r.Header, body); says != "" {
		return http.StatusUnauthorized, says
	}
	var n notification
	if err := json.Unmarshal(body, &n); err != nil || n.Type == "" || n.Data.ID == "" || n.Data.Version == "" {
		return http.StatusBadRequest, "the body is not a notification"
	}
	fault.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.Header.Get("webhook-id")
	if m, known := s.messages[id]; known {
		m.Repeats++
		return http.StatusOK, "it is here already"
	}
	d, name := n.Data, n.Data.Org+"/"+n.Data.Object+"/"+n.Data.ID
	was := s.records[name]
	m := &Message{ID: id, Type: n.Type, Body: body, Dropped: d.Version < was.Version}
	s.messages[id], s.order = m, append(s.order, id)
	if m.Dropped {
		return http.StatusOK, "it is older than what is here"
	}
	s.records[name] = Record{d.Org, d.Object, d.ID, d.Change, d.Version, d.Values, was.Acted + 1}
	return http.StatusOK, "taken"
}

// verify says what is wrong with a message, "" where nothing is (the specification,
// "Verifying signatures").
func (s *Sandbox) verify(h http.Header, body []byte) string {
	id, at := h.Get("webhook-id"), h.Get("webhook-timestamp")
	if id == "" || at == "" || h.Get("webhook-signature") == "" {
		return "webhook-id, webhook-timestamp or webhook-signature is missing"
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return "webhook-timestamp is no number of seconds"
	}
	if off := s.now().Sub(time.Unix(seconds, 0)); off > Tolerance || off < -Tolerance {
		return "webhook-timestamp is more than five minutes from now"
	}
	for _, key := range s.keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
		right := mac.Sum(nil)
		for _, signature := range strings.Split(h.Get("webhook-signature"), " ") {
			version, text, _ := strings.Cut(signature, ",")
			given, err := base64.StdEncoding.DecodeString(text)
			if version == "v1" && err == nil && hmac.Equal(given, right) {
				return ""
			}
		}
	}
	return "no signature is that of a secret that is known here"
}
