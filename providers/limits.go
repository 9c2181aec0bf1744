package providers

import (
	"context"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Limits are limits that several Buckets have in common, each within its own rates. What is nil is no limit.
type Limits struct {
	// Upload and Download are of bytes of bodies, Requests of requests that are begun.
	Upload, Download, Requests *Limit
}

// Limit is how much a second may pass, over all that wait for it in turn: of bytes or of requests. It may be used concurrently, and nil is no limit.
type Limit struct {
	least int // what may pass at once at the least
	now   atomic.Pointer[rate.Limiter]
}

// NewByteLimit returns a limit of so many bytes a second; 0 is none.
func NewByteLimit(perSecond int64) *Limit { return newLimit(piece, float64(perSecond)) }

// NewRequestLimit returns a limit of so many requests a second; 0 is none.
func NewRequestLimit(perSecond float64) *Limit { return newLimit(1, perSecond) }

func newLimit(least int, perSecond float64) *Limit {
	l := &Limit{least: least}
	l.Set(perSecond)
	return l
}

// Set makes it so much a second from now on; 0 is no limit. Who waits already waits by what it was.
func (l *Limit) Set(perSecond float64) {
	if old := l.now.Load(); old != nil && old.Limit() == rate.Limit(perSecond) {
		return // its count goes on
	}
	if perSecond <= 0 {
		l.now.Store(nil)
		return
	}
	// A tenth of a second at once keeps timers few at high rates.
	l.now.Store(rate.NewLimiter(rate.Limit(perSecond), max(l.least, int(perSecond/10))))
}

// Wait returns nil when n may pass, and an error when ctx ends before that or leaves no time for it.
func (l *Limit) Wait(ctx context.Context, n int) error {
	limiter := l.limiter()
	if limiter == nil {
		return nil
	}
	for n > 0 {
		some := min(n, limiter.Burst())
		if err := wait(ctx, limiter, some); err != nil {
			return err
		}
		n -= some
	}
	return nil
}

// limiter is what counts now, nil for none.
func (l *Limit) limiter() *rate.Limiter {
	if l == nil {
		return nil
	}
	return l.now.Load()
}

// limits are a Bucket's own limit and the one that it shares, of one kind.
type limits struct{ own, common *Limit }

// none reports whether nothing is limited now.
func (l limits) none() bool { return l.own.limiter() == nil && l.common.limiter() == nil }

// wait returns when n may pass both.
func (l limits) wait(ctx context.Context, n int) error {
	if err := l.own.Wait(ctx, n); err != nil {
		return err
	}
	return l.common.Wait(ctx, n)
}
