package gcs

import (
	"context"
	"crypto/md5"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"

	"farshore/providers"
)

// listPage is the most names that the store returns for one request.
const listPage = 1000

// contentType keeps the store from guessing one from the sealed bytes.
const contentType = "application/octet-stream"

// Create stores the body under name in one request, unless the name exists: then it fails with kind Exists. The store refuses bytes that
// differ from the CRC32C or the MD5 sent with them; the SHA-256 is not used, since the store checks none.
func (d *Driver) Create(ctx context.Context, name string, body *io.SectionReader, _ [32]byte) (providers.Info, error) {
	// Ending the context is how an upload is given up: closing the writer would store what it has so far.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := d.object(name).If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
	w.ChunkSize = 0 // one request, and no buffer
	w.ContentType = contentType
	var err error
	if w.CRC32C, w.MD5, err = checksums(body); err != nil {
		return providers.Info{}, d.fail("create", name, err)
	}
	w.SendCRC32C = true
	if _, err := io.Copy(w, whole(body)); err != nil {
		cancel()
		// The first error is the cause; Close only waits for the request's end.
		_ = w.Close()
		return providers.Info{}, d.fail("create", name, err)
	}
	if err := w.Close(); err != nil {
		return providers.Info{}, d.fail("create", name, err)
	}
	return providers.Info{Name: name, Size: body.Size(), Modified: w.Attrs().Created}, nil
}

// whole returns a reader of all of the body that leaves the body's own position alone.
func whole(body *io.SectionReader) io.Reader { return io.NewSectionReader(body, 0, body.Size()) }

// checksums reads the body once.
func checksums(body *io.SectionReader) (crc uint32, sum []byte, err error) {
	c, m := crc32.New(crc32.MakeTable(crc32.Castagnoli)), md5.New()
	if _, err := io.Copy(io.MultiWriter(c, m), whole(body)); err != nil {
		return 0, nil, err
	}
	return c.Sum32(), m.Sum(nil), nil
}

// Open reads n bytes from offset off, or to the end where n < 0. What comes is what is stored, never decompressed. A body that ends early
// or does not match the store's CRC32C fails with kind Corrupt when it is read. Where a connection breaks, the client library goes on with the same
// generation of the object from where it was; the context bounds how long.
func (d *Driver) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	return d.open(ctx, d.object(name), name, off, n)
}

// open reads a range of the object, or of the generation that the handle names.
func (d *Driver) open(ctx context.Context, o *storage.ObjectHandle, name string, off, n int64) (io.ReadCloser, error) {
	if n == 0 {
		// The store has no range of no bytes, and the object's existence still has to be known.
		if _, err := o.Attrs(ctx); err != nil {
			return nil, d.fail("open", name, err)
		}
		return empty{}, nil
	}
	// The library can't ask for stored bytes over the JSON interface, which only emulators are read through.
	r, err := o.ReadCompressed(!d.place.isEmulator()).NewRangeReader(ctx, off, n)
	if beyondEnd(err) {
		return empty{}, nil
	}
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return &reader{ctx: ctx, driver: d, name: name, r: r, size: r.Remain()}, nil
}

// beyondEnd reports whether a range was refused because the object ends before it.
func beyondEnd(err error) bool {
	var api *googleapi.Error
	return errors.As(err, &api) && api.Code == http.StatusRequestedRangeNotSatisfiable
}

// reader gives the errors of a body their kind. Nothing comes of it once the context has ended, though it may have arrived.
type reader struct {
	ctx    context.Context
	driver *Driver
	name   string
	r      *storage.Reader
	size   int64
}

// Size is the number of bytes that the store announced (providers.Sized).
func (r *reader) Size() int64 { return r.size }

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, r.driver.fail("read", r.name, err)
	}
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = r.driver.fail("read", r.name, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.r.Close() }

// empty is a range without bytes of an object that exists.
type empty struct{}

func (empty) Size() int64              { return 0 }
func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Close() error             { return nil }

// Stat describes one object.
func (d *Driver) Stat(ctx context.Context, name string) (providers.Info, error) {
	attrs, err := d.object(name).Attrs(ctx)
	if err != nil {
		return providers.Info{}, d.fail("stat", name, err)
	}
	return d.info(attrs), nil
}

// info leaves the vault's prefix out of the name.
func (d *Driver) info(attrs *storage.ObjectAttrs) providers.Info {
	return providers.Info{
		Name:     strings.TrimPrefix(attrs.Name, d.place.prefix),
		Size:     attrs.Size,
		Modified: attrs.Created,
	}
}

// List returns objects in ascending order of bytes. The store lists strongly consistently, and starts at a name, not after it: so the
// page is asked for two objects more than are wanted, one that may be `after` itself and one to know whether more follow.
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	q := &storage.Query{Prefix: d.place.prefix + prefix, Projection: storage.ProjectionNoACL}
	if after != "" {
		q.StartOffset = d.place.prefix + after
	}
	if err := q.SetAttrSelection([]string{"Name", "Size", "Created"}); err != nil {
		return nil, false, d.fail("list", prefix, err)
	}
	it := d.bucket.Objects(ctx, q)
	limit = min(limit, listPage-2)
	it.PageInfo().MaxSize = limit + 2
	for {
		attrs, err := it.Next()
		if err == iterator.Done {
			return page, false, nil
		}
		if err != nil {
			return nil, false, d.fail("list", prefix, err)
		}
		if len(page) == limit {
			return page, true, nil
		}
		if info := d.info(attrs); info.Name > after {
			page = append(page, info)
		}
	}
}
