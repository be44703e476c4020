package webhook

import (
	"encoding/base64"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Test vectors that others publish: the library of Standard Webhooks for its ports to every
// language, and Svix in its documentation ("Verifying webhooks manually"). The key of the
// second one is shorter than the specification wants.
func TestPublishedSignatures(t *testing.T) {
	for _, c := range []struct {
		key, id    string
		at         int64
		body, want string
	}{
		{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, `{"test": 2432232314}`,
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"plJ3nmyCDGBKInavdOK15jsl", "msg_loFOjxBNrRLzqYUf", 1731705121, `{"event_type":"ping","data":{"success":true}}`,
			"v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="},
	} {
		raw, err := base64.StdEncoding.DecodeString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := secrets(`"` + prefix + c.key + `"`)
		if (err == nil) != (len(raw) >= 24) {
			t.Fatalf("a key of %d bytes: %v", len(raw), err)
		}
		if err != nil {
			key, err := standardwebhooks.NewWebhookRaw(raw)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		got, err := signatures(keys, message{c.id, []byte(c.body)}, time.Unix(c.at, 0))
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.id, got, err, c.want)
		}
	}
}
