// Package workplace makes folders and files beside the place that they will have, which get their name only when they are whole: whatever interrupts a restore, what
// has the name of a repository is one.
package workplace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"farshore/agent/repo/tempdir"
)

// Mark is in the name of each folder in which something is being made, or of a file: before it stand "." and the name that it will get. What has the mark in its
// name and is not locked may be removed.
const Mark = ".farshore-partial-"

// ErrExists says that something has the name that was to be given.
var ErrExists = errors.New("something has the name already")

// Workplace is a folder beside the place that its content will have. The process that works there holds a lock on it. Not safe for concurrent use.
type Workplace struct {
	// Path is the folder.
	Path string
	// Left says why some of what interrupted processes left of the same target can't be removed; it costs room, and nothing else.
	Left   error
	target string
	lock   *os.File
	moved  bool
}

// Open makes a new folder beside target, and the folders above it, and removes what interrupted processes left of the same target. ErrExists (wrapped) says that
// something has the name.
func Open(target string) (*Workplace, error) {
	if there, err := Exists(target); err != nil || there {
		return nil, errors.Join(err, taken(target, there))
	}
	return beside(target)
}

// beside is Open, whether or not something has the name.
func beside(target string) (*Workplace, error) {
	target, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	parent := filepath.Dir(target)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	prefix := partialPrefix(filepath.Base(target))
	left := tempdir.Sweep(parent, prefix, anything)
	lock, err := tempdir.MakeFolder(parent, prefix)
	if err != nil {
		return nil, err
	}
	return &Workplace{Path: lock.Name(), Left: left, target: target, lock: lock}, nil
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
	return "." + name + Mark
}

// anything agrees to everything: whatever has the mark in its name and is not locked is a leftover.
func anything(string, fs.FileInfo) bool { return true }

// Publish gives the folder its name, unless something has it. Its content is durable by then: see SyncTree.
func (w *Workplace) Publish() error {
	if err := os.Chmod(w.Path, 0o755); err != nil {
		return err
	}
	if err := w.publish(w.Path); err != nil {
		return err
	}
	w.moved = true
	return nil
}

// PublishInner gives a folder within it the name, with the mode that it has.
func (w *Workplace) PublishInner(name string) error {
	return w.publish(filepath.Join(w.Path, name))
}

func (w *Workplace) publish(path string) error {
	if err := renameNew(path, w.target); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(w.target))
}

// NewFile makes a file with what write writes, which has its name only when it is whole and on the disk. Folders above it are made. On failure nothing
// is left; ErrExists (wrapped) says that something has the name. What an interrupted NewFile of the same path left is removed.
func NewFile(path string, write func(w io.Writer) error) error {
	if there, err := Exists(path); err != nil || there {
		return errors.Join(err, taken(path, there))
	}
	parent, prefix := filepath.Dir(path), partialPrefix(filepath.Base(path))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	_ = tempdir.Sweep(parent, prefix, anything) // what can't be removed costs room, and nothing else
	f, err := tempdir.MakeFile(parent, prefix)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
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
		if there, err := Exists(to); err != nil || there {
			return errors.Join(err, taken(to, there))
		}
		return os.Rename(from, to)
	case err != nil:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Close removes the folder unless it has its name, and gives up the lock.
func (w *Workplace) Close() error {
	var err error
	if !w.moved {
		err = os.RemoveAll(w.Path)
	}
	return errors.Join(err, w.lock.Close())
}

// SyncTree makes all files and folders below path durable.
func SyncTree(path string) error {
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

// Exists reports whether anything has the name, be it a link that leads nowhere.
func Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
