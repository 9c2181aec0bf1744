package gcstarget_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/option"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/gcstarget"
	"farshore/agent/restore/internal/rig"
)

var quick = gcstarget.Options{Patience: 20 * time.Second, ChunkSize: 256 << 10}

// emulator starts a store in memory with one empty bucket, and returns the bucket. wrap may be nil.
func emulator(tb testing.TB, wrap func(http.RoundTripper) http.RoundTripper) *storage.BucketHandle {
	tb.Helper()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", Writer: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "target"})
	transport := http.RoundTripper(redirect(strings.TrimPrefix(server.URL(), "http://")))
	if wrap != nil {
		transport = wrap(transport)
	}
	client, err := storage.NewClient(context.WithoutCancel(tb.Context()), option.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := client.Close(); err != nil {
			tb.Error(err)
		}
	})
	return client.Bucket("target")
}

// redirect sends every request to a host without encryption, and leaves the name of the host that was meant in it.
type redirect string

func (host redirect) RoundTrip(r *http.Request) (*http.Response, error) {
	meant := r.URL.Host
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = "http", string(host), meant
	return http.DefaultTransport.RoundTrip(r)
}

func run(tb testing.TB, r *rig.Rig, b *storage.BucketHandle, prefix string, o restore.Options) *restore.Summary {
	tb.Helper()
	snap, reader := r.Snapshot()
	s, err := restore.Run(tb.Context(), snap, reader, gcstarget.New(b, prefix, quick), o)
	if err != nil {
		tb.Fatalf("restore: %v", err)
	}
	return s
}

// get reads an object as it is stored; attrs are nil when there is none.
func get(tb testing.TB, b *storage.BucketHandle, name string) (*storage.ObjectAttrs, string) {
	tb.Helper()
	attrs, err := b.Object(name).Attrs(tb.Context())
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, ""
	}
	if err != nil {
		tb.Fatal(err)
	}
	r, err := b.Object(name).ReadCompressed(true).NewReader(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return attrs, string(content)
}

func put(tb testing.TB, b *storage.BucketHandle, name, content string, change func(w *storage.Writer)) {
	tb.Helper()
	w := b.Object(name).NewWriter(tb.Context())
	if change != nil {
		change(w)
	}
	_, err := io.WriteString(w, content)
	if err := errors.Join(err, w.Close()); err != nil {
		tb.Fatal(err)
	}
}

func TestMetadataComesBack(t *testing.T) {
	b := emulator(t, nil)
	r := rig.New(t)
	r.Put("empty", nil)
	r.Put("all//of it", []byte("content"), record.Attrs{
		"h:content-type": "text/plain; charset=utf-8", "h:cache-control": "max-age=60", "h:content-disposition": `attachment; filename="a"`,
		"h:content-encoding": "aws-chunked,gzip", "h:content-language": "de", "m:one": "1", "m:two-words": "a, b",
	})
	r.Put("lossy", []byte("content"), record.Attrs{"t:tag": "1", "h:expires": "never", "class": "GLACIER", "m:raw": "\xff", "h:x-amz-object-lock-mode": "GOVERNANCE"})
	r.Put("large", rig.Noise(1, 1<<20))
	r.Put("exactly a chunk", rig.Noise(2, 256<<10))
	r.Put("exactly four", rig.Noise(3, 1<<20))
	r.Put("line\nbreak", []byte("x"))
	r.Put("\xff", []byte("x"))
	r.Replicate()
	s := run(t, r, b, "back/", restore.Options{})
	if s.Restored.Items != 6 || s.Failed.Items != 2 {
		t.Errorf("%+v", s)
	}
	want := map[string]int64{"tags": 1, "expires": 1, "storage class": 1, "metadata that is not UTF-8": 1, "object lock": 1}
	if !maps.Equal(s.NotPutBack, want) {
		t.Errorf("not put back: %v, want %v", s.NotPutBack, want)
	}
	for path, it := range r.Items {
		if path == "line\nbreak" || path == "\xff" {
			continue
		}
		if attrs, content := get(t, b, "back/"+path); attrs == nil || content != string(it.Content) {
			t.Errorf("%q is missing or wrong: %d bytes", path, len(content))
		}
	}
	attrs, _ := get(t, b, "back/all//of it")
	if attrs.ContentType != "text/plain; charset=utf-8" || attrs.CacheControl != "max-age=60" || attrs.ContentDisposition != `attachment; filename="a"` ||
		attrs.ContentEncoding != "gzip" || attrs.ContentLanguage != "de" || !maps.Equal(attrs.Metadata, map[string]string{"one": "1", "two-words": "a, b"}) {
		t.Errorf("%+v", attrs)
	}
	again := run(t, r, b, "back/", restore.Options{})
	if again.Equal.Items != 6 || again.Restored.Items != 0 {
		t.Errorf("again: %+v", again)
	}
}

