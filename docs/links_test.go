package docs_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// toBeMade are files that the documents tell a reader to make.
var toBeMade = []string{
	"functions/returns.go", "functions/returns_test.go", "functions/returns-erp/main.go",
	"events/51-stock-return.json", "events/explain/51-stock-return.json",
}

// A link or a path in a document that leads nowhere is a mistake of the document.
func TestLinksAndPathsExist(t *testing.T) {
	r := repository{os.DirFS("..")}
	base := r.baseNames(t)
	checked := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", ".github/*.md", ".github/*/*.md"} {
		names, err := fs.Glob(r.FS, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if name == "CHANGELOG.md" { // speaks of the past
				continue
			}
			checked++
			for _, wrong := range r.deadEnds(name, string(r.read(name)), base) {
				t.Error(wrong)
			}
		}
	}
	if checked < 15 {
		t.Fatalf("only %d documents found", checked)
	}
}

// TestDeadEndsAreFound shows the check what it must not let through.
func TestDeadEndsAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"README.md":         "# Top\n\n```\n# no heading\n```\n\n## What it *is*, and `how`\n",
		"docs/guide.md":     "# Guide\n",
		"shared/a/a.go":     "package a\n",
		"events/01-one.txt": "",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := repository{os.DirFS(dir)}
	base := r.baseNames(t)
	for _, tc := range []struct{ text, want string }{
		{"[a](../README.md) [`b`](../README.md#what-it-is-and-how) [c](#here)\n\n## Here\n`shared/a` `a.go` `shared/a/a.go`", ""},
		{"[a](https://example.com/x) `[x](y)` `aws events list` `events:PutTargets` `events/*` `functions` `docs/<name>.md`", ""},
		{"```go\n[a](b.md)\n```\n`./shared/...` `functions/returns.go`", ""},
		{"one\n[a](../READ.md)", "docs/x.md:2: the link ../READ.md leads nowhere"},
		{"[a](../README.md#what)", "docs/x.md:1: the link ../README.md#what leads to no heading"},
		{"[a](../README.md#no-heading)", "docs/x.md:1: the link ../README.md#no-heading leads to no heading"},
		{"[a](#there)", "docs/x.md:1: the link #there leads to no heading"},
		{"one\n\nrun `go test\n./shared/b`", "docs/x.md:4: there is no shared/b"},
		{"`b.go`", "docs/x.md:1: no file is named b.go"},
		{"```\nsend events/02-two.txt\n```", "docs/x.md:2: there is no events/02-two.txt"},
		{"`events/3*`", "docs/x.md:1: there is no events/3*"},
	} {
		if got := strings.Join(r.deadEnds("docs/x.md", tc.text, base), "\n"); got != tc.want {
			t.Errorf("of %q it says %q, want %q", tc.text, got, tc.want)
		}
	}
}

// The README's map has every folder that a newcomer meets: those at the top, those of
// shared/, and one floor below.
func TestTheReadmeMapsEveryFolder(t *testing.T) {
	r := repository{os.DirFS("..")}
	_, after, ok := strings.Cut(string(r.read("README.md")), "\n## Where things are\n")
	if !ok {
		t.Fatal("README.md has no section \"Where things are\"")
	}
	for _, pattern := range []string{"*", "shared/*", "shared/*/*", "events/*", "docs/*"} {
		names, err := fs.Glob(r.FS, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if d, err := fs.Stat(r.FS, name); err != nil || !d.IsDir() || unmapped(name) {
				continue
			}
			if strings.HasPrefix(name, "shared/sandbox/") {
				name = "shared/sandbox" // its own name says what each is
			}
			end := " "
			if !strings.Contains(name, "/") {
				end = "" // the line of a folder in it will do
			}
			if !regexp.MustCompile(`(?m)(^| )` + regexp.QuoteMeta(name) + "/" + end).MatchString(after) {
				t.Errorf("README.md: the map of \"Where things are\" has no line for %s/", name)
			}
		}
	}
}

// unmapped folders are made by tools, or hold what tests read.
func unmapped(name string) bool {
	hidden := name[0] == '.' && name != ".ci" && name != ".github"
	return hidden || name == "dist" || path.Base(name) == "testdata"
}

// repository is the tree of files that documents speak of.
type repository struct{ fs.FS }

