package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"farshore/providers"
)

// Versioned is a store in memory that keeps what was overwritten or hidden, as a bucket of S3 with versioning does. A Create over a marker succeeds and makes
// a new version. It may be used concurrently. The zero value is not usable: see NewVersioned.
//
// What tampers (Set, Hide, RemoveVersion) and what sets the scene (SetLock, Configure, SetClock) belongs to this type alone, for tests.
type Versioned struct {
	plain *Driver // what plain reads see

	mu       sync.RWMutex
	versions map[string][]version // by name, the oldest first; no name is empty
	names    []string             // ascending
	next     int
	now      func() time.Time
	by       string
	settings providers.Settings
}

var (
	_ providers.Historian = (*Versioned)(nil)
	_ providers.Keeper    = (*Versioned)(nil)
)

type version struct {
	id     string
	body   []byte // never changed in place
	marker bool
	time   time.Time
	by     string
	lock   providers.Lock
}

// NewVersioned returns an empty store with versioning on and no locks.
func NewVersioned() *Versioned {
	return &Versioned{plain: New(), versions: make(map[string][]version), now: time.Now, settings: providers.Settings{Versioning: "on"}}
}

// Traits says what kind of store this is.
func (d *Versioned) Traits() providers.Traits { return d.plain.Traits() }

// Create stores a copy of the body as a new version, unless a plain read sees the name.
func (d *Versioned) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.plain.Create(ctx, name, body, sum); err != nil {
		return providers.Info{}, err
	}
	o, err := d.plain.get(ctx, "create", name)
	if err != nil {
		return providers.Info{}, err
	}
	return d.push(name, version{body: o.body}).info(name), nil
}

// Open reads a range of what a plain read sees.
func (d *Versioned) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	return d.plain.Open(ctx, name, off, n)
}

// Stat describes what a plain read sees.
func (d *Versioned) Stat(ctx context.Context, name string) (providers.Info, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.plain.Stat(ctx, name); err != nil {
		return providers.Info{}, err
	}
	return d.current(name), nil
}

// List returns one page of the names that a plain read sees.
func (d *Versioned) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	page, more, err := d.plain.List(ctx, prefix, after, limit)
	for i := range page {
		page[i] = d.current(page[i].Name)
	}
	return page, more, err
}

// current describes the newest version of a name that has one. The lock must be held.
func (d *Versioned) current(name string) providers.Info {
	all := d.versions[name]
	return all[len(all)-1].info(name)
}

// Versions returns one page of versions and markers (providers.Historian). Ids are numbers that only grow.
func (d *Versioned) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	if ctx.Err() != nil {
		return nil, providers.Mark{}, false, fail(providers.Other, "list", prefix, context.Cause(ctx))
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	first, _ := slices.BinarySearch(d.names, max(prefix, after.Name))
	for _, name := range d.names[first:] {
		if !strings.HasPrefix(name, prefix) {
			break
		}
		all := d.versions[name]
		for i := len(all) - 1; i >= 0; i-- {
			if name == after.Name && !all[i].behind(after.ID) {
				continue
			}
			if len(page) == limit {
				return page, next, true, nil
			}
			page = append(page, all[i].version(name, i == len(all)-1))
			next = providers.Mark{Name: name, ID: all[i].id}
		}
	}
	return page, providers.Mark{}, false, nil
}

// behind reports whether the version comes after that with the id in a listing; the empty id is the last of its name.
func (v *version) behind(id string) bool {
	return id != "" && (len(v.id) < len(id) || len(v.id) == len(id) && v.id < id)
}

func (v *version) info(name string) providers.Info {
	return providers.Info{Name: name, Size: int64(len(v.body)), Modified: v.time}
}

func (v *version) version(name string, current bool) providers.Version {
	return providers.Version{Info: v.info(name), ID: v.id, Marker: v.marker, Current: current, By: v.by}
}

// OpenVersion reads a range of one version (providers.Historian).
func (d *Versioned) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	v, err := d.find(ctx, "open", name, id)
	if err != nil {
		return nil, err
	}
	if v.marker {
		return nil, fail(providers.NotFound, "open", name, fmt.Errorf("version %s is a marker", id))
	}
	return newReader(ctx, name, v.body, off, n), nil
}

