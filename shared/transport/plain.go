package transport

import "bytes"

// plain reports whether raw is nothing but an event for certain, by the names at its top
// level alone: what most invocations bring is recognised without reading every token of it.
// It may be told so of text that is no JSON: that is refused as an event, too.
func plain(raw []byte) bool {
	var seen keys
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return seen&replayNameKey == 0 && (seen&detailTypeKey != 0 || seen&sourceKey != 0 && seen&detailKey != 0)
			}
		case '"':
			end := textEnd(raw, i)
			if end < 0 {
				return false
			}
			if depth == 1 && isName(raw[end:]) {
				seen |= keysByName[string(raw[i:end])]
			}
			i = end - 1
		case ' ', '\t', '\r', '\n':
		default:
			if depth == 0 {
				return false
			}
		}
	}
	return false
}

// textEnd is the place behind the text that begins at from, or -1.
func textEnd(raw []byte, from int) int {
	for i := from + 1; ; {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		escapes := 0
		for raw[i-2-escapes] == '\\' { // ends at the quote at from
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

// isName reports whether the text before rest is the name of a member.
func isName(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}
