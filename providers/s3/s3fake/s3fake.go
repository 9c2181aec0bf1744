// Package s3fake is an S3 server that keeps everything in memory, for the demo and for quick tests. It checks signatures, and has
// neither policies nor real locks, so that nothing about a store's permissions can be learned from it.
package s3fake

import (
	"context"
	"net/http"
	"sort"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

// Handler returns a new server without buckets. accounts are the secrets of the access keys that it accepts. The handler may be used
// concurrently, and what it holds goes with it.
func Handler(accounts map[string]string) http.Handler {
	backend := pagedBackend{s3mem.New()}
	return gofakes3.New(backend, gofakes3.WithV4Auth(accounts), gofakes3.WithTimeSkewLimit(0)).Server()
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
