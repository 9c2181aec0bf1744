package faults

import (
	"errors"
	"io"
	"slices"

	"farshore/providers"
)

// damage wraps a body so that it suffers the fault, and ends with the process.
func (f *Faults) damage(r io.ReadCloser, name string, fault *Fault) (io.ReadCloser, error) {
	if fault == nil {
		return &mortal{body: r, f: f, name: name}, nil
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	d := &damaged{end: io.EOF}
	switch half := len(b) / 2; fault.Action {
	case Truncate:
		b = b[:half]
	case Break:
		b, d.end = b[:half], &providers.Error{Kind: providers.Corrupt, Op: "read", Name: name, Err: io.ErrUnexpectedEOF}
	case Flip:
		if len(b) > 0 {
			b[half] ^= 1
		}
	}
	d.left = b
	return &mortal{body: d, f: f, name: name, unsized: true}, nil
}

// damaged yields its bytes and then its end. It does not say how many they are.
type damaged struct {
	left []byte
	end  error
}

func (d *damaged) Read(p []byte) (int, error) {
	if len(d.left) == 0 {
		return 0, d.end
	}
	n := copy(p, d.left)
	d.left = d.left[n:]
	return n, nil
}

func (d *damaged) Close() error { return nil }

// mortal is a body that can't be read once the process has died.
type mortal struct {
	body    io.ReadCloser
	f       *Faults
	name    string
	unsized bool
}

// Size is what the body below announces, or -1.
func (m *mortal) Size() int64 {
	if s, ok := m.body.(providers.Sized); ok && !m.unsized {
		return s.Size()
	}
	return -1
}

func (m *mortal) Read(p []byte) (int, error) {
	if m.f.passed() {
		return 0, m.f.died("read", m.name)
	}
	return m.body.Read(p)
}

func (m *mortal) Close() error { return m.body.Close() }

// relist changes a page.
func relist[T any](f *Fault, page []T, more bool) ([]T, bool) {
	page = slices.Clone(page)
	switch f.Action {
	case ListMissing:
		if len(page) > 0 {
			page = page[1:]
		}
	case ListDisorder:
		slices.Reverse(page)
	case ListFalseEnd:
		more = false
	}
	return page, more
}
