package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

// Bounds of what a repository makes the agent, and the git that it runs, read whole.
const (
	maxSmall      = 1 << 20  // of small files
	maxConfig     = 16 << 20 // of each file of its configuration
	maxPackedRefs = 1 << 30
)

// refsTime is how long git may take to say which refs there are, what they point to, and what the configuration says. Nothing of that waits for a program; only a
// file that is none can make it hang.
const refsTime = 5 * time.Minute

// soon runs git for something that must not take long.
func (r *Repository) soon(ctx context.Context, do func(context.Context) error) error {
	short, cancel := context.WithTimeout(ctx, r.refsTime)
	defer cancel()
	err := do(short)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return &source.Unreadable{Reason: record.ReasonOther, Detail: fmt.Sprintf("%s: git could not say in %v what there is: look for files in it that are none (find %s ! -type f ! -type d)",
			r.dir, r.refsTime, r.dir)}
	}
	return err
}

// checkShape finds what can't be captured, or not be read, by looking at the directory: before git runs, which opens whatever has the name of one of its files, and
// would wait for a named pipe for ever or repeat what a link shows it.
func (r *Repository) checkShape() error {
	r.inside = insides(r.dir, r.options.Root)
	if _, err := os.Lstat(filepath.Join(r.dir, "commondir")); err == nil {
		return unsupported("%s belongs to a linked working tree: its history is in the repository that it was made from, which is captured where it lies", r.dir)
	}
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Lstat(filepath.Join(r.dir, "reftable")); err == nil && name == "refs" {
				continue
			}
			return broken("%s: %s is missing: repair the repository or restore it", r.dir, name)
		} else if err != nil {
			return r.access(err)
		}
	}
	if err := r.checkObjects(r.objects()); err != nil {
		return err
	}
	if err := r.checkFiles(); err != nil {
		return err
	}
	return r.checkShallow()
}

// insides are the real paths of folders, without those that are not there.
func insides(dirs ...string) (list []string) {
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); dir != "" && err == nil {
			list = append(list, real)
		}
	}
	return list
}

