package svn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// racy is how long after a change another one may have the same time, on file systems that count in seconds.
const racy = 2 * time.Second

// stamp digests what files say of when they were written. A stamp that holds a time which is younger than racy is never equal to another: what follows within the
// same tick of the clock would not show.
type stamp struct {
	h      hash.Hash
	newest time.Time
}

func newStamp() *stamp { return &stamp{h: sha256.New()} }

func (s *stamp) add(name string, info fs.FileInfo) {
	changed := info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		changed = time.Unix(st.Ctim.Unix())
	}
	for _, t := range []time.Time{info.ModTime(), changed} {
		if t.After(s.newest) {
			s.newest = t
		}
	}
	fmt.Fprintf(s.h, "%d:%s %o %d %d\n", len(name), name, info.Mode(), info.ModTime().UnixNano(), changed.UnixNano())
	if info.Mode().IsRegular() {
		fmt.Fprintf(s.h, "%d\n", info.Size())
	}
}

func (s *stamp) String() string {
	text := hex.EncodeToString(s.h.Sum(nil)[:16])
	if now := time.Now(); now.Sub(s.newest) < racy {
		text += fmt.Sprintf("@%d", now.UnixNano())
	}
	return text
}

// maxFolders bounds how many entries of a folder are looked at.
const maxFolders = 1 << 20

// folderStamp stamps a folder, what it holds that is no plain file of a revision, and the folders in it. Revision properties and locks are replaced by
// renaming a new file into place, which shows in the times of the folder that holds them: so there is no need to look at every file.
func folderStamp(dir string) (string, error) {
	s := newStamp()
	info, err := os.Stat(dir)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	s.add(".", info)
	entries, err := readFolder(dir, maxFolders)
	if err != nil {
		return "", err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if !e.IsDir() && strings.Trim(e.Name(), "0123456789") == "" {
			continue
		}
		if info, err = os.Lstat(filepath.Join(dir, e.Name())); err == nil {
			s.add(e.Name(), info)
		} else if !os.IsNotExist(err) {
			return "", err
		}
	}
	return s.String(), nil
}
