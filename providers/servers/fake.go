package servers

import (
	"context"
	"net/http/httptest"
	"sort"
	"testing"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

// Fake starts an S3 server inside the test that keeps everything in memory and checks signatures. It has neither policies nor real locks.
func Fake(tb testing.TB) S3 {
	tb.Helper()
	s := S3{Region: "us-east-1", AccessKey: rootKey, SecretKey: token()}
	backend := pagedBackend{s3mem.New()}
	fake := gofakes3.New(backend, gofakes3.WithV4Auth(map[string]string{s.AccessKey: s.SecretKey}), gofakes3.WithTimeSkewLimit(0))
	server := httptest.NewServer(fake.Server())
	s.Endpoint, s.stop = server.URL, server.Close
	tb.Cleanup(server.Close)
	return s
}

// pagedBackend corrects how s3mem goes on behind a marker that is no key: it passes over the first key after it.
type pagedBackend struct{ *s3mem.Backend }

// ListBucket lists all that has the prefix and cuts the page out of it.
func (b pagedBackend) ListBucket(ctx context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if page.Marker == "" || prefix != nil && prefix.HasDelimiter {
		return b.Backend.ListBucket(ctx, name, prefix, page)
	}
	all, err := b.Backend.ListBucket(ctx, name, prefix, gofakes3.ListBucketPage{})
	if err != nil {
		return nil, err
	}
	first := sort.Search(len(all.Contents), func(i int) bool { return all.Contents[i].Key > page.Marker })
	all.Contents = all.Contents[first:]
	if page.MaxKeys > 0 && int64(len(all.Contents)) > page.MaxKeys {
		all.Contents = all.Contents[:page.MaxKeys]
		all.IsTruncated, all.NextMarker = true, all.Contents[page.MaxKeys-1].Key
	}
	return all, nil
}
