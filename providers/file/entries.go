package file

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is remembered of directories between the pages of a listing, so that one with very many entries is not read anew for each page. Small ones cost
// nothing to read; of one with half a million entries the names take some 50 MB, and two are remembered: commits/ and a chain below it.
const (
	rememberFrom = 1000
	rememberTo   = 500_000
	rememberDirs = 2
)

// settled is for how long a directory must not have changed before it was read to be remembered: an entry that is added within the same tick of the file system's
// clock leaves no other trace. Network shares tick by the second.
const settled = 2 * time.Second

// contents are the full names of a directory's entries, directories with a slash behind them, in order, as of a time of change.
type contents struct {
	dir     string
	changed time.Time
	names   []string
}

// memory has the contents of the large directories that were read last. It may be used concurrently; names are never changed.
type memory struct {
	mu   sync.Mutex
	dirs []contents // the newest last
}

func (m *memory) get(dir string, changed time.Time) ([]string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.dirs {
		if c.dir == dir && c.changed.Equal(changed) {
			return c.names, true
		}
	}
	return nil, false
}

func (m *memory) put(c contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs = append(slices.DeleteFunc(m.dirs, func(x contents) bool { return x.dir == c.dir }), c)
	if len(m.dirs) > rememberDirs {
		m.dirs = slices.Delete(m.dirs, 0, 1)
	}
}

// contentsOf returns the full names of what is in the directory, directories with a slash behind them, in the order of the names that they stand for: "a-" comes
// before "a/", and so before "a/b". The caller must not change them. A directory that does not exist is empty.
func (d *Driver) contentsOf(dir string) ([]string, error) {
	f, err := d.root.Open(cmp.Or(strings.TrimSuffix(dir, "/"), "."))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if names, ok := d.large.get(dir, info.ModTime()); ok {
		return names, nil
	}
	began := time.Now()
	all, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(all))
	for _, e := range all {
		name := dir + e.Name()
		switch {
		case reserved(name):
		case e.IsDir():
			names = append(names, name+"/")
		case e.Type().IsRegular():
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) >= rememberFrom && len(names) <= rememberTo && began.Sub(info.ModTime()) > settled {
		d.large.put(contents{dir, info.ModTime(), names})
	}
	return names, nil
}
