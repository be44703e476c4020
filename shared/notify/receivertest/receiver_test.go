package receivertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// reference is a receiver that can be broken, rule by rule.
type reference struct {
	keys   [][]byte
	broken string

	mu     sync.Mutex
	both   chan struct{} // closed when two have looked before they lock; nil: nobody waits
	looked int
	seen   map[string]bool
	acted  map[string]int
}

func (s *reference) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(s.receive(r))
}

func (s *reference) receive(r *http.Request) int {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest
	}
	h := r.Header
	signatures := strings.Split(h.Get("webhook-signature"), " ")
	if s.broken == "reads the first signature only" {
		signatures = signatures[:1]
	}
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	age := time.Since(time.Unix(seconds, 0))
	switch {
	case err != nil && s.broken != "takes any timestamp":
		return http.StatusUnauthorized
	case age > 5*time.Minute && !slices.Contains([]string{"takes old times", "takes any timestamp"}, s.broken):
		return http.StatusUnauthorized
	case age > time.Minute && s.broken == "allows a minute":
		return http.StatusUnauthorized
	case age < -5*time.Minute && s.broken != "takes times of the future":
		return http.StatusUnauthorized
	case h.Get("webhook-id") == "" && s.broken != "needs no id":
		return http.StatusUnauthorized
	}
	if !s.signed(h, string(body), signatures) {
		if s.broken == "acts before it verifies" {
			s.act(r, body)
		}
		if s.broken == "answers 200 to forgeries" {
			return http.StatusOK
		}
		return http.StatusUnauthorized
	}
	if s.broken == "refuses what it does not know" && strings.Contains(string(body), "later") {
		return http.StatusUnprocessableEntity
	}
	if s.broken == "refuses deletes" && strings.Contains(string(body), "contact.deleted") {
		return http.StatusUnprocessableEntity
	}
	return s.act(r, body)
}

func (s *reference) signed(h http.Header, body string, signatures []string) bool {
	keys := s.keys
	switch s.broken {
	case "verifies nothing":
		return true
	case "knows one secret":
		keys = keys[:1]
	case "signs without a secret":
		keys = append([][]byte{nil}, keys...)
	}
	at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return s.broken == "takes any timestamp"
	}
	for _, key := range keys {
		m := message{id: h.Get("webhook-id"), at: time.Unix(at, 0), body: body}
		right := m.sign(key)
		for _, given := range signatures {
			_, text, _ := strings.Cut(given, ",")
			switch {
			case given == right:
				return true
			case s.broken == "takes any version" && "v1,"+text == right:
				return true
			case s.broken == "compares the beginning" && strings.HasPrefix(right, given):
				return true
			}
		}
		if s.broken == "signs the trimmed body" {
			if m.body = strings.TrimSpace(body); slices.Contains(signatures, m.sign(key)) {
				return true
			}
		}
	}
	return false
}

func (s *reference) act(r *http.Request, body []byte) int {
	var n struct{ Data struct{ ID, Version string } }
	if json.Unmarshal(body, &n) != nil {
		return http.StatusBadRequest
	}
	id := r.Header.Get("webhook-id")
	if s.broken == "drops other ids of the record" {
		id = n.Data.ID
	}
	if s.broken == "looks before it locks" {
		s.mu.Lock()
		seen, both := s.seen[id], s.both
		if s.looked++; s.looked == 2 && both != nil {
			close(both)
		}
		s.mu.Unlock()
		if both != nil {
			<-both // two of them have looked when the first one acts
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !seen {
			s.seen[id] = true
			s.acted[n.Data.ID]++
		}
		return http.StatusOK
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.seen[id] && s.broken == "refuses repetitions":
		return http.StatusConflict
	case s.seen[id] && s.broken != "acts on repetitions":
		return http.StatusOK
	case s.broken == "refuses older versions" && n.Data.Version == older && s.acted[n.Data.ID] > 0:
		return http.StatusConflict
	}
	s.seen[id] = true
	s.acted[n.Data.ID]++
	return http.StatusAccepted
}

func (s *reference) count(_ context.Context, record string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acted[record], nil
}

func secret(text string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(text+" of a test, long enough"))
}

