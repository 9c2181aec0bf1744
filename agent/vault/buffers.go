package vault

import (
	"container/list"
	"errors"
	"slices"
	"sync"
)

// buffers keeps bytes by key, those used last, in memory that is used again for others once nobody reads it: fresh memory is cleared, and often mapped, before it is
// filled, which costs a restore more than its locks do. Who wants what is not there fills it, and whoever else wants it meanwhile waits for that. Safe for concurrent use.
type buffers[K comparable] struct {
	max int // of bytes of what is kept and of idle memory; what was dropped and is in use comes on top of it, and a newest that is larger

	mu    sync.Mutex
	items map[K]*list.Element // of *buffer[K]
	order *list.List          // the one used last is first
	total int                 // bytes of items
	idle  [][]byte            // memory of what was dropped
	spare int                 // bytes of it
}

// leastBuffer is what a buffer counts for at the least, which bounds their number. The memory of smaller ones is not used again.
const leastBuffer = 64 << 10

// buffer is what lies under one key.
type buffer[K comparable] struct {
	key   K
	size  int
	ready chan struct{} // closed once data and err stand
	data  []byte
	err   error
	room  []byte // what data lies in
	users int    // guarded by the mutex of all, as is what follows
	kept  bool   // it is among the items
}

func newBuffers[K comparable](max int) *buffers[K] {
	return &buffers[K]{max: max, items: map[K]*list.Element{}, order: list.New()}
}

// errUnfilled is the error of who waited for a fill that panicked.
var errUnfilled = errors.New("reading was broken off")

// get returns what lies under the key. What is missing is filled first: fill gets an empty slice with room for exactly size bytes, appends to it, and returns it. An error of fill
// goes to all that wait for it, and is not kept. Without an error the data stay as they are until release, which is to be called once for each get.
func (c *buffers[K]) get(key K, size int, fill func([]byte) ([]byte, error)) (*buffer[K], error) {
	b, found := c.claim(key, size)
	if !found {
		c.fill(b, fill)
	}
	<-b.ready
	if b.err != nil {
		c.release(b)
		return nil, b.err
	}
	return b, nil
}

// sizeOf returns the size of what lies under the key or is about to, 0 where nothing is.
func (c *buffers[K]) sizeOf(key K) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		return e.Value.(*buffer[K]).size
	}
	return 0
}

// claim returns the buffer under the key, for one more user, or a new one with memory that its user is to fill.
func (c *buffers[K]) claim(key K, size int) (b *buffer[K], found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		c.order.MoveToFront(e)
		b := e.Value.(*buffer[K])
		b.users++
		return b, true
	}
	b = &buffer[K]{key: key, size: size, ready: make(chan struct{}), users: 1, kept: true}
	for c.order.Len() > 0 && c.total+b.counts() > c.max {
		c.drop(c.order.Back())
	}
	b.room = c.memory(size)
	c.items[key] = c.order.PushFront(b)
	c.total += b.counts()
	c.trim()
	return b, false
}

func (c *buffers[K]) fill(b *buffer[K], fill func([]byte) ([]byte, error)) {
	b.err = errUnfilled
	defer func() {
		if b.err != nil {
			c.forget(b)
		}
		close(b.ready)
	}()
	if b.room == nil {
		b.room = make([]byte, 0, b.size)
	}
	b.data, b.err = fill(b.room[:0:b.size])
}

// release says that one user reads the data no more.
func (c *buffers[K]) release(b *buffer[K]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.users--; b.users == 0 && !b.kept {
		c.recycle(b)
		c.trim()
	}
}

func (c *buffers[K]) forget(b *buffer[K]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.kept {
		c.drop(c.items[b.key])
	}
}

// drop takes a buffer out. Its memory is used again once its users have released it.
func (c *buffers[K]) drop(e *list.Element) {
	b := c.order.Remove(e).(*buffer[K])
	delete(c.items, b.key)
	c.total -= b.counts()
	if b.kept = false; b.users == 0 {
		c.recycle(b)
	}
}

func (b *buffer[K]) counts() int { return max(b.size, leastBuffer) }

// recycle keeps the memory of a buffer that nobody has any more.
func (c *buffers[K]) recycle(b *buffer[K]) {
	if cap(b.room) < leastBuffer {
		return
	}
	c.idle, c.spare = append(c.idle, b.room), c.spare+cap(b.room)
	b.room = nil
}

// memory returns idle memory for size bytes that has not much more than that, nil where there is none.
func (c *buffers[K]) memory(size int) []byte {
	for i := len(c.idle) - 1; i >= 0; i-- {
		if n := cap(c.idle[i]); size <= n && n <= size+size/4 {
			return c.take(i)
		}
	}
	return nil
}

func (c *buffers[K]) take(i int) []byte {
	m := c.idle[i]
	c.idle, c.spare = slices.Delete(c.idle, i, i+1), c.spare-cap(m)
	return m
}

// trim gives up the idle memory, what lay idle longest first, that is more than there may be beside what is kept.
func (c *buffers[K]) trim() {
	for len(c.idle) > 0 && c.total+c.spare > c.max {
		c.take(0)
	}
}
