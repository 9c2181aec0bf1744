package bucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	errSilent = errors.New("the store fell silent")
	// errChanged says that the object is no longer the one whose capture began.
	errChanged = errors.New("the object changed while it was read")
)

// body is one answered GET. Not safe for concurrent use.
type body struct {
	header http.Header
	total  int64 // bytes of the whole object
	length int64 // bytes of this answer

	r       io.ReadCloser
	timer   *time.Timer
	silence time.Duration
	cancel  context.CancelCauseFunc
	ctx     context.Context
}

// open sends the request once and returns its answer once the headers are there. Refusals are *apiError.
func (s *Source) open(ctx context.Context, g get) (*body, error) {
	var b *body
	err := s.ask(ctx, func() (err error) {
		b, err = s.openNow(ctx, g)
		return err
	})
	return b, err
}

func (s *Source) openNow(ctx context.Context, g get) (*body, error) {
	b := &body{silence: s.retry.Silence}
	b.ctx, b.cancel = context.WithCancelCause(ctx)
	b.timer = time.AfterFunc(b.silence, func() { b.cancel(errSilent) })
	err := s.answer(b, g)
	b.timer.Stop()
	if err != nil {
		err = b.cause(err)
		b.close()
		return nil, err
	}
	return b, nil
}

// answer sends the request and takes headers and sizes from the answer.
func (s *Source) answer(b *body, g get) error {
	req, err := s.api.request(b.ctx, g)
	if err != nil {
		return err
	}
	resp, err := s.api.do(req)
	if err != nil {
		return err
	}
	b.r, b.header = resp.Body, resp.Header
	switch resp.StatusCode {
	case http.StatusOK:
		b.total, b.length = resp.ContentLength, resp.ContentLength
		if g.ranged && g.off > 0 {
			return broken("ignores ranges")
		}
		if b.total < 0 {
			return broken("does not say how long the object is")
		}
		return nil
	case http.StatusPartialContent:
		b.length, b.total, err = contentRange(resp, g)
		return err
	}
	return refusal(resp)
}

// contentRange checks that the answer has the bytes that were asked for, and returns their number and that of the whole object.
func contentRange(resp *http.Response, g get) (length, total int64, err error) {
	h := resp.Header.Get("Content-Range")
	span, size, ok := strings.Cut(strings.TrimPrefix(h, "bytes "), "/")
	first, last, ok2 := strings.Cut(span, "-")
	off, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	total, err3 := strconv.ParseInt(size, 10, 64)
	if !ok || !ok2 || errors.Join(err1, err2, err3) != nil {
		return 0, 0, broken("answered with the range %q", h)
	}
	if !g.ranged || off != g.off || end+1 != min(g.end, total) || resp.ContentLength >= 0 && resp.ContentLength != end+1-off {
		return 0, 0, broken("answered a request of bytes %d-%d with %q", g.off, g.end-1, h)
	}
	return end + 1 - off, total, nil
}

// Read reads on; a store that is silent for too long is errSilent.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.silence)
	n, err := b.r.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		err = b.cause(err)
	}
	return n, err
}

// cause returns why the request was ended, where err only says that it was.
func (b *body) cause(err error) error {
	if c := context.Cause(b.ctx); c != nil && errors.Is(c, errSilent) {
		return errSilent
	}
	return err
}

// close ends the request. The connection is used again only when the body was read to its end.
func (b *body) close() {
	b.timer.Stop()
	if b.r != nil {
		_ = b.r.Close() // nothing of a body is trusted but what was read and checked
	}
	b.cancel(nil)
}

// stream reads the bytes off to end of one state of an object. It goes on with a new request where an answer breaks off, as long as the
// object's ETag is the same. Not safe for concurrent use.
type stream struct {
	s     *Source
	ctx   context.Context
	key   string
	etag  string
	off   int64
	end   int64
	total int64
	body  *body // nil: to be asked for
	tries attempts
}

// Read reads on. Its errors are final.
func (t *stream) Read(p []byte) (int, error) {
	for t.off < t.end {
		if t.body == nil {
			if err := t.reopen(); err != nil {
				return 0, err
			}
		}
		n, err := t.readOnce(p)
		if n > 0 {
			t.tries.success()
			return n, t.s.throttle(t.ctx, n)
		}
		if err != nil {
			t.close()
			if err := t.tries.failed(t.ctx, err); err != nil {
				return 0, err
			}
		}
	}
	t.finish()
	return 0, io.EOF
}

// readOnce reads from the present answer; an answer that is too short is an error. What comes with an error is lost on purpose only
// when it is nothing.
func (t *stream) readOnce(p []byte) (int, error) {
	p = p[:min(int64(len(p)), t.end-t.off)]
	if t.s.bytes != nil || t.s.o.Limits.Bytes != nil {
		p = p[:min(len(p), limitBurst)]
	}
	n, err := t.body.Read(p)
	t.off += int64(n)
	if err == io.EOF && t.off < t.end {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 && err != nil && t.off < t.end {
		t.close() // the next Read asks again from here
	}
	return n, err
}

// finish reads the end of the answer, so that its connection is used again.
func (t *stream) finish() {
	if t.body == nil {
		return
	}
	var one [1]byte
	_, _ = t.body.Read(one[:]) // all that was asked for is there already
	t.close()
}

func (t *stream) close() {
	if t.body != nil {
		t.body.close()
		t.body = nil
	}
}

// reopen asks for the rest, as often as patience allows.
func (t *stream) reopen() error {
	if t.etag == "" {
		return errChanged // without an ETag there is no saying that the rest belongs to what was read
	}
	for {
		b, err := t.s.open(t.ctx, get{key: t.key, etag: t.etag, ranged: true, off: t.off, end: t.end})
		if err == nil {
			if b.total != t.total {
				b.close()
				return errChanged
			}
			t.body = b
			return nil
		}
		if err := t.tries.failed(t.ctx, err); err != nil {
			return err
		}
	}
}

// throttle waits until n bytes more are within the limit.
func (s *Source) throttle(ctx context.Context, n int) error {
	if s.bytes != nil {
		if err := s.bytes.WaitN(ctx, n); err != nil {
			return err
		}
	}
	if s.o.Limits.Bytes != nil {
		return s.o.Limits.Bytes.Wait(ctx, n)
	}
	return nil
}
