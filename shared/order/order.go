// Package order puts the changes of a record into commit order: each has a version, and
// versions compare as the changes were committed.
//
// A version is 20 bytes, compared as unsigned binary: time in ms (6) · commit number
// (8) · sequence (2) · tie (4), all big-endian. The tie is a hash of the content.
package order

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Version is the place of a change among those of its record. The zero Version is older
// than every other and stands for "none".
type Version [20]byte

// Parts is the readable form of the first three parts of a version.
type Parts struct {
	TimeMS       int64
	CommitNumber uint64
	Sequence     uint16
}

// MaxTimeMS is the latest time that a version can hold.
const MaxTimeMS = 1<<48 - 1

// New joins the parts of a version. Times before 1970 and after MaxTimeMS do not fit:
// the caller refuses them.
func New(p Parts, tie [4]byte) (v Version) {
	binary.BigEndian.PutUint64(v[:8], uint64(p.TimeMS)<<16) // the two low bytes are overwritten
	binary.BigEndian.PutUint64(v[6:14], p.CommitNumber)
	binary.BigEndian.PutUint16(v[14:16], p.Sequence)
	copy(v[16:], tie[:])
	return v
}

// Parse reads the 40 hex digits that String writes.
func Parse(s string) (Version, error) {
	var v Version
	if len(s) == 2*len(v) {
		if _, err := hex.Decode(v[:], []byte(s)); err == nil {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("order: version %q: want %d hex digits", s, 2*len(v))
}

// Newest is the newest of the versions.
func Newest(vs ...Version) Version {
	var newest Version
	for _, v := range vs {
		if v.After(newest) {
			newest = v
		}
	}
	return newest
}

// Compare is -1 when v is older than w, 0 when they are the same instant with the same
// content, +1 when v is newer.
func (v Version) Compare(w Version) int { return bytes.Compare(v[:], w[:]) }

// After reports whether v is newer than w.
func (v Version) After(w Version) bool { return v.Compare(w) > 0 }

// IsZero reports whether there is no version.
func (v Version) IsZero() bool { return v == Version{} }

// String is 40 lower-case hexadecimal digits; strings sort as versions do.
func (v Version) String() string { return hex.EncodeToString(v[:]) }

// Time is the first of the four parts, in UTC.
func (v Version) Time() time.Time { return time.UnixMilli(v.Parts().TimeMS).UTC() }

// Parts is the readable form of the first three parts.
func (v Version) Parts() Parts {
	return Parts{
		TimeMS:       int64(binary.BigEndian.Uint64(v[:8]) >> 16),
		CommitNumber: binary.BigEndian.Uint64(v[6:14]),
		Sequence:     binary.BigEndian.Uint16(v[14:16]),
	}
}
