package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plant makes a checkout of files with these contents.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var own = map[string]string{"go.mod": "module sfrelay\n\ngo 1.26\n", "template.yaml": "{}", ".ci/tools": "#!/bin/sh\n", "below/it/file": ""}

func TestCheckoutIsFoundAbove(t *testing.T) {
	root := plant(t, own)
	for _, dir := range []string{root, filepath.Join(root, "below/it")} {
		if got, err := (rootFlag{}).checkout(dir, os.Getuid()); got != root || err != nil {
			t.Errorf("%s: %q, %v", dir, got, err)
		}
	}
	if got, err := (rootFlag{Root: root}).checkout("/", os.Getuid()); got != root || err != nil {
		t.Errorf("by name: %q, %v", got, err)
	}
}

// A checkout that somebody planted above the working directory is not run.
func TestAPlantedCheckoutIsRefused(t *testing.T) {
	without := func(name string) map[string]string {
		files := map[string]string{}
		for n, content := range own {
			if n != name {
				files[n] = content
			}
		}
		return files
	}
	for name, files := range map[string]map[string]string{
		"without go.mod":    without("go.mod"),
		"of another module": {"go.mod": "module sfrelay/evil\n", "template.yaml": "{}", ".ci/tools": ""},
	} {
		for _, flag := range []rootFlag{{}, {Root: plant(t, files)}} {
			_, err := flag.checkout(plant(t, files), os.Getuid())
			if err == nil || !strings.Contains(err.Error(), "no go.mod of sfrelay") || !strings.Contains(err.Error(), "--root") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	root := plant(t, own)
	_, err := (rootFlag{}).checkout(filepath.Join(root, "below/it"), os.Getuid()+1)
	if err == nil || !strings.Contains(err.Error(), "belongs to another user") || !strings.Contains(err.Error(), "--root "+root) {
		t.Errorf("of another user: %v", err)
	}
	if _, err := (rootFlag{Root: root}).checkout("/", os.Getuid()+1); err != nil {
		t.Errorf("named by the user: %v", err)
	}
	if _, err := (rootFlag{}).checkout(t.TempDir(), os.Getuid()); err == nil || !strings.Contains(err.Error(), "no template.yaml") {
		t.Errorf("nowhere: %v", err)
	}
}

// Each single file counts, and of a link the link.
func TestAPlantedFileIsRefused(t *testing.T) {
	for _, name := range []string{".", "go.mod", "template.yaml", "samconfig.toml", "Makefile", ".ci", ".ci/tools", ".cache"} {
		if !slices.Contains(runOfACheckout, name) {
			t.Errorf("%s is not looked at", name)
		}
	}
	if os.Getuid() != 0 {
		t.Log("only root can give a file away: each alone is not tried")
		return
	}
	for _, name := range runOfACheckout {
		root := plant(t, own)
		path := filepath.Join(root, name)
		if _, err := os.Lstat(path); err != nil {
			if err := os.Symlink(root, path); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Lchown(path, 1, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := (rootFlag{}).checkout(root, 0); err == nil || !strings.Contains(err.Error(), path+" belongs to another user") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing of a planted checkout has run when the command ends.
func TestUpRunsNothingOfAPlantedCheckout(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	root := plant(t, map[string]string{"template.yaml": "{}", ".ci/tools": "#!/bin/sh\ntouch " + ran + "\n", "x/y": ""})
	scenario, err := filepath.Abs("../../events/scenario")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "x"))
	for _, args := range [][]string{{"stack", "up", "--dir", t.TempDir()}, {"run", "--scenario", scenario, "--dir", t.TempDir()}} {
		s, _, said := testScreen()
		if code := run(t.Context(), args, s); code != notDone || !strings.Contains(said.String(), "--root") {
			t.Errorf("%v: %d %s", args, code, said)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("its tools have run")
	}
}
