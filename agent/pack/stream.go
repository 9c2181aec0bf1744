package pack

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// NewStream returns the raw bytes of a whole plaintext, read from its start to its end in order and with little memory, as zstd -d would. Reading more than max
// raw bytes fails with ErrTooLarge, and bytes that are no zstd file with ErrFormat. An error of r is returned as it is. The seek table is not looked at: that
// nothing is missing at the end is what the sealing proves, and r must be read to its end for that. Not safe for concurrent use.
func NewStream(r io.Reader, c *Codec, max int64) io.Reader {
	return &stream{src: &source{r: r}, codec: c, max: max}
}

type stream struct {
	src   *source
	codec *Codec
	dec   *zstd.Decoder
	max   int64
	n     int64
	err   error
}

func (s *stream) Read(p []byte) (int, error) {
	if s.err != nil || len(p) == 0 {
		return 0, s.err
	}
	if err := s.begin(); err != nil {
		return 0, s.finish(err)
	}
	// One byte more than allowed tells a content that ends at the limit from one that goes on.
	left := s.max - s.n
	if int64(len(p)) > left {
		p = p[:left+1]
	}
	n, err := s.dec.Read(p)
	if int64(n) > left {
		return int(left), s.finish(fmt.Errorf("%w: more than %d raw bytes", ErrTooLarge, s.max))
	}
	s.n += int64(n)
	if err != nil {
		return n, s.finish(s.explain(err))
	}
	return n, nil
}

// begin takes an idle decoder or makes one, the first time.
func (s *stream) begin() error {
	if s.dec != nil {
		return nil
	}
	dec, _ := s.codec.streams.Get().(*zstd.Decoder)
	if dec == nil {
		var err error
		// One goroutine: the caller's. Nothing is left behind when a stream is dropped before its end.
		dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(MaxFrame), zstd.WithDecoderMaxMemory(MaxRaw))
		if err != nil {
			return fmt.Errorf("setting up decompression: %w", err)
		}
	}
	s.dec = dec
	if err := dec.Reset(s.src); err != nil {
		return s.explain(err)
	}
	return nil
}

// explain tells the end and an error of the reader below from bytes that are no zstd file.
func (s *stream) explain(err error) error {
	switch {
	case s.src.err != nil:
		return s.src.err
	case err == io.EOF:
		return io.EOF
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// finish remembers how the stream ended and gives the decoder back.
func (s *stream) finish(err error) error {
	s.err = err
	if s.dec != nil && s.dec.Reset(nil) == nil {
		s.codec.streams.Put(s.dec)
	}
	s.dec = nil
	return err
}

// source remembers the first error of its reader that is not the end, so that it isn't taken for damage.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}
