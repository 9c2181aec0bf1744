package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"farshore/providers"
)

var errNotRegular = errors.New("it is not a regular file: a vault's objects are never links, devices or pipes")

// Stat describes one object.
func (d *Driver) Stat(ctx context.Context, name string) (providers.Info, error) {
	info, err := d.lstat(ctx, "stat", name)
	if err != nil {
		return providers.Info{}, err
	}
	return providers.Info{Name: name, Size: info.Size(), Modified: info.ModTime().UTC()}, nil
}

// lstat describes a regular file. A directory is NotFound: no object has its name.
func (d *Driver) lstat(ctx context.Context, op, name string) (fs.FileInfo, error) {
	if err := check(op, name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(op, name, err)
	}
	info, err := d.root.Lstat(name)
	switch {
	case err != nil:
		return nil, fail(op, name, err)
	case info.IsDir():
		return nil, &providers.Error{Kind: providers.NotFound, Op: op, Name: name}
	case !info.Mode().IsRegular():
		return nil, &providers.Error{Kind: providers.Unsupported, Op: op, Name: name, Err: errNotRegular}
	}
	return info, nil
}

// Open reads a range of the object.
func (d *Driver) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	before, err := d.lstat(ctx, "open", name)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fail("open", name, err)
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(before, info) {
		err = errNotRegular
	}
	if err != nil {
		return nil, fail("open", name, errors.Join(err, f.Close()))
	}
	left := max(0, info.Size()-off)
	if n >= 0 {
		left = min(left, n)
	}
	return &body{f: f, r: io.NewSectionReader(f, off, left), ctx: ctx, name: name}, nil
}

// body reads a range of an open file. Size is the range's length (providers.Sized).
type body struct {
	f    *os.File
	r    *io.SectionReader
	ctx  context.Context
	name string
}

func (b *body) Size() int64 { return b.r.Size() }

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, fail("read", b.name, err)
	}
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = fail("read", b.name, err)
	}
	return n, err
}

func (b *body) Close() error { return b.f.Close() }

// List returns one page of names. It keeps the entries of the directories on the way to one name in memory, never those of the whole tree.
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	if err := providers.CheckPrefix("list", prefix); err != nil {
		return nil, false, err
	}
	l := &listing{d: d, ctx: ctx, prefix: prefix, after: after, limit: limit}
	if err := l.walk(""); err != nil {
		return nil, false, fail("list", prefix, err)
	}
	return l.page, l.more, nil
}

// listing collects one page.
type listing struct {
	d             *Driver
	ctx           context.Context
	prefix, after string
	limit         int
	page          []providers.Info
	more          bool
}

// walk visits the directory, whose name is empty or ends with a slash, until the page is full.
func (l *listing) walk(dir string) error {
	entries, err := l.entries(dir)
	if err != nil {
		return err
	}
	for _, name := range entries {
		if strings.HasSuffix(name, "/") {
			err = l.walk(name)
		} else {
			err = l.add(name)
		}
		if err != nil || l.more {
			return err
		}
	}
	return nil
}

// entries returns the full names of what may matter in the directory, as contentsOf gives them.
func (l *listing) entries(dir string) ([]string, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, err
	}
	all, err := l.d.contentsOf(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if strings.HasSuffix(name, "/") && l.reaches(name) || !strings.HasSuffix(name, "/") && l.wants(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// reaches reports whether a name below the directory can be wanted.
func (l *listing) reaches(dir string) bool {
	return (strings.HasPrefix(dir, l.prefix) || strings.HasPrefix(l.prefix, dir)) && (dir > l.after || strings.HasPrefix(l.after, dir))
}

func (l *listing) wants(name string) bool {
	return strings.HasPrefix(name, l.prefix) && name > l.after
}

// add puts the object on the page, or notes that there is no room for it.
func (l *listing) add(name string) error {
	if len(l.page) == l.limit {
		l.more = true
		return nil
	}
	info, err := l.d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since the directory was read
	}
	if err == nil {
		l.page = append(l.page, providers.Info{Name: name, Size: info.Size(), Modified: info.ModTime().UTC()})
	}
	return err
}
