package providers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// Create stores all of body under name, unless the name exists. sum is the body's SHA-256. When the name exists, or the store's
// answer was lost, the stored bytes are read back: if they are equal to body the call has succeeded, and existed is true, whether it was
// an earlier attempt or somebody else who put them there. Where the store shows what lies beneath an overwrite or a marker, it has also succeeded when our bytes
// do. If other bytes are there, or they may not be read, the error is kind Exists.
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

// adopt compares what is stored under name, and what lies beneath it, with what should be there.
func (b *Bucket) adopt(ctx context.Context, name string, size int64, sum [32]byte) (Info, bool, error) {
	info, err := b.compare(ctx, name, size, sum)
	switch KindOf(err) {
	case Denied:
		err = &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("the name is taken, and this credential may not read what is there: allow reading, or check it with another credential: %v", cause(err))}
	case NotFound:
		err = &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("the store says that the name is taken and then that nothing is there: look for a delete marker: %v", cause(err))}
		return b.unearth(ctx, name, size, sum, err)
	case Exists:
		return b.unearth(ctx, name, size, sum, err)
	}
	return info, err == nil, err
}

// unearth looks for our bytes among the versions of a name whose plain read did not show them; over says what it did show. It compares the oldest MaxHistory
// versions of the right size: whoever can overwrite can make any number of others.
func (b *Bucket) unearth(ctx context.Context, name string, size int64, sum [32]byte, over error) (Info, bool, error) {
	sight, err := b.Sight(ctx)
	if err != nil {
		return Info{}, false, &Error{Kind: KindOf(err), Op: "create", Name: name, Err: fmt.Errorf("%v; whether ours lies beneath is not known: %w", cause(over), cause(err))}
	}
	switch sight {
	case SightNone:
		return Info{}, false, over
	case SightDenied:
		return Info{}, false, buried(name, over, "whether ours lies beneath is not known: this credential may not list versions")
	}
	l := b.layers()
	count := 0
	for v, err := range b.Versions(ctx, name) {
		if err != nil {
			return Info{}, false, err
		}
		count++
		v.Current = false // of no interest here
		if !v.Marker && v.Size == size {
			_ = l.add(v) // only a current one can be refused
		}
	}
	for _, v := range l.end().Oldest {
		got, err := b.hash(ctx, name, v.ID, size)
		if err != nil && KindOf(err) != NotFound {
			return Info{}, false, err
		}
		if err == nil && got == sum {
			return v.Info, true, nil
		}
	}
	return Info{}, false, buried(name, over, fmt.Sprintf("and ours is not among the %d versions and markers of the name", count))
}

func buried(name string, over error, what string) error {
	return &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("%v; %s", cause(over), what)}
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
	got, err := b.hash(ctx, name, "", size)
	if err != nil {
		return Info{}, err
	}
	if got != sum {
		return Info{}, &Error{Kind: Exists, Op: "create", Name: name, Err: fmt.Errorf("with other content of the same %d bytes: SHA-256 %x is stored, ours is %x", size, got, sum)}
	}
	return info, nil
}

// hash is the SHA-256 of the first size bytes of a version.
func (b *Bucket) hash(ctx context.Context, name, id string, size int64) (sum [32]byte, err error) {
	r := b.read(ctx, name, id, 0, size)
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