// Every rule that a receiver breaks is named by the check that is about it, and a receiver
// that breaks none passes.
func TestTheSuiteNotices(t *testing.T) {
	for broken, want := range map[string][]string{
		"":                               nil,
		"verifies nothing":               {"a wrong signature is refused", "what was signed is what came", "a signature of another form is refused", "a missing header is refused"},
		"answers 200 to forgeries":       {"a wrong signature is refused", "what was signed is what came", "a signature of another form is refused", "a missing header is refused"},
		"acts before it verifies":        {"a wrong signature is refused", "what was signed is what came", "a signature of another form is refused", "a missing header is refused"},
		"knows one secret":               {"each of its secrets is taken"},
		"reads the first signature only": {"one right signature among others is enough"},
		"signs without a secret":         {"a signature of another form is refused"},
		"takes any version":              {"a signature of another form is refused"},
		"compares the beginning":         {"a signature of another form is refused", "a missing header is refused"},
		"signs the trimmed body":         {"what was signed is what came"},
		"takes any timestamp":            {"a missing header is refused", "an old time is refused"},
		"takes old times":                {"an old time is refused"},
		"takes times of the future":      {"a time of the future is refused"},
		"allows a minute":                {"a time within five minutes is taken"},
		"acts on repetitions":            {"the same id twice is acted on once", "the same id many times at once is acted on once"},
		"refuses repetitions":            {"the same id twice is acted on once", "the same id many times at once is acted on once"},
		"looks before it locks":          {"the same id many times at once is acted on once"},
		"drops other ids of the record":  {"another id of the same record is acted on"},
		"refuses older versions":         {"an older version is taken, and may be dropped"},
		"refuses deletes":                {"every kind of change is taken"},
		"refuses what it does not know":  {"members that it does not know are no reason to refuse"},
	} {
		s := &reference{broken: broken, seen: map[string]bool{}, acted: map[string]int{}}
		r := Receiver{Secrets: []string{secret("first"), secret("second")}, Acted: s.count}
		u, err := newUnderTest(r)
		if err != nil {
			t.Fatal(err)
		}
		s.keys = u.keys
		server := httptest.NewServer(s)
		u.URL = server.URL
		var got []string
		for _, c := range checks {
			s.mu.Lock()
			if s.both, s.looked = nil, 0; c.name == "the same id many times at once is acted on once" {
				s.both = make(chan struct{})
			}
			s.mu.Unlock()
			if c.run(t.Context(), u) != nil {
				got = append(got, c.name)
			}
		}
		server.Close()
		if !slices.Equal(got, want) {
			t.Errorf("a receiver that %q fails %q, want %q", broken, got, want)
		}
	}
}

// Of a receiver that says nothing of what it acted on, the answers are checked.
func TestAReceiverThatCannotBeAsked(t *testing.T) {
	s := &reference{seen: map[string]bool{}, acted: map[string]int{}}
	u, err := newUnderTest(Receiver{Secrets: []string{secret("first")}})
	if err != nil {
		t.Fatal(err)
	}
	s.keys = u.keys
	server := httptest.NewServer(s)
	defer server.Close()
	Run(t, Receiver{URL: server.URL, Secrets: []string{secret("first")}})
	s.broken = "verifies nothing"
	u.URL = server.URL
	if wrongSignature(t.Context(), u) == nil {
		t.Error("it need not verify")
	}
}

func TestSecretsOfTheReceiver(t *testing.T) {
	for _, bad := range [][]string{nil, {""}, {"whsec_"}, {"whsec_!"}, {strings.TrimPrefix(secret("x"), "whsec_")}, {secret("first"), "x"}} {
		if _, err := newUnderTest(Receiver{Secrets: bad}); err == nil || len(bad) > 0 && strings.Contains(err.Error(), fmt.Sprint(bad[0], "!")) {
			t.Errorf("%d secrets: %v", len(bad), err)
		}
	}
}
