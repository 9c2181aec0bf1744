// Package gitcmd runs the git program such that nothing of the repository that it looks at, of the user's or of the machine's configuration decides what it
// executes: no hooks, no file system monitor, no helpers, no lazy fetch, no prompts. Each run ends with its context.
package gitcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"farshore/agent/repo/process"
)

// Git is a git directory to run git in. Its methods may be called concurrently.
type Git struct {
	// Dir is the git directory. Its configuration is read, but what git executes is not up to it.
	Dir string
	// Objects is the object directory, where it is not Dir/objects: an empty directory of our own in Dir, and a stranger's objects here, keep the stranger's
	// configuration out altogether.
	Objects string
	// Env is added to the environment, "NAME=value" each, and may replace what stands there.
	Env []string
	// Stderr gets all that git prints there, beside the end that an *Error shows; it may be nil.
	Stderr io.Writer
}

// ErrMissing says that git is not installed.
var ErrMissing = errors.New("install git 2.39 or newer")

// Error says that git ended with a failure.
type Error struct {
	Args []string
	// Stderr is the end of what git printed there.
	Stderr string
	Err    error
}

// Error says which command failed, and git's own words.
func (e *Error) Error() string {
	command := "git"
	if len(e.Args) > 0 {
		command += " " + e.Args[0]
	}
	if said := strings.TrimSpace(e.Stderr); said != "" {
		return command + ": " + strings.ReplaceAll(said, "\n", "; ")
	}
	return command + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// settings stand above every configuration file.
var settings = [][2]string{
	{"safe.directory", "*"}, // whose files they are says nothing: no setting in them takes effect
	{"core.fsmonitor", "false"},
	{"core.hooksPath", os.DevNull},
	{"core.alternateRefsCommand", "true"},
	{"core.sshCommand", "false"},
	{"core.gitProxy", ""},
	{"core.pager", "cat"},
	{"core.attributesFile", os.DevNull},
	{"core.excludesFile", os.DevNull},
	{"credential.helper", ""},
	{"uploadpack.packObjectsHook", ""},
	{"gc.auto", "0"},
	{"maintenance.auto", "false"},
	{"fsck.skipList", os.DevNull},
	{"advice.detachedHead", "false"},
}

// Environment returns the whole environment in which git runs: of our own it keeps only PATH and the temporary directory.
func Environment() []string {
	env := []string{
		"LC_ALL=C", "HOME=" + os.DevNull, "XDG_CONFIG_HOME=" + os.DevNull,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", "SSH_ASKPASS=false", "GIT_PAGER=cat", "GIT_EDITOR=false",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_SSH_COMMAND=false",
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)),
	}
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	for _, name := range []string{"PATH", "TMPDIR"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// idle is how long git may neither print nor take input while it is waited for. It resolves deltas and checks objects in silence, which takes minutes for many gigabytes.
const idle = time.Hour

// Stream is what a running git prints (package process).
type Stream = process.Stream

func (g *Git) spec(stdin io.Reader, args []string) process.Spec {
	env := append(Environment(), "GIT_DIR="+g.Dir)
	if g.Objects != "" {
		env = append(env, "GIT_OBJECT_DIRECTORY="+g.Objects)
	}
	return process.Spec{Program: "git", Args: args, Env: append(env, g.Env...), Dir: g.Dir, Stdin: stdin, Stderr: g.Stderr, Idle: idle}
}

// Run runs git with stdin, which may be nil, and writes what it prints to stdout. A failure is an *Error, the context's error, or what stdin or stdout failed
// with. It does not wait for a read of stdin that never returns.
func (g *Git) Run(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	return explained(args, process.Run(ctx, g.spec(stdin, args), stdout))
}

// maxOutput bounds what Output holds in memory.
const maxOutput = 256 << 20

// Output runs git and returns what it prints, at most 256 MiB.
func (g *Git) Output(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	out, err := process.Output(ctx, g.spec(stdin, args), maxOutput)
	return out, explained(args, err)
}

// Start runs git with stdin, which may be nil, and returns what it prints as a stream.
func (g *Git) Start(ctx context.Context, stdin io.Reader, args ...string) (*Stream, error) {
	s, err := process.Start(ctx, g.spec(stdin, args))
	if err != nil {
		return nil, explained(args, err)
	}
	return s.Explained(func(err error) error { return explained(args, err) }), nil
}

// explained makes git's own error of how a process ended.
func explained(args []string, err error) error {
	var failed *process.Failure
	var input *process.InputError
	var missing *exec.Error
	switch {
	case errors.As(err, &failed):
		return &Error{Args: args, Stderr: failed.Stderr, Err: failed}
	case errors.As(err, &input):
		return fmt.Errorf("input of git %s: %w", args[0], input.Err)
	case errors.As(err, &missing):
		return fmt.Errorf("the git program can't be run: %w: %w", missing, ErrMissing)
	}
	return err
}

// Init makes an empty bare repository in dir, which may exist if it is empty, with objects named by format: "sha1" or "sha256". It has neither hooks nor
// description, and HEAD points to refs/heads/main.
func Init(ctx context.Context, dir, format string) (*Git, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	g := &Git{Dir: dir}
	return g, g.Run(ctx, nil, io.Discard, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--object-format="+format)
}
