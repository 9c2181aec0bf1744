package bucket

import (
	"context"
	"sync"
	"time"
)

// gate bounds the requests that wait for an answer. The bound grows by one for each round of successes and is halved when the store
// asks to slow down, at most once a second (additive increase, multiplicative decrease, as in RFC 5681).
type gate struct {
	mu      sync.Mutex
	limit   float64
	most    int
	inside  int
	waiting []chan struct{} // in the order of their coming
	lastCut time.Time
}

// newGate starts at a quarter of the most, so that a store is not met with all of it at once.
func newGate(most int) *gate {
	return &gate{limit: max(1, float64(most)/4), most: most}
}

// enter waits for a place. Every successful enter needs one leave.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if len(g.waiting) == 0 && g.inside < int(g.limit) {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.abandon(turn)
		return ctx.Err()
	}
}

// abandon takes a waiter out of the queue, or gives its place back when its turn has just come.
func (g *gate) abandon(turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
	g.inside--
	g.admit()
}

// leave gives the place back and says how the store answered.
func (g *gate) leave(ok, slow bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	switch {
	case slow:
		if now := time.Now(); now.Sub(g.lastCut) >= time.Second {
			g.limit, g.lastCut = max(1, g.limit/2), now
		}
	case ok && g.limit < float64(g.most):
		g.limit = min(float64(g.most), g.limit+1/g.limit)
	}
	g.admit()
}

func (g *gate) admit() {
	for len(g.waiting) > 0 && g.inside < int(g.limit) {
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
		g.inside++
	}
}
