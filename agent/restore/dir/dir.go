// Package dir restores items to a directory.
//
// No key leads a restore outside of its root, and none makes it write over or through something that it did not put there: every folder is
// opened by itself, from the root down, and a symbolic link, a file, or another file system on the way is an obstacle. An item that
// can't have its own name, because of its key or of an obstacle, goes to the folder _farshore-escaped below the root, under a name from which its
// key can be read back (Escape). A key that begins with a name of farshore's own is escaped too, so that no key collides with these.
//
// A file is made in the folder _farshore-partial, written to the disk, and then gets its name in one step. The process that restores holds a lock there,
// and removes what a killed one left. Attributes other than the time have no place in a file system: Options.Attributes writes them to a file.
package dir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"farshore/agent/record"
	"farshore/agent/restore"
)

// Options are what a path does not say.
type Options struct {
	// Attributes is a file to which the attributes of all items that are at the target are written, one JSON object a line: "path" (or
	// "path64", base64 of a path that is not UTF-8), "as" where the item has another name at the target, and "attrs". The lines come in no
	// particular order. The file is replaced in one step by Flush. Empty: none is written.
	Attributes string
}

// Target is a directory. Its methods may be called concurrently, but for Close.
type Target struct {
	path       string // absolute
	attributes *attributes
	serial     atomic.Uint64
	closed     bool

	mu       sync.Mutex
	folders  *folders // nil while the root does not exist
	workshop *folder  // nil before the first write
}

var _ restore.Target = (*Target)(nil)

// Open returns the directory as a target. Nothing is created before the first Write, the directory itself included. Close it after use.
func Open(path string, o Options) (*Target, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	t := &Target{path: abs}
	root, err := os.OpenRoot(abs)
	switch {
	case err == nil:
		if t.folders, err = newFolders(root); err != nil {
			return nil, err
		}
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%s is no directory", path)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if o.Attributes != "" {
		if t.attributes, err = newAttributes(o.Attributes); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	return t, nil
}

// Close gives everything back; a second call does nothing. It does not flush: without a Flush before it, no file of attributes is left.
func (t *Target) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	err := t.attributes.abandon()
	if t.workshop != nil {
		if e := t.folders.top.root.Remove(partialFolder); e != nil && !errors.Is(e, syscall.ENOTEMPTY) && !errors.Is(e, syscall.EEXIST) {
			err = errors.Join(err, e)
		}
		err = errors.Join(err, t.workshop.finish())
	}
	if t.folders != nil {
		err = errors.Join(err, t.folders.close())
	}
	return err
}

// Look compares the file under the item's name, or under its escaped name, with the item: equal means the same size and SHA-256.
func (t *Target) Look(ctx context.Context, it *restore.Item) (restore.Found, error) {
	var found restore.Found
	folders := t.root()
	s, err := t.place(it, func(s spot) (err error) {
		found = restore.Found{}
		if folders != nil {
			found, err = t.look(ctx, folders, it, s)
		}
		return err
	})
	if err != nil {
		return found, err
	}
	found.As = s.as
	if s.as != "" && found.State != restore.Differs {
		found.Why = s.why
	}
	if found.State == restore.Equal {
		err = t.attributes.add(it, s.as)
	}
	return found, err
}

// root returns the folders, nil when the root does not exist.
func (t *Target) root() *folders {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.folders
}

// place calls try with the item's own place, and with its escaped one when the item can't be there.
func (t *Target) place(it *restore.Item, try func(s spot) error) (spot, error) {
	why := hostile(it.Path, len(t.path))
	if why == "" && it.Below {
		why = "another item has the name of a folder above it"
	}
	if why == "" {
		s := natural(it.Path)
		err := judge(try(s))
		o, inTheWay := isBlocked(err)
		if !inTheWay {
			return s, t.full(err)
		}
		why = o.why
	}
	s := escaped(it.Path, why)
	err := judge(try(s))
	if o, inTheWay := isBlocked(err); inTheWay {
		err = &restore.ItemError{Err: fmt.Errorf("%s, and neither can it be %s: %w", why, s.as, o)}
	}
	return s, t.full(err)
}

