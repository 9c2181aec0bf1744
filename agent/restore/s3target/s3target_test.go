package s3target_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/internal/rig"
	"farshore/agent/restore/s3target"
	"farshore/agent/source/bucket"
	"farshore/providers/servers"
)

var quick = s3target.Options{Pause: time.Millisecond}

// place is a bucket of a running server.
type place struct {
	servers.S3
	client *s3.Client
	bucket string
}

func newPlace(tb testing.TB, s servers.S3, options ...func(*s3.CreateBucketInput)) place {
	tb.Helper()
	return place{s, s.Client(tb), s.Bucket(tb, options...)}
}

// TestOnEachServer runs what every server must stand.
func TestOnEachServer(t *testing.T) {
	tests := map[string]func(t *testing.T, name string, s servers.S3){
		"metadata round trip": metadataRoundTrip, "differs": differsIsLeftAlone, "whole or nothing": nothingIsVisibleUnlessTheBodyIsWhole,
		"nothing replaced": nothingIsReplacedWithoutLeave, "deleted versions": deletedVersionsComeBack, "refused keys": keysThatAStoreRefuses,
	}
	for name, start := range map[string]func(testing.TB) servers.S3{"fake": servers.Fake, "versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for what, test := range tests {
				t.Run(what, func(t *testing.T) { test(t, name, s) })
			}
		})
	}
}

func (p place) put(tb testing.TB, key string, content []byte, changes ...func(*s3.PutObjectInput)) {
	tb.Helper()
	in := &s3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: bytes.NewReader(content)}
	for _, change := range changes {
		change(in)
	}
	if _, err := p.client.PutObject(tb.Context(), in); err != nil {
		tb.Fatalf("put %q: %v", key, err)
	}
}

// parts puts an object as a multipart upload.
func (p place) parts(tb testing.TB, key string, content []byte, size int) {
	tb.Helper()
	up, err := p.client.CreateMultipartUpload(tb.Context(), &s3.CreateMultipartUploadInput{Bucket: &p.bucket, Key: &key})
	if err != nil {
		tb.Fatal(err)
	}
	var done []types.CompletedPart
	for n := int32(1); len(content) > 0; n++ {
		m := min(size, len(content))
		out, err := p.client.UploadPart(tb.Context(), &s3.UploadPartInput{
			Bucket: &p.bucket, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(n), Body: bytes.NewReader(content[:m]),
		})
		if err != nil {
			tb.Fatal(err)
		}
		done = append(done, types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(n)})
		content = content[m:]
	}
	_, err = p.client.CompleteMultipartUpload(tb.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &p.bucket, Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// object is all that a store gives of an object.
type object struct {
	content string
	header  http.Header
	tags    map[string]string
}

// get reads an object; nil when there is none.
func (p place) get(tb testing.TB, key string) *object {
	tb.Helper()
	out, err := p.client.GetObject(tb.Context(), &s3.GetObjectInput{Bucket: &p.bucket, Key: &key})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		tb.Fatalf("get %q: %v", key, err)
	}
	b, err := io.ReadAll(out.Body)
	if err != nil {
		tb.Fatal(err)
	}
	o := &object{content: string(b), tags: map[string]string{}}
	if r, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok {
		o.header = r.Header
	}
	tags, err := p.client.GetObjectTagging(tb.Context(), &s3.GetObjectTaggingInput{Bucket: &p.bucket, Key: &key})
	if err == nil {
		for _, tag := range tags.TagSet {
			o.tags[*tag.Key] = *tag.Value
		}
	}
	return o
}

// compared are the headers that a restore brings back.
func compared(h http.Header) map[string]string {
	out := map[string]string{}
	for name := range h {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-meta-") || slices.Contains([]string{"content-type", "cache-control", "content-disposition",
			"content-encoding", "content-language", "expires", "x-amz-website-redirect-location", "etag", "x-amz-tagging-count", "x-amz-storage-class"}, lower) {
			out[lower] = h.Get(name)
		}
	}
	return out
}

func (p place) restore(tb testing.TB, r *rig.Rig, prefix string, so s3target.Options, o restore.Options) *restore.Summary {
	tb.Helper()
	snap, reader := r.Snapshot()
	s, err := restore.Run(tb.Context(), snap, reader, s3target.New(p.client, p.bucket, prefix, so), o)
	if err != nil {
		tb.Fatalf("restore: %v", err)
	}
	return s
}

