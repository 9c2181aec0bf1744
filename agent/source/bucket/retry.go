package bucket

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// attempts counts the failures of one piece of work since its last success.
type attempts struct {
	retry Retry
	first time.Time // when the first of them happened
	n     int
}

// success forgets the failures.
func (a *attempts) success() { a.n = 0 }

// failed pauses before another attempt and returns nil, or returns why there is none: the error itself when trying again is of no use, and
// *exhausted when the patience is used up.
func (a *attempts) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if again, _ := temporary(err); !again {
		return err
	}
	if a.n == 0 {
		a.first = time.Now()
	}
	pause := a.retry.pause(a.n)
	a.n++
	if time.Since(a.first)+pause > a.retry.Patience {
		return &exhausted{err: err, tries: a.n, since: a.first}
	}
	return sleep(ctx, pause)
}

// pause draws the n-th pause: full jitter, so that many clients that failed together do not come back together.
func (r Retry) pause(n int) time.Duration {
	most := r.Most
	if n < 20 {
		most = min(r.Most, r.First<<n)
	}
	return rand.N(most + 1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exhausted says that a request failed for as long as patience lasted.
type exhausted struct {
	err   error
	tries int
	since time.Time
}

// Error says how often and how long it was tried.
func (e *exhausted) Error() string {
	return fmt.Sprintf("%v (tried %d times over %v)", e.err, e.tries, time.Since(e.since).Round(time.Second))
}

// Unwrap returns the last failure.
func (e *exhausted) Unwrap() error { return e.err }

// ask runs one request under the limits on requests, tells the gate how it went, and leaves the gate when ask returns: what a body
// takes afterwards is the reader's business.
func (s *Source) ask(ctx context.Context, request func() error) error {
	if s.rate != nil {
		if err := s.rate.Wait(ctx); err != nil {
			return err
		}
	}
	if l := s.o.Limits.Requests; l != nil {
		if err := l.Wait(ctx, 1); err != nil {
			return err
		}
	}
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	err := request()
	_, slow := temporary(err)
	s.gate.leave(err == nil, err != nil && slow)
	return err
}
