// Package memory bounds the bytes that uploads keep in buffers, all together, and reuses the buffers.
package memory

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Budget hands out buffers up to a number of bytes. It may be used concurrently.
type Budget struct {
	total int64
	sem   *semaphore.Weighted

	mu   sync.Mutex
	free []byte // the buffer that was given back last
}

// New returns a budget of so many bytes.
func New(total int64) *Budget {
	return &Budget{total: total, sem: semaphore.NewWeighted(total)}
}

// Get returns an empty buffer with room for n bytes once there is room in the budget, and a function that gives it back, to be called
// once. A buffer larger than the whole budget takes all of it.
func (b *Budget) Get(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	weight := min(max(n, 1), b.total)
	if err := b.sem.Acquire(ctx, weight); err != nil {
		return nil, nil, err
	}
	buf = b.take(n)
	return buf, func() {
		b.keep(buf)
		b.sem.Release(weight)
	}, nil
}

// take prefers the kept buffer where it is not much too large.
func (b *Budget) take(n int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if kept := b.free; int64(cap(kept)) >= n && int64(cap(kept)) <= 2*n+4096 {
		b.free = nil
		return kept[:0]
	}
	return make([]byte, 0, n)
}

func (b *Budget) keep(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = buf
}
