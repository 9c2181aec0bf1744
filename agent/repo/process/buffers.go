package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// failing remembers what a reader failed with.
type failing struct {
	r   io.Reader
	err error
}

// Read reads on.
func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// tail keeps the end of what is written to it.
type tail struct {
	b   []byte
	cut bool // b may begin in the middle of a line
}

const tailSize = 4096

// Write keeps the last bytes.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > tailSize {
		p, t.b, t.cut = p[n-tailSize:], t.b[:0], true
	}
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b, t.cut = append(t.b[:0], t.b[over:]...), true
	}
	return n, nil
}

// String is what was kept, from the beginning of a line on, as valid text without white space at its ends.
func (t *tail) String() string {
	b := t.b
	if t.cut {
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
