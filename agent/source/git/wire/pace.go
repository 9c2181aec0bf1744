package wire

import (
	"fmt"
	"time"
)

// Limits are how long a server may keep us, and with how much. A field that is 0 has its default.
type Limits struct {
	// Refs is how long it may take to list the refs, with all attempts. Default 10 minutes.
	Refs time.Duration
	// Prepare is how long a server may be waited for before the first byte of a pack, whatever it sends meanwhile. Default 1 hour: counting the objects of a very
	// large repository takes many minutes.
	Prepare time.Duration
	// Window is the time of waiting over which a pack's rate is measured, and Rate the least number of its bytes a second. Defaults 5 minutes and 1,024.
	Window time.Duration
	Rate   int64
	// Pack is the most bytes of a pack. Default 1 TiB.
	Pack int64
}

func (l *Limits) fill() {
	positive(&l.Refs, 10*time.Minute)
	positive(&l.Prepare, time.Hour)
	positive(&l.Window, 5*time.Minute)
	positive(&l.Rate, 1<<10)
	positive(&l.Pack, 1<<40)
}

func positive[T time.Duration | int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// pace measures how fast a conversation gets on: a byte now and then keeps it from being idle, and would keep us for ever. Only the time counts in which the server is
// waited for.
type pace struct {
	limits    Limits
	streaming bool
	waited    time.Duration // since the window began; before the pack, since the conversation began
	bytes     int64         // of the pack in it
}

// stream begins the first window.
func (p *pace) stream() {
	if !p.streaming {
		p.streaming, p.waited, p.bytes = true, 0, 0
	}
}

// took adds a wait and what it gave.
func (p *pace) took(waited time.Duration, bytes int) error {
	p.waited += waited
	p.bytes += int64(bytes)
	switch {
	case !p.streaming && p.waited > p.limits.Prepare:
		return fmt.Errorf("the server gave nothing of the pack for %v", p.limits.Prepare)
	case !p.streaming || p.waited < p.limits.Window:
		return nil
	case float64(p.bytes) < float64(p.limits.Rate)*p.waited.Seconds():
		return fmt.Errorf("the server gave %d bytes of the pack in %v: at least %d a second are asked for", max(p.bytes, 0), p.waited.Round(time.Second), p.limits.Rate)
	}
	p.waited, p.bytes = 0, 0
	return nil
}
