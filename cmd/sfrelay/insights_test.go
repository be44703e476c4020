package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// insights runs a query of CloudWatch Logs Insights over log lines, as far as the queries of
// template.yaml go (CloudWatch Logs User Guide, "CloudWatch Logs Insights language query
// syntax"): filter, fields, stats, sort, limit. What it does not know is an error, and so is a
// field that no line has: CloudWatch would say nothing.
func insights(query string, lines []string) ([]map[string]any, error) {
	rows, known, err := records(lines)
	if err != nil {
		return nil, err
	}
	for _, command := range strings.Split(strings.TrimSpace(query), "\n") {
		command = strings.TrimPrefix(strings.TrimSpace(command), "| ")
		word, rest, _ := strings.Cut(command, " ")
		q := &insight{tokens: tokens.FindAllString(rest, -1), known: known}
		switch word {
		case "filter":
			test := q.or()
			rows = slices.DeleteFunc(rows, func(r map[string]any) bool { return !test(r) })
		case "fields":
			rows = q.fields(rows)
		case "stats":
			rows = q.stats(rows)
		case "sort":
			q.sort(rows)
		case "limit":
			n, err := strconv.Atoi(q.next())
			if err != nil || n < 1 {
				q.fail("limit wants a number")
			}
			rows = rows[:min(n, len(rows))]
		default:
			q.fail("unknown command " + word)
		}
		if q.err == nil && q.at < len(q.tokens) {
			q.fail("what is " + q.tokens[q.at])
		}
		if q.err != nil {
			return nil, fmt.Errorf("%s: %w", command, q.err)
		}
	}
	return rows, nil
}

// records are lines as Insights sees them: a member of a list by its place.
func records(lines []string) (rows []map[string]any, known map[string]bool, err error) {
	known = map[string]bool{"@timestamp": true, "@message": true, "@log": true}
	for _, text := range lines {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", text, err)
		}
		at, err := time.Parse(time.RFC3339, fmt.Sprint(line["time"]))
		if err != nil {
			return nil, nil, err
		}
		row := map[string]any{"@timestamp": float64(at.UnixMilli()), "@message": text, "@log": "group"}
		for name, v := range line {
			known[name] = true
			if list, is := v.([]any); is {
				for i, each := range list {
					row[fmt.Sprintf("%s.%d", name, i)] = each
				}
				continue
			}
			row[name] = v
		}
		rows = append(rows, row)
	}
	return rows, known, nil
}

var tokens = regexp.MustCompile("\"[^\"]*\"|/[^/]+/|`[^`]+`|[@\\w.-]+|\\*|!=|>=|<=|[=<>(),\\[\\]]")

// insight is one command as it is read.
type insight struct {
	tokens []string
	at     int
	known  map[string]bool
	err    error
}

func (q *insight) fail(why string) {
	if q.err == nil {
		q.err = fmt.Errorf("%s", why)
	}
}

func (q *insight) peek() string {
	if q.at < len(q.tokens) {
		return q.tokens[q.at]
	}
	return ""
}

func (q *insight) next() string {
	t := q.peek()
	q.at++
	return t
}

func (q *insight) take(word string) bool {
	if q.peek() == word {
		q.at++
		return true
	}
	return false
}

func (q *insight) want(word string) {
	if !q.take(word) {
		q.fail("want " + word + ", have " + q.peek())
	}
}

// field is a name that some line has.
func (q *insight) field() string {
	name := strings.Trim(q.next(), "`")
	if !q.known[name] {
		q.fail("no line has a field " + name)
	}
	return name
}

type test func(map[string]any) bool

func (q *insight) or() test {
	left := q.and()
	for q.take("or") {
		l, r := left, q.and()
		left = func(row map[string]any) bool { return l(row) || r(row) }
	}
	return left
}

func (q *insight) and() test {
	left := q.not()
	for q.take("and") {
		l, r := left, q.not()
		left = func(row map[string]any) bool { return l(row) && r(row) }
	}
	return left
}

func (q *insight) not() test {
	if q.take("not") {
		t := q.not()
		return func(row map[string]any) bool { return !t(row) }
	}
	if q.take("(") {
		t := q.or()
		q.want(")")
		return t
	}
	if q.take("ispresent") {
		q.want("(")
		name := q.field()
		q.want(")")
		return func(row map[string]any) bool { return row[name] != nil }
	}
	return q.comparison()
}

func (q *insight) comparison() test {
	name := q.field()
	switch op := q.next(); op {
	case "in":
		q.want("[")
		var all []any
		for {
			all = append(all, q.value())
			if !q.take(",") {
				break
			}
		}
		q.want("]")
		return func(row map[string]any) bool { return slices.Contains(all, row[name]) }
	case "like":
		form, err := regexp.Compile(strings.Trim(q.next(), "/"))
		if err != nil {
			q.fail(err.Error())
			return nil
		}
		return func(row map[string]any) bool { return row[name] != nil && form.MatchString(fmt.Sprint(row[name])) }
	case "=":
		v := q.value()
		return func(row map[string]any) bool { return row[name] == v }
	case ">":
		v := q.value()
		return func(row map[string]any) bool { return row[name] != nil && compared(row[name], v) > 0 }
	default:
		q.fail("unknown operator " + op)
		return nil
	}
}

