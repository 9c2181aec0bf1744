package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

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
		sink := counted{halting{after: c.after, seen: func() { during = n.Load() }}, &n}
		_, err := sink.Part(context.Background(), record.Part{}, -1, strings.NewReader("0123456789"))
		if (err != nil) != (c.after < 10) || during != c.during || n.Load() != c.end {
			t.Errorf("after %d: err %v, %d bytes during, %d at the end", c.after, err, during, n.Load())
		}
	}
}
