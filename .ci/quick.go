// Quick prints the packages whose tests the quick loop runs, as folders in one line: all but those that use a package that
// was edited since the last commit, and were not edited themselves. Most of the code depends on a few packages; to compile and
// test all of it after each edit takes several times as long as to test what was edited. What is left out is still
// type-checked, tests included, and tested once the change is committed. Types are checked from the sources, which takes
// a second and a half for the whole module: nothing is compiled for it.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const graph = packages.NeedName | packages.NeedFiles | packages.NeedEmbedFiles | packages.NeedImports | packages.NeedDeps

func main() {
	if err := quick(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func quick() error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	loaded, err := packages.Load(&packages.Config{Tests: true, Mode: graph}, "./...")
	if err != nil {
		return err
	}
	edited, code := edited(root, loaded)
	left := left(loaded, edited, code)
	var tested, causes, users []string
	for _, folder := range folders(loaded) {
		name := within(root, folder)
		if code[folder] {
			causes = append(causes, name)
		}
		if left[folder] {
			users = append(users, name)
		} else {
			tested = append(tested, name)
		}
	}
	if len(users) > 0 {
		if err := compiles(slices.Concat(causes, users)); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "not run: tests of what only uses an edit that is not committed yet (%s), packages: %d; make check ALL=1 runs them, too\n",
			strings.Join(causes, ", "), len(users))
	}
	fmt.Println(strings.Join(tested, " "))
	return nil
}

// compiles checks the types of packages from their sources.
func compiles(folders []string) error {
	loaded, err := packages.Load(&packages.Config{
		Tests: true,
		Mode:  graph | packages.NeedCompiledGoFiles | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesSizes,
	}, folders...)
	if err != nil {
		return err
	}
	if wrong := wrong(loaded); len(wrong) > 0 {
		return fmt.Errorf("%s\nno test was run: these do not compile", strings.Join(wrong, "\n"))
	}
	return nil
}

// wrong returns what does not compile, once, though a package and its test's copy both have it.
func wrong(loaded []*packages.Package) []string {
	var all []string
	packages.Visit(loaded, nil, func(p *packages.Package) {
		for _, err := range p.Errors {
			all = append(all, err.Error())
		}
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// edited returns the folders of the packages with a file that is not as in the last commit: a test or its data, too; and of
// those the ones whose code it is, which changes what uses them. Without a repository it is none: then everything is tested.
func edited(root string, loaded []*packages.Package) (edited, code map[string]bool) {
	edited, code = map[string]bool{}, map[string]bool{}
	out, err := exec.Command("git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all").Output()
	if err != nil {
		return edited, code
	}
	all := folders(loaded)
	changed := map[string]bool{}
	for _, entry := range strings.Split(string(out), "\x00") {
		if len(entry) <= 3 { // two letters for what happened, a space
			continue
		}
		file := filepath.Join(root, entry[3:]) // it may be gone
		changed[file] = true
		for dir := filepath.Dir(file); len(dir) > len(root); dir = filepath.Dir(dir) {
			if slices.Contains(all, dir) {
				edited[dir] = true
				code[dir] = code[dir] || dir == filepath.Dir(file) && strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
				break
			}
		}
	}
	for _, p := range loaded {
		if slices.ContainsFunc(p.EmbedFiles, func(file string) bool { return changed[file] }) {
			edited[folder(p)], code[folder(p)] = true, true
		}
	}
	return edited, code
}

// left returns the folders of the packages that use edited code, in code or tests, directly or not, and were not edited.
func left(loaded []*packages.Package, edited, code map[string]bool) map[string]bool {
	uses := map[*packages.Package]bool{}
	packages.Visit(loaded, nil, func(p *packages.Package) { // what it imports was visited before
		uses[p] = code[folder(p)]
		for _, imported := range p.Imports {
			uses[p] = uses[p] || uses[imported]
		}
	})
	folders := map[string]bool{}
	for _, p := range loaded {
		if uses[p] && ours(p) && !edited[folder(p)] {
			folders[folder(p)] = true
		}
	}
	return folders
}

func folders(loaded []*packages.Package) []string {
	var all []string
	for _, p := range loaded {
		if ours(p) && folder(p) != "" {
			all = append(all, folder(p))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ours says whether it is no main function of a test binary, which the go command writes.
func ours(p *packages.Package) bool { return !strings.HasSuffix(p.ID, ".test") }

func folder(p *packages.Package) string {
	if len(p.GoFiles) == 0 {
		return ""
	}
	return filepath.Dir(p.GoFiles[0])
}

func within(root, folder string) string {
	if rel, err := filepath.Rel(root, folder); err == nil {
		return "./" + filepath.ToSlash(rel)
	}
	return folder
}