func (q *insight) value() any {
	t := q.next()
	if n, err := strconv.ParseFloat(t, 64); err == nil {
		return n
	}
	if len(t) < 2 || t[0] != '"' {
		q.fail("a text stands in double quotes, not " + t)
	}
	return strings.Trim(t, `"`)
}

// compared sorts numbers before texts.
func compared(a, b any) int {
	x, isX := a.(float64)
	y, isY := b.(float64)
	switch {
	case isX && isY:
		return cmp.Compare(x, y)
	case isX != isY:
		return cmp.Compare(fmt.Sprint(isY), fmt.Sprint(isX))
	default:
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}
}

func (q *insight) fields(rows []map[string]any) (shown []map[string]any) {
	names := []string{q.field()}
	for q.take(",") {
		names = append(names, q.field())
	}
	for _, row := range rows {
		one := map[string]any{}
		for _, n := range names {
			if row[n] != nil {
				one[n] = row[n]
			}
		}
		shown = append(shown, one)
	}
	return shown
}

// measure is one function of stats.
type measure struct {
	name, of, as string
	percent      float64
}

func (q *insight) stats(rows []map[string]any) (groups []map[string]any) {
	measures := []measure{q.measure()}
	for q.take(",") {
		measures = append(measures, q.measure())
	}
	var by []string
	if q.take("by") {
		by = append(by, q.field())
		for q.take(",") {
			by = append(by, q.field())
		}
	}
	members := map[string][]map[string]any{}
	var order []string
	for _, row := range rows {
		var key strings.Builder
		for _, b := range by {
			fmt.Fprintf(&key, "%v\x00", row[b])
		}
		if members[key.String()] == nil {
			order = append(order, key.String())
		}
		members[key.String()] = append(members[key.String()], row)
	}
	clear(q.known) // behind stats there is nothing but its columns
	for _, b := range by {
		q.known[b] = true
	}
	for _, m := range measures {
		q.known[m.as] = true
	}
	for _, key := range order {
		group := map[string]any{}
		for _, b := range by {
			group[b] = members[key][0][b]
		}
		for _, m := range measures {
			if v := m.over(members[key]); v != nil {
				group[m.as] = v
			}
		}
		groups = append(groups, group)
	}
	return groups
}

func (q *insight) measure() (m measure) {
	m.name = q.next()
	q.want("(")
	if m.name == "count" {
		q.want("*")
	} else {
		m.of = q.field()
	}
	if m.name == "pct" {
		q.want(",")
		p, err := strconv.ParseFloat(q.next(), 64)
		if err != nil {
			q.fail(err.Error())
		}
		m.percent = p
	}
	q.want(")")
	q.want("as")
	m.as = q.next()
	if !slices.Contains([]string{"count", "sum", "min", "max", "pct", "latest"}, m.name) {
		q.fail("unknown function " + m.name)
	}
	return m
}

func (m measure) over(rows []map[string]any) any {
	if m.name == "count" {
		return float64(len(rows))
	}
	var values []any
	newest, latest := math.Inf(-1), any(nil)
	for _, row := range rows {
		v := row[m.of]
		if v == nil {
			continue
		}
		values = append(values, v)
		if at := row["@timestamp"].(float64); at >= newest {
			newest, latest = at, v
		}
	}
	if len(values) == 0 {
		return nil
	}
	slices.SortFunc(values, compared)
	switch m.name {
	case "latest":
		return latest
	case "min":
		return values[0]
	case "max":
		return values[len(values)-1]
	case "sum":
		total := 0.0
		for _, v := range values {
			n, _ := v.(float64)
			total += n
		}
		return total
	default: // pct, by the nearest rank
		return values[max(0, int(math.Ceil(m.percent/100*float64(len(values))))-1)]
	}
}

func (q *insight) sort(rows []map[string]any) {
	type key struct {
		name string
		desc bool
	}
	var keys []key
	for {
		k := key{name: q.field()}
		switch way := q.next(); way {
		case "asc":
		case "desc":
			k.desc = true
		default:
			q.fail("sort asc or desc, not " + way)
		}
		keys = append(keys, k)
		if !q.take(",") {
			break
		}
	}
	slices.SortStableFunc(rows, func(a, b map[string]any) int {
		for _, k := range keys {
			if c := compared(a[k.name], b[k.name]); c != 0 {
				if k.desc {
					return -c
				}
				return c
			}
		}
		return 0
	})
}
