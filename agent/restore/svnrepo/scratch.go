package svnrepo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// scratchPrefix is what the names of folders begin with in which repositories are being made, beside where they are to be.
const scratchPrefix = ".farshore-svn-"

// stale is how long nothing was made in a folder that a killed process left.
const stale = 24 * time.Hour

// scratch is a folder to make a repository in. The process that does holds a lock on it.
type scratch struct {
	path string
	lock *os.File
}

// newScratch makes a folder in parent.
func newScratch(parent string) (*scratch, error) {
	path, err := os.MkdirTemp(parent, scratchPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &scratch{path, lock}, nil
}

func (s *scratch) close() error { return errors.Join(os.RemoveAll(s.path), s.lock.Close()) }

// lockFolder locks a folder, unless another process has; on a file system without locks it only opens it.
func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: another process works there", path), f.Close())
	}
	return f, nil
}

// sweep removes what killed processes left in parent, and returns why some of it can't be removed.
func sweep(parent string, now time.Time) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	var failed error
	for _, e := range entries {
		path := filepath.Join(parent, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), scratchPrefix) || now.Sub(touched(path)) < stale {
			continue
		}
		lock, err := lockFolder(path)
		if err != nil {
			continue // in use, gone by now, or another user's
		}
		failed = errors.Join(failed, os.RemoveAll(path), lock.Close())
	}
	return failed
}

// touched is when something was last made in a scratch folder: each revision that is loaded changes the folder db of the repository there.
func touched(path string) time.Time {
	var newest time.Time
	for _, name := range []string{"", "repository", "repository/db"} {
		if info, err := os.Lstat(filepath.Join(path, name)); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}
