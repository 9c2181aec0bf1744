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
		return fmt.Errorf("%s: %w: %v", object, ErrLocked, err)
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

// blockReader turns age's reads of 64 KiB into few, larger requests. Units are kept by the Reader that it belongs to, so that the workers of a restore
// share them. Safe for concurrent use.
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

// unitKey names a unit of a version of a pack.
type unitKey struct {
	pack    record.Hash
	version string
	unit    int64
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
		data, err := b.at(off + int64(n))
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data)
	}
	return n, nil
}

// at returns the bytes from off on that one unit has.
func (b *blockReader) at(off int64) ([]byte, error) {
	if start := max(0, b.ref.Size-tailSize); off >= start {
		tail, err := b.end(start)
		if err != nil {
			return nil, err
		}
		return tail[off-start:], nil
	}
	key := unitKey{b.ref.Name, b.version, off / unitSize}
	data, ok := b.reader.unit(key)
	if !ok {
		var err error
		if data, err = b.fetch(key); err != nil {
			return nil, err
		}
	}
	return data[off%unitSize:], nil
}

// end returns the pack's end, which begins at start.
func (b *blockReader) end(start int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tail == nil {
		tail, err := b.read(start, b.ref.Size-start)
		if err != nil {
			return nil, err
		}
		b.tail = tail
	}
	return b.tail, nil
}

// fetch reads a unit, alone or with its run, and returns it.
func (b *blockReader) fetch(key unitKey) ([]byte, error) {
	first, n := key.unit, int64(1)
	if b.fetches.Add(1) > 2 {
		first, n = key.unit-key.unit%runUnits, runUnits
	}
	got, err, _ := b.reader.flight.Do(fmt.Sprintf("%s %d+%d %s", b.object, first, n, b.version), func() (any, error) {
		if data, ok := b.reader.unit(key); ok { // another flight has just landed
			return map[int64][]byte{key.unit: data}, nil
		}
		off := first * unitSize
		data, err := b.read(off, min(n*unitSize, b.ref.Size-off))
		if err != nil {
			return nil, err
		}
		units := map[int64][]byte{}
		for i := int64(0); i*unitSize < int64(len(data)); i++ {
			units[first+i] = data[i*unitSize : min((i+1)*unitSize, int64(len(data)))]
			b.reader.keep(unitKey{key.pack, key.version, first + i}, units[first+i])
		}
		return units, nil
	})
	if err != nil {
		return nil, err
	}
	if data, ok := got.(map[int64][]byte)[key.unit]; ok {
		return data, nil
	}
	return b.fetch(key) // that flight was for another unit of the run, and found it kept already
}

func (b *blockReader) read(off, n int64) ([]byte, error) {
	data := make([]byte, n)
	m, err := b.reader.vault.bucket.ReadVersionRange(b.ctx, b.object, b.version, off, data)
	if err != nil && !(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return nil, err
	}
	if int64(m) < n {
		return nil, fmt.Errorf("it ends after %d bytes and should have %d", off+int64(m), b.ref.Size)
	}
	return data, nil
}

// lru keeps the n most recently used values. Not safe for concurrent use.
type lru[K comparable, V any] struct {
	n     int
	order *list.List
	items map[K]*list.Element
	// size is what a value counts, of which at most max are held beside the newest; nil: only their number counts.
	size       func(V) int
	max, total int
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](n int) *lru[K, V] {
	return &lru[K, V]{n: n, order: list.New(), items: map[K]*list.Element{}}
}

// holding bounds what the values come to as well. It is called before the first put.
func (l *lru[K, V]) holding(max int, size func(V) int) *lru[K, V] {
	l.max, l.size = max, size
	return l
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
		if l.size != nil {
			l.total += l.size(v) - l.size(e.Value.(*lruItem[K, V]).value)
		}
		e.Value.(*lruItem[K, V]).value = v
		l.order.MoveToFront(e)
		return
	}
	l.items[k] = l.order.PushFront(&lruItem[K, V]{k, v})
	if l.size != nil {
		l.total += l.size(v)
	}
	for l.order.Len() > l.n || l.size != nil && l.total > l.max && l.order.Len() > 1 {
		l.evict(l.order.Back())
	}
}

func (l *lru[K, V]) evict(e *list.Element) {
	l.order.Remove(e)
	item := e.Value.(*lruItem[K, V])
	delete(l.items, item.key)
	if l.size != nil {
		l.total -= l.size(item.value)
	}
}
