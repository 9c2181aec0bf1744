package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
)

// tailSize is how much of the end NewReader fetches at once: the seek table of a full pack and the last run of 64 KiB of its age file.
const tailSize = 64 << 10

// Reader reads the raw bytes of one sealed file's plaintext in any order. It may be used concurrently if the reader below may.
type Reader struct {
	r     io.ReaderAt
	codec *Codec
	// ends[i] is where data frame i ends; it begins where its predecessor ends.
	ends []position
}

// position is a place in the plaintext and the same in the raw bytes.
type position struct{ plain, raw int64 }

// NewReader parses the seek table of a plaintext of size bytes. It reads the last 64 KiB, and more only where the table is longer. A table that is not
// exactly as the format has it is ErrFormat; an error of r is in the chain of what is returned.
func NewReader(r io.ReaderAt, size int64, c *Codec) (*Reader, error) {
	if size < tableSize(0) || size > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, size)
	}
	tail, err := readTail(r, size, min(size, tailSize))
	if err != nil {
		return nil, err
	}
	count, err := parseFooter(tail, size)
	if err != nil {
		return nil, err
	}
	table := tableSize(count)
	if table > int64(len(tail)) {
		if tail, err = readTail(r, size, table); err != nil {
			return nil, err
		}
	}
	body := tail[int64(len(tail))-table:]
	if binary.LittleEndian.Uint32(body) != tableMagic || int64(binary.LittleEndian.Uint32(body[4:])) != table-skipHeader {
		return nil, fmt.Errorf("%w: no seek table at its end", ErrFormat)
	}
	p := &Reader{r: r, codec: c, ends: make([]position, 0, count)}
	padding, err := p.parseEntries(body[skipHeader : table-footerSize])
	if err != nil {
		return nil, err
	}
	if err := p.checkSize(size, table, padding); err != nil {
		return nil, err
	}
	if err := checkPadding(tail[:int64(len(tail))-table], padding); err != nil {
		return nil, err
	}
	return p, nil
}

// readTail reads the last n of size bytes.
func readTail(r io.ReaderAt, size, n int64) ([]byte, error) {
	buf := make([]byte, n)
	if err := readAt(r, buf, size-n); err != nil {
		return nil, fmt.Errorf("reading the seek table: %w", err)
	}
	return buf, nil
}

// readAt fills buf from offset off. An end before that is ErrFormat, since the size was promised.
func readAt(r io.ReaderAt, buf []byte, off int64) error {
	n, err := r.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: it ends at byte %d, before its size", ErrFormat, off+int64(n))
	}
	return err
}

// parseFooter returns the number of entries, for which the file is large enough.
func parseFooter(tail []byte, size int64) (int, error) {
	footer := tail[len(tail)-footerSize:]
	if binary.LittleEndian.Uint32(footer[5:]) != footerMagic {
		return 0, fmt.Errorf("%w: it does not end with a seek table", ErrFormat)
	}
	if footer[4] != 0 {
		return 0, fmt.Errorf("%w: seek table of an unknown kind (0x%02x)", ErrFormat, footer[4])
	}
	count := binary.LittleEndian.Uint32(footer)
	if count > MaxFrames+1 || tableSize(int(count)) > size {
		return 0, fmt.Errorf("%w: seek table of %d frames", ErrFormat, count)
	}
	return int(count), nil
}

