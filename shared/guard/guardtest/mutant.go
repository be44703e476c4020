package guardtest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sfrelay/shared/guard"
)

// Mutant is one clause of one of the protocol's writes, changed for the worse. A test
// suite that stays green with it has not tested that clause.
type Mutant struct {
	Policy string
	Write  guard.WriteName
	Clause string // e.g. "if u<=", "set n", "remove w"
	Change string // "dropped", "flipped", "always", "never grows", "overwrites"
}

func (m Mutant) String() string {
	return fmt.Sprintf("%s, %s: %s %s", m.Policy, m.Write, m.Clause, m.Change)
}

// ParseMutant reads what String wrote.
func ParseMutant(s string) (Mutant, error) {
	policy, rest, ok1 := strings.Cut(s, ", ")
	write, rest, ok2 := strings.Cut(rest, ": ")
	for _, change := range []string{"dropped", "flipped", "always", "never grows", "overwrites"} {
		if clause, ok := strings.CutSuffix(rest, " "+change); ok && ok1 && ok2 {
			return Mutant{policy, guard.WriteName(write), clause, change}, nil
		}
	}
	return Mutant{}, fmt.Errorf("guardtest: %q is no mutant", s)
}

// Mutants are all mutants of a write.
func Mutants(policy guard.Policy, w guard.Write) []Mutant {
	var all []Mutant
	add := func(clause, change string) {
		if m := (Mutant{policy.String(), w.Name, clause, change}); !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	var walk func(c guard.Cond)
	walk = func(c guard.Cond) {
		for _, t := range c.Terms {
			walk(t)
		}
		if c.Test > guard.Any {
			add(clauseOf(c), "dropped")
			if _, ok := flipped[c.Test]; ok {
				add(clauseOf(c), "flipped")
			}
		}
	}
	walk(w.If)
	for _, a := range w.Set {
		clause := "set " + attrClass(a.Attr)
		add(clause, "dropped")
		switch a.Op {
		case guard.AddTo, guard.Add:
			add(clause, "never grows")
		case guard.PutAbsent:
			add(clause, "overwrites")
		}
	}
	for _, r := range w.Remove {
		add("remove "+r, "dropped")
	}
	if len(w.Remove) == 0 && w.Name != guard.Claim {
		add("remove w", "always")
	}
	return all
}

var flipped = map[guard.Test]guard.Test{
	guard.Less: guard.AtMost, guard.AtMost: guard.Less, guard.Equal: guard.Differs, guard.Differs: guard.Equal,
}

var symbol = map[guard.Test]string{
	guard.NoItem: "no item", guard.Absent: "absent", guard.Equal: "=", guard.Differs: "<>", guard.Less: "<", guard.AtMost: "<=",
}

// attrClass is the attribute's name; all fields are one.
func attrClass(attr string) string {
	if strings.HasPrefix(attr, ".") {
		return ".field"
	}
	return attr
}

func clauseOf(c guard.Cond) string {
	return strings.TrimSpace("if " + attrClass(c.Attr) + symbol[c.Test])
}

// Apply makes the write worse, if the mutant is about it.
func (m Mutant) Apply(w guard.Write) guard.Write {
	if w.Name != m.Write {
		return w
	}
	w.If = m.cond(w.If, guard.All)
	var set []guard.Assign
	for _, a := range w.Set {
		if m.Clause == "set "+attrClass(a.Attr) {
			switch m.Change {
			case "dropped":
				continue
			case "never grows":
				a.Delta = 0
			case "overwrites":
				a.Op = guard.Put
			}
		}
		set = append(set, a)
	}
	w.Set = set
	if after, ok := strings.CutPrefix(m.Clause, "remove "); ok {
		switch m.Change {
		case "dropped":
			w.Remove = slices.DeleteFunc(slices.Clone(w.Remove), func(r string) bool { return r == after })
		case "always":
			if !slices.Contains(w.Remove, after) {
				w.Remove = append(slices.Clone(w.Remove), after)
			}
		}
	}
	return w
}

// cond changes the clause wherever it stands. A dropped one holds inside of an "and"
// and does not inside of an "or": that is what its removal means.
func (m Mutant) cond(c guard.Cond, inside guard.Test) guard.Cond {
	if c.Test <= guard.Any {
		terms := make([]guard.Cond, len(c.Terms))
		for i, t := range c.Terms {
			terms[i] = m.cond(t, c.Test)
		}
		if len(terms) > 0 {
			c.Terms = terms
		}
		return c
	}
	if clauseOf(c) != m.Clause {
		return c
	}
	if m.Change == "flipped" {
		c.Test = flipped[c.Test]
		return c
	}
	return guard.Cond{Test: inside}
}

// Mutated is a store that makes every write worse before it is carried out.
func Mutated(s guard.Store, m Mutant) guard.Store { return &mutated{s, m} }

type mutated struct {
	guard.Store
	m Mutant
}

func (s *mutated) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	return s.Store.Write(ctx, s.m.Apply(w))
}
