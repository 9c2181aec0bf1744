// Package s3fake is an S3 server that keeps everything in memory, for the demo and for quick tests. It checks signatures, and has
// neither policies nor real locks, so that nothing about a store's permissions can be learned from it.
package s3fake

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sort"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

// Handler returns a new server without buckets. accounts are the secrets of the access keys that it accepts. The handler may be used
// concurrently, and what it holds goes with it.
func Handler(accounts map[string]string) http.Handler {
	backend := pagedBackend{s3mem.New()}
	return arrived(gofakes3.New(backend, gofakes3.WithV4Auth(accounts), gofakes3.WithTimeSkewLimit(0)).Server())
}

// arrived hands on requests whose bodies are there. An object's own headers have the time at which the server begins with it, and lists that at which its body ended:
// the two would differ where that takes a while.
func arrived(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has left
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		server.ServeHTTP(w, r)
	})
}

// pagedBackend corrects how s3mem goes on behind a marker: it passes over the first key after one that is no key, and in
// a list of versions, which it gives in the wrong order, it sets none.
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

// ListBucketVersions lists all that has the prefix and cuts the page out of it: s3mem says that more follows, and not where.
func (b pagedBackend) ListBucketVersions(name string, prefix *gofakes3.Prefix, page *gofakes3.ListBucketVersionsPage) (*gofakes3.ListBucketVersionsResult, error) {
	all, err := b.Backend.ListBucketVersions(name, prefix, nil)
	if err != nil {
		return all, err
	}
	newestFirst(all.Versions)
	if page == nil {
		return all, nil
	}
	first := sort.Search(len(all.Versions), func(i int) bool { return keyOf(all.Versions[i]) >= page.KeyMarker })
	if page.KeyMarker != "" {
		for ; first < len(all.Versions) && keyOf(all.Versions[first]) == page.KeyMarker; first++ {
			if page.HasVersionIDMarker && idOf(all.Versions[first]) == page.VersionIDMarker {
				first++
				break
			}
		}
	}
	all.Versions = all.Versions[first:]
	if page.MaxKeys > 0 && int64(len(all.Versions)) > page.MaxKeys {
		all.Versions = all.Versions[:page.MaxKeys]
		last := all.Versions[page.MaxKeys-1]
		all.IsTruncated, all.NextKeyMarker, all.NextVersionIDMarker = true, keyOf(last), idOf(last)
	}
	return all, nil
}

// newestFirst turns the versions of each key around: s3mem lists the oldest first.
func newestFirst(all []gofakes3.VersionItem) {
	for from, i := 0, 1; i <= len(all); i++ {
		if i == len(all) || keyOf(all[i]) != keyOf(all[from]) {
			slices.Reverse(all[from:i])
			from = i
		}
	}
}

func keyOf(v gofakes3.VersionItem) string {
	switch v := v.(type) {
	case *gofakes3.Version:
		return v.Key
	case *gofakes3.DeleteMarker:
		return v.Key
	}
	return ""
}

// idOf is the version's id as the server writes it: "null" in a bucket without versioning.
func idOf(v gofakes3.VersionItem) gofakes3.VersionID {
	if id := v.GetVersionID(); id != "" {
		return id
	}
	return "null"
}
