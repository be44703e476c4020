package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"sfrelay/shared/awsclient"
)

func TestProcessEndsAndIsToldApart(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := spawn(exec.Command("sh", "-c", "echo here; exec sleep 60"), log)
	if err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Fatal("not alive after its start")
	}
	if stranger := (Process{PID: p.PID, Started: p.Started + "0"}); stranger.alive() {
		t.Error("a process with the same id that began at another time is taken for ours")
	}
	awaitLine(log)
	if err := p.stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p.alive() {
		t.Error("alive after its end")
	}
	if err := p.stop(context.Background()); err != nil {
		t.Errorf("the end of what is gone: %v", err)
	}
	if (Process{}).alive() {
		t.Error("no process is alive")
	}
	if b, err := os.ReadFile(log); err != nil || string(b) != "here\n" {
		t.Errorf("log %q, %v", b, err)
	}
}

// awaitLine waits until a process has got as far as its first line, at most a minute.
func awaitLine(log string) {
	for range 600 {
		if b, err := os.ReadFile(log); err == nil && len(b) > 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// A process that ignores SIGTERM ends all the same.
func TestProcessThatDoesNotListen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds; run it without -short")
	}
	log := filepath.Join(t.TempDir(), "log")
	p, err := spawn(exec.Command("sh", "-c", `trap "" TERM; echo deaf; while :; do sleep 1; done`), log)
	if err != nil {
		t.Fatal(err)
	}
	awaitLine(log) // its trap is set
	if err := p.stop(context.Background()); err != nil || p.alive() {
		t.Errorf("stop: %v, alive %v", err, p.alive())
	}
}

func TestCertificateIsGoodForLoopbackOnly(t *testing.T) {
	dir := t.TempDir()
	caFile, certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeCertificates(caFile, certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{caFile, certFile, keyFile} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable for others: %v, %v", name, info.Mode(), err)
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	get := func(name string) error {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: name}}}
		resp, err := client.Get(server.URL)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	if err := get("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if err := get("example.com"); err == nil {
		t.Error("it is good for another name")
	}
}

// Whoever comes to trust the authority trusts it for loopback only, also if its key were
// still there to sign with (RFC 5280, 4.2.1.10: critical, and it holds for every name below).
func TestAuthoritySpeaksForLoopbackOnly(t *testing.T) {
	ca, caKey, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	nameConstraints := asn1.ObjectIdentifier{2, 5, 29, 30}
	if !slices.ContainsFunc(ca.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(nameConstraints) && e.Critical }) {
		t.Error("its name constraints are not critical")
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	for _, c := range []struct {
		name string
		good bool
	}{
		{"127.0.0.1", true}, {"localhost", true},
		{"127.0.0.2", false}, {"10.0.0.1", false}, {"::1", false}, {"example.com", false}, {"localhost.example.com", false},
	} {
		leaf := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		if ip := net.ParseIP(c.name); ip != nil {
			leaf.IPAddresses = []net.IP{ip}
		} else {
			leaf.DNSNames = []string{c.name}
		}
		der, err := sign(leaf, ca, caKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: c.name}); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Whatever AWS settings the reader has, the stack's configuration reaches the
// emulator, with the emulator's credentials.
func TestConfigReachesNothingElse(t *testing.T) {
	var authorization string
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "reader-key", "AWS_SECRET_ACCESS_KEY": "reader-secret", "AWS_SESSION_TOKEN": "reader-token",
		"AWS_PROFILE": "reader", "AWS_REGION": "eu-west-2", "AWS_ENDPOINT_URL": "https://127.0.0.1:1",
		"AWS_ENDPOINT_URL_STS": "https://127.0.0.1:1", "AWS_CONFIG_FILE": "/nonexistent", "AWS_CA_BUNDLE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	s := &Stack{dir: t.TempDir(), Endpoint: server.URL}
	if err := s.writeProfile("THEKEY", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := writeCertificates(s.file("ca.pem"), s.file("cert.pem"), s.file("key.pem")); err != nil {
		t.Fatal(err)
	}
	cfg, err := s.Config(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if awsclient.OwnBody(cfg.HTTPClient) != cfg.HTTPClient {
		t.Errorf("%T may lose the rest of an answer", cfg.HTTPClient)
	}
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.HTTPClient = server.Client() })
	_, _ = client.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{}) // the answer is empty
	if !strings.Contains(authorization, "Credential=THEKEY/") || !strings.Contains(authorization, "/us-east-1/") {
		t.Errorf("signed with %q", authorization)
	}
}

