package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"farshore/agent/record"
	"farshore/agent/source"
)

// halting is a sink that stops after some bytes.
type halting struct {
	source.Sink
	after int64
	seen  func()
}

func (h halting) Part(_ context.Context, p record.Part, _ int64, body io.Reader) (record.Part, error) {
	if _, err := io.CopyN(io.Discard, body, h.after); err != nil && err != io.EOF {
		return p, err
	}
	h.seen()
	if h.after < 10 {
		return p, errors.New("enough")
	}
	return p, nil
}

// TestCountedSink holds that what is read shows while it is read, and that a failed attempt's bytes are taken back.
func TestCountedSink(t *testing.T) {
	for _, c := range []struct{ after, during, end int64 }{{4, 4, 0}, {10, 10, 10}} {
		var n atomic.Int64
		var during int64
		sink := counted{halting{after: c.after, seen: func() { during = n.Load() }}, &n, pace{}}
		_, err := sink.Part(context.Background(), record.Part{}, -1, strings.NewReader("0123456789"))
		if (err != nil) != (c.after < 10) || during != c.during || n.Load() != c.end {
			t.Errorf("after %d: err %v, %d bytes during, %d at the end", c.after, err, during, n.Load())
		}
	}
}

// TestReadRate holds that a limited pass reads no faster than it may, and ends with its context.
func TestReadRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		sink := counted{halting{after: 1 << 20, seen: func() {}}, &n, pace{rate: rate.NewLimiter(256<<10, readBurst)}}
		begin := time.Now()
		if _, err := sink.Part(t.Context(), record.Part{}, -1, strings.NewReader(strings.Repeat("x", 1<<20))); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d < 2900*time.Millisecond || d > 3100*time.Millisecond { // the first 256 KiB are free
			t.Errorf("1 MiB at 256 KiB/s took %s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := sink.Part(ctx, record.Part{}, -1, strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
			t.Error("a pass that was cancelled went on reading")
		}
	})
}
