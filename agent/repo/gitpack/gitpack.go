// Package gitpack rewrites a git pack stream such that a general compressor can see what is in it: each object's data is stored, not deflated, and all else
// (objects, their order, git's deltas) stays. It also does the reverse. What it writes is again a pack that every git reads. It works in one pass and in flat
// memory, and reads what it writes back while it writes it. It does no I/O but on the streams that it is given, and never resolves a delta but small ones
// in search of pointers to large files.
package gitpack

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Options say how a pack is treated.
type Options struct {
	// IDSize is the number of bytes of an object id: 20 for SHA-1, 32 for SHA-256.
	IDSize int
	// Raw copies the pack as it is, and only checks it.
	Raw bool
	// Level says how strongly objects' data is deflated: from 1, fast, to 9, small. 0 stores it.
	Level int
	// Pointer is told each pointer of Git LFS that is seen: the large file's id (hexadecimal SHA-256) and size. It may be called more than once with the same
	// one, and before it is known whether the pack is valid. May be nil.
	Pointer func(oid string, size int64)
}

// Facts are what was seen in a pack.
type Facts struct {
	// Objects is the number of objects.
	Objects int64
	// Trailer is the hexadecimal hash that ends what was written.
	Trailer string
	// SourceTrailer is the one that ends what was read, and is right.
	SourceTrailer string
	// SourceSize is the number of bytes that were read.
	SourceSize int64
	// Thin says that a delta names its base by id: that base may lie outside of the pack. A pack with Thin false stands on its own; one with Thin true may do
	// so too, if it comes from a git that does not refer to bases by offset.
	Thin bool
	// LFS says that a blob, or what a delta inserts, contains "filter=lfs", or that there is a pointer.
	LFS bool
	// Unresolved counts deltas whose result has the size of a pointer and could not be looked at, because the base is not known. Only those can be pointers
	// that Options.Pointer was not told.
	Unresolved int64
}

// ErrKeep says that a pack is to be stored as it is: read it again with Options.Raw, from the start.
var ErrKeep = errors.New("this pack can't be rewritten and is to be stored as it is")

// FormatError says that what was read is no valid pack. Errors of reading it are never of this type, but for an early end.
type FormatError struct {
	Offset int64 // where in the pack, about
	Object int64 // number of the object, from 0; -1 outside of objects
	Reason string
}

// Error says what is wrong, and where.
func (e *FormatError) Error() string {
	if e.Object < 0 {
		return fmt.Sprintf("not a valid pack: %s (at byte %d)", e.Reason, e.Offset)
	}
	return fmt.Sprintf("not a valid pack: object %d: %s (at byte %d)", e.Object, e.Reason, e.Offset)
}

// maxObjects is the largest number of objects of a pack that is rewritten: their offsets take 9 bytes each, so 288 MiB here.
const maxObjects = 1 << 25

// Transcode reads one pack from src up to the end of the stream and writes it to dst. It returns ErrKeep, wrapped, for a pack that must be stored as it is,
// a *FormatError for what is no pack, and the errors of src and dst. What was written before an error is of no use. Memory: about 1 MiB, 3 more
// where data is deflated, 9 bytes an object, and up to 24 MiB for small blobs.
func Transcode(dst io.Writer, src io.Reader, o Options) (Facts, error) {
	return transcode(dst, src, o, nil)
}

// transcode is Transcode with a fault for tests: it may change bytes between where they are written and where they are read back.
func transcode(dst io.Writer, src io.Reader, o Options, fault func([]byte)) (Facts, error) {
	if o.IDSize != 20 && o.IDSize != 32 {
		return Facts{}, fmt.Errorf("gitpack: object ids of %d bytes: want 20 or 32", o.IDSize)
	}
	if o.Level < 0 || o.Level > maxLevel {
		return Facts{}, fmt.Errorf("gitpack: level %d: want 0 to %d", o.Level, maxLevel)
	}
	t := &transcoder{in: newInput(src, o.IDSize), scan: newScanner(o), idSize: o.IDSize}
	t.each = t.data
	if o.Raw {
		t.in.copyTo = dst
	} else {
		out, err := newOutput(dst, o, &t.offsets)
		if err != nil {
			return Facts{}, err
		}
		out.fault = fault
		t.out = out
	}
	if err := t.run(); err != nil {
		return Facts{}, err
	}
	return t.facts(), nil
}

type transcoder struct {
	in      *input
	out     *output // nil: the input is copied as it is read
	offsets table
	scan    *scanner
	idSize  int
	count   uint32
	thin    bool
	trailer []byte // of what was written
	source  []byte // and of what was read
	each    func(chunk []byte) error
}

func (t *transcoder) facts() Facts {
	return Facts{
		Objects: int64(t.count), Trailer: hex.EncodeToString(t.trailer), SourceTrailer: hex.EncodeToString(t.source),
		SourceSize: t.in.offset(), Thin: t.thin, LFS: t.scan.lfs, Unresolved: t.scan.unresolved,
	}
}

func (t *transcoder) run() error {
	version, count, err := t.in.header()
	if err != nil {
		return err
	}
	t.count = count
	t.offsets.off = count > maxObjects
	if t.out != nil {
		if t.offsets.off {
			return fmt.Errorf("%w: it has %d objects, more than %d", ErrKeep, count, maxObjects)
		}
		t.out.header(version, count)
	}
	for i := range int64(count) {
		t.in.object = i
		if err := t.entry(); err != nil {
			return err
		}
	}
	t.in.object = -1
	return t.end()
}

// entry reads one object and writes it.
func (t *transcoder) entry() error {
	e, err := t.in.entry(t.idSize)
	if err != nil {
		return err
	}
	place, err := t.base(&e)
	if err != nil {
		return err
	}
	if t.out != nil {
		place.out = t.out.pos
	}
	place.src = e.start
	place.kind = t.scan.begin(&e, place.kind)
	t.offsets.add(place)
	if t.out != nil {
		t.out.entry(&e)
	}
	sum, err := t.in.inflate(e.size, t.each)
	if err != nil {
		return err
	}
	if reason := t.scan.end(); reason != "" {
		return t.in.bad(reason)
	}
	if t.out != nil {
		t.out.endEntry(sum)
		return t.out.err
	}
	return nil
}

// data takes some of an object's data.
func (t *transcoder) data(chunk []byte) error {
	if reason := t.scan.data(chunk); reason != "" {
		return t.in.bad(reason)
	}
	if t.out == nil {
		return nil
	}
	t.out.data(chunk)
	return t.out.err
}

// base finds what a delta builds on. Of the place that it returns only the kind of object is set, as far as it is known.
func (t *transcoder) base(e *entry) (place, error) {
	switch e.typ {
	case typeRefDelta:
		t.thin = true
		return place{}, nil
	case typeOfsDelta:
	default:
		return place{kind: e.typ}, nil
	}
	e.base = e.start - e.distance
	if t.offsets.off && e.base >= headerSize && e.base < e.start {
		return place{}, nil
	}
	b, ok := t.offsets.bySource(e.base)
	if !ok {
		return place{}, t.in.bad(fmt.Sprintf("a delta builds on byte %d, where no object begins", e.base))
	}
	e.baseOut = b.out
	return place{kind: b.kind}, nil
}

// end reads the trailer and writes the other.
func (t *transcoder) end() error {
	trailer, err := t.in.end(t.idSize)
	if err != nil {
		return err
	}
	t.source, t.trailer = trailer, trailer
	if t.out != nil {
		t.trailer = t.out.end()
		return t.out.err
	}
	return nil
}
