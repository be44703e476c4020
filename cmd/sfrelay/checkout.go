package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sfrelay/cmd/sfrelay/internal/stack"
)

// rootFlag names the checkout whose tools and functions a stack runs.
type rootFlag struct {
	Root string `type:"path" help:"Checkout of sfrelay to build and run. Default: the one that the working directory lies in, if you own it."`
}

// checkout is the checkout of the flag, or the one that dir lies in. The stack runs its
// programs, so one that was only found has to belong to the user: whoever may write into a
// directory above could have put it there.
func (f rootFlag) checkout(dir string, user int) (string, error) {
	if f.Root != "" {
		return f.Root, isOurs(f.Root)
	}
	for root := dir; ; root = filepath.Dir(root) {
		_, err := os.Lstat(filepath.Join(root, "template.yaml"))
		switch {
		case err == nil:
			return root, errors.Join(isOurs(root), isOwned(root, user))
		case root == filepath.Dir(root):
			return "", fmt.Errorf("no template.yaml in %s or above it; change to a checkout of sfrelay, or name it with --root", dir)
		}
	}
}

// isOurs refuses a directory that is no checkout of this module.
func isOurs(root string) error {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if first, _, _ := strings.Cut(string(b), "\n"); err != nil || strings.TrimSpace(first) != "module sfrelay" {
		return fmt.Errorf("%s has a template.yaml, but no go.mod of sfrelay; change to a checkout of sfrelay, or name it with --root", root)
	}
	return nil
}

// runOfACheckout is what a stack runs of a checkout, or reads what to run from.
var runOfACheckout = []string{".", "go.mod", "template.yaml", "samconfig.toml", "Makefile", ".ci", ".ci/tools", ".cache"}

// isOwned refuses a checkout of which something belongs to another user. Of a symbolic
// link it is the link that counts: whoever made it chose what it leads to.
func isOwned(root string, user int) error {
	for _, name := range runOfACheckout {
		info, err := os.Lstat(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !stack.Owns(info, user) {
			return fmt.Errorf("%s belongs to another user, and a stack runs what lies in that checkout; if you trust it, add --root %s",
				filepath.Join(root, name), root)
		}
	}
	return nil
}
