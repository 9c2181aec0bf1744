package bucket_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/source/sourcetest"
	"farshore/providers/servers"
)

// fill puts n small objects, several at a time.
func fill(tb testing.TB, p place, n int) {
	tb.Helper()
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			key := fmt.Sprintf("key-%05d", i)
			_, err := p.client.PutObject(tb.Context(), &s3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: strings.NewReader(key)})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		tb.Fatal(err)
	}
}

func paging(t *testing.T, _ string, p place) {
	fill(t, p, 1005)
	px := between(t, p)
	s := px.source(t)
	for _, splits := range [][]string{nil, {"key-00500"}, {"key-00000", "key-00001", "key-01104", "key-01005", "zzz"}} {
		entries := sourcetest.List(t, s, source.Range{Splits: splits})
		if len(entries) != 1005 || !slices.IsSortedFunc(entries, func(a, b source.Entry) int { return strings.Compare(a.Path, b.Path) }) {
			t.Errorf("splits %q: %d entries, want 1005 in order", splits, len(entries))
		}
	}
	before := len(px.requests(isList))
	if got := len(sourcetest.List(t, s, source.Range{From: "key-00990", To: "key-01000"})); got != 10 {
		t.Errorf("%d entries, want 10", got)
	}
	if n := len(px.requests(isList)) - before; n != 1 {
		t.Errorf("a range of 10 keys took %d requests", n)
	}
}

func attributes(t *testing.T, name string, p place) {
	expires := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(pattern(5000)))
	_ = z.Close()
	p.put(t, "a", packed.String(), func(in *s3.PutObjectInput) {
		in.ContentType, in.CacheControl, in.ContentEncoding = aws.String("text/x-test; charset=utf-8"), aws.String("max-age=5"), aws.String("gzip")
		in.ContentDisposition, in.ContentLanguage = aws.String(`attachment; filename="é.txt"`), aws.String("en, de")
		in.Expires = &expires
		in.Metadata = map[string]string{"Owner": "Ann", "word": "=?UTF-8?Q?=C3=A9?="}
		in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
		if name != "fake" {
			in.Tagging = aws.String("project=one&empty=")
		}
	})
	s := p.source(t)
	e := entry(t, s, "a")
	rec, got := sourcetest.Capture(t, s, e)
	if got != packed.String() {
		t.Error("the body was unpacked on the way")
	}
	want := record.Attrs{
		"etag": e.Attrs["etag"], "modified": e.Attrs["modified"],
		"h:content-type": "text/x-test; charset=utf-8", "h:cache-control": "max-age=5", "h:content-encoding": "gzip",
		"h:content-disposition": `attachment; filename="é.txt"`, "h:content-language": "en, de", "h:expires": "Mon, 03 Feb 2031 04:05:06 GMT",
		"m:owner": "Ann", "m:word": "=?UTF-8?Q?=C3=A9?=", "c:sha256": rec.Attrs["c:sha256"],
	}
	if name != "fake" {
		want["t:project"], want["t:empty"], want["h:x-amz-tagging-count"] = "one", "", "2"
	}
	for key, value := range want {
		if got, ok := rec.Attrs[key]; !ok || got != value {
			t.Errorf("%s = %q, want %q", key, got, value)
		}
	}
	if rec.Attrs["c:sha256"] == "" || !s.Unchanged(e, rec) || s.Notes() != (bucket.Notes{}) {
		t.Errorf("record %v, notes %+v", rec.Attrs, s.Notes())
	}
	for key := range rec.Attrs {
		if _, ok := want[key]; !ok && key != "c:type" && !strings.HasPrefix(key, "c:") {
			t.Errorf("unexpected %s = %q", key, rec.Attrs[key])
		}
	}
}

func versions(t *testing.T, name string, p place) {
	if name == "fake" {
		t.Skip("the fake server's versions are of no use here")
	}
	_, err := p.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &p.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.put(t, "a", "one")
	p.put(t, "a", "two")
	s := p.source(t)
	e := entry(t, s, "a")
	rec, got := sourcetest.Capture(t, s, e)
	if got != "two" || rec.Attrs["version-id"] == "" || !s.Unchanged(e, rec) {
		t.Errorf("captured %q, record %v", got, rec.Attrs)
	}
	p.remove(t, "a")
	if got := sourcetest.List(t, s, source.Range{}); len(got) != 0 {
		t.Errorf("an object behind a delete marker is listed: %v", got)
	}
}

