// Package svncmd runs the programs of Subversion such that neither the user's configuration, nor stored credentials, nor a question on a terminal decides what
// they do. Each run ends with its context, and with all processes that it started. A password never stands on a command line.
package svncmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"farshore/agent/repo/process"
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

// idle is how long a program may neither print nor take input while it is waited for. Between two revisions lies the time in which one of them is read or verified, which takes
// minutes when it adds many gigabytes.
const idle = 30 * time.Minute

// Tool runs the programs. The zero value is for repositories on this machine. Its methods may be called concurrently.
type Tool struct {
	// Username is who to be at a server; empty for nobody, or for the one in the address.
	Username string
	// Password is given to the program through its standard input, and only by Remote.
	Password string
	// SSH is the command that reaches a server of svn+ssh; nil means ssh.
	SSH []string
	// Idle is how long a program may neither print nor take input while it is waited for; 0 means half an hour.
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

// Stream is what a running program prints (package process).
type Stream = process.Stream

func (t *Tool) spec(stdin io.Reader, program string, args []string) process.Spec {
	return process.Spec{Program: program, Args: args, Env: Environment(), Dir: "/", Stdin: stdin, Idle: cmp.Or(t.Idle, idle)}
}

// Start runs a program with stdin, which may be nil, and returns what it prints as a stream. Paths in args must be absolute.
func (t *Tool) Start(ctx context.Context, stdin io.Reader, program string, args ...string) (*Stream, error) {
	s, err := process.Start(ctx, t.spec(stdin, program, args))
	if err != nil {
		return nil, explained(program, args, err)
	}
	return s.Explained(func(err error) error { return explained(program, args, err) }), nil
}

// Run runs a program with stdin, which may be nil, and writes what it prints to stdout. A failure is an *Error, ErrMissing, the context's error, or what stdin or
// stdout failed with. It does not wait for a read of stdin that never returns.
func (t *Tool) Run(ctx context.Context, stdin io.Reader, stdout io.Writer, program string, args ...string) error {
	return explained(program, args, process.Run(ctx, t.spec(stdin, program, args), stdout))
}

// maxOutput bounds what Output holds in memory.
const maxOutput = 64 << 20

// Output runs a program and returns what it prints, at most 64 MiB.
func (t *Tool) Output(ctx context.Context, program string, args ...string) ([]byte, error) {
	out, err := process.Output(ctx, t.spec(nil, program, args), maxOutput)
	return out, explained(program, args, err)
}

// explained makes an error of our own of how a process ended.
func explained(program string, args []string, err error) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	var failed *process.Failure
	var input *process.InputError
	var missing *exec.Error
	switch {
	case errors.As(err, &failed):
		return &Error{Program: program, Command: command, Stderr: failed.Stderr, Err: failed}
	case errors.As(err, &input):
		return fmt.Errorf("input of %s %s: %w", program, command, input.Err)
	case errors.As(err, &missing):
		return fmt.Errorf("the program can't be run: %w: %w", missing, ErrMissing)
	}
	return err
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
