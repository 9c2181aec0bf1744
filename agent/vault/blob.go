package vault

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"sync"

	"farshore/agent/record"
)

// blobBlock is the size of a blob's blocks in bytes.
const blobBlock = 1 << 20

// blocks is a pool of blob blocks, shared by all blobs of a Writer.
type blocks struct{ pool sync.Pool }

func (b *blocks) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, blobBlock)
}

func (b *blocks) put(p []byte) {
	p = p[:0]
	b.pool.Put(&p)
}

// blob is a stored object in the making: sealed bytes in blocks, hashed by a goroutine of its own that follows the writer, so that sealing
// and hashing share the cores. Write and finish belong to one goroutine; after finish, reads may be concurrent.
type blob struct {
	pool   *blocks
	blocks [][]byte
	size   int64
	hashed chan []byte
	sum    chan hash.Hash
}

func newBlob(pool *blocks) *blob {
	b := &blob{pool: pool, hashed: make(chan []byte, 4), sum: make(chan hash.Hash, 1)}
	go func() {
		h := sha256.New()
		for p := range b.hashed {
			h.Write(p)
		}
		b.sum <- h
	}()
	return b
}

// Write implements io.Writer; it never fails.
func (b *blob) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(b.blocks) == 0 || len(b.last()) == blobBlock {
			b.blocks = append(b.blocks, b.pool.get())
		}
		last := b.last()
		m := min(len(p), blobBlock-len(last))
		last = append(last, p[:m]...)
		b.blocks[len(b.blocks)-1] = last
		p = p[m:]
		if len(last) == blobBlock {
			b.hashed <- last
		}
	}
	b.size += int64(n)
	return n, nil
}

func (b *blob) last() []byte { return b.blocks[len(b.blocks)-1] }

// finish ends writing and returns the hash of all bytes.
func (b *blob) finish() record.Hash {
	if len(b.blocks) > 0 && len(b.last()) < blobBlock {
		b.hashed <- b.last()
	}
	close(b.hashed)
	var out record.Hash
	(<-b.sum).Sum(out[:0])
	return out
}

// abandon ends a blob that will not be finished.
func (b *blob) abandon() {
	close(b.hashed)
	<-b.sum
	b.free()
}

// free gives the blocks back. The blob must not be used any more.
func (b *blob) free() {
	for _, p := range b.blocks {
		b.pool.put(p)
	}
	b.blocks = nil
}

// section returns a reader over all bytes, valid until free.
func (b *blob) section() *io.SectionReader { return io.NewSectionReader(b, 0, b.size) }

// ReadAt implements io.ReaderAt.
func (b *blob) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	n := 0
	for n < len(p) {
		i, at := (off+int64(n))/blobBlock, (off+int64(n))%blobBlock
		if i >= int64(len(b.blocks)) || at >= int64(len(b.blocks[i])) {
			return n, io.EOF
		}
		n += copy(p[n:], b.blocks[i][at:])
	}
	return n, nil
}
