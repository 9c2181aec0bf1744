package lfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// body is the content of one object as it comes from the server. Each byte is delivered once, whatever happens to the connection.
type body struct {
	ctx      context.Context
	client   *Client
	pointer  Pointer
	link     *link
	hash     hash.Hash
	patience *patience

	offset   int64         // bytes delivered
	skip     int64         // bytes to come that were delivered before: of a server that knows no ranges
	stream   io.ReadCloser // nil: not connected
	watched  *watched
	relinked bool // a refused link was replaced once
	account  bool // the link is used with the repository's password
	err      error
}

func newBody(ctx context.Context, c *Client, p Pointer, l *link) *body {
	return &body{ctx: ctx, client: c, pointer: p, link: l, hash: sha256.New(), patience: c.patience()}
}

// Read delivers verified lengths only: the last bytes come when the whole has the pointer's SHA-256.
func (b *body) Read(buf []byte) (int, error) {
	if b.err != nil || len(buf) == 0 {
		return 0, b.err
	}
	n, err := b.read(buf)
	if b.err = err; err == io.EOF || err == nil {
		return n, err
	}
	b.drop()
	return 0, err
}

func (b *body) read(buf []byte) (int, error) {
	if b.offset == b.pointer.Size {
		return 0, io.EOF
	}
	buf = buf[:min(int64(len(buf)), b.pointer.Size-b.offset)]
	for {
		if err := b.open(); err != nil {
			return 0, err
		}
		n, err := b.take(buf)
		if n > 0 {
			b.patience.progress()
			b.hash.Write(buf[:n])
			b.offset += int64(n)
			if b.offset == b.pointer.Size {
				return n, b.finish()
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		b.drop()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		err = &silentError{what: b.what() + fmt.Sprintf(": the transfer broke after %d of %d bytes", b.offset, b.pointer.Size), err: err}
		if err := b.patience.failed(b.ctx, err); err != nil {
			return 0, err
		}
	}
}

// take reads from the connection what was not yet delivered; 0 bytes and no error when there was none of it.
func (b *body) take(buf []byte) (int, error) {
	if b.skip == 0 {
		return b.stream.Read(buf)
	}
	n, err := b.stream.Read(buf[:min(int64(len(buf)), b.skip)])
	b.skip -= int64(n)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	if n > 0 {
		err = nil // if it was one, it comes again
	}
	return 0, err
}

// finish compares the SHA-256 of all that came with the pointer's.
func (b *body) finish() error {
	if got := hex.EncodeToString(b.hash.Sum(nil)); got != b.pointer.OID {
		return fmt.Errorf("%s: %w: the SHA-256 of the %d bytes is %s", b.what(), ErrWrong, b.pointer.Size, got)
	}
	return nil
}

func (b *body) what() string { return "LFS at " + b.client.batch.Host + ": object " + b.pointer.OID }

// open connects unless connected: at the byte reached, with a link that is not known to be expired.
func (b *body) open() error {
	for b.stream == nil {
		if err := b.fresh(); err != nil {
			return err
		}
		err := b.connect()
		if err == nil {
			return nil
		}
		if b.authorizeLink(err) {
			continue
		}
		if b.refused(err) && !b.relinked {
			b.relinked = true
			if err := b.relink(); err != nil {
				return err
			}
			continue
		}
		if refused := (*statusError)(nil); errors.As(err, &refused) && (refused.code == http.StatusNotFound || refused.code == http.StatusGone) {
			return fmt.Errorf("%s: %w: %w", b.what(), ErrMissing, err)
		}
		if err := b.patience.failed(b.ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// refused reports whether the link was not accepted: it may have expired before its time.
func (b *body) refused(err error) bool {
	e := (*statusError)(nil)
	return errors.As(err, &e) && (e.code == http.StatusUnauthorized || e.code == http.StatusForbidden)
}

// authorizeLink decides to use the repository's password for a link to the same server that asks for one and brought none itself.
func (b *body) authorizeLink(err error) bool {
	e := (*statusError)(nil)
	if b.account || b.client.options.Password == nil || !errors.As(err, &e) || e.code != http.StatusUnauthorized {
		return false
	}
	for name := range b.link.header {
		if strings.EqualFold(name, "Authorization") {
			return false
		}
	}
	b.account = sameOrigin(b.link.url, b.client.batch)
	return b.account
}

// fresh replaces a link that expired before another attempt. The first attempt takes it as it is.
func (b *body) fresh() error {
	if b.patience.total == 0 || !b.link.expired() {
		return nil
	}
	return b.relink()
}

// relink asks for another link. That one is used even when it has expired by this machine's clock.
func (b *body) relink() error {
	answers, err := b.client.ask(b.ctx, []Pointer{b.pointer})
	if err != nil {
		return err
	}
	a := answers[b.pointer.OID]
	if a.err != nil {
		return a.err
	}
	b.link = a.link
	return nil
}

// connect makes the request, following redirects, and keeps the stream of a good answer.
func (b *body) connect() error {
	w := watch(b.ctx, b.client.times.idle)
	at := b.link.url
	for range maxHops {
		resp, secret, err := b.request(w, at)
		if err != nil {
			w.end()
			return err
		}
		next := redirected(resp)
		if next == nil {
			return b.accept(w, resp, secret)
		}
		resp.Body.Close()
		if !b.client.permitted(next) {
			w.end()
			return fmt.Errorf("%s: the server points to an address that is no https URL", b.what())
		}
		at = next
	}
	w.end()
	return fmt.Errorf("%s: more than %d redirects", b.what(), maxHops)
}

// request makes one request. The link's headers go to the link's own server only, the password to the repository's.
func (b *body) request(w *watched, at *url.URL) (resp *http.Response, secret string, err error) {
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, "", fmt.Errorf("%s: the server's link can't be used", b.what())
	}
	if sameOrigin(at, b.link.url) {
		for name, value := range b.link.header {
			req.Header.Set(name, value)
		}
	}
	for _, name := range []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Range"} {
		req.Header.Del(name) // these are the transfer's own
	}
	if b.account && sameOrigin(at, b.client.batch) {
		if secret, err = b.client.authorize(req); err != nil {
			return nil, "", err
		}
	}
	req.Header.Set("Accept-Encoding", "identity")
	if b.offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.offset))
	}
	resp, err = b.client.do(w, req)
	return resp, secret, err
}

