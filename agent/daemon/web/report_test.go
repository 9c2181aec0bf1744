package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/daemon/web"
)

// TestReport holds the page of a report to be shut in, with its own style alone.
func TestReport(t *testing.T) {
	s := wellSample()
	h := s.handler(t)
	w := get(h, "/report/"+hashOf("a1"), nil)
	want, err := reportPage()
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), want) {
		t.Fatalf("%d, %d bytes", w.Code, w.Body.Len())
	}
	css := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindSubmatch(want)
	digest := sha256.Sum256(css[1])
	policy := w.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'", "frame-ancestors 'none'", "sandbox"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q has no %s", policy, part)
		}
	}
	if strings.Contains(policy, "script-src") || strings.Contains(policy, "allow-") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows something: %q", policy)
	}
	for name, c := range map[string]struct {
		page []byte
		err  error
		want int
		part string
	}{
		"gone":    {nil, fmt.Errorf("reading: %w", web.ErrNoReport), 404, ""},
		"late":    {nil, context.DeadlineExceeded, 504, ""},
		"broken":  {nil, errStore, 502, ""},
		"busy":    {nil, web.ErrBusy, 503, ""},
		"plain":   {[]byte("<p>no style"), nil, 200, "style-src 'none'"},
		"in body": {[]byte("<head></head><style>x</style>"), nil, 200, "style-src 'none'"},
	} {
		s.shelf.page = func(context.Context, string) ([]byte, error) { return c.page, c.err }
		w := get(h, "/report/"+hashOf("a1"), nil)
		if w.Code != c.want || !strings.Contains(w.Header().Get("Content-Security-Policy"), c.part) || strings.Contains(w.Body.String(), "alert") {
			t.Errorf("%s: %d %q", name, w.Code, w.Header().Get("Content-Security-Policy"))
		}
	}
}

// TestReportsAtATime asks for a third report while two are read.
func TestReportsAtATime(t *testing.T) {
	s := wellSample()
	release, begun := make(chan struct{}), make(chan struct{}, 2)
	var bounded atomic.Bool
	bounded.Store(true)
	s.shelf.page = func(ctx context.Context, _ string) ([]byte, error) {
		if _, ok := ctx.Deadline(); !ok {
			bounded.Store(false)
		}
		begun <- struct{}{}
		<-release
		return []byte("<p>"), nil
	}
	h := s.handler(t)
	done := make(chan int, 2)
	for range 2 {
		go func() { done <- get(h, "/report/"+hashOf("a1"), nil).Code }()
	}
	<-begun
	<-begun
	if w := get(h, "/report/"+hashOf("a1"), nil); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a third: %d", w.Code)
	}
	if w := get(h, "/", nil); w.Code != 200 {
		t.Errorf("the overview meanwhile: %d", w.Code)
	}
	close(release)
	for range 2 {
		if code := <-done; code != 200 {
			t.Errorf("one of two: %d", code)
		}
	}
	if !bounded.Load() {
		t.Error("a report was read without a deadline")
	}
}

// TestNothingReads asks for everything but a report: the vault is not asked.
func TestNothingReads(t *testing.T) {
	s := wellSample()
	s.shelf.page = func(context.Context, string) ([]byte, error) {
		t.Error("a report was read")
		return nil, errors.New("no")
	}
	h := s.handler(t)
	for _, path := range paths("code") {
		if !strings.HasPrefix(path, "/report/") {
			get(h, path, nil)
		}
	}
}
