package intruder

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"

	"farshore/providers/gcs"
)

// gcsThief is the storage client of whoever has the agent's service account. The emulator has no permissions, so he may do everything to live objects, and the
// generations that the bucket keeps are what remains: their removal, which no generated credential may do, is not tried here.
type gcsThief struct {
	t      *testing.T
	bucket *storage.BucketHandle
}

// onGCS is a bucket of the emulator that keeps generations.
func onGCS(t *testing.T) *place {
	t.Helper()
	// The emulator's own answers to two requests at a time for generations of one name race with each other: it gets one at a time.
	var mu sync.Mutex
	var emulator http.Handler
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		emulator.ServeHTTP(w, r)
	}))
	address := "http://" + front.Listener.Addr().String()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, ExternalURL: address, Writer: io.Discard})
	must(t, err)
	emulator = server.HTTPHandler()
	front.Start()
	t.Cleanup(front.Close)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "kept", VersioningEnabled: true})
	d, err := gcs.Open(t.Context(), "gs://kept/v?endpoint="+url.QueryEscape(address), gcs.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	b := bucketOf(d)
	return &place{
		name: "fake-gcs", owner: b, agent: b, restorer: b, auditor: b, thief: &gcsThief{t, server.Client().Bucket("kept")},
		overwrites: beneath, removals: beneath, foreignRoom: beneath, again: onGCS,
	}
}

func (g *gcsThief) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(g.t.Context(), patience)
}

func (g *gcsThief) put(name string, body []byte) error {
	ctx, cancel := g.within()
	defer cancel()
	w := g.bucket.Object("v/" + name).NewWriter(ctx)
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

func (g *gcsThief) remove(name string) error {
	ctx, cancel := g.within()
	defer cancel()
	return g.bucket.Object("v/" + name).Delete(ctx)
}

func (g *gcsThief) denied(err error) bool {
	var answer *googleapi.Error
	return errors.As(err, &answer) && answer.Code == http.StatusForbidden
}

func (g *gcsThief) names() (out []string) {
	g.t.Helper()
	ctx, cancel := g.within()
	defer cancel()
	list := g.bucket.Objects(ctx, &storage.Query{Prefix: "v/"})
	for {
		attrs, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		must(g.t, err)
		out = append(out, attrs.Name[len("v/"):])
	}
}
