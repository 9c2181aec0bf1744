package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"farshore/agent/restore"
)

// partialName is what files in the making are called.
var partialName = regexp.MustCompile(`^[0-9]{1,20}$`)

// maxLeftovers bounds how many entries of a workshop are read at a time.
const maxLeftovers = 512

// openWorkshop opens the workshop in the root, locks it and clears it.
func openWorkshop(root *os.Root) (*folder, error) {
	for range 3 {
		f, err := enterWorkshop(root)
		if err != nil {
			return nil, err
		}
		now, err := root.Lstat(partialFolder)
		mine, err2 := f.dir.Stat()
		if err == nil && err2 == nil && sameFile(now, mine) {
			return f, clear(f)
		}
		if err := f.finish(); err != nil { // another process removed it when it was done
			return nil, err
		}
	}
	return nil, fmt.Errorf("the folder %s keeps changing", partialFolder)
}

func enterWorkshop(root *os.Root) (*folder, error) {
	if err := root.Mkdir(partialFolder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	fi, err := root.Lstat(partialFolder)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s in the target is no folder: somebody put it there; remove it", partialFolder)
	}
	sub, err := root.OpenRoot(partialFolder)
	if err != nil {
		return nil, err
	}
	f, err := openFolder(partialFolder, sub)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(errors.New("another restore is writing to this target: wait until it is done"), f.finish())
	}
	return f, nil // file systems without locks get none: two restores at a time then disturb each other, and fail
}

// clear removes what an earlier process left.
func clear(f *folder) error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(maxLeftovers)
		for _, name := range names {
			if !partialName.MatchString(name) {
				continue
			}
			if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// partial is a file in the making. Not safe for concurrent use.
type partial struct {
	in   *folder
	name string
}

// make writes a file in the workshop, whole and durable, or leaves nothing.
func (t *Target) make(ctx context.Context, it *restore.Item, body restore.Body) (*partial, error) {
	p := &partial{in: t.workshop, name: strconv.FormatUint(t.serial.Add(1), 10)}
	f, err := p.in.root.OpenFile(p.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	err = reserve(f, it.Size)
	if err == nil {
		err = body(f)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = p.date(it.Attrs["modified"])
	}
	if err != nil {
		return nil, errors.Join(err, p.discard())
	}
	return p, nil
}

// reserve asks for the room at once, so that a full disk shows before an hour of writing. Not every file system can.
func reserve(f *os.File, size int64) error {
	const worthwhile = 1 << 20
	if size < worthwhile {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		return err
	}
	return nil
}

// date gives the file the time that the source stated. One that can't be read is none.
func (p *partial) date(modified string) error {
	at, err := time.Parse(time.RFC3339Nano, modified)
	if err != nil {
		return nil
	}
	return p.in.root.Chtimes(p.name, at, at)
}

// discard removes the file.
func (p *partial) discard() error {
	if err := p.in.root.Remove(p.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// publish gives the file its name, in place of what has it when replace says so; else restore.ErrExists says that something has it.
func (p *partial) publish(to *folder, leaf string, replace bool) error {
	from, at := int(p.in.dir.Fd()), int(to.dir.Fd())
	if replace {
		return unix.Renameat(from, p.name, at, leaf)
	}
	err := unix.Renameat2(from, p.name, at, leaf, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		err = p.link(from, at, leaf)
	}
	if errors.Is(err, unix.EEXIST) {
		return restore.ErrExists
	}
	return err
}

// link does the same where the file system has no such rename; where it has no links either, looking first is all that is left.
func (p *partial) link(from, at int, leaf string) error {
	err := unix.Linkat(from, p.name, at, leaf, 0)
	switch {
	case err == nil:
		return p.discard()
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOSYS):
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(at, leaf, &st, unix.AT_SYMLINK_NOFOLLOW); !errors.Is(err, unix.ENOENT) {
		if err == nil {
			err = unix.EEXIST
		}
		return err
	}
	return unix.Renameat(from, p.name, at, leaf)
}
