package process

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// StallError is what a Failure wraps whose program was ended because it neither printed nor took input for so long.
type StallError struct{ Idle time.Duration }

// Error says so.
func (e *StallError) Error() string {
	return fmt.Sprintf("it was ended, since nothing moved for %s", e.Idle)
}

// shortage is one thing that a machine can run out of: the system's errors, and the words of programs in the C locale; "E000028:" are Subversion's.
type shortage struct {
	errs  []error
	words []string
}

var (
	noRoom = shortage{
		[]error{syscall.ENOSPC, syscall.EDQUOT},
		[]string{"No space left on device", "Disk quota exceeded", "disk quota exceeded", "E000028:", "E000122:"},
	}
	others = shortage{
		[]error{syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EROFS, syscall.EAGAIN},
		[]string{"Cannot allocate memory", "Out of memory", "out of memory", "Too many open files", "Read-only file system", "Resource temporarily unavailable",
			"E000012:", "E000023:", "E000024:", "E000030:", "E000011:"},
	}
)

func (s *shortage) met(err error) bool {
	for _, e := range s.errs {
		if errors.Is(err, e) {
			return true
		}
	}
	var f *Failure
	if !errors.As(err, &f) {
		return false
	}
	for _, w := range s.words {
		if strings.Contains(f.Stderr, w) {
			return true
		}
	}
	return false
}

// NoRoom reports whether a disk or a quota is full, as far as the system's errors and the programs' own words tell.
func NoRoom(err error) bool { return err != nil && noRoom.met(err) }

// Machine reports whether a failure is this machine's, and says nothing of what the program was working on: it is missing or could not be started, it was killed or stood
// still, or there was no room, memory or file handle left, as far as the system's errors and the programs' own words tell.
func Machine(err error) bool {
	if err == nil {
		return false
	}
	var missing *exec.Error
	var stalled *StallError
	return NoRoom(err) || others.met(err) || killed(err) || errors.As(err, &missing) || errors.As(err, &stalled)
}

// killed reports whether a signal ended the program, or one that it had started and whose end it passes on as a shell does: 128 and the signal's number. git's own
// codes 128 and 129 are none.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() || exit.ExitCode() > 129 && exit.ExitCode() <= 128+31
}
