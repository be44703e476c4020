package connect

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// watched is a server that counts connections and requests, and its client's transport.
func watched(t *testing.T) (url string, client *http.Client, connections, requests *atomic.Int32) {
	t.Helper()
	connections, requests = new(atomic.Int32), new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	client = s.Client()
	transport := client.Transport.(*http.Transport)
	transport.DialContext = Dialing(transport.DialContext)
	return s.URL, client, connections, requests
}

func get(client *http.Client, url string) func(context.Context) {
	return func(ctx context.Context) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			panic(err)
		}
		if res, err := client.Do(r); err == nil {
			res.Body.Close()
		}
	}
}

// A connection that is made ahead carries no request: who asked for it is gone before it
// begins. A hundred times: what is sent by chance is sent.
func TestAConnectionAheadSendsNothing(t *testing.T) {
	for range 100 {
		url, client, connections, requests := watched(t)
		var gone atomic.Bool
		transport := client.Transport.(*http.Transport)
		transport.DialContext = Dialing(func(ctx context.Context, network, address string) (net.Conn, error) {
			if !gone.Load() {
				t.Error("the connection begins while somebody could still use it")
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		})
		Ahead(t.Context(), func(ctx context.Context) { get(client, url)(ctx); gone.Store(true) })
		if c, r := connections.Load(), requests.Load(); c != 1 || r != 0 {
			t.Fatalf("ahead: %d connections and %d requests, want 1 and 0", c, r)
		}
	}
}

func TestAConnectionAheadIsUsed(t *testing.T) {
	url, client, connections, requests := watched(t)
	Ahead(t.Context(), get(client, url))
	// It is kept a moment after the handshake: an event takes longer to arrive.
	const tries = 100
	for range tries {
		get(client, url)(t.Context())
	}
	if c, r := connections.Load(), requests.Load(); c > 2 || r != tries {
		t.Errorf("%d connections for %d requests, want at most 2 for %d", c, r, tries)
	}
}

// Whoever cannot be reached costs nothing but the wait, which ends with the context.
func TestNobodyThere(t *testing.T) {
	refused := &http.Client{Transport: &http.Transport{DialContext: Dialing(func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("refused")
	})}}
	Ahead(t.Context(), get(refused, "https://192.0.2.1"))

	hang := make(chan struct{})
	silent := &http.Client{Transport: &http.Transport{DialContext: Dialing(func(context.Context, string, string) (net.Conn, error) {
		<-hang
		return nil, errors.New("refused")
	})}}
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	Ahead(ctx, get(silent, "https://192.0.2.1"))

	Ahead(t.Context(), func(context.Context) {}) // asks for no connection
}

func TestRootsAreReadOnce(t *testing.T) {
	const certificate = "# Some root\n-----BEGIN CERTIFICATE-----\n"
	for _, c := range []struct {
		name  string
		env   map[string]string
		files map[string]string
		want  string
	}{
		{"Amazon Linux 2023", nil, map[string]string{"/etc/pki/tls/certs/ca-bundle.crt": certificate}, noDirectory},
		{"Debian", nil, map[string]string{"/etc/ssl/certs/ca-certificates.crt": certificate}, noDirectory},
		{"a file of the user's", map[string]string{"SSL_CERT_FILE": "/var/task/ca.pem"}, map[string]string{"/etc/pki/tls/certs/ca-bundle.crt": certificate}, ""},
		{"a directory of the user's", map[string]string{"SSL_CERT_DIR": "/var/task/certs"}, map[string]string{"/etc/pki/tls/certs/ca-bundle.crt": certificate}, ""},
		{"no bundle", nil, nil, ""},
		{"a bundle of nothing", nil, map[string]string{"/etc/ssl/certs/ca-certificates.crt": "", "/etc/ssl/cert.pem": certificate}, ""},
	} {
		got := rootDirectory(func(name string) string { return c.env[name] }, func(file string) ([]byte, error) {
			if text, ok := c.files[file]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: SSL_CERT_DIR is %q, want %q", c.name, got, c.want)
		}
	}
}
