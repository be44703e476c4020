// Package samconfig writes values into samconfig.toml, where sam deploy reads them. It edits
// lines: all else, comments too, stays byte for byte. A file of another form is refused with
// the line to write by hand.
package samconfig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Parameter is one of the stack.
type Parameter struct{ Name, Value string }

// Edit is what is written; what is empty stays as it is.
type Edit struct {
	Environment string // of the file, e.g. default
	StackName   string
	Region      string
	Parameters  []Parameter
}

// Apply returns the text with the edit. An environment that is not there begins as a copy of
// default without its region, its parameters and its stack's name.
func Apply(text string, e Edit) (string, error) {
	if !plainName.MatchString(e.Environment) {
		return "", fmt.Errorf("the environment %q: want letters, digits and hyphens", e.Environment)
	}
	f, err := read(text)
	if err != nil {
		return "", err
	}
	if !f.has(e.Environment) {
		if err := f.copyDefault(e.Environment); err != nil {
			return "", err
		}
	}
	var edits []func(*file) error
	for _, s := range []struct{ section, key, value string }{{"global", "stack_name", e.StackName}, {"deploy", "region", e.Region}} {
		if s.value != "" {
			edits = append(edits, func(f *file) error { return f.setKey(e.Environment+"."+s.section+".parameters", s.key, s.value) })
		}
	}
	for _, p := range e.Parameters {
		if p.Value != "" {
			edits = append(edits, func(f *file) error { return f.setParameter(e.Environment, p) })
		}
	}
	for _, edit := range edits { // each alone first: so a refusal names the line as it stands in the file
		if err := edit(&file{slices.Clone(f.lines), f.eol}); err != nil {
			return "", err
		}
	}
	for _, edit := range edits {
		if err := edit(f); err != nil {
			return "", err
		}
	}
	return strings.Join(f.lines, f.eol), nil
}

// Value is what a parameter has in an environment; empty where the file does not say it.
func Value(text, environment, name string) string {
	f, err := read(text)
	if err != nil {
		return ""
	}
	from, to, err := f.overrides(environment, name)
	if err != nil {
		return ""
	}
	for i := from; i < to; i++ {
		if m := entry.FindStringSubmatch(f.lines[i]); m != nil && m[live] == "" && m[called] == name {
			return m[valued]
		}
	}
	return ""
}

var (
	plainName  = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	plainValue = regexp.MustCompile(`^[A-Za-z0-9./:_,@-]+$`)
	header     = regexp.MustCompile(`^\[([A-Za-z0-9_.-]+)\]\s*(#.*)?$`)
	entry      = regexp.MustCompile(`^(\s*)(#\s*)?"([A-Za-z0-9]+)=([^"\\]*)"(,?)(\s*#.*|\s*)$`)
	opened     = regexp.MustCompile(`^(#\s*)?parameter_overrides\s*=\s*\[\s*(#.*)?$`)
	closed     = regexp.MustCompile(`^(#)?\s*\]\s*(#.*)?$`)
)

// The groups of entry.
const (
	indent = iota + 1
	live   // empty: it counts
	called
	valued
	comma
	rest
)

type file struct {
	lines []string
	eol   string
}

func read(text string) (*file, error) {
	f := &file{eol: "\n"}
	if strings.Contains(text, "\r\n") {
		f.eol = "\r\n"
	}
	if strings.Contains(text, `"""`) || strings.Contains(text, "'''") {
		return nil, byHand("it has a text of several lines")
	}
	f.lines = strings.Split(text, f.eol)
	return f, nil
}

// byHand is the refusal of a form that is not read, with what to write.
func byHand(why string, lines ...string) error {
	s := "samconfig.toml has another form than this command can change: " + why
	if len(lines) > 0 {
		s += "; write by hand: " + strings.Join(lines, " ")
	}
	return fmt.Errorf("%s", s)
}