func placeholders(t *testing.T, _ string, p place) {
	p.put(t, "dir/", "")
	p.put(t, "dir/a", "x")
	for _, pre := range []string{"", "dir", "dir/"} {
		s := p.source(t, prefix(pre))
		entries := sourcetest.List(t, s, source.Range{})
		var keys []string
		for _, e := range entries {
			keys = append(keys, pre+e.Path)
			if _, got := sourcetest.Capture(t, s, e); int64(len(got)) != e.Size {
				t.Errorf("%q: %d bytes, listed with %d", e.Path, len(got), e.Size)
			}
		}
		if !slices.Equal(keys, []string{"dir/", "dir/a"}) {
			t.Errorf("prefix %q: %q", pre, keys)
		}
	}
}

func TestDeniedByPolicy(t *testing.T) {
	server := servers.Versity(t)
	guest, _ := server.Guest()
	p := newPlace(t, server)
	p.put(t, "open/a", "x")
	p.put(t, "shut/a", "x")
	allow := func(list bool) {
		t.Helper()
		statements := fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":[%q]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/open/*"}`, guest.AccessKey, p.bucket)
		if list {
			statements += fmt.Sprintf(`,{"Effect":"Allow","Principal":{"AWS":[%q]},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::%s"}`, guest.AccessKey, p.bucket)
		}
		policy := `{"Version":"2012-10-17","Statement":[` + statements + `]}`
		if _, err := p.client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &p.bucket, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
	}
	allow(true)
	as := place{guest, guest.Client(t), p.bucket}
	s := as.source(t)
	sourcetest.Capture(t, s, entry(t, s, "open/a"))
	_, err := s.Capture(t.Context(), entry(t, s, "shut/a"), nil, &sourcetest.Sink{})
	wantUnreadable(t, err, record.ReasonDenied, "AccessDenied")
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := as.source(t, prefix("shut")).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "s3:GetObject") {
		t.Errorf("check without the right to read: %v", err)
	}
	allow(false)
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "s3:ListBucket") {
		t.Errorf("check without the right to list: %v", err)
	}
	if err := s.List(t.Context(), source.Range{}, func(source.Entry) error { return nil }); err == nil {
		t.Error("a listing that was denied ended well")
	}
}

func TestUnchanged(t *testing.T) {
	p := place{S3: servers.S3{Endpoint: "http://127.0.0.1:1", Region: "us-east-1"}, bucket: "b"}
	p.client = p.Client(t)
	s := p.source(t)
	const modified = "2026-01-02T03:04:05Z"
	base := func() source.Entry {
		return source.Entry{Path: "a", Kind: record.KindObject, Size: 3, Attrs: record.Attrs{"etag": `"e"`, "modified": modified}}
	}
	present := func(attrs record.Attrs) *record.Record {
		return &record.Record{Path: "a", State: record.Present, Attrs: attrs, Parts: []record.Part{{Kind: record.PartContent, Size: 3}}}
	}
	good := present(record.Attrs{"etag": `"e"`, "modified": modified, "h:content-type": "x", "version-id": "v1"})
	archived := &record.Record{Path: "a", State: record.Unreadable, Reason: record.ReasonArchived,
		Attrs: record.Attrs{"etag": `"e"`, "modified": modified, "class": "GLACIER", "size": "3"}}
	denied := &record.Record{Path: "a", State: record.Unreadable, Reason: record.ReasonDenied, Attrs: archived.Attrs}
	with := func(key, value string) func(*source.Entry) { return func(e *source.Entry) { e.Attrs[key] = value } }
	frozen := func(restored string) func(*source.Entry) {
		return func(e *source.Entry) { e.Attrs["class"], e.Attrs["restored"] = "GLACIER", restored }
	}
	for name, c := range map[string]struct {
		last   *record.Record
		change func(*source.Entry)
		want   bool
	}{
		"same":                       {good, func(*source.Entry) {}, true},
		"etag":                       {good, with("etag", `"f"`), false},
		"no etag":                    {good, with("etag", ""), false},
		"bare etag":                  {good, with("etag", "e"), true},
		"size":                       {good, func(e *source.Entry) { e.Size = 4 }, false},
		"time":                       {good, with("modified", "2026-01-02T03:04:06Z"), false},
		"finer time":                 {good, with("modified", "2026-01-02T03:04:05.678Z"), true},
		"class":                      {good, with("class", "STANDARD_IA"), false},
		"version":                    {good, with("version-id", "v2"), false},
		"same version":               {good, with("version-id", "v1"), true},
		"archived":                   {archived, frozen("false"), true},
		"archived and restored":      {archived, frozen("true"), false},
		"archived, nobody knows":     {archived, with("class", "GLACIER"), false},
		"archived, other etag":       {archived, func(e *source.Entry) { frozen("false")(e); e.Attrs["etag"] = "f" }, false},
		"archived, out of archive":   {archived, func(*source.Entry) {}, false},
		"denied is tried again":      {denied, frozen("false"), false},
		"deleted before":             {&record.Record{State: record.Deleted}, func(*source.Entry) {}, false},
		"two fractions that differ":  {present(record.Attrs{"etag": "e", "modified": "2026-01-02T03:04:05.1Z"}), with("modified", "2026-01-02T03:04:05.2Z"), false},
		"a time that can't be right": {good, with("modified", "yesterday"), false},
	} {
		e := base()
		c.change(&e)
		if got := s.Unchanged(e, c.last); got != c.want {
			t.Errorf("%s: unchanged = %v", name, got)
		}
	}
}

