// Package chunk cuts content into chunks where the content itself says so, under a secret key: equal runs of bytes give equal chunks
// wherever they lie, and who lacks the key can't tell the cut points. It neither names chunks nor keeps them.
package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/jc" // makes the algorithms below known
)

// JC100 is the cutting algorithm by its name in an owner's statement (docs/format.md, section 3.1): jump-based cutting (Jin et al., IEEE TPDS 2023) by
// github.com/PlakarKorp/go-cdc-chunkers, with a table of random values that is derived from the key by keyed BLAKE3. Its masks grow with the normal
// size: it looks at a third of the bytes, and finds the old cut points again within one or two chunks. The library's faster
// jc-v1.1.0 has the paper's masks, meant for chunks of 8 KiB, at every size: with chunks of 1 MiB it finds no cut point
// again after an insertion of more than about one KiB, so that nothing is deduplicated.
const JC100 = "jc-v1.0.0"

// Limits of Params, in bytes.
const (
	minMin = 64
	// maxMax is the size of a pack: a larger chunk fits into none.
	maxMax = 32 << 20
)

// Params are the parameters of cutting, in bytes.
type Params struct {
	// Min is the smallest chunk, but for the last of a content; a content of at most Min bytes is one chunk.
	Min int
	// Normal is the size from which the algorithm derives how often it cuts.
	Normal int
	// Max is the largest chunk.
	Max int
	// Algorithm is JC100.
	Algorithm string
}

// Default returns the parameters of version 1 of the format: 256 KiB, 1 MiB, 4 MiB, JC100.
func Default() Params { return Params{Min: 256 << 10, Normal: 1 << 20, Max: 4 << 20, Algorithm: JC100} }

// Validate returns nil when a Cutter can be made with the parameters.
func (p Params) Validate() error {
	switch {
	case p.Min < minMin:
		return fmt.Errorf("smallest chunk of %d bytes: it must have at least %d", p.Min, minMin)
	case p.Normal <= p.Min:
		return fmt.Errorf("normal chunk of %d bytes: it must be larger than the smallest (%d)", p.Normal, p.Min)
	case p.Max <= p.Normal:
		return fmt.Errorf("largest chunk of %d bytes: it must be larger than the normal one (%d)", p.Max, p.Normal)
	case p.Max > maxMax:
		return fmt.Errorf("largest chunk of %d bytes: a pack takes at most %d", p.Max, maxMax)
	}
	if p.Algorithm != JC100 {
		return fmt.Errorf("cutting algorithm %q is not known: this program has %s", p.Algorithm, JC100)
	}
	return nil
}

// Cutter cuts contents under one key. It may be used concurrently. Each Split holds one buffer: of the content's size for what is
// hinted to be small, and else of once or twice the largest chunk. Idle buffers are kept for later calls until the garbage collector takes them.
type Cutter struct {
	params Params
	key    [32]byte
	// small holds idle *[]byte by the logarithm of their size.
	small [bits.UintSize]sync.Pool
	// once and twice hold idle *scanner with buffers of once and twice the largest chunk.
	once, twice sync.Pool
}

// scanner is the library's cutter with its buffer.
type scanner = chunkers.Chunker

// New returns a Cutter. A key of zeros is refused: it would be one that nobody chose.
func New(p Params, key [32]byte) (*Cutter, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("parameters of cutting: %w", err)
	}
	if key == [32]byte{} {
		return nil, errors.New("the cutting key is empty")
	}
	return &Cutter{params: p, key: key}, nil
}

// Split reads r to its end and calls fn with each chunk in order; all chunks together are the content. An empty content calls fn never. size is a
// hint of the content's length in bytes, -1 when unknown, that only decides how much memory is used: the chunks don't depend on it. The
// slice is valid during the call only, and fn must not change it. An error of r or fn ends it and is returned as it is; what a failing r gave last, less than a
// chunk, is not passed on. Split returns the number of bytes passed to fn without error.
func (c *Cutter) Split(r io.Reader, size int64, fn func(chunk []byte) error) (int64, error) {
	if size > int64(c.params.Min) {
		return c.scan(r, size, fn)
	}
	if size < 0 {
		size = int64(c.params.Min)
	}
	// One byte more than hinted shows whether the content ends there.
	buf := c.buffer(int(size) + 1)
	defer c.release(buf)
	n, err := readFull(r, *buf)
	if err != nil && err != io.EOF {
		return 0, err
	}
	head := (*buf)[:n]
	switch {
	case err == nil:
		return c.scan(io.MultiReader(bytes.NewReader(head), r), -1, fn)
	case n > c.params.Min:
		return c.scan(bytes.NewReader(head), int64(n), fn)
	case n == 0:
		return 0, nil
	}
	if err := fn(head); err != nil {
		return 0, err
	}
	return int64(n), nil
}

// scan cuts a content of any size.
func (c *Cutter) scan(r io.Reader, size int64, fn func(chunk []byte) error) (int64, error) {
	pool, factor := &c.twice, 2
	if size >= 0 && size <= int64(c.params.Max) {
		pool, factor = &c.once, 1
	}
	s, err := c.scanner(pool, factor)
	if err != nil {
		return 0, err
	}
	s.Reset(r)
	defer func() {
		s.Reset(nil)
		pool.Put(s)
	}()
	var total int64
	for {
		chunk, err := s.Next()
		if err != nil && err != io.EOF {
			return total, err
		}
		if len(chunk) > 0 {
			if err := fn(chunk); err != nil {
				return total, err
			}
			total += int64(len(chunk))
		}
		if err == io.EOF {
			return total, nil
		}
	}
}

// scanner returns an idle or new scanner with a buffer of factor times the largest chunk.
func (c *Cutter) scanner(pool *sync.Pool, factor int) (*scanner, error) {
	if s, ok := pool.Get().(*scanner); ok {
		return s, nil
	}
	opts := &chunkers.ChunkerOpts{MinSize: c.params.Min, NormalSize: c.params.Normal, MaxSize: c.params.Max, Key: c.key[:]}
	s, err := chunkers.NewChunkerBuffer(c.params.Algorithm, nil, opts, make([]byte, factor*c.params.Max))
	if err != nil {
		return nil, fmt.Errorf("setting up cutting: %w", err)
	}
	return s, nil
}

// buffer returns an idle or new buffer of n bytes.
func (c *Cutter) buffer(n int) *[]byte {
	class := bits.Len(uint(n - 1))
	b, ok := c.small[class].Get().(*[]byte)
	if !ok {
		b = new([]byte)
		*b = make([]byte, 1<<class)
	}
	*b = (*b)[:n]
	return b
}

// release takes a buffer back.
func (c *Cutter) release(b *[]byte) { c.small[bits.Len(uint(len(*b)-1))].Put(b) }

// maxEmptyReads is how often a reader may return neither bytes nor an error in a row, as in package bufio.
const maxEmptyReads = 100

// readFull fills buf unless r ends or fails before, and returns r's own error. io.ReadFull can't tell the end of a short reader from an
// io.ErrUnexpectedEOF that the reader itself returned, and forgets an error that came with the last byte.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}
