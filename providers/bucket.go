package providers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
)

// Bucket is a vault's store: a Driver with retries, deadlines, rate limits and checks around it. Every failure is an *Error. It may
// be used concurrently. Limits and counts are the Bucket's: users of one store share one, or Options.Common.
type Bucket struct {
	d                  Driver
	opts               Options
	requestLimit       limits
	upLimit, downLimit limits
	creates, opens     atomic.Int64
	stats, lists       atomic.Int64
	retries            atomic.Int64
	sent, received     atomic.Int64

	historian Historian // nil: the driver is none
	keeper    Keeper    // nil: the driver is none
	sight     atomic.Pointer[Sight]
	listPage  int
}

// New returns a Bucket over the driver, which it does not own.
func New(d Driver, o Options) *Bucket {
	o = o.withDefaults()
	b := &Bucket{
		d: d, opts: o,
		requestLimit: limits{NewRequestLimit(o.RequestRate), o.Common.Requests},
		upLimit:      limits{NewByteLimit(o.UploadRate), o.Common.Upload},
		downLimit:    limits{NewByteLimit(o.DownloadRate), o.Common.Download},
		listPage:     listPage,
	}
	b.historian, _ = AsHistorian(d)
	b.keeper, _ = AsKeeper(d)
	return b
}

// Traits says what kind of store this is.
func (b *Bucket) Traits() Traits { return b.d.Traits() }

// Stats are counts since the Bucket was made. Each is exact, but they are not of one instant.
type Stats struct {
	// Creates, Opens, Stats and Lists count the requests by kind, retries included: stores price them differently. Listings of versions are Lists, questions
	// for locks and settings Stats.
	Creates, Opens, Stats, Lists int64
	// Retries counts the failures after which a request was made again.
	Retries int64
	// Sent and Received are bytes of bodies, of failed attempts too.
	Sent, Received int64
}

// Requests is the number of requests of every kind.
func (s Stats) Requests() int64 { return s.Creates + s.Opens + s.Stats + s.Lists }

// Stats returns the counts so far.
func (b *Bucket) Stats() Stats {
	return Stats{
		Creates: b.creates.Load(), Opens: b.opens.Load(), Stats: b.stats.Load(), Lists: b.lists.Load(),
		Retries: b.retries.Load(), Sent: b.sent.Load(), Received: b.received.Load(),
	}
}

// ReadAll returns the whole object, unless it has more than max bytes: then it fails without reading further. The slice is the
// caller's.
func (b *Bucket) ReadAll(ctx context.Context, name string, max int64) ([]byte, error) {
	return b.readAll(ctx, name, "", max)
}

func (b *Bucket) readAll(ctx context.Context, name, id string, max int64) ([]byte, error) {
	if err := CheckName("read", name); err != nil {
		return nil, err
	}
	r := b.read(ctx, name, id, 0, max+1)
	defer r.Close()
	var buf bytes.Buffer
	if n, err := r.announced(); err != nil {
		return nil, err
	} else if n <= max {
		buf.Grow(int(n) + bytes.MinRead)
		if _, err := buf.ReadFrom(r); err != nil {
			return nil, err
		}
	}
	if n := int64(buf.Len()); n > max || r.bodyEnd > max {
		return nil, &Error{Kind: Other, Op: "read", Name: name, Err: fmt.Errorf("it is larger than the %d bytes allowed here", max)}
	}
	return buf.Bytes(), nil
}

// ReadRange fills dst from offset off and returns how many bytes it read: fewer than len(dst) only with an error, which is
// io.ErrUnexpectedEOF for errors.Is when the object ends before.
func (b *Bucket) ReadRange(ctx context.Context, name string, off int64, dst []byte) (int, error) {
	return b.readRange(ctx, name, "", off, dst)
}

func (b *Bucket) readRange(ctx context.Context, name, id string, off int64, dst []byte) (int, error) {
	if err := CheckName("read", name); err != nil {
		return 0, err
	}
	r := b.read(ctx, name, id, off, off+int64(len(dst)))
	defer r.Close()
	n, err := io.ReadFull(r, dst)
	if err == io.EOF || err == io.ErrUnexpectedEOF { // as io.ReadFull says it: an *Error is neither
		err = &Error{Kind: Other, Op: "read", Name: name, Err: fmt.Errorf("the object ends at byte %d, wanted are %d from %d: %w", off+int64(n), len(dst), off, io.ErrUnexpectedEOF)}
	}
	return n, err
}

// OpenStream returns a reader of the whole object, which goes on where it was when a connection breaks. The first request is made before
// it returns, so a missing object is seen here. Time is limited only while the store is waited for, so it may be read as slowly
// as one likes. The caller closes it; it is not safe for concurrent use.
func (b *Bucket) OpenStream(ctx context.Context, name string) (io.ReadCloser, error) {
	return b.openStream(ctx, name, "")
}

func (b *Bucket) openStream(ctx context.Context, name, id string) (io.ReadCloser, error) {
	if err := CheckName("read", name); err != nil {
		return nil, err
	}
	r := b.read(ctx, name, id, 0, -1)
	if _, err := r.announced(); err != nil {
		return nil, err
	}
	return r, nil
}

// Stat describes one object, or fails with kind NotFound.
func (b *Bucket) Stat(ctx context.Context, name string) (info Info, err error) {
	if err := CheckName("stat", name); err != nil {
		return Info{}, err
	}
	err = b.do(ctx, "stat", name, func(ctx context.Context) (err error) {
		b.stats.Add(1)
		info, err = b.d.Stat(ctx, name)
		return err
	})
	return info, err
}

// listPage is how many names are asked for at once: what S3 and GCS give at most.
const listPage = 1000

// isFolder reports whether a name ends with a slash, as no vault's does: consoles create such objects as folders.
func isFolder(name string) bool { return strings.HasSuffix(name, "/") }

// List yields the objects whose names begin with prefix and are greater than after, in strictly ascending order of bytes, without folders' names. The first
// error ends it; without one it has reached the end. A store that lists anything else than what was asked for, or not in order, is an error:
// a listing with holes must never look like a complete one.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := CheckPrefix("list", prefix); err != nil {
			yield(Info{}, err)
			return
		}
		for more := true; more; {
			var page []Info
			var err error
			if page, more, err = b.page(ctx, prefix, after, b.listPage); err != nil {
				yield(Info{}, err)
				return
			}
			for _, info := range page {
				if !isFolder(info.Name) && !yield(info, nil) {
					return
				}
				after = info.Name
			}
		}
	}
}

// page fetches and checks one page of a listing.
func (b *Bucket) page(ctx context.Context, prefix, after string, limit int) (page []Info, more bool, err error) {
	err = b.do(ctx, "list", prefix, func(ctx context.Context) (err error) {
		b.lists.Add(1)
		page, more, err = b.d.List(ctx, prefix, after, limit)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if more && len(page) == 0 {
		return nil, false, &Error{Kind: Other, Op: "list", Name: prefix, Err: fmt.Errorf("the store says that more follows %q and lists nothing", after)}
	}
	for i := range page {
		name := page[i].Name
		if !strings.HasPrefix(name, prefix) {
			return nil, false, &Error{Kind: Other, Op: "list", Name: prefix, Err: fmt.Errorf("the store lists %q, which does not begin so", name)}
		}
		if name <= after {
			return nil, false, &Error{Kind: Other, Op: "list", Name: prefix, Err: fmt.Errorf("the store lists out of order: %q behind %q", name, after)}
		}
		after = name
	}
	return page, more, nil
}
