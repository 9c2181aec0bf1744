// Package gitcmd runs the git program such that nothing of the repository that it looks at, of the user's or of the machine's configuration decides what it
// executes: no hooks, no file system monitor, no helpers, no lazy fetch, no prompts. Each run ends with its context.
package gitcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
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
}

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

// grace is how long git may take to end after its context did, before it is killed.
const grace = 5 * time.Second

// command makes a command in a process group of its own, which is killed as a whole.
func (g *Git) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(Environment(), "GIT_DIR="+g.Dir)
	if g.Objects != "" {
		cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+g.Objects)
	}
	cmd.Env = append(cmd.Env, g.Env...)
	cmd.Dir = g.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	return cmd
}

// Run runs git with stdin, which may be nil, and writes what it prints to stdout. A failure is an *Error, the context's error, or what stdin or stdout failed
// with. It does not wait for a read of stdin that never returns.
func (g *Git) Run(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	s, err := g.Start(ctx, stdin, args...)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = io.Copy(stdout, s)
	return err
}

// maxOutput bounds what Output holds in memory.
const maxOutput = 256 << 20

// Output runs git and returns what it prints, at most 256 MiB.
func (g *Git) Output(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	out := &bounded{max: maxOutput}
	err := g.Run(ctx, stdin, out, args...)
	return out.Bytes(), err
}

// Start runs git with stdin, which may be nil, and returns what it prints as a stream.
func (g *Git) Start(ctx context.Context, stdin io.Reader, args ...string) (*Stream, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	cmd := g.command(ctx, args)
	s := &Stream{ctx: outer, cancel: cancel, cmd: cmd, args: args}
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
		return nil, failure(outer, args, &s.said, err)
	}
	if in != nil {
		go s.copyIn(in, stdin)
	}
	return s, nil
}

// feed makes the pipe through which git is given stdin. The package's own copying would be waited for, even while a read of stdin hangs.
func feed(cmd *exec.Cmd, stdin io.Reader) (io.WriteCloser, error) {
	if stdin == nil {
		return nil, nil
	}
	if f, ok := stdin.(*os.File); ok {
		cmd.Stdin = f
		return nil, nil
	}
	return cmd.StdinPipe()
}

// copyIn gives git its input. Where that fails git is ended: to it, input that was cut off would look like all of it.
func (s *Stream) copyIn(in io.WriteCloser, stdin io.Reader) {
	r := &failing{r: stdin}
	_, _ = io.Copy(in, r) // a git that takes no more says so itself
	if r.err != nil {
		s.input.Store(&r.err)
		s.cancel()
	}
	_ = in.Close() // it may be closed by now
}

// failing remembers what a reader failed with.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// Stream is what a running git prints. Read returns io.EOF only when git ended well; the caller closes it in any case. Not safe for concurrent use.
type Stream struct {
	ctx    context.Context // the caller's
	cancel context.CancelFunc
	cmd    *exec.Cmd
	args   []string
	out    io.Reader
	said   tail
	input  atomic.Pointer[error] // what stdin failed with
	ended  bool
	err    error
}

// Read reads on; at the end it says how git ended.
func (s *Stream) Read(p []byte) (int, error) {
	if s.ended {
		return 0, s.err
	}
	n, err := s.out.Read(p)
	if err != nil {
		s.end()
		if n > 0 {
			return n, nil
		}
		return 0, s.err
	}
	return n, nil
}

func (s *Stream) end() {
	s.ended = true
	s.err = failure(s.ctx, s.args, &s.said, s.cmd.Wait())
	if bad := s.input.Load(); bad != nil && s.ctx.Err() == nil {
		s.err = fmt.Errorf("input of git %s: %w", s.args[0], *bad)
	}
	if s.err == nil {
		s.err = io.EOF
	}
	s.cancel()
}

// Close ends git if it still runs. It may be called more than once.
func (s *Stream) Close() error {
	if !s.ended {
		s.cancel()
		s.end()
	}
	return nil
}

// Stderr is the end of what git printed there; of use once the stream ended.
func (s *Stream) Stderr() string { return s.said.String() }

func failure(ctx context.Context, args []string, said *tail, err error) error {
	var missing *exec.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &missing):
		return fmt.Errorf("the git program can't be run: %w (install git 2.39 or newer)", err)
	}
	return &Error{Args: args, Stderr: said.String(), Err: err}
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

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailSize = 4096

// Write keeps the last bytes.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	t.b = append(t.b, p[max(0, n-tailSize):]...)
	if len(t.b) > 2*tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return n, nil
}

// String is what was kept, from the beginning of a line on, as valid text.
func (t *tail) String() string {
	b := t.b
	if len(b) > tailSize {
		b = b[len(b)-tailSize:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return strings.ToValidUTF8(string(b), "?")
}

// bounded is a buffer that refuses to grow beyond max.
type bounded struct {
	bytes.Buffer
	max int
}

// Write appends p.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		return 0, fmt.Errorf("git printed more than %d bytes", b.max)
	}
	return b.Buffer.Write(p)
}
