package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// failing remembers what a reader failed with, and tells of each read.
type failing struct {
	r     io.Reader
	moved func()
	err   error
}

// Read reads on.
func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	f.moved()
	return n, err
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailSize = 4096

// Write keeps the last bytes.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	t.b = append(t.b, p[max(0, n-tailSize):]...)
	if len(t.b) > 2*tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return n, nil
}

// String is what was kept, from the beginning of a line on, as valid text without white space at its ends.
func (t *tail) String() string {
	b := t.b
	if len(b) > tailSize {
		b = b[len(b)-tailSize:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(b), "?"))
}

// bounded is a buffer that refuses to grow beyond max. It has no other methods of a buffer's, which would go past the bound.
type bounded struct {
	b   bytes.Buffer
	max int
}

// Write appends p.
func (b *bounded) Write(p []byte) (int, error) {
	if b.b.Len()+len(p) > b.max {
		return 0, fmt.Errorf("the program printed more than %d bytes", b.max)
	}
	return b.b.Write(p)
}
