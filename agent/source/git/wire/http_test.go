package wire_test

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
	"farshore/agent/source/git/wire"
)

// small makes a repository r below root with one commit, and returns its id.
func small(t *testing.T, root string) string {
	t.Helper()
	return gittest.New(t, filepath.Join(root, "r"), "sha1", true).Commit("main", map[string]string{"a": "a"})
}

// secret returns the options for a user whose password is what next gives.
func secret(next func() string) wire.Options {
	return wire.Options{Username: "me", Password: func(context.Context) (string, error) { return next(), nil }}
}

func constant(s string) func() string { return func() string { return s } }

func TestPassword(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := small(t, root)
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Username: "me", Password: "right"}) + "/r"
	asked := 0
	expired := func() string {
		if asked++; asked%3 == 1 { // each first time
			return "old"
		}
		return "right"
	}
	for _, c := range []struct {
		name   string
		o      wire.Options
		reason string
		words  string
	}{
		{"right", secret(constant("right")), "", ""},
		{"wrong", secret(constant("wrong")), record.ReasonDenied, "must be valid"},
		{"none", wire.Options{}, record.ReasonDenied, "wants a credential"},
		{"replaced", secret(expired), "", ""},
		{"one that can't be had", wire.Options{Password: func(context.Context) (string, error) { return "", errors.New("no file") }}, "other", "no file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, url, c.o)
			m, err := r.Refs(t.Context())
			switch {
			case c.reason == "other":
				if err == nil || !strings.Contains(err.Error(), c.words) {
					t.Error(err)
				}
			case c.reason != "":
				checkReason(t, err, c.reason, c.words)
				if strings.Contains(err.Error(), "wrong") {
					t.Errorf("the error has the password: %v", err)
				}
			case err != nil:
				t.Error(err)
			default:
				pack(t, r, m.Tips(), []string{id}, true)
			}
		})
	}
}

// TestPasswordMidway changes what the server takes between the greeting and the pack.
func TestPasswordMidway(t *testing.T) {
	t.Parallel()
	root, valid := t.TempDir(), atomic.Value{}
	id := small(t, root)
	valid.Store("first")
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		_, password, _ := r.BasicAuth()
		if password != valid.Load() {
			http.Error(w, "expired", http.StatusUnauthorized)
			return true
		}
		return false
	}})
	r := open(t, url+"/r", secret(func() string { return valid.Load().(string) }))
	if _, err := r.Refs(t.Context()); err != nil {
		t.Fatal(err)
	}
	valid.Store("second")
	pack(t, r, []string{id}, nil, false)
}

