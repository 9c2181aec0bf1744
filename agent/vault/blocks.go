package vault

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/providers"
)

// packError sorts a failure to read a pack into damage, a missing key, and failures of the store.
func packError(object string, err error) error {
	var store *providers.Error
	switch {
	case errors.Is(err, seal.ErrWrongKey):
		return &LockedError{object, err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &store):
		return asDamage(object, err)
	}
	return &DamageError{object, err}
}

// Sizes of reading: packs are fetched in units, the first of a pack one by one, and, once it shows that more of it is wanted, in aligned runs of several. The end, with
// the last chunk of the age file and the seek table, is fetched and kept by itself.
const (
	unitSize = 1 << 20
	runUnits = 4
	tailSize = 128 << 10
)

// blockReader turns age's reads of 64 KiB into few, larger requests. What they give is kept by the Reader that it belongs to, so that the workers of a restore
// share it. Safe for concurrent use.
type blockReader struct {
	reader  *Reader
	ctx     context.Context // the reader's life: age keeps what it is given. Each request has its own deadline besides
	object  string
	version string // the store's id of the version that is read; empty: what a plain read sees
	ref     record.Ref
	fetches atomic.Int64

	mu   sync.Mutex
	tail []byte
}

// spanKey names a span of a version of a pack: some units, of which it has the first. Those at hand may overlap, and don't as a rule.
type spanKey struct {
	pack    record.Hash
	version string
	first   int64
}

func newBlockReader(ctx context.Context, r *Reader, ref record.Ref, version string) *blockReader {
	return &blockReader{reader: r, ctx: ctx, object: record.PackName(ref.Name), version: version, ref: ref}
}

// ReadAt implements io.ReaderAt.
func (b *blockReader) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off+int64(n) >= b.ref.Size {
			return n, io.EOF
		}
		m, err := b.copyAt(p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// copyAt copies the bytes from off on that one span, or the pack's end, has.
func (b *blockReader) copyAt(p []byte, off int64) (int, error) {
	if start := b.ends(); off >= start {
		tail, err := b.end(start)
		if err != nil {
			return 0, err
		}
		return copy(p, tail[off-start:]), nil
	}
	span, err := b.span(off / unitSize)
	if err != nil {
		return 0, err
	}
	defer b.reader.spans.release(span)
	return copy(p, span.data[off-span.key.first*unitSize:]), nil
}

// ends is where the pack's end begins, which spans don't have.
func (b *blockReader) ends() int64 { return max(0, b.ref.Size-tailSize) }

// end returns the pack's end, which begins at start.
func (b *blockReader) end(start int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tail == nil {
		tail, err := b.read(start, make([]byte, 0, b.ref.Size-start))
		if err != nil {
			return nil, err
		}
		b.tail = tail
	}
	return b.tail, nil
}

// span returns a span that has the unit, which is to be released.
func (b *blockReader) span(unit int64) (*buffer[spanKey], error) {
	for {
		first, n := b.around(unit)
		off := first * unitSize
		span, err := b.reader.spans.get(b.key(first), int(min(n*unitSize, b.ends()-off)), func(dst []byte) ([]byte, error) {
			return b.read(off, dst)
		})
		if err != nil || first+units(len(span.data)) > unit {
			return span, err
		}
		b.reader.spans.release(span) // another one came first, and ends before the unit
	}
}

// around returns the first unit and the number of units of a span that has the unit: of one that is at hand, or else of what is missing around the unit in its run. The second that is asked for of a pack is the
// unit alone, as the first is.
func (b *blockReader) around(unit int64) (first, n int64) {
	first = unit - unit%runUnits
	end := first + runUnits
	for at := first; at < end; at++ {
		has := units(b.reader.spans.sizeOf(b.key(at)))
		switch {
		case has > 0 && at <= unit && unit < at+has:
			return at, has
		case has > 0 && at <= unit:
			first = max(first, at+has)
		case has > 0:
			end = at
		}
	}
	if b.fetches.Add(1) <= 2 {
		return unit, 1
	}
	return first, end - first
}

// units is how many units so many bytes are, the last one begun.
func units(n int) int64 { return (int64(n) + unitSize - 1) / unitSize }

func (b *blockReader) key(first int64) spanKey { return spanKey{b.ref.Name, b.version, first} }

// read fills dst, which is empty, to its capacity with the bytes from off on, and returns it.
func (b *blockReader) read(off int64, dst []byte) ([]byte, error) {
	dst = dst[:cap(dst)]
	n, err := b.reader.vault.bucket.ReadVersionRange(b.ctx, b.object, b.version, off, dst)
	if err != nil && !(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return nil, err
	}
	if n < len(dst) {
		return nil, fmt.Errorf("it ends after %d bytes and should have %d", off+int64(n), b.ref.Size)
	}
	return dst, nil
}

// lru keeps the n most recently used values. Not safe for concurrent use.
type lru[K comparable, V any] struct {
	n     int
	order *list.List
	items map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](n int) *lru[K, V] {
	return &lru[K, V]{n: n, order: list.New(), items: map[K]*list.Element{}}
}

func (l *lru[K, V]) get(k K) (V, bool) {
	e, ok := l.items[k]
	if !ok {
		var zero V
		return zero, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruItem[K, V]).value, true
}

func (l *lru[K, V]) put(k K, v V) {
	if e, ok := l.items[k]; ok {
		e.Value.(*lruItem[K, V]).value = v
		l.order.MoveToFront(e)
		return
	}
	l.items[k] = l.order.PushFront(&lruItem[K, V]{k, v})
	if l.order.Len() > l.n {
		delete(l.items, l.order.Remove(l.order.Back()).(*lruItem[K, V]).key)
	}
}
