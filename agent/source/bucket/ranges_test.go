package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/source/sourcetest"
	"farshore/providers/servers"
)

// small makes ranges small, so that objects of a test are large.
func small(o *bucket.Options) { o.RangeSize, o.Memory = 16<<10, 64<<10 }

func ranges(t *testing.T, _ string, p place) {
	px := between(t, p)
	s := px.source(t, small)
	contents := map[string]string{}
	for _, n := range []int{0, 1, 64 << 10, 64<<10 + 1, 300_001} {
		key := fmt.Sprintf("size-%d", n)
		contents[key] = pattern(n)
		p.put(t, key, contents[key])
	}
	var g errgroup.Group
	for range 3 { // all at a time, within one memory
		for _, e := range sourcetest.List(t, s, source.Range{}) {
			g.Go(func() error {
				var sink sourcetest.Sink
				_, err := s.Capture(t.Context(), e, nil, &sink)
				if err == nil && sink.Content() != contents[e.Path] {
					err = fmt.Errorf("%s: captured %d bytes that are not the object's", e.Path, len(sink.Content()))
				}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	ranged := px.requests(func(r *http.Request) bool { return r.Header.Get("Range") != "" })
	if len(ranged) != 3*(5+19) {
		t.Errorf("%d requests of ranges, want 72", len(ranged))
	}
	for _, r := range ranged {
		if r.Header.Get("If-Match") == "" {
			t.Errorf("%s of %s without If-Match", r.Header.Get("Range"), r.URL.Path)
		}
	}
}

func changesMidway(t *testing.T, _ string, p place) {
	p.put(t, "a", pattern(300_000))
	px := between(t, p)
	s := px.source(t, small)
	var once sync.Once
	newer := strings.ToUpper(strings.Repeat("changed ", 30_000))
	px.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.Header.Get("Range"), "bytes=81920-") {
			once.Do(func() { p.put(t, "a", newer) })
		}
		return false
	})
	if _, got := sourcetest.Capture(t, s, entry(t, s, "a")); got != newer {
		t.Errorf("captured %d bytes that are not the newer state", len(got))
	}
	n := 0
	var mu sync.Mutex
	px.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.Header.Get("Range"), "bytes=16384-") {
			mu.Lock()
			defer mu.Unlock()
			n++
			p.put(t, "a", pattern(300_000+n))
		}
		return false
	})
	_, err := s.Capture(t.Context(), entry(t, s, "a"), nil, &sourcetest.Sink{})
	wantUnreadable(t, err, record.ReasonChanging, "attempts")
}

func TestDeletedMidway(t *testing.T) {
	p := newPlace(t, servers.Versity(t))
	p.put(t, "a", pattern(300_000))
	px := between(t, p)
	s := px.source(t, small)
	e := entry(t, s, "a")
	var once sync.Once
	px.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.Header.Get("Range"), "bytes=81920-") {
			once.Do(func() { p.remove(t, "a") })
		}
		return false
	})
	if _, err := s.Capture(t.Context(), e, nil, &sourcetest.Sink{}); !errors.Is(err, source.ErrGone) {
		t.Errorf("%v, want ErrGone", err)
	}
}

func TestCancelMidwayGivesEverythingBack(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	content := pattern(300_000)
	p.put(t, "a", content)
	px := between(t, p)
	s := px.source(t, small)
	e := entry(t, s, "a")
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		px.answer(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.Header.Get("Range"), "bytes=49152-") {
				cancel()
			}
			return false
		})
		if _, err := s.Capture(ctx, e, nil, &sourcetest.Sink{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want that it was cancelled", err)
		}
		cancel()
	}
	px.answer(nil)
	if _, got := sourcetest.Capture(t, s, e); got != content { // would wait for ever for memory that was not given back
		t.Error("captured other bytes")
	}
}