// TestAnswers holds what becomes of answers that are no git.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const html = "<!DOCTYPE html><title>Sign in</title>"
	for _, c := range []struct {
		name, media, body string
		status            int
		header            string // Location, Retry-After: by status
		gone              bool
		reason, words     string
	}{
		{name: "sign-in page", media: "text/html; charset=utf-8", body: html, status: 200, reason: record.ReasonDenied, words: "web page instead of git"},
		{name: "page that says it is text", media: "text/plain", body: html, status: 200, reason: record.ReasonDenied, words: "web page"},
		{name: "redirect to a page", status: 302, header: "/login?back=1", reason: record.ReasonDenied, words: "/login"},
		{name: "files", media: "text/plain", body: strings.Repeat("a", 40) + "\trefs/heads/main\n", status: 200, reason: record.ReasonUnsupported, words: "serves only files"},
		{name: "files, empty", media: "text/plain", status: 200, reason: record.ReasonUnsupported, words: "serves only files"},
		{name: "something", media: "application/json", body: "{}", status: 200, reason: record.ReasonUnsupported, words: "no repository's"},
		{name: "401", status: 401, reason: record.ReasonDenied, words: "401"},
		{name: "403", status: 403, media: "text/plain", body: "no\x1b[2J entry\nhere", reason: record.ReasonDenied, words: `saying "no[2J entry here"`},
		{name: "404", status: 404, gone: true},
		{name: "410", status: 410, gone: true},
		{name: "451", status: 451, reason: record.ReasonDenied, words: "451"},
		{name: "500", status: 500, reason: record.ReasonOther, words: "its log"},
		{name: "502", status: 502, words: "no time now"},
		{name: "503", status: 503, header: "1", words: "no time now"},
		{name: "429 for long", status: 429, header: "3600", words: "1h0m0s"},
		{name: "403 for a while", status: 403, header: "1", words: "no time now"},
		{name: "endless redirects", status: 301, header: "/r/info/refs?service=git-upload-pack", words: "redirects more than"},
		{name: "redirect out of http", status: 301, header: "file:///r/info/refs", reason: record.ReasonUnsupported, words: "not encrypted"},
		{name: "no packets", media: "application/x-git-upload-pack-advertisement", body: "hello, world", status: 200, reason: record.ReasonOther, words: "pkt-line"},
		{name: "nothing", media: "application/x-git-upload-pack-advertisement", status: 200, words: "unexpected EOF"},
		{name: "error packet", media: "application/x-git-upload-pack-advertisement", body: "0015ERR out of paper\n", status: 200, reason: record.ReasonOther, words: "out of paper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.media)
				if c.header != "" && c.status/100 == 3 {
					w.Header().Set("Location", c.header)
				} else if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			_, err := open(t, server.URL+"/r", wire.Options{}).Refs(t.Context())
			var u *source.Unreadable
			switch {
			case c.reason != "":
				checkReason(t, err, c.reason, c.words)
			case errors.Is(err, source.ErrGone) != c.gone || errors.As(err, &u) || err == nil || !strings.Contains(err.Error(), c.words):
				t.Error(err)
			}
		})
	}
}

// TestRetry holds that what fails for a passing reason is tried again, in both requests, and not for ever.
func TestRetry(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := small(t, root)
	for _, c := range []struct {
		failures int32
		good     bool
	}{{2, true}, {3, false}} {
		var left atomic.Int32
		var waits []time.Duration
		url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if left.Add(-1) < 0 {
				return false
			}
			w.Header().Set("Retry-After", "7")
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return true
		}})
		r := open(t, url+"/r", wire.Options{})
		r.Sleep(func(_ context.Context, d time.Duration) error {
			waits = append(waits, d)
			return nil
		})
		left.Store(c.failures)
		_, err := r.Refs(t.Context())
		if (err == nil) != c.good || len(waits) != 2 || waits[0] != 7*time.Second {
			t.Errorf("Refs after %d failures: %v, waits %v", c.failures, err, waits)
		}
		left.Store(0)
		if _, err := r.Refs(t.Context()); err != nil { // the pack's first request is the POST then
			t.Error(err)
		}
		left.Store(c.failures)
		s, err := r.Pack(t.Context(), []string{id}, nil, false)
		if (err == nil) != c.good {
			t.Errorf("Pack after %d failures: %v", c.failures, err)
		}
		if err == nil {
			_ = s.Close() // nothing was read
		}
	}
}

// TestRedirect holds that the first request is followed, the ones after it go where it led, and that a password stays with its host.
func TestRedirect(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := small(t, root)
	var leaked atomic.Bool
	other := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		return false
	}})
	closed := gitserver.HTTP(t, root, gitserver.HTTPOptions{Username: "me", Password: "right"})
	var to atomic.Value
	var posts atomic.Int32
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
		http.Redirect(w, r, to.Load().(string)+"/r/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
	}))
	defer first.Close()
	moving := httptest.NewServer(gitserver.Handler(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, other+"/r/git-upload-pack", http.StatusTemporaryRedirect)
		}
		return r.Method == http.MethodPost
	}}))
	defer moving.Close()
	r := open(t, first.URL+"/old.git", secret(constant("right")))
	_, err := open(t, moving.URL+"/r", wire.Options{}).Pack(t.Context(), []string{id}, nil, false)
	if !errors.Is(err, wire.ErrMoved) {
		t.Errorf("a redirect between greeting and pack: %v", err)
	}
	to.Store(strings.Replace(other, "http://", "http://thief:thief@", 1))
	if _, err := r.Refs(t.Context()); err != nil {
		t.Fatal(err)
	}
	pack(t, r, []string{id}, nil, false)
	if leaked.Load() || posts.Load() > 0 {
		t.Errorf("the password went to another host: %v; %d requests came back", leaked.Load(), posts.Load())
	}
	to.Store(closed)
	_, err = r.Refs(t.Context())
	checkReason(t, err, record.ReasonDenied, "another host")
}

