package salesforce

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// check proves that bytes are exactly one JSON value in UTF-8. Duplicate keys are left to
// the scanner and to Fields.sort, which see all names anyway. It names what the JSON
// package refuses in own words: its texts quote the input.
func check(raw []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
	err := dec.SkipValue()
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		} else if err == nil { // one more value
			return refuse("invalid-json", "", "something stands behind the event, up to byte "+strconv.FormatInt(dec.InputOffset(), 10))
		}
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return refuse("invalid-json", "", "the event ends too early: it is empty or cut off")
	}
	where, offset := pointer(string(syntax.JSONPointer)), strconv.FormatInt(syntax.ByteOffset, 10)
	switch {
	case !utf8.Valid(raw):
		return refuse("invalid-utf8", where, "the text is not UTF-8 at byte "+offset)
	case strings.Count(string(syntax.JSONPointer), "/") > maxDepth:
		return refuse("too-deep", "", tooDeep)
	default:
		return refuse("invalid-json", where, "the JSON is broken at byte "+offset)
	}
}

const tooDeep = "there are more levels than in any event of Salesforce"

// pointer bounds what a hostile name adds to an error.
func pointer(p string) string {
	const limit = 200
	if len(p) <= limit {
		return p
	}
	return strings.ToValidUTF8(p[:limit], "") + "…"
}

// scanner cuts a JSON text that check has found valid; only therefore it may be
// this simple. What it gives are parts of the text.
type scanner struct {
	text  string
	at    int
	plain bool // the last name consists of letters, digits and underscores
}

// span is a part of the text. Without pointers it costs the garbage collector nothing.
type span struct{ start, end uint32 }

func (p span) of(text string) string { return text[p.start:p.end] }

// before is the span of what ends at the present place.
func (s *scanner) before(length int) span { return span{uint32(s.at - length), uint32(s.at)} }

// kind is the first byte of what comes next: a value, a name, or the end of an
// object or array.
func (s *scanner) kind() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			s.at++
		default:
			return c
		}
	}
}

// object reads an object and hands every name to member, which reads the value.
func (s *scanner) object(member func(name string) error) error {
	var names nameSet
	return s.members(func(name string) error {
		switch {
		case !names.add(name):
			return s.refuse("duplicate-key", duplicateKey)
		case len(names.many) > maxNames:
			return s.refuse("too-many-fields", "there are more than 1,000 keys in an object that has a few")
		}
		return member(name)
	})
}

// members is object for callers that find duplicate names by themselves.
func (s *scanner) members(member func(name string) error) error {
	if s.kind() != '{' {
		return s.mismatch("an object")
	}
	s.at++
	for s.kind() != '}' {
		if err := member(s.name()); err != nil {
			return err
		}
	}
	s.at++
	return nil
}

// name cuts the name of a member. Nearly all are plain.
func (s *scanner) name() string {
	rest := s.text[s.at+1:]
	end := 0
	for nameBytes[rest[end]] {
		end++
	}
	if s.plain = rest[end] == '"'; s.plain {
		s.at += end + 2
		return rest[:end]
	}
	return unquote(s.string())
}

// nameSet is the names of one object: nearly always a few.
type nameSet struct {
	few    [16]string
	length int
	many   map[string]bool
}

// add reports whether the name is new.
func (n *nameSet) add(name string) bool {
	if n.length < len(n.few) {
		if slices.Contains(n.few[:n.length], name) {
			return false
		}
		n.few[n.length] = name
		n.length++
		return true
	}
	if n.many == nil {
		n.many = map[string]bool{}
		for _, name := range n.few {
			n.many[name] = true
		}
	}
	twice := n.many[name]
	n.many[name] = true
	return !twice
}

const duplicateKey = "a key stands twice: nobody can tell which one counts"

// objectOrNull takes null for a missing object.
func (s *scanner) objectOrNull(member func(name string) error) (bool, error) {
	if s.kind() == 'n' {
		_, err := s.value()
		return false, err
	}
	return true, s.object(member)
}

