package providers

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errSlow ends an attempt that has used up its time. It never leaves the package: callers see kind Temporary.
var errSlow = errors.New("the attempt's time is used up")

// watch gives one attempt a context that ends when the attempt has used up its time. The clock stands still while anyone
// holds it: a pause of our own making, for a rate limit or because nobody reads, is not the store's fault. Safe for concurrent use.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	left  time.Duration // what is left, as of since
	since time.Time     // when the clock was last set going
	held  int           // number of holders
}

// newWatch starts the clock. The caller must call stop.
func newWatch(parent context.Context, allowed time.Duration) *watch {
	ctx, cancel := context.WithCancelCause(parent)
	w := &watch{ctx: ctx, cancel: cancel, left: allowed, since: time.Now()}
	w.timer = time.AfterFunc(allowed, func() { cancel(errSlow) })
	return w
}

// hold stops the clock until run is called as often.
func (w *watch) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held++; w.held == 1 {
		w.timer.Stop()
		w.left -= time.Since(w.since)
	}
}

// run undoes one hold.
func (w *watch) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held--; w.held == 0 {
		w.since = time.Now()
		w.timer.Reset(max(w.left, 0))
	}
}

// grant allows d more. The clock must be held.
func (w *watch) grant(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left += d
}

// expired reports whether it was the clock that ended the context.
func (w *watch) expired() bool { return errors.Is(context.Cause(w.ctx), errSlow) }

// stop ends the context and frees the timer.
func (w *watch) stop() {
	w.mu.Lock()
	w.timer.Stop()
	w.mu.Unlock()
	w.cancel(context.Canceled)
}
