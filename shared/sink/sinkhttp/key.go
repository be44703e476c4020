package sinkhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// ReadKey reads a credential from where it is kept, e.g. awsclient.Secret(client, name).
// An error whose Temporary method reports true passes by itself.
type ReadKey func(ctx context.Context) (string, error)

// renewal is how long a credential is not read anew after it was: a sink that refuses every
// call, as its firewall may, must not make every change read the secret.
const renewal = time.Minute

// Key is a credential that is read before the first call, kept, and read once
// more when the sink refuses it, because it may have been rotated. It is never printed.
type Key struct {
	read    ReadKey
	mu      sync.Mutex
	value   string
	renewed time.Time // when it was last read anew; zero: never
}

// Format implements fmt.Formatter for every verb: no log and no error shows the credential.
func (*Key) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "[credential]") }

// NewKey keeps what read returns. Nothing is read yet.
func NewKey(read ReadKey) *Key { return &Key{read: read} }

// Get is the credential. The error is a *sink.Error of class auth, or unfinished where
// reading it may work the next time: nothing was sent.
func (k *Key) Get(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value != "" {
		return k.value, nil
	}
	return k.load(ctx)
}

// Renew reads again after the sink refused a credential, at most once a minute. changed is
// false when there is still no other one, as far as is known. Of many callers that were
// refused at once only the first one reads.
func (k *Key) Renew(ctx context.Context, refused string) (value string, changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value != refused && k.value != "" {
		return k.value, true, nil
	}
	if now := time.Now(); k.renewed.IsZero() || now.Sub(k.renewed) >= renewal {
		k.renewed = now
	} else {
		return k.value, false, nil
	}
	value, err = k.load(ctx)
	return value, err == nil && value != refused, err
}

func (k *Key) load(ctx context.Context) (string, error) {
	v, err := k.read(ctx)
	if passing, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err); err != nil && (ctx.Err() != nil || ok && passing.Temporary()) {
		return "", sink.NotYet(verdict.Unfinished, "the credential could not be read just now: %w", err)
	}
	if err != nil {
		return "", &sink.Error{Class: verdict.Auth, Applied: sink.No,
			Reason: "the credential cannot be read: check that the secret exists and that the function's role may read it", Err: err}
	}
	v = strings.TrimSpace(v)
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", &sink.Error{Class: verdict.Auth, Applied: sink.No,
			Reason: "the secret must hold the bare credential: one line, printable ASCII, no blanks"}
	}
	k.value = v
	return v, nil
}

// Static is a credential that is known already, for tests and sandboxes.
func Static(value string) ReadKey {
	return func(context.Context) (string, error) { return value, nil }
}
