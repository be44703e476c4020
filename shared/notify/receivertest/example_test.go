package receivertest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sfrelay/shared/notify/receivertest"
)

// TestYourReceiver checks the receiver at RECEIVER_URL.
func TestYourReceiver(t *testing.T) {
	url, secrets, acted := os.Getenv("RECEIVER_URL"), os.Getenv("RECEIVER_SECRETS"), os.Getenv("RECEIVER_ACTED_URL")
	if url == "" || secrets == "" {
		t.Skip("set RECEIVER_URL and RECEIVER_SECRETS to the address and the signing secrets of a receiver for tests")
	}
	r := receivertest.Receiver{URL: url, Secrets: strings.Fields(secrets)}
	if acted != "" {
		r.Acted = func(ctx context.Context, recordID string) (int, error) {
			return number(ctx, strings.ReplaceAll(acted, "{id}", recordID))
		}
	}
	receivertest.Run(t, r)
}

// number is what an address answers, as text.
func number(ctx context.Context, url string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 100))
	if err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("RECEIVER_ACTED_URL answered %d: %w", res.StatusCode, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// receiver is what the documents show. Yours keeps seen and newest in a database, and
// writes both in the transaction that acts.
type receiver struct {
	secrets []*standardwebhooks.Webhook
	act     func(notification)

	mu     sync.Mutex
	seen   map[string]bool   // by webhook-id
	newest map[string]string // version by org and record
}

type notification struct {
	Type string
	Data struct{ Org, Object, ID, Change, Version string }
}

func (s *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil || !s.signed(body, r.Header) {
		http.Error(w, "not signed with a secret that is known here, or not now", http.StatusUnauthorized)
		return
	}
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		http.Error(w, "not a notification", http.StatusBadRequest)
		return
	}
	s.keep(r.Header.Get("webhook-id"), n)
	w.WriteHeader(http.StatusNoContent)
}

// signed tries every secret that is valid: two of them while one is rotated.
func (s *receiver) signed(body []byte, h http.Header) bool {
	for _, secret := range s.secrets {
		if secret.Verify(body, h) == nil {
			return true
		}
	}
	return false
}

// keep acts once on an id, and never on what is older than what it has.
func (s *receiver) keep(id string, n notification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record := n.Data.Org + "/" + n.Data.ID
	if s.seen[id] || n.Data.Version < s.newest[record] {
		return
	}
	s.act(n)
	s.seen[id], s.newest[record] = true, n.Data.Version
}

func TestTheReceiverOfTheDocuments(t *testing.T) {
	old, next := secret("the old secret"), secret("the next secret")
	var acted sync.Map // by record
	s := &receiver{seen: map[string]bool{}, newest: map[string]string{}}
	s.act = func(n notification) {
		was, _ := acted.LoadOrStore(n.Data.ID, 0)
		acted.Store(n.Data.ID, was.(int)+1)
	}
	for _, text := range []string{old, next} {
		key, err := standardwebhooks.NewWebhook(text)
		if err != nil {
			t.Fatal(err)
		}
		s.secrets = append(s.secrets, key)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	count := func(_ context.Context, record string) (int, error) {
		n, _ := acted.LoadOrStore(record, 0)
		return n.(int), nil
	}
	receivertest.Run(t, receivertest.Receiver{URL: server.URL, Secrets: []string{old, next}, Acted: count})

	// What is older than what is here is not acted on.
	n := notification{}
	n.Data.ID, n.Data.Version = "003000000000001AAA", "02"
	s.keep("msg_1", n)
	n.Data.Version = "01"
	s.keep("msg_2", n)
	if got, _ := count(t.Context(), "003000000000001AAA"); got != 1 {
		t.Errorf("acted %d times", got)
	}
}

// secret is a signing secret, made of a readable text.
func secret(text string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(text+" of a test, long enough"))
}
