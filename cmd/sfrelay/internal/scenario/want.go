package scenario

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sfrelay/shared/verdict"
)

// expectation is what one event shall come to at one consumer: a list of verdicts,
// one for each record it speaks of, and one more after a redrive.
type expectation struct {
	text  string
	slots []slot
}

// slot is one verdict. More than one allowed verdict means that the order in which
// concurrent invocations come decides.
type slot struct {
	allowed []verdict.Verdict
	class   verdict.Class // empty: any
}

// parseExpectation reads e.g. "applied", "3 applied", "applied | stale",
// "parked (needs-fetch), applied".
func parseExpectation(text string) (expectation, error) {
	e := expectation{text: text}
	for part := range strings.SplitSeq(text, ",") {
		m := partSyntax.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return e, fmt.Errorf("%q is no verdict; write e.g. %q, %q, %q or %q", part,
				verdict.Applied, "3 applied", "applied | stale", "parked (needs-fetch), applied")
		}
		count := 1
		if m[1] != "" {
			var err error
			if count, err = strconv.Atoi(m[1]); err != nil {
				return e, err
			}
		}
		s := slot{class: verdict.Class(m[3])}
		for v := range strings.SplitSeq(m[2], "|") {
			s.allowed = append(s.allowed, verdict.Verdict(strings.TrimSpace(v)))
		}
		for range count {
			e.slots = append(e.slots, s)
		}
	}
	// Those that leave the least choice first, so that taking the first that fits is right.
	slices.SortStableFunc(e.slots, func(a, b slot) int { return a.choice() - b.choice() })
	return e, nil
}

var partSyntax = regexp.MustCompile(`^(?:(\d{1,3}) )?([a-z-]+(?: *\| *[a-z-]+)*)(?: \(([^()]+)\))?$`)

func (s slot) choice() int {
	if s.class == "" {
		return 2 * len(s.allowed)
	}
	return 2*len(s.allowed) - 1
}

// seen is a verdict as it came, with its class.
type seen struct {
	verdict verdict.Verdict
	class   verdict.Class
}

func (s seen) String() string {
	if s.class == "" {
		return string(s.verdict)
	}
	return string(s.verdict) + " (" + string(s.class) + ")"
}

// met reports whether the verdicts are those expected, in any order.
func (e expectation) met(got []seen) bool {
	if len(got) != len(e.slots) {
		return false
	}
	left := slices.Clone(got)
	for _, s := range e.slots {
		i := slices.IndexFunc(left, func(v seen) bool {
			return slices.Contains(s.allowed, v.verdict) && (s.class == "" || s.class == v.class)
		})
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// open reports whether the order of concurrent invocations decides.
func (e expectation) open() bool {
	return slices.ContainsFunc(e.slots, func(s slot) bool { return len(s.allowed) > 1 })
}

// differences compares a state with what was wanted. Of an object only the members
// that are named are compared, null meaning absent or null; of an array the length
// and, in any order, the elements. Numbers are compared as written.
func differences(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: want an object, is %s", path, text(got))}
		}
		var all []string
		for _, name := range sorted(w) {
			all = append(all, differences(path+"/"+name, w[name], g[name])...)
		}
		return all
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s: want %d elements, are %s", path, len(w), text(got))}
		}
		return unordered(path, w, g)
	default:
		if text(want) != text(got) {
			return []string{fmt.Sprintf("%s: want %s, is %s", path, text(want), text(got))}
		}
		return nil
	}
}

// unordered pairs wanted elements with those found: first that fits. The rest is
// reported against the closest one.
func unordered(path string, want, got []any) []string {
	left := slices.Clone(got)
	var missing []int
	for i, w := range want {
		j := slices.IndexFunc(left, func(g any) bool { return len(differences("", w, g)) == 0 })
		if j < 0 {
			missing = append(missing, i)
			continue
		}
		left = slices.Delete(left, j, j+1)
	}
	var all []string
	for _, i := range missing {
		var closest []string
		for _, g := range left {
			d := differences(fmt.Sprintf("%s/%d", path, i), want[i], g)
			if closest == nil || len(d) < len(closest) {
				closest = d
			}
		}
		all = append(all, closest...)
	}
	return all
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	const most = 200
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
