package bootstrap_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// with is the environment with other values: those of variables that stand in it already are
// replaced, an empty one is left out.
func with(environment []string, pairs ...string) (all []string) {
	for _, e := range append(environment, pairs...) {
		name, value, _ := strings.Cut(e, "=")
		for i, old := range all {
			if strings.HasPrefix(old, name+"=") {
				all = append(all[:i], all[i+1:]...)
				break
			}
		}
		if value != "" {
			all = append(all, e)
		}
	}
	return all
}

// TestBootstrapConnectsAhead: what an event would wait for is there before it is, and neither
// table nor sink has got a request.
func TestBootstrapConnectsAhead(t *testing.T) {
	w := newWorld(t)
	p := start(t, w.environment())
	p.started()
	p.held(func() {
		w.dynamo.want(t, "DynamoDB", nil, 1)
		w.erp.want(t, "the ERP", nil, 1)
		w.secrets.want(t, "Secrets Manager", []string{"POST GetSecretValue"}, 1)
	})
	p.take(event(1))
	w.dynamo.want(t, "DynamoDB", []string{"POST UpdateItem", "POST UpdateItem"}, 1)
	w.erp.want(t, "the ERP", []string{path(1)}, 1)
	w.secrets.want(t, "Secrets Manager", []string{"POST GetSecretValue"}, 1)
	applied(t, p.stop(), 1)
}

// TestBootstrapStartsWithoutASink: a sink that refuses connections while the function starts
// is found when it is there.
func TestBootstrapStartsWithoutASink(t *testing.T) {
	w := newWorld(t)
	address, listen := refusing(t)
	p := start(t, with(w.environment(), "ERP_URL=https://"+address))
	p.started()
	late := &service{answer: w.erp.answer}
	late.on(t, listen(), &w.certificate)
	p.take(event(1))
	late.want(t, "the ERP", []string{path(1)}, 1)
	applied(t, p.stop(), 1)
}

// refusing is an address that refuses connections until listen is called. It is bound all the
// while: what is free may be another server's at any moment.
func refusing(t *testing.T) (address string, listen func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd) // a function of a test beside this one must not hold it
	f := os.NewFile(uintptr(fd), "refusing")
	t.Cleanup(func() { _ = f.Close() })
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	bound, at := syscall.Getsockname(fd)
	if err := errors.Join(err, at); err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	return address, func() net.Listener {
		t.Helper()
		err := syscall.Listen(fd, 16)
		l, made := net.FileListener(f)
		if err := errors.Join(err, made); err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// TestBootstrapStartsWithASilentSink: one that takes connections and says nothing keeps the
// function from starting for three seconds, not for ever, and the next connection is another.
func TestBootstrapStartsWithASilentSink(t *testing.T) {
	if testing.Short() {
		t.Skip("takes these three seconds; run it without -short")
	}
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := &silentAtFirst{Listener: l}
	late := &service{answer: w.erp.answer}
	late.on(t, silent, &w.certificate)
	p := start(t, with(w.environment(), "ERP_URL="+late.url))
	p.started()
	if got, _, _ := late.seen(); len(got) > 0 || silent.taken.Load() == 0 {
		t.Errorf("%q asked, %d connections before the first event", got, silent.taken.Load())
	}
	p.take(event(1))
	late.want(t, "the ERP", []string{path(1)}, 1)
	applied(t, p.stop(), 1)
}

// silentAtFirst keeps the first connection to itself.
type silentAtFirst struct {
	net.Listener
	taken atomic.Int32
	kept  net.Conn
}

func (l *silentAtFirst) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil && l.taken.Add(1) == 1 {
		l.kept = c
		return l.Listener.Accept()
	}
	return c, err
}

func (l *silentAtFirst) Close() error {
	if l.kept != nil {
		_ = l.kept.Close()
	}
	return l.Listener.Close()
}

// TestBootstrapTakesARotatedSecret: the credential that was read ahead is read again when the
// sink refuses it.
func TestBootstrapTakesARotatedSecret(t *testing.T) {
	w := newWorld(t)
	w.erp.answers(func(yes reply) reply {
		return func(r *http.Request, body []byte) (int, string) {
			if r.Header.Get("Authorization") != "Bearer rotated" {
				return http.StatusUnauthorized, ""
			}
			return yes(r, body)
		}
	})
	p := start(t, w.environment())
	p.started()
	w.secrets.mu.Lock()
	w.bearer = "rotated"
	w.secrets.mu.Unlock()
	p.take(event(1))
	if _, reads, _ := w.requests(); reads != 2 {
		t.Errorf("the secret was read %d times, want twice", reads)
	}
	w.erp.want(t, "the ERP", []string{path(1), path(1)}, 1)
	applied(t, p.stop(), 1)
}

// TestBootstrapStartsWithoutASecret: one that cannot be read while the function starts is read
// for the first event.
func TestBootstrapStartsWithoutASecret(t *testing.T) {
	w := newWorld(t)
	fail := new(atomic.Bool)
	fail.Store(true)
	w.secrets.answers(func(yes reply) reply {
		return func(r *http.Request, body []byte) (int, string) {
			if fail.Load() {
				return http.StatusInternalServerError, `{"__type":"InternalServiceError"}`
			}
			return yes(r, body)
		}
	})
	p := start(t, w.environment())
	p.started()
	fail.Store(false)
	p.take(event(1))
	applied(t, p.stop(), 1)
}

// TestFirstEventReadsRootsOnce: with the roots of this machine as they lie, the start takes as
// long as with their bundle alone. Nobody trusts the ERP here, which is found out after they
// were read.
func TestFirstEventReadsRootsOnce(t *testing.T) {
	needsTime(t)
	w := newWorld(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.authority.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	asItIs := with(w.environment(), "SSL_CERT_FILE=", "SSL_CERT_DIR=", "AWS_CA_BUNDLE="+ca)
	n, once := 0, 0
	for range 5 { // on a busy machine a connection may be made twice
		n, _ = instructions(t, asItIs, func() {})
		once, _ = instructions(t, with(asItIs, "SSL_CERT_DIR="+filepath.Dir(ca)), func() {})
		if float64(n) <= 1.05*float64(once) {
			break
		}
	}
	t.Logf("%.1f million instructions to start, %.1f with the bundle and one certificate more", float64(n)/1e6, float64(once)/1e6)
	if float64(n) > 1.05*float64(once) {
		t.Errorf("%d instructions to start, with the bundle and one certificate more %d", n, once)
	}
}

// TestBootstrapTrustsWhatTheUserSays: a directory of certificates is read.
func TestBootstrapTrustsWhatTheUserSays(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.pem"), w.authority.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"SSL_CERT_FILE=", "SSL_CERT_DIR=" + dir},
		{"SSL_CERT_FILE=" + filepath.Join(dir, "own.pem"), "SSL_CERT_DIR="},
	} {
		p := start(t, with(w.environment(), c...))
		p.take(event(1))
		applied(t, p.stop(), 1)
	}
}