// has reports whether there is a table of the environment.
func (f *file) has(environment string) bool {
	return slices.ContainsFunc(f.lines, func(l string) bool { return strings.HasPrefix(l, "["+environment+".") })
}

// section is where the lines of a table stand, without its header.
func (f *file) section(name string) (from, to int, found bool) {
	for i, l := range f.lines {
		m := header.FindStringSubmatch(l)
		switch {
		case m != nil && m[1] == name:
			from, to, found = i+1, len(f.lines), true
		case strings.HasPrefix(l, "[") && found:
			return from, i, true
		}
	}
	return from, to, found
}

// setKey sets a text. One that is commented out is taken for the place of the new one.
func (f *file) setKey(section, key, value string) error {
	line := key + ` = "` + value + `"`
	if !plainValue.MatchString(value) {
		return fmt.Errorf("%s: %q has characters that need quotes", key, value)
	}
	from, to, found := f.section(section)
	if !found {
		return byHand("it has no table ["+section+"]", "["+section+"]", line)
	}
	form := regexp.MustCompile(`^(#\s*)?` + key + `\s*=\s*"[^"\\]*"(\s*#.*)?$`)
	place := -1
	for i := from; i < to; i++ {
		switch m := form.FindStringSubmatch(f.lines[i]); {
		case m == nil && regexp.MustCompile(`^\s*`+key+`\b`).MatchString(f.lines[i]):
			return byHand(fmt.Sprintf("line %d sets %s otherwise", i+1, key), line)
		case m == nil:
		case m[1] == "":
			f.lines[i] = line + m[2]
			return nil
		case place < 0:
			place = i
		}
	}
	if place >= 0 {
		f.lines[place] = line
		return nil
	}
	f.lines = slices.Insert(f.lines, from, line)
	return nil
}

// overrides is where the entries of parameter_overrides stand, -1 if there are none. One that
// is commented out is found too, after one that counts.
func (f *file) overrides(environment, name string) (from, to int, err error) {
	section := environment + ".deploy.parameters"
	hand := `"` + name + `=…", in parameter_overrides of [` + section + `]`
	first, end, found := f.section(section)
	if !found {
		return 0, 0, byHand("it has no table ["+section+"]", hand)
	}
	at, off := -1, -1
	for i := first; i < end; i++ {
		switch m := opened.FindStringSubmatch(f.lines[i]); {
		case m != nil && m[1] == "":
			at = i
		case m != nil && off < 0:
			off = i
		case m == nil && regexp.MustCompile(`^\s*parameter_overrides\b`).MatchString(f.lines[i]):
			return 0, 0, byHand(fmt.Sprintf("parameter_overrides in line %d is no list with one entry in each line", i+1), hand)
		}
	}
	if at < 0 {
		at = off
	}
	if at < 0 {
		return -1, -1, nil
	}
	asComment := strings.HasPrefix(f.lines[at], "#")
	for i := at + 1; i < end; i++ {
		l := f.lines[i]
		switch m := closed.FindStringSubmatch(l); {
		case m != nil && (m[1] != "") == asComment:
			return at + 1, i, nil
		case asComment && !strings.HasPrefix(l, "#"), !asComment && !entry.MatchString(l) && strings.TrimSpace(l) != "" && !strings.HasPrefix(strings.TrimSpace(l), "#"):
			return 0, 0, byHand(fmt.Sprintf("line %d in parameter_overrides is no entry of one line", i+1), hand)
		}
	}
	return 0, 0, byHand(fmt.Sprintf("parameter_overrides in line %d has no end", at+1), hand)
}

