// Package pack is the codec of what sealed files hold: packs and pages (docs/format.md, section 4). Their plaintext is a seekable zstd file: data
// frames, a padding frame that hides the size, and a seek table. The package compresses, writes, parses and reads such plaintexts. It knows
// neither keys nor stores, nor what the raw bytes mean, and it trusts nothing of what it parses: every size is checked before
// memory is claimed for it.
package pack

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Limits of a sealed file's plaintext (docs/format.md, section 4.1).
const (
	// FrameSize is the number of raw bytes of each data frame but the last that writers of version 1 use for objects and pages.
	FrameSize = 1 << 20
	// MaxFrame is the number of raw bytes that a data frame has at most.
	MaxFrame = 16 << 20
	// MaxFrames is the number of data frames that a file has at most.
	MaxFrames = 65536
	// MaxRaw is the number of raw bytes that a file has at most.
	MaxRaw = 1 << 30
	// MaxSize is the number of plaintext bytes that a file has at most. The stored file must fit into as many.
	MaxSize = 64 << 20
)

var (
	// ErrFormat says that the bytes are not a sealed file's plaintext as the format has it: damaged, or written by something else.
	ErrFormat = errors.New("not a valid sealed file's content")
	// ErrTooLarge says that there are more raw bytes than the caller allows.
	ErrTooLarge = errors.New("content is larger than it may be")
)

// maxCompressed is the size that a data frame of so many raw bytes has at most. What doesn't compress grows by three bytes in 128 KiB and a
// header; no encoder comes near this.
func maxCompressed(raw int) int { return raw + raw/128 + 512 }

// Codec compresses and decompresses data frames. It may be used concurrently: as many calls of each kind as there are processors run at a
// time, and others wait, which bounds its memory.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
	// streams holds idle *zstd.Decoder of one goroutine for NewStream.
	streams sync.Pool
	// bufs holds idle *[]byte for compressed and raw frames of Readers.
	bufs sync.Pool
}

// DefaultLevel is the zstd level that NewCodec uses when none is given: the fastest that still finds most of what repeats.
const DefaultLevel = 3

// NewCodec returns a Codec that compresses with a zstd level from 1 to 22, or DefaultLevel. At most one level may be given. The level changes
// sizes only: every reader reads every level.
func NewCodec(level ...int) (*Codec, error) {
	l := DefaultLevel
	switch {
	case len(level) > 1:
		return nil, fmt.Errorf("%d compression levels given where one is wanted", len(level))
	case len(level) == 1:
		l = level[0]
	}
	if l < 1 || l > 22 {
		return nil, fmt.Errorf("compression level %d is not between 1 and 22", l)
	}
	procs := runtime.GOMAXPROCS(0)
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(l)),
		zstd.WithEncoderConcurrency(procs),
		zstd.WithWindowSize(4*FrameSize), // what the largest frames that are written have: they need nothing from other frames
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(true),
		zstd.WithSingleSegment(true)) // so that also frames below 256 bytes state their content size
	if err != nil {
		return nil, fmt.Errorf("setting up compression: %w", err)
	}
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(procs),
		zstd.WithDecoderMaxMemory(MaxFrame),
		zstd.WithDecoderMaxWindow(MaxFrame),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("setting up decompression: %w", err)
	}
	return &Codec{enc: enc, dec: dec}, nil
}

// Compress appends raw as one data frame, with content size and checksum, to dst and returns it. raw must not be empty and must have at most
// MaxFrame bytes.
func (c *Codec) Compress(dst, raw []byte) []byte { return c.enc.EncodeAll(raw, dst) }

// Room is the capacity that a slice needs for Decompress to put raw bytes into it and be quick about each of them.
func Room(raw int) int { return raw + slack }

// slack is how much room behind a frame lets the decoder copy in runs of 16 bytes up to its end: otherwise its last block takes longer.
const slack = 16

// Decompress appends the raw bytes of a data frame, which must be exactly raw many, to dst and returns it. It grows dst by no more than raw bytes,
// whatever the frame says; of dst's room behind them, where it has any, it may use 16 bytes in passing. Errors are ErrFormat, and then dst is returned as it was.
func (c *Codec) Decompress(dst, frame []byte, raw int) ([]byte, error) {
	if err := checkFrame(frame, raw); err != nil {
		return dst, err
	}
	n, out := len(dst), dst
	if cap(dst)-n < raw {
		out = make([]byte, n, n+raw)
		copy(out, dst)
	}
	out, err := c.dec.DecodeAll(frame, out[:n:min(cap(out), n+Room(raw))])
	if err != nil {
		return dst, fmt.Errorf("%w: data frame: %w", ErrFormat, err)
	}
	if len(out) != n+raw {
		return dst, fmt.Errorf("%w: data frame holds %d raw bytes, not %d", ErrFormat, len(out)-n, raw)
	}
	return out, nil
}

// buffer returns an idle or new buffer of n bytes.
func (c *Codec) buffer(n int64) *[]byte {
	b, _ := c.bufs.Get().(*[]byte)
	if b == nil || int64(cap(*b)) < n {
		b = new([]byte)
		*b = make([]byte, n)
	}
	*b = (*b)[:n]
	return b
}

// checkFrame accepts a zstd frame with checksum and a content size of raw, which is what Compress writes.
func checkFrame(frame []byte, raw int) error {
	if raw < 1 || raw > MaxFrame {
		return fmt.Errorf("%w: data frame of %d raw bytes", ErrFormat, raw)
	}
	if len(frame) > maxCompressed(raw) {
		return fmt.Errorf("%w: data frame of %d bytes for %d raw bytes", ErrFormat, len(frame), raw)
	}
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return fmt.Errorf("%w: data frame: %w", ErrFormat, err)
	}
	switch {
	case h.Skippable:
		return fmt.Errorf("%w: skippable frame where a data frame belongs", ErrFormat)
	case !h.HasFCS || h.FrameContentSize != uint64(raw):
		return fmt.Errorf("%w: data frame does not state its %d raw bytes", ErrFormat, raw)
	case !h.HasCheckSum:
		return fmt.Errorf("%w: data frame without checksum", ErrFormat)
	case h.DictionaryID != 0:
		return fmt.Errorf("%w: data frame needs a dictionary", ErrFormat)
	}
	return nil
}

// Encode reads raw to its end and writes it to w as the whole plaintext of a sealed file, in data frames of frameSize raw bytes. An error of raw
// or w is in the chain of the error that is returned.
func Encode(w io.Writer, c *Codec, frameSize int, raw io.Reader) error {
	if frameSize < 1 || frameSize > MaxFrame {
		return fmt.Errorf("frame size %d is not between 1 and %d", frameSize, MaxFrame)
	}
	pw := NewWriter(w)
	buf, frame := make([]byte, frameSize), []byte(nil)
	for {
		n, err := readFull(raw, buf)
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading what is to be compressed: %w", err)
		}
		if n > 0 {
			frame = c.Compress(frame[:0], buf[:n])
			if err := pw.Frame(frame, n); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return pw.Close()
		}
	}
}

// maxEmptyReads is how often a reader may return neither bytes nor an error in a row, as in package bufio.
const maxEmptyReads = 100

// readFull fills buf unless r ends or fails before, and returns r's own error. io.ReadFull can't tell the end of a short reader from an
// io.ErrUnexpectedEOF that the reader itself returned.
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
