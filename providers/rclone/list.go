package rclone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/accounting"

	"farshore/providers"
)

// pageAge is how long the rest of a directory may serve the next page. It bounds how late a page can miss what another process added.
const pageAge = 10 * time.Second

// List returns objects in ascending order of bytes. rclone lists directories: List walks those that can hold names of the page, one at a
// time, so memory is bounded by the largest directory.
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	w := &walk{driver: d, ctx: d.context(ctx), prefix: prefix, after: after, limit: limit}
	if err := w.dir(prefix[:strings.LastIndexByte(prefix, '/')+1]); err != nil {
		return nil, false, fail("list", prefix, err)
	}
	return w.page, w.more, nil
}

// walk collects one page.
type walk struct {
	driver        *Driver
	ctx           context.Context
	prefix, after string
	limit         int
	page          []providers.Info
	more          bool
}

// dir adds the objects below dir, which is empty or ends with a slash.
func (w *walk) dir(dir string) error {
	entries, written, err := w.driver.entries(w.ctx, dir, w.after)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if !w.wants(e.name) {
			continue
		}
		if len(w.page) == w.limit {
			w.more = true
			if len(entries) > w.limit {
				w.driver.pages.keep(dir, w.page[w.limit-1].Name, entries[i:], written)
			}
			return nil
		}
		if !e.isDir() {
			w.page = append(w.page, providers.Info{Name: e.name, Size: e.size, Modified: e.modified})
			continue
		}
		if err := w.dir(e.name); err != nil || w.more {
			return err
		}
	}
	return nil
}

// wants reports whether the entry belongs to the page, or is a directory that can hold names that do.
func (w *walk) wants(name string) bool {
	if !strings.HasSuffix(name, "/") {
		return strings.HasPrefix(name, w.prefix) && name > w.after
	}
	if !strings.HasPrefix(name, w.prefix) && !strings.HasPrefix(w.prefix, name) {
		return false
	}
	return name > w.after || strings.HasPrefix(w.after, name)
}

// entry is an object, or a directory, whose name ends with a slash: so that entries sort as the names below them do.
type entry struct {
	name     string
	size     int64
	modified time.Time
}

func (e entry) isDir() bool { return strings.HasSuffix(e.name, "/") }

// entries returns the directory in order, from the page cache where that holds the rest of it from after on. written is what
// pages.keep wants to know.
func (d *Driver) entries(ctx context.Context, dir, after string) (entries []entry, written uint64, err error) {
	if entries, written, ok := d.pages.take(dir, after); ok {
		return entries, written, nil
	}
	written = d.pages.state()
	entries, err = d.readDir(ctx, dir)
	return entries, written, err
}

// readDir lists one directory, which is empty or ends with a slash. A missing directory is empty; a missing bucket is not.
func (d *Driver) readDir(ctx context.Context, dir string) ([]entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	before := accounting.Stats(ctx).GetErrors()
	list, err := d.fs.List(ctx, strings.TrimSuffix(dir, "/"))
	switch {
	case errors.Is(err, fs.ErrorDirNotFound) && d.fs.Features().BucketBased:
		return nil, fmt.Errorf("the bucket or container of %s does not exist: create it, or correct the path: %w", d.place, err)
	case errors.Is(err, fs.ErrorDirNotFound):
		return nil, nil
	case err != nil && d.isObject(ctx, dir):
		return nil, nil // nothing lies below an object; each backend has its own error for that
	case err != nil:
		return nil, err
	}
	// Some backends count what they could not read and return the rest as if it were all.
	if stats := accounting.Stats(ctx); stats.GetErrors() > before {
		return nil, fmt.Errorf("directory %q of %s was not listed to its end: %w", dir, d.place, stats.GetLastError())
	}
	return d.sorted(ctx, dir, list), nil
}

// isObject reports whether the name of a directory is known to be an object's.
func (d *Driver) isObject(ctx context.Context, dir string) bool {
	if dir == "" {
		return false
	}
	_, err := d.fs.NewObject(ctx, strings.TrimSuffix(dir, "/"))
	return err == nil
}

// sorted keeps what a vault needs of a listing of dir, in order. The staging directory is left out, and so is what whoever may create can put there to keep others from
// listing: keys with an empty segment, which rclone lists as directories that lead back to themselves, objects with a directory's name, and a second key
// that rclone reads as the same name. No vault has such names.
func (d *Driver) sorted(ctx context.Context, dir string, list fs.DirEntries) []entry {
	entries := make([]entry, 0, len(list))
	for _, item := range list {
		segment, ok := strings.CutPrefix(item.Remote(), dir)
		if !ok || segment == "" || segment == "." || segment == ".." || strings.Contains(segment, "/") {
			continue
		}
		switch item := item.(type) {
		case fs.Directory:
			if name := item.Remote() + "/"; name != staging+"/" {
				entries = append(entries, entry{name: name})
			}
		case fs.Object:
			entries = append(entries, entry{name: item.Remote(), size: item.Size(), modified: d.modified(ctx, item)})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.name == b.name })
}

// pageCache keeps the rest of the directory at which the last page ended, so that the pages of one large directory do not list
// it again and again. It serves only the very next page of the same listing, once, for a short time, and never after this driver created
// an object. The zero value is ready; it may be used concurrently.
type pageCache struct {
	mu      sync.Mutex
	dir     string
	after   string
	rest    []entry
	kept    time.Time
	written uint64 // counts creates
}

// state returns a number that changes with each create.
func (c *pageCache) state() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// keep remembers the rest of dir behind the name after, unless an object was created since state returned written.
func (c *pageCache) keep(dir, after string, rest []entry, written uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written == written {
		c.dir, c.after, c.rest, c.kept = dir, after, rest, time.Now()
	}
}

// take returns and forgets the rest of dir behind the name after.
func (c *pageCache) take(dir, after string) (rest []entry, written uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rest == nil || c.dir != dir || c.after != after || time.Since(c.kept) > pageAge {
		return nil, 0, false
	}
	rest, c.rest = c.rest, nil
	return rest, c.written, true
}

// forget drops what is kept, because an object may have been added.
func (c *pageCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written++
	c.rest = nil
}