// setParameter sets an entry. A new one stands first: so no line after it needs a comma.
func (f *file) setParameter(environment string, p Parameter) error {
	if !plainName.MatchString(p.Name) || !plainValue.MatchString(p.Value) {
		return fmt.Errorf("the parameter %s: %q has characters that need quotes", p.Name, p.Value)
	}
	line := `"` + p.Name + "=" + p.Value + `",`
	from, to, err := f.overrides(environment, p.Name)
	if err != nil {
		return err
	}
	if from < 0 {
		at := f.lastKey(environment)
		f.lines = slices.Insert(f.lines, at, "parameter_overrides = [", "  "+line, "]")
		return nil
	}
	for _, i := range []int{from - 1, to} { // a list that is commented out begins to count; its entries do not
		if strings.HasPrefix(f.lines[i], "#") {
			f.lines[i] = strings.TrimLeft(f.lines[i], "# ")
		}
	}
	place := -1
	for i := from; i < to; i++ {
		m := entry.FindStringSubmatch(f.lines[i])
		if m == nil || m[called] != p.Name {
			continue
		}
		if m[live] == "" {
			f.lines[i] = m[indent] + strings.TrimSuffix(line, ",") + m[comma] + m[rest]
			return nil
		}
		if place < 0 {
			place = i
		}
	}
	if place >= 0 {
		f.lines[place] = "  " + line + entry.FindStringSubmatch(f.lines[place])[rest]
		f.fitComma(from, place)
		return nil
	}
	f.lines = slices.Insert(f.lines, from, "  "+line)
	return nil
}

// fitComma gives the entry before a new one the comma that it needs now.
func (f *file) fitComma(from, place int) {
	for i := place - 1; i >= from; i-- {
		if m := entry.FindStringSubmatch(f.lines[i]); m != nil && m[live] == "" {
			f.lines[i] = fmt.Sprintf(`%s"%s=%s",%s`, m[indent], m[called], m[valued], m[rest])
			return
		}
	}
}

// lastKey is the line after the last one that says something in the table of deploy.
func (f *file) lastKey(environment string) int {
	from, to, _ := f.section(environment + ".deploy.parameters")
	at := from
	for i := from; i < to; i++ {
		if l := strings.TrimSpace(f.lines[i]); l != "" && !strings.HasPrefix(l, "#") {
			at = i + 1
		}
	}
	return at
}

// copyDefault adds the tables of default under another name.
func (f *file) copyDefault(environment string) error {
	added := []string{}
	for i := 0; i < len(f.lines); i++ {
		m := header.FindStringSubmatch(f.lines[i])
		if m == nil || !strings.HasPrefix(m[1], "default.") {
			continue
		}
		from, to, _ := f.section(m[1])
		added = append(added, "", "["+environment+strings.TrimPrefix(m[1], "default")+"]")
		inList := false
		for _, l := range f.lines[from:to] {
			own := regexp.MustCompile(`^\s*(region|stack_name)\s*=`).MatchString(l)
			inList = inList || regexp.MustCompile(`^\s*parameter_overrides\s*=`).MatchString(l)
			if said := strings.TrimSpace(l); said != "" && !strings.HasPrefix(said, "#") && !own && !inList {
				added = append(added, l)
			}
			inList = inList && !strings.Contains(l, "]")
		}
	}
	if len(added) == 0 {
		return byHand("it has no environment default to copy", "["+environment+".deploy.parameters]")
	}
	for len(f.lines) > 0 && f.lines[len(f.lines)-1] == "" {
		f.lines = f.lines[:len(f.lines)-1]
	}
	f.lines = append(append(f.lines, added...), "")
	return nil
}

// Changes are the lines that differ, with - before the old and + before the new ones.
func Changes(before, after string) (lines []string) {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	same := make([][]int, len(a)+1) // longest common part of a[i:] and b[j:]
	for i := range same {
		same[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				same[i][j] = same[i+1][j+1] + 1
			} else {
				same[i][j] = max(same[i+1][j], same[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || same[i+1][j] >= same[i][j+1]):
			lines, i = append(lines, "- "+strings.TrimSuffix(a[i], "\r")), i+1
		default:
			lines, j = append(lines, "+ "+strings.TrimSuffix(b[j], "\r")), j+1
		}
	}
	return lines
}
