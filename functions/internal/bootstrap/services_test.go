package bootstrap_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs the certificates of the services, and makes a bundle of roots as large as
// that of a Linux distribution.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// mostRoots are the certificates in the bundle of a Linux distribution: Debian 12 has 145, in
// 220 KB.
const mostRoots = 145

func certificate(tb testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) []byte {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func rootTemplate(number int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(number),
		Subject:      pkix.Name{Country: []string{"XX"}, Organization: []string{"Test"}, CommonName: fmt.Sprintf("Test root %d", number)},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		// As long as the keys and signatures of RSA make most roots.
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, 640)}},
	}
}

func newAuthority(tb testing.TB) *authority {
	a := &authority{key: newKey(tb)}
	der := certificate(tb, rootTemplate(1), rootTemplate(1), &a.key.PublicKey, a.key)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// bundle is its certificate among strange ones.
func (a *authority) bundle(tb testing.TB) []byte {
	var all []byte
	for i := range mostRoots - 1 {
		t := rootTemplate(int64(i + 2))
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(tb, t, t, &a.key.PublicKey, a.key)})...)
	}
	return append(all, a.pem...)
}

// server is what a service proves itself with.
func (a *authority) server(tb testing.TB) tls.Certificate {
	key := newKey(tb)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1000), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	return tls.Certificate{Certificate: [][]byte{certificate(tb, t, a.cert, &key.PublicKey, a.key)}, PrivateKey: key}
}

// reply is what a service answers to a request.
type reply = func(r *http.Request, body []byte) (status int, text string)

// service is one that the function talks to: DynamoDB, Secrets Manager, the ERP. It counts.
type service struct {
	url    string
	answer reply // under mu, once it serves

	mu          sync.Mutex
	requests    []string // method, and operation or path
	connections int
	handshakes  int
	out, in     int64 // bytes on the wire, as the function sees them
}

// answers has a service that runs answer otherwise, by what it answered so far.
func (s *service) answers(by func(before reply) reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = by(s.answer)
}

// seen is what has come so far. A client is through with its handshake a moment before the
// service is, so seen waits for the service; what never ends is counted as it stands.
func (s *service) seen() (requests []string, connections, handshakes int) {
	const step, steps = time.Millisecond, 5000
	for range steps {
		s.mu.Lock()
		requests, connections, handshakes = append([]string{}, s.requests...), s.connections, s.handshakes
		s.mu.Unlock()
		if handshakes == connections {
			break
		}
		time.Sleep(step)
	}
	return requests, connections, handshakes
}

func (s *service) bytes() (out, in int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out, s.in
}

// serve starts it for as long as the test lasts, with TLS where cert is given.
func (s *service) serve(tb testing.TB, cert *tls.Certificate) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.on(tb, l, cert)
}

func (s *service) on(tb testing.TB, l net.Listener, cert *tls.Certificate) {
	s.url = "http://" + l.Addr().String()
	var counted net.Listener = counting{l, s}
	if cert != nil {
		s.url = "https://" + l.Addr().String()
		counted = tls.NewListener(counted, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12,
			VerifyConnection: func(tls.ConnectionState) error { s.mu.Lock(); s.handshakes++; s.mu.Unlock(); return nil }})
	}
	server := &http.Server{Handler: s, ErrorLog: quiet}
	go func() { _ = server.Serve(counted) }()
	tb.Cleanup(func() { _ = server.Close() })
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	what := r.URL.Path
	if _, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		what = operation
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+what)
	answer := s.answer
	s.mu.Unlock()
	status, text := answer(r, body)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

type counting struct {
	net.Listener
	s *service
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.mu.Lock()
	l.s.connections++
	l.s.mu.Unlock()
	return countingConn{c, l.s}, nil
}

type countingConn struct {
	net.Conn
	s *service
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.mu.Lock()
	c.s.out += int64(n)
	c.s.mu.Unlock()
	return n, err
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.s.mu.Lock()
	c.s.in += int64(n)
	c.s.mu.Unlock()
	return n, err
}

// world is everything outside of the function.
type world struct {
	authority            *authority
	dynamo, secrets, erp *service
	bearer               string // what the secret holds; changed under the lock of secrets
	roots                string // file with the bundle of roots
	certificate          tls.Certificate
}
