package repos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"farshore/agent/restore/dir"
	"farshore/agent/restore/internal/workplace"
)

// place is where a repository or file lies at the target.
type place struct {
	path    string // absolute
	as, why string // its name below the target where that is not its own, and why
	there   bool   // something has the name
}

// find says where the path goes. A path that can't be one there, or on the way to which something else lies, is escaped.
func (r *run) find(path string) (place, error) {
	why := dir.Refused(path, len(r.dest.Dir))
	if why == "" {
		why = reserved(path)
	}
	if why == "" {
		p, blocked, err := r.look(path)
		if err != nil || blocked == "" {
			return p, err
		}
		why = blocked
	}
	as := dir.EscapedFolder + "/" + dir.Escape(path)
	p, blocked, err := r.look(as)
	p.as, p.why = as, why
	if err == nil && blocked != "" {
		err = &blockedError{fmt.Errorf("%s, and neither can it be %s: %s", why, as, blocked)}
	}
	return p, err
}

// blockedError says that one repository has no place at the target.
type blockedError struct{ error }

// reserved says that a path is one that work in progress has; empty when it is not.
func reserved(path string) string {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, ".") && strings.Contains(part, workplace.Mark) {
			return "the name is one that farshore keeps for itself"
		}
	}
	return ""
}

// look goes to a path below the target, folder by folder. blocked says that something else is in the way.
func (r *run) look(path string) (p place, blocked string, err error) {
	at := r.dest.Dir
	p.path = filepath.Join(at, filepath.FromSlash(path))
	parts := strings.Split(path, "/")
	for i, part := range parts {
		at = filepath.Join(at, part)
		fi, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return p, "", nil
		case err != nil:
			return p, "", err
		case fi.Mode()&fs.ModeSymlink != 0:
			return p, fmt.Sprintf("%q is a symbolic link at the target", part), nil
		case i < len(parts)-1 && !fi.IsDir():
			return p, fmt.Sprintf("%q is a file at the target and would have to be a folder", part), nil
		case i == len(parts)-1:
			p.there = true
			if r.o.As == AsRepository && !fi.IsDir() {
				return p, "a file has the name at the target", nil
			}
			if r.o.As != AsRepository && !fi.Mode().IsRegular() {
				return p, "something that is no file has the name at the target", nil
			}
		}
	}
	return p, "", nil
}

// isRepository reports whether a folder is a repository, of git or Subversion, as far as its entries tell: nothing else is ever moved aside.
func isRepository(path string) bool {
	for _, all := range [][]string{{"HEAD", "objects", "refs"}, {"format", "db", "conf"}} {
		found := true
		for _, name := range all {
			_, err := os.Lstat(filepath.Join(path, name))
			found = found && err == nil
		}
		if found {
			return true
		}
	}
	return false
}
