package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/notify/receivertest"
	"sfrelay/shared/salesforce/api"
)

// All sandboxes stand behind a door, and each start has a key and a signing secret of its
// own. The receiver takes what is signed with that.
func TestSandboxesAreServedBehindADoor(t *testing.T) {
	var keys, secrets []string
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			c := sandboxCommand{Stripe: "127.0.0.1:0", ERP: "127.0.0.1:0", Notify: "127.0.0.1:0", Org: "127.0.0.1:0", JSON: true}
			ended <- c.Run(ctx, &screen{Out: terminal.To(w), Err: terminal.To(new(bytes.Buffer))})
		}()
		var at struct{ Stripe, ERP, Notify, Org, Key, NotifySecret, OrgClientID, OrgClientSecret string }
		if err := json.NewDecoder(r).Decode(&at); err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{at.Stripe, at.ERP, at.Notify, at.Org} {
			for key, want := range map[string]int{at.Key: http.StatusOK, "": http.StatusForbidden} {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_sandbox/state", nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Sandbox-Key", key)
				resp, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("%s with the key %q: %d", url, key, resp.StatusCode)
				}
			}
		}
		receivertest.Run(t, receivertest.Receiver{URL: at.Notify, Secrets: []string{at.NotifySecret}})
		credentials, err := json.Marshal(map[string]string{"clientId": at.OrgClientID, "clientSecret": at.OrgClientSecret})
		if err != nil {
			t.Fatal(err)
		}
		client, err := api.New(func(context.Context) (string, error) { return string(credentials), nil }, at.Org)
		if err != nil {
			t.Fatal(err)
		}
		const alpha = "0015f0000200001AAA"
		if found, err := client.Retrieve(ctx, "Account", []string{alpha}, []string{"Name"}); err != nil || found[alpha] == nil {
			t.Errorf("with the credentials that were printed: %v, %v", found, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		keys, secrets = append(keys, at.Key), append(secrets, at.NotifySecret)
	}
	if keys[0] == keys[1] || keys[0] == "" {
		t.Errorf("keys %q", keys)
	}
	if secrets[0] == secrets[1] {
		t.Error("two starts have the same signing secret")
	}
}

// Who trusts the certificate that was written reaches the org by TLS, and only at its
// exact address.
func TestTheOrgSpeaksTLS(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	file := filepath.Join(t.TempDir(), "org.pem")
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		c := sandboxCommand{Stripe: "127.0.0.1:0", ERP: "127.0.0.1:0", Notify: "127.0.0.1:0", Org: "127.0.0.1:0", OrgTLS: file, JSON: true}
		err := c.Run(ctx, &screen{Out: terminal.To(w), Err: terminal.To(new(bytes.Buffer))})
		_ = w.CloseWithError(err) // who reads what it prints waits no longer
		ended <- err
	}()
	var at struct{ Org string }
	if err := json.NewDecoder(r).Decode(&at); err != nil {
		t.Fatal(err)
	}
	certificate, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !strings.HasPrefix(at.Org, "https://127.0.0.1:") || !trusted.AppendCertsFromPEM(certificate) {
		t.Fatalf("%s, %s", at.Org, certificate)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}
	for host, want := range map[string]int{"": http.StatusOK, "example.com": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Org+"/services/data", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		resp, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %q: %d", host, resp.StatusCode)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
