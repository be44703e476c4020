package salesforce

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"

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
func (c *Said) tie() [4]byte {
	text := c.Fields.text
	plain := !strings.Contains(text, `\`) // then no value has to be searched for escapes
	full := c.Type == Create || c.Type == Undelete
	return digest(func(b []byte) []byte {
		for i := range c.Fields.leaves {
			l := &c.Fields.leaves[i]
			name, raw := l.name.of(text), l.raw.of(text)
			if l.enriched || full && raw == "null" || c.transport(name) {
				continue
			}
			b = appendText(b, name)
			b = appendText(b, l.component.of(text))
			if plain && raw[0] == '"' {
				b = appendString(b, raw[1:len(raw)-1], l.diff)
			} else {
				b = appendValue(b, Value{raw: raw, diff: l.diff})
			}
		}
		return b
	})
}

// transport reports whether a field belongs to the delivery and not to the content.
func (c *Said) transport(name string) bool {
	switch name {
	case "CreatedDate", "CreatedById":
		return true
	case "EventUuid", "ReplayId", "replayId":
		return c.Kind == Platform
	}
	return c.Kind == Platform && name == c.eventIDField
}

// tie of a change whose body does not count: its header, as far as it is the same
// in every copy. The other records of a merged event are not in it.
func (h *header) tie(recordID string) [4]byte {
	return digest(func(b []byte) []byte {
		for _, s := range [...]string{
			"changeOrigin", h.origin,
			"changeType", h.changeType,
			"commitNumber", h.commit,
			"commitTimestamp", h.timestamp,
			"commitUser", h.user,
			"entityName", h.entity,
			"recordId", recordID,
			"sequenceNumber", h.sequence,
			"transactionKey", h.transaction,
		} {
			b = appendText(b, s)
		}
		return b
	})
}

// buffers are kept, because every change needs one of about its own size.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func digest(appendTo func([]byte) []byte) (tie [4]byte) {
	kept := buffers.Get().(*[]byte)
	b := appendTo((*kept)[:0])
	sum := sha256.Sum256(b)
	copy(tie[:], sum[:])
	if *kept = b; cap(b) <= 64<<10 { // a rare giant is not worth keeping
		buffers.Put(kept)
	}
	return tie
}

// appendText puts the length first, so that no two lists of texts have the same bytes.
func appendText(b []byte, s string) []byte {
	if len(s) < 0x80 { // the same as below, and most texts
		return append(append(b, byte(len(s))), s...)
	}
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValue(b []byte, v Value) []byte {
	if v.Null() {
		return append(b, 'z')
	}
	switch v.raw[0] {
	case 't', 'f':
		return append(b, v.raw[0])
	case '"':
		return appendString(b, unquote(v.raw), v.diff)
	case '{', '[':
		return appendTree(b, v.raw)
	default:
		return appendNumber(b, v.raw)
	}
}

func appendString(b []byte, s string, diff bool) []byte {
	if diff {
		return appendText(append(b, 'd'), s)
	}
	if t, ok := parseISO(s); ok {
		var spelling [20]byte
		return appendNumber(b, string(strconv.AppendInt(spelling[:0], t.UnixMilli(), 10)))
	}
	return appendText(append(b, 's'), s)
}

// appendNumber writes significant digits, sign and exponent of ten.
func appendNumber(b []byte, s string) []byte {
	b = append(b, 'n')
	digits, negative := strings.CutPrefix(s, "-")
	exponent := 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		e, err := strconv.ParseInt(strings.TrimPrefix(digits[i+1:], "+"), 10, 32)
		if err != nil { // no field of Salesforce holds such a number: it stands for itself
			return appendText(append(b, '?'), s)
		}
		digits, exponent = digits[:i], int(e)
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	exponent -= len(fraction)

	start := len(b)
	b = append(append(b, whole...), fraction...)
	significant := bytes.TrimRight(b[start:], "0")
	exponent += len(b) - start - len(significant)
	significant = bytes.TrimLeft(significant, "0")
	if len(significant) == 0 {
		negative, exponent = false, 0
	}
	b = append(b[:start], significant...) // moves to the front
	if negative {
		b = append(b, '-')
	}
	b = append(b, 'e')
	return append(strconv.AppendInt(b, int64(exponent), 10), ';')
}

// appendTree writes an array or a deeper object, its names sorted.
func appendTree(b []byte, raw string) []byte {
	sorted := jsontext.Value(raw)
	if err := sorted.Format(jsontext.ReorderRawObjects(true)); err != nil {
		return appendText(append(b, '?'), raw)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(sorted))
	for {
		token, err := dec.ReadToken()
		if err != nil { // the end
			return b
		}
		switch token.Kind() {
		case '"':
			b = appendString(b, token.String(), false)
		case '0':
			b = appendNumber(b, token.String())
		default:
			b = append(b, byte(token.Kind()))
		}
	}
}
