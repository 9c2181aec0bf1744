package audit

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"farshore/providers"
)

// opened is a store that remembers what was read of packs/ and meta/ to its end, and calls a function before each operation.
type opened struct {
	providers.Driver
	n     atomic.Int64
	each  func(n int64, name string) error
	mu    sync.Mutex
	names map[string]bool
}

func newOpened(d providers.Driver) *opened {
	return &opened{Driver: d, each: func(int64, string) error { return nil }, names: map[string]bool{}}
}

// read is how many objects were read.
func (o *opened) read() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.names)
}

func (o *opened) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if err := o.each(o.n.Add(1), name); err != nil {
		return providers.Info{}, err
	}
	return o.Driver.Create(ctx, name, body, sum)
}

func (o *opened) Stat(ctx context.Context, name string) (providers.Info, error) {
	if err := o.each(o.n.Add(1), name); err != nil {
		return providers.Info{}, err
	}
	return o.Driver.Stat(ctx, name)
}

func (o *opened) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	if err := o.each(o.n.Add(1), prefix); err != nil {
		return nil, false, err
	}
	return o.Driver.List(ctx, prefix, after, limit)
}

func (o *opened) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := o.each(o.n.Add(1), name); err != nil {
		return nil, err
	}
	body, err := o.Driver.Open(ctx, name, off, n)
	if err != nil || !strings.HasPrefix(name, "packs/") && !strings.HasPrefix(name, "meta/") {
		return body, err
	}
	return &watched{body, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.names[name] = true
	}}, nil
}

// watched calls a function when it was read to its end.
type watched struct {
	io.ReadCloser
	end func()
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.ReadCloser.Read(b)
	if err == io.EOF {
		w.end()
	}
	return n, err
}
