// Package failures knows what the page about failures says of each class.
package failures

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"sfrelay/docs"
	"sfrelay/shared/verdict"
)

// Entry is what the page says of a class.
type Entry struct {
	Class   verdict.Class
	Group   string // heading
	Happens string // what happened, or what is wrong
	Do      string // what to do; empty where the group says it
	Of      string // what the group says of all of its classes
}

var (
	heading = regexp.MustCompile(`^#{2,3} (.*)`)
	row     = regexp.MustCompile("^\\| (`[^|]+?`(?:, `[^|]+?`)*) \\| ([^|]*?) \\|(?: ([^|]*?) \\|)?$")
	code    = regexp.MustCompile("`([^`]+)`")
	link    = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
)

var page = read(docs.Failures)

func read(text string) map[verdict.Class]Entry {
	entries := map[verdict.Class]Entry{}
	group, above, permanent := "", "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := heading.FindStringSubmatch(line); m != nil {
			if strings.HasPrefix(line, "## ") {
				permanent = strings.Contains(m[1], string(verdict.Permanent("")))
			}
			group, above = plain(m[1]), ""
			continue
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			if line != "" && !strings.HasPrefix(line, "|") {
				above = strings.TrimSpace(above + " " + plain(line))
			}
			continue
		}
		for _, c := range code.FindAllStringSubmatch(m[1], -1) {
			class := verdict.Class(c[1])
			if permanent && !class.IsPermanent() {
				class = verdict.Permanent(c[1])
			}
			entries[class] = Entry{Class: class, Group: group, Happens: plain(m[2]), Do: plain(m[3]), Of: above}
		}
	}
	return entries
}

// plain is a text of the page without its marks.
func plain(s string) string {
	return strings.NewReplacer("`", "", "**", "").Replace(link.ReplaceAllString(s, "$1"))
}

// Of is what the page says of a class. Where it has no row, as for the codes of Stripe, ok is
// false.
func Of(class verdict.Class) (e Entry, ok bool) {
	e, ok = page[class]
	return e, ok
}

// Classes are all that the page knows, in order.
func Classes() []string {
	var all []string
	for c := range page {
		all = append(all, string(c))
	}
	slices.SortFunc(all, func(a, b string) int {
		pa, pb := strings.Contains(a, "/"), strings.Contains(b, "/")
		switch {
		case pa != pb && pa:
			return 1
		case pa != pb:
			return -1
		}
		return cmp.Compare(a, b)
	})
	return all
}

// Known reports whether the page knows the class, or it stands for several that it knows.
func Known(class string) bool {
	if class == "permanent" {
		return true
	}
	_, ok := page[verdict.Class(class)]
	return ok
}

// Closest is the class that a mistyped one may mean; empty where none is near.
func Closest(class string) string {
	best, least := "", len(class)/3+1
	for _, c := range append(Classes(), "permanent") {
		if d := distance(class, c); d < least {
			best, least = c, d
		}
		if name := verdict.Class(c).Name(); name == class {
			return c
		}
	}
	return best
}

// distance is how many letters have to be changed, put in or left out.
func distance(a, b string) int {
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		this := make([]int, len(b)+1)
		this[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			this[j+1] = min(change, last[j+1]+1, this[j]+1)
		}
		last = this
	}
	return last[len(b)]
}
