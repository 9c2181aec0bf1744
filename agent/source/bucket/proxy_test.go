package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
)

// proxy stands between the source and a server, sees every request and may answer it, or change the answer.
type proxy struct {
	place
	// alter changes an answer; to be set before the first request.
	alter func(resp *http.Response) error

	mu     sync.Mutex
	seen   []*http.Request
	refuse refuse
}

// refuse answers a request where it returns true.
type refuse func(w http.ResponseWriter, r *http.Request) bool

// answer has f asked about every request from now on; nil: all are passed on.
func (p *proxy) answer(f refuse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = f
}

// look notes the request and returns who is to be asked about it.
func (p *proxy) look(r *http.Request) refuse {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, r.Clone(context.Background()))
	return p.refuse
}

// between returns p as it is seen through a proxy. Signatures stay right since the Host header is passed on.
func between(t *testing.T, p place) *proxy {
	t.Helper()
	target, err := url.Parse(p.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	px := &proxy{place: p}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(resp *http.Response) error {
			if px.alter == nil {
				return nil
			}
			return px.alter(resp)
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse := px.look(r); refuse == nil || !refuse(w, r) {
			reverse.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	px.Endpoint = server.URL
	px.client = px.Client(t)
	return px
}

// requests returns those seen so far that the condition holds for.
func (p *proxy) requests(is func(*http.Request) bool) []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*http.Request
	for _, r := range p.seen {
		if is(r) {
			all = append(all, r)
		}
	}
	return all
}

func isList(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }
func isGet(r *http.Request) bool  { return r.Method == http.MethodGet && !isList(r) }

// say answers with an error as S3 does.
func say(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	return true
}

// cutOff makes a body break off after n bytes.
type cutOff struct {
	io.ReadCloser
	left int
}

func (c *cutOff) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errors.New("cut off by the test")
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// flip changes every byte of a body.
type flip struct{ io.ReadCloser }

func (f flip) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	for i := range p[:n] {
		p[i] ^= 0x20
	}
	return n, err
}

func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i*i)
	}
	return b.String()[:n]
}

func entry(t *testing.T, s source.Source, path string) source.Entry {
	t.Helper()
	entries := sourcetest.List(t, s, source.Range{From: path, To: path + "\x00"})
	if len(entries) != 1 {
		t.Fatalf("%q is listed %d times", path, len(entries))
	}
	return entries[0]
}
