package wire

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestGuard holds that only the time counts in which something is waited for, from the last byte on, and that bytes on their way to the server count as life.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = time.Minute
		g := newGuard(t.Context(), idle, limits())
		defer g.release()
		in, out := io.Pipe()
		defer context.AfterFunc(g.ctx, func() { _ = out.CloseWithError(io.ErrClosedPipe) })()
		r, start := &guardedReader{g, in}, time.Now()
		answer := make(chan error)
		read := func() { _, err := r.Read(make([]byte, 1)); answer <- err }

		time.Sleep(3 * idle) // nobody waits
		go read()
		time.Sleep(idle - time.Second)
		go func() { _, _ = out.Write([]byte("a")) }()
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * idle) // whoever takes the bytes away is slow
		go read()
		time.Sleep(idle - time.Second)
		g.progress()
		time.Sleep(idle - time.Second)
		if err := g.ctx.Err(); err != nil {
			t.Fatal("given up while the server took bytes")
		}
		if err := <-answer; err == nil || !strings.Contains(err.Error(), "no byte for 1m0s") {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if want := 9*idle - 2*time.Second; time.Since(start) != want {
			t.Errorf("given up after %v, want %v", time.Since(start), want)
		}
	})
}

// TestSending holds that a request goes out in pieces, and that its end is told.
func TestSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t.Context(), time.Minute, limits())
		defer g.release()
		request := bytes.Repeat([]byte("x"), 100_000)
		r, w := io.Pipe()
		s := g.send(w, request)
		synctest.Wait()
		if s.over() {
			t.Error("over before anybody read")
		}
		if _, err := io.ReadFull(r, make([]byte, len(request))); err != nil {
			t.Fatal(err)
		}
		s.wait()
		if !s.over() || !(*sending)(nil).over() {
			t.Error("not over")
		}
		s = g.send(w, request)
		_ = r.Close() // the server leaves
		s.wait()
	})
}