// look compares what is at one place with the item.
func (t *Target) look(ctx context.Context, folders *folders, it *restore.Item, s spot) (restore.Found, error) {
	f, err := folders.get(s.folder, false)
	if errors.Is(err, fs.ErrNotExist) {
		return restore.Found{}, nil
	}
	if err != nil {
		return restore.Found{}, err
	}
	defer folders.release(f, false)
	fi, err := entry(f, s.leaf)
	switch {
	case err != nil || fi == nil:
		return restore.Found{}, err
	case fi.Size() != it.Size:
		return restore.Found{State: restore.Differs, Why: fmt.Sprintf("it has %d bytes, not %d", fi.Size(), it.Size)}, nil
	}
	sum, err := hash(ctx, f, s.leaf, fi)
	if err != nil {
		if ctx.Err() == nil {
			err = &restore.ItemError{Err: err}
		}
		return restore.Found{}, err
	}
	if sum != it.SHA256 {
		return restore.Found{State: restore.Differs, Why: "its content differs"}, nil
	}
	return restore.Found{State: restore.Equal}, nil
}

// entry returns the file that has the name; nil when there is none. Anything but a file of exactly that name is an obstacle.
func entry(f *folder, leaf string) (fs.FileInfo, error) {
	fi, err := f.Lstat(leaf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case fi.IsDir():
		return nil, blocked("a folder has the name at the target")
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, blocked("a symbolic link has the name at the target")
	case !fi.Mode().IsRegular():
		return nil, blocked("something that is no file has the name at the target")
	}
	same, err := exact(f, leaf, fi)
	if err == nil && !same {
		err = blocked("the file system takes the name for that of another file")
	}
	return fi, err
}

// hash reads the file that fi describes; whatever else has the name by now is refused.
func hash(ctx context.Context, f *folder, leaf string, fi fs.FileInfo) (sum record.Hash, err error) {
	file, err := f.root.OpenFile(leaf, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	if now, err := file.Stat(); err != nil || !sameFile(now, fi) {
		return sum, errors.Join(errors.New("it changed while it was compared"), err)
	}
	h := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		switch _, err := io.CopyN(h, file, 4<<20); {
		case err == io.EOF:
			return record.Hash(h.Sum(nil)), nil
		case err != nil:
			return sum, err
		}
	}
}

// Write makes the file and gives it its name, or its escaped name.
func (t *Target) Write(ctx context.Context, it *restore.Item, overwrite bool, body restore.Body) (restore.Written, error) {
	folders, err := t.begin()
	if err != nil {
		return restore.Written{}, t.full(err)
	}
	p, err := t.make(ctx, it, body)
	if err != nil {
		return restore.Written{}, t.full(err)
	}
	s, err := t.place(it, func(s spot) error { return put(folders, p, s, overwrite) })
	if err != nil {
		return restore.Written{}, errors.Join(err, p.discard())
	}
	return restore.Written{As: s.as, Why: s.why}, t.attributes.add(it, s.as)
}

// put moves a finished file to one place.
func put(folders *folders, p *partial, s spot, overwrite bool) error {
	f, err := folders.get(s.folder, true)
	if err != nil {
		return err
	}
	changed := false
	defer func() { folders.release(f, changed) }()
	fi, err := entry(f, s.leaf)
	if err != nil {
		return err
	}
	if fi != nil && !overwrite {
		return restore.ErrExists
	}
	err = p.publish(f, s.leaf, fi != nil)
	changed = err == nil
	return err
}

// begin creates what is missing before the first write.
func (t *Target) begin() (*folders, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.workshop != nil {
		return t.folders, nil
	}
	if t.folders == nil {
		if err := os.MkdirAll(t.path, 0o777); err != nil {
			return nil, err
		}
		root, err := os.OpenRoot(t.path)
		if err != nil {
			return nil, err
		}
		if t.folders, err = newFolders(root); err != nil {
			return nil, err
		}
	}
	var err error
	t.workshop, err = openWorkshop(t.folders.top.root)
	if err != nil {
		t.workshop = nil
		return nil, fmt.Errorf("%s: %w", t.path, err)
	}
	return t.folders, nil
}

// Flush makes the names of all files durable, and puts the file of attributes in its place.
func (t *Target) Flush(context.Context) error {
	var err error
	if f := t.root(); f != nil {
		err = f.flush()
	}
	return errors.Join(t.full(err), t.attributes.finish())
}
