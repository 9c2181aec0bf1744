package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// do tries f, which makes one request for op on name, until it succeeds, fails for good, or has been tried often enough.
func (b *Bucket) do(ctx context.Context, op, name string, f func(context.Context) error) error {
	for failures := 1; ; failures++ {
		err := b.once(ctx, op, name, 0, func(w *watch) error { return f(w.ctx) })
		if err == nil {
			return nil
		}
		if err := b.pause(ctx, op, name, failures, b.opts.Attempts, err); err != nil {
			return err
		}
	}
}

// once makes one attempt, with a deadline for a body of size bytes, and classifies its failure.
func (b *Bucket) once(ctx context.Context, op, name string, size int64, f func(*watch) error) error {
	if err := b.requestLimit.wait(ctx, 1); err != nil {
		return &Error{Kind: Other, Op: op, Name: name, Err: err}
	}
	w := newWatch(ctx, b.opts.allowed(size))
	defer w.stop()
	return classify(ctx, w, op, name, f(w))
}

// pause decides what happens after a failure: it returns nil when the operation may be tried again, after having waited, and otherwise
// the error for the caller.
func (b *Bucket) pause(ctx context.Context, op, name string, failures, limit int, err error) error {
	switch {
	case !Retryable(err):
		return err
	case failures >= limit:
		return &Error{Kind: KindOf(err), Op: op, Name: name, Err: fmt.Errorf("given up after %d attempts: %w", failures, cause(err))}
	}
	d := b.backoff(failures, KindOf(err))
	b.retries.Add(1)
	if b.opts.OnRetry != nil {
		b.opts.OnRetry(op, name, failures, d, err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx, op, name, err)
	}
}

// backoff draws the wait after so many failures: between half and all of base·2^(failures-1), at most the cap. A store that asks to
// slow down is left alone four times as long.
func (b *Bucket) backoff(failures int, kind Kind) time.Duration {
	if kind == Throttled {
		failures += 2
	}
	d := b.opts.BackoffBase
	for i := 1; i < failures && d < b.opts.BackoffCap; i++ {
		d *= 2
	}
	d = min(d, b.opts.BackoffCap)
	return d/2 + rand.N(d/2+1)
}

// classify turns what an attempt returned into an *Error whose kind holds for the caller: an attempt that the watch ended is
// Temporary, one that the caller ended is not retryable, and what is not yet an *Error becomes one.
func classify(ctx context.Context, w *watch, op, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && passing(err):
		return ended(ctx, op, name, err)
	case w.expired() && passing(err):
		// %v on purpose: the deadline was ours, and must not look like the caller's.
		return &Error{Kind: Temporary, Op: op, Name: name, Err: fmt.Errorf("no end within the time allowed: %v", cause(err))}
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Kind: Corrupt, Op: op, Name: name, Err: errors.New("the body was cut short")}
	}
	return &Error{Kind: Other, Op: op, Name: name, Err: err}
}

// passing reports whether the error may only be how an ended context or a disturbance showed itself, unlike an answer of the store.
func passing(err error) bool {
	return Retryable(err) || KindOf(err) == Other || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ended says that the caller's context is over, and what was the matter before that.
func ended(ctx context.Context, op, name string, err error) error {
	why := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: Other, Op: op, Name: name, Err: why}
	}
	return &Error{Kind: Other, Op: op, Name: name, Err: fmt.Errorf("%w; before that: %v", why, cause(err))}
}

// cause is the inner error of an *Error, so that operation and name are not said twice.
func cause(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}
