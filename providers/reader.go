package providers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
)

// Sized is what a reader returned by Driver.Open may implement: Size is the number of bytes that the store announced for this body, known
// before the first is read, or -1. With it the Bucket sees a body that was cut short without asking the store for the object's size.
type Sized interface{ Size() int64 }

// progress is how many bytes earn one more attempt, so that a long read survives more disturbances than a short one, and
// a store that drips a few bytes a connection is still given up.
const progress = 1 << 20

// reader reads the bytes [off, end) of an object, or of one version of it, and opens it again where a connection broke off. Time counts only while
// the store is asked, not while nobody reads. Not safe for concurrent use.
type reader struct {
	b    *Bucket
	ctx  context.Context
	name string
	id   string // of the version; empty: what a plain read sees
	from int64  // first byte wanted
	off  int64  // next byte
	end  int64  // first byte not wanted; -1: to the object's end

	body     io.ReadCloser // nil: not open
	watch    *watch        // of the open body; held except while it is read
	bodyEnd  int64         // offset at which the open body ends as announced; -1: not announced
	failures int
	pending  error // what the body said together with its last bytes
	err      error // what every further Read returns
}

// read returns a reader of the bytes [off, end) of a version of the object, or of what a plain read sees where id is empty. It makes no request yet. The caller closes it.
func (b *Bucket) read(ctx context.Context, name, id string, off, end int64) *reader {
	return &reader{b: b, ctx: ctx, name: name, id: id, from: off, off: off, end: end}
}

// Read reads some bytes. io.EOF means that the range or the object is at its end, whichever comes first.
func (r *reader) Read(p []byte) (int, error) {
	for r.err == nil {
		if r.off == r.end {
			r.finish(io.EOF)
			break
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := r.attempt(p)
		if n > 0 {
			return n, nil
		}
		r.settle(err)
	}
	return 0, r.err
}

// attempt opens the object if need be, and reads once. It returns bytes or an error, never both.
func (r *reader) attempt(p []byte) (int, error) {
	if err := r.open(); err != nil {
		return 0, err
	}
	if err := r.pending; err != nil {
		r.pending = nil
		return 0, err
	}
	if r.end >= 0 {
		p = p[:min(int64(len(p)), r.end-r.off)]
	}
	if !r.b.downLimit.none() {
		p = p[:min(len(p), piece)]
	}
	r.watch.run()
	n, err := r.body.Read(p)
	r.watch.hold()
	r.watch.grant(r.b.opts.allowed(int64(n)) - r.b.opts.AttemptBase)
	if n == 0 {
		return 0, err
	}
	r.pending = err
	r.off += int64(n)
	r.b.received.Add(int64(n))
	if err := r.b.downLimit.wait(r.ctx, n); err != nil {
		r.off -= int64(n)
		return 0, err
	}
	return n, nil
}

// open makes sure that there is a body, and that its clock is held.
func (r *reader) open() error {
	if r.body != nil {
		return nil
	}
	if err := r.b.requestLimit.wait(r.ctx, 1); err != nil {
		return &Error{Kind: Other, Op: "read", Name: r.name, Err: err}
	}
	n := int64(-1)
	if r.end >= 0 {
		n = r.end - r.off
	}
	r.b.opens.Add(1)
	w := newWatch(r.ctx, r.b.opts.AttemptBase)
	body, err := r.request(w.ctx, n)
	w.hold()
	r.watch = w
	if err != nil {
		return err
	}
	r.body, r.bodyEnd = body, -1
	if s, ok := body.(Sized); ok && s.Size() >= 0 {
		r.bodyEnd = r.off + s.Size()
	}
	return nil
}

// request asks the driver for n bytes from where the reader is.
func (r *reader) request(ctx context.Context, n int64) (io.ReadCloser, error) {
	switch {
	case r.id == "":
		return r.b.d.Open(ctx, r.name, r.off, n)
	case r.b.historian == nil:
		return nil, unasked("read", r.name)
	}
	return r.b.historian.OpenVersion(ctx, r.name, r.id, r.off, n)
}

// settle decides what an attempt's error, which may be nil, means: the end, a failure, or another attempt.
func (r *reader) settle(err error) {
	if err == nil {
		return
	}
	if err == io.EOF {
		size, statErr := r.expected()
		if statErr != nil || r.off >= size {
			r.finish(cmp.Or(statErr, io.EOF))
			return
		}
		err = &Error{Kind: Corrupt, Op: "read", Name: r.name, Err: fmt.Errorf("the body was cut short at byte %d of %d", r.off, size)}
	}
	if r.watch != nil {
		err = classify(r.ctx, r.watch, "read", r.name, err)
	}
	r.drop()
	r.failures++
	limit := r.b.opts.Attempts + int((r.off-r.from)/progress)
	if err := r.b.pause(r.ctx, "read", r.name, r.failures, limit, err); err != nil {
		r.finish(err)
	}
}

// expected is the offset at which the body should end: as announced, or else the version's size.
func (r *reader) expected() (int64, error) {
	if r.bodyEnd >= 0 {
		return r.bodyEnd, nil
	}
	if r.id == "" {
		info, err := r.b.Stat(r.ctx, r.name)
		return info.Size, err
	}
	for v, err := range r.b.Versions(r.ctx, r.name) {
		if err != nil || v.ID == r.id {
			return v.Size, err
		}
	}
	return 0, &Error{Kind: NotFound, Op: "read", Name: r.name, Err: fmt.Errorf("version %s is not listed", r.id)}
}

// finish closes the body and makes err the answer to every further Read.
func (r *reader) finish(err error) {
	r.drop()
	if r.err == nil {
		r.err = err
	}
}

// drop closes the body. Its error is of no interest: every byte that was taken from it has been read already.
func (r *reader) drop() {
	if r.body != nil {
		_ = r.body.Close()
	}
	if r.watch != nil {
		r.watch.stop()
	}
	r.body, r.watch, r.pending = nil, nil, nil
}

// Close ends the reader. It never fails.
func (r *reader) Close() error {
	r.finish(errClosed)
	return nil
}

var errClosed = errors.New("read after close")

// announced opens the object and returns how many bytes it should yield, 0 where the store does not say.
func (r *reader) announced() (int64, error) {
	for r.err == nil {
		err := r.open()
		if err == nil {
			return max(0, r.bodyEnd-r.off), nil
		}
		r.settle(err)
	}
	return 0, r.err
}
