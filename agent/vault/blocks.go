package vault

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

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

// blockReader turns age's reads of 64 KiB into few, larger requests: the first reads at a place are small, and double as long as they go on.
// It keeps the last two blocks. Safe for concurrent use.
type blockReader struct {
	bucket *providers.Bucket
	object string
	size   int64

	mu     sync.Mutex
	blocks [2]block // newest first
	tail   block    // the end, with the final chunk and the seek table
	want   int64    // size of the next block when reading goes on
}

type block struct {
	off  int64
	data []byte
}

const (
	minBlock  = 256 << 10
	maxBlock  = 4 << 20
	tailBlock = 128 << 10
)

func newBlockReader(b *providers.Bucket, object string, size int64) *blockReader {
	return &blockReader{bucket: b, object: object, size: size, want: minBlock}
}

// boundReader is a blockReader under one context.
type boundReader struct {
	b   *blockReader
	ctx context.Context
}

// with binds the reads to a context: that of the reader's own life, since age keeps what it is given. Each request has its own deadline besides.
func (b *blockReader) with(ctx context.Context) io.ReaderAt {
	return &boundReader{b, context.WithoutCancel(ctx)}
}

// ReadAt implements io.ReaderAt.
func (r *boundReader) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off+int64(n) >= r.b.size {
			return n, io.EOF
		}
		data, err := r.b.at(r.ctx, off+int64(n))
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data)
	}
	return n, nil
}

// at returns the bytes from off on that one block has.
func (b *blockReader) at(ctx context.Context, off int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range []*block{&b.blocks[0], &b.blocks[1], &b.tail} {
		if off >= k.off && off < k.off+int64(len(k.data)) {
			return k.data[off-k.off:], nil
		}
	}
	if start := max(0, b.size-tailBlock); off >= start && b.tail.data == nil {
		k, err := b.read(ctx, start, b.size-start)
		if err != nil {
			return nil, err
		}
		b.tail = k
		return k.data[off-k.off:], nil
	}
	if off == b.blocks[0].off+int64(len(b.blocks[0].data)) {
		b.want = min(2*b.want, maxBlock)
	} else {
		b.want = minBlock
	}
	k, err := b.read(ctx, off, min(b.want, b.size-off))
	if err != nil {
		return nil, err
	}
	b.blocks[0], b.blocks[1] = k, b.blocks[0]
	return k.data, nil
}

func (b *blockReader) read(ctx context.Context, off, n int64) (block, error) {
	data := make([]byte, n)
	m, err := b.bucket.ReadRange(ctx, b.object, off, data)
	if err != nil && !(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return block{}, err
	}
	if int64(m) < n {
		return block{}, fmt.Errorf("it ends after %d bytes and should have %d", off+int64(m), b.size)
	}
	return block{off, data}, nil
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
		e := l.order.Back()
		l.order.Remove(e)
		delete(l.items, e.Value.(*lruItem[K, V]).key)
	}
}
