package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// target is a file that is about to be replaced: locked against other edits, and remembered as it was.
type target struct {
	// path is the file itself, symbolic links resolved, so that a link stays one.
	path string
	f    *os.File
	info fs.FileInfo
	data []byte
}

// openTarget locks and reads the file. The caller closes the target.
func openTarget(path string) (*target, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("edit configuration: %w", err)
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, fmt.Errorf("edit configuration: %w", err)
	}
	t := &target{path: real, f: f}
	if err := t.read(); err != nil {
		t.close()
		return nil, fmt.Errorf("edit configuration: %w", err)
	}
	return t, nil
}

// read locks the file, then reads it.
func (t *target) read() error {
	if err := syscall.Flock(int(t.f.Fd()), syscall.LOCK_EX); err != nil && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.ENOSYS) {
		return fmt.Errorf("lock %s: %w", t.path, err)
	}
	var err error
	if t.info, err = t.f.Stat(); err != nil {
		return err
	}
	t.data, err = io.ReadAll(io.LimitReader(t.f, maxFile+1))
	return err
}

// close gives up the lock. Nothing was written through this file, so that its error means nothing.
func (t *target) close() { _ = t.f.Close() }

// replace puts data in the file's place, with its mode and owner: written beside it, made durable, and renamed, unless the file is no longer
// what was read.
func (t *target) replace(data []byte) error {
	if bytes.Equal(data, t.data) {
		return nil
	}
	temp, err := writeTemp(t.path, data, t.info)
	if err != nil {
		return fmt.Errorf("edit configuration: %w", err)
	}
	if err := t.unchanged(); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, t.path); err != nil {
		return errors.Join(fmt.Errorf("edit configuration: %w", err), os.Remove(temp))
	}
	return syncDir(filepath.Dir(t.path))
}

// unchanged holds the file under the path to what was read: the same file with the same bytes.
func (t *target) unchanged() error {
	info, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("edit configuration: %w", err)
	}
	data, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("edit configuration: %w", err)
	}
	if !os.SameFile(info, t.info) || !bytes.Equal(data, t.data) {
		return fmt.Errorf("edit configuration: %s was changed by somebody else meanwhile, and is left as it is now: try again", t.path)
	}
	return nil
}

// writeTemp writes a durable file beside path, with the mode and owner of like unless that is nil, and returns its name.
func writeTemp(path string, data []byte, like fs.FileInfo) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	mode := fs.FileMode(0o644)
	if like != nil {
		mode, err = like.Mode().Perm(), chown(f, like)
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// chown gives the file the owner and group of like, where they differ.
func chown(f *os.File, like fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	want, ok1 := like.Sys().(*syscall.Stat_t)
	have, ok2 := info.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || (want.Uid == have.Uid && want.Gid == have.Gid) {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("the file would change hands: %w: make the change as its owner", err)
	}
	return nil
}

// syncDir makes a rename in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("make %s durable: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("make %s durable: %w", dir, err)
	}
	return nil
}
