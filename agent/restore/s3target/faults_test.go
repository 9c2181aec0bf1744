package s3target_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/restore"
	"farshore/agent/restore/internal/rig"
	"farshore/agent/restore/s3target"
	"farshore/providers/servers"
)

// flaky fails requests on purpose.
type flaky struct {
	next http.RoundTripper
	fail func(n int, req *http.Request) (lose bool, err error)
	n    int
	lock chan struct{}
}

func (f *flaky) RoundTrip(req *http.Request) (*http.Response, error) {
	f.lock <- struct{}{}
	f.n++
	lose, err := f.fail(f.n, req)
	<-f.lock
	if err != nil && !lose {
		return nil, err
	}
	resp, err2 := f.next.RoundTrip(req)
	if lose && err2 == nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp, err2
}

func (p place) flaky(fail func(n int, req *http.Request) (lose bool, err error)) place {
	o := p.client.Options()
	o.HTTPClient = &http.Client{Transport: &flaky{next: http.DefaultTransport, fail: fail, lock: make(chan struct{}, 1)}}
	p.client = s3.New(o)
	return p
}

func TestFailedRequestsAreRepeated(t *testing.T) {
	reset := errors.New("connection reset by peer")
	for name, lose := range map[string]bool{"never arrived": false, "answer lost": true} {
		for _, server := range []func(testing.TB) servers.S3{servers.Fake, servers.Versity} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				good := newPlace(t, server(t))
				r := rig.New(t)
				for key, size := range sizes {
					r.Put(key, rig.Noise(uint64(size), size))
				}
				r.Replicate()
				seen := map[string]bool{}
				bad := good.flaky(func(_ int, req *http.Request) (bool, error) {
					what := req.Method + " " + req.URL.String() // each request fails once
					if strings.Contains(req.URL.RawQuery, "uploads") || seen[what] {
						return false, nil
					}
					seen[what] = true
					return lose, reset
				})
				sum := bad.restore(t, r, "", small, restore.Options{Workers: 2})
				if sum.Restored.Items+sum.Equal.Items != 3 || sum.Incomplete() {
					t.Errorf("%+v", sum)
				}
				for key, it := range r.Items {
					if o := good.get(t, key); o == nil || o.content != string(it.Content) {
						t.Errorf("%q is missing or wrong", key)
					}
				}
			})
		}
	}
}

func TestWhatStopsARun(t *testing.T) {
	s := servers.Versity(t)
	p := newPlace(t, s)
	r := rig.New(t)
	for i := range 50 {
		r.Put(fmt.Sprint(i), rig.Noise(uint64(i), 100))
	}
	r.Replicate()
	gone, down := errors.New("connection refused"), p.flaky
	for name, tt := range map[string]struct {
		place place
		says  string
	}{
		"no bucket":    {place{S3: s, client: p.client, bucket: "no-such-bucket"}, "NoSuchBucket"},
		"wrong secret": {func() place { w := s; w.SecretKey = "wrong"; return place{w, w.Client(t), p.bucket} }(), "SignatureDoesNotMatch"},
		"unreachable":  {down(func(int, *http.Request) (bool, error) { return false, gone }), "connection refused"},
		"fails later": {down(func(n int, _ *http.Request) (bool, error) {
			if n > 20 {
				return false, gone
			}
			return false, nil
		}), "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			snap, reader := r.Snapshot()
			sum, err := restore.Run(t.Context(), snap, reader, s3target.New(tt.place.client, tt.place.bucket, "", quick), restore.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line that says %q", err, tt.says)
			}
			if sum.Failed.Items != 0 {
				t.Errorf("%+v", sum.Failed)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	target := s3target.New(p.client, p.bucket, "", small)
	for key, size := range sizes {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		it, body := item(key, rig.Noise(1, size))
		_, err := target.Write(ctx, it, false, func(w io.Writer) error {
			cancel()
			return body(w)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", key, err)
		}
		if p.get(t, key) != nil {
			t.Errorf("%s: the object is there", key)
		}
	}
}
