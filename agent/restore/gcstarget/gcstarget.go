// Package gcstarget restores items to a bucket of Google Cloud Storage, with their metadata as far as that store knows it.
//
// An object appears at once and only when its content was verified, and its CRC32C is compared by the store or, after the upload, here. Nothing is replaced
// without leave: uploads demand that there is no object yet. Put back are content, content type, cache control, content disposition, encoding
// and language, and user metadata as custom metadata. This store has no place for tags, expiry headers, website redirects and the other clouds' storage classes;
// object locks and encryption are the bucket's own matter. No metadata of farshore's own is added. The package never deletes.
package gcstarget

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/internal/memory"
)

// Options change how a bucket is restored to. The zero value is the default.
type Options struct {
	// Memory is how many bytes of objects wait in buffers, for all uploads together. Default 64 MiB.
	Memory int64
	// ChunkSize is the size in bytes of the pieces in which larger objects are sent; each waits in a buffer until the store has it. Default 8 MiB, which is
	// also the largest object that is sent at once. It is a multiple of 256 KiB.
	ChunkSize int64
	// Patience is how long a request is tried again. Default 2 minutes.
	Patience time.Duration
}

// Target is a bucket. Its methods may be called concurrently.
type Target struct {
	bucket *storage.BucketHandle
	prefix string
	o      Options
	memory *memory.Budget
}

var _ restore.Target = (*Target)(nil)

// New returns the bucket as a target: the item with path p becomes the object prefix+p. It makes no request.
func New(bucket *storage.BucketHandle, prefix string, o Options) *Target {
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.ChunkSize <= 0 {
		o.ChunkSize = 8 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 2 * time.Minute
	}
	return &Target{bucket: bucket, prefix: prefix, o: o, memory: memory.New(o.Memory)}
}

// Flush does nothing: what the store acknowledged is durable.
func (t *Target) Flush(context.Context) error { return nil }

// object returns the item's object, or why there can't be one (cloud.google.com/storage/docs/objects#naming).
func (t *Target) object(it *restore.Item) (*storage.ObjectHandle, error) {
	name := t.prefix + it.Path
	why := ""
	switch {
	case !utf8.ValidString(name):
		why = "it is not UTF-8"
	case len(name) > 1024:
		why = "it has more than 1,024 bytes"
	case strings.ContainsAny(name, "\r\n"):
		why = "it has a line break"
	case name == "." || name == ".." || strings.HasPrefix(name, ".well-known/acme-challenge/"):
		why = "the name is reserved"
	default:
		return t.bucket.Object(name).Retryer(storage.WithPolicy(storage.RetryAlways)), nil
	}
	return nil, &restore.ItemError{Err: fmt.Errorf("the store can't hold an object %q: %s", name, why)}
}

// Look compares the object that has the item's name with the item: content first, then metadata.
func (t *Target) Look(ctx context.Context, it *restore.Item) (restore.Found, error) {
	o, err := t.object(it)
	if err != nil {
		return restore.Found{}, err
	}
	limited, cancel := context.WithTimeout(ctx, t.o.Patience)
	defer cancel()
	attrs, err := o.Attrs(limited)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return restore.Found{}, nil
	}
	if err != nil {
		return restore.Found{}, t.failure(ctx, "look at", it, err)
	}
	why, err := t.differs(ctx, o, it, attrs)
	if err != nil {
		return restore.Found{}, err
	}
	if why != "" {
		return restore.Found{State: restore.Differs, Why: why}, nil
	}
	return restore.Found{State: restore.Equal}, nil
}

// differs says what is not equal; empty when all is. Where an MD5 can't prove that the contents are equal, the object is read: a CRC32C that is the same
// is no proof against whoever alters an object.
func (t *Target) differs(ctx context.Context, o *storage.ObjectHandle, it *restore.Item, a *storage.ObjectAttrs) (string, error) {
	if a.Size != it.Size {
		return fmt.Sprintf("it has %d bytes, not %d", a.Size, it.Size), nil
	}
	mine := md5Of(it.Attrs)
	switch {
	case mine != "" && len(a.MD5) > 0 && mine != hex.EncodeToString(a.MD5):
		return "its content differs", nil
	case mine == "" || len(a.MD5) == 0:
		sum, err := t.hash(ctx, o.Generation(a.Generation), it, strings.EqualFold(a.ContentEncoding, "gzip"))
		if err != nil {
			return "", err
		}
		if sum != it.SHA256 {
			return "its content differs", nil
		}
	}
	return metadataOf(it.Attrs).differs(a), nil
}

var md5ETag = regexp.MustCompile(`^[0-9a-f]{32}$`)

// md5Of returns the MD5 that an item's ETag is, empty when it is none.
func md5Of(a record.Attrs) string {
	etag := strings.ToLower(strings.Trim(a["etag"], `"`))
	sse := a["h:x-amz-server-side-encryption"]
	if !md5ETag.MatchString(etag) || sse != "" && sse != "AES256" {
		return ""
	}
	return etag
}

// hash reads one generation of the object. The client library resumes a broken read, and unpacks gzip unless told not to; it can't be told where it
// reads over the JSON interface, which only emulators ask for.
func (t *Target) hash(ctx context.Context, o *storage.ObjectHandle, it *restore.Item, gzip bool) (sum record.Hash, err error) {
	limited, cancel := context.WithTimeout(ctx, t.patience(it.Size))
	defer cancel()
	r, err := o.ReadCompressed(gzip).NewReader(limited) // as it is stored
	if err != nil {
		return sum, t.failure(ctx, "compare", it, err)
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return sum, t.failure(ctx, "compare", it, err)
	}
	return record.Hash(h.Sum(nil)), nil
}