// TestEncrypted holds that nothing leads from https to http.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := small(t, root)
	plain := gitserver.HTTP(t, root, gitserver.HTTPOptions{})
	server := httptest.NewUnstartedServer(gitserver.Handler(t, root, gitserver.HTTPOptions{Username: "git", Password: "right",
		Intercept: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if !strings.HasPrefix(r.URL.Path, "/down/") {
				return false
			}
			http.Redirect(w, r, plain+"/r/info/refs", http.StatusFound)
			return true
		}}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that does not trust it
	server.StartTLS()
	defer server.Close()
	o := secret(constant("right"))
	o.Username, o.Client = "", server.Client()
	r := open(t, server.URL+"/r/", o)
	if _, err := r.Refs(t.Context()); err != nil {
		t.Fatal(err)
	}
	pack(t, r, []string{id}, nil, false)
	_, err := open(t, server.URL+"/down/r", o).Refs(t.Context())
	checkReason(t, err, record.ReasonUnsupported, "not encrypted")
	if _, err = open(t, server.URL+"/r", wire.Options{}).Refs(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
}

// cutting passes on so many bytes of an answer and then breaks the connection, or, where it stalls, gives no more until the client leaves.
type cutting struct {
	http.ResponseWriter
	left  int
	stall <-chan struct{}
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		c.left = 0
		_ = http.NewResponseController(c.ResponseWriter).Flush() // the client is to see it
		if c.stall != nil {
			<-c.stall
		}
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// torn reads a pack up to its error, and returns how many bytes it had. A server is asked again that gave none in time, as one on a machine that stands still.
func torn(t *testing.T, url, id string, o wire.Options) (io.ReadCloser, int64, error) {
	t.Helper()
	for {
		s, err := open(t, url, o).Pack(t.Context(), []string{id}, nil, false)
		var n int64
		if err == nil {
			n, err = io.Copy(io.Discard, s)
		}
		switch {
		case n == 0 && err != nil && strings.Contains(err.Error(), "no byte for"):
			if s != nil {
				_ = s.Close() // it says no more than the reading did
			}
		case s == nil:
			t.Fatal(err)
		default:
			return s, n, err
		}
	}
}

// TestCut breaks the connection within the pack.
func TestCut(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	noise := make([]byte, 400_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // it never fails
	id := gittest.New(t, filepath.Join(root, "r"), "sha1", true).Commit("main", map[string]string{"noise": string(noise)})
	const idle = 2 * time.Second // a busy machine's greeting may take a while
	for _, stall := range []bool{false, true} {
		url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
			if r.Method != http.MethodPost {
				return false
			}
			c := &cutting{ResponseWriter: w, left: 200_000}
			if stall {
				c.stall = r.Context().Done()
			}
			next.ServeHTTP(c, r)
			return true
		}})
		o := wire.Options{}
		if stall {
			o.Idle = idle
		}
		s, n, err := torn(t, url+"/r", id, o)
		switch {
		case n == 0 || err == nil:
			t.Errorf("%d bytes, %v", n, err)
		case stall && !strings.Contains(err.Error(), "no byte for 2s"):
			t.Errorf("stalled: %v", err)
		case !stall && (!errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "bytes of the pack")):
			t.Errorf("cut: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("after Close: %v", err)
		}
	}
}

// TestCancel holds that a context ends what is under way.
func TestCancel(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := small(t, root)
	var once atomic.Bool
	started := make(chan struct{})
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body) // or the server would not see the client leave
			if once.CompareAndSwap(false, true) {
				close(started)
			}
			<-r.Context().Done()
			return true
		}
		return false
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-started
		cancel()
	}()
	if _, err := open(t, url+"/r", wire.Options{}).Pack(ctx, []string{id}, nil, false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
