package dir

import (
	"container/list"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxFolders is how many folders are kept open beside those in use. Items come in the order of their paths, so that few are enough.
const maxFolders = 64

// folder is an open folder of the target. Everything in it is reached through its handles by single names, so that
// nothing that happens to the path above it leads elsewhere.
type folder struct {
	path  string
	root  *os.Root
	dir   *os.File // the same, for what os.Root can't do
	refs  int
	dirty bool // entries were made that are not durable yet
	place *list.Element
}

func openFolder(path string, root *os.Root) (*folder, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &folder{path: path, root: root, dir: dir}, nil
}

// finish makes the folder's entries durable and closes it.
func (f *folder) finish() error {
	return errors.Join(f.sync(), f.dir.Close(), f.root.Close())
}

func (f *folder) sync() error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	if err := f.dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) { // some file systems have nothing to sync there
		return err
	}
	return nil
}

// Lstat describes the entry.
func (f *folder) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// Has reads the folder until it meets the name.
func (f *folder) Has(name string) (bool, error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(512)
		for _, n := range names {
			if n == name {
				return true, nil
			}
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// folders opens the folders of a target and keeps the recent ones open. It may be used concurrently.
type folders struct {
	top    *folder
	device uint64

	mu     sync.Mutex
	open   map[string]*folder
	recent *list.List // of *folder, most recent first
	err    error      // of a folder that was closed
}

func newFolders(root *os.Root) (*folders, error) {
	fi, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	top, err := openFolder("", root)
	if err != nil {
		return nil, err
	}
	return &folders{top: top, device: device(fi), open: map[string]*folder{}, recent: list.New()}, nil
}

func device(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

func sameFile(a, b fs.FileInfo) bool { return os.SameFile(a, b) }

// get returns the folder with that path, which the caller releases. With create, missing ones are made; else fs.ErrNotExist says that it is
// missing. *obstacle says that something else is in the way: a file, a link, another file system.
func (c *folders) get(path string, create bool) (*folder, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, rest := c.nearest(path)
	at.refs++
	for rest != "" {
		name, more, _ := strings.Cut(rest, "/")
		next, err := c.step(at, name, create)
		at.refs--
		if err != nil {
			return nil, err
		}
		at, rest = next, more
		at.refs++
	}
	return at, nil
}

// nearest returns the deepest open folder on the way to path, and what remains of the way.
func (c *folders) nearest(path string) (*folder, string) {
	for up := path; up != ""; {
		if f := c.open[up]; f != nil {
			c.recent.MoveToFront(f.place)
			return f, strings.TrimPrefix(path[len(up):], "/")
		}
		up = up[:max(0, strings.LastIndexByte(up, '/'))]
	}
	return c.top, path
}

// step opens one folder in another.
func (c *folders) step(in *folder, name string, create bool) (*folder, error) {
	fi, err := in.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = in.root.Mkdir(name, 0o777); err == nil || errors.Is(err, fs.ErrExist) {
			in.dirty = true
			fi, err = in.root.Lstat(name)
		}
	}
	if err != nil {
		return nil, judge(err)
	}
	if err := c.check(in, name, fi); err != nil {
		return nil, err
	}
	root, err := in.root.OpenRoot(name)
	if err != nil {
		return nil, judge(err)
	}
	if now, err := root.Stat("."); err != nil || !sameFile(now, fi) {
		return nil, errors.Join(blocked("folder %q changed while it was opened", name), err, root.Close())
	}
	path := name
	if in.path != "" {
		path = in.path + "/" + name
	}
	f, err := openFolder(path, root)
	if err != nil {
		return nil, err
	}
	c.open[path], f.place = f, c.recent.PushFront(f)
	return f, nil
}

// check says what keeps an entry from being the folder that is meant.
func (c *folders) check(in *folder, name string, fi fs.FileInfo) error {
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return blocked("%q is a symbolic link at the target", name)
	case !fi.IsDir():
		return blocked("%q is a file at the target and would have to be a folder", name)
	case device(fi) != c.device:
		return blocked("%q is on another file system at the target", name)
	}
	same, err := exact(in, name, fi)
	if err == nil && !same {
		err = blocked("the file system takes the folder %q for another", name)
	}
	return err
}

// release gives a folder back. changed says that an entry was made in it.
func (c *folders) release(f *folder, changed bool) {
	c.mu.Lock()
	f.dirty = f.dirty || changed
	f.refs--
	old := c.surplus()
	c.mu.Unlock()
	for _, f := range old {
		if err := f.finish(); err != nil {
			c.mu.Lock()
			c.err = errors.Join(c.err, err)
			c.mu.Unlock()
		}
	}
}

// surplus takes out the folders that are neither in use nor recent.
func (c *folders) surplus() []*folder {
	var old []*folder
	for e := c.recent.Back(); e != nil && len(c.open) > maxFolders; {
		f := e.Value.(*folder)
		e = e.Prev()
		if f.refs == 0 {
			c.recent.Remove(f.place)
			delete(c.open, f.path)
			old = append(old, f)
		}
	}
	return old
}

// flush makes all entries durable. Nothing may be in use.
func (c *folders) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.err
	c.err = nil
	for _, f := range c.open {
		err = errors.Join(err, f.sync())
	}
	return errors.Join(err, c.top.sync())
}

// close closes all. Nothing may be in use.
func (c *folders) close() error {
	err := c.flush()
	for _, f := range c.open {
		err = errors.Join(err, f.finish())
	}
	return errors.Join(err, c.top.finish())
}
