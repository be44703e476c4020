package orgsandbox

import (
	"cmp"
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

// reader carries out one statement at one time.
type reader struct {
	org     *Org
	text    string
	version string
	path    string // of sobjects in the attributes' URLs
	now     time.Time
	binned  bool // queryAll: rows of the recycle bin too
}

// run gives the rows of a statement, or their number.
func (r *reader) run(s *statement) (rows []pairs, count int, err error) {
	o := r.org.visible(s.from.text)
	if o == nil {
		return nil, 0, noObject(r.text, s.from)
	}
	found, err := r.matching(o, s, r.org.order[o.name])
	if err != nil || s.count {
		return nil, len(found), err
	}
	if s.all {
		s.fields = r.everything(o)
	}
	for _, rec := range found {
		row, err := r.row(o, rec, s.fields)
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, row)
	}
	if len(found) == 0 { // names are checked without rows too
		_, err = r.row(o, nil, s.fields)
	}
	return rows, len(found), err
}

// visible finds an object that queries know; names have no case.
func (s *Org) visible(name string) *object {
	for _, o := range s.objects {
		if strings.EqualFold(o.name, name) && !o.event {
			return o
		}
	}
	return nil
}

func (r *reader) everything(o *object) (fields []selected) {
	for _, f := range o.fields {
		if !r.org.hidden[o.name+"."+f.name] {
			fields = append(fields, selected{path: []token{{text: f.name}}})
		}
	}
	return fields
}

func (r *reader) matching(o *object, s *statement, rows []*record) (found []*record, err error) {
	for _, c := range s.where {
		if err := r.simple(o, c.path, "filtered"); err != nil {
			return nil, err
		}
	}
	for _, rec := range rows {
		v := rec.at(r.now)
		if v == nil || v.deleted && !r.binned {
			continue
		}
		fits := true
		for _, c := range s.where {
			got, err := r.value(o, v, c.path)
			if err != nil {
				return nil, err
			}
			fits = fits && c.holds(got)
		}
		if fits {
			found = append(found, rec)
		}
	}
	for _, by := range slices.Backward(s.order) {
		if err := r.simple(o, by.path, "sorted"); err != nil {
			return nil, err
		}
		slices.SortStableFunc(found, func(a, b *record) int {
			x, _ := r.value(o, a.at(r.now), by.path) // the path was checked
			y, _ := r.value(o, b.at(r.now), by.path)
			if by.down {
				x, y = y, x
			}
			return compare(x, y)
		})
	}
	if s.limit >= 0 && len(found) > s.limit {
		found = found[:s.limit]
	}
	return found, nil
}

// simple refuses a path that leads nowhere, or to an address.
func (r *reader) simple(o *object, path []token, how string) error {
	got, err := r.value(o, nil, path)
	if _, compound := got.(pairs); err == nil && compound {
		last := path[len(path)-1]
		return pointed("INVALID_FIELD", r.text, last.at, "field '"+last.text+"' can not be "+how+" in a query call")
	}
	return err
}

// value follows a path of references to a field; nil where one of them is empty, but for
// an address, which is an object then too.
func (r *reader) value(o *object, v *state, path []token) (any, error) {
	for i, t := range path {
		if i == len(path)-1 {
			f := o.field(t.text)
			if f == nil || r.org.hidden[o.name+"."+f.name] {
				return nil, noColumn(r.text, t, o.name)
			}
			switch {
			case f.kind == "address" && v == nil:
				return pairs{}, nil
			case f.kind == "address":
				return r.compound(o, f, v), nil
			case v == nil:
				return nil, nil
			}
			return v.values[f.name], nil
		}
		f := o.reference(t.text)
		if f == nil {
			return nil, pointed("INVALID_FIELD", r.text, t.at, "Didn't understand relationship '"+t.text+"' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.")
		}
		var parent *state
		if v != nil {
			if id, _ := v.values[f.name].(string); id != "" && r.org.find(id) != nil {
				parent = r.org.find(id).at(r.now)
			}
		}
		o, v = r.org.objects[f.parent], parent
	}
	return nil, nil
}

// compound is an address as REST shows it, with keys in lower case.
func (r *reader) compound(o *object, f *field, v *state) any {
	address, filled := pairs{}, false
	for _, part := range []string{"City", "Country", "PostalCode", "State", "Street"} {
		name := strings.TrimSuffix(f.name, "Address") + part
		value := v.values[name]
		if r.org.hidden[o.name+"."+name] {
			value = nil
		}
		filled = filled || value != nil
		address = append(address, pair{strings.ToLower(part[:1]) + part[1:], value})
	}
	if !filled {
		return nil
	}
	return append(address, pair{"geocodeAccuracy", nil}, pair{"latitude", nil}, pair{"longitude", nil})
}

func (r *reader) attributes(o *object, id string) pair {
	return pair{"attributes", pairs{{"type", o.name}, {"url", "/services/data/" + r.version + r.path + "/sobjects/" + o.name + "/" + id}}}
}

