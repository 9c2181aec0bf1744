package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// soakFault is what a gate does to a request.
type soakFault int

const (
	soakNone soakFault = iota
	soakInternal
	soakSlowDown
	soakDenied
	soakReset   // the connection breaks before anything was done
	soakLost    // the request is done, and its answer lost
	soakCut     // the body ends half way
	soakHang    // nothing is answered for a while, and then never
	soakTrickle // the body comes in drops
	soakDelay
	soakFaults
)

var soakFaultNames = [...]string{"spared", "500", "503 SlowDown", "403", "reset", "answer lost", "body cut", "hang", "trickle", "delay"}

// soakGate stands before a server. While it rages, faults come in episodes of one kind; the first request of each suffers it.
type soakGate struct {
	next http.Handler
	// law is told of each request.
	law func(method, path, condition string)

	mu     sync.Mutex
	rng    *rand.Rand
	raging chan struct{} // closed by calm; nil while it is calm
	kind   soakFault
	share  float64
	until  time.Time
	counts map[string]int64
	// kept are when something was not given to who wanted to read it.
	kept []time.Time
	// barred, when not nil, lets nothing through until it is closed; waiting is how many requests are before it.
	barred  chan struct{}
	waiting int
}

// rage begins with faults.
func (g *soakGate) rage() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.raging == nil {
		g.raging, g.until = make(chan struct{}), time.Time{}
	}
}

// calm ends all faults: what hangs is broken off, what trickles flows.
func (g *soakGate) calm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.raging != nil {
		close(g.raging)
		g.raging = nil
	}
}

// told is how many requests suffered what.
func (g *soakGate) told() map[string]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.counts)
}

// fate draws what happens to a request, and for how long.
func (g *soakGate) fate() (fault soakFault, long time.Duration, calm <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts["requests"]++
	if g.raging == nil {
		return soakNone, 0, nil
	}
	fault = g.kind
	if now := time.Now(); now.After(g.until) {
		g.episode(now)
		fault = g.kind
	} else if g.rng.Float64() >= g.share {
		fault = soakNone
	}
	g.counts[soakFaultNames[fault]]++
	long = time.Duration(g.rng.IntN(2000)) * time.Millisecond
	if fault == soakHang && g.rng.IntN(4) == 0 {
		long = 5 * time.Minute // until the client's own deadline
	}
	return fault, long, g.raging
}

// keep notes that something is not given.
func (g *soakGate) keep(method string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if method != http.MethodPut {
		g.kept = append(g.kept, time.Now())
	}
}

// keptIn reports whether something was not given in that time.
func (g *soakGate) keptIn(span soakSpan) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.kept, func(at time.Time) bool { return span.meets(soakSpan{at, at}) })
}

// episode begins another one. A third of the time nothing happens.
func (g *soakGate) episode(now time.Time) {
	g.kind, g.share = soakNone, 0
	if g.rng.IntN(3) > 0 {
		g.kind, g.share = 1+soakFault(g.rng.IntN(int(soakFaults)-1)), 0.05+0.3*g.rng.Float64()
	}
	length := 300 + g.rng.IntN(2200)
	if g.kind == soakDenied && g.rng.IntN(2) == 0 {
		g.share, length = 1, 200+g.rng.IntN(600)
	}
	g.until = now.Add(time.Duration(length) * time.Millisecond)
}

// bar lets nothing through until open is called.
func (g *soakGate) bar() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.barred = make(chan struct{})
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(g.barred)
		g.barred = nil
	}
}

// pass returns when the request may pass.
func (g *soakGate) pass(r *http.Request) {
	g.mu.Lock()
	barred := g.barred
	g.waiting++
	g.mu.Unlock()
	if barred != nil {
		select {
		case <-barred:
		case <-r.Context().Done():
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
}

// stopped is how many requests wait at the bar.
func (g *soakGate) stopped() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.barred == nil {
		return 0
	}
	return g.waiting
}

func (g *soakGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.pass(r)
	if g.law != nil {
		g.law(r.Method, r.URL.Path, r.Header.Get("If-None-Match"))
	}
	fault, long, calm := g.fate()
	switch fault {
	case soakInternal:
		soakRefuse(w, http.StatusInternalServerError, "InternalError")
		return
	case soakSlowDown:
		soakRefuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	case soakDenied:
		g.keep(r.Method)
		soakRefuse(w, http.StatusForbidden, "AccessDenied")
		return
	case soakReset:
		soakBreak(w)
	case soakLost:
		g.next.ServeHTTP(&soakDeaf{head: http.Header{}}, r)
		soakBreak(w)
	case soakHang:
		soakPause(r, long, calm)
		soakBreak(w)
	case soakDelay:
		soakPause(r, long/2, calm)
	case soakCut:
		cut := &soakCutter{ResponseWriter: w}
		g.next.ServeHTTP(cut, r)
		if cut.over {
			_ = http.NewResponseController(w).Flush() // the client has gone, or gets the first half
			soakBreak(w)
		}
		return
	case soakTrickle:
		w = &soakDropper{ResponseWriter: w, r: r, calm: calm, left: long + time.Second}
	}
	g.next.ServeHTTP(w, r)
}

func soakRefuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>in the soak</Message></Error>", code) // the client may be gone
}

// soakBreak breaks the connection: with a reset where the system lets us.
func soakBreak(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // without it the connection is closed and not reset
		}
		_ = conn.Close() // it is to be broken
	}
	panic(http.ErrAbortHandler)
}

// soakPause waits that long, or until the client is gone or the faults are over.
func soakPause(r *http.Request, long time.Duration, calm <-chan struct{}) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-calm:
	case <-r.Context().Done():
	}
}

// soakDeaf takes an answer that nobody hears.
type soakDeaf struct{ head http.Header }

func (d *soakDeaf) Header() http.Header         { return d.head }
func (d *soakDeaf) WriteHeader(int)             {}
func (d *soakDeaf) Write(b []byte) (int, error) { return len(b), nil }

// soakCutter lets half of a body through.
type soakCutter struct {
	http.ResponseWriter
	left  int64
	begun bool
	over  bool
}

func (c *soakCutter) Write(b []byte) (int, error) {
	if !c.begun {
		c.begun = true
		size, err := strconv.ParseInt(c.Header().Get("Content-Length"), 10, 64)
		if err != nil {
			size = 1000 // it does not say
		}
		c.left = size / 2
	}
	if c.over {
		return 0, io.ErrClosedPipe
	}
	if int64(len(b)) <= c.left {
		c.left -= int64(len(b))
		return c.ResponseWriter.Write(b)
	}
	c.over = true
	n, err := c.ResponseWriter.Write(b[:c.left])
	return n, cmp.Or(err, io.ErrClosedPipe)
}

// soakDropper lets a body through in drops, for as long as is left.
type soakDropper struct {
	http.ResponseWriter
	r    *http.Request
	calm <-chan struct{}
	left time.Duration
}

func (d *soakDropper) Write(b []byte) (n int, err error) {
	const drop, pause = 1 << 10, 20 * time.Millisecond
	for len(b) > 0 {
		some := len(b)
		if d.left > 0 {
			some = min(some, drop)
			soakPause(d.r, pause, d.calm)
			d.left -= pause
		}
		m, err := d.ResponseWriter.Write(b[:some])
		n, b = n+m, b[m:]
		if err == nil && d.left > 0 {
			err = http.NewResponseController(d.ResponseWriter).Flush()
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
