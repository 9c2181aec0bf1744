package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/vault"
	"farshore/providers"
)

// watched gives the parts of one repository, and remembers what the vault failed with, whatever a program makes of input that was cut off.
type watched struct {
	parts gitrepo.Parts

	mu      sync.Mutex
	failure error
}

// Copy implements gitrepo.Parts and svnrepo.Parts.
func (w *watched) Copy(ctx context.Context, to io.Writer, p *record.Part) error {
	s := &taker{w: to}
	err := w.parts.Copy(ctx, s, p)
	if err != nil && s.err == nil && ctx.Err() == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failure = err
	}
	return err
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

// verdict is what an error says of the repository that was being checked.
type verdict int

const (
	fine      verdict = iota
	wrong             // the repository
	unchecked         // nothing: this machine is why it could not be checked
	locked            // nothing: no key at hand opens it
	failed            // nothing: the verification itself can't go on
)

// judge says what err means, which restoring or checking the repository failed with.
func (w *watched) judge(ctx context.Context, err error) verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		return fine
	case ctx.Err() != nil:
		return failed
	case unavailable(err):
		return unchecked
	case damage(err), damage(w.failure):
		return wrong
	case errors.Is(err, vault.ErrLocked), errors.Is(w.failure, vault.ErrLocked):
		return locked
	case w.failure != nil:
		return failed
	}
	return wrong
}

// cause is the error that ends the verification.
func (w *watched) cause(ctx context.Context, what string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Errorf("%s: %w", what, w.failure)
}

// damage reports whether the vault does not have something as it was stored.
func damage(err error) bool {
	var d *vault.DamageError
	return errors.As(err, &d) || errors.Is(err, vault.ErrContent) || err != nil && providers.KindOf(err) == providers.Corrupt
}

// unavailable reports whether this machine is why a repository could not be restored: a program that is missing, or a full disk, as far as the programs' own words
// tell.
func unavailable(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, svncmd.ErrMissing) || gitrepo.NoRoom(err) || svncmd.Coded(err, "E000028", "E000122")
}
