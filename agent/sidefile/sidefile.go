// Package sidefile keeps small files beside the local state that several runs of the program read and replace at the same time: one waits for the other, and a reader sees
// the old file or the new one, whole. It knows nothing of what is in them.
package sidefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Wait is how long Lock waits for another process, which holds a lock only while it writes a small file. A time in which the machine stands still does not count.
const Wait = 5 * time.Second

// pause is how long Lock waits before it tries again.
const pause = 10 * time.Millisecond

// Lock takes the lock of a file, which is made where it is not there and never removed: whoever removed it could leave two processes with locks on two files. It ends with
// the process, however that ends. The caller unlocks. It fails when ctx ends or Wait is over, the latter with context.DeadlineExceeded.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	return lock(ctx, path, tick.C)
}

// lock tries at once and with each tick. A ticker drops what nobody takes, so that the ticks, and not the clock, tell how long the other process had.
func lock(ctx context.Context, path string, ticks <-chan time.Time) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	for left := Wait; ; left -= pause {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			likeDirectory(f, filepath.Dir(path))
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if err = held(ctx, ticks, left); err != nil {
			return nil, errors.Join(fmt.Errorf("another process holds %s: %w", path, err), f.Close())
		}
	}
}

// held waits for the next try, unless there is none.
func held(ctx context.Context, ticks <-chan time.Time, left time.Duration) error {
	if left <= 0 {
		return context.DeadlineExceeded
	}
	select {
	case <-ticks:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// likeDirectory gives a file to the owner of its directory, so that what root runs does not keep the agent's own user from it. Where that can't be done it stays with
// whoever made it. A file that has another name elsewhere stays whose it is: the directory's owner may have linked to it what he wants to have.
func likeDirectory(f *os.File, dir string) {
	var st, own unix.Stat_t
	if os.Geteuid() != 0 || unix.Stat(dir, &st) != nil || unix.Fstat(int(f.Fd()), &own) != nil {
		return
	}
	if own.Mode&unix.S_IFMT == unix.S_IFREG && own.Nlink == 1 {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}

// ErrTooLarge says that a file has more bytes than it may.
var ErrTooLarge = errors.New("the file is too large")

// Read returns a file's content, at most that many bytes. It follows no symbolic link, and does not wait for a pipe's writer. It fails with fs.ErrNotExist, ErrTooLarge, and
// errors of the file system.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is no regular file", path), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	return data, err
}

// Replace writes a file in one step: a power cut leaves the old one or the new one, and a reader sees one of them whole. The new file has exactly the mode, and a temporary
// name that begins with a dot until it is whole. One process at a time may call it for a path: see Lock.
func Replace(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	fresh := filepath.Join(dir, "."+filepath.Base(path)+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := write(fresh, data, mode); err != nil {
		return errors.Join(err, removed(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, removed(fresh))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil // a file system that can't sync a directory
	}
	return errors.Join(err, d.Close())
}

func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func write(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	likeDirectory(f, filepath.Dir(path))
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
