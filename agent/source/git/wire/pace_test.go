package wire

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/source/git/internal/web"
)

// limits are the defaults.
func limits() (l Limits) {
	l.fill()
	return l
}

// TestPace holds that neither bytes that drip nor what is said beside the pack keeps a conversation alive, and that the slowness of whoever takes the bytes counts for nothing.
func TestPace(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name    string
		pause   time.Duration // before each piece
		size    int           // of a piece
		beside  bool          // it is no part of the pack
		streams bool
		slow    time.Duration // of the reader, after each piece
		after   time.Duration // when it is given up
		words   string
	}{
		{"a drip before the pack", 10 * second, 1, false, false, 0, time.Hour, "nothing of the pack for 1h0m0s"},
		{"a drip", 10 * second, 1, false, true, 0, 5 * time.Minute, "30 bytes of the pack in 5m0s"},
		{"keep-alive packets", 5 * second, 5, true, true, 0, 5 * time.Minute, " bytes of the pack in 5m0s"},
		{"words without end", second, 100, true, true, 0, 5 * time.Minute, " bytes of the pack in 5m0s"},
		{"slow, and fast enough", 10 * second, 11000, false, true, 0, 0, ""},
		{"a slow reader", second, 1100, false, true, time.Minute, 0, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuard(t.Context(), 2*time.Minute, limits())
			defer g.release()
			start := time.Now()
			r := &guardedReader{g, &paused{c.pause, c.size}}
			if c.streams {
				g.streams()
			}
			var err error
			for range 3 * int(time.Hour/c.pause) {
				var n int
				if n, err = r.Read(make([]byte, 1<<16)); err != nil {
					break
				}
				if c.beside {
					g.discount(n)
				}
				time.Sleep(c.slow)
			}
			switch took := time.Since(start); {
			case c.words == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words) || took < c.after || took > c.after+30*second):
				t.Errorf("%s: %v after %v", c.name, err, took)
			}
		})
	}
}

// paused gives pieces of a size.
type paused struct {
	pause time.Duration
	size  int
}

func (p *paused) Read(b []byte) (int, error) {
	time.Sleep(p.pause) // of the test's own clock
	return min(p.size, len(b)), nil
}

// TestTooMuch holds that neither a pack nor its keep-alive packets go on for ever.
func TestTooMuch(t *testing.T) {
	l := limits()
	l.Pack = 10
	r := &Remote{o: Options{Limits: l}}
	g := newGuard(t.Context(), time.Minute, l)
	defer g.release()
	talk := &conversation{r: r, g: g, link: &daemonLink{}}
	s := &packStream{talk: talk, p: newPackets(strings.NewReader("000b\x01PACK12" + "0004" + "0005\x01" + "000b\x01345678" + "0000"))}
	b, err := io.ReadAll(s)
	if string(b) != "PACK12" || err == nil || !strings.Contains(err.Error(), "more than 10 bytes") {
		t.Errorf("%q, %v", b, err)
	}
	if g.pace.bytes >= 0 { // no reader counted what was discounted
		t.Errorf("empty packets count for %d bytes of the pack", g.pace.bytes)
	}
}

// TestRefsDeadline holds that a server that lists refs for ever is given up.
func TestRefsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), limits().Refs, io.ErrNoProgress)
		defer cancel()
		g := newGuard(ctx, 2*time.Minute, limits())
		defer g.release()
		r := &guardedReader{g, &until{ctx: g.ctx, pause: time.Minute}}
		start := time.Now()
		if _, err := io.Copy(io.Discard, r); err != io.ErrNoProgress || time.Since(start) > 11*time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// until drips until its context ends.
type until struct {
	ctx   context.Context
	pause time.Duration
}

func (u *until) Read([]byte) (int, error) {
	return 1, web.Wait(u.ctx, u.pause)
}