// accept keeps the stream of an answer that brings the bytes from the offset on.
func (b *body) accept(w *watched, resp *http.Response, secret string) error {
	err := b.fits(w, resp, secret)
	if err != nil {
		resp.Body.Close()
		w.end()
		return err
	}
	b.watched = w
	b.stream = struct {
		io.Reader
		io.Closer
	}{w.reader(resp.Body), resp.Body}
	return nil
}

func (b *body) fits(w *watched, resp *http.Response, secret string) error {
	b.skip = 0
	rest := b.pointer.Size - b.offset
	switch {
	case resp.StatusCode == http.StatusOK:
		b.skip, rest = b.offset, b.pointer.Size
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%s: %w: the server has no bytes after %d", b.what(), ErrWrong, b.offset)
	case resp.StatusCode != http.StatusPartialContent:
		return status(b.what()+" from "+resp.Request.URL.Host, w, resp, secret)
	case b.offset == 0 || !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.offset)):
		return fmt.Errorf("%s: the server answers with the range %.40q, which was not asked for", b.what(), resp.Header.Get("Content-Range"))
	}
	if resp.ContentLength >= 0 && resp.ContentLength != rest {
		return fmt.Errorf("%s: %w: the server sends %d bytes in place of %d", b.what(), ErrWrong, resp.ContentLength, rest)
	}
	return nil
}

// drop gives the connection up.
func (b *body) drop() {
	if b.stream != nil {
		b.stream.Close() // only read: nothing is lost
		b.watched.end()
		b.stream = nil
	}
}

// close ends the body: Read fails from then on.
func (b *body) close() {
	b.drop()
	if b.err == nil {
		b.err = errors.New("the body of an LFS object is read after its time")
	}
}
