package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/notify/receivertest"
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
		var at struct{ Stripe, ERP, Notify, Org, Key, NotifySecret string }
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
