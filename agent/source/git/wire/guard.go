package wire

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// defaultIdle is how long a server may give no byte: git's own send one every five seconds while they prepare a pack.
const defaultIdle = 2 * time.Minute

// guard ends a conversation when its server gives no byte for a while. The time runs only while something is waited for: whoever takes the bytes away may be
// as slow as he likes.
type guard struct {
	ctx    context.Context // ends with the conversation; its cause says why
	cancel context.CancelCauseFunc
	idle   time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool
	pace    pace
}

func newGuard(parent context.Context, idle time.Duration, l Limits) *guard {
	g := &guard{idle: idle, pace: pace{limits: l}}
	g.ctx, g.cancel = context.WithCancelCause(parent)
	g.timer = time.AfterFunc(idle, func() { g.cancel(fmt.Errorf("the server gave no byte for %v", idle)) })
	g.timer.Stop()
	return g
}

// arm begins a wait.
func (g *guard) arm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = true
	g.timer.Reset(g.idle)
}

// disarm ends a wait.
func (g *guard) disarm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = false
	g.timer.Stop()
}

// progress says that the server takes bytes: it is not idle while it does.
func (g *guard) progress() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting {
		g.timer.Reset(g.idle)
	}
}

// took notes that a wait of that long gave so many bytes. An error ends a conversation that gets on too slowly.
func (g *guard) took(waited time.Duration, bytes int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.pace.took(waited, bytes)
	if err != nil {
		g.cancel(err)
	}
	return err
}

// streams begins the time in which a least rate is asked for; the bytes of what is no pack do not count.
func (g *guard) streams() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.stream()
}

// discount says that bytes which came were none of a pack.
func (g *guard) discount(bytes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.bytes -= int64(bytes)
}

// why replaces an error by the reason for which the conversation was ended, if it was.
func (g *guard) why(err error) error {
	if err != nil && g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	return err
}

// release gives up the guard's timer and context.
func (g *guard) release() {
	g.disarm()
	g.cancel(context.Canceled)
}

// guardedReader reads under a guard.
type guardedReader struct {
	g *guard
	r io.Reader
}

func (r *guardedReader) Read(p []byte) (int, error) {
	r.g.arm()
	began := time.Now()
	n, err := r.r.Read(p)
	r.g.disarm()
	if slow := r.g.took(time.Since(began), n); slow != nil && err == nil {
		err = slow
	}
	return n, r.g.why(err)
}

// sending is a request on its way. It is written beside the reading of the answer: a server before version 2 answers while it still reads, and would stand
// still if nobody took that.
type sending struct{ done chan struct{} }

// send begins to write a request; its end is waited for by wait, after w was closed at the latest.
func (g *guard) send(w io.Writer, request []byte) *sending {
	s := &sending{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		const piece = 16 << 10
		for len(request) > 0 {
			n, err := w.Write(request[:min(len(request), piece)])
			if err != nil {
				return // whoever reads the answer learns why
			}
			request = request[n:]
			g.progress()
		}
	}()
	return s
}

// over reports whether nothing is left to write.
func (s *sending) over() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *sending) wait() {
	if s != nil {
		<-s.done
	}
}
