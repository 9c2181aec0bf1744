// Package tempdir makes temporary folders that a killed process does not leave for ever: each is locked while it is in use, and the next of its kind removes those that
// nobody holds. It never touches what is another user's, what is in use, or what a link leads to.
package tempdir

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// Dir is a temporary folder. The process that made it holds a lock on it. Not safe for concurrent use.
type Dir struct {
	// Path is the folder.
	Path string
	// Left says why some of what killed processes left of the same kind can't be removed; it costs room, and nothing else.
	Left error
	lock *os.File
}

// New makes an empty folder in parent, "" for the system's temporary one, whose name is prefix and a number, and which only this user can enter. Folders that processes
// of this user left there under the same prefix are removed. No prefix may be that of folders which are made otherwise.
func New(parent, prefix string) (*Dir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	left := Sweep(parent, prefix, func(name string, info fs.FileInfo) bool {
		return numbered(strings.TrimPrefix(name, prefix)) && ours(info) && time.Since(info.ModTime()) > young
	})
	lock, err := MakeFolder(parent, prefix)
	if err != nil {
		return nil, err
	}
	return &Dir{Path: lock.Name(), Left: left, lock: lock}, nil
}

// Close removes the folder with all that is in it, and gives up the lock.
func (d *Dir) Close() error {
	return errors.Join(os.RemoveAll(d.Path), d.lock.Close())
}

// young is how long a folder is left alone even if nobody holds it: it may be one that was made just now, and will be locked next.
const young = 10 * time.Second

// numbered reports whether the rest of a name is one that os.MkdirTemp gives.
func numbered(rest string) bool {
	return rest != "" && strings.Trim(rest, "0123456789") == ""
}

// ours reports whether something is a folder of this user's.
func ours(info fs.FileInfo) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && int(sys.Uid) == os.Geteuid()
}
