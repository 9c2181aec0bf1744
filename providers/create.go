package providers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// Create stores all of body under name, unless the name exists. sum is the body's SHA-256. When the name exists, or the store's
// answer was lost, the stored bytes are read back: if they are equal to body the call has succeeded, and existed is true, whether it was
// an earlier attempt or somebody else who put them there. If other bytes are there, or they may not be read, the error is kind Exists.
func (b *Bucket) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (info Info, existed bool, err error) {
	const op = "create"
	if err := CheckName(op, name); err != nil {
		return Info{}, false, err
	}
	if body.Size() > MaxObject {
		return Info{}, false, &Error{Kind: Unsupported, Op: op, Name: name, Err: fmt.Errorf("%d bytes, a vault's objects have at most %d", body.Size(), MaxObject)}
	}
	for failures := 1; ; failures++ {
		info, err := b.createOnce(ctx, name, body, sum)
		if err == nil {
			return info, false, nil
		}
		if KindOf(err) == Exists {
			return b.adopt(ctx, name, body.Size(), sum)
		}
		stop := b.pause(ctx, op, name, failures, b.opts.Attempts, err)
		if ambiguous(err) && ctx.Err() == nil && b.present(ctx, name) {
			return b.adopt(ctx, name, body.Size(), sum)
		}
		if stop != nil {
			return Info{}, false, stop
		}
	}
}

// createOnce makes one attempt.
func (b *Bucket) createOnce(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (info Info, err error) {
	err = b.once(ctx, "create", name, body.Size(), func(w *watch) (err error) {
		b.creates.Add(1)
		u := &upload{body: body, watch: w, limit: b.upLimit, sent: &b.sent}
		info, err = b.d.Create(w.ctx, name, io.NewSectionReader(u, 0, body.Size()), sum)
		return err
	})
	return info, err
}

// ambiguous reports whether a create that failed like this may have taken effect all the same. Every other kind is an answer of the
// store that nothing was stored, or a failure that must not be taken for success.
func ambiguous(err error) bool {
	k := KindOf(err)
	return k == Temporary || k == Corrupt
}

// present reports whether the name is known to exist. It asks once: where it gets no answer, the next attempt to create will.
func (b *Bucket) present(ctx context.Context, name string) bool {
	return b.once(ctx, "stat", name, 0, func(w *watch) error {
		b.stats.Add(1)
		_, err := b.d.Stat(w.ctx, name)
		return err
	}) == nil
}

// adopt compares what is stored under name with what should be there.
func (b *Bucket) adopt(ctx context.Context, name string, size int64, sum [32]byte) (Info, bool, error) {
	info, err := b.compare(ctx, name, size, sum)
	switch KindOf(err) {
	case Denied:
		err = &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("the name is taken, and this credential may not read what is there: allow reading, or check it with another credential: %v", cause(err))}
	case NotFound:
		err = &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("the store says that the name is taken and then that nothing is there: look for a delete marker: %v", cause(err))}
	}
	return info, err == nil, err
}

// compare returns nil when exactly these bytes are stored under name, and kind Exists when others are.
func (b *Bucket) compare(ctx context.Context, name string, size int64, sum [32]byte) (Info, error) {
	info, err := b.Stat(ctx, name)
	if err != nil {
		return Info{}, err
	}
	if info.Size != size {
		return Info{}, &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("with other content: %d bytes are stored, ours are %d", info.Size, size)}
	}
	r := b.read(ctx, name, 0, size)
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return Info{}, err
	}
	if !bytes.Equal(h.Sum(nil), sum[:]) {
		return Info{}, &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("with other content of the same %d bytes: SHA-256 %x is stored, ours is %x", size, h.Sum(nil), sum)}
	}
	return info, nil
}