func TestWithoutAWS(t *testing.T) {
	got := withoutAWS([]string{"PATH=/bin", "AWS_PROFILE=reader", "AWS_CA_BUNDLE=x", "MAKEFLAGS=-j", "MFLAGS=-j", "HOME=/h", "GOFLAGS=-mod=mod"})
	if want := []string{"PATH=/bin", "HOME=/h", "GOFLAGS=-mod=mod"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStartSandbox(t *testing.T) {
	for name, c := range map[string]struct{ script, stripe, erp, key, org, secret, fails string }{
		"serves": {script: `echo '{"stripe":"http://a","erp":"http://b","key":"c","org":"http://d","orgClientId":"e","orgClientSecret":"f"}'; exec sleep 60`,
			stripe: "http://a", erp: "http://b", key: "c", org: "http://d", secret: `{"clientId":"e","clientSecret":"f"}`},
		"ends at once":   {script: `exit 1`, fails: "the sandbox did not start"},
		"says no":        {script: `echo "sfrelay: no"; exit 1`, fails: "the sandbox did not start"},
		"says something": {script: `echo oops; exec sleep 60`, fails: "the sandbox did not start"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Stack{dir: t.TempDir()}
			defer func() { _ = s.Down(context.Background()) }()
			err := s.startSandbox(context.Background(), Options{Sandbox: []string{"sh", "-c", c.script}})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("error %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil || s.StripeURL != c.stripe || s.ERPURL != c.erp || s.SandboxKey != c.key {
				t.Errorf("%q %q %q, %v", s.StripeURL, s.ERPURL, s.SandboxKey, err)
			}
			if s.OrgURL != c.org || s.orgSecret != c.secret {
				t.Errorf("the org at %q with %s", s.OrgURL, s.orgSecret)
			}
			if state, err := os.ReadFile(s.file("state.json")); err != nil || strings.Contains(string(state), "clientSecret") {
				t.Errorf("the state has the org's secret: %s, %v", state, err)
			}
			if info, err := os.Stat(s.file("sandbox.log")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the log with the key: %v, %v", info.Mode(), err)
			}
		})
	}
}

// The delay of a stack is also that of its sandboxes.
func TestTheSandboxIsToldTheDelay(t *testing.T) {
	s := &Stack{dir: t.TempDir(), Delay: 300 * time.Millisecond}
	defer func() { _ = s.Down(context.Background()) }()
	script := `printf '{"stripe":"%s","erp":"%s","key":"c"}\n' "$1" "$2"; exec sleep 60`
	if err := s.startSandbox(context.Background(), Options{Sandbox: []string{"sh", "-c", script, "sandbox"}}); err != nil {
		t.Fatal(err)
	}
	if s.StripeURL != "--delay" || s.ERPURL != "300ms" {
		t.Errorf("the sandbox is called with %q %q", s.StripeURL, s.ERPURL)
	}
}

func TestOpenAndDownWithoutAStack(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrDown) {
		t.Errorf("Open: %v", err)
	}
	if err := Down(context.Background(), dir); err != nil {
		t.Errorf("Down: %v", err)
	}
	// The state of processes that are gone, as a killed run leaves it.
	s := &Stack{dir: dir, Deployed: true, Emulator: Process{PID: 1 << 22, Started: "1"}}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrDown) {
		t.Errorf("Open: %v", err)
	}
	if err := Down(context.Background(), dir); err != nil {
		t.Errorf("Down: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state stays: %v", err)
	}
}
