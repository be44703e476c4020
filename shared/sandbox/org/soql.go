package orgsandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// statement is a query of the small part of SOQL that is read here:
//
//	SELECT field, Parent.field, (SELECT … FROM children …) | COUNT() | FIELDS(ALL)
//	FROM object [WHERE field operator value [AND …]] [ORDER BY field [ASC|DESC], …] [LIMIT n]
//
// with the operators = != < <= > >= and IN. Everything else is refused.
type statement struct {
	text   string
	fields []selected
	count  bool
	all    bool // FIELDS(ALL)
	from   token
	where  []condition
	order  []ordering
	limit  int // -1: none
}

// selected is one column: a path of fields, or a sub-select.
type selected struct {
	path []token
	sub  *statement
}

type condition struct {
	path     []token
	operator string
	values   []literal
}

// literal is a value of a condition. Texts stand in quotes, all else does not.
type literal struct {
	text   string
	quoted bool
}

type ordering struct {
	path []token
	down bool
}

// token is a word, sign or text of a query, and where it begins.
type token struct {
	text   string
	at     int
	quoted bool
}

func (t token) is(word string) bool { return !t.quoted && strings.EqualFold(t.text, word) }

var (
	tokenForm = regexp.MustCompile(`^(?:'(?:[^'\\]|\\.)*'|[A-Za-z_][A-Za-z0-9_]*|-?[0-9][0-9A-Za-z.:+-]*|[<>!]=|[=<>(),.])`)
	unescape  = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t")
)

type parser struct {
	text   string
	tokens []token
	n      int
}

// mostParts bounds a query's fields, conditions and values.
const mostParts = 20_000

func parse(text string) (*statement, error) {
	p := &parser{text: text}
	for at := 0; at < len(text); {
		if strings.ContainsRune(" \t\r\n", rune(text[at])) {
			at++
			continue
		}
		t := tokenForm.FindString(text[at:])
		if t == "" {
			return nil, p.malformed(at, "unexpected token: '"+text[at:at+1]+"'")
		}
		one := token{text: t, at: at}
		if t[0] == '\'' {
			one = token{text: unescape.Replace(t[1 : len(t)-1]), at: at, quoted: true}
		}
		p.tokens = append(p.tokens, one)
		at += len(t)
	}
	s, err := p.statement(false)
	if err == nil && p.n < len(p.tokens) {
		err = p.unexpected()
	}
	return s, err
}

// pointed is an error of a query in Salesforce's form: the line, a caret below the place, and where that is.
func pointed(code, text string, at int, message string) *refusal {
	from := strings.LastIndexByte(text[:at], '\n') + 1
	line, _, _ := strings.Cut(text[from:], "\n")
	row := strings.Count(text[:at], "\n") + 1
	start := 0
	if at-from > 40 { // a long line begins with a word in front of the place; how far in front was recorded once
		start = at - from - 34
		start += strings.IndexAny(line[start:at-from], " ,") + 1
	}
	return refuse(http.StatusBadRequest, code, "\n%s\n%s^\nERROR at Row:%d:Column:%d\n%s", line[start:min(len(line), start+120)], strings.Repeat(" ", at-from-start), row, at-from+1, message)
}

func (p *parser) malformed(at int, message string) *refusal {
	return pointed("MALFORMED_QUERY", p.text, at, message)
}

func (p *parser) unexpected() error {
	if p.n < len(p.tokens) {
		t := p.tokens[p.n]
		return p.malformed(t.at, "unexpected token: '"+t.text+"'")
	}
	return p.malformed(len(p.text), "unexpected token: '<EOF>'")
}

func (p *parser) peek() token {
	if p.n < len(p.tokens) {
		return p.tokens[p.n]
	}
	return token{at: len(p.text)}
}

func (p *parser) take(word string) bool {
	if p.peek().is(word) && p.n < len(p.tokens) {
		p.n++
		return true
	}
	return false
}

