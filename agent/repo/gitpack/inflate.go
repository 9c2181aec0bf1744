package gitpack

import (
	"encoding/binary"
	"errors"
)

// inflater decompresses DEFLATE streams (RFC 1951). Nearly all the time of reading a pack is spent here, on streams of some hundred bytes, hence a decoder
// for just that: it reads from the input's buffer, takes nothing that stands behind a stream, and hands data on as it comes. It relies on a pack: behind the
// end of a stream there are at least 24 more bytes.
type inflater struct {
	in   *buffer
	bits uint64 // taken from the input, the next one lowest
	n    uint   // how many
	out  []byte // data: what went before, as far as it can be referred to, and what was not handed on yet
	from int    // where the latter begins
	at   int    // and ends
	each func([]byte) error

	lit, dist           huffman
	fixedLit, fixedDist huffman
	codes               huffman
	lengths             [maxLits + maxDists]byte
}

const (
	windowSize = 32 << 10  // how far back data can be referred to
	outSize    = 192 << 10 // bytes of inflater.out
	outMargin  = 320       // of them, those that one symbol, rounded up, may need
	maxLits    = 286       // literals and lengths that a block may have
	maxDists   = 30        // and distances
)

// errDeflate says that data is no DEFLATE stream.
var errDeflate = errors.New("its data can't be decompressed")

func newInflater(in *buffer) *inflater {
	z := &inflater{in: in, out: make([]byte, outSize)}
	var l [288]byte
	for i := range l {
		l[i] = fixedLength(i)
	}
	z.fixedLit.build(l[:], litBits, litSymbols[:])
	for i := range 32 {
		l[i] = 5
	}
	z.fixedDist.build(l[:32], distBits, distSymbols[:])
	return z
}

// fixedLength is the length of a code in blocks that do not bring their own.
func fixedLength(symbol int) byte {
	switch {
	case symbol < 144:
		return 8
	case symbol < 256:
		return 9
	case symbol < 280:
		return 7
	}
	return 8
}

// inflate decompresses one stream and hands its data to each.
func (z *inflater) inflate(each func([]byte) error) error {
	z.begin(each)
	for last := false; !last; {
		var err error
		if last, err = z.nextBlock(); err != nil {
			return err
		}
	}
	z.giveBack()
	return z.emit()
}

// begin begins a stream.
func (z *inflater) begin(each func([]byte) error) {
	z.bits, z.n, z.from, z.at, z.each = 0, 0, 0, 0, each
}

// section goes on with a stream up to byte end of the buffer, where one of its blocks ends on a whole byte. It reports whether that was the last one. Behind end
// there are at least 24 more bytes.
func (z *inflater) section(end int) (last bool, err error) {
	for !last && (z.in.r != end || z.n > 0) {
		if last, err = z.nextBlock(); err != nil {
			return false, err
		}
	}
	z.giveBack()
	if z.in.r != end {
		return false, errDeflate
	}
	return last, z.emit()
}

// nextBlock decompresses a block, and reports whether it is the stream's last one.
func (z *inflater) nextBlock() (last bool, err error) {
	if err := z.refill(); err != nil {
		return false, err
	}
	last = z.take(1) == 1
	switch z.take(2) {
	case 0:
		err = z.stored()
	case 1:
		err = z.block(&z.fixedLit, &z.fixedDist)
	case 2:
		if err = z.dynamic(); err == nil {
			err = z.block(&z.lit, &z.dist)
		}
	default:
		err = errDeflate
	}
	return last, err
}

// refill takes input until there are at least 56 bits.
func (z *inflater) refill() error {
	in := z.in
	if in.w-in.r < 8 {
		if err := in.need(8); err != nil {
			return err
		}
	}
	z.bits |= binary.LittleEndian.Uint64(in.buf[in.r:]) << (z.n & 63)
	in.r += int((63 - z.n) >> 3)
	z.n |= 56
	return nil
}

// take takes bits, of which there are enough.
func (z *inflater) take(n uint) uint {
	v := uint(z.bits) & (1<<n - 1)
	z.bits >>= n
	z.n -= n
	return v
}

// giveBack returns whole bytes to the input, and forgets the bits before them.
func (z *inflater) giveBack() {
	z.in.r -= int(z.n >> 3)
	z.bits, z.n = 0, 0
}

// emit hands on what is not handed on yet.
func (z *inflater) emit() error {
	if z.from == z.at {
		return nil
	}
	from := z.from
	z.from = z.at
	return z.each(z.out[from:z.at])
}

// makeRoom sees that one symbol's data has room.
func (z *inflater) makeRoom() error {
	if z.at <= len(z.out)-outMargin {
		return nil
	}
	if err := z.emit(); err != nil {
		return err
	}
	copy(z.out, z.out[z.at-windowSize:z.at])
	z.from, z.at = windowSize, windowSize
	return nil
}

// stored reads a block that is not compressed.
func (z *inflater) stored() error {
	z.giveBack()
	in := z.in
	if err := in.need(4); err != nil {
		return err
	}
	size := binary.LittleEndian.Uint16(in.buf[in.r:])
	if size != ^binary.LittleEndian.Uint16(in.buf[in.r+2:]) {
		return errDeflate
	}
	in.r += 4
	for left := int(size); left > 0; {
		if err := in.need(1); err != nil {
			return err
		}
		if err := z.makeRoom(); err != nil {
			return err
		}
		n := copy(z.out[z.at:], in.buf[in.r:min(in.w, in.r+left)])
		in.r += n
		z.at += n
		left -= n
	}
	return z.makeRoom()
}