func TestMovedToAnArchiveKeepsTheContent(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	p.put(t, "a", "content")
	px := between(t, p)
	s := px.source(t)
	e := entry(t, s, "a")
	rec, _ := sourcetest.Capture(t, s, e)
	px.answer(func(w http.ResponseWriter, r *http.Request) bool {
		return isGet(r) && say(w, 403, "InvalidObjectState", "archived")
	})
	e.Attrs["class"] = "GLACIER"
	for _, last := range []*record.Record{rec, {State: record.Unreadable, Reason: record.ReasonArchived, Last: rec}} {
		moved, err := s.Capture(t.Context(), e, last, &sourcetest.Sink{})
		if err != nil || moved.State != record.Present || moved.Attrs["class"] != "GLACIER" || moved.Size() != rec.Size() || moved.Path != "a" {
			t.Fatalf("record %+v, %v", moved, err)
		}
		if !s.Unchanged(e, moved) || rec.Attrs["class"] != "" {
			t.Error("it counts as changed, or the last record was written to")
		}
	}
	other := *rec
	other.Attrs = record.Attrs{"etag": `"other"`, "modified": rec.Attrs["modified"]}
	_, err := s.Capture(t.Context(), e, &other, &sourcetest.Sink{})
	wantUnreadable(t, err, record.ReasonArchived, "archived")
}

func TestLimits(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	p.put(t, "a", pattern(264<<10))
	s := p.source(t, func(o *bucket.Options) { o.Limits = bucket.Limits{BytesPerSecond: 1 << 20, RequestsPerSecond: 20} })
	e := entry(t, s, "a")
	began := time.Now()
	sourcetest.Capture(t, s, e)
	if took := time.Since(began); took < 190*time.Millisecond { // 200 KiB beyond the burst
		t.Errorf("264 KiB at 1 MiB/s took %v", took)
	}
}

// limiter counts what it lets pass.
type limiter struct{ n, calls atomic.Int64 }

func (l *limiter) Wait(ctx context.Context, n int) error {
	l.n.Add(int64(n))
	l.calls.Add(1)
	return ctx.Err()
}

// TestCommonLimits holds that a limit that sources share is asked for every request and every byte, in small steps, and that its refusal ends a capture.
func TestCommonLimits(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	const size = 264 << 10
	p.put(t, "a", pattern(size))
	var requests, content limiter
	s := p.source(t, func(o *bucket.Options) { o.Limits = bucket.Limits{Requests: &requests, Bytes: &content} })
	e := entry(t, s, "a")
	listed := requests.n.Load()
	sourcetest.Capture(t, s, e)
	if listed == 0 || requests.n.Load() == listed || content.n.Load() != size || content.calls.Load() < 5 {
		t.Errorf("%d requests to list, %d in all, %d bytes in %d steps", listed, requests.n.Load(), content.n.Load(), content.calls.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Capture(ctx, e, nil, &sourcetest.Sink{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a limit whose context ended: %v", err)
	}
}
