package vault_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// saying writes a byte and then fails as told.
type saying struct{ err error }

func (s saying) Copy(_ context.Context, w io.Writer, _ *record.Part) error {
	if _, err := w.Write([]byte{0}); err != nil {
		return err
	}
	return s.err
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestWatch holds that only the vault's failures are remembered, and the first of them.
func TestWatch(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	parts := &saying{}
	w := vault.NewWatch(parts)
	step := func(what string, ctx context.Context, to io.Writer, err, want error) {
		parts.err = err
		_ = w.Copy(ctx, to, nil) // what it returns is the parts' own
		if !errors.Is(w.Failure(), want) || (want == nil) != (w.Failure() == nil) {
			t.Errorf("%s: %v, want %v", what, w.Failure(), want)
		}
	}
	step("well", t.Context(), io.Discard, nil, nil)
	step("the taker is full", t.Context(), full{}, nil, nil)
	step("no longer wanted", ended, io.Discard, context.Canceled, nil)
	step("damage", t.Context(), io.Discard, vault.ErrContent, vault.ErrContent)
	step("well again", t.Context(), io.Discard, nil, vault.ErrContent)
	step("another failure", t.Context(), io.Discard, vault.ErrLocked, vault.ErrContent)
}