// codeOrder is the order in which the lengths of the codes for lengths stand.
var codeOrder = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes that a block brings.
func (z *inflater) dynamic() error {
	lits, dists, codes := int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4
	if lits > maxLits || dists > maxDists {
		return errDeflate
	}
	var l [19]byte
	for i := range codes {
		if z.n < 3 {
			if err := z.refill(); err != nil {
				return err
			}
		}
		l[codeOrder[i]] = byte(z.take(3))
	}
	if !z.codes.build(l[:], codeBits, codeSymbols[:]) || z.codes.single {
		return errDeflate
	}
	if err := z.readLengths(z.lengths[:lits+dists]); err != nil {
		return err
	}
	if z.lengths[256] == 0 || !z.lit.build(z.lengths[:lits], litBits, litSymbols[:]) || !z.dist.build(z.lengths[lits:lits+dists], distBits, distSymbols[:]) {
		return errDeflate
	}
	return nil
}

// readLengths reads the lengths of codes, which are coded themselves.
func (z *inflater) readLengths(l []byte) error {
	for i := 0; i < len(l); {
		if err := z.refill(); err != nil {
			return err
		}
		e := z.codes.table[uint(z.bits)&z.codes.mask]
		if e&opInvalid != 0 {
			return errDeflate
		}
		z.take(uint(e & 15))
		value, repeat := byte(e>>16), 1
		switch value {
		case 16:
			if i == 0 {
				return errDeflate
			}
			value, repeat = l[i-1], 3+int(z.take(2))
		case 17:
			value, repeat = 0, 3+int(z.take(3))
		case 18:
			value, repeat = 0, 11+int(z.take(7))
		}
		if repeat > len(l)-i {
			return errDeflate
		}
		for range repeat {
			l[i] = value
			i++
		}
	}
	return nil
}

// block reads a block's symbols up to its end.
func (z *inflater) block(lit, dist *huffman) error {
	for {
		if err := z.makeRoom(); err != nil {
			return err
		}
		if z.in.w-z.in.r < 8 {
			if err := z.in.need(8); err != nil {
				return err
			}
		}
		if done, err := z.symbols(lit, dist); done || err != nil {
			return err
		}
	}
}

// symbols reads symbols for as long as there are 8 bytes of input and room for the data, and reports whether the block ended. A symbol takes 48 bits at
// most: a literal or length with its extra bits 20, a distance 28.
func (z *inflater) symbols(lit, dist *huffman) (done bool, err error) {
	buf, r, bits, n := z.in.buf[:z.in.w], z.in.r, z.bits, z.n
	out, at, limit := z.out, z.at, len(z.out)-outMargin
	litMask, distMask := uint64(lit.mask), uint64(dist.mask)
	lits, dists := &lit.table, &dist.table
	for r+8 <= len(buf) && at <= limit {
		bits |= binary.LittleEndian.Uint64(buf[r:]) << (n & 63)
		r += int((63 - n) >> 3)
		n |= 56
		e := lits[bits&litMask&tableMask]
		if e&opMask == 0 { // the commonest case: several literals in a row
			bits, n, out[at] = bits>>(e&15), n-uint(e&15), byte(e>>16)
			at++
			if e = lits[bits&litMask&tableMask]; e&opMask == 0 {
				bits, n, out[at] = bits>>(e&15), n-uint(e&15), byte(e>>16)
				at++
				if e = lits[bits&litMask&tableMask]; e&opMask == 0 {
					bits, n, out[at] = bits>>(e&15), n-uint(e&15), byte(e>>16)
					at++
				}
			}
			continue
		}
		if e&opTable != 0 {
			bits, n = bits>>(e&15), n-uint(e&15)
			e = lits[(uint64(e>>16)+bits&(1<<(e>>8&15)-1))&tableMask]
		}
		bits, n = bits>>(e&15), n-uint(e&15)
		if e&opMask == 0 {
			out[at] = byte(e >> 16)
			at++
			continue
		}
		if e&opBase == 0 {
			done = e&opEnd != 0
			if !done {
				err = errDeflate
			}
			break
		}
		extra := e >> 8 & 15
		length := int(e>>16) + int(bits&(1<<extra-1))
		bits, n = bits>>extra, n-uint(extra)

		e = dists[bits&distMask&tableMask]
		if e&opTable != 0 {
			bits, n = bits>>(e&15), n-uint(e&15)
			e = dists[(uint64(e>>16)+bits&(1<<(e>>8&15)-1))&tableMask]
		}
		bits, n = bits>>(e&15), n-uint(e&15)
		extra = e >> 8 & 15
		distance := int(e>>16) + int(bits&(1<<extra-1))
		bits, n = bits>>extra, n-uint(extra)
		if e&opBase == 0 || distance > at {
			err = errDeflate
			break
		}
		repeat(out, at, distance, length)
		at += length
	}
	z.in.r, z.bits, z.n, z.at = r, bits, n, at
	return done, err
}

// repeat copies what stands distance before at to at, where the two may overlap. It may write up to 7 bytes too many.
func repeat(out []byte, at, distance, length int) {
	switch {
	case distance >= 8:
		src, dst := out[at-distance:], out[at:at+length+7]
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:]))
		}
	case distance == 1:
		c, dst := out[at-1], out[at:at+length]
		for i := range dst {
			dst[i] = c
		}
	default:
		src, dst := out[at-distance:at+length], out[at:at+length]
		for i := range dst {
			dst[i] = src[i]
		}
	}
}