// slowest is how many bytes a second must move at least, beyond the patience.
const slowest = 64 << 10

func (t *Target) patience(bytes int64) time.Duration {
	return t.o.Patience + time.Duration(bytes/slowest)*time.Second
}

// Write uploads the object.
func (t *Target) Write(ctx context.Context, it *restore.Item, overwrite bool, body restore.Body) (restore.Written, error) {
	o, err := t.object(it)
	if err != nil {
		return restore.Written{}, err
	}
	if !overwrite {
		o = o.If(storage.Conditions{DoesNotExist: true})
	}
	m := metadataOf(it.Attrs)
	if it.Size <= t.o.ChunkSize {
		err = t.small(ctx, o, it, m, body)
	} else {
		err = t.large(ctx, o, it, m, body)
	}
	return restore.Written{NotPutBack: m.lost}, err
}

// small puts the object together before it is sent, so that the store can compare the CRC32C and a failed request is sent again.
func (t *Target) small(ctx context.Context, o *storage.ObjectHandle, it *restore.Item, m *metadata, body restore.Body) error {
	buf, release, err := t.memory.Get(ctx, it.Size)
	if err != nil {
		return err
	}
	defer release()
	whole := bytes.NewBuffer(buf)
	if err := body(whole); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, t.patience(it.Size))
	defer cancel()
	w := o.NewWriter(limited)
	m.set(w)
	w.ChunkSize = int(t.o.ChunkSize)
	if it.Size < t.o.ChunkSize { // the library's own buffer is no larger than needed
		w.ChunkSize = max(int(it.Size), 1)
	}
	w.SendCRC32C, w.CRC32C = true, crc32.Checksum(whole.Bytes(), castagnoli)
	_, err = w.Write(whole.Bytes())
	return t.failure(ctx, "write", it, errors.Join(err, w.Close()))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// large sends the body in chunks while it is read from the vault. The last chunk waits for Close, which waits for the body to be verified.
func (t *Target) large(ctx context.Context, o *storage.ObjectHandle, it *restore.Item, m *metadata, body restore.Body) error {
	_, release, err := t.memory.Get(ctx, t.o.ChunkSize) // the library's buffer, in its stead
	if err != nil {
		return err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, t.patience(it.Size))
	defer cancel() // without Close before it, this abandons the upload
	w := o.NewWriter(limited)
	m.set(w)
	w.ChunkSize, w.ChunkRetryDeadline = int(t.o.ChunkSize), t.o.Patience
	w.CRC32C, w.SendCRC32C = crc32cOf(it.Attrs) // where it is not known, the library sends its own with the last chunk
	sum := crc32.New(castagnoli)
	if err := body(io.MultiWriter(w, sum)); err != nil {
		cancel()
		_ = w.Close() // it waits for the upload's goroutine; how a cancelled upload ends says nothing
		return t.failure(ctx, "write", it, err)
	}
	if err := w.Close(); err != nil {
		return t.unfinished(ctx, it, err)
	}
	if w.Attrs().CRC32C != sum.Sum32() {
		return fmt.Errorf("write %q: the store has other bytes than were sent (CRC32C %08x, not %08x): overwrite the object", t.prefix+it.Path, w.Attrs().CRC32C, sum.Sum32())
	}
	return nil
}

// unfinished judges how an upload in chunks ended. A store that does not know the upload any more may have finished it, in an answer that was
// lost: then a look at the object tells.
func (t *Target) unfinished(ctx context.Context, it *restore.Item, err error) error {
	var api *googleapi.Error
	if errors.As(err, &api) && (api.Code == http.StatusNotFound || api.Code == http.StatusGone) {
		limited, cancel := context.WithTimeout(ctx, t.o.Patience)
		defer cancel()
		if plain, err := t.object(it); err == nil && exists(limited, plain) {
			return restore.ErrExists
		}
	}
	return t.failure(ctx, "write", it, err)
}

func exists(ctx context.Context, o *storage.ObjectHandle) bool {
	_, err := o.Attrs(ctx)
	return err == nil
}

// failure says in one line what failed, and whether it is about one item.
func (t *Target) failure(ctx context.Context, what string, it *restore.Item, err error) error {
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	var api *googleapi.Error
	if !errors.As(err, &api) {
		return fmt.Errorf("%s %q: %w", what, t.prefix+it.Path, err)
	}
	text := fmt.Errorf("%s %q: %s (HTTP %d)", what, t.prefix+it.Path, strings.TrimSpace(api.Message), api.Code)
	switch {
	case api.Code == http.StatusPreconditionFailed && what == "write":
		return restore.ErrExists
	case api.Code == http.StatusForbidden || api.Code == http.StatusUnauthorized:
		return fmt.Errorf("%w: the credential needs roles/storage.objectCreator and roles/storage.objectViewer on the bucket, and storage.objects.delete to overwrite", text)
	case api.Code == http.StatusNotFound && what == "write":
		return fmt.Errorf("%w: create the bucket, or correct the address", text)
	case api.Code >= 400 && api.Code < 500 && api.Code != http.StatusTooManyRequests && api.Code != http.StatusRequestTimeout:
		return &restore.ItemError{Err: text}
	}
	return text
}
