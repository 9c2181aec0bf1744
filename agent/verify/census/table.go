package census

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"sort"
	"sync/atomic"

	"farshore/agent/record"
)

// table has entries in order, in memory or in a scratch file. It is not changed once it is made, and may be read concurrently.
type table struct {
	n       int64
	entries []entry // where it is in memory

	file   file // where it is not
	path   string
	per    int // entries a block; the last may have fewer
	blocks []block

	closed atomic.Bool
}

// cursor reads a table from a name on. Not safe for concurrent use.
type cursor struct {
	ctx  context.Context
	t    *table
	left []byte // of the block that is at hand
	at   int    // index of the next entry, or of the next block
	head entry  // the next one
	ok   bool   // there is one
	err  error  // why it is not known
	buf  []byte
}

// from returns a cursor at the first entry whose name is not below the given one.
func (t *table) from(ctx context.Context, name record.Hash) *cursor {
	c := &cursor{ctx: ctx, t: t}
	below := func(e *entry) bool { return bytes.Compare(e.name[:], name[:]) < 0 }
	if t.file == nil {
		c.at = sort.Search(len(t.entries), func(i int) bool { return !below(&t.entries[i]) })
	} else if first := binary.BigEndian.Uint64(name[:]); first > 0 {
		// The block before the first that begins at the name or behind it.
		c.at = max(0, sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].first >= first })-1)
	}
	c.next()
	for c.ok && below(&c.head) {
		c.next()
	}
	return c
}

// next goes to the next entry.
func (c *cursor) next() {
	c.ok = false
	if c.err != nil {
		return
	}
	if c.t.file != nil {
		c.nextStored()
		return
	}
	if c.at%1024 == 0 {
		c.err = c.gone()
	}
	if c.ok = c.err == nil && c.at < len(c.t.entries); c.ok {
		c.head = c.t.entries[c.at]
		c.at++
	}
}

func (c *cursor) nextStored() {
	if len(c.left) == 0 {
		if c.at == len(c.t.blocks) {
			return
		}
		if c.err = c.load(); c.err != nil {
			return
		}
	}
	c.head.decode(c.left)
	c.left, c.ok = c.left[entrySize:], true
}

// gone says why there is no reading on.
func (c *cursor) gone() error {
	if c.t.closed.Load() {
		return errClosed
	}
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}

// load reads the next block.
func (c *cursor) load() error {
	if err := c.gone(); err != nil {
		return err
	}
	t := c.t
	if c.buf == nil {
		c.buf = make([]byte, t.per*entrySize)
	}
	start := int64(c.at) * int64(t.per)
	b := c.buf[:min(int64(t.per), t.n-start)*entrySize]
	n, err := t.file.ReadAt(b, start*entrySize)
	if n < len(b) {
		return fmt.Errorf("scratch file %s ends, or can't be read, before what was written to it: %w", t.path, err)
	}
	if crc32.Checksum(b, crcTable) != t.blocks[c.at].sum {
		return fmt.Errorf("scratch file %s was changed: its block %d is not as it was written", t.path, c.at)
	}
	c.left = b
	c.at++
	return nil
}

// objects yields what the table has from a name on.
func (t *table) objects(ctx context.Context, from record.Hash) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		c := t.from(ctx, from)
		for ; c.ok; c.next() {
			if !yield(c.head.object(), nil) {
				return
			}
		}
		if c.err != nil {
			yield(Object{}, c.err)
		}
	}
}

// merge passes the entries of all tables on, in order.
func merge(ctx context.Context, tables []*table, out func(entry) error) error {
	heap := make([]*cursor, 0, len(tables))
	for _, t := range tables {
		c := t.from(ctx, record.Hash{})
		if c.err != nil {
			return c.err
		}
		if c.ok {
			heap = append(heap, c)
		}
	}
	slices.SortFunc(heap, func(a, b *cursor) int { return compare(a.head, b.head) })
	for len(heap) > 0 {
		c := heap[0]
		if err := out(c.head); err != nil {
			return err
		}
		if c.next(); c.err != nil {
			return c.err
		}
		if !c.ok {
			last := len(heap) - 1
			heap[0] = heap[last]
			heap = heap[:last]
		}
		sink(heap)
	}
	return nil
}

// sink brings the cursor on top to its place in the heap.
func sink(heap []*cursor) {
	for i := 0; ; {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(heap) && compare(heap[child].head, heap[least].head) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