// parseEntries fills in the frames and returns the length of the padding frame, 0 for none.
func (p *Reader) parseEntries(table []byte) (padding int64, err error) {
	for i := 0; i < len(table); i += entrySize {
		compressed := int64(binary.LittleEndian.Uint32(table[i:]))
		raw := int64(binary.LittleEndian.Uint32(table[i+4:]))
		if raw == 0 {
			if i+entrySize != len(table) || compressed < skipHeader {
				return 0, fmt.Errorf("%w: frame %d holds nothing and is not the padding", ErrFormat, i/entrySize)
			}
			return compressed, nil
		}
		if err := p.addFrame(compressed, raw); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// addFrame checks a data frame and adds it to those before it.
func (p *Reader) addFrame(compressed, raw int64) error {
	n, end := len(p.ends), p.end()
	switch {
	case raw > MaxFrame || compressed == 0 || compressed > int64(maxCompressed(int(raw))):
		return fmt.Errorf("%w: frame %d has %d bytes for %d raw bytes", ErrFormat, n, compressed, raw)
	case n == MaxFrames || end.raw+raw > MaxRaw:
		return fmt.Errorf("%w: more than %d frames or %d raw bytes", ErrFormat, MaxFrames, MaxRaw)
	}
	p.ends = append(p.ends, position{end.plain + compressed, end.raw + raw})
	return nil
}

// begin is where data frame i begins, and end where the last one ends.
func (p *Reader) begin(i int) position {
	if i == 0 {
		return position{}
	}
	return p.ends[i-1]
}

func (p *Reader) end() position { return p.begin(len(p.ends)) }

// checkSize holds the sum of all frames against the size, and the size against what a writer makes of the data frames.
func (p *Reader) checkSize(size, table, padding int64) error {
	data := p.end().plain
	if data+padding+table != size {
		return fmt.Errorf("%w: its frames have %d bytes of %d", ErrFormat, data+padding+table, size)
	}
	if bare := data + tableSize(len(p.ends)); Padded(bare) != size {
		return fmt.Errorf("%w: %d bytes padded to %d, not to %d", ErrFormat, bare, size, Padded(bare))
	}
	return nil
}

// checkPadding checks as much of the padding frame as lies in the bytes before the seek table. The rest is not worth another read: the sizes
// already say that there is room for nothing else.
func checkPadding(before []byte, padding int64) error {
	seen := before[max(0, int64(len(before))-padding):]
	unseen := padding - int64(len(seen))
	if padding > 0 && unseen == 0 {
		if binary.LittleEndian.Uint32(seen) != paddingMagic || int64(binary.LittleEndian.Uint32(seen[4:])) != padding-skipHeader {
			return fmt.Errorf("%w: the padding is not one frame", ErrFormat)
		}
	}
	header := min(int64(len(seen)), max(0, skipHeader-unseen))
	for _, b := range seen[header:] {
		if b != 0 {
			return fmt.Errorf("%w: the padding is not zero", ErrFormat)
		}
	}
	return nil
}

// RawSize returns the number of raw bytes.
func (p *Reader) RawSize() int64 { return p.end().raw }

// Frames returns the number of data frames.
func (p *Reader) Frames() int { return len(p.ends) }

// FrameAt returns the number of the data frame that holds the raw byte at off, or -1 when there is no such byte.
func (p *Reader) FrameAt(off int64) int {
	if off < 0 || off >= p.RawSize() {
		return -1
	}
	return sort.Search(len(p.ends), func(i int) bool { return p.ends[i].raw > off })
}

// FrameRange returns where data frame i lies in the plaintext, and where its raw bytes lie in all raw bytes. It panics unless
// 0 ≤ i < Frames().
func (p *Reader) FrameRange(i int) (off, length, rawOff, rawLen int64) {
	from, to := p.begin(i), p.ends[i]
	return from.plain, to.plain - from.plain, from.raw, to.raw - from.raw
}

// ReadFrame appends the raw bytes of data frame i, with 0 ≤ i < Frames(), to dst and returns it. Its checksum was verified. Errors: ErrFormat, or one
// of the reader below.
func (p *Reader) ReadFrame(i int, dst []byte) ([]byte, error) {
	if i < 0 || i >= len(p.ends) {
		return dst, fmt.Errorf("reading frame %d of %d: there is none", i, len(p.ends))
	}
	off, length, _, rawLen := p.FrameRange(i)
	buf := p.codec.buffer(length)
	defer p.codec.bufs.Put(buf)
	if err := readAt(p.r, *buf, off); err != nil {
		return dst, fmt.Errorf("reading frame %d of %d: %w", i, len(p.ends), err)
	}
	out, err := p.codec.Decompress(dst, *buf, int(rawLen))
	if err != nil {
		return dst, fmt.Errorf("reading frame %d of %d: %w", i, len(p.ends), err)
	}
	return out, nil
}

// ReadAt reads raw bytes as io.ReaderAt says. It keeps no frame: each call reads and decompresses every frame that it touches, so that whoever
// reads many small ranges should read frames and keep them.
func (p *Reader) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	buf := p.codec.buffer(0)
	defer p.codec.bufs.Put(buf)
	n := 0
	for n < len(b) {
		i := p.FrameAt(off + int64(n))
		if i < 0 {
			return n, io.EOF
		}
		raw, err := p.ReadFrame(i, (*buf)[:0])
		*buf = raw
		if err != nil {
			return n, err
		}
		n += copy(b[n:], raw[off+int64(n)-p.begin(i).raw:])
	}
	return n, nil
}
