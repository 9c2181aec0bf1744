package tempdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MakeFolder makes a folder in parent as os.MkdirTemp does, and locks it. The lock lasts until the file is closed, whose name is the folder's path. On a file system
// without locks it is only opened.
func MakeFolder(parent, prefix string) (*os.File, error) {
	return hold(func() (*os.File, error) {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		f, err := open(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = errors.Join(err, os.Remove(path))
		}
		return f, err
	})
}

// MakeFile is MakeFolder for a file, which is open for reading and writing.
func MakeFile(parent, prefix string) (*os.File, error) {
	return hold(func() (*os.File, error) { return os.CreateTemp(parent, prefix) })
}

// attempts bounds how often something is made that others take for a leftover before it is locked.
const attempts = 8

// hold locks what create makes. Whoever sweeps may come in between: then the next is made.
func hold(create func() (*os.File, error)) (f *os.File, err error) {
	for range attempts {
		if f, err = create(); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		if _, err = lock(f); err == nil {
			if err = there(f); err == nil {
				return f, nil
			}
		}
		err = errors.Join(err, f.Close())
	}
	return nil, err
}

// there fails when the file no longer has its name.
func there(f *os.File) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(f.Name())
	if err == nil && !os.SameFile(opened, named) {
		err = fmt.Errorf("%s: something else has the name", f.Name())
	}
	return err
}

// open opens a folder or file to lock it. It follows no link and waits for nothing.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// lock locks a folder or file, or fails if another process holds it. On a file system without locks nothing does, and locked is false: NFS, for one, refuses
// to lock what is not open for writing, as no folder is.
func lock(f *os.File) (locked bool, err error) {
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, fmt.Errorf("%s: another process works there", f.Name())
	}
	return err == nil, nil
}

// stale is how long nothing was made in what a killed process left, where no lock can tell.
const stale = 24 * time.Hour

// Sweep removes what has the prefix in the folder parent, is no link and is in use by nobody, as far as mine agrees. It says of which that was impossible, and goes on.
func Sweep(parent, prefix string, mine func(name string, info fs.FileInfo) bool) (failed error) {
	names, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range names {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		f, err := open(filepath.Join(parent, e.Name()))
		if err != nil {
			continue // gone by now, a link, or another user's
		}
		failed = errors.Join(failed, remove(f, mine), f.Close())
	}
	return failed
}

// remove removes what nobody holds.
func remove(f *os.File, mine func(name string, info fs.FileInfo) bool) error {
	info, err := f.Stat()
	if err != nil || !mine(filepath.Base(f.Name()), info) {
		return err
	}
	if locked, err := lock(f); err == nil {
		return discard(f.Name(), locked)
	}
	return nil // in use
}

// discard removes a leftover. Where no lock says that it is one, its age has to.
func discard(path string, locked bool) error {
	if !locked && time.Since(touched(path)) <= stale {
		return nil
	}
	return os.RemoveAll(path)
}

// touched is when something was last made at path or below it; now where that can't be told.
func touched(path string) (newest time.Time) {
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return err
	})
	if err != nil {
		return time.Now()
	}
	return newest
}
