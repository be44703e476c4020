package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ownDir makes a directory that only its owner may enter, or makes one so that is there
// already. One of another owner is refused: it could be changed under us.
func ownDir(name string) error {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !Owns(info, os.Getuid()) {
		return fmt.Errorf("%s belongs to another user; name a directory of your own with --dir", name)
	}
	return os.Chmod(name, 0o700)
}

// Owns reports whether a user owns a file.
func Owns(info fs.FileInfo, user int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == user
}

// create makes a file anew that only its owner can read, whatever was there.
func create(name string) (*os.File, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// write makes a file anew, as create does.
func write(name string, content []byte) error {
	f, err := create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
