package gitpack

import (
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// output writes a pack whose objects' data is stored, or deflated anew. The first error stays, and all that follows does nothing. Whatever is written is
// read back at once.
type output struct {
	w     io.Writer
	sum   hash.Hash
	buf   []byte
	pos   int64     // of the next byte in the pack
	left  int64     // data of the object that is still to come
	block int       // and of the stored block that it stands in
	flate *deflater // nil: data is stored
	check *checker
	fault func([]byte) // for tests
	err   error
	small [16]byte
}

const (
	outputSize = 128 << 10
	blockSize  = 65535 // most bytes of a stored block (RFC 1951)
)

func newOutput(w io.Writer, o Options, offsets *table) (*output, error) {
	out := &output{w: w, sum: newHash(o.IDSize), buf: make([]byte, 0, outputSize), check: newChecker(o.IDSize, offsets)}
	if o.Level == 0 {
		return out, nil
	}
	var err error
	out.flate, err = newDeflater(o.Level)
	out.check.deflates(o.Level)
	return out, err
}

// write puts bytes into the buffer and has them checked there.
func (o *output) write(p []byte) {
	for len(p) > 0 && o.err == nil {
		if len(o.buf) == cap(o.buf) {
			o.flush()
		}
		n := min(len(p), cap(o.buf)-len(o.buf))
		o.buf = append(o.buf, p[:n]...)
		p = p[n:]
		fresh := o.buf[len(o.buf)-n:]
		if o.fault != nil {
			o.fault(fresh)
		}
		o.pos += int64(n)
		if err := o.check.read(fresh); err != nil && o.err == nil {
			o.err = fmt.Errorf("%w: read back while it was written: %w", ErrKeep, err)
		}
	}
}

// flush hands the buffer on.
func (o *output) flush() {
	if o.err != nil {
		return
	}
	o.sum.Write(o.buf)
	_, o.err = o.w.Write(o.buf)
	o.buf = o.buf[:0]
}

func (o *output) header(version, count uint32) {
	o.check.version, o.check.count = version, count
	b := append(o.small[:0], "PACK"...)
	b = binary.BigEndian.AppendUint32(b, version)
	o.write(binary.BigEndian.AppendUint32(b, count))
}

// entry writes what stands before an object's data, and the beginning of the zlib stream.
func (o *output) entry(e *entry) {
	o.check.expect(e)
	start := o.pos
	b := appendSize(o.small[:0], e.typ, e.size)
	switch e.typ {
	case typeOfsDelta:
		o.write(b)
		b = appendDistance(o.small[:0], start-e.baseOut)
	case typeRefDelta:
		o.write(b)
		b = e.baseID
	}
	o.write(b)
	o.write(append(o.small[:0], o.check.begin[:]...))
	o.left = e.size
	o.block = 0
	switch {
	case o.flate != nil:
		o.flate.begin()
		if e.size == 0 {
			o.section()
		}
	case e.size == 0:
		o.beginBlock()
	}
}

// appendSize writes an entry's type and size: four bits of the size with the type, then seven a byte, the least significant first.
func appendSize(b []byte, typ byte, size int64) []byte {
	c := typ<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		b = append(b, c|0x80)
		c = byte(size & 0x7f)
	}
	return append(b, c)
}

// appendDistance is the inverse of input.distance.
func appendDistance(b []byte, n int64) []byte {
	var digits [10]byte
	i := len(digits) - 1
	digits[i] = byte(n & 0x7f)
	for n >>= 7; n > 0; n >>= 7 {
		n--
		i--
		digits[i] = byte(n&0x7f) | 0x80
	}
	return append(b, digits[i:]...)
}

// beginBlock writes the beginning of a stored block: whether it is the last, its length, and the length's complement.
func (o *output) beginBlock() {
	o.block = int(min(o.left, blockSize))
	last := byte(0)
	if int64(o.block) == o.left {
		last = 1
	}
	b := append(o.small[:0], last)
	b = binary.LittleEndian.AppendUint16(b, uint16(o.block))
	o.write(binary.LittleEndian.AppendUint16(b, ^uint16(o.block)))
}

// data writes some of an object's data. There is never more than its size.
func (o *output) data(p []byte) {
	if o.flate != nil {
		o.deflate(p)
		return
	}
	o.check.expectData(p)
	for len(p) > 0 && o.err == nil {
		if o.block == 0 {
			o.beginBlock()
		}
		n := min(len(p), o.block)
		o.write(p[:n])
		p = p[n:]
		o.block -= n
		o.left -= int64(n)
	}
}

// endEntry writes the sum of an object's data.
func (o *output) endEntry(sum uint32) {
	o.check.sum = sum
	o.write(binary.BigEndian.AppendUint32(o.small[:0], sum))
}

// end writes the trailer, sees that all was read back, and returns it.
func (o *output) end() []byte {
	o.flush()
	trailer := o.sum.Sum(nil)
	o.check.expectTrailer(trailer)
	o.write(trailer)
	if err := o.check.complete(); err != nil && o.err == nil {
		o.err = fmt.Errorf("%w: read back while it was written: %w", ErrKeep, err)
	}
	o.flush()
	return trailer
}