func item(path string, content []byte) (*restore.Item, restore.Body) {
	it := &restore.Item{Path: path, Size: int64(len(content)), SHA256: sha256.Sum256(content), Attrs: record.Attrs{}}
	return it, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

func metadataRoundTrip(t *testing.T, name string, s servers.S3) {
	from, to := newPlace(t, s), newPlace(t, s)
	from.put(t, "plain", []byte("plain"))
	from.put(t, "empty", nil)
	from.put(t, "folder/all", []byte("all of it"), func(in *s3.PutObjectInput) {
		in.ContentType, in.CacheControl = aws.String("text/plain; charset=utf-8"), aws.String("max-age=60, public")
		in.ContentDisposition, in.ContentLanguage = aws.String(`attachment; filename="a b.txt"`), aws.String("de, en")
		in.ContentEncoding = aws.String("br")
		in.Expires = aws.Time(time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC))
		in.Metadata = map[string]string{"one": "1", "two-words": "a, b; c", "encoded": "=?UTF-8?B?w6k=?="}
	})
	from.put(t, "tagged", []byte("tagged"), func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=1&b%20c=%2Fx%3D%2B") })
	from.put(t, "gzip", []byte("\x1f\x8b\x08 not really"), func(in *s3.PutObjectInput) { in.ContentEncoding = aws.String("gzip") })
	from.put(t, "streamed", rig.Noise(1, 9<<20))
	from.parts(t, "parts", rig.Noise(2, 11<<20), 5<<20)
	from.parts(t, "one part", rig.Noise(3, 1000), 5<<20)
	keys := []string{"plain", "empty", "folder/all", "tagged", "gzip", "streamed", "parts", "one part"}

	src, err := bucket.New(bucket.Options{Client: from.client, Bucket: from.bucket, Name: "test", Place: from.URL(from.bucket, "")})
	if err != nil {
		t.Fatal(err)
	}
	r := rig.New(t)
	r.ReplicateFrom(src)
	sum := to.restore(t, r, "back/", quick, restore.Options{})
	if sum.Restored.Items != int64(len(keys)) || sum.Incomplete() || len(sum.NotPutBack) != 0 {
		t.Errorf("summary: %+v", sum)
	}
	for _, key := range keys {
		was, is := from.get(t, key), to.get(t, "back/"+key)
		if is == nil {
			t.Errorf("%q is missing", key)
			continue
		}
		if is.content != was.content {
			t.Errorf("%q: content differs", key)
		}
		if got, want := compared(is.header), compared(was.header); !maps.Equal(got, want) {
			t.Errorf("%q: headers\n%v\nwant\n%v", key, got, want)
		}
		if !maps.Equal(is.tags, was.tags) {
			t.Errorf("%q: tags %v, want %v", key, is.tags, was.tags)
		}
	}
	again := to.restore(t, r, "back/", quick, restore.Options{})
	if again.Equal.Items != int64(len(keys)) || again.Restored.Items != 0 {
		t.Errorf("again: %+v", again)
	}
}

func differsIsLeftAlone(t *testing.T, name string, s servers.S3) {
	p := newPlace(t, s)
	r := rig.New(t)
	for _, key := range []string{"equal", "size", "content", "type", "meta", "absent"} {
		r.Put(key, []byte("content of "+key), record.Attrs{"h:content-type": "text/plain", "m:k": "v"})
	}
	r.Replicate()
	like := func(contentType, meta string) func(*s3.PutObjectInput) {
		return func(in *s3.PutObjectInput) {
			in.ContentType, in.Metadata = &contentType, map[string]string{"k": meta}
		}
	}
	p.put(t, "equal", []byte("content of equal"), like("text/plain", "v")) // its ETag is not the record's: it is read
	p.put(t, "size", []byte("other"), like("text/plain", "v"))
	p.put(t, "content", []byte("CONTENT of content"), like("text/plain", "v"))
	p.put(t, "type", []byte("content of type"), like("text/html", "v"))
	p.put(t, "meta", []byte("content of meta"), like("text/plain", "w"))
	sum := p.restore(t, r, "", quick, restore.Options{})
	if sum.Differs.Items != 4 || sum.Equal.Items != 1 || sum.Restored.Items != 1 || !sum.Incomplete() {
		t.Errorf("left alone: %+v", sum)
	}
	for _, n := range sum.Differs.Named {
		if n.Why == "" {
			t.Errorf("%q: does not say what differs", n.Path)
		}
	}
	if got := p.get(t, "content").content; got != "CONTENT of content" {
		t.Errorf("it was replaced by %q", got)
	}
	sum = p.restore(t, r, "", quick, restore.Options{Overwrite: true})
	if sum.Overwritten.Items != 4 || sum.Equal.Items != 2 {
		t.Errorf("overwritten: %+v", sum)
	}
	sum = p.restore(t, r, "", quick, restore.Options{})
	if sum.Equal.Items != 6 {
		t.Errorf("afterwards: %+v", sum)
	}
}

// sizes are one for each way in which objects are sent.
var sizes = map[string]int{"at once": 1000, "streamed": 2 << 20, "in parts": 6 << 20}

// small sends objects of those sizes so.
var small = s3target.Options{Pause: time.Millisecond, Memory: 1 << 20, SinglePut: 3 << 20, PartSize: 5 << 20}

func nothingIsVisibleUnlessTheBodyIsWhole(t *testing.T, name string, s servers.S3) {
	p := newPlace(t, s)
	target := s3target.New(p.client, p.bucket, "", small)
	broken := errors.New("the SHA-256 is wrong")
	for key, size := range sizes {
		it, body := item(key, rig.Noise(1, size))
		_, err := target.Write(t.Context(), it, false, func(w io.Writer) error {
			return errors.Join(body(w), broken) // all bytes, and then the failure
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", key, err)
		}
		if p.get(t, key) != nil {
			t.Errorf("%s: the object is there", key)
		}
		w, err := target.Write(t.Context(), it, false, body)
		if err != nil || p.get(t, key) == nil {
			t.Errorf("%s: afterwards %+v, %v", key, w, err)
		}
	}
	uploads, err := p.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &p.bucket})
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("uploads remain: %+v, %v", uploads, err)
	}
}

