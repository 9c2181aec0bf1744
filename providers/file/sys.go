package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"farshore/providers"
)

// noLinks reports whether link(2) failed because the file system has no hard links, like FAT, exFAT and many network and FUSE ones.
func noLinks(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EMLINK)
}

// renameNoReplace gives the file its name by renameat2(2), which fails when the name exists. A file system with neither
// that nor links can't hold a vault: every other way could replace an object or show half of one.
func (d *Driver) renameNoReplace(tmp, name string) error {
	from, err := d.root.Open(path.Dir(tmp))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := d.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer to.Close()
	err = unix.Renameat2(int(from.Fd()), path.Base(tmp), int(to.Fd()), path.Base(name), unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return &providers.Error{Kind: providers.Unsupported, Err: fmt.Errorf("this file system has neither hard links nor a rename that never replaces, so a vault on it would not be add-only: use another: %w", err)}
	}
	return err
}

// kinds classifies errors of the system. What is missing is Other: EIO above all, which a retry must not hide.
var kinds = []struct {
	err  error
	kind providers.Kind
}{
	{fs.ErrExist, providers.Exists},
	{fs.ErrNotExist, providers.NotFound},
	{unix.ENOTDIR, providers.NotFound},
	{unix.ENOSPC, providers.Full},
	{unix.EDQUOT, providers.Full},
	{fs.ErrPermission, providers.Denied},
	{unix.EROFS, providers.Denied},
	{unix.ESTALE, providers.Temporary},
	{unix.ETIMEDOUT, providers.Temporary},
	{unix.EAGAIN, providers.Temporary},
	{unix.EINTR, providers.Temporary},
	{unix.EMFILE, providers.Temporary},
	{unix.ENFILE, providers.Temporary},
	{io.ErrUnexpectedEOF, providers.Corrupt},
}

// fail turns an error into an *Error about this operation.
func fail(op, name string, err error) error {
	var inner *providers.Error
	if errors.As(err, &inner) {
		return &providers.Error{Kind: inner.Kind, Op: op, Name: name, Err: inner.Err}
	}
	e := &providers.Error{Op: op, Name: name, Err: err}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return e
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			e.Kind = k.kind
			break
		}
	}
	// A file in the place of a folder, or a folder that is gone, is not an object that is missing.
	if op == "create" && e.Kind == providers.NotFound {
		e.Kind = providers.Other
	}
	return e
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// onlyWriter hides every other method, so that io.CopyBuffer uses the buffer that it was given.
type onlyWriter struct{ io.Writer }
