package agent

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// untilGivenUp returns the context of what is being stored: it outlives ctx, by o.Finish where that is set. Then the Writer gives up, too.
func (p *pass) untilGivenUp(ctx context.Context) (store context.Context, stop func()) {
	store, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	if p.o.Finish <= 0 {
		return store, func() { giveUp(nil) }
	}
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ctx.Done():
		case <-over:
			return
		}
		timer := time.NewTimer(p.o.Finish)
		defer timer.Stop()
		select {
		case <-timer.C:
			giveUp(errGivenUp)
			p.w.GiveUp(errGivenUp)
		case <-over:
		}
	})
	return store, func() { close(over); watch.Wait(); giveUp(nil) }
}

// errGivenUp is why a pass that was interrupted did not commit what was whole.
var errGivenUp = fmt.Errorf("the pass was interrupted (%w), and the store did not take in time what was whole: the next pass goes on from the last commit", context.Canceled)