func nothingIsReplacedWithoutLeave(t *testing.T, name string, s servers.S3) {
	p := newPlace(t, s)
	for key, size := range sizes {
		if name == "fake" && key == "in parts" {
			continue // that server completes an upload over what is there
		}
		target := s3target.New(p.client, p.bucket, key, small)
		it, body := item("", rig.Noise(1, size))
		if found, err := target.Look(t.Context(), it); err != nil || found.State != restore.Absent {
			t.Fatalf("%s: %+v, %v", key, found, err)
		}
		p.put(t, key, []byte("somebody else's"))
		if _, err := target.Write(t.Context(), it, false, body); !errors.Is(err, restore.ErrExists) {
			t.Errorf("%s: %v", key, err)
		}
		if got := p.get(t, key).content; got != "somebody else's" {
			t.Errorf("%s: it was replaced by %d bytes", key, len(got))
		}
		if found, err := target.Look(t.Context(), it); err != nil || found.State != restore.Differs {
			t.Errorf("%s: then %+v, %v", key, found, err)
		}
	}
}

func deletedVersionsComeBack(t *testing.T, name string, s servers.S3) {
	p := newPlace(t, s)
	_, err := p.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &p.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := rig.New(t)
	r.Put("k", []byte("content"))
	r.Replicate()
	p.put(t, "k", []byte("content"))
	p.put(t, "other", []byte("keeps the bucket from being empty"))
	if _, err := p.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &p.bucket, Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	sum := p.restore(t, r, "", quick, restore.Options{})
	if sum.Restored.Items != 1 || p.get(t, "k") == nil {
		t.Errorf("%+v", sum)
	}
}

// keysThatAStoreRefuses restores what the store takes, and names the rest.
func keysThatAStoreRefuses(t *testing.T, name string, s servers.S3) {
	refused := map[string][]string{"fake": {}, "versity": {"a/b"}, "minio": {"x//y", "../up", "./dot"}}
	p := newPlace(t, s)
	r := rig.New(t)
	keys := []string{"ok", "z", "with space", "plus+", "%2f", "é", "nl\nnl", strings.Repeat("k/", 100) + "k"}
	for _, key := range append(keys, refused[name]...) {
		r.Put(key, []byte("content"))
	}
	if name == "fake" {
		for _, key := range []string{"a//b", "/lead", "dir/", "a", "a/b", "ctl\x01"} {
			r.Put(key, []byte("content"))
		}
	}
	if name == "versity" {
		r.Put("a", []byte("content"))
	}
	r.Replicate()
	for _, pass := range []string{"first", "again"} {
		sum := p.restore(t, r, "", quick, restore.Options{Workers: 1})
		var failed []string
		for _, n := range sum.Failed.Named {
			failed = append(failed, n.Path)
		}
		slices.Sort(failed)
		slices.Sort(refused[name])
		if !slices.Equal(failed, refused[name]) {
			t.Errorf("%s: refused were %q, want %q: %+v", pass, failed, refused[name], sum.Failed.Named)
		}
		if sum.Restored.Items+sum.Equal.Items != int64(len(r.Items)-len(failed)) {
			t.Errorf("%s: %+v", pass, sum)
		}
	}
}
