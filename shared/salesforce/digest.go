package salesforce

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A tie orders two changes of one instant, and tells a copy from another content:
// the first four bytes of SHA-256 over the sorted (field, value) pairs.
//
// Both JSON dialects and every spelling of a number give the same tie. So a number
// counts by its decimal value, a date or date with time by its milliseconds since
// 1970, whether it came as a number or as ISO 8601, and a diff by its text. In a
// CREATE or UNDELETE an absent field is an empty one, so nulls do not count; in an
// update and in a platform event they do: there null clears and absent leaves
// alone. What differs between copies of one change does not count: event ids, the
// time of publishing, replay ids, enriched values.

// tie is the tie of a change whose body counts.
func (c *Change) tie() [4]byte {
	var d digest
	d.buf = d.array[:0]
	for _, l := range c.Fields.leaves {
		if l.value.enriched || c.transport(l) {
			continue
		}
		if (c.Type == Create || c.Type == Undelete) && l.value.Null() {
			continue
		}
		d.pair(l.name, l.component, l.value)
	}
	return d.sum()
}

// transport reports whether a field belongs to the delivery and not to the content.
func (c *Change) transport(l leaf) bool {
	switch l.name {
	case "CreatedDate", "CreatedById":
		return true
	case "EventUuid", "ReplayId", "replayId", c.eventIDField:
		return c.Kind == Platform
	}
	return false
}

// tie of a change whose body does not count: its header, as far as it is the same
// in every copy. The other records of a merged event are not in it.
func (h *header) tie(recordID string) [4]byte {
	var d digest
	d.buf = d.array[:0]
	for _, p := range [...]struct{ name, value string }{
		{"changeOrigin", h.origin},
		{"changeType", h.changeType},
		{"commitNumber", h.commit},
		{"commitTimestamp", h.timestamp},
		{"commitUser", h.user},
		{"entityName", h.entity},
		{"recordId", recordID},
		{"sequenceNumber", h.sequence},
		{"transactionKey", h.transaction},
	} {
		d.bytes(p.name)
		d.bytes(p.value)
	}
	return d.sum()
}

// digest collects pairs. Every part carries its length, so that no two lists of
// pairs have the same bytes.
type digest struct {
	buf   []byte
	array [2048]byte
}

func (d *digest) bytes(s string) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
	d.buf = append(d.buf, s...)
}

func (d *digest) tagged(tag byte, s string) {
	d.buf = append(d.buf, tag)
	d.bytes(s)
}

func (d *digest) sum() (tie [4]byte) {
	sum := sha256.Sum256(d.buf)
	copy(tie[:], sum[:])
	return tie
}

func (d *digest) pair(name, component string, v Value) {
	d.bytes(name)
	d.bytes(component)
	if v.Null() {
		d.buf = append(d.buf, 'z')
		return
	}
	switch v.raw[0] {
	case 't', 'f':
		d.buf = append(d.buf, v.raw[0])
	case '"':
		d.string(v)
	case '{', '[':
		d.tree(v.raw)
	default:
		d.number(v.raw)
	}
}

func (d *digest) string(v Value) {
	s := unquote(v.raw)
	if v.diff {
		d.tagged('d', s)
	} else if t, ok := parseISO(s); ok {
		d.millis(t.UnixMilli())
	} else {
		d.tagged('s', s)
	}
}

func (d *digest) millis(ms int64) {
	var spelling [20]byte
	d.number(string(strconv.AppendInt(spelling[:0], ms, 10)))
}

// number writes significant digits, sign and exponent of ten.
func (d *digest) number(s string) {
	d.buf = append(d.buf, 'n')
	digits, negative := strings.CutPrefix(s, "-")
	exponent := 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		e, err := strconv.ParseInt(strings.TrimPrefix(digits[i+1:], "+"), 10, 32)
		if err != nil { // no field of Salesforce holds such a number: it stands for itself
			d.tagged('?', s)
			return
		}
		digits, exponent = digits[:i], int(e)
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	exponent -= len(fraction)

	start := len(d.buf)
	d.buf = append(append(d.buf, whole...), fraction...)
	significant := bytes.TrimRight(d.buf[start:], "0")
	exponent += len(d.buf) - start - len(significant)
	significant = bytes.TrimLeft(significant, "0")
	if len(significant) == 0 {
		negative, exponent = false, 0
	}
	d.buf = append(d.buf[:start], significant...) // moves to the front
	if negative {
		d.buf = append(d.buf, '-')
	}
	d.buf = append(d.buf, 'e')
	d.buf = strconv.AppendInt(d.buf, int64(exponent), 10)
	d.buf = append(d.buf, ';')
}

// tree writes an array or a deeper object, its names sorted.
func (d *digest) tree(raw string) {
	sorted := jsontext.Value(raw)
	if err := sorted.Format(jsontext.ReorderRawObjects(true)); err != nil {
		d.tagged('?', raw)
		return
	}
	dec := jsontext.NewDecoder(strings.NewReader(string(sorted)))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return
		}
		switch token.Kind() {
		case '"':
			d.tagged('s', token.String())
		case '0':
			d.number(token.String())
		default:
			d.buf = append(d.buf, byte(token.Kind()))
		}
	}
}
