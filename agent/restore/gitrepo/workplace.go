package gitrepo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// PartialMark is in the name of each folder in which a repository is being built, or a file written: "." before it the name that it will get. What has the
// mark in its name and is not locked may be removed.
const PartialMark = ".farshore-partial-"

// workplace is a folder beside the place that its content will have. The process that works there holds a lock on it.
type workplace struct {
	path   string
	target string
	lock   *os.File
	moved  bool
}

// openWorkplace removes what an earlier process left, and makes a new folder.
func openWorkplace(target string) (*workplace, error) {
	target, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	if there, err := exists(target); err != nil || there {
		return nil, errors.Join(err, taken(target, there))
	}
	parent := filepath.Dir(target)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	prefix := partialPrefix(filepath.Base(target))
	if err := sweep(parent, prefix); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &workplace{path: path, target: target, lock: lock}, nil
}

func taken(path string, there bool) error {
	if !there {
		return nil
	}
	return fmt.Errorf("%s: %w", path, ErrExists)
}

// longName is the longest name that stands in a partial's name as it is: a component has at most 255 bytes.
const longName = 200

func partialPrefix(name string) string {
	if len(name) > longName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:16])
	}
	return "." + name + PartialMark
}

// lockFolder locks a folder, so that no other process takes it for a leftover. On a file system without locks it just opens it.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: another process works there", path), f.Close())
	}
	return f, nil
}

// sweep removes the leftovers of interrupted processes from the folder.
func sweep(parent, prefix string) error {
	names, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range names {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		lock, err := lockFolder(path)
		if err != nil {
			continue // in use, or gone by now
		}
		if err := errors.Join(os.RemoveAll(path), lock.Close()); err != nil {
			return fmt.Errorf("remove what an interrupted restore left: %w", err)
		}
	}
	return nil
}

// publish gives the folder its name, unless something has it.
func (w *workplace) publish() error {
	if err := os.Chmod(w.path, 0o755); err != nil {
		return err
	}
	if err := renameNew(w.path, w.target); err != nil {
		return err
	}
	w.moved = true
	return syncFolder(filepath.Dir(w.target))
}

// NewFile makes a file with what write writes, which has its name only when it is whole and on the disk. Folders above it are made. On failure nothing
// is left; ErrExists (wrapped) says that something has the name. What an interrupted NewFile of the same path left is removed.
func NewFile(path string, write func(w io.Writer) error) error {
	if there, err := exists(path); err != nil || there {
		return errors.Join(err, taken(path, there))
	}
	parent, prefix := filepath.Dir(path), partialPrefix(filepath.Base(path))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	if err := sweep(parent, prefix); err != nil {
		return err
	}
	f, err := os.CreateTemp(parent, prefix)
	if err != nil {
		return err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		err = write(f) // a file system without locks does without
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Chmod(0o644))
	}
	if err == nil {
		err = renameNew(f.Name(), path)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		if e := os.Remove(f.Name()); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		return err
	}
	return syncFolder(parent)
}

// renameNew renames without replacing anything; where the file system has no such rename it looks first.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EEXIST):
		return taken(to, true)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP):
		if there, err := exists(to); err != nil || there {
			return errors.Join(err, taken(to, there))
		}
		return os.Rename(from, to)
	case err != nil:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// close removes the folder unless it has its name, and gives up the lock.
func (w *workplace) close() error {
	var err error
	if !w.moved {
		err = os.RemoveAll(w.path)
	}
	return errors.Join(err, w.lock.Close())
}

// syncTree makes all files and folders below path durable.
func syncTree(path string) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return syncFolder(path)
		case d.Type().IsRegular():
			return syncFile(path)
		}
		return nil
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) { // some file systems have nothing to sync there
		err = nil
	}
	return errors.Join(err, f.Close())
}
