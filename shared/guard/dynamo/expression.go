package dynamo

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sfrelay/shared/guard"
)

// printer turns a guard.Write into DynamoDB's expressions. Equal values share a
// placeholder: DynamoDB counts each against the size of the expression.
type printer struct {
	buf    []byte
	used   []guard.Value
	values map[string]types.AttributeValue
	names  map[string]string
	// These are there to be used; beyond them each value has memory of its own.
	numbers  []types.AttributeValueMemberN
	binaries []types.AttributeValueMemberB
}

func (p *printer) condition(c guard.Cond) string {
	p.cond(c, false)
	return string(p.buf)
}

func (p *printer) cond(c guard.Cond, inner bool) {
	switch c.Test {
	case guard.All, guard.Any:
		if len(c.Terms) == 1 {
			p.cond(c.Terms[0], inner)
			return
		}
		word := " AND "
		if c.Test == guard.Any {
			word = " OR "
		}
		if inner {
			p.buf = append(p.buf, '(')
		}
		for i, t := range c.Terms {
			if i > 0 {
				p.buf = append(p.buf, word...)
			}
			p.cond(t, true)
		}
		if inner {
			p.buf = append(p.buf, ')')
		}
	case guard.NoItem:
		p.call("attribute_not_exists(", KeyAttribute)
	case guard.Absent:
		p.call("attribute_not_exists(", c.Attr)
	default:
		p.name(c.Attr)
		p.buf = append(p.buf, operators[c.Test]...)
		p.value(c.Value)
	}
}

var operators = [...]string{guard.Equal: "=", guard.Differs: "<>", guard.Less: "<", guard.AtMost: "<="}

func (p *printer) call(function, attr string) {
	p.buf = append(p.buf, function...)
	p.name(attr)
	p.buf = append(p.buf, ')')
}

func (p *printer) update(w guard.Write) string {
	p.buf = append(p.buf[:0], "SET "...)
	for i, a := range w.Set {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.name(a.Attr)
		p.buf = append(p.buf, '=')
		switch a.Op {
		case guard.PutAbsent:
			p.ifNotExists(a)
		case guard.AddTo:
			p.ifNotExists(a)
			p.delta(a.Delta)
		case guard.Add:
			p.name(a.Attr)
			p.delta(a.Delta)
		default:
			p.value(a.Value)
		}
	}
	for i, name := range w.Remove {
		if i == 0 {
			p.buf = append(p.buf, " REMOVE "...)
		} else {
			p.buf = append(p.buf, ',')
		}
		p.name(name)
	}
	return string(p.buf)
}

func (p *printer) ifNotExists(a guard.Assign) {
	p.buf = append(p.buf, "if_not_exists("...)
	p.name(a.Attr)
	p.buf = append(p.buf, ',')
	p.value(a.Value)
	p.buf = append(p.buf, ')')
}

func (p *printer) delta(n int64) {
	sign := byte('+')
	if n < 0 {
		sign, n = '-', -n
	}
	p.buf = append(p.buf, sign)
	p.value(guard.Value{Kind: guard.Number, Num: n})
}

// name prints an attribute's name. The guard's own are single letters, none of
// them reserved; a field's begins with a dot and needs a placeholder.
func (p *printer) name(attr string) {
	if attr == KeyAttribute || len(attr) == 1 {
		p.buf = append(p.buf, attr...)
		return
	}
	for placeholder, name := range p.names {
		if name == attr {
			p.buf = append(p.buf, placeholder...)
			return
		}
	}
	if p.names == nil {
		p.names = make(map[string]string)
	}
	placeholder := placeholder('#', len(p.names))
	p.names[placeholder] = attr
	p.buf = append(p.buf, placeholder...)
}

func (p *printer) value(v guard.Value) {
	i := 0
	for i < len(p.used) && p.used[i] != v {
		i++
	}
	placeholder := placeholder(':', i)
	if i == len(p.used) {
		p.used = append(p.used, v)
		if p.values == nil {
			p.values = make(map[string]types.AttributeValue, 8) // as many as one group of a map holds
		}
		p.values[placeholder] = p.attribute(v)
	}
	p.buf = append(p.buf, placeholder...)
}

// placeholder is the name of the i-th value or attribute name.
func placeholder(kind byte, i int) string {
	const most = 10 // the guard's own values, and a few fields
	const values, names = ":0:1:2:3:4:5:6:7:8:9", "#0#1#2#3#4#5#6#7#8#9"
	switch {
	case i >= most:
		return string(kind) + strconv.Itoa(i)
	case kind == '#':
		return names[2*i : 2*i+2]
	default:
		return values[2*i : 2*i+2]
	}
}

func (p *printer) attribute(v guard.Value) types.AttributeValue {
	switch v.Kind {
	case guard.Number:
		n := next(&p.numbers)
		n.Value = strconv.FormatInt(v.Num, 10)
		return n
	case guard.Binary:
		b := next(&p.binaries)
		b.Value = []byte(v.Str)
		return b
	default:
		return &types.AttributeValueMemberS{Value: v.Str}
	}
}

// next takes one of what is there, or a new one.
func next[T any](left *[]T) *T {
	if len(*left) == 0 {
		*left = make([]T, 1)
	}
	one := &(*left)[0]
	*left = (*left)[1:]
	return one
}