// string cuts a string, its quotes included.
func (s *scanner) string() string {
	start := s.at
	for end := start + 1; ; {
		end += strings.IndexByte(s.text[end:], '"') + 1
		slashes := 0
		for s.text[end-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			s.at = end
			return s.text[start:end]
		}
	}
}

// value cuts the next value, whatever it is.
func (s *scanner) value() (string, error) {
	switch s.kind() {
	case '"':
		return s.string(), nil
	case '{', '[':
		start, objects := s.at, false
		for depth := 0; ; {
			c := s.kind()
			switch c {
			case '"':
				s.string()
				continue
			case '{', '[':
				objects = objects || c == '{'
				if depth++; depth > maxDepth {
					return "", refuse("too-deep", "", tooDeep)
				}
			case '}', ']':
				depth--
			}
			if s.at++; depth == 0 {
				raw := s.text[start:s.at]
				if objects && !jsontext.Value(raw).IsValid() {
					return "", s.refuse("duplicate-key", duplicateKey)
				}
				return raw, nil
			}
		}
	default:
		start := s.at
		for s.at < len(s.text) && !strings.ContainsRune(" \t\r\n,]}", rune(s.text[s.at])) {
			s.at++
		}
		return s.text[start:s.at], nil
	}
}

// str reads a short text; null counts as empty.
func (s *scanner) str() (string, error) {
	raw, err := s.value()
	switch {
	case err != nil:
		return "", err
	case raw == "null":
		return "", nil
	case raw[0] != '"':
		return "", s.mismatch("a string")
	case len(raw) > maxText:
		return "", s.refuse("too-long", "the text has more than 512 bytes")
	}
	return unquote(raw), nil
}

// strs appends an array of at most limit short texts, or a single one. tooMany is the
// name of the refusal of more.
func (s *scanner) strs(list []string, limit int, tooMany string) ([]string, error) {
	if s.kind() != '[' {
		one, err := s.str()
		if one != "" {
			list = append(list, one)
		}
		return list, err
	}
	s.at++
	for s.kind() != ']' {
		if s.kind() != '"' {
			s.at++ // into the member that is meant
			return list, s.mismatch("a string")
		}
		one, err := s.str()
		if err != nil {
			return list, err
		}
		if len(list) == limit {
			return list, s.refuse(tooMany, "there are more than 10,000: no transaction of Salesforce changes so many")
		}
		list = append(list, one)
	}
	s.at++
	return list, nil
}

// number is the spelling of a number; null counts as missing. Hops through
// JavaScript and MongoDB turn large ones into a string or {"$numberLong":"…"}: the
// digits in there are exact.
func (s *scanner) number() (string, error) {
	switch c := s.kind(); {
	case c == '"':
		return s.digits()
	case c == '{':
		digits := ""
		err := s.object(func(name string) (err error) {
			if name != "$numberLong" || s.kind() != '"' {
				return s.mismatch("a whole number")
			}
			digits, err = s.digits()
			return err
		})
		if err == nil && digits == "" {
			err = s.mismatch("a whole number")
		}
		return digits, err
	case c == 'n':
		_, err := s.value()
		return "", err
	case c == '-' || isDigit(c):
		return s.value()
	default:
		return "", s.mismatch("a whole number")
	}
}

// digits is a number in a string. An empty one is no number, not a missing one.
func (s *scanner) digits() (string, error) {
	text, err := s.str()
	if err == nil && text == "" {
		err = s.mismatch("a whole number")
	}
	return text, err
}

func (s *scanner) mismatch(want string) error { return s.refuse("wrong-type", "want "+want) }

// refuse looks for the pointer to the present place only now that it is needed.
func (s *scanner) refuse(name, what string) error {
	dec := jsontext.NewDecoder(strings.NewReader(s.text), jsontext.AllowDuplicateNames(true))
	for int(dec.InputOffset()) < s.at {
		if _, err := dec.ReadToken(); err != nil {
			break
		}
	}
	return refuse(name, pointer(string(dec.StackPointer())), what)
}