// Lock returns what SetLock or Configure has set (providers.Keeper).
func (d *Versioned) Lock(ctx context.Context, name, id string) (providers.Lock, error) {
	if id == "" {
		if _, err := d.plain.get(ctx, "lock", name); err != nil {
			return providers.Lock{}, err
		}
	}
	v, err := d.find(ctx, "lock", name, id)
	return v.lock, err
}

// Settings returns what Configure has set (providers.Keeper).
func (d *Versioned) Settings(ctx context.Context) (providers.Settings, error) {
	if ctx.Err() != nil {
		return providers.Settings{}, fail(providers.Other, "settings", "", context.Cause(ctx))
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.settings, nil
}

// find returns a version, the newest where id is empty.
func (d *Versioned) find(ctx context.Context, op, name, id string) (version, error) {
	if ctx.Err() != nil {
		return version{}, fail(providers.Other, op, name, context.Cause(ctx))
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if i := d.index(name, id); i >= 0 {
		return d.versions[name][i], nil
	}
	return version{}, fail(providers.NotFound, op, name, fmt.Errorf("there is no version %q", id))
}

// index is where the version is, or -1. The lock must be held.
func (d *Versioned) index(name, id string) int {
	all := d.versions[name]
	if id == "" {
		return len(all) - 1
	}
	return slices.IndexFunc(all, func(v version) bool { return v.id == id })
}

// push adds a version on top, with an id, a time, an author and the lock that new objects get. The lock must be held.
func (d *Versioned) push(name string, v version) *version {
	d.next++
	v.id, v.time, v.by = strconv.Itoa(d.next), d.now().UTC(), d.by
	if d.settings.Mode != providers.LockNone && !v.marker {
		v.lock = providers.Lock{Mode: d.settings.Mode, Until: v.time.Add(d.settings.Retention)}
	}
	if i, found := slices.BinarySearch(d.names, name); !found {
		d.names = slices.Insert(d.names, i, name)
	}
	d.versions[name] = append(d.versions[name], v)
	return &d.versions[name][len(d.versions[name])-1]
}

// Set stores a copy of the bytes as a new version, whatever lies there, and returns its id: an overwrite, which no Driver can do. For tests.
func (d *Versioned) Set(name string, body []byte) (id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.push(name, version{body: bytes.Clone(body)})
	d.plain.Set(name, v.body)
	return v.id
}

// Hide lays a marker over the name, which may have nothing, and returns its id. For tests.
func (d *Versioned) Hide(name string) (id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plain.Remove(name)
	return d.push(name, version{marker: true}).id
}

// RemoveVersion takes a version or a marker away for good, whatever its lock. For tests.
func (d *Versioned) RemoveVersion(name, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index(name, id)
	if i < 0 {
		return
	}
	all := slices.Delete(d.versions[name], i, i+1)
	d.versions[name] = all
	switch {
	case len(all) == 0:
		delete(d.versions, name)
		at, _ := slices.BinarySearch(d.names, name)
		d.names = slices.Delete(d.names, at, at+1)
		d.plain.Remove(name)
	case all[len(all)-1].marker:
		d.plain.Remove(name)
	default:
		d.plain.Set(name, all[len(all)-1].body)
	}
}

// SetLock sets the lock of a version, the newest where id is empty, and reports whether there is one. For tests.
func (d *Versioned) SetLock(name, id string, lock providers.Lock) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index(name, id)
	if i >= 0 {
		d.versions[name][i].lock = lock
	}
	return i >= 0
}

// Configure sets what Settings tells; new versions get a lock of its Mode and Retention from then on. For tests.
func (d *Versioned) Configure(s providers.Settings) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings = s
}

// SetClock sets where the times of new versions come from. For tests.
func (d *Versioned) SetClock(now func() time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = now
}

// SetBy sets who new versions are by. For tests.
func (d *Versioned) SetBy(who string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by = who
}

// Objects returns a copy of what plain reads see. For tests.
func (d *Versioned) Objects() map[string][]byte { return d.plain.Objects() }
