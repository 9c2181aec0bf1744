package gitpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// checker reads a pack as it is written, byte by byte of the format and with no help of what writes it, and compares it with what was read from the source:
// the number of objects, of each its type, size and base, and every byte of its data; ids of objects follow from exactly these.
type checker struct {
	offsets *table
	version uint32
	count   uint32
	trailer []byte

	state   func(*checker, []byte) (int, error)
	part    []byte // of a field that is not complete yet
	pos     int64  // in the pack
	start   int64  // of the entry
	seen    uint32 // entries that are complete
	want    entry
	wantID  [32]byte
	wanted  bool   // want is set and was not met yet
	pending []byte // data that was read and not met yet
	sum     uint32

	left  int64 // data of the entry that is still to come
	block int   // and of its block; of deflated data the bytes of the next section, 0 where none is expected
	last  bool  // the block is the entry's last

	begin [2]byte   // of the data of each entry
	flate *inflater // nil: data is stored
	met   func([]byte) error
}

func newChecker(idSize int, offsets *table) *checker {
	return &checker{offsets: offsets, trailer: make([]byte, 0, idSize), state: (*checker).header, begin: zlibBegin(0)}
}

// expect says what the next entry must be.
func (c *checker) expect(e *entry) {
	c.want, c.wanted = *e, true
	c.want.baseID = append(c.wantID[:0], e.baseID...)
}

// expectData says what its data goes on with. What was expected before must have been met.
func (c *checker) expectData(p []byte) {
	if len(c.pending) > 0 {
		c.state = (*checker).behind
	}
	c.pending = p
}

func (c *checker) expectTrailer(trailer []byte) { c.trailer = append(c.trailer, trailer...) }

// complete returns an error unless the whole pack was read.
func (c *checker) complete() error {
	if c.seen != c.count || c.part != nil || len(c.trailer) > 0 {
		return fmt.Errorf("the pack is not complete after %d bytes", c.pos)
	}
	return nil
}

// read reads on.
func (c *checker) read(p []byte) error {
	for len(p) > 0 {
		n, err := c.state(c, p)
		if err != nil {
			return fmt.Errorf("object %d at byte %d: %w", c.seen, c.pos, err)
		}
		p = p[n:]
		c.pos += int64(n)
	}
	return nil
}

// field collects a field of n bytes, and returns it once it is complete, with the number of bytes taken.
func (c *checker) field(p []byte, n int) ([]byte, int) {
	if c.part == nil && len(p) >= n {
		return p[:n], n
	}
	take := min(n-len(c.part), len(p))
	c.part = append(c.part, p[:take]...)
	if len(c.part) < n {
		return nil, take
	}
	f := c.part
	c.part = nil
	return f, take
}

// number collects a field whose bytes but the last have their highest bit set.
func (c *checker) number(p []byte) ([]byte, int) {
	for i := range p {
		if p[i]&0x80 == 0 {
			return c.field(p, len(c.part)+i+1)
		}
	}
	c.part = append(c.part, p...)
	return nil, len(p)
}

func (c *checker) header(p []byte) (int, error) {
	f, n := c.field(p, headerSize)
	if f == nil {
		return n, nil
	}
	if string(f[:4]) != "PACK" || binary.BigEndian.Uint32(f[4:]) != c.version || binary.BigEndian.Uint32(f[8:]) != c.count {
		return n, errors.New("the header is another one")
	}
	c.nextEntry(n)
	return n, nil
}

// nextEntry gets ready for what follows after n more bytes.
func (c *checker) nextEntry(n int) {
	c.start = c.pos + int64(n)
	c.state = (*checker).entry
	if c.seen == c.count {
		c.state = (*checker).end
	}
}

func (c *checker) entry(p []byte) (int, error) {
	if !c.wanted {
		return 0, errors.New("there is an entry too many")
	}
	f, n := c.number(p)
	if f == nil {
		return n, nil
	}
	size := uint64(f[0] & 15)
	for i, b := range f[1:] {
		size |= uint64(b&0x7f) << (4 + 7*i)
	}
	if f[0]>>4&7 != c.want.typ || size != uint64(c.want.size) {
		return n, errors.New("its type or size is another one")
	}
	c.wanted, c.left = false, c.want.size
	switch c.want.typ {
	case typeOfsDelta:
		c.state = (*checker).distance
	case typeRefDelta:
		c.state = (*checker).baseID
	default:
		c.state = (*checker).zlib
	}
	return n, nil
}

// distance finds the base by where it lies in what was written, and compares where it lay in what was read.
func (c *checker) distance(p []byte) (int, error) {
	f, n := c.number(p)
	if f == nil {
		return n, nil
	}
	d := int64(f[0] & 0x7f)
	for _, b := range f[1:] {
		d = (d+1)<<7 + int64(b&0x7f)
	}
	base, ok := c.offsets.byOutput(c.start - d)
	if !ok || base.src != c.want.base {
		return n, errors.New("its base is another one")
	}
	c.state = (*checker).zlib
	return n, nil
}

func (c *checker) baseID(p []byte) (int, error) {
	f, n := c.field(p, cap(c.trailer))
	if f != nil && !bytes.Equal(f, c.want.baseID) {
		return n, errors.New("its base is another one")
	}
	if f != nil {
		c.state = (*checker).zlib
	}
	return n, nil
}

func (c *checker) zlib(p []byte) (int, error) {
	f, n := c.field(p, 2)
	if f == nil {
		return n, nil
	}
	if !bytes.Equal(f, c.begin[:]) {
		return n, errors.New("its data has another beginning")
	}
	c.state = (*checker).stored
	if c.flate != nil {
		c.flate.begin(c.met)
		c.state = (*checker).deflated
	}
	return n, nil
}

// stored reads the beginning of a stored block.
func (c *checker) stored(p []byte) (int, error) {
	f, n := c.field(p, 5)
	if f == nil {
		return n, nil
	}
	size := binary.LittleEndian.Uint16(f[1:])
	c.block, c.last = int(size), f[0] == 1
	if f[0] > 1 || ^size != binary.LittleEndian.Uint16(f[3:]) || int64(size) > c.left || c.last != (int64(size) == c.left) {
		return n, errors.New("a block of its data has another beginning")
	}
	c.state = (*checker).data
	if size == 0 {
		c.state = (*checker).adler
	}
	return n, nil
}

func (c *checker) data(p []byte) (int, error) {
	n := min(len(p), c.block)
	if n > len(c.pending) || !bytes.Equal(p[:n], c.pending[:n]) {
		return n, errors.New("its data is not what was read")
	}
	c.pending = c.pending[n:]
	c.left -= int64(n)
	if c.block -= n; c.block > 0 {
		return n, nil
	}
	c.state = (*checker).stored
	if c.last {
		c.state = (*checker).adler
	}
	return n, nil
}

func (c *checker) adler(p []byte) (int, error) {
	f, n := c.field(p, 4)
	if f == nil {
		return n, nil
	}
	if c.left != 0 || len(c.pending) > 0 || binary.BigEndian.Uint32(f) != c.sum {
		return n, errors.New("its data has another checksum")
	}
	c.seen++
	c.nextEntry(n)
	return n, nil
}

func (c *checker) end(p []byte) (int, error) {
	f, n := c.field(p, cap(c.trailer))
	if f == nil {
		return n, nil
	}
	if !bytes.Equal(f, c.trailer) {
		return n, errors.New("the trailer is another one")
	}
	c.trailer = nil
	c.state = (*checker).behind
	return n, nil
}

// behind refuses everything.
func (c *checker) behind([]byte) (int, error) {
	return 0, errors.New("there are bytes that stand for nothing")
}