func (p *parser) expect(words ...string) error {
	for _, w := range words {
		if !p.take(w) {
			return p.unexpected()
		}
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z_]\w*$`)

func (p *parser) name() (token, error) {
	t := p.peek()
	if t.quoted || !nameForm.MatchString(t.text) {
		return t, p.unexpected()
	}
	p.n++
	return t, nil
}

func (p *parser) path() (path []token, err error) {
	for range 6 { // Salesforce follows five references
		t, err := p.name()
		if err != nil {
			return nil, err
		}
		if path = append(path, t); !p.take(".") {
			return path, nil
		}
	}
	return nil, p.unexpected()
}

func (p *parser) statement(nested bool) (*statement, error) {
	s := &statement{text: p.text, limit: -1}
	if err := p.expect("SELECT"); err != nil {
		return nil, err
	}
	if err := p.columns(s, nested); err != nil {
		return nil, err
	}
	err := p.expect("FROM")
	if err == nil {
		s.from, err = p.name()
	}
	if err == nil && p.take("WHERE") {
		s.where, err = p.conditions()
	}
	if err == nil && p.take("ORDER") {
		s.order, err = p.ordering()
	}
	if err == nil && p.take("LIMIT") {
		t := p.peek()
		if s.limit, err = strconv.Atoi(t.text); err != nil || t.quoted || s.limit < 0 {
			return nil, p.unexpected()
		}
		p.n++
	}
	if err == nil && s.all && (s.limit < 0 || s.limit > 200) {
		err = p.malformed(0, "The SOQL FIELDS function must have a LIMIT of at most 200")
	}
	return s, err
}

func (p *parser) columns(s *statement, nested bool) error {
	for range mostParts {
		switch {
		case !nested && len(s.fields) == 0 && p.take("COUNT"):
			s.count = true
			return p.expect("(", ")")
		case len(s.fields) == 0 && p.take("FIELDS"):
			s.all = true
			return p.expect("(", "ALL", ")")
		case !nested && p.take("("):
			sub, err := p.statement(true)
			if err == nil {
				err = p.expect(")")
			}
			if err != nil {
				return err
			}
			s.fields = append(s.fields, selected{sub: sub})
		default:
			path, err := p.path()
			if err != nil {
				return err
			}
			s.fields = append(s.fields, selected{path: path})
		}
		if !p.take(",") {
			return nil
		}
	}
	return p.unexpected()
}

func (p *parser) conditions() (list []condition, err error) {
	for range mostParts {
		var c condition
		if c.path, err = p.path(); err != nil {
			return nil, err
		}
		switch t := p.peek(); {
		case t.is("IN"):
			p.n++
			c.operator = "IN"
			if err := p.expect("("); err != nil {
				return nil, err
			}
			for range mostParts {
				if err := p.value(&c); err != nil {
					return nil, err
				}
				if !p.take(",") {
					break
				}
			}
			err = p.expect(")")
		case !t.quoted && strings.Contains(" = != < <= > >= ", " "+t.text+" ") && t.text != "":
			p.n++
			c.operator = t.text
			err = p.value(&c)
		default:
			err = p.unexpected()
		}
		if err != nil {
			return nil, err
		}
		if list = append(list, c); !p.take("AND") {
			return list, nil
		}
	}
	return nil, p.unexpected()
}

func (p *parser) value(c *condition) error {
	t := p.peek()
	bare := !t.quoted && (t.is("true") || t.is("false") || t.is("null") || t.text != "" && strings.ContainsAny(t.text[:1], "-0123456789"))
	if p.n >= len(p.tokens) || !t.quoted && !bare {
		return p.unexpected()
	}
	p.n++
	c.values = append(c.values, literal{t.text, t.quoted})
	return nil
}

func (p *parser) ordering() (list []ordering, err error) {
	if err := p.expect("BY"); err != nil {
		return nil, err
	}
	for range mostParts {
		path, err := p.path()
		if err != nil {
			return nil, err
		}
		o := ordering{path: path, down: p.take("DESC")}
		if !o.down {
			p.take("ASC")
		}
		if list = append(list, o); !p.take(",") {
			return list, nil
		}
	}
	return nil, p.unexpected()
}

// noColumn and noObject are the errors of names that the org does not know, or hides.
func noColumn(text string, t token, object string) error {
	return pointed("INVALID_FIELD", text, t.at, fmt.Sprintf("No such column '%s' on entity '%s'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.", t.text, object))
}

func noObject(text string, t token) error {
	return pointed("INVALID_TYPE", text, t.at, fmt.Sprintf("sObject type '%s' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.", t.text))
}
