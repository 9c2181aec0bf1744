// Package svncmd runs the programs of Subversion such that neither the user's configuration, nor stored credentials, nor a question on a terminal decides what
// they do. Each run ends with its context, and with all processes that it started. A password never stands on a command line.
package svncmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The programs, all of which come with Subversion.
const (
	SVN      = "svn"
	Admin    = "svnadmin"
	Look     = "svnlook"
	RDump    = "svnrdump"
	Serve    = "svnserve"
	howToGet = "install Subversion 1.10 or newer, on Debian and Ubuntu: apt install subversion"
)

// idle is how long a program may print nothing while it is waited for. Between two revisions lies the time in which one of them is read or verified, which takes
// minutes when it adds many gigabytes.
const idle = 30 * time.Minute

// grace is how long what a program left behind may hold its pipes after it ended.
const grace = 5 * time.Second

// Tool runs the programs. The zero value is for repositories on this machine. Its methods may be called concurrently.
type Tool struct {
	// Username is who to be at a server; empty for nobody, or for the one in the address.
	Username string
	// Password is given to the program through its standard input, and only by Remote.
	Password string
	// SSH is the command that reaches a server of svn+ssh; nil means ssh.
	SSH []string
	// Idle is how long a program may print nothing; 0 means half an hour.
	Idle time.Duration
}

// Error says that a program ended with a failure.
type Error struct {
	Program string
	// Command is its subcommand.
	Command string
	// Stderr is the end of what it printed there.
	Stderr string
	Err    error
}

