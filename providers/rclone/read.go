package rclone

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rclone/rclone/fs"

	"farshore/providers"
)

// Open reads n bytes from offset off, or to the end where n < 0. It asks for the object's size first. A body that ends early fails with
// kind Corrupt when it is read.
func (d *Driver) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	ctx = d.context(ctx)
	if off < 0 {
		return nil, fail("open", name, fmt.Errorf("offset %d is below zero", off))
	}
	o, err := d.object(ctx, name)
	if err != nil {
		return nil, fail("open", name, err)
	}
	size := o.Size()
	if size < 0 {
		return nil, fail("open", name, fmt.Errorf("the store does not tell the object's size"))
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	if n <= 0 {
		return empty{}, nil
	}
	var options []fs.OpenOption
	if n < size {
		options = append(options, &fs.RangeOption{Start: off, End: off + n - 1})
	}
	body, err := o.Open(ctx, options...)
	if err != nil {
		return nil, fail("open", name, err)
	}
	return &reader{ctx: ctx, name: name, body: body, size: n, left: n}, nil
}

// object finds an object.
func (d *Driver) object(ctx context.Context, name string) (fs.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return d.fs.NewObject(ctx, name)
}

// reader yields exactly the bytes that were asked for, or fails.
type reader struct {
	ctx  context.Context
	name string
	body io.ReadCloser
	size int64
	left int64
}

// Size is the number of bytes that the range has (providers.Sized).
func (r *reader) Size() int64 { return r.size }

func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return 0, fail("read", r.name, err)
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case err == nil || r.left == 0 && err == io.EOF:
		return n, err
	case err == io.EOF:
		err = fmt.Errorf("%w: %d bytes are missing", io.ErrUnexpectedEOF, r.left)
	}
	return n, fail("read", r.name, err)
}

func (r *reader) Close() error { return r.body.Close() }

// empty is a range without bytes of an object that exists.
type empty struct{}

func (empty) Size() int64              { return 0 }
func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Close() error             { return nil }

// Stat describes one object.
func (d *Driver) Stat(ctx context.Context, name string) (providers.Info, error) {
	ctx = d.context(ctx)
	o, err := d.object(ctx, name)
	if err != nil {
		return providers.Info{}, fail("stat", name, err)
	}
	return d.info(ctx, name, o), nil
}

func (d *Driver) info(ctx context.Context, name string, o fs.ObjectInfo) providers.Info {
	return providers.Info{Name: name, Size: o.Size(), Modified: d.modified(ctx, o)}
}

// modified is the time at which the store wrote the object. Where rclone can set an object's time, it has set it to this machine's, which would tell
// the reader nothing about the store's clock: there it is zero.
func (d *Driver) modified(ctx context.Context, o fs.DirEntry) time.Time {
	switch {
	case d.backend == "s3" || d.backend == "azureblob": // both heed UseServerModTime
	case d.fs.Precision() == fs.ModTimeNotSupported:
	default:
		return time.Time{}
	}
	return o.ModTime(ctx)
}
