package webhook

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

const (
	prefix    = "whsec_"
	leastKey  = 24 // bytes; the specification, "Signature scheme"
	longest   = 64
	mostValid = 2 // the old one and the new one of a rotation
)

// oneLine makes one credential of what may be two: sinkhttp.Key takes no blanks. Quoted, it
// is never empty and has printable ASCII only, so that secrets alone says what is wrong.
func oneLine(read sinkhttp.ReadKey) sinkhttp.ReadKey {
	return func(ctx context.Context) (string, error) {
		v, err := read(ctx)
		if err != nil {
			return "", err
		}
		return strconv.QuoteToASCII(strings.Join(strings.Fields(v), ",")), nil
	}
}

// secrets reads what oneLine made. The error never holds a part of it.
func secrets(line string) ([]*standardwebhooks.Webhook, error) {
	bad := &sink.Error{Class: verdict.Auth, Applied: sink.No,
		Reason: "the secret must hold one or two signing secrets, separated by white space, each of them whsec_ and the base64 of 24 to 64 random bytes: correct it, it is read again"}
	parts := strings.Split(strings.Trim(line, `"`), ",")
	if len(parts) > mostValid {
		return nil, bad
	}
	var keys []*standardwebhooks.Webhook
	for _, part := range parts {
		text, prefixed := strings.CutPrefix(part, prefix)
		raw, err := base64.StdEncoding.DecodeString(text)
		if !prefixed || err != nil || len(raw) < leastKey || len(raw) > longest {
			return nil, bad
		}
		key, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, bad
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// signatures is the header: one signature for every secret, so that a receiver that knows
// either of two takes the message.
func signatures(keys []*standardwebhooks.Webhook, m message, at time.Time) (string, error) {
	var signed []string
	for _, key := range keys {
		s, err := key.Sign(m.id, at, m.body)
		if err != nil {
			return "", sink.NotYet(verdict.Unfinished, "the message could not be signed")
		}
		signed = append(signed, s)
	}
	return strings.Join(signed, " "), nil
}
