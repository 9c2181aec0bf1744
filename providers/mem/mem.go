// Package mem is a store in memory, for tests and demonstrations. It keeps a Driver's promises in full, and forgets everything
// when the process ends.
package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"farshore/providers"
)

// Driver stores objects in memory. It may be used concurrently. The zero value is not usable: see New.
//
// Objects, Set and Remove belong to this type alone, so that a test can look and tamper. The Driver interface has nothing like
// them, and code that is handed a providers.Driver or a Bucket cannot reach them.
type Driver struct {
	mu      sync.RWMutex
	objects map[string]object
	names   []string // ascending
}

type object struct {
	body     []byte // never changed in place
	modified time.Time
}

// New returns an empty store.
func New() *Driver { return &Driver{objects: make(map[string]object)} }

// Traits says what kind of store this is.
func (d *Driver) Traits() providers.Traits {
	return providers.Traits{Kind: "mem", Place: "mem:", CreateOnly: providers.CreateOnlyStore, Checksum: "SHA-256", Local: true}
}

// Create stores a copy of the body, unless the name exists. A body that does not have the SHA-256 sum is kind Corrupt.
func (d *Driver) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	data := make([]byte, body.Size())
	if _, err := io.ReadFull(io.NewSectionReader(body, 0, body.Size()), data); err != nil {
		return providers.Info{}, fail(providers.Other, "create", name, fmt.Errorf("read the body: %w", err))
	}
	if got := sha256.Sum256(data); got != sum {
		return providers.Info{}, fail(providers.Corrupt, "create", name, fmt.Errorf("the body's SHA-256 is %x, announced was %x", got, sum))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return providers.Info{}, fail(providers.Other, "create", name, context.Cause(ctx))
	}
	if _, ok := d.objects[name]; ok {
		return providers.Info{}, fail(providers.Exists, "create", name, nil)
	}
	d.put(name, data)
	return d.info(name), nil
}

// Open reads a range.
func (d *Driver) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	o, err := d.get(ctx, "open", name)
	if err != nil {
		return nil, err
	}
	return newReader(ctx, name, o.body, off, n), nil
}

// Stat describes one object.
func (d *Driver) Stat(ctx context.Context, name string) (providers.Info, error) {
	o, err := d.get(ctx, "stat", name)
	if err != nil {
		return providers.Info{}, err
	}
	return providers.Info{Name: name, Size: int64(len(o.body)), Modified: o.modified}, nil
}

// List returns one page of names.
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	if ctx.Err() != nil {
		return nil, false, fail(providers.Other, "list", prefix, context.Cause(ctx))
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	i, found := slices.BinarySearch(d.names, max(prefix, after))
	if found && after >= prefix {
		i++
	}
	for ; i < len(d.names) && strings.HasPrefix(d.names[i], prefix); i++ {
		if len(page) == limit {
			return page, true, nil
		}
		page = append(page, d.info(d.names[i]))
	}
	return page, false, nil
}

// Objects returns a copy of everything that is stored. For tests.
func (d *Driver) Objects() map[string][]byte {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make(map[string][]byte, len(d.objects))
	for name, o := range d.objects {
		out[name] = bytes.Clone(o.body)
	}
	return out
}

// Set stores a copy of the bytes under the name, whatever was there: damage that no Driver can do. For tests.
func (d *Driver) Set(name string, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(name, bytes.Clone(body))
}

// Remove takes an object away: damage that no Driver can do. For tests.
func (d *Driver) Remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, name)
	d.names = slices.Sorted(maps.Keys(d.objects))
}

// put stores the object. The lock must be held.
func (d *Driver) put(name string, body []byte) {
	if i, found := slices.BinarySearch(d.names, name); !found {
		d.names = slices.Insert(d.names, i, name)
	}
	d.objects[name] = object{body: body, modified: time.Now().UTC()}
}

// info describes an object that exists. The lock must be held.
func (d *Driver) info(name string) providers.Info {
	o := d.objects[name]
	return providers.Info{Name: name, Size: int64(len(o.body)), Modified: o.modified}
}

func (d *Driver) get(ctx context.Context, op, name string) (object, error) {
	if ctx.Err() != nil {
		return object{}, fail(providers.Other, op, name, context.Cause(ctx))
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	o, ok := d.objects[name]
	if !ok {
		return object{}, fail(providers.NotFound, op, name, nil)
	}
	return o, nil
}

func fail(kind providers.Kind, op, name string, err error) error {
	return &providers.Error{Kind: kind, Op: op, Name: name, Err: err}
}

// reader reads an object's bytes while its context lasts.
type reader struct {
	ctx    context.Context
	name   string
	closed bool
	bytes  *bytes.Reader
}

// newReader reads n bytes from off, or to the end where n < 0.
func newReader(ctx context.Context, name string, body []byte, off, n int64) *reader {
	data := body[min(off, int64(len(body))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return &reader{ctx: ctx, name: name, bytes: bytes.NewReader(data)}
}

// Size is the number of bytes of the range (providers.Sized).
func (r *reader) Size() int64 { return r.bytes.Size() }

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, fail(providers.Other, "read", r.name, context.Cause(r.ctx))
	}
	if r.closed {
		return 0, fail(providers.Other, "read", r.name, errors.New("read after close"))
	}
	return r.bytes.Read(p)
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}
