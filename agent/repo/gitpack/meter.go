package gitpack

import (
	"hash"
	"io"
)

// inputSize is the number of bytes of the buffer of what is read.
const inputSize = 128 << 10

// buffer holds what was read and not taken yet: buf[r:w].
type buffer struct {
	src  io.Reader
	buf  []byte
	r, w int
	err  error // what reading ended with
}

// giveBack is how many bytes may be put back after more was read.
const giveBack = 8

// maxEmptyReads is how often a reader may give nothing in a row.
const maxEmptyReads = 100

// need reads until there are n bytes, which must not be more than the buffer holds. It reads no further than it must, so as not to wait for what is not
// needed.
func (b *buffer) need(n int) error {
	if b.w-b.r >= n {
		return nil
	}
	keep := min(b.r, giveBack)
	b.w = copy(b.buf, b.buf[b.r-keep:b.w])
	b.r = keep
	for empty := 0; b.w-b.r < n; {
		if b.err != nil {
			return b.err
		}
		if empty++; empty > maxEmptyReads {
			b.err = io.ErrNoProgress
		}
		var got int
		got, b.err = b.src.Read(b.buf[b.w:])
		if b.w += got; got > 0 {
			empty = 0
		}
	}
	return nil
}

// meter counts and hashes what is read, all but the last idSize bytes, which in a pack are its own hash.
type meter struct {
	src    io.Reader
	copyTo io.Writer // gets all that is read, when not nil
	sum    hash.Hash
	idSize int
	total  int64
	held   []byte // the last bytes, not hashed yet
	err    error  // what reading or copying ended with
}

// Read reads from the source.
func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.src.Read(p)
	m.err = err
	m.total += int64(n)
	m.hash(p[:n])
	if m.copyTo != nil && n > 0 {
		if _, err := m.copyTo.Write(p[:n]); err != nil {
			m.err = err
			return 0, err
		}
	}
	return n, err
}

func (m *meter) hash(p []byte) {
	if len(p) >= m.idSize {
		m.sum.Write(m.held)
		m.held = m.held[:0]
		m.sum.Write(p[:len(p)-m.idSize])
		p = p[len(p)-m.idSize:]
	}
	m.held = append(m.held, p...)
	if n := len(m.held) - m.idSize; n > 0 {
		m.sum.Write(m.held[:n])
		m.held = append(m.held[:0], m.held[n:]...)
	}
}
