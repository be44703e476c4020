package guard

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"
)

// Version puts the changes of a subject into commit order: 20 bytes that compare
// as unsigned binary, time in ms (6) · commit number (8) · sequence (2) · tie (4),
// big-endian. The zero Version is older than every other and means "none".
type Version [20]byte

// Compare is -1, 0 or +1 in commit order.
func (v Version) Compare(w Version) int { return bytes.Compare(v[:], w[:]) }

// After reports whether v is newer than w.
func (v Version) After(w Version) bool { return v.Compare(w) > 0 }

// IsZero reports whether there is no version.
func (v Version) IsZero() bool { return v == Version{} }

// String is the version as 40 hex digits, which sort like the version itself.
func (v Version) String() string { return hex.EncodeToString(v[:]) }

// ParseVersion reads what String wrote.
func ParseVersion(s string) (Version, error) {
	var v Version
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(v) {
		return Version{}, fmt.Errorf("guard: version %q: want %d hex digits", s, 2*len(v))
	}
	copy(v[:], b)
	return v, nil
}

func newest(vs ...Version) Version {
	var m Version
	for _, v := range vs {
		if v.After(m) {
			m = v
		}
	}
	return m
}

// Token names one attempt: when it claimed, in ms (6), and randomness (10).
type Token [16]byte

func newToken(at time.Time, random [10]byte) Token {
	var t Token
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		t[i] = byte(ms >> (8 * (5 - i)))
	}
	copy(t[6:], random[:])
	return t
}

func (t Token) millis() int64 {
	var ms int64
	for _, b := range t[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}

// timeless is the token as a doubt while a restore is being worked through: older
// than every key window, so that nothing trusts a window that the restore may
// have forgotten the beginning of.
func (t Token) timeless() Token {
	clear(t[:6])
	return t
}

// sameAttempt ignores the time, which timeless cuts off.
func (t Token) sameAttempt(o Token) bool { return [10]byte(t[6:]) == [10]byte(o[6:]) }