// Error says which command failed, and the program's own words.
func (e *Error) Error() string {
	said := strings.TrimSpace(e.Stderr)
	if said == "" {
		said = e.Err.Error()
	}
	return e.Program + " " + e.Command + ": " + strings.ReplaceAll(said, "\n", "; ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Coded reports whether err is of a program that named one of these of Subversion's error codes, such as "E160013".
func Coded(err error, codes ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if strings.Contains(e.Stderr, c+":") {
			return true
		}
	}
	return false
}

// nowhere is a directory of configuration that is not there and that nobody makes: all settings are the programs' own.
const nowhere = "/nonexistent/farshore/subversion"

// ErrMissing says that a program is not installed.
var ErrMissing = errors.New(howToGet)

// Environment returns the whole environment in which the programs run. The locale is one that can say every path; of our own it keeps the search path, the
// temporary directory, and the agent that holds the keys for ssh.
func Environment() []string {
	env := []string{"LC_ALL=C.UTF-8", "HOME=" + os.DevNull, "SVN_EDITOR=false", "SSH_ASKPASS=false", "SSH_ASKPASS_REQUIRE=never"}
	for _, name := range []string{"PATH", "TMPDIR", "SSH_AUTH_SOCK"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func command(ctx context.Context, program string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = Environment()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	return cmd
}

// Start runs a program with stdin, which may be nil, and returns what it prints as a stream. Paths in args must be absolute.
func (t *Tool) Start(ctx context.Context, stdin io.Reader, program string, args ...string) (*Stream, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	cmd := command(ctx, program, args)
	s := &Stream{ctx: outer, cancel: cancel, cmd: cmd, program: program, idle: t.Idle}
	if s.idle == 0 {
		s.idle = idle
	}
	if len(args) > 0 {
		s.command = args[0]
	}
	cmd.Stderr = &s.said
	in, err := feed(cmd, stdin)
	if err == nil {
		s.out, err = cmd.StdoutPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, s.failure(err)
	}
	if in != nil {
		go s.copyIn(in, stdin)
	}
	return s, nil
}

// Run runs a program with stdin, which may be nil, and writes what it prints to stdout. A failure is an *Error, ErrMissing, the context's error, or what stdin or
// stdout failed with. It does not wait for a read of stdin that never returns.
func (t *Tool) Run(ctx context.Context, stdin io.Reader, stdout io.Writer, program string, args ...string) error {
	s, err := t.Start(ctx, stdin, program, args...)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = io.Copy(stdout, s)
	return err
}

// maxOutput bounds what Output holds in memory.
const maxOutput = 64 << 20

// Output runs a program and returns what it prints, at most 64 MiB.
func (t *Tool) Output(ctx context.Context, program string, args ...string) ([]byte, error) {
	out := &bounded{max: maxOutput}
	err := t.Run(ctx, nil, out, program, args...)
	return out.Bytes(), err
}

// Remote starts svn or svnrdump with what keeps it from asking, from storing, and from the user's configuration, and with the tool's credentials.
func (t *Tool) Remote(ctx context.Context, program string, args ...string) (*Stream, error) {
	args = append(args, "--non-interactive", "--no-auth-cache", "--config-dir="+nowhere)
	for _, o := range []string{
		"servers:global:http-timeout=120", "servers:global:ssl-trust-default-ca=yes", "servers:global:store-plaintext-passwords=no",
		"config:auth:password-stores=", "config:tunnels:ssh=" + t.tunnel(),
	} {
		args = append(args, "--config-option="+o)
	}
	if t.Username != "" {
		args = append(args, "--username="+t.Username)
	}
	var stdin io.Reader
	if t.Password != "" {
		args = append(args, "--password-from-stdin")
		stdin = strings.NewReader(t.Password + "\n")
	}
	return t.Start(ctx, stdin, program, args...)
}

// tunnel is the command through which svn+ssh is spoken, its words quoted as svn wants them.
func (t *Tool) tunnel() string {
	words := t.SSH
	if len(words) == 0 {
		words = []string{"ssh"}
	}
	quoted := make([]string, 0, len(words)+5)
	for _, w := range words {
		if strings.ContainsAny(w, " \t\"'\\") {
			w = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
		}
		quoted = append(quoted, w)
	}
	return strings.Join(append(quoted, "-q", "-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "--"), " ")
}

// feed makes the pipe through which a program is given stdin. The package's own copying would be waited for, even while a read of stdin hangs.
func feed(cmd *exec.Cmd, stdin io.Reader) (io.WriteCloser, error) {
	if stdin == nil {
		return nil, nil
	}
	return cmd.StdinPipe()
}

// Stream is what a running program prints. Read returns io.EOF only when the program ended well; the caller closes it in any case. Not safe for concurrent use.
type Stream struct {
	ctx              context.Context // the caller's
	cancel           context.CancelFunc
	cmd              *exec.Cmd
	program, command string
	idle             time.Duration
	out              io.Reader
	said             tail
	input            atomic.Pointer[error] // what stdin failed with
	stalled          atomic.Bool
	ended            bool
	err              error
}

// copyIn gives the program its input. Where that fails the program is ended: to it, input that was cut off would look like all of it.
func (s *Stream) copyIn(in io.WriteCloser, stdin io.Reader) {
	r := &failing{r: stdin}
	_, _ = io.Copy(in, r) // a program that takes no more says so itself
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
	watch := time.AfterFunc(s.idle, func() {
		s.stalled.Store(true)
		s.cancel()
	})
	n, err := s.out.Read(p)
	watch.Stop()
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
	if s.err == nil {
		s.err = io.EOF
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

// Stderr is the end of what the program printed there; of use once the stream ended.
func (s *Stream) Stderr() string { return s.said.String() }

func (s *Stream) failure(err error) error {
	var missing *exec.Error
	bad := s.input.Load()
	switch {
	case s.ctx.Err() != nil && err != nil:
		return s.ctx.Err()
	case bad != nil:
		return fmt.Errorf("input of %s %s: %w", s.program, s.command, *bad)
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return fmt.Errorf("the program %s can't be run: %w: %w", s.program, missing.Err, ErrMissing)
	case s.stalled.Load():
		err = fmt.Errorf("it was ended because it printed nothing for %s", s.idle)
	}
	return &Error{Program: s.program, Command: s.command, Stderr: s.said.String(), Err: err}
}
