package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Bytes of the seekable format (zstd seekable format 0.1.0) and of the padding frame.
const (
	tableMagic   = 0x184D2A5E
	paddingMagic = 0x184D2A50
	footerMagic  = 0x8F92EAB1
	skipHeader   = 8 // magic and length of a skippable frame
	entrySize    = 8
	footerSize   = 9
	minPadding   = skipHeader + entrySize
)

// tableSize is the length of a seek table with so many entries.
func tableSize(entries int) int64 { return skipHeader + int64(entries)*entrySize + footerSize }

// step is the granularity of permitted sizes around n bytes.
func step(n int64) int64 {
	switch {
	case n <= 1024:
		return 64
	case n < 1<<24:
		return 1 << (bits.Len64(uint64(n)) - 1 - 4)
	}
	return 1 << (bits.Len64(uint64(n)) - 1 - 7)
}

// permitted is the smallest permitted size that is not below n. Every power of two from 64 is a permitted size, so that the multiple of n's
// step never lies beyond the range in which that step holds.
func permitted(n int64) int64 {
	s := step(n)
	return (n + s - 1) / s * s
}

// Padded returns the length of the plaintext that a writer makes of n bytes, counting frames and seek table without the padding frame and
// its entry: n itself if that is a permitted size, and else the smallest permitted size that leaves room for a padding frame and its entry, which
// is at least n + 16 (docs/format.md, section 4.2). n must not be negative.
func Padded(n int64) int64 {
	if n > 0 && permitted(n) == n {
		return n
	}
	return permitted(n + minPadding)
}

// entry is a frame in the seek table.
type entry struct{ compressed, raw uint32 }

// Writer writes the plaintext of one sealed file. It is not safe for concurrent use.
type Writer struct {
	w       io.Writer
	entries []entry
	size    int64
	raw     int64
	err     error
}

// NewWriter returns a Writer to w, which it does not close.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

var errClosed = errors.New("the sealed file's content was finished already")

// Size returns the number of plaintext bytes written so far, without padding and seek table.
func (w *Writer) Size() int64 { return w.size }

// Raw returns the number of raw bytes in the frames written so far.
func (w *Writer) Raw() int64 { return w.raw }

// Frame writes a data frame that Compress made from raw bytes, 1 to MaxFrame. That all frames of a pack but the last have one size is up to the
// caller: a page's may differ. It keeps no reference to compressed. After an error the file is lost, and every later call returns that error.
func (w *Writer) Frame(compressed []byte, raw int) error {
	if w.err != nil {
		return w.err
	}
	if w.err = w.check(compressed, raw); w.err != nil {
		return w.err
	}
	if err := w.write(compressed); err != nil {
		return err
	}
	w.entries = append(w.entries, entry{uint32(len(compressed)), uint32(raw)})
	w.raw += int64(raw)
	return nil
}

// check refuses a frame that would make the file one that no reader accepts.
func (w *Writer) check(compressed []byte, raw int) error {
	n := len(w.entries)
	switch {
	case raw < 1 || raw > MaxFrame:
		return fmt.Errorf("data frame of %d raw bytes is not between 1 and %d", raw, MaxFrame)
	case len(compressed) == 0 || len(compressed) > maxCompressed(raw):
		return fmt.Errorf("data frame of %d bytes can't be the compression of %d raw bytes", len(compressed), raw)
	case n == MaxFrames:
		return fmt.Errorf("more than %d data frames", MaxFrames)
	case w.raw+int64(raw) > MaxRaw:
		return fmt.Errorf("more than %d raw bytes", MaxRaw)
	case Padded(w.size+int64(len(compressed))+tableSize(n+1)) > MaxSize:
		return fmt.Errorf("more than %d bytes of compressed content", MaxSize)
	}
	return nil
}

// Close writes the padding frame and the seek table. It does not close the writer below.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if err := w.pad(); err != nil {
		return err
	}
	if err := w.write(w.table()); err != nil {
		return err
	}
	w.err = errClosed
	return nil
}

// pad writes the padding frame unless the size is a permitted one without it.
func (w *Writer) pad() error {
	n := w.size + tableSize(len(w.entries))
	k := Padded(n) - n - minPadding
	if k < 0 {
		return nil
	}
	frame := make([]byte, skipHeader+k)
	binary.LittleEndian.PutUint32(frame, paddingMagic)
	binary.LittleEndian.PutUint32(frame[4:], uint32(k))
	if err := w.write(frame); err != nil {
		return err
	}
	w.entries = append(w.entries, entry{uint32(len(frame)), 0})
	return nil
}

// table returns the seek table.
func (w *Writer) table() []byte {
	size := tableSize(len(w.entries))
	b := make([]byte, 0, size)
	b = binary.LittleEndian.AppendUint32(b, tableMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(size-skipHeader))
	for _, e := range w.entries {
		b = binary.LittleEndian.AppendUint32(b, e.compressed)
		b = binary.LittleEndian.AppendUint32(b, e.raw)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(w.entries)))
	b = append(b, 0)
	return binary.LittleEndian.AppendUint32(b, footerMagic)
}

// write writes b whole, or remembers the error for every later call.
func (w *Writer) write(b []byte) error {
	n, err := w.w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("writing a sealed file's content: %w", err)
		return w.err
	}
	w.size += int64(n)
	return nil
}