func (r repository) read(name string) []byte {
	b, _ := fs.ReadFile(r.FS, name)
	return b
}

// has reports whether the path, which may be a pattern, is there.
func (r repository) has(name string) bool {
	found, err := fs.Glob(r.FS, name)
	return err == nil && len(found) > 0
}

// baseNames are the names of all files, without their folders.
func (r repository) baseNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := fs.WalkDir(r.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains([]string{".git", ".cache", ".aws-sam", "dist"}, d.Name()) {
			return fs.SkipDir
		}
		names[path.Base(name)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var (
	fence    = regexp.MustCompile("(?ms)^```.*?^```")
	span     = regexp.MustCompile("`[^`\n]+(?:\n[^`\n]+)*`")
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	word     = regexp.MustCompile(`[^\s"'(),;=]+`)
	inFolder = regexp.MustCompile(`^(functions|shared|cmd|events|docs|\.ci|\.github)/.`)
	fileName = regexp.MustCompile(`^[A-Za-z0-9._-]+\.(go|md|yaml|yml|toml|json|mod|sum|lock|py|in)$`)
	fill     = regexp.MustCompile(`<[^<>]*>`)
)

// deadEnds are the links of a document that lead nowhere, and the paths in its code that
// do not exist. <…> in a path stands for anything.
func (r repository) deadEnds(document, text string, base map[string]bool) (wrong []string) {
	found := map[int][]string{}
	bad := func(offset int, format string, args ...any) {
		line := 1 + strings.Count(text[:offset], "\n")
		found[line] = append(found[line], fmt.Sprintf("%s:%d: %s", document, line, fmt.Sprintf(format, args...)))
	}
	code := func(from, to int, inline bool) {
		for _, m := range word.FindAllStringIndex(text[from:to], -1) {
			p := strings.Trim(text[from+m[0]:from+m[1]], "`")
			p = strings.TrimSuffix(strings.TrimRight(strings.TrimPrefix(p, "./"), ".:"), "/")
			p = fill.ReplaceAllString(p, "*")
			switch {
			case slices.Contains(toBeMade, p):
			case inFolder.MatchString(p):
				if !r.has(p) {
					bad(from+m[0], "there is no %s", p)
				}
			case inline && fileName.MatchString(p):
				if !base[p] {
					bad(from+m[0], "no file is named %s", p)
				}
			}
		}
	}
	prose := text
	for _, m := range fence.FindAllStringIndex(text, -1) {
		code(m[0], m[1], false)
		prose = blank(prose, m)
	}
	noCode := prose
	for _, m := range span.FindAllStringIndex(prose, -1) {
		code(m[0], m[1], true)
		noCode = blank(noCode, m)
	}
	for _, m := range link.FindAllStringSubmatchIndex(noCode, -1) {
		target := noCode[m[2]:m[3]]
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file, anchor, hasAnchor := strings.Cut(target, "#")
		there := text
		if file != "" {
			name := path.Join(path.Dir(document), file)
			if !r.has(name) {
				bad(m[0], "the link %s leads nowhere", target)
				continue
			}
			there = string(r.read(name))
		}
		if hasAnchor && !slices.Contains(anchors(there), anchor) {
			bad(m[0], "the link %s leads to no heading", target)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(found)) {
		wrong = append(wrong, found[line]...)
	}
	return wrong
}

// blank is the text with the part replaced by spaces, line by line.
func blank(text string, part []int) string {
	spaces := strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, text[part[0]:part[1]])
	// A rune of several bytes is one space now: keep the offsets.
	spaces += strings.Repeat(" ", part[1]-part[0]-len(spaces))
	return text[:part[0]] + spaces + text[part[1]:]
}

// anchors are those that GitHub gives to the headings of a document.
func anchors(text string) (all []string) {
	for _, m := range fence.FindAllStringIndex(text, -1) {
		text = blank(text, m)
	}
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} +(.*)$`).FindAllStringSubmatch(text, -1) {
		a := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(strings.TrimSpace(m[1]), "]"))
		if n := count(all, a); n > 0 {
			a = fmt.Sprintf("%s-%d", a, n)
		}
		all = append(all, a)
	}
	return all
}

func count(all []string, s string) (n int) {
	for _, a := range all {
		if a == s {
			n++
		}
	}
	return n
}
