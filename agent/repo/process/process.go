// Package process runs a program as a stream of what it prints: it ends with its context, with all processes that it started, and when it makes no
// progress for too long while it is waited for; input that breaks off fails it, and its end counts only when it ended well.
package process

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// Spec says what to run. Program is needed.
type Spec struct {
	// Program is looked up in the PATH; Args are its arguments without it.
	Program string
	Args    []string
	// Env is the whole environment, Dir the directory to run in.
	Env []string
	Dir string
	// Stdin is given to the program; nil for nothing.
	Stdin io.Reader
	// Stderr gets all that the program prints there, beside the end that a failure shows; it may be nil.
	Stderr io.Writer
	// Idle is how long the program may neither print nor take input while it is waited for, 0 is no limit: while a Read of the Stream is in progress, and no
	// read of Stdin. Whoever is slow to take what it prints, or to give its input, has a bound of his own.
	Idle time.Duration
}

// Failure says that a program ended otherwise than well. Users wrap it in an error of their own.
type Failure struct {
	// Stderr is the end of what the program printed there.
	Stderr string
	Err    error
}

// Error says what the program said, or how it ended.
func (f *Failure) Error() string {
	if f.Stderr != "" {
		return f.Stderr
	}
	return f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// InputError says what reading the input failed with.
type InputError struct{ Err error }

// Error says what went wrong.
func (e *InputError) Error() string { return "input: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// grace is how long what a program left behind may hold its pipes after it ended.
const grace = 5 * time.Second

// Start runs the program. Errors are those of Stream.
func Start(ctx context.Context, o Spec) (*Stream, error) {
	s := &Stream{ctx: ctx}
	ctx, s.cancel = context.WithCancel(ctx)
	s.alarm = alarm{idle: o.Idle, ring: s.cancel, fetching: o.Stdin != nil}
	s.cmd = command(ctx, &o)
	s.cmd.Stderr = &s.said
	if o.Stderr != nil {
		s.cmd.Stderr = io.MultiWriter(&s.said, o.Stderr)
	}
	var in io.WriteCloser
	var err error
	if o.Stdin != nil { // the package's own copying would be waited for, even while a read of it hangs
		in, err = s.cmd.StdinPipe()
	}
	if err == nil {
		s.out, err = s.cmd.StdoutPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.cancel()
		return nil, s.failure(err)
	}
	if in != nil {
		go s.copyIn(in, o.Stdin)
	}
	return s, nil
}

// command makes a command in a process group of its own, which is killed as a whole.
func command(ctx context.Context, o *Spec) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.Program, o.Args...)
	cmd.Env, cmd.Dir = o.Env, o.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	return cmd
}

// Run runs the program and writes what it prints to stdout. It does not wait for a read of the input that never returns. Errors are those of Stream, and what
// stdout failed with.
func Run(ctx context.Context, o Spec, stdout io.Writer) error {
	s, err := Start(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = io.Copy(stdout, s)
	return err
}

// Output runs the program and returns what it prints, at most max bytes.
func Output(ctx context.Context, o Spec, max int) ([]byte, error) {
	out := &bounded{max: max}
	err := Run(ctx, o, out)
	return out.b.Bytes(), err
}

// Stream is what a running program prints. Read returns io.EOF only when the program ended well; else the context's error, an *InputError, a *Failure, or an *exec.Error
// where the program is not there. The caller closes it in any case. Not safe for concurrent use.
type Stream struct {
	ctx    context.Context // the caller's
	cancel context.CancelFunc
	cmd    *exec.Cmd
	out    io.Reader
	said   tail
	input  atomic.Pointer[error] // what the input failed with

	alarm alarm

	explain func(error) error // may be nil
	ended   bool
	err     error
}

// copyIn gives the program its input. Where that fails the program is ended: to it, input that was cut off would look like all of it.
func (s *Stream) copyIn(in io.WriteCloser, stdin io.Reader) {
	r := &failing{r: stdin}
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		s.alarm.fetch(false)
		if n > 0 {
			if _, werr := in.Write(buf[:n]); werr != nil {
				break // a program that takes no more says so itself
			}
		}
		if err != nil {
			break
		}
		s.alarm.fetch(true)
	}
	if r.err != nil {
		s.input.Store(&r.err)
		s.cancel()
	}
	_ = in.Close() // it may be closed by now
}

// Read reads on; at the end it says how the program ended.
func (s *Stream) Read(p []byte) (int, error) {
	if s.ended {
		return 0, s.err
	}
	s.alarm.read(true)
	defer s.alarm.read(false)
	n, err := s.out.Read(p)
	if err == nil {
		return n, nil
	}
	s.end()
	if n > 0 {
		return n, nil
	}
	return 0, s.err
}

func (s *Stream) end() {
	s.ended = true
	s.err = s.failure(s.cmd.Wait())
	switch {
	case s.err == nil:
		s.err = io.EOF
	case s.explain != nil:
		s.err = s.explain(s.err)
	}
	s.cancel()
}

// Close ends the program if it still runs. It may be called more than once.
func (s *Stream) Close() error {
	if !s.ended {
		s.cancel()
		s.end()
	}
	return nil
}

// Explained makes the stream say its failures in other words; explain is given each but io.EOF. It returns the stream, and is called before the first Read.
func (s *Stream) Explained(explain func(error) error) *Stream {
	s.explain = explain
	return s
}

// Stderr is the end of what the program printed there; of use once the stream ended.
func (s *Stream) Stderr() string { return s.said.String() }

func (s *Stream) failure(err error) error {
	var missing *exec.Error
	bad := s.input.Load()
	switch {
	case err != nil && s.ctx.Err() != nil:
		return s.ctx.Err()
	case bad != nil:
		return &InputError{*bad}
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return missing
	case s.alarm.stalled():
		err = &StallError{s.alarm.idle}
	}
	return &Failure{Stderr: s.said.String(), Err: err}
}
