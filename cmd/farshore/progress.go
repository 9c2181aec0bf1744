package main

import (
	"fmt"
	"sync"
	"time"
)

// progress is told how a long command gets on. It may be used concurrently.
type progress interface {
	// Total says how many items and bytes there will be, as far as is known now; 0 is unknown.
	Total(items, bytes int64)
	// Add says that so many more are done.
	Add(items, bytes int64)
	// Note says one line that stays.
	Note(format string, args ...any)
	// Done ends it. Nothing may be called after it but Done.
	Done()
}

// follow shows a bar where stderr is a terminal that can redraw a line, and only notes elsewhere. poll, unless it is nil, is asked before each drawing, by another goroutine than the
// work's: for work that counts by itself.
func (e *env) follow(label string, poll poll) progress {
	if e.measure != nil && poll != nil {
		e.measure(poll)
	}
	if e.flags.quiet || !e.smart() {
		return notes{e}
	}
	b := &bar{e: e, poll: poll, meter: meter{label: label, begin: e.now(), last: e.now()}, over: make(chan struct{}), gone: make(chan struct{})}
	go b.run()
	return b
}

// poll tells how far the work is.
type poll func() (items, bytes, totalItems, totalBytes int64)

// notes shows notes and no bar.
type notes struct{ e *env }

func (notes) Total(int64, int64)                {}
func (notes) Add(int64, int64)                  {}
func (notes) Done()                             {}
func (n notes) Note(format string, args ...any) { n.e.say(format, args...) }

// refresh is the time between two drawings: five a second look alive and cost nothing.
const refresh = 200 * time.Millisecond

// bar redraws the last line of a terminal.
type bar struct {
	e          *env
	poll       poll
	mu         sync.Mutex
	meter      meter
	once       sync.Once
	over, gone chan struct{}
}

// run draws until Done.
func (b *bar) run() {
	defer close(b.gone)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-b.over:
			return
		case <-tick.C:
			b.mu.Lock()
			b.draw()
			b.mu.Unlock()
		}
	}
}

// clearLine goes to the line's beginning and empties it.
const clearLine = "\r\x1b[K"

// draw writes the line anew. The caller holds mu.
func (b *bar) draw() {
	now := b.e.now()
	if m := &b.meter; b.poll != nil {
		m.items, m.bytes, m.totalItems, m.totalBytes = b.poll()
	}
	b.meter.sample(now)
	paint := func(s string) string { return b.e.paint(cyan, s) }
	fmt.Fprint(b.e.stderr, clearLine, b.meter.line(now, b.e.width(), paint))
}

func (b *bar) Total(items, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.meter.totalItems, b.meter.totalBytes = items, bytes
}

func (b *bar) Add(items, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.meter.items += items
	b.meter.bytes += bytes
}

func (b *bar) Note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprint(b.e.stderr, clearLine, fmt.Sprintf(format, args...), "\n")
	b.draw()
}

// Done removes the bar and waits for its goroutine.
func (b *bar) Done() {
	b.once.Do(func() {
		close(b.over)
		<-b.gone
		fmt.Fprint(b.e.stderr, clearLine)
	})
}