// within reports whether a real path is one that this repository may share files with.
func (r *Repository) within(real string) bool {
	for _, dir := range r.inside {
		if real == dir || strings.HasPrefix(real, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}

// checkFiles looks at the files that git reads to learn what the repository is.
func (r *Repository) checkFiles() error {
	for _, f := range []struct {
		name string
		max  int64
		link bool // it may be a symbolic link
	}{
		{"HEAD", maxSmall, false}, {"config", maxConfig, true}, {"config.worktree", maxConfig, true}, {"packed-refs", maxPackedRefs, false}, {"shallow", maxSmall, false},
	} {
		file := filepath.Join(r.dir, f.name)
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Type() == fs.ModeSymlink {
			if f.name == "HEAD" && symbolicRef(file) {
				continue
			}
			if !f.link {
				return unsupported("%s is a symbolic link, which is not followed: put the file itself there", file)
			}
			info, err = r.inShare(file)
		}
		switch {
		case err != nil:
			return r.access(err)
		case !info.Mode().IsRegular():
			return unsupported("%s is no regular file: repair the repository", file)
		case info.Size() > f.max:
			return &source.Unreadable{Reason: record.ReasonTooLarge, Detail: fmt.Sprintf("%s has %d bytes, more than %d", file, info.Size(), f.max)}
		}
	}
	f, _, err := openRegular(filepath.Join(r.dir, "HEAD"))
	if errors.Is(err, fs.ErrPermission) {
		return r.access(err)
	}
	if err == nil {
		_ = f.Close()
	}
	return nil
}

// symbolicRef reports whether a symbolic link is a symbolic ref, in the oldest form.
func symbolicRef(file string) bool {
	target, err := os.Readlink(file)
	return err == nil && refs.ValidName(target)
}

// inShare is what a symbolic link leads to, which has to lie where this repository may share files.
func (r *Repository) inShare(file string) (fs.FileInfo, error) {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, err
	}
	if !r.within(real) {
		return nil, unsupported("%s is a symbolic link that leads out of the source's directory: add what it leads to to the source, or put the files themselves there", file)
	}
	return os.Lstat(real)
}

// checkObjects looks at an object directory, its packs and what belongs to them: all are files and folders, and none lies outside.
func (r *Repository) checkObjects(dir string) error {
	info, err := r.inShare(dir)
	if err != nil {
		return r.access(err)
	}
	if !info.IsDir() {
		return broken("%s is no folder: repair the repository or restore it", dir)
	}
	for _, sub := range []string{"", "pack", "info"} {
		if err := r.checkFolder(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

// checkLoose looks at the objects that have a file each.
func (r *Repository) checkLoose(dir string) error {
	for n := range 256 {
		if err := r.checkFolder(filepath.Join(dir, fmt.Sprintf("%02x", n))); err != nil {
			return err
		}
	}
	return nil
}

// checkFolder looks at what a folder has; one that is not there has nothing.
func (r *Repository) checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		info, err = r.inShare(dir)
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil // a file in its place is git's to complain about
	}
	if err != nil {
		return r.access(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !gone(err) {
		return r.access(err)
	}
	for _, e := range entries {
		mode := e.Type()
		if mode == fs.ModeSymlink {
			info, err := r.inShare(filepath.Join(dir, e.Name()))
			if gone(err) {
				continue
			}
			if err != nil {
				return r.access(err)
			}
			mode = info.Mode()
		}
		if !mode.IsRegular() && !mode.IsDir() {
			return notFile(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

func notFile(name string) error {
	return unsupported("%s is neither a file nor a folder: remove it", name)
}

// checkShares looks at the loose objects too, of this repository and of those that it borrows from: once, before any of them is read.
func (r *Repository) checkShares() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.looked {
		return nil
	}
	for _, dir := range append([]string{r.objects()}, r.alternates...) {
		if err := r.checkLoose(dir); err != nil {
			return err
		}
	}
	r.looked = true
	return nil
}

// checkRefs looks at what lies among the refs. It fails where a folder can't be read, which git takes for empty, and where something is no file.
func (r *Repository) checkRefs(ctx context.Context) error {
	look := func(name string, d fs.DirEntry, err error) error {
		switch {
		case gone(err):
			return nil
		case err != nil:
			return r.access(err)
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir():
			return nil
		case d.Type() == fs.ModeSymlink && symbolicRef(name):
			return nil
		case d.Type() == fs.ModeSymlink:
			return unsupported("%s is a symbolic link and no symbolic ref: remove it", name)
		case !d.Type().IsRegular():
			return notFile(name)
		}
		info, err := d.Info()
		if err == nil && info.Size() > maxSmall && !r.inTables() {
			return unsupported("%s has %d bytes, which no ref has: remove it", name, info.Size())
		}
		return nil // one that is gone is no matter
	}
	for _, name := range []string{"refs", "reftable"} {
		if err := filepath.WalkDir(filepath.Join(r.dir, name), look); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) checkShallow() error {
	info, err := os.Lstat(filepath.Join(r.dir, "shallow"))
	if err != nil || info.Size() == 0 {
		return nil
	}
	return unsupported("%s is a shallow clone: older history is not there; run: git -C %s fetch --unshallow", r.dir, r.dir)
}

// readSmall reads a small regular file.
func readSmall(name string) ([]byte, error) {
	f, size, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxSmall {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, size, maxSmall)
	}
	return io.ReadAll(io.LimitReader(f, maxSmall))
}

// errNotRegular says that something with the name of a file is none, or a symbolic link.
var errNotRegular = errors.New("it is no regular file")

// openRegular opens a regular file, and never what is none: a named pipe must not stop the agent, a device not be touched, a link not be followed.
func openRegular(name string) (*os.File, int64, error) {
	info, err := os.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, errNotRegular)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, errNotRegular)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
