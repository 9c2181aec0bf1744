package lfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"farshore/agent/source/git/internal/web"
)

// statusError is an answer that is no success.
type statusError struct {
	what, message string
	code          int
	after         time.Duration // what the server asks to wait, 0: nothing
}

// Error says who answered what.
func (e *statusError) Error() string {
	s := fmt.Sprintf("%s: the server says %d %s", e.what, e.code, http.StatusText(e.code))
	if e.message != "" {
		s += ": " + e.message
	}
	return s
}

// silentError says that there was no answer, or not all of it.
type silentError struct {
	what string
	err  error
}

// Error says who did not answer, without the address: a link's query is a secret.
func (e *silentError) Error() string {
	err := e.err
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return e.what + ": " + err.Error()
}

// Unwrap returns the cause.
func (e *silentError) Unwrap() error { return e.err }

// status makes the error of an answer that is no success, with the server's message but for the secret.
func status(what string, w *watched, resp *http.Response, secret string) error {
	after, _ := web.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	e := &statusError{what: what, code: resp.StatusCode, after: after}
	const maxError = 64 << 10
	data, err := io.ReadAll(io.LimitReader(w.reader(resp.Body), maxError))
	var said struct{ Message string }
	if err == nil && json.Unmarshal(data, &said) == nil {
		e.message = web.Clean(withoutSecret(said.Message, secret))
	}
	return e
}

func withoutSecret(s, secret string) string {
	if secret == "" {
		return s
	}
	return strings.ReplaceAll(s, secret, "***")
}

// temporary reports whether another attempt may succeed.
func temporary(err error) bool {
	if e := (*statusError)(nil); errors.As(err, &e) {
		switch e.code {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	silent := (*silentError)(nil)
	return errors.As(err, &silent)
}

const (
	// maxTries is how often a request is made without any progress, and maxResumes how often one object's transfer is taken up at all.
	maxTries, maxResumes = 5, 200
	// maxWaits bounds what one request waits in all, whatever the server asks for.
	maxWaits = 15 * time.Minute
)

// patience says how often and how long one thing is tried.
type patience struct {
	first  time.Duration
	tries  int // since the last progress
	total  int
	waited time.Duration
}

func (c *Client) patience() *patience { return &patience{first: c.times.first} }

// progress forgets the failures so far.
func (p *patience) progress() { p.tries = 0 }

// failed waits for the next attempt and returns nil, or returns why there is none.
func (p *patience) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !temporary(err) {
		return err
	}
	p.tries++
	p.total++
	if p.tries >= maxTries || p.total >= maxResumes {
		return fmt.Errorf("%w (tried %d times)", err, p.total)
	}
	pause := rand.N(p.first<<(p.tries-1) + 1)
	if e := (*statusError)(nil); errors.As(err, &e) {
		pause = max(pause, e.after)
	}
	if p.waited += pause; p.waited > maxWaits {
		return fmt.Errorf("%w: it asks to wait %v: that is too long", err, pause.Round(time.Second))
	}
	return web.Wait(ctx, pause)
}

// errIdle is why a watched request ended.
var errIdle = errors.New("the server sends nothing")

// watched is a context that ends when the server is silent for too long while somebody waits for it. The time in which nobody waits does not count.
type watched struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func watch(ctx context.Context, idle time.Duration) *watched {
	ctx, cancel := context.WithCancelCause(ctx)
	return &watched{ctx: ctx, cancel: cancel, idle: idle, timer: time.AfterFunc(idle, func() { cancel(fmt.Errorf("%w for %v", errIdle, idle)) })}
}

func (w *watched) wait() { w.timer.Reset(w.idle) }
func (w *watched) rest() { w.timer.Stop() }

func (w *watched) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// reader returns r such that each Read has its own time.
func (w *watched) reader(r io.Reader) io.Reader { return &watchedReader{w, r} }

type watchedReader struct {
	w *watched
	r io.Reader
}

// Read reads under the watch.
func (r *watchedReader) Read(b []byte) (int, error) {
	r.w.wait()
	n, err := r.r.Read(b)
	r.w.rest()
	if err != nil && err != io.EOF && r.w.ctx.Err() != nil {
		err = context.Cause(r.w.ctx)
	}
	return n, err
}

// do makes one request under the watch. Its caller closes the response's body.
func (c *Client) do(w *watched, req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", c.options.UserAgent)
	w.wait()
	resp, err := c.http.Do(req)
	w.rest()
	if err == nil {
		return resp, nil
	}
	if w.ctx.Err() != nil {
		err = context.Cause(w.ctx)
	}
	return nil, &silentError{what: "LFS at " + req.URL.Host, err: err}
}

// redirected returns where the answer points to, nil when it is no redirect.
func redirected(resp *http.Response) *url.URL {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if u, err := resp.Location(); err == nil {
			return u
		}
	}
	return nil
}

// sameOrigin reports whether the two lie at one server.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
