package verify

import (
	"context"
	"errors"
	"os/exec"

	"farshore/agent/repo/svncmd"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/vault"
	"farshore/providers"
)

// verdict is what an error says of the repository that was being checked.
type verdict int

const (
	fine      verdict = iota
	wrong             // the repository
	unchecked         // nothing: this machine is why it could not be checked
	locked            // nothing: no key at hand opens it
	failed            // nothing: the verification itself can't go on
)

// judge says what err means, which restoring or checking the repository failed with, and failure, which the vault did.
func judge(ctx context.Context, err, failure error) verdict {
	switch {
	case err == nil:
		return fine
	case ctx.Err() != nil:
		return failed
	case unavailable(err):
		return unchecked
	case damage(err), damage(failure):
		return wrong
	case errors.Is(err, vault.ErrLocked), errors.Is(failure, vault.ErrLocked):
		return locked
	case failure != nil:
		return failed
	}
	return wrong
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
