package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/process"
	"farshore/agent/vault"
)

// PartError says which part of a repository's record could not be used. Err is what reading it failed with, or what git said to it; it is never a failure of
// this machine.
type PartError struct {
	Path string // of the repository
	Part string // "pack 3 of 7 (trailer …)", "refs", …
	Err  error
}

// Error names the part, what is wrong, and what to do.
func (e *PartError) Error() string {
	return fmt.Sprintf("%q: %s: %v (restore an earlier snapshot, which may do without it)", e.Path, e.Part, e.Err)
}

// Unwrap returns the cause.
func (e *PartError) Unwrap() error { return e.Err }

// failed names the part in an error, which is a *PartError unless the run as a whole ends or this machine failed.
func failed(ctx context.Context, rec *record.Record, part string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case damaged(err):
	case process.NoRoom(err):
		return fmt.Errorf("%q: %s: no room left on the disk; make room and restore again: %w", rec.Path, part, err)
	case machine(err):
		return fmt.Errorf("%q: %s: this machine failed, which says nothing of the part; restore again: %w", rec.Path, part, err)
	}
	return &PartError{Path: rec.Path, Part: part, Err: err}
}

// machine reports whether a failure says nothing of the repository: git was not there, did not run or was ended, something ran out, or a file of ours could not
// be made, read or removed.
func machine(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	var git *gitcmd.Error
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case process.Machine(err), errors.As(err, &path), errors.As(err, &link), errors.As(err, &call):
		return true
	}
	return errors.As(err, &git) && !errors.As(err, &exit)
}

// complained reports whether git itself came to its end and said what is wrong.
func complained(err error) bool {
	var git *gitcmd.Error
	return errors.As(err, &git) && !machine(err)
}

// unreadable reports whether an error of the file system says that something can't be read here, and nothing of whether it is there.
func unreadable(err error) bool {
	return process.Machine(err) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EIO)
}

// damaged reports whether the vault has something no longer, or not as it was: other parts of the repository are still worth restoring.
func damaged(err error) bool {
	var d *vault.DamageError
	return errors.As(err, &d) || errors.Is(err, vault.ErrContent)
}
