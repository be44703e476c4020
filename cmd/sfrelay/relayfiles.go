package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sfrelay/cmd/sfrelay/internal/samconfig"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

// configFlags choose where the settings of the stack stand.
type configFlags struct {
	rootFlag
	ConfigEnv string `name:"config-env" default:"default" placeholder:"NAME" help:"Environment of samconfig.toml that is written, as sam deploy --config-env reads it. One that is not there begins as a copy of default."`
}

const configFile = "samconfig.toml"

// edit is one file that a command changes, or one that gets another name.
type edit struct {
	path          string // below the checkout
	before, after string
	renamed       string // path after it, if not the same
}

// show says what the edits change, line by line.
func showEdits(out *screen, edits []edit) {
	for _, e := range edits {
		if e.renamed != "" {
			out.Out.Table(0, terminal.Row(e.path, "gets the name "+filepath.Base(e.renamed)))
			continue
		}
		out.Out.Table(0, terminal.Row(e.path))
		for _, line := range samconfig.Changes(e.before, e.after) {
			out.Out.Table(2, terminal.Row(line))
		}
	}
}

// write makes the edits. A file is replaced in one step: it is the old one or the new one.
func (e edit) write(root string) error {
	path := filepath.Join(root, e.path)
	if e.renamed != "" {
		return os.Rename(path, filepath.Join(root, e.renamed))
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".sfrelay-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has another name by then, or is of no use
	_, err = f.WriteString(e.after)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// element sets the text of the one element of a name in a file of the project.
func element(root, path, name, value string) (edit, error) {
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return edit{}, err
	}
	form := regexp.MustCompile(`<` + name + `>[^<]*</` + name + `>`)
	line := "<" + name + ">" + value + "</" + name + ">"
	if n := len(form.FindAllIndex(text, -1)); n != 1 {
		return edit{}, fmt.Errorf("%s has %d elements %s, and this command changes the one of them; write by hand: %s", path, n, name, line)
	}
	return edit{path: path, before: string(text), after: form.ReplaceAllLiteralString(string(text), line)}, nil
}

// settings is the edit of samconfig.toml.
func settings(root string, e samconfig.Edit) (edit, error) {
	text, err := os.ReadFile(filepath.Join(root, configFile))
	if err != nil {
		return edit{}, err
	}
	after, err := samconfig.Apply(string(text), e)
	return edit{path: configFile, before: string(text), after: after}, err
}

// legalNames renames the members of channels whose name has two underscores in a row:
// Salesforce takes what stands before them for a namespace, and refuses it.
func legalNames(root string) ([]edit, error) {
	const folder, end = project + "platformEventChannelMembers", ".platformEventChannelMember-meta.xml"
	files, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		return nil, err
	}
	var edits []edit
	for _, f := range files {
		name, is := strings.CutSuffix(f.Name(), end)
		if !is || !strings.Contains(name, "__") {
			continue
		}
		legal := filepath.Join(folder, regexp.MustCompile(`__+`).ReplaceAllString(name, "_")+end)
		if _, err := os.Lstat(filepath.Join(root, legal)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s has two underscores in a row, which Salesforce takes for a namespace, and %s is there too; delete one of them", filepath.Join(folder, f.Name()), legal)
		}
		edits = append(edits, edit{path: filepath.Join(folder, f.Name()), renamed: legal})
	}
	return edits, nil
}
