package vault

import (
	"context"
	"io"
	"sync"

	"farshore/agent/record"
)

// PartReader gives the bytes of parts back: a *Reader, or something around one.
type PartReader interface {
	// Copy writes the part's bytes to w, and fails unless they are what was stored.
	Copy(ctx context.Context, w io.Writer, p *record.Part) error
}

// Watch reads parts, and remembers what the vault failed with, whatever a program that is given the bytes makes of input that breaks off. It may be used
// concurrently.
type Watch struct {
	parts PartReader

	mu      sync.Mutex
	failure error
}

// NewWatch returns a Watch without a failure.
func NewWatch(parts PartReader) *Watch { return &Watch{parts: parts} }

// Copy implements PartReader.
func (w *Watch) Copy(ctx context.Context, to io.Writer, p *record.Part) error {
	t := &taker{w: to}
	err := w.parts.Copy(ctx, t, p)
	if err == nil || t.err != nil || ctx.Err() != nil { // whoever takes the bytes failed, or wants no more of them
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = err
	}
	return err
}

// Failure is the first failure of the vault, nil where there was none.
func (w *Watch) Failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// taker keeps a failure of whoever takes the bytes apart from the vault's.
type taker struct {
	w   io.Writer
	err error
}

// Write hands on.
func (t *taker) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.err = err
	return n, err
}