// row is a record with the columns of a query; parents and children are objects in it.
// Without a record it only checks the names.
func (r *reader) row(o *object, rec *record, columns []selected) (pairs, error) {
	var v *state
	id := ""
	if rec != nil {
		v, id = rec.at(r.now), rec.id
	}
	row := pairs{r.attributes(o, id)}
	for _, c := range columns {
		if c.sub != nil {
			children, err := r.children(o, id, c.sub)
			if err != nil {
				return nil, err
			}
			row = append(row, children)
			continue
		}
		got, err := r.value(o, v, c.path)
		if err != nil {
			return nil, err
		}
		row = r.place(row, o, v, c.path, shown(got, restTime))
	}
	return row, nil
}

// place puts a value where its path leads; a parent that is not there is null.
func (r *reader) place(row pairs, o *object, v *state, path []token, value any) pairs {
	if len(path) == 1 {
		return append(row, pair{o.field(path[0].text).name, value})
	}
	f := o.reference(path[0].text)
	id := ""
	if v != nil {
		id, _ = v.values[f.name].(string)
	}
	parent := r.org.find(id)
	if id == "" || parent == nil {
		if row.get(f.relation) == nil {
			return append(row, pair{f.relation, nil})
		}
		return row
	}
	above := r.org.objects[f.parent]
	for i, m := range row {
		if m.name == f.relation && m.value != nil {
			row[i].value = r.place(m.value.(pairs), above, parent.at(r.now), path[1:], value)
			return row
		}
	}
	return append(row, pair{f.relation, r.place(pairs{r.attributes(above, parent.id)}, above, parent.at(r.now), path[1:], value)})
}

// children is the result of a sub-select for one row, null where there are none. It has
// pages of its own.
func (r *reader) children(o *object, id string, s *statement) (pair, error) {
	i := slices.IndexFunc(o.children, func(c child) bool { return strings.EqualFold(c.relation, s.from.text) })
	if i < 0 {
		return pair{}, pointed("INVALID_TYPE", r.text, s.from.at, "Didn't understand relationship '"+s.from.text+"' in FROM part of query call. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.")
	}
	c := o.children[i]
	under := *s
	under.from = token{text: c.object, at: s.from.at}
	under.where = append([]condition{{path: []token{{text: c.field}}, operator: "=", values: []literal{{id, true}}}}, s.where...)
	rows, _, err := r.run(&under)
	if err != nil || len(rows) == 0 {
		return pair{c.relation, nil}, err
	}
	return pair{c.relation, r.org.page(rows, r.version, "query")}, nil
}

// holds compares a value with those of a condition. An empty value equals null only.
func (c *condition) holds(got any) bool {
	if c.operator == "IN" {
		return slices.ContainsFunc(c.values, func(l literal) bool { return equal(got, l) })
	}
	l := c.values[0]
	switch c.operator {
	case "=":
		return equal(got, l)
	case "!=":
		return !equal(got, l)
	}
	if got == nil {
		return false
	}
	order := compare(got, typedLike(got, l))
	return order < 0 && c.operator[0] == '<' || order > 0 && c.operator[0] == '>' || order == 0 && len(c.operator) == 2
}

func equal(got any, l literal) bool {
	if !l.quoted && strings.EqualFold(l.text, "null") {
		return got == nil
	}
	if got == nil {
		return false
	}
	if text, is := got.(string); is && len(text) == 18 && len(l.text) == 15 {
		return text[:15] == l.text // an id, whose case counts
	} else if is {
		return strings.EqualFold(text, l.text)
	}
	return compare(got, typedLike(got, l)) == 0
}

// typedLike reads a literal as what it is compared with.
func typedLike(got any, l literal) any {
	switch got.(type) {
	case json.Number:
		return json.Number(l.text)
	case bool:
		return strings.EqualFold(l.text, "true")
	case time.Time:
		for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z0700"} {
			if t, err := time.Parse(form, l.text); err == nil {
				return t
			}
		}
		return time.Time{}
	}
	return l.text
}

// compare orders values of one type; empty ones come first.
func compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	switch x := a.(type) {
	case json.Number:
		n, m := exact(x), exact(b.(json.Number))
		if n == nil || m == nil {
			return -1
		}
		return n.Cmp(m)
	case bool:
		return cmp.Compare(btoi(x), btoi(b.(bool)))
	case time.Time:
		return x.Compare(b.(time.Time))
	case string:
		y, _ := b.(string)
		return cmp.Compare(strings.ToLower(x), strings.ToLower(y))
	}
	return 0
}

// exact reads a number; one with an exponent, which could fill the memory, is none.
func exact(n json.Number) *big.Rat {
	if strings.ContainsAny(string(n), "eE/") {
		return nil
	}
	r, _ := new(big.Rat).SetString(string(n))
	return r
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// asks reads a query's text from the request.
func (s *Org) asks(c *call) (*statement, error) {
	q := c.URL.Query().Get("q")
	if q == "" {
		return nil, refuse(http.StatusBadRequest, "MALFORMED_QUERY", "A query string has to be specified")
	}
	return parse(q)
}
