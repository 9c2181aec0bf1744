package providers

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// piece is how many bytes of a body pass a rate limit at once: small enough to spread a slow limit, large enough to cost nothing.
const piece = 64 << 10

// wait returns when n may pass, or when ctx ends. n is at most the limiter's burst.
func wait(ctx context.Context, l *rate.Limiter, n int) error {
	err := l.WaitN(ctx, n)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: the rate limit leaves no time", context.DeadlineExceeded)
	}
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// upload is the body of one attempt to create an object: it counts and slows what the driver reads. A driver that reads the body more than
// once, for a checksum, is counted and slowed for the first time only.
type upload struct {
	body  io.ReaderAt
	watch *watch
	limit limits
	sent  *atomic.Int64

	mu   sync.Mutex
	done int64 // the highest offset that was read
}

// ReadAt reads from the body, when the limit lets it.
func (u *upload) ReadAt(p []byte, off int64) (int, error) {
	if u.limit.none() {
		n, err := u.body.ReadAt(p, off)
		u.advance(off + int64(n))
		return n, err
	}
	var n int
	for n < len(p) {
		m, err := u.readPiece(p[n:min(len(p), n+piece)], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (u *upload) readPiece(p []byte, off int64) (int, error) {
	n, err := u.body.ReadAt(p, off)
	if fresh := u.advance(off + int64(n)); fresh > 0 {
		u.watch.hold()
		defer u.watch.run()
		if err := u.limit.wait(u.watch.ctx, int(min(fresh, piece))); err != nil {
			return 0, err
		}
	}
	return n, err
}

// advance notes that the body was read up to end, and returns how many of these bytes are new.
func (u *upload) advance(end int64) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	fresh := max(0, end-u.done)
	u.done += fresh
	u.sent.Add(fresh)
	return fresh
}
