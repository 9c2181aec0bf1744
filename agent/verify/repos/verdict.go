package repos

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/process"
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

// judge says what err means, which restoring or checking the repository failed with, and failure, which the vault did: that one counts also where the rest
// could be restored without it.
func judge(ctx context.Context, err, failure error) verdict {
	switch {
	case cmp.Or(err, failure) == nil:
		return fine
	case ctx.Err() != nil:
		return failed
	case damage(err), damage(failure):
		return wrong
	case errors.Is(err, vault.ErrLocked), errors.Is(failure, vault.ErrLocked):
		return locked
	case failure != nil:
		return failed
	case unavailable(err):
		return unchecked
	}
	return wrong
}

// damage reports whether the vault does not have something as it was stored.
func damage(err error) bool {
	var d *vault.DamageError
	return errors.As(err, &d) || errors.Is(err, vault.ErrContent) || err != nil && providers.KindOf(err) == providers.Corrupt
}

// unavailable reports whether this machine is why a repository could not be restored or checked: a program is missing, did not run or was ended, something ran out, a file in
// the scratch place could not be made or read, or git failed at what is no part of the record. The vault did not fail.
func unavailable(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	var number syscall.Errno
	switch {
	case process.Machine(err), errors.Is(err, exec.ErrNotFound), errors.Is(err, svncmd.ErrMissing):
		return true
	case errors.As(err, &path), errors.As(err, &link), errors.As(err, &call), errors.As(err, &number):
		return true
	}
	var git *gitcmd.Error
	var part *gitrepo.PartError
	return errors.As(err, &git) && !errors.As(err, &part)
}
