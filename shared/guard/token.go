package guard

import "time"

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