func TestDiffersIsLeftAloneUnlessAskedFor(t *testing.T) {
	b := emulator(t, nil)
	r := rig.New(t)
	for _, key := range []string{"equal", "size", "content", "type", "meta", "absent"} {
		r.Put(key, []byte("content of "+key), record.Attrs{"h:content-type": "text/plain", "m:k": "v"})
	}
	r.Replicate()
	like := func(contentType, meta string) func(w *storage.Writer) {
		return func(w *storage.Writer) { w.ContentType, w.Metadata = contentType, map[string]string{"k": meta} }
	}
	put(t, b, "equal", "content of equal", like("text/plain", "v"))
	put(t, b, "size", "other", like("text/plain", "v"))
	put(t, b, "content", "CONTENT of content", like("text/plain", "v"))
	put(t, b, "type", "content of type", like("text/html", "v"))
	put(t, b, "meta", "content of meta", like("text/plain", "w"))
	s := run(t, r, b, "", restore.Options{})
	if s.Differs.Items != 4 || s.Equal.Items != 1 || s.Restored.Items != 1 {
		t.Errorf("left alone: %+v", s)
	}
	if _, content := get(t, b, "content"); content != "CONTENT of content" {
		t.Errorf("it was replaced by %q", content)
	}
	if s := run(t, r, b, "", restore.Options{Overwrite: true}); s.Overwritten.Items != 4 || s.Equal.Items != 2 {
		t.Errorf("overwritten: %+v", s)
	}
	if s := run(t, r, b, "", restore.Options{}); s.Equal.Items != 6 {
		t.Errorf("afterwards: %+v", s)
	}
}

func TestNothingIsVisibleUnlessTheBodyIsWhole(t *testing.T) {
	b := emulator(t, nil)
	target := gcstarget.New(b, "", quick)
	broken := errors.New("the SHA-256 is wrong")
	for key, size := range map[string]int{"small": 1000, "chunk": 256 << 10, "chunks": 1 << 20, "chunks and more": 1<<20 + 17} {
		content := rig.Noise(1, size)
		it := &restore.Item{Path: key, Size: int64(size), SHA256: sha256.Sum256(content)}
		body := func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(content))
			return err
		}
		_, err := target.Write(t.Context(), it, false, func(w io.Writer) error { return errors.Join(body(w), broken) })
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", key, err)
		}
		if attrs, _ := get(t, b, key); attrs != nil {
			t.Errorf("%s: the object is there, with %d bytes", key, attrs.Size)
		}
		if _, err := target.Write(t.Context(), it, false, body); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := target.Write(t.Context(), it, false, body); !errors.Is(err, restore.ErrExists) {
			t.Errorf("%s, once more: %v", key, err)
		}
		if _, got := get(t, b, key); got != string(content) {
			t.Errorf("%s: %d bytes", key, len(got))
		}
	}
}

// failing fails each request once, before or after the store has it.
type failing struct {
	next http.RoundTripper
	lose bool
	mu   sync.Mutex
	seen map[string]bool
}

func (f *failing) RoundTrip(req *http.Request) (*http.Response, error) {
	what := req.Method + " " + req.URL.String() + req.Header.Get("Content-Range")
	f.mu.Lock()
	fail := !f.seen[what]
	f.seen[what] = true
	f.mu.Unlock()
	if !fail {
		return f.next.RoundTrip(req)
	}
	if f.lose {
		if resp, err := f.next.RoundTrip(req); err == nil {
			_ = resp.Body.Close() // nobody hears the answer
		}
	}
	return &http.Response{StatusCode: 503, Status: "503 Service Unavailable", Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}, Request: req}, nil
}

func TestFailedRequestsAreRepeated(t *testing.T) {
	for name, lose := range map[string]bool{"never arrived": false, "answer lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := emulator(t, func(next http.RoundTripper) http.RoundTripper {
				return &failing{next: next, lose: lose, seen: map[string]bool{}}
			})
			r := rig.New(t)
			r.Put("small", []byte("content"))
			if !lose { // the emulator appends a chunk that is sent again, where the store looks at its offset
				r.Put("large", rig.Noise(1, 600<<10))
			}
			r.Replicate()
			s := run(t, r, b, "", restore.Options{})
			if s.Restored.Items+s.Equal.Items != int64(len(r.Items)) {
				t.Errorf("%+v", s)
			}
			for path, it := range r.Items {
				if _, content := get(t, b, path); content != string(it.Content) {
					t.Errorf("%q is wrong", path)
				}
			}
		})
	}
}

func TestMissingBucketStopsTheRun(t *testing.T) {
	b := emulator(t, nil)
	if err := b.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := rig.New(t)
	r.Put("a", []byte("content"))
	r.Replicate()
	snap, reader := r.Snapshot()
	if s, err := restore.Run(t.Context(), snap, reader, gcstarget.New(b, "", quick), restore.Options{}); err == nil {
		t.Errorf("%+v", s)
	}
}
