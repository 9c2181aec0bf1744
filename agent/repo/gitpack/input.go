package gitpack

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
)

// Types of a pack's entries, as the format numbers them. Kinds of objects have the same numbers; 0 is a kind that is not known.
const (
	typeCommit   = 1
	typeTree     = 2
	typeBlob     = 3
	typeTag      = 4
	typeOfsDelta = 6
	typeRefDelta = 7
)

// entry is what stands before an object's data.
type entry struct {
	start    int64 // where it begins in what is read
	typ      byte
	size     int64  // of its data
	distance int64  // typeOfsDelta: how far before start the base begins
	base     int64  // typeOfsDelta: where the base begins in what is read
	baseOut  int64  // typeOfsDelta: and in what is written
	baseID   []byte // typeRefDelta; valid until the next entry is read
}

// newHash returns the hash that object ids of a size are made with, and trailers too.
func newHash(idSize int) hash.Hash {
	if idSize == sha256.Size {
		return sha256.New()
	}
	return sha1.New()
}

// input reads a pack.
type input struct {
	meter
	buf    buffer
	object int64 // number of the object that is read, for errors; -1 outside
	flate  *inflater
	adler  hash.Hash32
	id     [32]byte
	// of the object whose data is read
	left int64
	each func(chunk []byte) error
	take func(chunk []byte) error
}

func newInput(src io.Reader, idSize int) *input {
	in := &input{meter: meter{src: src, sum: newHash(idSize), idSize: idSize}, object: -1, adler: adler32.New()}
	in.buf = buffer{src: &in.meter, buf: make([]byte, inputSize)}
	in.flate = newInflater(&in.buf)
	in.take = in.takeData
	return in
}

// offset is the number of bytes that were taken from the pack.
func (in *input) offset() int64 { return in.total - int64(in.buf.w-in.buf.r) }

// bad makes the error of a pack that is not valid.
func (in *input) bad(reason string) error {
	return &FormatError{Offset: in.offset(), Object: in.object, Reason: reason}
}

// failed tells an error of reading from an early end.
func (in *input) failed(err error) error {
	switch {
	case in.buf.err != nil && in.buf.err != io.EOF:
		return in.buf.err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return in.bad("the pack is cut off")
	}
	return in.bad(err.Error())
}

func (in *input) readFull(p []byte) error {
	if err := in.buf.need(len(p)); err != nil {
		return in.failed(err)
	}
	in.buf.r += copy(p, in.buf.buf[in.buf.r:])
	return nil
}

func (in *input) readByte() (byte, error) {
	if err := in.buf.need(1); err != nil {
		return 0, in.failed(err)
	}
	in.buf.r++
	return in.buf.buf[in.buf.r-1], nil
}

// headerSize is the size of what a pack begins with.
const headerSize = 12

// header reads what a pack begins with.
func (in *input) header() (version, count uint32, err error) {
	var h [headerSize]byte
	if err := in.readFull(h[:]); err != nil {
		return 0, 0, err
	}
	version = binary.BigEndian.Uint32(h[4:])
	if string(h[:4]) != "PACK" || version != 2 && version != 3 {
		return 0, 0, in.bad("it does not begin as a pack of version 2 or 3")
	}
	return version, binary.BigEndian.Uint32(h[8:]), nil
}

// entry reads what stands before an object's data.
func (in *input) entry(idSize int) (entry, error) {
	e := entry{start: in.offset()}
	c, err := in.readByte()
	if err != nil {
		return e, err
	}
	e.typ, e.size = c>>4&7, int64(c&15)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if c, err = in.readByte(); err != nil {
			return e, err
		}
		if shift > 53 {
			return e, in.bad("a size is too large")
		}
		e.size |= int64(c&0x7f) << shift
	}
	switch e.typ {
	case typeCommit, typeTree, typeBlob, typeTag:
	case typeOfsDelta:
		e.distance, err = in.distance()
	case typeRefDelta:
		e.baseID = in.id[:idSize]
		err = in.readFull(e.baseID)
	default:
		err = in.bad(fmt.Sprintf("type %d is not known", e.typ))
	}
	return e, err
}

// distance reads how far back a delta's base lies: base 128, the most significant first, each continuation counting one more, so that every number has one
// form.
func (in *input) distance() (int64, error) {
	c, err := in.readByte()
	if err != nil {
		return 0, err
	}
	n := int64(c & 0x7f)
	for c&0x80 != 0 {
		if c, err = in.readByte(); err != nil {
			return 0, err
		}
		if n >= 1<<55 {
			return 0, in.bad("a delta's base is too far away")
		}
		n = (n+1)<<7 | int64(c&0x7f)
	}
	return n, nil
}

// inflate reads an object's data, of which there must be size bytes, hands it on in chunks, and returns its Adler-32 sum.
func (in *input) inflate(size int64, each func(chunk []byte) error) (uint32, error) {
	if err := in.zlibHeader(); err != nil {
		return 0, err
	}
	in.adler.Reset()
	in.left, in.each = size, each
	switch err := in.flate.inflate(in.take); {
	case err == errDeflate || err != nil && err == in.buf.err:
		return 0, in.failed(err)
	case err != nil:
		return 0, err
	}
	if in.left > 0 {
		return 0, in.bad("has less data than its size says")
	}
	sum := in.adler.Sum32()
	return sum, in.zlibTrailer(sum)
}

// takeData takes data as it is decompressed.
func (in *input) takeData(chunk []byte) error {
	if in.left -= int64(len(chunk)); in.left < 0 {
		return in.bad("has more data than its size says")
	}
	_, _ = in.adler.Write(chunk) // never fails
	return in.each(chunk)
}

// zlibHeader reads the two bytes that begin a zlib stream (RFC 1950).
func (in *input) zlibHeader() error {
	var h [2]byte
	if err := in.readFull(h[:]); err != nil {
		return err
	}
	if h[0]&15 != 8 || h[0]>>4 > 7 || binary.BigEndian.Uint16(h[:])%31 != 0 || h[1]&0x20 != 0 {
		return in.bad("its data is no zlib stream")
	}
	return nil
}

func (in *input) zlibTrailer(want uint32) error {
	var b [4]byte
	if err := in.readFull(b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(b[:]) != want {
		return in.bad("its data does not have the checksum that stands behind it")
	}
	return nil
}

// end reads the trailer, checks it, and sees that nothing follows.
func (in *input) end(idSize int) ([]byte, error) {
	trailer := make([]byte, idSize)
	if err := in.readFull(trailer); err != nil {
		return nil, err
	}
	switch err := in.buf.need(1); {
	case err == nil:
		return nil, in.bad("there are bytes behind its end")
	case err != io.EOF:
		return nil, in.failed(err)
	}
	if !bytes.Equal(trailer, in.sum.Sum(nil)) {
		return nil, in.bad("it does not have the hash that it ends with")
	}
	return trailer, nil
}
